"""Tiny networks whose answer is known by arithmetic: values, axes, calibration, notes and files of a prediction."""

import errno
import os
import re
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zooready.bundle.reading import opened
from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.images import whole_files
from zooready.images.files import read_image, write_image
from zooready.prediction import Prediction, Scores, memory, predict, save, whole
from zooready.records import Image
from zooready.tensors import Architecture, StatedWeights

RNG = np.random.default_rng(0)


def make_image(axes="yx", shape=(5, 7), dtype="uint16", **facts):
    return Image(array=RNG.integers(0, 250, shape).astype(dtype), axes=axes, **facts)


# Values and axes


def test_options_that_do_not_exist_are_refused(tiny):
    with pytest.raises(InputInvalid, match="a pixel size of 'big' is not known: give the side of the image's pixels in µm"):
        predict(tiny("restored"), make_image(), pixel_size="big")
    with pytest.raises(InputInvalid, match="device='tpu' is not known: use 'auto' or 'cpu' or 'cuda'"):
        predict(tiny("restored"), make_image(), device="tpu")
    with pytest.raises(InputInvalid, match="time_limit_s=0: give seconds above 0"), opened("any.zip", time_limit_s=0):
        pass


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
def test_pixels_reach_the_network_raw(tiny, dtype):
    source = make_image(dtype=dtype)
    result = predict(tiny("restored"), source).images["restored"]
    assert np.array_equal(result.array, source.array.astype("float32") * 2)
    assert result.array.dtype == np.float32


@pytest.mark.parametrize(
    ("axes", "shape"), [("yx", (1, 1)), ("yx", (31, 1)), ("zyx", (3, 5, 7)), ("tyx", (3, 5, 7)), ("tzyx", (2, 3, 5, 7)), ("yx", (97, 71))]
)
def test_an_image_of_any_size_comes_back_with_its_axes_and_calibration(tiny, axes, shape):
    source = make_image(axes, shape, pixel_size_um=0.2, z_um=0.7 if "z" in axes else None)
    result = predict(tiny("restored", pixel_size_um=[0.1, 0.3]), source)
    assert result.notes == ()
    assert result.images["restored"].axes == axes
    assert np.array_equal(result.images["restored"].array, source.array * 2)
    assert (result.images["restored"].pixel_size_um, result.images["restored"].z_um) == (0.2, source.z_um)


@pytest.mark.parametrize("value", [0, 100, 101, 65535])
def test_black_constant_and_saturated_images_give_finite_outputs(tiny, value):
    result = predict(tiny("restored", "labels"), Image(array=np.full((5, 7), value, "uint16"), axes="yx"))
    assert (result.images["restored"].array == 2 * value).all()
    assert (result.images["labels"].array == (value > 100)).all()
    assert result.notes == ()


def test_channels_of_the_output_are_named(tiny):
    source = make_image("tcyx", (3, 2, 5, 7))
    result = predict(tiny("restored", channels=("a", "b")), source).images["restored"]
    assert (result.axes, result.channels) == ("tcyx", ("restored0", "restored1"))
    assert np.array_equal(result.array, source.array * 2)


def test_a_stack_is_given_whole_to_a_network_that_takes_stacks(tiny):
    source = make_image("tzyx", (2, 3, 5, 7), z_um=0.4)
    result = predict(tiny("restored", axes="bczyx"), source).images["restored"]
    assert (result.axes, result.z_um) == ("tzyx", 0.4)
    assert np.array_equal(result.array, source.array * 2)


def test_a_stack_that_the_network_makes_has_its_own_plane_distance(tiny):
    bundle = tiny("stack", config={"zooready": {"z_um": 0.5}})
    source = make_image("tyx", (2, 5, 7), pixel_size_um=0.3)
    result = predict(bundle, source).images["stack"]
    assert (result.axes, result.array.shape, result.z_um, result.pixel_size_um) == ("tzyx", (2, 3, 5, 7), 0.5, 0.3)
    assert np.array_equal(result.array, np.repeat(source.array[:, None], 3, axis=1))


