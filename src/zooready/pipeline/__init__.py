"""The things that zooready does, as plain functions. The command line calls these and prints.

In: what a person asked for. Out: what came of it. ``making`` trains and exports, ``using`` runs bundles, ``looking``
examines data, ``studying`` repeats a paper's protocol, ``simulating`` and ``showing`` write simulated
images, ``asking`` explains and measures, ``judging`` writes cards.

May import: images, data, training, families, bundle, exporting, comparison, prediction, explanation, measurement, evaluation, installing
"""  # noqa: E501 - the rooms stand in one line

from zooready.data.gallery import gallery
from zooready.data.simulated import Simulated, simulate
from zooready.evaluation.protocols import COLUMNS, Row, protocol
from zooready.families import for_classes, named
from zooready.pipeline.asking import explain, measure
from zooready.pipeline.judging import evaluate
from zooready.pipeline.looking import Examined, examined
from zooready.pipeline.making import about_of, export_trained, provenance_of, train
from zooready.pipeline.using import as_image, check, install, predict, predict_files

__all__ = [
    "COLUMNS",
    "Examined",
    "Row",
    "Simulated",
    "about_of",
    "as_image",
    "check",
    "evaluate",
    "examined",
    "explain",
    "export_trained",
    "for_classes",
    "gallery",
    "install",
    "measure",
    "named",
    "predict",
    "predict_files",
    "protocol",
    "provenance_of",
    "simulate",
    "train",
]
