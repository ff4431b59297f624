"""Simulated specimens, optics and cameras: an image and the truth behind it, in NumPy.

``stages`` is the whole way, each stage on its own: a specimen (``specimens``, ``bodies``, ``volumes``), what it emits (``emission``), what
a kind of microscope sees of it (``modalities`` on top of ``optics``), and what the ``camera`` makes of that. ``fields`` is the short way
that training takes; ``nuclei`` and ``cells`` are for the families that label or name them.

May import: nothing
"""