def test_a_stack_of_stacks_is_refused(tiny):
    with pytest.raises(InputInvalid, match=r"makes a stack along z of every plane \('stack' has axes 'bczyx'\).*Image > Duplicate"):
        predict(tiny("stack"), make_image("zyx", (2, 5, 7)))


def test_an_output_of_half_the_size_has_twice_the_pixel_size(tiny):
    result = predict(tiny("halved"), make_image(shape=(6, 8), pixel_size_um=0.2)).images["halved"]
    assert result.array.shape == (3, 4)
    assert result.pixel_size_um == pytest.approx(0.4)


def test_scores_become_rows(tiny):
    source = make_image("tzyx", (2, 3, 5, 7))
    result = predict(tiny("scores"), source)
    highest = source.array.max(axis=(2, 3))
    assert result.images == {}
    assert result.scores["scores"].columns == ("t", "z", "scores0", "scores1")
    assert result.scores["scores"].rows == tuple((t, z, highest[t, z], highest[t, z]) for t in range(2) for z in range(3))


def test_labels_are_uint16_unless_there_are_too_many(tiny):
    assert predict(tiny("labels"), make_image()).images["labels"].array.dtype == np.uint16
    bundle = tiny("restored")
    bundle = replace(bundle, outputs=(replace(bundle.outputs[0], kind="labels"),))
    assert predict(bundle, Image(array=np.full((2, 2), 65535, "uint16"), axes="yx")).images["restored"].array.dtype == np.float32


