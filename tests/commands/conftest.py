"""Fixtures that several rooms share."""

from classifier_bundles import bundles, open_bundle, three, weights
from labelled_files import labelled_folder, save, yeast

__all__ = ["bundles", "labelled_folder", "open_bundle", "save", "three", "weights", "yeast"]
