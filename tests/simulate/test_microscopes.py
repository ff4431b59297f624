from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from zooready.simulate import fields, microscopes
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Haze, field
from zooready.simulate.optics import Optics
from zooready.simulate.specimens import filaments

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)


def test_microscopes_cover_the_range_evenly_in_the_logarithm():
    made = microscopes.microscopes()
    blurs = np.array([microscopes.blur_px(optics) for optics in made])
    assert (len(made), blurs[0], blurs[-1]) == (192, pytest.approx(4), pytest.approx(16))
    assert np.diff(np.log(blurs)) == pytest.approx(np.log(4) / 191)
    assert min(optics.na for optics in made) < 0.5
    assert max(optics.na for optics in made) > 1.25
    assert {optics.index for optics in made} == set(microscopes.INDICES)
    waves = [optics.zernike[0][2] for optics in made]
    assert (min(waves), max(waves)) == (pytest.approx(-0.2, abs=0.02), pytest.approx(0.2, abs=0.02))


def test_blur_is_that_of_the_formula():
    assert microscopes.blur_px(OPTICS) == pytest.approx(600 / (1.3 * 50))
    assert microscopes.blur_px(replace(OPTICS, pixel_size_um=0.1)) == pytest.approx(600 / (1.3 * 100))


def test_a_microscope_is_drawn_again_from_its_seed_and_differs_from_others():
    first, again, other = (microscopes.microscope(np.random.default_rng(seed), 6.0) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert microscopes.blur_px(first) == microscopes.blur_px(other) == pytest.approx(6)


def test_half_of_all_fields_have_haze_of_a_share_in_the_range():
    rng = np.random.default_rng(0)
    drawn = [microscopes.haze(rng, OPTICS) for _ in range(200)]
    shares = [haze.share for haze in drawn if haze]
    assert 70 < len(shares) < 130
    assert microscopes.HAZE[0] <= min(shares)
    assert max(shares) <= microscopes.HAZE[1]


def test_a_thick_specimen_keeps_its_light_and_spreads_it_sideways():
    emission = filaments(np.random.default_rng(1), 96)
    climbing = {climb: fields.thick(np.random.default_rng(2), emission, climb) for climb in (0.2, 2.0)}
    assert all(light.sum() == pytest.approx(emission.sum(), rel=0.03) for light in climbing.values())
    alike = [np.corrcoef(emission.ravel(), light.ravel())[0, 1] for light in climbing.values()]
    assert alike[0] > 0.99 > 0.95 > alike[1] > 0.5


def test_a_gaussian_takes_the_place_of_the_microscope():
    def image(gaussian_px):
        camera = Camera(gain=1.0, offset=0.0, read_noise=0.0)
        return field(
            np.random.default_rng(1), 64, filaments, optics=OPTICS, camera=camera, photons=1e6, background=0.0, gaussian_px=gaussian_px
        )

    sharp, soft, own = image(0.5), image(2.0), image(0.0)
    expected = ndimage.gaussian_filter(sharp.truth, 2.0)[16:-16, 16:-16]
    assert np.corrcoef(soft.image[16:-16, 16:-16].ravel(), expected.ravel())[0, 1] > 0.999
    assert np.corrcoef(sharp.image.ravel(), sharp.truth.ravel())[0, 1] > np.corrcoef(own.image.ravel(), own.truth.ravel())[0, 1]


def test_haze_adds_its_share_of_light_to_the_image_and_nothing_to_the_structure_of_the_truth():
    camera = Camera(gain=1.0, offset=100.0, read_noise=0.0)
    clear, hazy = (
        field(
            np.random.default_rng(1),
            128,
            filaments,
            optics=OPTICS,
            camera=camera,
            photons=1e4,
            background=0.0,
            haze=haze,
        )
        for haze in (None, Haze(heights_um=(-2.0, 2.0), share=1.0, turns=1))
    )
    assert np.corrcoef(clear.truth.ravel(), hazy.truth.ravel())[0, 1] == pytest.approx(1, abs=1e-6)
    light = (hazy.image.mean() - 100.0) / (hazy.truth.mean() - 100.0)
    assert light == pytest.approx(2, rel=0.3)  # as much light again, less what the margin keeps
    assert np.std(hazy.image) / np.ptp(hazy.truth) < np.std(clear.image) / np.ptp(clear.truth) * 1.2
