"""The things that zooready does, as plain functions. The command line calls these and prints.

In: what a person asked for. Out: what came of it. ``making`` trains and exports, ``using`` runs bundles.

May import: about, pictures, bundle, families, cards, training, exporting, comparison, prediction, installing
"""

from zooready.pipeline.making import about_of, export_trained, named, provenance_of, train
from zooready.pipeline.using import as_picture, check, install, predict, predict_files

__all__ = [
    "about_of",
    "as_picture",
    "check",
    "export_trained",
    "install",
    "named",
    "predict",
    "predict_files",
    "provenance_of",
    "train",
]
