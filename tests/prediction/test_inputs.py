"""An image's axes and channels are matched with a network's by name; what does not fit is refused with what to do."""

from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.images.files import read_image, write_image
from zooready.images.tiff import RGB
from zooready.prediction import as_input
from zooready.records import Image
from zooready.tensors import TensorSpec

GREY = TensorSpec(name="image", axes="bcyx", channels=("intensity",))
TWO = TensorSpec(name="image", axes="bcyx", channels=("dapi", "gfp"))
STACK = TensorSpec(name="image", axes="bczyx", channels=("intensity",))


def make_image(axes, shape, channels=(), dtype="uint16"):
    return Image(array=np.arange(np.prod(shape)).reshape(shape).astype(dtype), axes=axes, channels=channels)


@pytest.mark.parametrize(
    ("axes", "shape", "spec", "loop", "given"),
    [
        ("yx", (5, 7), GREY, "", (1, 1, 5, 7)),
        ("zyx", (3, 5, 7), GREY, "z", (1, 1, 5, 7)),
        ("tzcyx", (2, 3, 2, 5, 7), TWO, "tz", (1, 2, 5, 7)),
        ("zyx", (3, 5, 7), STACK, "", (1, 1, 3, 5, 7)),
        ("tzyx", (2, 3, 5, 7), STACK, "t", (1, 1, 3, 5, 7)),
        ("yx", (1, 1), GREY, "", (1, 1, 1, 1)),
    ],
)
def test_planes_that_a_network_does_not_take_at_once_come_one_by_one(axes, shape, spec, loop, given):
    source = make_image(axes, shape)
    inputs = as_input(source, spec)
    images = list(inputs)
    assert inputs.loop == loop
    assert len(images) == np.prod(inputs.lengths)
    assert all(image.shape == given and image.dtype == np.float32 and image.flags.c_contiguous for image in images)
    assert np.array_equal(np.concatenate(images).ravel(), source.array.ravel())


def test_channels_of_the_same_names_are_put_into_the_networks_order():
    source = make_image("cyx", (2, 5, 7), ("GFP", "DAPI"))
    assert np.array_equal(next(iter(as_input(source, TWO)))[0], source.array[::-1])


def test_channels_of_other_names_keep_their_order():
    source = make_image("cyx", (2, 5, 7), ("red one", "far red"))
    assert np.array_equal(next(iter(as_input(source, TWO)))[0], source.array)


@pytest.mark.parametrize("names", [("GFP", "membrane"), ("nuclei", "dapi"), ("dapi", "dapi")])
def test_a_channel_that_would_be_taken_for_another_of_the_networks_is_refused(names):
    with pytest.raises(InputInvalid, match=r"takes dapi, gfp: '(gfp|dapi)' would be taken for '(dapi|gfp)'. Name them"):
        as_input(make_image("cyx", (2, 5, 7), channels=names), TWO)


@pytest.mark.parametrize(("channel", "index"), [(1, 0), (2, 1), ("2", 1), ("GFP", 1), ("dapi", 0)])
def test_one_channel_is_picked_by_number_from_1_or_by_name(channel, index):
    source = make_image("cyx", (2, 5, 7), ("dapi", "gfp"))
    assert np.array_equal(next(iter(as_input(source, GREY, channel=channel)))[0, 0], source.array[index])


@pytest.mark.parametrize("channel", [0, 3, "0", "cy5", -1])
def test_a_channel_that_is_not_there_is_refused(channel):
    with pytest.raises(InputInvalid, match=rf"no channel {channel}: it has 2 \(dapi, gfp\). Give a channel from 1 to 2, or a name"):
        as_input(make_image("cyx", (2, 5, 7), ("dapi", "gfp")), GREY, channel=channel)


def test_of_one_channel_none_other_is_asked_for():
    with pytest.raises(InputInvalid, match=r"no channel 2: it has 1\. Leave channel out\."):
        as_input(make_image("yx", (5, 7)), GREY, channel=2)


@pytest.mark.parametrize("channel", [True, 1.5, np.float32(1), (1,)])
def test_a_channel_that_is_no_number_or_name_is_refused(channel):
    with pytest.raises(InputInvalid, match=r"is no channel: give its number, from 1, or its name"):
        as_input(make_image("cyx", (2, 5, 7)), GREY, channel=channel)


def test_picking_one_channel_for_a_network_of_two_is_refused():
    with pytest.raises(InputInvalid, match=r"channel 1 was asked for, but the network takes 2 channels \(dapi, gfp\): leave channel out"):
        as_input(make_image("cyx", (2, 5, 7)), TWO, channel=1)


