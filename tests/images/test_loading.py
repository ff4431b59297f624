"""Files, arrays and Images are taken alike."""

import re

import numpy as np
import pytest
import torch
import xarray
from PIL import Image as Pillow

from zooready.errors import InputInvalid
from zooready.images.files import write_image
from zooready.images.loading import as_grey, as_image, as_plane, empty, rounded
from zooready.images.tiff import RGB
from zooready.records import Image

PLANE = np.arange(12, dtype=np.uint16).reshape(3, 4)


def test_a_file_an_array_and_an_image_are_the_same_image(tmp_path):
    image = Image(array=PLANE, axes="yx", pixel_size_um=0.5)
    write_image(image, tmp_path / "a.tif")
    assert as_image(image) is image
    assert as_image(PLANE).axes == "yx"
    assert as_image(PLANE[None]).axes == "cyx"
    for path in (tmp_path / "a.tif", str(tmp_path / "a.tif")):
        loaded = as_image(path)
        assert (loaded.axes, loaded.pixel_size_um) == ("yx", pytest.approx(0.5))
        np.testing.assert_array_equal(loaded.array, PLANE)


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3, 4)])
def test_arrays_of_other_axes_are_refused_with_their_shape(shape):
    with pytest.raises(InputInvalid, match=r"an image of shape .*: give \(y, x\) or \(c, y, x\), or an Image that names its axes"):
        as_image(np.zeros(shape))


def test_a_mask_is_one_plane():
    np.testing.assert_array_equal(as_plane(PLANE), PLANE)
    with pytest.raises(InputInvalid, match="a mask or label image has axes 'cyx': give one plane of one channel"):
        as_plane(np.stack([PLANE, PLANE]))


class Wrapped:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


