"""Files, arrays and Images are taken alike."""

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.images.files import write_image
from zooready.images.loading import as_image, as_plane
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
