"""Fixtures that several rooms share."""

from classifier_bundles import bundles, open_bundle, three, weights
from labelled_files import own, save, yeast

__all__ = ["bundles", "open_bundle", "own", "save", "three", "weights", "yeast"]
