"""The card of the Deep-Z stack from one image; :mod:`zooready.evaluation.stacks` measures it."""

from __future__ import annotations

from functools import partial

from zooready.evaluation import refocusing, stacks
from zooready.evaluation.contract import Evaluation
from zooready.families import deepz

CHANGES: dict[str, dict[str, float]] = {
    "as trained (0.125 waves)": {},
    "aberration halved (0.06 waves)": {"aberration": 0.0625},
    "no aberration": {"aberration": 0.0},
    "aberration half as much again (0.19 waves)": {"aberration": 0.1875},
    "aberration of the other sign": {"aberration": -refocusing.NOMINAL},
    "a tenth of the light": {"photons": 0.1 * refocusing.PHOTONS},
}
EVALUATION = Evaluation(
    measure=partial(stacks.measure, refocusing.ONE, CHANGES),
    spot=partial(stacks.spot, refocusing.ONE),
    draw=partial(stacks.draw, refocusing.ONE),
    data=refocusing.DATA,
    suited=(
        f"One wide-field fluorescence image of an objective near 20x/0.75 with pixels of {deepz.PIXEL_UM:g} um, from a specimen "
        "within 5 um of "
        "the focus; best for sparse specimens, such as beads and neurites.",
    ),
    unsuited=refocusing.UNSUITED,
    limits=refocusing.LIMITS,
)
