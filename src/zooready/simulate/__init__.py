"""Simulated specimens, optics and cameras: a picture and the truth behind it, in NumPy.

May import: tensors
"""
