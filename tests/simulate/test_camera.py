from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.camera import Camera

CAMERA = Camera(gain=2.0, offset=100.0, read_noise=3.0, saturation=4095)
DIM = np.full((200, 200), 50.0)


def exposed(camera, photons=DIM, seed=0):
    return camera.exposed(photons, np.random.default_rng(seed)).astype(float)


def test_mean_and_variance_are_those_of_shot_and_read_noise():
    counts = exposed(CAMERA)
    assert counts.mean() == pytest.approx(2 * 50 + 100, abs=0.5)
    assert counts.var() == pytest.approx(4 * (50 + 9) + 1 / 12, rel=0.05)


def test_expected_counts_have_no_noise_and_no_limit():
    assert CAMERA.expected(np.array([0.0, 1e6])) == pytest.approx([100.0, 2e6 + 100])


def test_counts_saturate_and_stay_above_zero():
    assert exposed(CAMERA, np.full((8, 8), 1e5)).max() == 4095
    assert exposed(replace(CAMERA, offset=0.0), np.zeros((50, 50))).min() == 0


def test_one_seed_gives_one_image():
    assert np.array_equal(exposed(CAMERA), exposed(CAMERA))
    assert not np.array_equal(exposed(CAMERA), exposed(CAMERA, seed=1))


@pytest.mark.parametrize("change", [{"gain": 1.0}, {"offset": 0.0}, {"read_noise": 0.0}, {"saturation": 200}])
def test_every_parameter_changes_the_image(change):
    assert not np.array_equal(exposed(replace(CAMERA, **change)), exposed(CAMERA))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain": 0.0}, r"gain=0\.0: it must be positive"),
        ({"gain": np.inf}, r"gain=inf: it must be positive"),
        ({"gain": np.nan}, r"gain=nan: it must be positive"),
        ({"read_noise": np.nan}, r"read_noise=nan: it must be zero or more"),
        ({"offset": np.nan}, r"offset=nan with saturation=4095"),
        ({"read_noise": -1.0}, r"read_noise=-1\.0: it must be zero or more"),
        ({"offset": 5000.0}, r"offset=5000\.0 with saturation=4095: it must be at least 0 and below"),
        ({"saturation": 70000}, r"saturation=70000: .*16 bits"),
    ],
)
def test_impossible_cameras_are_refused(change, message):
    with pytest.raises(InputInvalid, match=message):
        replace(CAMERA, **change)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_impossible_photons_are_refused(value):
    with pytest.raises(InputInvalid, match=r"photons from .*: they must be finite and zero or more"):
        exposed(CAMERA, np.full((2, 2), value))
