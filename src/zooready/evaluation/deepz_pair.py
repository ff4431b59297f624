"""The card of the Deep-Z stack from two planes; :mod:`zooready.evaluation.stacks` measures it."""

from __future__ import annotations

from functools import partial

from zooready.evaluation import refocusing, stacks
from zooready.evaluation.contract import Evaluation
from zooready.families import deepz, deepz_pair

CHANGES: dict[str, dict[str, float]] = {
    "no aberration": {},
    "0.125 waves of aberration": {"aberration": 0.125},
    "aberration of the other sign": {"aberration": -0.125},
    "aberration beyond the training's (0.19 waves)": {"aberration": 0.1875},
    "a tenth of the light": {"photons": 0.1 * refocusing.PHOTONS},
}
EVALUATION = Evaluation(
    measure=partial(stacks.measure, refocusing.TWO, CHANGES),
    spot=partial(stacks.spot, refocusing.TWO),
    draw=partial(stacks.draw, refocusing.TWO),
    data=refocusing.DATA,
    suited=(
        f"Two wide-field fluorescence images {deepz_pair.APART_UM:g} um apart of an objective near 20x/0.75 with pixels of "
        f"{deepz.PIXEL_UM:g} um, recorded one right after the other, with the specimen within 5 um of the middle between them; with "
        "spherical aberration or without.",
    ),
    unsuited=(refocusing.UNSUITED[0], *refocusing.UNSUITED[-2:]),
    limits=(
        f"Point spread function: wide-field, NA 0.75, emission 600 nm, index 1.33, {deepz_pair.ABERRATION[0]:g} to "
        f"{deepz_pair.ABERRATION[-1]:g} waves rms of primary spherical aberration.",
        f"The two planes must be {deepz_pair.APART_UM:g} um apart, the one focused deeper second: the other way round the stack comes out "
        "upside down. Neither motion between them nor bleaching was simulated.",
        *(limit for limit in refocusing.LIMITS[1:] if not limit.startswith("Sign test")),
    ),
)
