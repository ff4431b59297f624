from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.across import across
from zooready.simulate.camera import Camera
from zooready.simulate.modalities import STED, Confocal
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import filaments
from zooready.simulate.stages import Microscope, transfer

OPTICS = Optics(na=1.05, wavelength_nm=670.0, index=1.515, pixel_size_um=0.03)
CAMERA = Camera(gain=2.0, offset=70.0, read_noise=0.0)
SEEN = Microscope(optics=OPTICS, modality=Confocal(), camera=CAMERA)
SHOWN = Microscope(optics=OPTICS, modality=STED())


def dot(rng, size):
    image = np.zeros((size, size))
    image[size // 2, size // 2] = 1
    return image


def simulated(specimen=dot, seen=SEEN, shown=SHOWN, photons=1e4, background=5.0):
    return across(np.random.default_rng(0), 65, specimen, seen=seen, shown=shown, photons=photons, background=background)


def test_the_image_is_one_microscopes_and_the_truth_the_others():
    field = simulated()
    for image, microscope in ((field.image, SEEN), (field.truth, SHOWN)):
        light = (image - CAMERA.offset) / CAMERA.gain - 5.0
        spread = microscope.modality.psf(microscope.optics, (97, 97))[16:-16, 16:-16]
        assert light / light.max() == pytest.approx(spread / spread.max(), abs=0.05)
    assert field.image.max() == pytest.approx(CAMERA.expected(np.array(1e4 + 5.0)), rel=0.05)
    assert field.truth.max() > 3 * field.image.max(), "the same light on a smaller spot"


def test_image_and_truth_have_one_offset_gain_and_background():
    field = simulated(filaments, photons=1e4)
    assert field.truth.min() >= CAMERA.expected(np.array(5.0)) - 1e-3
    assert field.truth.mean() == pytest.approx(field.image.mean(), rel=0.05)
    brighter = simulated(filaments, seen=replace(SEEN, camera=Camera(gain=4.0, offset=70.0, read_noise=0.0)))
    assert brighter.truth - 70 == pytest.approx(2 * (field.truth - 70), rel=1e-4)


def test_the_field_knows_the_microscope_that_took_it():
    field = simulated()
    assert (field.optics, field.modality, field.camera) == (OPTICS, SEEN.modality, CAMERA)
    assert transfer(field.modality, field.optics, (65, 65))[0, 0] == pytest.approx(1)


def test_a_sharper_microscope_has_a_sharper_truth():
    truths = [simulated(shown=replace(SHOWN, modality=STED(saturation=saturation))).truth.max() for saturation in (1.0, 5.0, 20.0)]
    assert truths[0] < truths[1] < truths[2]


def test_pixels_too_large_for_the_sharper_microscope_are_refused():
    coarse = replace(OPTICS, pixel_size_um=0.07)
    with pytest.raises(InputInvalid, match="above the Nyquist limit.*of STED"):
        simulated(seen=replace(SEEN, optics=coarse), shown=replace(SHOWN, optics=coarse))
