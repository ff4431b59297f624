"""Tiny files in the layouts in which the public sets are published."""

from public_sets import save, yeast

__all__ = ["save", "yeast"]
