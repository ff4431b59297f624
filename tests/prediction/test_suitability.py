"""An image that is not of the network's kind is told so in one sentence; one that is gets none."""

from dataclasses import replace

import numpy as np
import pytest

from zooready.cli import main
from zooready.errors import InputInvalid
from zooready.prediction import Inputs, memory, predict, suitability, whole
from zooready.prediction.suitability import unlike, why_unlike
from zooready.records import Image
from zooready.tensors import Objects

TRAINED = Objects(diameter_px=(4, 40), foreground=0.6, background=(0.0, 0.35))
NARROW = Objects(diameter_px=(20, 40), foreground=0.6, background=(0.0, 0.35))


def disks(width, count=3, size=128, bright=200.0, dark=20.0):
    """An image with ``count`` squared disks of this width, and their labels."""
    y, x = np.mgrid[:size, :size]
    image, labels = np.full((size, size), dark), np.zeros((size, size), np.int32)
    side = int(np.ceil(np.sqrt(count)))
    for number in range(count):
        centre = (np.array(divmod(number, side)) + 0.5) * size / side
        inside = np.hypot(y - centre[0], x - centre[1]) <= width / 2
        image[inside], labels[inside] = bright, number + 1
    return image, labels


def test_an_image_of_the_networks_kind_gets_no_line():
    for width in (6, 15, 30):
        assert why_unlike(*disks(width), TRAINED) == ""


@pytest.mark.parametrize(
    ("image", "labels", "words"),
    [
        (np.full((64, 64), 7.0), np.zeros((64, 64)), "no object was found, and the network was trained on objects 4 to 40 px wide: if"),
        (255 - disks(20)[0], disks(20)[1], "the background is bright, and the network was trained on dark ones: invert the image"),
        (255 - disks(20)[0], np.zeros((128, 128)), "the background is bright, and the network was trained on dark ones: invert the image"),
        (np.tile([0.0, 50, 50, 50, 100], (60, 12)), np.eye(60), "the background is at 50% of the range of grey values, as in bright field"),
        (disks(110, 1)[0], disks(110, 1)[1], "what was found is about 110 px wide, and the network was trained on objects 4 to 40 px wide"),
        (disks(3, 9)[0], disks(3, 9)[1], "what was found is about 3 px wide"),
        (
            disks(20)[0],
            np.ones((128, 128)),
            "100% of the image were taken for objects, and the network was trained on images with up to 60%",
        ),
    ],
)
def test_another_kind_of_image_is_named_with_the_cure(image, labels, words):
    assert why_unlike(image, labels, TRAINED).startswith(words)


def test_the_size_is_that_of_the_image_that_the_network_saw():
    image, labels = disks(3, 9)
    assert why_unlike(image, labels, TRAINED, zoom=4.0) == ""
    assert "about 3 px wide" in why_unlike(image, labels, TRAINED, zoom=1.0)


