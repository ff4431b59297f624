"""Simulated specimens, optics and cameras: an image and the sharp truth behind it, in NumPy.

In: a random generator and numbers. Out: arrays with axes, units and voxel size. ``stages`` runs a simulation in four steps that can each be
called and plotted: ground truth (``specimens``, ``bodies``, ``volumes``), ``emission``, optical image (``modalities`` on top of
``optics``) and digital image (``camera``). ``fields`` is the shorter way that training takes; ``focusing`` makes focal series of ``thick``
and other specimens; ``nuclei`` and ``cells`` are simulations of their own for segmentation and for the classification of cells.

May import: nothing
"""
