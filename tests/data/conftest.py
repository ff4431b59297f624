"""Fixtures that several rooms share."""

from labelled_files import labelled_folder, save, yeast

__all__ = ["labelled_folder", "save", "yeast"]