def test_progress_counts_planes(tiny):
    seen = []
    predict(tiny("restored"), make_image("tyx", (3, 5, 7)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_network_that_grows_by_steps_gets_repeated_edges_and_the_image_its_own_size(tiny):
    bundle = tiny("restored", sizes={"y": {"min": 16, "step": 8}, "x": {"min": 16, "step": 8}})
    source = make_image(shape=(5, 27))
    result = predict(bundle, source).images["restored"].array
    assert np.array_equal(result, source.array * 2)
    seen = whole._grown(source.array[None, None].astype("float32"), bundle)
    assert seen.shape == (1, 1, 16, 32)
    assert (seen[..., 4, 26:] == source.array[4, 26]).all()


# Pixel size


def test_a_pixel_size_outside_the_range_is_noted_with_the_cure(tiny):
    result = predict(tiny("restored", pixel_size_um=[0.3, 0.6]), make_image(pixel_size_um=0.1))
    assert result.notes == (
        "the image has pixels of 0.1 µm, and the network was trained for 0.3 to 0.6 µm: results may be poor; "
        "compare them with those of a pixel size of 'auto', which resamples the image into the range and the results back.",
    )


@pytest.mark.parametrize(
    ("z_um", "noted"),
    [
        (0.15, ""),
        (0.156, ""),
        (0.3, "the planes of the image are 0.3 µm apart, and the network was trained for planes 0.15 µm apart: results may be poor"),
        (None, "the image does not say how far apart its planes are, and the network was trained for planes 0.15 µm apart: set it in Fiji"),
    ],
)
def test_planes_at_another_distance_than_the_network_was_trained_for_are_noted(tiny, z_um, noted):
    bundle = tiny("restored", axes="bczyx", config={"zooready": {"z_um": 0.15}})
    notes = predict(bundle, make_image("zyx", (3, 5, 7), z_um=z_um)).notes
    assert (noted in notes[0]) if noted else notes == ()
    assert predict(tiny("restored", config={"zooready": {"z_um": 0.15}}), make_image("zyx", (3, 5, 7), z_um=z_um)).notes == ()


@pytest.mark.parametrize(
    ("values", "noted"), [((-5, 5), ""), ((0, 32764), "from 0 to 32764"), ((-5.5, 0), "from -5.5 to 0"), ((0, np.nan), "nan")]
)
def test_a_channel_that_holds_no_light_is_compared_with_what_the_network_was_trained_for(tiny, values, noted):
    bundle = tiny("restored", channels=("intensity", "distance_um"), config={"zooready": {"limits": {"distance_um": [-5, 5]}}})
    array = np.full((2, 5, 7), 40000, np.float32)
    array[1, 0, 0], array[1, 1:], array[1, 0, 1:] = values[0], values[1], values[1]
    notes = " ".join(predict(bundle, Image(array=array, axes="cyx")).notes)
    assert (noted in notes) if noted else not notes
    if noted != "nan" and noted:
        assert f"'distance_um' of the image has values {noted}, and the network was trained for -5 to 5: where it lies beyond" in notes


def test_limits_that_are_none_are_refused(tiny):
    for odd in ({"distance_um": [5, -5]}, {"distance_um": "far"}, [-5, 5], {"distance_um": [1, 2, 3]}, {"distance_um": [0, float("nan")]}):
        with pytest.raises(BundleInvalid, match="give .smallest, largest. for each channel"):
            predict(tiny("restored", config={"zooready": {"limits": odd}}), make_image())


def test_the_blur_that_a_file_states_is_compared_with_those_of_the_bundle(tiny):
    bundle = tiny("restored", config={"zooready": {"blur_px": [4, 16]}})
    notes = [predict(bundle, replace(make_image(pixel_size_um=0.1), blurs_um=blurs_um)).notes for blurs_um in ((0.5,), (0.3,), ())]
    assert ["inside" in notes[0][0], "outside" in notes[1][0], notes[2]] == [True, True, ()]


@pytest.mark.parametrize(
    ("na", "pixel_um", "blur_px", "zoom"),
    [(1.4, 0.02, "18.6", 0.485), (1.4, 0.05, "7.43", 1.0), (0.75, 0.325, "2.13", 2.81), (1.4, 0.1, "3.71", 1.0)],
)
def test_a_blur_that_is_told_is_brought_to_one_that_the_network_takes_away(tiny, seen, na, pixel_um, blur_px, zoom):
    bundle = tiny("restored", config={"zooready": {"blur_px": [4, 16]}})
    image = make_image(shape=(60, 50), pixel_size_um=pixel_um)
    (note,) = predict(bundle, image, na=na, wavelength_nm=520.0).notes
    assert f"wavelength / (NA x pixel size), is {blur_px} px" in note
    assert (f"shown to the network {zoom:.3g} times as large" in note) == (zoom != 1)
    assert seen[-1][-2:] == pytest.approx((60 * zoom, 50 * zoom), abs=1)
    stated = replace(image, blurs_um=(0.52 / na,))
    assert predict(bundle, stated, pixel_size="auto").notes == (note,)
    assert seen[-1][-2:] == pytest.approx((60 * zoom, 50 * zoom), abs=1)
    (advice,) = predict(bundle, stated).notes
    assert (f"A pixel size of 'auto' shows it to the network {zoom:.3g} times as large" in advice) == (zoom != 1)
    assert seen[-1][-2:] == (60, 50)


@pytest.mark.parametrize("blur_px", [[4, 16], [8.1, 10]])
def test_a_pixel_size_that_is_told_scales_the_blur_that_the_file_states(tiny, seen, blur_px):
    """Before, it was shown as it is, with the advice to take 'auto', which does not know the pixel size that was told."""
    bundle = tiny("restored", config={"zooready": {"blur_px": blur_px}})
    image = replace(make_image(shape=(60, 50), pixel_size_um=0.1), blurs_um=(0.375,))
    (note,) = predict(bundle, image, pixel_size=0.2).notes
    assert "auto" not in note
    (same,) = predict(bundle, replace(image, pixel_size_um=0.2), pixel_size="auto").notes
    assert note == same
    assert seen[0][-2:] == seen[1][-2:] != (60, 50)


@pytest.mark.parametrize(
    ("settings", "pixel_um", "words"),
    [
        ({"na": 1.4}, 0.1, "give both"),
        ({"na": 14.0, "wavelength_nm": 520.0}, 0.1, "up to 1.7"),
        ({"na": 1.4, "wavelength_nm": 520.0, "diameter": 30.0}, 0.1, "give one"),
        ({"na": 1.4, "wavelength_nm": 0.52}, 0.1, "in nanometres, 100 to 3000"),
        ({"na": 1.4, "wavelength_nm": 520.0}, None, "give it in micrometres"),
        ({"na": 0.1, "wavelength_nm": 520.0}, 0.001, "a blur of 5.2e[+]03 px: the image would be scaled by 0.00173"),
    ],
)
def test_a_blur_that_cannot_be_is_refused(tiny, settings, pixel_um, words):
    with pytest.raises(InputInvalid, match=words):
        predict(tiny("restored", config={"zooready": {"blur_px": [4, 16]}}), make_image(pixel_size_um=pixel_um), **settings)
    with pytest.raises(InputInvalid, match="does not state which blur it takes away"):
        predict(tiny("restored"), make_image(pixel_size_um=0.1), na=1.4, wavelength_nm=520.0)


@pytest.mark.parametrize(("channel", "blur", "size"), [(1, "18", 30), ("red", "9", 60), (2, "9", 60)])
def test_the_blur_that_counts_is_that_of_the_channel_that_is_taken(tiny, seen, channel, blur, size):
    bundle = tiny("restored", restores=True, config={"zooready": {"blur_px": [8.1, 10], "restores": True}})
    plane = make_image(shape=(60, 50)).array
    image = Image(array=np.stack([plane, plane]), axes="cyx", pixel_size_um=0.1, channels=("far red", "red"), blurs_um=(1.8, 0.9))
    (note,) = predict(bundle, image, channel=channel, pixel_size="auto").notes
    assert f"is {blur} px" in note
    assert seen[0][-2] == size


def test_a_blur_that_the_file_does_not_state_is_asked_for(tiny):
    bundle = tiny("restored", config={"zooready": {"blur_px": [8.1, 10]}})
    with pytest.raises(InputInvalid, match="does not state numerical aperture and emission wavelength.*give both"):
        predict(bundle, make_image(pixel_size_um=0.1), pixel_size="auto")


def test_a_file_that_states_an_impossible_blur_is_run_as_it_is(tiny):
    bundle = tiny("restored", config={"zooready": {"blur_px": [4, 16]}})
    (note,) = predict(bundle, replace(make_image(pixel_size_um=0.1), blurs_um=(900.0,))).notes
    assert note.endswith("The result may be worse than the image: compare the two.")


@pytest.mark.parametrize(("blur_um", "shown_as"), [(0.9, 100), (0.4, 225), (1.8, 50), (0.82, 100), (0.3, 300)])
def test_a_network_that_is_told_the_microscope_sees_one_blur(tiny, seen, blur_um, shown_as):
    bundle = tiny("restored", restores=True, config={"zooready": {"blur_px": [8.1, 10], "restores": True}})
    image = make_image(shape=(100, 100), pixel_size_um=0.1)
    result = predict(bundle, image, na=1.0, wavelength_nm=1000 * blur_um)
    assert seen[0][-1] == shown_as
    assert result.images["restored"].array.shape == (100, 100)
    assert not [note for note in result.notes if "unknown" in note]
    (note,) = result.notes
    assert ("with a blur that it takes away" in note) == (shown_as != 100)
    assert "outside" not in note
    assert ("pixels are too coarse" in note) == (blur_um < 0.4)
    (note,) = predict(bundle, image).notes
    assert "of 8.1 to 10 px, and that of the image is unknown: give NA, wavelength and pixel size" in note


def test_an_unknown_pixel_size_is_noted(tiny):
    (note,) = predict(tiny("restored", pixel_size_um=[0.3, 0.6]), make_image()).notes
    assert "does not say its pixel size, and the network was trained for 0.3 to 0.6 µm: set it in Fiji with Image > Properties" in note


def test_an_unknown_pixel_size_is_no_news_where_the_range_is_wide(tiny):
    assert predict(tiny("restored", pixel_size_um=[0.2, 1.0]), make_image()).notes == ()
    assert predict(tiny("restored", pixel_size_um=[0.2, 1.0]), make_image(pixel_size_um=1.5)).notes != ()


@pytest.mark.parametrize(("size_um", "network_sees"), [(0.15, 50), (0.2, 100), (0.401, 100), (0.6, 200), (0.9, 300)])
def test_resampling_goes_to_the_middle_of_the_range_and_back(tiny, seen, size_um, network_sees):
    bundle = tiny("restored", pixel_size_um=[0.2, 0.45] if size_um != 0.401 else [0.3, 0.4])
    y, x = np.mgrid[:100, :80]
    smooth = Image(array=(100 + 50 * np.sin(y / 12) * np.cos(x / 9)).astype("float32"), axes="yx", pixel_size_um=size_um)
    result = predict(bundle, smooth, pixel_size="auto")
    assert seen[0][-2] == network_sees
    assert result.notes == ()
    assert result.images["restored"].array.shape == (100, 80)
    assert result.images["restored"].pixel_size_um == pytest.approx(size_um)
    inner = (slice(6, -6), slice(6, -6))
    assert np.abs(result.images["restored"].array / 2 - smooth.array)[inner].max() < 3.0


def test_what_is_restored_keeps_pixels_that_are_finer_than_the_images(tiny):
    y, x = np.mgrid[:50, :40]
    smooth = Image(array=(100 + 50 * np.sin(y / 6) * np.cos(x / 5)).astype("float32"), axes="yx", pixel_size_um=0.6)
    coarse = predict(tiny("restored", pixel_size_um=[0.2, 0.2], restores=True), smooth, pixel_size="auto")
    assert coarse.images["restored"].array.shape == (150, 120)
    assert coarse.images["restored"].pixel_size_um == pytest.approx(0.2)
    (note,) = [note for note in coarse.notes if "times as many pixels" in note]
    assert note.startswith("the results have 3 times as many pixels a side as the image")
    fine = predict(tiny("restored", pixel_size_um=[0.9, 0.9], restores=True), smooth, pixel_size="auto")
    assert fine.images["restored"].array.shape == (50, 40)
    assert fine.notes == ()


def test_an_image_reduced_for_a_network_that_restores_stays_sharp(tiny):
    y, x = np.mgrid[:120, :120]
    image = Image(array=(100 + 50 * np.sin(y) * np.cos(x / 1.2)).astype("float32"), axes="yx", pixel_size_um=0.6)
    inner, errors = (slice(10, -10), slice(10, -10)), []
    for restores in (False, True):
        result = predict(tiny("restored", pixel_size_um=[0.72, 0.72], restores=restores), image, pixel_size="auto")
        errors.append(np.abs(result.images["restored"].array / 2 - image.array)[inner].mean())
    assert errors[1] < 0.5 * errors[0]


def test_resampled_labels_are_never_invented(tiny):
    array = np.zeros((60, 60), "float32")
    array[10:30, 10:30], array[30:50, 35:50] = 200, 90
    result = predict(tiny("labels", pixel_size_um=[0.3, 0.4]), Image(array=array, axes="yx", pixel_size_um=0.17), pixel_size="auto")
    labels = result.images["labels"].array
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == {0, 1}
    assert np.mean(labels != (array > 100)) < 0.03


def test_the_smallest_image_survives_resampling(tiny):
    result = predict(tiny("restored", pixel_size_um=[3.0, 4.0]), make_image(shape=(1, 1), pixel_size_um=0.2), pixel_size="auto")
    assert result.images["restored"].array.shape == (1, 1)


def test_resampling_needs_both_pixel_sizes(tiny):
    with pytest.raises(InputInvalid, match="cannot resample: the bundle does not state the pixel sizes"):
        predict(tiny("restored"), make_image(pixel_size_um=0.1), pixel_size="auto")
    with pytest.raises(
        InputInvalid, match="cannot resample: the image does not say its pixel size. Give it as a number, or set it in Fiji"
    ):
        predict(tiny("restored", pixel_size_um=[0.1, 0.2]), make_image(), pixel_size="auto")


# What is refused


@pytest.mark.parametrize("stated", [[0.3], [0.3, 0.1], [0, 1], "wide", [0.1, float("inf")]])
def test_a_range_that_is_none_is_refused(tiny, stated):
    with pytest.raises(BundleInvalid, match="config.zooready.pixel_size_um is .*give .smallest, largest. in µm"):
        predict(tiny("restored", pixel_size_um=stated), make_image(pixel_size_um=0.1))


@pytest.mark.parametrize("stated", [0, -1, "wide", float("nan")])
def test_a_plane_distance_that_is_none_is_refused(tiny, stated):
    with pytest.raises(BundleInvalid, match="config.zooready.z_um is .*give the distance of planes in µm"):
        predict(tiny("stack", config={"zooready": {"z_um": stated}}), make_image())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format_version": "0.4.10"}, "has format 0.4.10: run bioimageio update-format"),
        ({"inputs": []}, "takes 0 inputs, and prediction gives one image"),
        (
            {"inputs": [{"id": "image", "axes": [], "preprocessing": [{"id": "ensure_dtype"}, {"id": "custom"}]}]},
            "asks for custom outside its network.*use bioimageio.core",
        ),
        ({"inputs": [{"id": "image", "axes": [{"id": "time", "type": "space"}]}]}, r"'image' has axes \['time'\], and one-letter ids"),
        ({"inputs": [{"id": "Image", "axes": [{"id": "b", "type": "batch"}, {"id": "c", "type": "channel"}]}]}, "tensor name 'Image'"),
    ],
)
def test_descriptions_that_prediction_cannot_follow_are_refused(tiny, change, match):
    with pytest.raises(BundleInvalid, match=match):
        predict(tiny("restored", **change), make_image())


