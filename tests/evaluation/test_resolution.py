import numpy as np
import pytest
from scipy import ndimage

from zooready.evaluation import resolution
from zooready.simulate.camera import Camera
from zooready.simulate.fields import Field
from zooready.simulate.optics import Optics

OPTICS = Optics(na=1.3, wavelength_nm=600.0, index=1.515, pixel_size_um=0.05)
SIGMA = 2.0  # px; 4.71 px wide at half maximum; two such spots show a dip beyond 4 px


def scene(rng, size, specimen):
    """A field without noise, blurred by a Gaussian."""
    image = ndimage.gaussian_filter(specimen(rng, size + 32), np.sqrt(SIGMA**2 - resolution.POINT_PX**2))[16:-16, 16:-16]
    return Field(image=(1e4 * image).astype(np.uint16), truth=image.astype(np.float32), optics=OPTICS, camera=Camera())


def spot(*places, sigma=SIGMA, size=41):
    rows, columns = np.mgrid[:size, :size]
    return sum(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)) for y, x in places)


@pytest.mark.parametrize("sigma", [1.0, 1.7, 3.0])
def test_the_width_of_a_gaussian_is_that_of_its_formula(sigma):
    at = np.array([20.3, 19.6])
    assert resolution.width_px(5 + spot(at, sigma=sigma), at) == pytest.approx(2.3548 * sigma, rel=0.03)


def test_a_point_that_is_not_there_has_no_width():
    assert np.isnan(resolution.width_px(np.ones((41, 41)), np.array([20.0, 20.0])))


@pytest.mark.parametrize(("apart", "resolved"), [(3.0, False), (4.0, False), (5.5, True), (9.0, True)])
def test_two_gaussians_are_resolved_from_where_their_sum_dips(apart, resolved):
    middle, along = np.array([20.2, 20.4]), np.array([0.6, 0.8])
    image = spot(middle - apart / 2 * along, middle + apart / 2 * along)
    assert resolution.is_resolved(image, middle, along, apart) is resolved


def test_peaks_at_the_wrong_places_do_not_count():
    middle, along = np.array([20.0, 20.0]), np.array([0.0, 1.0])
    beside = spot((20, 10), (20, 30), sigma=1.0)
    assert resolution.is_resolved(beside, middle, along, 20.0)
    assert not resolution.is_resolved(beside, middle, along, 8.0)


def test_one_point_of_a_pair_missing_is_not_resolved():
    assert not resolution.is_resolved(spot((20, 16)), np.array([20.0, 20.0]), np.array([0.0, 1.0]), 8.0)


def test_every_method_is_measured_at_every_distance_and_lone_points_do_not_split():
    def methods(field):
        return {"image": field.image, "blurred": ndimage.gaussian_filter(field.truth, 4.0)}

    settings = {"seed": 1, "fields": 1, "size": 128, "apart_nm": (200.0, 400.0), "pixel_nm": 50.0}
    rows = {row["method"]: row for row in resolution.measured(scene, methods, **settings)}
    assert rows["image"]["width of a point, nm"] == pytest.approx(2.3548 * SIGMA * 50, rel=0.03)
    assert rows["blurred"]["width of a point, nm"] == pytest.approx(2.3548 * np.hypot(SIGMA, 4) * 50, rel=0.05)
    assert (rows["image"]["two at 200 nm"], rows["image"]["two at 400 nm"]) == (0, 1)
    assert rows["blurred"]["two at 400 nm"] == 0
    assert {row["lone points split"] for row in rows.values()} == {0}


def test_pairs_are_as_far_apart_as_asked_and_made_again_from_the_numbers():
    first, again, other = (resolution.simulated(scene, 1, index, 128, 6.0) for index in (0, 0, 1))
    assert np.array_equal(first[0].image, again[0].image)
    assert not np.array_equal(first[0].image, other[0].image)
    assert np.linalg.norm(first[1][0] - first[1][1], axis=1) == pytest.approx(6.0)
    brightest = np.unravel_index(first[0].truth.argmax(), first[0].truth.shape)
    assert np.linalg.norm(first[1] - brightest, axis=-1).min() < 1
