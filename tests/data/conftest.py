"""Fixtures that several rooms share."""

from labelled_files import own, save, yeast

__all__ = ["own", "save", "yeast"]
