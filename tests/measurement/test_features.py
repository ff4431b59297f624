"""Classical measurements of one object against closed forms and against mahotas: what changes a number, and what must not."""

import importlib.util

import mahotas
import numpy as np
import pytest
from skimage.measure import regionprops

from zooready.errors import ConsumerMissing, InputInvalid
from zooready.measurement import features
from zooready.measurement.features import measurements

RNG = np.random.default_rng(0)
NOISE = RNG.poisson(20, (48, 60)).astype(np.uint16)
Y, X = np.mgrid[:48, :60]
DISC = np.hypot(Y - 20, X - 30) < 12
SMALL = [(1, 1), (1, 7), (2, 2), (3, 3), (9, 1)]


def test_names_are_always_the_same_and_values_are_finite():
    images = [NOISE, np.zeros((9, 9)), np.full((8, 20), 7.0), DISC * 100, -NOISE.astype(float), NOISE * 1000.0]
    images += [np.full(size, 8.0) for size in SMALL] + [np.arange(size[0] * size[1], dtype=float).reshape(size) for size in SMALL]
    measured = [measurements(image) for image in images] + [measurements(NOISE, DISC), measurements(NOISE, (Y == 3) & (X == 4))]
    assert len({tuple(by_name) for by_name in measured}) == 1
    assert len(measured[0]) == 211
    assert all(np.isfinite(list(by_name.values())).all() for by_name in measured)


def test_intensities_are_those_of_the_masks_pixels():
    values = measurements(NOISE, DISC)
    assert values["intensity_mean"] == pytest.approx(NOISE[DISC].mean())
    assert values["intensity_sum"] == NOISE[DISC].sum()
    assert values["intensity_std"] == pytest.approx(NOISE[DISC].std())
    assert values["intensity_p90"] == pytest.approx(np.percentile(NOISE[DISC], 90))


def test_what_lies_outside_the_object_and_where_the_object_lies_changes_nothing():
    values = measurements(NOISE, DISC)
    changed = np.where(DISC, NOISE, 5000)
    assert measurements(changed, DISC * 7) == values
    assert measurements(np.pad(changed, 9), np.pad(DISC, 9)) == pytest.approx(values)
    gone = np.where(DISC, NOISE, np.nan)
    assert measurements(gone, DISC) == values


def test_skewness_of_a_lone_bright_pixel_is_the_closed_form():
    image = np.zeros((8, 10))
    image[1, 1] = 1
    p = 1 / 80
    assert measurements(image)["intensity_skewness"] == pytest.approx((1 - 2 * p) / np.sqrt(p * (1 - p)))


def test_shape_is_that_of_the_mask_or_of_what_is_bright():
    (disc,) = regionprops(DISC.astype(np.uint8))
    for values in (measurements(NOISE, DISC), measurements(10 + 90 * DISC)):
        assert values["shape_area_px2"] == DISC.sum()
        assert values["shape_axis_major_px"] == pytest.approx(2 * 12, rel=0.03)
        assert values["shape_eccentricity"] == pytest.approx(disc.eccentricity)
        assert values["shape_roundness"] == pytest.approx(1, abs=0.12)
        assert values["shape_solidity"] > 0.95


def test_only_intensities_know_the_units():
    bright, plain = measurements(3.0 * NOISE), measurements(NOISE)
    for name, value in plain.items():
        if name.startswith("intensity") and name not in ("intensity_skewness", "intensity_kurtosis"):
            assert bright[name] == pytest.approx(3 * value)
        else:
            assert bright[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_parts_are_counted_and_measured():
    image = np.zeros((40, 40))
    image[5:10, 5:10] = image[20:30, 20:24] = 1
    values = measurements(image)
    assert (values["parts_count"], values["parts_area_max_px2"], values["parts_area_mean_px2"]) == (2, 40, 32.5)
    assert values["parts_largest_share"] == pytest.approx(40 / 65)
    assert values["parts_area_share"] == pytest.approx(65 / 1600)
    assert values["parts_light_share"] == pytest.approx(1)


def test_texture_is_that_of_mahotas():
    values = measurements(NOISE)
    grey = features.levels(NOISE, np.ones(NOISE.shape, bool))
    assert (grey.min(), grey.max()) == (1, 255)
    pftas, lbp = mahotas.features.pftas(grey), mahotas.features.lbp(grey, 1, 8)
    assert [value for name, value in values.items() if name.startswith("adjacency")] == pytest.approx(list(pftas))
    assert [value for name, value in values.items() if name.startswith("lbp1")] == pytest.approx(list(lbp / lbp.sum()))


def test_haralick_tells_fine_from_coarse_texture():
    fine = RNG.normal(size=(64, 64))
    coarse = np.kron(RNG.normal(size=(16, 16)), np.ones((4, 4)))
    assert measurements(fine)["haralick1_contrast"] > 2 * measurements(coarse)["haralick1_contrast"]
    assert measurements(coarse)["haralick1_correlation"] > 0.5 > abs(measurements(fine)["haralick1_correlation"])
    assert measurements(coarse)["haralick3_correlation"] < measurements(coarse)["haralick1_correlation"]


def test_stripes_have_a_direction_and_noise_has_none():
    stripes = np.tile(np.arange(40) % 4 < 2, (48, 1)) * 100
    assert measurements(stripes)["haralick1_contrast_range"] > 1000
    assert measurements(NOISE)["haralick1_contrast_range"] < 200


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((3, 9, 9)), None, r"an image of shape \(3, 9, 9\) cannot be measured: give one channel of one plane"),
        (np.zeros((0, 9)), None, r"an image of shape \(0, 9\)"),
        (np.full((9, 9), np.nan), None, "the object has 81 pixels of NaN or infinity"),
        (np.zeros((9, 9)), np.zeros((9, 9), bool), r"the mask \(9, 9\) with 0 px"),
        (np.zeros((9, 9)), np.ones((9, 8), bool), r"the mask \(9, 8\) with 72 px does not fit the image \(9, 9\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(image, mask, message):
    with pytest.raises(InputInvalid, match=message):
        measurements(image, mask)


def test_without_mahotas_the_cure_is_told(monkeypatch):
    monkeypatch.setattr(features, "find_spec", lambda name: None if name == "mahotas" else importlib.util.find_spec(name))
    with pytest.raises(ConsumerMissing, match=r"pip install 'zooready\[explain\]'"):
        measurements(NOISE)