def test_a_description_of_other_shapes_than_the_network_gives_is_refused(tiny):
    bundle = tiny("restored")
    bundle = replace(bundle, outputs=(replace(bundle.outputs[0], channels=("a", "b")),))
    with pytest.raises(
        BundleInvalid, match=r"promises 'restored' with axes 'bcyx' and 2 channels, and its network gave the shape \(1, 1, 5, 7\)"
    ):
        predict(bundle, make_image())


def test_fewer_outputs_than_promised_are_refused(tiny):
    bundle = tiny("restored", "labels")
    other = tiny("restored")
    with pytest.raises(BundleInvalid, match="promises outputs restored, labels, and its onnx network gave 1"):
        predict(replace(bundle, formats=other.formats), make_image())


def test_values_that_are_not_finite_are_noted(tiny):
    result = predict(tiny("maps"), Image(array=np.array([[0, 1], [2, 0]], "uint8"), axes="yx"))
    assert result.notes == ("'maps' has 2 values that are not finite: do not use it, and run zooready check on the bundle.",)
    assert result.not_finite == ("maps",)


@pytest.mark.parametrize("values", [np.float32([[0, 1e38], [2, 0]]), np.float64([[0, 2], [-1e38, 0]]), np.uint64([[0, 2**63], [2, 0]])])
def test_values_that_no_network_can_use_are_refused(tiny, values):
    seen = re.escape(f"the image has values from {values.min():.6g} to {values.max():.6g}: what a network adds and squares of those")
    with pytest.raises(InputInvalid, match=seen):
        predict(tiny("maps"), Image(array=values, axes="yx"))


