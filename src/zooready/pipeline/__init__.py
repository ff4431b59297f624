"""The things that zooready does, as plain functions. The command line calls these and prints.

In: what a person asked for. Out: what came of it. ``making`` trains and exports, ``using`` runs bundles, ``looking``
examines data, ``studying`` repeats a paper's protocol.

May import: about, pictures, data, bundle, families, cards, training, exporting, comparison, prediction, installing
"""

from zooready.pipeline.looking import Examined, examined
from zooready.pipeline.making import about_of, export_trained, for_classes, named, provenance_of, train
from zooready.pipeline.studying import COLUMNS, Row, protocol
from zooready.pipeline.using import as_picture, check, install, predict, predict_files

__all__ = [
    "COLUMNS",
    "Examined",
    "Row",
    "about_of",
    "as_picture",
    "check",
    "examined",
    "export_trained",
    "for_classes",
    "install",
    "named",
    "predict",
    "predict_files",
    "protocol",
    "provenance_of",
    "train",
]
