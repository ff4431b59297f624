"""Why a network gives an output: maps with a scale, and the numbers behind them.

In: an opened bundle and an image. Out: an Explained (values, titles, units, facts), and its files: a figure and a float32 TIFF for
each explanation, one JSON for all. ``attribution`` explains scores, ``restoration`` explains images, ``reblurring`` doubts restored
ones, ``checks`` tests explanations.

May import: images, simulate, bundle, prediction
"""

from zooready.explanation.attribution import integrated_gradients, occlusion
from zooready.explanation.checks import Share, completeness_error, randomised, rank_correlation, share_inside
from zooready.explanation.explaining import explain
from zooready.explanation.networks import Network, network_of
from zooready.explanation.reblurring import doubt
from zooready.explanation.restoration import effective_field, noise_of, noise_sensitivity, uncertainty
from zooready.explanation.results import Explained, Explanation
from zooready.explanation.saving import save

__all__ = [
    "Explained",
    "Explanation",
    "Network",
    "Share",
    "completeness_error",
    "doubt",
    "effective_field",
    "explain",
    "integrated_gradients",
    "network_of",
    "noise_of",
    "noise_sensitivity",
    "occlusion",
    "randomised",
    "rank_correlation",
    "save",
    "share_inside",
    "uncertainty",
]
