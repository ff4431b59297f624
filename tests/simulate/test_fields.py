from dataclasses import replace

import numpy as np
import pytest

from zooready.simulate.camera import Camera
from zooready.simulate.fields import MARGIN_PX, field
from zooready.simulate.optics import Optics, blur
from zooready.simulate.specimens import filaments

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
SETTINGS = {"optics": OPTICS, "camera": Camera(gain=1.5), "photons": 400.0, "background": 6.0}


def simulated(**change):
    return field(np.random.default_rng(0), 64, filaments, **SETTINGS | change)


def test_truth_is_the_specimen_in_camera_counts():
    specimen = filaments(np.random.default_rng(0), 64 + 2 * MARGIN_PX)
    inner = (slice(MARGIN_PX, -MARGIN_PX),) * 2
    scale = 400 / blur(specimen, OPTICS)[inner].max()
    assert simulated().truth == pytest.approx(1.5 * (specimen[inner] * scale + 6) + 100, rel=1e-5)


def test_photons_are_those_of_the_brightest_blurred_pixel():
    brightest = np.mean([field(np.random.default_rng((1, i)), 64, filaments, **SETTINGS).image.max() for i in range(10)])
    assert brightest == pytest.approx(1.5 * 406 + 100, rel=0.1)


@pytest.mark.parametrize(
    "change",
    [{"optics": replace(OPTICS, na=1.0)}, {"camera": Camera(gain=1.0)}, {"photons": 200.0}, {"background": 1.0}],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_changes_the_image(change):
    assert not np.array_equal(simulated(**change).image, simulated().image)