def test_values_of_a_channel_that_is_not_taken_may_be_of_any_size(tiny):
    both = np.stack([np.full((5, 6), 1e30), np.arange(30.0).reshape(5, 6)])
    assert predict(tiny("restored"), Image(array=both, axes="cyx"), channel=2).images


def test_a_format_that_is_not_inside_is_refused(tiny):
    with pytest.raises(InputInvalid, match="has no torchscript weights: use format 'onnx'"):
        predict(tiny("restored"), make_image(), format="torchscript")


def test_weights_that_do_not_load_are_refused(tiny):
    bundle = tiny("restored")
    bundle.formats["onnx"].write_bytes(b"nothing")
    with pytest.raises(BundleInvalid, match="tiny.zip: the onnx weights do not load.*Export it again"):
        predict(bundle, make_image())


def test_a_network_that_fails_is_named(tiny):
    match = r"the onnx network of tiny.zip failed on an image of shape \(1, 1, 7, 7\).*run zooready check"
    with pytest.raises(ConsumerFailed, match=match):
        predict(tiny("square"), make_image(shape=(7, 7)))


def test_an_empty_output_is_refused(tiny):
    with pytest.raises(ConsumerFailed, match="'cut' came out empty for an image of 8 x 5 px: give a larger image"):
        predict(tiny("cut"), make_image(shape=(5, 8)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_missing_is_named(tiny, traced):
    with pytest.raises(
        ConsumerMissing, match="ONNX Runtime sees no CUDA device here: pip install onnxruntime-gpu, or choose the device cpu"
    ):
        predict(tiny("restored"), make_image(), device="cuda")
    with pytest.raises(ConsumerMissing, match="PyTorch sees no CUDA device here"):
        predict(traced, make_image(), format="torchscript", device="cuda")


# Memory


def test_an_image_that_does_not_fit_is_refused_before_it_is_run(tiny, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1_000_000)
    with pytest.raises(
        InputInvalid, match=r"of 1100 x 1200 px needs about \d\.\d GB of memory with this network, and 0.0 GB are free: cut it"
    ):
        predict(tiny("restored", "labels"), make_image(shape=(1100, 1200)))


def test_memory_per_pixel_is_measured(tiny, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**12)
    sizes = []

    def run(image):
        sizes.append(image.shape)
        return (image,)

    memory.demand_room(run, np.zeros((1, 1, 2000, 3000), "float32"))
    memory.demand_room(run, np.zeros((1, 1, 64, 400, 400), "float32"))
    memory.demand_room(run, np.zeros((1, 1, 1000, 1000), "float32"))
    assert sizes == [(1, 1, 64, 64), (1, 1, 512, 512), (1, 1, 64, 64, 64), (1, 1, 64, 64, 64)]
    held = 200 * 2**20
    assert held * 0.9 < memory.peak_bytes(lambda: np.ones(held, "uint8")) < held * 1.3


def test_the_memory_of_an_image_counts_its_copies_and_the_reserve_of_the_runtime(monkeypatch):
    monkeypatch.setattr(memory, "peak_bytes", lambda call: 100 * 512**2)
    image = np.zeros((1, 1, 2000, 3000), "float32")
    needed = image.size * (2 * 100 + 3 * (4 + 2 * 4))  # of the network twice, of input and of two outputs three copies
    for room, fits in ((needed + 1, True), (needed - 1, False)):
        monkeypatch.setattr(memory, "available_bytes", lambda room=room: room)
        with nullcontext() if fits else pytest.raises(InputInvalid, match="needs about 1.4 GB"):
            memory.demand_room(lambda given: (given, given), image)


def test_available_memory_is_known_here():
    assert 2**28 < memory.available_bytes() < 2**50


def test_an_engine_out_of_memory_is_explained(tiny, monkeypatch):
    import onnxruntime

    def fail(self, *args):
        raise RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer of size 1")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", fail)
    with pytest.raises(InputInvalid, match="not enough memory for an image of 1 x 1 x 5 x 7: cut it into smaller ones"):
        predict(replace(tiny("restored"), trusted=True), make_image())  # a stranger's runs in a child, out of this patch's reach


# PyTorch


class Doubled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return image * self.factor


@pytest.fixture
def traced(tiny, tmp_path):
    """The tiny bundle with TorchScript and a state dict that say the same as its ONNX."""
    bundle = tiny("restored")
    folder = bundle.folder
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        torch.jit.save(torch.jit.trace(Doubled().eval(), torch.zeros(1, 1, 5, 7)), folder / "weights.pt")
    torch.save(Doubled().state_dict(), folder / "state.pt")
    source = "import torch\nclass Doubled(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    source += (
        "        self.factor = torch.nn.Parameter(torch.tensor(0.0))\n    def forward(self, image):\n        return image * self.factor\n"
    )
    (folder / "architecture.py").write_text(source)
    stated = StatedWeights(architecture=Architecture(source="architecture.py", callable="Doubled"))
    return replace(
        bundle,
        weights={**bundle.weights, "pytorch_state_dict": stated},
        formats={**bundle.formats, "torchscript": folder / "weights.pt", "state_dict": folder / "state.pt"},
    )