GIVEN = {
    "list": PLANE.tolist(),
    "tensor": torch.from_numpy(PLANE.astype(np.float32)),
    "tensor with gradients": torch.from_numpy(PLANE.astype(np.float32)).requires_grad_(),
    "__array__": Wrapped(PLANE),
    "xarray": xarray.DataArray(PLANE, dims=("y", "x")),
    "xarray turned": xarray.DataArray(PLANE.T, dims=("x", "y")),
    "xarray of other names": xarray.DataArray(PLANE, dims=("row", "column")),
    "xarray turned, in capitals": xarray.DataArray(PLANE.T, dims=("X", "Y")),
    "xarray with one more": xarray.DataArray(PLANE[None], dims=("batch", "y", "x")),
    "xarray without names": xarray.DataArray(PLANE),
    "Pillow": Pillow.fromarray(PLANE),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_arrays_of_other_libraries_are_images(kind):
    image = as_image(GIVEN[kind])
    assert (image.axes, image.array.tolist()) == ("yx", PLANE.tolist())


def test_axes_name_those_of_an_array():
    stack = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = as_image(stack, axes="cyxz")
    assert (image.axes, image.array.shape) == ("zcyx", (5, 2, 3, 4))
    assert np.array_equal(image.array, stack.transpose(3, 0, 1, 2))
    assert as_image(xarray.DataArray(stack, dims=tuple("tcyx"))).axes == "tcyx"
    with pytest.raises(InputInvalid, match=r"an image of shape \(2, 3, 4, 5\) with axes 'zyx': .* or axes, 4 different letters of 'tzcyx'"):
        as_image(stack, axes="zyx")


@pytest.mark.parametrize("given", [["text"], [["a", "b"]], [[1, 2], [3]], np.ones((3, 4), complex), object()])
def test_what_holds_no_numbers_is_refused(given):
    with pytest.raises(InputInvalid, match="an image of type"):
        as_image(given)


def test_grey_stored_in_colour_is_one_channel_and_colour_stays():
    grey = Image(array=np.stack([PLANE] * 3), axes="cyx", channels=RGB, pixel_size_um=0.2)
    assert (as_grey(grey).axes, as_grey(grey).channels, as_grey(grey).pixel_size_um) == ("yx", (), 0.2)
    assert np.array_equal(as_grey(grey).array, PLANE)
    colour = Image(array=np.stack([PLANE, PLANE, PLANE + 1]), axes="cyx", channels=RGB)
    assert as_grey(colour) is colour
    three = Image(array=np.stack([PLANE] * 3), axes="cyx", channels=("a", "b", "c"))
    assert as_grey(three) is three
    deep = Image(array=np.stack([np.stack([PLANE] * 3)] * 2), axes="zcyx", channels=RGB)
    assert (as_grey(deep).axes, as_grey(deep).array.shape) == ("zyx", (2, 3, 4))


def test_the_coordinates_of_an_xarray_name_its_channels():
    image = as_image(xarray.DataArray(np.stack([PLANE, 2 * PLANE]), dims=("Channel", "Y", "X"), coords={"Channel": ["GFP", "DAPI"]}))
    assert (image.axes, image.channels) == ("cyx", ("GFP", "DAPI"))
    assert as_image(xarray.DataArray(np.stack([PLANE, PLANE]), dims=("c", "y", "x"), coords={"c": [488, 405]})).channels == ()


def test_colour_of_pillow_is_three_named_channels():
    assert as_image(Pillow.fromarray(np.ones((3, 4, 3), np.uint8))).channels == RGB


UNUSABLE = {
    "dimensions": (xarray.DataArray(np.ones((2, 3, 4)), dims=("well", "y", "x")), r"dimensions .*: say what well is, by axes"),
    "masked": (np.ma.masked_greater(PLANE, 5), r"a masked array hides some of its pixels.*image.filled\(0\)"),
    "NaN": (np.where(PLANE == 5, np.nan, PLANE), "the image has 1 pixel of NaN or infinity, the first at y 1, x 1: .*nan_to_num"),
    "infinite": (Image(array=np.where(PLANE == 5, np.inf, PLANE), axes="yx"), "the image has 1 pixel of NaN or infinity"),
    "empty": (np.ones((0, 5)), r"the image has no pixels \(shape \(0, 5\)\)"),
    "without numbers": (torch.ones(3, 4, device="meta"), "an image of type Tensor cannot be made an array"),
    "axes of an Image": (Image(array=np.ones((2, 3, 4)), axes="yx"), r"an image of shape \(2, 3, 4\) with axes 'yx': give"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_arrays_that_networks_cannot_use_are_refused(kind):
    given, message = UNUSABLE[kind]
    with pytest.raises(InputInvalid, match=message):
        as_image(given)


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_an_array_that_looks_like_channels_last_needs_its_axes(samples):
    array = np.random.default_rng(0).integers(0, 9, (20, 30, samples))
    with pytest.raises(InputInvalid, match=rf"shape \(20, 30, {samples}\) looks like \(y, x, channels\), .* give axes='yxc'"):
        as_image(array)
    assert np.array_equal(as_image(array, axes="yxc").array, array.transpose(2, 0, 1))
    assert as_image(array, axes="cyx").array.shape == (20, 30, samples)
    assert as_image(array[:3]).array.shape == (3, 30, samples)


def test_axes_may_be_capitals():
    assert as_image(np.ones((2, 3, 4)), axes="ZYX").axes == "zyx"


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_whole_numbers_that_float32_does_not_hold_are_told(dtype):
    exact = np.array([[0, 2**24, 2**24 + 2, 2**25]], dtype)
    assert rounded(exact) == ""
    note = rounded(np.array([[0, 2**24 + 1, 2**25 + 2, 2**30 + 1]], dtype))
    assert note.startswith("3 of 4 pixels are whole numbers above 16,777,216 that float32 does not hold: they are rounded by up to 64")
    assert rounded(exact.astype(np.uint16)) == ""
    assert rounded(exact[:, :0]) == ""
    assert rounded(np.array([[np.iinfo(dtype).max]], dtype)).startswith("1 of 1 pixels")


@pytest.mark.parametrize(
    ("array", "note"),
    [
        (np.zeros((40, 40), np.uint16), "every pixel of the image is 0: there is nothing in it"),
        (np.arange(1600).reshape(40, 40) * 1e-16, "the pixels of the image differ by 2e-13 at most, .*: multiply them"),
        (np.indices((40, 40)).sum(0) % 2 * np.uint8(255), "every pixel of the image is 0 or 255, as in a mask"),
        (np.indices((40, 40)).sum(0) % 3, ""),
        (np.indices((40, 40)).sum(0) % 2 * 180 + 20, ""),
        (np.zeros((5, 7)), ""),
    ],
)
def test_an_image_with_nothing_in_it_and_a_mask_are_told(array, note):
    """A network makes something of both, and the first is taken for values of order one."""
    assert re.match(note, empty(array)) if note else not empty(array)


def test_what_differs_in_a_later_block_only_is_seen(monkeypatch):
    monkeypatch.setattr("zooready.images.mapped.BLOCK", 400)
    array = np.zeros((40, 40), np.uint8)
    array[30] = 255
    assert "is 0 or 255" in empty(array)
    array[35, 7] = 5
    assert empty(array) == ""
    array[35, 7], array[30], array[38] = 0, 9, 255
    assert empty(array) == ""


def test_negative_numbers_are_rounded_too():
    assert rounded(np.array([[-(2**24) - 1, 5]])).startswith("1 of 2 pixels")
