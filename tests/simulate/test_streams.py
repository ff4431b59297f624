"""What a seed gives stays what it was: the records of shipped weights name their data by seed alone."""

import hashlib

import numpy as np
import pytest

from zooready.families import mrbcr
from zooready.simulate import monolayer
from zooready.simulate.camera import Camera
from zooready.simulate.fields import field
from zooready.simulate.specimens import filaments


def digest(*arrays):
    """Of the values alone; whole counts, and truth to a thousandth of a count, so that another processor's last bit does not matter."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.rint(1000.0 * array.astype(np.float64)).astype(np.int64).tobytes())
    return total.hexdigest()[:16]


def of_pairs():
    pairs = [mrbcr.pair(7, index) for index in range(16)]
    return [array for pair in pairs for array in (pair.input, pair.target)]


def of_scene():
    field_of_view = mrbcr.scene(np.random.default_rng(5), 64, mrbcr.sample_specimen)
    return field_of_view.image, field_of_view.truth


def of_sample():
    return (mrbcr.sample().array,)


def of_field():
    field_of_view = field(np.random.default_rng(3), 64, filaments, optics=mrbcr.OPTICS, camera=Camera(), photons=200.0, background=4.0)
    return field_of_view.image, field_of_view.truth


def of_nuclei():
    return monolayer.field(np.random.default_rng(11), 128)


EXPECTED = {
    of_pairs: "a9944a0a9f4d1f22",
    of_scene: "adcc034b82b91354",
    of_sample: "57eef94203d7b2bd",
    of_field: "0bfd9ddfb661bfa6",
    of_nuclei: "496cc079e318944f",
}


@pytest.mark.parametrize("arrays", EXPECTED, ids=lambda arrays: arrays.__name__)
def test_a_seed_gives_what_it_always_gave(arrays):
    assert digest(*arrays()) == EXPECTED[arrays]
