"""The judge of agreement: values by their range, labels by their objects, and what it says where they do not agree."""

import re

import numpy as np
import pytest

from zooready.images.agreement import agreement, label_fault, own_ranges_of, ranges_of, same_values, value_fault
from zooready.records import Case

IMAGE = [("restored", "image")]


def case_of(*outputs, name="odd"):
    return Case(name=name, input=np.zeros((1, 1, 2, 3), np.float32), outputs=outputs)


def ramp(factor=1.0):
    return (np.arange(6, dtype=np.float32) * np.float32(factor)).reshape(1, 1, 2, 3)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            ramp(2),
            r"'restored' of case 'odd' \(1, 1, 2, 3\) differs by 1 of its range at \(0, 0, 1, 2\), tolerance 0.01 \(83.3%",
        ),
        (ramp()[..., 1:], r"'restored' of case 'odd' \(1, 1, 2, 3\) has shape \(1, 1, 2, 2\) instead of \(1, 1, 2, 3\)"),
        (ramp().astype(np.float64), "is float64 instead of float32"),
        (ramp() * np.float32(np.nan), r"has 6 of 6 values that are NaN or infinite, the first at \(0, 0, 0, 0\)"),
    ],
)
def test_what_disagrees_is_told_with_the_output_and_the_case(output, message):
    case = case_of(ramp())
    _, why = agreement(case, [output], IMAGE, ranges_of(case), 0.01)
    assert re.search(message, why), why


def test_a_missing_output_is_told():
    case = case_of(ramp(), ramp())
    assert agreement(case, [ramp()], IMAGE * 2, ranges_of(case), 0.01) == (None, "1 output of case 'odd' (1, 1, 2, 3) instead of 2.")


def test_the_tolerance_decides_in_both_directions():
    case = case_of(ramp())
    off = ramp() + np.float32(0.005)  # a thousandth of the range
    assert agreement(case, [off], IMAGE, ranges_of(case), 2e-3)[1] == ""
    assert "tolerance 0.0005" in agreement(case, [off], IMAGE, ranges_of(case), 5e-4)[1]


def test_every_case_is_judged_by_the_range_of_the_test_pair():
    dim = case_of(ramp(0.001))
    assert agreement(dim, [ramp(0.002)], IMAGE, ranges_of(case_of(ramp())), 0.01)[1] == ""
    assert agreement(dim, [ramp(0.002)], IMAGE, own_ranges_of(dim), 0.01)[1] != ""


@pytest.mark.parametrize(
    ("outputs", "ranges"),
    [
        ((np.array([-100, 100], np.int8),), (200.0,)),
        ((np.array([False, True]),), (1.0,)),
        ((np.zeros((1, 0, 2), np.float32), np.full(3, 7.0, np.float32)), (1.0, 1.0)),
    ],
    ids=["int8", "bool", "empty and flat"],
)
def test_ranges_of_every_dtype_are_positive(outputs, ranges):
    assert ranges_of(case_of(*outputs)) == ranges


def test_labels_need_the_expected_dtype_and_no_tolerance():
    case = case_of(ramp())
    assert agreement(case, [ramp() * 3], [("labels", "labels")], ranges_of(case), 0.0) == (None, "")


def test_two_runs_agree_where_they_are_nan_at_the_same_positions():
    expected, other = np.array([1.0, np.nan, 3.0]), np.array([1.0, np.nan, 3.0001])
    assert same_values([expected], [other], 1e-4)
    assert not same_values([expected], [other], 1e-5)
    assert not same_values([expected], [np.array([1.0, 2.0, 3.0])], 1e-4)
    assert not same_values([expected], [expected, expected], 1e-4)
    assert not same_values([expected], [expected[None]], 1e-4)


@pytest.mark.parametrize(
    ("what", "expected", "off", "agrees"),
    [
        ("a 16-bit image, off by rounding", np.linspace(0, 65535, 640), 0.05, True),
        ("a 16-bit image, off by more", np.linspace(0, 65535, 640), 5.0, False),
        ("a dim image, off by a hundredth of its range", np.linspace(0, 1e-4, 640), 1e-6, False),
        ("a flat image, off by rounding", np.full(640, 3000.0), 1e-3, True),
        ("a black image", np.zeros(640), 1e-6, True),
    ],
)
def test_a_given_image_is_judged_by_its_own_intensities(what, expected, off, agrees):
    expected = expected.astype(np.float32).reshape(1, 2, 16, 20)
    case = Case(name="image", input=np.zeros((1, 1, 16, 20), np.float32), outputs=(expected,))
    difference, why = agreement(case, [expected + np.float32(off)], [("restored", "image")], own_ranges_of(case), 1e-5)
    assert (not why) == agrees, (what, difference, why)