def test_colour_where_grey_is_asked_for_is_refused_with_the_cure():
    with pytest.raises(InputInvalid, match=r"is in colour .* takes 1 channel \(intensity\): pick channel 'green', or convert it in Fiji"):
        as_input(make_image("cyx", (3, 5, 7), RGB), GREY)
    assert next(iter(as_input(make_image("cyx", (3, 5, 7), RGB), GREY, channel="green"))).shape == (1, 1, 5, 7)


@pytest.mark.parametrize(
    ("count", "spec", "match"),
    [
        (2, GREY, r"has 2 channels and the network takes 1 channel \(intensity\): pick channel 1 or 2\."),
        (6, GREY, r"has 6 channels and the network takes 1 channel \(intensity\): pick channel 1, \.\.\. or 6\."),
        (3, TWO, r"has 3 channels and the network takes 2 channels \(dapi, gfp\): put these channels into one image.*Merge Channels"),
    ],
)
def test_a_wrong_number_of_channels_says_what_the_network_wants(count, spec, match):
    with pytest.raises(InputInvalid, match=match):
        as_input(make_image("cyx", (count, 5, 7)), spec)


@pytest.mark.parametrize("axis", ["z", "t"])
def test_as_many_planes_as_the_network_has_channels_are_taken_with_other_axes(tmp_path, axis):
    planes = np.arange(70, dtype=np.float32).reshape(2, 5, 7)
    write_image(Image(array=planes, axes=f"{axis}yx"), tmp_path / "pair.tif")
    with pytest.raises(
        InputInvalid, match=r"has 1 channel and .* takes 2 .*: if its planes are these channels, give axes 'cyx'\."
    ) as error:
        as_input(read_image(tmp_path / "pair.tif"), TWO)
    assert "Merge" not in str(error.value)
    (given,) = as_input(read_image(tmp_path / "pair.tif", axes="cyx"), TWO)
    assert np.array_equal(given[0], planes)
    with pytest.raises(InputInvalid, match="Merge Channels"):
        as_input(make_image(f"{axis}yx", (3, 5, 7)), TWO)


def test_a_grey_image_for_a_network_of_two_channels_is_refused():
    with pytest.raises(InputInvalid, match="has 1 channel and the network takes 2"):
        as_input(make_image("yx", (5, 7)), TWO)


def test_a_single_plane_for_a_network_of_stacks_is_refused():
    with pytest.raises(InputInvalid, match="takes 'czyx' and the image has 'yx': give an image with an axis z"):
        as_input(make_image("yx", (5, 7)), STACK)


def test_a_stack_that_is_stored_as_time_is_refused_with_the_cure():
    with pytest.raises(InputInvalid, match=r"has 'tyx': if its frames are the planes of a stack, name its axes so \('zyx'\), or exchange"):
        as_input(make_image("tyx", (3, 5, 7)), STACK)


def test_a_stack_that_is_taken_for_channels_is_refused_with_the_cure():
    """As a person's array (z, y, x) is whose axes are not named."""
    with pytest.raises(InputInvalid, match=r"has 'cyx': if its channels are the planes of a stack, name its axes so \('zyx'\), or"):
        as_input(make_image("cyx", (3, 5, 7)), STACK)
    with pytest.raises(InputInvalid, match="has 'cyx': give an image with an axis z"):
        as_input(replace(make_image("cyx", (3, 5, 7)), channels=RGB), STACK)


def test_a_fixed_size_is_demanded():
    spec = TensorSpec(name="image", axes="bczyx", channels=("intensity",), sizes={"z": 7})
    with pytest.raises(InputInvalid, match="takes exactly 7 along z, and the image has 3: crop or pad it to 7"):
        as_input(make_image("zyx", (3, 5, 7)), spec)


def test_an_index_axis_is_refused():
    with pytest.raises(InputInvalid, match="has an axis i, which no image has"):
        as_input(make_image("yx", (5, 7)), TensorSpec(name="image", axes="bicyx", channels=("intensity",)))


def test_grey_stored_as_equal_colours_is_one_channel_and_colour_is_refused():
    plane = np.arange(35).reshape(5, 7)
    grey = Image(array=np.stack([plane] * 3), axes="cyx", channels=RGB)
    assert np.array_equal(next(iter(as_input(grey, GREY)))[0, 0], plane)
    with pytest.raises(InputInvalid, match="the image is in colour"):
        as_input(Image(array=np.stack([plane, plane, plane + 1]), axes="cyx", channels=RGB), GREY)
