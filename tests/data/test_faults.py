"""What a file of images may suffer from, told in words."""

import numpy as np
import pytest

from zooready.data.faults import notes_on, refuse, saturation, where_not_finite
from zooready.errors import InputInvalid


@pytest.mark.parametrize(
    ("dtype", "last", "share"),
    [
        ("uint8", 255, 0.25),
        ("uint16", 65535, 0.25),
        ("uint16", 4095, 0.25),
        ("uint16", 1023, 0.25),
        ("uint16", 4000, 0),
        ("float32", 255, 0),
    ],
)
def test_saturation_is_the_share_at_the_last_value_of_a_camera(dtype, last, share):
    array = np.full((4, 4), 100, dtype)
    array[0] = last
    assert saturation(array) == share


def test_a_saturated_image_is_noted_with_its_share_and_a_single_hot_pixel_is_not():
    array = np.random.default_rng(0).integers(100, 900, (100, 100)).astype(np.uint16)
    array[0, 0] = 65535
    assert notes_on(array, "yx", "a.tif") == []
    array[:5] = 65535
    (note,) = notes_on(array, "yx", "a.tif")
    assert note.startswith("a.tif is saturated: 5.0 % of its pixels are 65535, the camera's largest value")


def test_blank_images_and_blank_planes_are_noted():
    assert notes_on(np.full((1, 5, 5), 7), "cyx", "b.tif") == ["b.tif is blank: every pixel is 7."]
    stack = np.random.default_rng(0).integers(0, 9, (9, 5, 5))
    stack[[1, 7]] = 0
    assert notes_on(stack, "zyx", "c.tif") == ["c.tif has blank planes: 2, 8 of 9; they may be missing."]
    stack[:8] = 0
    assert notes_on(stack, "tyx", "c.tif") == ["c.tif has blank times: 1, 2, 3, 4, 5 and 3 more of 9; they may be missing."]


def test_a_blank_channel_is_noted():
    array = np.random.default_rng(0).integers(0, 9, (2, 5, 5))
    array[1] = 4
    assert notes_on(array, "cyx", "d.tif") == ["d.tif has blank channels: 2 of 2; they may be missing."]


def test_the_first_value_that_is_no_number_is_placed():
    array = np.zeros((4, 5), np.float32)
    assert where_not_finite(array) == (0, ())
    array[2, 3], array[3, 0] = np.nan, np.inf
    assert where_not_finite(array) == (2, (2, 3))
    assert where_not_finite(np.zeros((2, 2), np.uint8)) == (0, ())


def test_faults_come_in_one_message_and_many_are_counted(tmp_path):
    refuse(tmp_path, [])
    with pytest.raises(
        InputInvalid, match=r"(?s)cannot be trained on\. Repair or remove these files:\n  fault 0\n  fault 1\n.*fault 9\n  and 3 more$"
    ):
        refuse(tmp_path, [f"fault {n}" for n in range(13)])