def test_torchscript_gives_the_same(traced):
    source = make_image("tyx", (2, 5, 7))
    result = predict(traced, source, format="torchscript", device="cpu").images["restored"]
    assert np.array_equal(result.array, source.array * 2)


def test_a_trusted_state_dict_gives_the_same(traced):
    source = make_image()
    result = predict(replace(traced, trusted=True), source, format="state_dict", device="cpu").images["restored"]
    assert np.array_equal(result.array, source.array * 2)


def test_a_state_dict_that_is_not_trusted_is_refused_and_its_code_not_run(traced):
    (traced.folder / "architecture.py").write_text("raise SystemExit('code of the bundle was run')")
    with pytest.raises(InputInvalid, match="a state dict needs the bundle's own Python: use the format 'onnx', or trust its code"):
        predict(traced, make_image(), format="state_dict")


def test_torchscript_that_is_not_trusted_and_not_harmless_is_refused(traced, monkeypatch):
    from zooready.formats import torchscript

    monkeypatch.setattr(torchscript, "unsafe", lambda path: ("aten::from_file", "aten::save"))
    with pytest.raises(BundleInvalid, match=r"is not run here \(aten::from_file, aten::save\)\. Use the format 'onnx', or trust its code"):
        predict(traced, make_image(), format="torchscript")
    assert predict(replace(traced, trusted=True), make_image(), format="torchscript", device="cpu").images


