"""Fixtures that several rooms share."""

from labelled_files import save, yeast

__all__ = ["save", "yeast"]