def test_objects_that_come_out_in_pieces_are_found_in_a_smaller_copy():
    image, whole = disks(90, 1, size=256)
    pieces = np.where(whole, (np.arange(256) // 8 % 2)[:, None] * (np.arange(256) // 8 + 1)[None], 0)
    inputs = Inputs(array=image[None].astype(np.float32), loop="")

    def find(smaller):
        return (smaller > 100).astype(np.float32)

    (line,) = unlike(inputs, pieces[None], TRAINED, 1.0, find)
    assert line.startswith("objects look about 9")
    assert "trained on objects 4 to 40 px wide: give their diameter" in line
    assert unlike(inputs, pieces[None], NARROW, 1.0, find) == []  # cannot be relied on for a copy four times smaller
    few = np.where(np.arange(256) < 120, pieces, 0) * (np.arange(256)[:, None] < 120)
    assert unlike(inputs, few[None], TRAINED, 1.0, find) == []  # most of it is background that was taken for an object


def test_of_a_stack_the_plane_with_most_objects_is_judged():
    (good, labels), empty = disks(20), np.full((128, 128), 20.0)
    inputs = Inputs(array=np.stack([empty, good, empty])[:, None].astype(np.float32), loop="z")
    found = np.stack([labels * 0, labels, labels * 0])[:, None]
    assert unlike(inputs, found, TRAINED, 1.0, lambda image: image * 0) == []
    assert unlike(inputs, found * 0, TRAINED, 1.0, lambda image: image * 0) != []


def test_of_an_image_in_tiles_the_middle_is_judged(monkeypatch):
    monkeypatch.setattr(suitability, "MIDDLE_PX", 64)
    image, labels = disks(30, 1)
    image[:20], labels[:20] = 255, 9
    inputs = Inputs(array=image[None].astype(np.float32), loop="")
    assert unlike(inputs, labels[None], TRAINED, 1.0, None) == []
    assert unlike(inputs, np.zeros_like(labels)[None], TRAINED, 1.0, None) != []


STATED = {"diameter_px": [4, 40], "foreground": 0.6, "background": [0, 0.35]}


def bundle_of(tiny, **facts):
    outputs = [{"id": "labels", "kind": "labels"}]
    return tiny("labels", config={"zooready": {"outputs": outputs, "objects": STATED, **facts}})


def test_a_bundle_that_states_its_objects_says_so_of_other_images_only(tiny):
    good = Image(array=disks(20, 1)[0].astype(np.float32), axes="yx")
    assert predict(bundle_of(tiny), good).notes == ()
    constant = Image(array=np.full((64, 64), 20, np.uint8), axes="yx")
    first, line = predict(bundle_of(tiny), constant).notes
    assert first.startswith("every pixel of the image is 20: there is nothing in it")
    assert line.startswith("no object was found")
    assert predict(tiny("labels"), constant).notes == (first,)


# Sizes that a person gives


def test_a_diameter_brings_objects_to_the_middle_of_the_range_and_labels_come_back_at_the_images_size(tiny, seen):
    image, truth = disks(60, 1)
    result = predict(bundle_of(tiny), Image(array=image.astype(np.float32), axes="yx", pixel_size_um=0.1), diameter=60)
    assert seen[0][-2:] == (27, 27)  # sqrt(4 * 40) / 60 * 128
    labels = result.images["labels"]
    assert (labels.array.shape, labels.pixel_size_um, result.notes) == ((128, 128), 0.1, ())
    assert np.mean((labels.array > 0) != (truth > 0)) < 0.03


def test_a_pixel_size_that_is_stated_counts_more_than_that_of_the_file(tiny, seen):
    image = Image(array=disks(20)[0].astype(np.float32), axes="yx", pixel_size_um=5.0)
    bundle = bundle_of(tiny, pixel_size_um=[0.4, 0.9])
    result = predict(bundle, image, pixel_size=0.3)
    assert seen[0][-2:] == (64, 64)
    assert (result.images["labels"].pixel_size_um, result.images["labels"].array.shape) == (0.3, (128, 128))
    assert predict(bundle, image, pixel_size=0.5).images["labels"].pixel_size_um == 0.5
    assert seen[1][-2:] == (128, 128)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"pixel_size": "big"}, "a pixel size of 'big' is not known: give the side of the image's pixels in µm, such as 0.26, or 'auto'"),
        ({"pixel_size": -1.0}, "a pixel size of -1.0 is not known"),
        ({"pixel_size": True}, "a pixel size of True is not known"),
        ({"pixel_size": (0.3, 0.3)}, "a pixel size of .0.3, 0.3. is not known"),
        ({"diameter": 0.0}, "a diameter of 0.0: give the width of a typical object in this image, px"),
        ({"diameter": "wide"}, "a diameter of 'wide': give the width of a typical object in this image, px"),
        ({"diameter": True}, "a diameter of True: give the width"),
        ({"na": "big", "wavelength_nm": 520.0}, "an NA of 'big' and a wavelength of 520.0 nm: give the numerical aperture"),
        ({"na": True, "wavelength_nm": 520.0}, "an NA of True and a wavelength of 520.0 nm: give the numerical aperture"),
        ({"diameter": 0.01}, "a diameter of 0.01 px: the image would be scaled by 1.26e.03, and 32 times is the most"),
    ],
)
def test_sizes_that_are_none_are_refused(tiny, size, message):
    with pytest.raises(InputInvalid, match=message):
        predict(bundle_of(tiny), Image(array=disks(20)[0].astype(np.float32), axes="yx"), **size)


def test_a_diameter_needs_a_bundle_that_states_its_objects(tiny):
    with pytest.raises(InputInvalid, match=r"a diameter of 30 px: tiny.zip does not state the size of the objects it was trained on"):
        predict(tiny("labels"), Image(array=disks(20)[0].astype(np.float32), axes="yx"), diameter=30)


@pytest.mark.parametrize(("pixel_size", "factor"), [(260.0, "433"), (1e-9, "1.67e.09")])
def test_a_pixel_size_that_is_a_slip_of_the_pen_is_refused(tiny, pixel_size, factor):
    image = Image(array=disks(20)[0].astype(np.float32), axes="yx", pixel_size_um=pixel_size)
    for size in (pixel_size, "auto"):
        with pytest.raises(InputInvalid, match=rf"pixels of {pixel_size:g} µm: the image would be scaled by {factor}, .* 0.26 for 260 nm"):
            predict(bundle_of(tiny, pixel_size_um=[0.4, 0.9]), image, pixel_size=size)


def test_an_image_is_not_scaled_to_what_memory_cannot_hold(tiny, monkeypatch):
    def forbidden(*args, **more):
        raise AssertionError("it was scaled all the same")

    monkeypatch.setattr(memory, "available_bytes", lambda: 10**6)
    monkeypatch.setattr(whole, "resampled", forbidden)
    image = Image(array=disks(20)[0].astype(np.float32), axes="yx")
    with pytest.raises(InputInvalid, match=r"128 x 128 px would be scaled to 810 x 810 px, which needs 0.0 GB .* check the size of its"):
        predict(bundle_of(tiny), image, diameter=2)


def test_a_stack_of_enlarged_planes_is_not_begun_if_memory_cannot_hold_all_of_them(tiny, monkeypatch):
    bundle = tiny("restored", pixel_size_um=[0.2, 0.2], restores=True)
    stack = Image(array=np.full((50, 20, 20), 7, np.float32), axes="zyx", pixel_size_um=0.8)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * 10**6)  # one plane takes 77 kB, all of them 3.8 MB
    assert predict(bundle, replace(stack, array=stack.array[:2]), pixel_size="auto").images["restored"].array.shape == (2, 80, 80)
    with pytest.raises(InputInvalid, match=r"an image of 50 planes of 20 x 20 px would be scaled to 80 x 80 px, which needs"):
        predict(bundle, stack, pixel_size="auto")


@pytest.mark.parametrize("given", [("--pixel-size", "wide"), ("--pixel-size", "0"), ("--diameter", "-3"), ("--diameter", "auto")])
def test_the_command_line_takes_numbers_above_0(given, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "segmentation", "image.tif", "-o", "out", *given])
    assert "is no number above 0" in capsys.readouterr().err