# Files


def test_every_output_becomes_a_file_that_imagej_reads(tiny, tmp_path):
    source = make_image("zyx", (3, 5, 7), pixel_size_um=0.2, z_um=0.5)
    folder = tmp_path / "Ergebnisse für Müller"
    paths = save(predict(tiny("restored", "labels", "scores"), source), folder, "Zelle 1")
    assert [path.name for path in paths] == ["Zelle 1_restored.tif", "Zelle 1_labels.tif", "Zelle 1_scores.csv"]
    restored, labels = (read_image(path) for path in paths[:2])
    assert np.array_equal(restored.array, source.array * 2)
    assert (restored.axes, restored.pixel_size_um, restored.z_um) == ("zyx", pytest.approx(0.2), 0.5)
    assert labels.array.dtype == np.uint16
    rows = [f"{z},{plane.max()},{plane.max()}" for z, plane in enumerate(source.array)]
    assert paths[2].read_text().splitlines() == ["z,scores0,scores1", *rows]


def test_from_file_to_file_an_image_keeps_what_it_says(tiny, tmp_path):
    write_image(make_image("tcyx", (2, 2, 5, 7), pixel_size_um=0.325, channels=("a", "b"), frame_s=0.5), tmp_path / "in.tif")
    source = read_image(tmp_path / "in.tif")
    (path,) = save(predict(tiny("restored", channels=("a", "b")), source), tmp_path, "in")
    back = read_image(path)
    assert (back.axes, back.pixel_size_um, back.channels) == ("tcyx", pytest.approx(0.325), ("restored0", "restored1"))
    assert back.frame_s == 0.5


TABLE = Prediction(scores={"scores": Scores(columns=("a",), rows=((0.25,),))})


def test_no_permission_is_explained(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputInvalid, match="cannot make the folder .*Permission denied. Choose another one that you may write to"):
        save(TABLE, tmp_path / "out", "a")


def test_a_full_disk_leaves_no_half_table(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files.os, "fsync", refuse)
    with pytest.raises(InputInvalid, match="cannot write .*No space left"):
        save(TABLE, tmp_path, "a")
    assert not list(tmp_path.iterdir())


def test_numbers_that_float32_does_not_hold_are_told(tiny):
    source = Image(array=np.array([[2**24 + 1, 3]], np.int32), axes="yx")
    result = predict(tiny("restored"), source)
    assert result.images["restored"].array.tolist() == [[2.0**25, 6.0]]
    assert [note for note in result.notes if note.startswith("1 of 2 pixels are whole numbers above 16,777,216 that float32")]
    assert not predict(tiny("restored"), replace(source, array=source.array - 1)).notes
