"""Bundle and image become an image: axes and channels matched by name, pixel size respected, calibration kept.

Comes in: an opened Bundle and an Image. Goes out: a Prediction (images, score tables, notes), and its files.

May import: processes, nets, images, formats, bundle, consumers
"""

from zooready.prediction.embedding import load
from zooready.prediction.inputs import Inputs, as_input
from zooready.prediction.output import save, save_one
from zooready.prediction.parts import resumable
from zooready.prediction.scaling import sized
from zooready.prediction.sessions import engine, network
from zooready.prediction.spreading import cluster
from zooready.prediction.whole import Prediction, Scores, predict

__all__ = [
    "Inputs",
    "Prediction",
    "Scores",
    "as_input",
    "cluster",
    "engine",
    "load",
    "network",
    "predict",
    "resumable",
    "save",
    "save_one",
    "sized",
]