def test_values_agree_by_difference_over_range():
    expected = np.array([0.0, 10.0], np.float32)
    assert value_fault(expected, expected + np.float32(1e-3), 10, 2e-4)[1] == ""
    difference, why = value_fault(expected, expected + np.float32(1e-3), 10, 1e-5)
    assert difference == pytest.approx(1e-4, rel=1e-2)
    assert "differs by 0.0001 of its range at (" in why


def labels(*squares, size=40):
    image = np.zeros((1, 1, size, size), np.float32)
    for name, (y, x, side) in enumerate(squares, 1):
        image[..., y : y + side, x : x + side] = name
    return image


def test_labels_agree_by_objects_whatever_their_numbers():
    first = labels((2, 2, 10), (20, 20, 15))
    second = labels((20, 20, 15), (2, 2, 10))
    assert (first != second).any()
    assert label_fault(first, second) == ""
    assert label_fault(labels(), labels()) == ""


def test_labels_whose_numbers_are_permuted_pixel_by_pixel_differ():
    expected = labels(*((10 * (k // 10), 10 * (k % 10), 8) for k in range(100)), size=100)
    permuted = expected.copy()
    permuted[expected > 0] = np.random.default_rng(0).permutation(expected[expected > 0])
    assert set(np.unique(permuted)) == set(np.unique(expected))
    assert "has 0.00% of its objects' pixels in common" in label_fault(expected, permuted)


def test_labels_differ_in_count_and_in_overlap():
    first = labels((2, 2, 10), (20, 20, 15))
    assert "has 1 object instead of 2" in label_fault(first, labels((2, 2, 10)))
    assert "of its objects' pixels in common" in label_fault(first, labels((2, 2, 10), (20, 21, 15)))
    assert "holds no labels" in label_fault(first, first + 0.5)


def test_a_pixel_in_a_thousand_may_change_sides():
    first = labels((0, 0, 40))
    second = first.copy()
    second[0, 0, 0, 0] = 0
    assert label_fault(first, second) == ""
    second[0, 0, 0, :2] = 0
    assert "of its objects' pixels" in label_fault(first, second)


def two_channels(large, small):
    """(1, 2, 16, 20) float32: two ramps of these ranges."""
    ramp = np.linspace(0, 1, 320).reshape(16, 20)
    return np.stack([ramp * large, ramp[::-1] * small])[None].astype(np.float32)


@pytest.mark.parametrize("judge", [ranges_of, own_ranges_of])
def test_a_small_channel_is_judged_by_its_own_range_and_not_by_a_large_one(judge):
    expected = two_channels(1000, 1)
    output = expected.copy()
    output[:, 1] *= 1.05
    case = case_of(expected)
    difference, why = agreement(case, [output], IMAGE, judge(case), 1e-5)
    assert difference == pytest.approx(0.05 / 100, rel=0.01)  # by a tenth of the large range, of which 1e-5 is what float32 rounds
    assert "differs by" in why
    assert agreement(case, [expected * np.float32(1 + 1e-6)], IMAGE, judge(case), 1e-5)[1] == ""
    assert not same_values([expected], [output], 1e-5)
    rounded = expected.copy()
    rounded[:, 1] += np.float32(9e-4)
    assert agreement(case, [rounded], IMAGE, judge(case), 1e-5)[1] == ""


def test_the_channels_of_other_orders_of_axes_are_judged_by_themselves_too():
    expected = np.moveaxis(two_channels(50, 1), 1, 3)
    case = case_of(expected)
    (ranges,) = ranges_of(case, ["byxc"])
    assert np.allclose(ranges, np.array([50, 1.0]))


@pytest.mark.parametrize(("value", "agrees"), [(3000.0, True), (1e6, True), (0.5, False)])
def test_the_rounding_of_an_almost_constant_output_is_no_difference(value, agrees):
    expected = np.full((1, 1, 16, 20), value, np.float32)
    expected[..., 0] += np.float32(value * 1e-5)  # varies by a hundred thousandth
    case = case_of(expected)
    off = expected + np.float32(4e-7 * value if agrees else 1e-3)
    assert (agreement(case, [off], IMAGE, ranges_of(case), 1e-5)[1] == "") == agrees
