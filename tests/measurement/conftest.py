"""Fixtures that several rooms share."""

from classifier_bundles import bundles, open_bundle, three, weights

__all__ = ["bundles", "open_bundle", "three", "weights"]
