"""RunZooready in memory, without Java, in CellProfiler's own Python: every function check_* runs, and results.json says what became of it.

Usage: inside.py FOLDER_OF_THE_PLUGIN FOLDER_OF_BUNDLES OUT
"""

import ast
import importlib.util
import inspect
import json
import logging
import os
import shutil
import sys
import traceback
import types
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

PLUGINS, BUNDLES, OUT = (Path(argument) for argument in sys.argv[1:4])
sys.path.insert(0, str(PLUGINS))

import runzooready  # noqa: E402
from cellprofiler_core.image import Image, ImageSetList  # noqa: E402
from cellprofiler_core.measurement import Measurements  # noqa: E402
from cellprofiler_core.object import Objects, ObjectSet  # noqa: E402
from cellprofiler_core.pipeline import Pipeline  # noqa: E402
from cellprofiler_core.preferences import set_headless  # noqa: E402
from cellprofiler_core.setting import ValidationError  # noqa: E402
from cellprofiler_core.workspace import Workspace  # noqa: E402
from runzooready import BundleError  # noqa: E402

set_headless()
RNG = np.random.default_rng(3)
RAW = RNG.integers(0, 400, (30, 41)).astype(np.uint16)
DEEP = RNG.integers(0, 400, (5, 12, 13)).astype(np.uint16)


def loaded(raw, **facts):
    """An image as CellProfiler loads it."""
    scale = {"uint8": 255, "uint16": 65535}.get(raw.dtype.name, 1)
    return Image(raw, scale=scale, **facts)


def module(bundle, task, outputs=(), **settings):
    plugin = runzooready.RunZooready()
    plugin.set_module_num(1)
    plugin.x_name.value = "DNA"
    plugin.directory.value = f"Elsewhere...|{BUNDLES}"
    plugin.file_name.value = bundle
    plugin.task.value = task
    for number, (channel, name) in enumerate(outputs):
        if number:
            plugin.add_image_setting()
        plugin.images[number].channel.value, plugin.images[number].name.value = channel, name
    plugin.wants_images.value = bool(outputs)
    for name, value in settings.items():
        getattr(plugin, name).value = value
    return plugin


def workspace(made, images, objects=()):
    """Where a module finds its images and leaves its results."""
    pipeline = Pipeline()
    pipeline.add_module(made)
    sets = ImageSetList()
    image_set = sets.get_image_set(0)
    for name, image in (images if isinstance(images, dict) else {"DNA": images}).items():
        image_set.add(name, image)
    object_set = ObjectSet()
    for name, labels in dict(objects).items():
        labelled = Objects()
        labelled.segmented = labels
        object_set.add_objects(labelled, name)
    return Workspace(pipeline, made, image_set, object_set, Measurements(), sets)


def run(made, images, objects=()):
    space = workspace(made, images, objects)
    made.show_window = True
    made.run(space)
    return space


def pixels(space, name):
    return space.image_set.get_image(name).pixel_data


@contextmanager
def refused(*words, kind=BundleError):
    message = None
    try:
        yield
    except kind as error:
        message = str(error)
    assert message is not None, f"nothing was refused; {words} expected"
    assert all(word in message for word in words), f"{words} expected, but it said: {message}"


@contextmanager
def logged():
    """Lines that the module logs."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runzooready.LOGGER.addHandler(handler)
    runzooready.LOGGER.setLevel(logging.INFO)
    yield lines
    runzooready.LOGGER.removeHandler(handler)


def labels_of(raw):
    """What segmentation.zip says of raw pixels, its objects numbered anew."""
    return raw.astype(int) // 100


# objects


def check_objects_are_the_networks_labels_with_measurements():
    plugin = module("segmentation.zip", "Find objects", y_name="Cells")
    space = run(plugin, loaded(RAW))
    objects = space.object_set.get_objects("Cells")
    assert (objects.segmented == labels_of(RAW)).all()
    assert objects.parent_image is space.image_set.get_image("DNA")
    assert space.measurements.get_current_image_measurement("Count_Cells") == 3
    y, x = np.nonzero(labels_of(RAW) == 2)
    assert np.isclose(space.measurements.get_current_measurement("Cells", "Location_Center_X")[1], x.mean())
    assert np.isclose(space.measurements.get_current_measurement("Cells", "Location_Center_Y")[1], y.mean())
    columns = {(column[0], column[1]) for column in plugin.get_measurement_columns(None)}
    assert {("Cells", "Location_Center_X"), ("Cells", "Number_Object_Number"), ("Image", "Count_Cells")} <= columns
    assert plugin.get_categories(None, "Cells") == ["Location", "Number"]
    assert plugin.get_measurements(None, "Cells", "Number") == ["Object_Number"]


def check_objects_end_where_the_mask_ends_and_are_numbered_without_gaps():
    mask = labels_of(RAW) != 1
    mask[:, :5] = False
    objects = run(module("segmentation.zip", "Find objects"), loaded(RAW, mask=mask)).object_set.get_objects("Nuclei")
    expected = np.where(mask, np.maximum(labels_of(RAW) - 1, 0), 0)
    assert (objects.segmented == expected).all()


def check_objects_of_an_image_of_one_pixel_height():
    for raw in (np.array([[0, 150, 120, 0, 260]], np.uint16), np.array([[0]], np.uint16), np.array([[120], [0]], np.uint16)):
        space = run(module("segmentation.zip", "Find objects"), loaded(raw))
        assert (space.object_set.get_objects("Nuclei").segmented == labels_of(raw)).all()
        assert space.object_set.get_objects("Nuclei").count == len(set(labels_of(raw).ravel()) - {0})


def check_a_black_image_has_no_objects():
    space = run(module("segmentation.zip", "Find objects"), loaded(np.zeros((9, 9), np.uint16)))
    assert space.object_set.get_objects("Nuclei").count == 0


def check_probabilities_come_beside_objects():
    outputs = [("probabilities: inside", "Inside"), ("probabilities: out side", "Outside")]
    space = run(module("segmentation.zip", "Find objects", outputs), loaded(RAW))
    assert np.array_equal(pixels(space, "Inside"), np.minimum(RAW / np.float32(100), 1).astype(np.float32))
    assert np.array_equal(pixels(space, "Outside"), 1 - pixels(space, "Inside"))


def check_planes_of_a_volume_are_joined_where_objects_overlap():
    deep = np.zeros((4, 10, 10), np.uint16)
    deep[0, 1:5, 1:5], deep[1, 1:5, 2:6], deep[2, 6:9, 6:9], deep[3, 6:9, 0:3] = 100, 200, 100, 100
    plugin = module("segmentation.zip", "Find objects", join=0.5)
    joined = run(plugin, loaded(deep, dimensions=3)).object_set.get_objects("Nuclei").segmented
    assert joined.shape == deep.shape
    assert [set(plane.ravel()) - {0} for plane in joined] == [{1}, {1}, {2}, {3}]
    apart = run(module("segmentation.zip", "Find objects", join=0), loaded(deep, dimensions=3)).object_set.get_objects("Nuclei").segmented
    assert [set(plane.ravel()) - {0} for plane in apart] == [{1}, {2}, {3}, {4}]


def check_one_object_below_two_joins_only_the_better():
    planes = np.zeros((2, 4, 8), np.int64)
    planes[0, :, :6], planes[1, :, :4], planes[1, :, 4:6] = 1, 1, 2
    joined = runzooready._joined(planes, 0.1)
    assert set(joined[0].ravel()) - {0} == {1}
    assert set(joined[1, :, :4].ravel()) == {1}
    assert set(joined[1, :, 4:6].ravel()) == {2}


def check_a_network_for_volumes_sees_the_volume():
    space = run(module("volume.zip", "Find objects", [("First one", "Bright")]), loaded(DEEP, dimensions=3))
    assert (space.object_set.get_objects("Nuclei").segmented == labels_of(DEEP)).all()
    assert np.array_equal(pixels(space, "Bright"), (DEEP * np.float32(2)) / np.float32(65535))
    with refused("takes volumes", "Process as 3D"):
        run(module("volume.zip", "Find objects"), loaded(RAW))


# images


def check_restored_images_have_the_scale_of_their_input():
    space = run(module("mrbcr.zip", "Make images", [("First one", "Restored")]), loaded(RAW))
    restored = space.image_set.get_image("Restored")
    assert np.array_equal(restored.pixel_data, RAW * np.float32(2) / np.float32(65535))
    assert restored.scale == 65535
    assert restored.parent_image is space.image_set.get_image("DNA")
    space = run(module("mrbcr.zip", "Make images", [("restored: grey", "Restored")], output_scale="As the network gives them"), loaded(RAW))
    assert np.array_equal(pixels(space, "Restored"), RAW * np.float32(2))
    assert space.image_set.get_image("Restored").scale == 1


def check_fractions_can_be_given_the_scale_of_the_input():
    like = "Scale of the input image"
    space = run(module("segmentation.zip", "Make images", [("First one", "Inside")], output_scale=like), loaded(RAW))
    assert np.array_equal(pixels(space, "Inside"), np.minimum(RAW / np.float32(100), 1).astype(np.float32) / np.float32(65535))


def check_raw_intensities_can_be_left_alone():
    space = run(module("mrbcr.zip", "Make images", [("First one", "Restored")], restore=False), loaded(RAW))
    assert np.array_equal(pixels(space, "Restored"), 2 * (RAW.astype(np.float32) / np.float32(65535)))


def check_output_images_keep_the_mask():
    mask = RAW > 50
    space = run(module("mrbcr.zip", "Make images", [("First one", "Restored")]), loaded(RAW, mask=mask))
    assert (space.image_set.get_image("Restored").mask == mask).all()


def check_planes_of_a_volume_are_restored_each():
    space = run(module("mrbcr.zip", "Make images", [("First one", "Restored")]), loaded(DEEP, dimensions=3))
    assert space.image_set.get_image("Restored").volumetric
    assert np.array_equal(pixels(space, "Restored"), DEEP * np.float32(2) / np.float32(65535))


def check_a_stack_comes_from_one_plane_and_not_from_a_volume():
    plugin = module("stack.zip", "Make images", [("stack: grey", "Stack")], output_scale="As the network gives them")
    assert np.array_equal(pixels(run(plugin, loaded(RAW)), "Stack"), np.stack([RAW.astype(np.float32)] * 3))
    with refused("'stack' is a stack for every plane"):
        run(plugin, loaded(DEEP, dimensions=3))


def check_channels_come_from_one_image_or_from_several():
    other = RAW[::-1].copy()
    together = module("two.zip", "Make images", [("First one", "Sum")], output_scale="As the network gives them")
    both = run(together, loaded(np.stack([RAW, other], axis=-1)))
    assert np.array_equal(pixels(both, "Sum"), (RAW + other).astype(np.float32))
    together.add_channel_setting()
    together.channels[0].image_name.value = "Other"
    several = run(together, {"DNA": loaded(RAW), "Other": loaded(other)})
    assert np.array_equal(pixels(several, "Sum"), (RAW + other).astype(np.float32))
    with refused("different sizes", "Other"):
        run(together, {"DNA": loaded(RAW), "Other": loaded(other[:9])})
    with refused("takes 1 channel (grey), and DNA has 2", "ColorToGray"):
        run(module("mrbcr.zip", "Make images", [("First one", "Sum")]), loaded(np.stack([RAW, other], axis=-1)))


def check_sizes_that_the_network_does_not_take_are_grown_and_cropped_back():
    space = run(module("unet.zip", "Make images", [("First one", "Inside")]), loaded(RAW))
    grown = np.pad(RAW, ((0, 2), (0, 3)), mode="edge").astype(np.float32)
    direct = runzooready.opened(str(BUNDLES / "unet.zip")).run(grown[None])["probabilities"][0]
    assert np.array_equal(pixels(space, "Inside"), direct[:30, :41])


# intensities


def check_raw_pixels_are_restored_exactly():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(runzooready.raw_pixels(loaded(every)), every)
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(runzooready.raw_pixels(loaded(eight)), eight)
    assert np.array_equal(runzooready.raw_pixels(Image(every / np.float32(65535), scale=4095)), every)  # divided by another number
    twelve = np.arange(4096).reshape(64, 64)
    assert np.array_equal(runzooready.raw_pixels(Image((twelve / 4095).astype(np.float32), scale=4095)), twelve)
    floats = RNG.normal(0, 1e5, (9, 9)).astype(np.float32)
    assert np.array_equal(runzooready.raw_pixels(loaded(floats)), floats)
    smoothed = RNG.uniform(0, 1, (9, 9)).astype(np.float32)
    assert np.allclose(runzooready.raw_pixels(Image(smoothed, scale=255)), smoothed * 255)
    assert runzooready.raw_pixels(Image(RAW > 7)).max() == 1


# tiles


def big(bundle, name, tile):
    raw = np.random.default_rng(8).integers(0, 3, (150, 203)).astype(np.uint16)
    with logged() as lines:
        space = run(module(bundle, "Make images", [("First one", name)], tile=tile), loaded(raw))
    return pixels(space, name), lines


def check_tiles_give_what_the_whole_gives():
    calls = []
    bundle = runzooready.opened(str(BUNDLES / "unet.zip"))
    original = bundle.run
    bundle.run = lambda image: calls.append(image.shape) or original(image)
    whole, _ = big("unet.zip", "Inside", 0)
    assert len(calls) == 1
    tiles, _ = big("unet.zip", "Inside", 64)
    assert len(calls) > 20
    assert max(max(shape[1:]) for shape in calls[1:]) <= 80
    assert np.ptp(whole) > 0.01
    assert np.abs(tiles - whole).max() < 1e-6


def check_a_network_that_sees_the_whole_image_is_not_cut_and_says_so():
    whole, _ = big("centred.zip", "Restored", 0)
    tiles, lines = big("centred.zip", "Restored", 64)
    assert np.array_equal(tiles, whole)
    assert any("depends on pixels farther away than its halo of 0 px" in line for line in lines), lines


def check_tiles_get_the_statistics_of_the_whole_image():
    whole, _ = big("levelled.zip", "Restored", 0)
    tiles, lines = big("levelled.zip", "Restored", 32)
    assert any("the image of 150 x 203 px is computed in 63 tiles of up to 32 px" in line for line in lines), lines
    assert np.ptp(whole) > 1e-5
    assert np.abs(tiles - whole).max() < 1e-5 * np.ptp(whole)


def check_a_bundle_whose_tiles_differ_from_the_whole_is_not_cut_and_says_so():
    for name, output, why in (
        ("mute.zip", "Inside", "comes out differently when it is cut"),
        ("narrow.zip", "Restored", "comes out differently when it is cut"),
        ("moved.zip", "Inside", "changes when the image is moved by its stride of 1 px"),
    ):
        whole, _ = big(name, output, 0)
        tiles, lines = big(name, output, 64)
        assert any(why in line for line in lines), (name, lines)
        assert np.array_equal(tiles, whole), name


def check_objects_of_tiles_are_those_of_the_whole_image():
    raw = np.random.default_rng(8).integers(0, 300, (150, 203)).astype(np.uint16)
    found = [
        run(module("numbered.zip", "Find objects", [("First one", "Inside")], tile=tile), loaded(raw)).object_set.get_objects("Nuclei")
        for tile in (0, 32)
    ]
    assert found[0].count > 1000
    assert np.array_equal(found[0].segmented, found[1].segmented)


def check_objects_of_several_classes_are_found_on_the_stitched_image_too():
    raw = np.random.default_rng(8).integers(0, 300, (150, 203)).astype(np.uint16)
    plugin = module("classed.zip", "Find objects", tile=32)
    with logged() as lines:
        tiles = run(plugin, loaded(raw)).object_set.get_objects("Nuclei")
    whole = run(module("classed.zip", "Find objects", tile=0), loaded(raw)).object_set.get_objects("Nuclei")
    assert any("is computed in 63 tiles of up to 32 px" in line for line in lines), lines
    assert whole.count > 1000
    assert np.array_equal(tiles.segmented, whole.segmented)


def check_a_head_that_is_not_known_is_not_cut():
    _, lines = big("unheard.zip", "Inside", 64)
    assert any("needs the whole image" in line for line in lines), lines


def check_labels_and_unknown_halos_are_not_cut():
    whole, lines = big("segmentation.zip", "Inside", 64)
    assert whole.shape == (150, 203)
    assert any("needs the whole image" in line for line in lines), lines


def check_tiles_smaller_than_the_margin_are_refused():
    with refused("tiles of 30 px leave nothing after a margin of 16 px"):
        big("unet.zip", "Inside", 30)


def check_too_large_an_image_is_refused_before_memory_runs_out():
    import psutil

    bundle = runzooready.opened(str(BUNDLES / "mrbcr.zip"))
    before, large = psutil.virtual_memory, runzooready.LARGE
    process = psutil.Process
    sizes = iter([0, 10**6])
    psutil.virtual_memory = lambda: types.SimpleNamespace(available=10**6)
    psutil.Process = lambda: types.SimpleNamespace(memory_info=lambda: types.SimpleNamespace(rss=next(sizes)))
    runzooready.LARGE = 100
    try:
        with refused("not enough memory for an image of 600 x 1024 px", "lower the tile size", "0.0 GB are free"):
            runzooready.whole(bundle, np.zeros((1, 600, 1024), np.float32))
    finally:
        psutil.virtual_memory, psutil.Process, runzooready.LARGE = before, process, large


# pixel size


def check_pixel_sizes_are_compared():
    assert run(module("segmentation.zip", "Find objects", pixel_um=0.3, outside="Stop"), loaded(RAW))
    with refused("trained for pixels of 0.2 to 0.4 µm", "these have 0.5 µm"):
        run(module("segmentation.zip", "Find objects", pixel_um=0.5, outside="Stop"), loaded(RAW))
    with logged() as lines:
        run(module("segmentation.zip", "Find objects", pixel_um=0.5), loaded(RAW))
        run(module("segmentation.zip", "Find objects"), loaded(RAW))
    assert "results may be poor" in lines[0]
    assert "set the pixel size in RunZooready" in lines[1]
    with refused("the pixel size is not given"):
        run(module("segmentation.zip", "Find objects", outside="Stop"), loaded(RAW))
    with refused("does not state its pixel sizes"):
        run(module("mrbcr.zip", "Make images", [("First one", "Restored")], pixel_um=0.5, outside="Resample"), loaded(RAW))


def check_values_that_the_network_was_not_trained_for_are_told():
    def pair(distance):
        return loaded(np.stack([np.full((6, 8), 900.0), np.full((6, 8), distance)], axis=-1).astype(np.float32))

    with logged() as lines:
        run(module("limited.zip", "Make images", [("First one", "Sum")], outside="Stop"), pair(5.0))
        assert not lines
        run(module("limited.zip", "Make images", [("First one", "Sum")]), pair(32764.0))
    assert "limited.zip was trained for 'green' from -5 to 5, but here it goes from 32764 to 32764" in lines[0]
    with refused("trained for 'green' from -5 to 5"):
        run(module("limited.zip", "Make images", [("First one", "Sum")], outside="Stop"), pair(-6.0))


def check_distances_of_planes_are_compared():
    def stack(*spacing):
        return loaded(DEEP, dimensions=3, spacing=spacing)

    with logged() as lines:
        run(module("planes.zip", "Find objects", pixel_um=0.2, outside="Stop"), stack(3.05, 1.0, 1.0))
        run(module("volume.zip", "Find objects", pixel_um=0.2), stack(1.0, 1.0, 1.0))
        assert not lines
        run(module("planes.zip", "Find objects", pixel_um=0.2), stack(1.0, 1.0, 1.0))
        run(module("planes.zip", "Find objects"), stack(3.0, 1.0, 1.0))
    assert "trained for planes 0.6 µm apart, but these are 0.2 µm apart by the pixel size" in lines[0]
    assert "and the relative pixel spacing in NamesAndTypes, to compare it" in lines[1]
    with refused("trained for planes 0.6 µm apart, but these are 0.8 µm apart"):
        run(module("planes.zip", "Find objects", pixel_um=0.2, outside="Stop"), stack(4.0, 1.0, 1.0))


def check_objects_of_a_stated_width_are_seen_in_the_size_that_the_network_knows():
    blocks = np.kron(np.array([[0, 150], [250, 0]]), np.ones((20, 20))).astype(np.uint16)
    seen, ran = [], runzooready.Bundle.run
    runzooready.Bundle.run = lambda bundle, image: seen.append(image.shape) or ran(bundle, image)
    try:
        for width, side in ((10, 80), (0, 40), (40, 20)):
            space = run(module("segmentation.zip", "Find objects", diameter=width), loaded(blocks))
            assert seen[-1][-2:] == (side, side)
            labels = space.object_set.get_objects("Nuclei").segmented
            assert labels.shape == blocks.shape
            assert (labels != labels_of(blocks)).mean() < 0.1
    finally:
        runzooready.Bundle.run = ran
    with refused("images would be scaled by 0.02: correct the pixel size, width"):
        run(module("segmentation.zip", "Find objects", diameter=1000), loaded(blocks))
    with refused("planes.zip does not state the sizes of the objects that it finds"):
        run(module("planes.zip", "Find objects", diameter=10), loaded(DEEP, dimensions=3))


def check_a_blur_that_is_told_is_brought_to_one_that_the_network_takes_away():
    smooth = np.kron(np.arange(12).reshape(3, 4) * 30 + 100, np.ones((16, 16))).astype(np.uint16)
    seen, ran = [], runzooready.Bundle.run
    runzooready.Bundle.run = lambda bundle, image: seen.append(image.shape[-2:]) or ran(bundle, image)
    try:
        for blur, shape in ((18, (24, 32)), (8, (48, 64)), (2, (144, 192))):
            told = {"na": 0.5, "wavelength_nm": 50.0 * blur, "pixel_um": 0.1}
            with logged() as lines:
                space = run(module("blurred.zip", "Make images", [("First one", "Restored")], **told), loaded(smooth))
            assert f"the images' blur is {blur} px" in lines[-1]
            assert seen[-1] == shape
            assert pixels(space, "Restored").shape == smooth.shape
    finally:
        runzooready.Bundle.run = ran
    images = [("First one", "Restored")]
    with refused("set it in RunZooready"):
        run(module("blurred.zip", "Make images", images, na=0.5, wavelength_nm=500), loaded(smooth))
    with refused("give the objective's numerical aperture, up to 1.7"):
        run(module("blurred.zip", "Make images", images, na=5, wavelength_nm=500, pixel_um=0.1), loaded(smooth))
    with refused("silent.zip does not state which blur is to be shown to it: export it again"):
        run(module("silent.zip", "Make images", images, na=0.5, wavelength_nm=500, pixel_um=0.1), loaded(smooth))
    with refused("mrbcr.zip does not state which blur it takes away"):
        run(module("mrbcr.zip", "Make images", images, na=0.5, wavelength_nm=500, pixel_um=0.1), loaded(smooth))


def check_resampling_goes_there_and_back():
    blocks = np.kron(np.array([[0, 150], [250, 0]]), np.ones((20, 20))).astype(np.uint16)
    space = run(module("segmentation.zip", "Find objects", [("First one", "Inside")], pixel_um=0.8, outside="Resample"), loaded(blocks))
    labels = space.object_set.get_objects("Nuclei").segmented
    assert labels.shape == blocks.shape
    assert (labels != labels_of(blocks)).mean() < 0.1
    assert pixels(space, "Inside").shape == blocks.shape


# classification


def check_an_image_gets_its_scores():
    plugin = module("classifier.zip", "Classify images", score_name="Sort")
    space = run(plugin, loaded(RAW))
    measured = space.measurements.get_current_image_measurement
    assert measured("RunZooready_Sort_highest") == RAW.max()
    assert np.isclose(measured("RunZooready_Sort_middle"), RAW.mean(), rtol=1e-6)
    assert measured("RunZooready_Sort_Best") == 1
    names = [f"RunZooready_Sort_{score}" for score in ("highest", "middle", "Best")]
    assert plugin.get_measurement_columns(None) == [
        ("Image", name, kind) for name, kind in zip(names, ("float", "float", "integer"), strict=True)
    ]
    assert plugin.get_categories(None, "Image") == ["RunZooready"]
    assert plugin.get_categories(None, "Nuclei") == []
    assert plugin.get_measurements(None, "Image", "RunZooready") == ["Sort_highest", "Sort_middle", "Sort_Best"]


def check_pixels_outside_the_mask_do_not_count_for_a_class():
    mask = (RAW > 20) & (RAW < 300)
    space = run(module("classifier.zip", "Classify images"), loaded(RAW, mask=mask))
    assert space.measurements.get_current_image_measurement("RunZooready_Class_highest") == RAW[mask].max()
    expected = np.where(mask, RAW, RAW[mask].min()).mean()
    assert np.isclose(space.measurements.get_current_image_measurement("RunZooready_Class_middle"), expected, rtol=1e-6)


def check_scores_of_a_volume_are_means_over_planes():
    space = run(module("classifier.zip", "Classify images"), loaded(DEEP, dimensions=3))
    expected = DEEP.reshape(5, -1).max(axis=1).mean()
    assert np.isclose(space.measurements.get_current_image_measurement("RunZooready_Class_highest"), expected)


def check_each_object_gets_the_scores_of_the_piece_around_it():
    labels = np.zeros(RAW.shape, int)
    labels[3:9, 4:10], labels[20:30, 30:41] = 1, 3
    plugin = module("classifier.zip", "Classify objects", objects_name="Cells")
    space = run(plugin, loaded(RAW), {"Cells": labels})
    highest = space.measurements.get_current_measurement("Cells", "RunZooready_Class_highest")
    assert highest[0] == RAW[3:9, 4:10].max()
    assert np.isnan(highest[1])
    assert highest[2] == RAW[20:30, 30:41].max()
    assert list(space.measurements.get_current_measurement("Cells", "RunZooready_Class_Best")) == [1, 0, 1]
    assert plugin.get_categories(None, "Cells") == ["RunZooready"]
    with refused("Cells has the size (9, 9)"):
        run(plugin, loaded(RAW), {"Cells": np.ones((9, 9), int)})


def check_pieces_have_the_size_that_was_asked_for_and_can_hide_the_rest():
    labels = np.zeros(RAW.shape, int)
    labels[0:3, 0:4] = 1
    labels[1, 1] = 0
    image = RAW[None].astype(np.float32)
    ((_, piece),) = runzooready.pieces(image, labels, 8, False)
    assert piece.shape == (1, 8, 8)
    assert np.array_equal(piece[0], np.pad(RAW, ((3, 0), (2, 0)), mode="edge")[:8, :8])
    ((_, piece),) = runzooready.pieces(image, labels, 0, True)
    assert np.array_equal(piece[0] != RAW[:3, :4].min(), (labels[:3, :4] == 1) & (RAW[:3, :4] != RAW[:3, :4].min()))


def check_objects_of_a_volume_are_classified_in_their_largest_plane():
    labels = np.zeros(DEEP.shape, int)
    labels[1, 2:4, 2:4], labels[2, 2:8, 2:8], labels[3, 2:3, 2:3] = 1, 1, 1
    space = run(module("classifier.zip", "Classify objects", objects_name="Cells"), loaded(DEEP, dimensions=3), {"Cells": labels})
    assert space.measurements.get_current_measurement("Cells", "RunZooready_Class_highest")[0] == DEEP[2, 2:8, 2:8].max()


# what must be refused


def check_what_a_bundle_cannot_do_is_said():
    with refused("cannot do 'Find objects'", "restored (image)", "no labels"):
        run(module("mrbcr.zip", "Find objects"), loaded(RAW))
    with refused("cannot do 'Classify images'", "no scores"):
        run(module("mrbcr.zip", "Classify images"), loaded(RAW))
    with refused("has no output image 'maps: x'", "probabilities: inside"):
        run(module("segmentation.zip", "Make images", [("maps: x", "Maps")]), loaded(RAW))


def check_values_that_are_not_finite_are_refused():
    with refused("'restored' contains NaN or infinite values"):
        run(module("broken.zip", "Make images", [("First one", "Restored")]), loaded(RAW))


def check_labels_that_are_no_labels_are_refused():
    with refused("not object numbers"):
        runzooready.as_labels(np.array([[0, 0.5]]), np.ones((1, 2), bool), None)
    with refused("not object numbers"):
        runzooready.as_labels(np.array([[0, -1.0]]), np.ones((1, 2), bool), None)


def check_a_missing_bundle_is_refused_in_run_and_in_validation():
    plugin = module("nowhere.zip", "Find objects")
    with refused("nowhere.zip", "there is no such file"):
        run(plugin, loaded(RAW))
    with refused("there is no such file", kind=ValidationError):
        plugin.validate_module(None)
    assert plugin.image_choices(None) == ["First one"]
    plugin.task.value = "Classify images"
    assert plugin.get_measurement_columns(None) == []


def check_a_missing_package_is_named():
    import builtins

    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return original(name, *rest, **more)

    runzooready._opened.clear()
    builtins.__import__ = without
    try:
        with refused("needs onnxruntime in CellProfiler's Python", "pip install onnxruntime"):
            run(module("mrbcr.zip", "Make images", [("First one", "Restored")]), loaded(RAW))
    finally:
        builtins.__import__ = original


def changed(name, change, source="mrbcr.zip"):
    """A copy of a bundle in which ``change(files)`` was done."""
    with zipfile.ZipFile(BUNDLES / source) as archive:
        files = {member: archive.read(member) for member in archive.namelist()}
    change(files)
    with zipfile.ZipFile(OUT / name, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return OUT / name


def edited(name, edit):
    import yaml

    def change(files):
        rdf = yaml.safe_load(files["rdf.yaml"])
        edit(rdf)
        files["rdf.yaml"] = yaml.safe_dump(rdf).encode()

    return str(changed(name, change))


def check_descriptions_are_read_as_yaml_1_2():
    import yaml

    text = "a: [on, no, 1e-05, 010, 12:30, .inf, null, true, 'x', 2020-01-01]"
    read = yaml.load(text, Loader=runzooready._yaml_1_2(yaml))
    assert read == {"a": ["on", "no", 1e-05, 10, "12:30", float("inf"), None, True, "x", "2020-01-01"]}


def check_descriptions_that_cannot_be_run_are_refused():
    def step(rdf):
        rdf["inputs"][0]["preprocessing"] = [{"id": "zero_mean_unit_variance"}]

    with refused("zero_mean_unit_variance lies outside the network"):
        runzooready.opened(edited("steps.zip", step))
    with refused("takes 2 inputs"):
        runzooready.opened(edited("inputs.zip", lambda rdf: rdf["inputs"].append(rdf["inputs"][0])))
    with refused("not a model in BioImage.IO format 0.5", "update-format"):
        runzooready.opened(edited("old.zip", lambda rdf: rdf.update(format_version="0.4.9")))
    with refused("holds torchscript, but this module runs ONNX"):
        runzooready.opened(edited("script.zip", lambda rdf: rdf.update(weights={"torchscript": {}})))
    with refused("has axes 'bct'"):
        runzooready.opened(
            edited("time.zip", lambda rdf: rdf["inputs"][0].update(axes=[{"type": kind} for kind in ("batch", "channel", "time")]))
        )
    with refused("does not follow the BioImage.IO format"):
        runzooready.opened(edited("odd.zip", lambda rdf: rdf.update(inputs=["image"])))
    with refused("describes nothing"):
        runzooready.opened(str(changed("empty.zip", lambda files: files.update({"rdf.yaml": b""}))))
    with refused("is not YAML"):
        runzooready.opened(str(changed("yaml.zip", lambda files: files.update({"rdf.yaml": b"a: [1"}))))
    with refused("is not YAML"):
        runzooready.opened(str(changed("code.zip", lambda files: files.update({"rdf.yaml": b"!!python/object/apply:os.getcwd []"}))))
    with refused("is not YAML", "stands there twice"):
        runzooready.opened(str(changed("twice.zip", lambda files: files.update({"rdf.yaml": files["rdf.yaml"] + b"\ntype: model\n"}))))
    with refused("has no rdf.yaml at its root"):
        runzooready.opened(str(changed("without.zip", lambda files: files.pop("rdf.yaml"))))


def check_files_that_were_changed_are_refused():
    path = changed("weights.zip", lambda files: files.update({"weights.onnx": files["weights.onnx"] + b"x"}))
    with refused("weights.onnx was changed after the bundle was made"):
        runzooready.opened(str(path)).start()
    with refused("names 'other.onnx' but does not hold it"):
        runzooready.opened(edited("lost.zip", lambda rdf: rdf["weights"]["onnx"].update(source="other.onnx"))).start()
    with refused("names '../weights.onnx' but does not hold it"):
        runzooready.opened(edited("climb.zip", lambda rdf: rdf["weights"]["onnx"].update(source="../weights.onnx"))).start()

    def no_network(files):
        import hashlib

        import yaml

        rdf = yaml.safe_load(files["rdf.yaml"])
        files["weights.onnx"] = b"no network"
        rdf["weights"]["onnx"]["sha256"] = hashlib.sha256(b"no network").hexdigest()
        files["rdf.yaml"] = yaml.safe_dump(rdf).encode()

    with refused("the ONNX weights do not load"):
        runzooready.opened(str(changed("none.zip", no_network))).start()


def check_zips_that_lead_out_or_are_damaged_are_refused():
    for name in ("../evil.npy", "/evil.npy", "a\\evil.npy"):
        with refused("leads out of the bundle"):
            runzooready.opened(str(changed("out.zip", lambda files, name=name: files.update({name: b"x"}))))
    whole = (BUNDLES / "mrbcr.zip").read_bytes()
    (OUT / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with refused("is not a readable zip"):
        runzooready.opened(str(OUT / "cut.zip"))
    offset = whole.index(b"rdf.yaml") + 200
    (OUT / "flipped.zip").write_bytes(whole[:offset] + b"####" + whole[offset + 4 :])
    with refused("rdf.yaml is damaged"):
        runzooready.opened(str(OUT / "flipped.zip"))
    bytes_before = runzooready.DESCRIPTION_BYTES
    runzooready.DESCRIPTION_BYTES = 10
    try:
        with refused("at most 10 are read"):
            runzooready.Bundle(BUNDLES / "mrbcr.zip")
    finally:
        runzooready.DESCRIPTION_BYTES = bytes_before
    members_before = runzooready.MEMBERS
    runzooready.MEMBERS = 2
    try:
        with refused("at most 2 are read"):
            runzooready.Bundle(BUNDLES / "mrbcr.zip")
    finally:
        runzooready.MEMBERS = members_before


def check_a_replaced_bundle_is_read_again():
    shutil.copy(BUNDLES / "mrbcr.zip", OUT / "changing.zip")
    first = runzooready.opened(str(OUT / "changing.zip"))
    assert runzooready.opened(str(OUT / "changing.zip")) is first
    shutil.copy(BUNDLES / "segmentation.zip", OUT / "changing.zip")
    assert runzooready.opened(str(OUT / "changing.zip")).rdf["name"] == "tiny segmentation"


class Session:
    """Stands for a network: gives ``arrays``, or raises them if they are an error."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def get_inputs(self):
        return [types.SimpleNamespace(name="image")]

    def get_outputs(self):
        return [types.SimpleNamespace(name=name) for name in ("probabilities", "labels")]

    def run(self, names, given):
        if isinstance(self.arrays[0], Exception):
            raise self.arrays[0]
        return list(self.arrays)


@contextmanager
def standing_in(name, *arrays):
    runzooready._opened.clear()
    runzooready.opened(str(BUNDLES / name))._session = Session(*arrays)
    yield
    runzooready._opened.clear()


def check_what_networks_may_do_wrong_is_said():
    find = module("segmentation.zip", "Find objects")
    chances = np.zeros((1, 2, 30, 41), np.float32)
    with (
        standing_in("segmentation.zip", RuntimeError("Failed to allocate memory")),
        refused("not enough memory for an image of 30 x 41 px"),
    ):
        run(find, loaded(RAW))
    with (
        standing_in("segmentation.zip", RuntimeError("no such\noperator")),
        refused("the network failed on an image of shape (1, 30, 41) (operator)"),
    ):
        run(find, loaded(RAW))
    with standing_in("segmentation.zip", chances, chances), refused("declares 'labels'", "returned shape (1, 2, 30, 41)"):
        run(find, loaded(RAW))
    with standing_in("segmentation.zip", chances, chances[:, :1, :9]), refused("the label output has the size (9, 41)"):
        run(find, loaded(RAW))


def check_a_network_of_one_size_says_so():
    def fix(rdf):
        for axis in rdf["inputs"][0]["axes"][2:]:
            axis["size"] = 16

    bundle = runzooready.opened(edited("fixed.zip", fix))
    with refused("takes exactly 16 px along y, and the image has 30", "use Crop or Resize"):
        runzooready.predict(bundle, RAW[None].astype(np.float32), "cyx", 0)
    outputs = runzooready.predict(bundle, RAW[None, :16, :16].astype(np.float32), "cyx", 0)
    assert np.array_equal(outputs["restored"][0], RAW[:16, :16] * np.float32(2))


def check_a_gpu_that_is_not_there_is_said():
    runzooready._opened.clear()
    with refused("sees no GPU", "set 'Use a GPU?' to No"):
        run(module("segmentation.zip", "Find objects", gpu=True), loaded(RAW))


def check_links_and_doubled_names_are_refused():
    for name, mode in (("rdf.yaml", 0o100644), ("link", 0o120777)):
        shutil.copy(BUNDLES / "mrbcr.zip", OUT / "more.zip")
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        with warnings.catch_warnings(), zipfile.ZipFile(OUT / "more.zip", "a") as archive:
            warnings.simplefilter("ignore")
            archive.writestr(entry, "x")
        with refused("twice" if mode == 0o100644 else "leads out of the bundle", "do not use this file"):
            runzooready.Bundle(OUT / "more.zip")


def check_a_test_that_is_no_array_is_refused():
    def edit(rdf):
        rdf["outputs"][0]["test_tensor"] = {"source": "weights.onnx"}

    bundle = runzooready.opened(edited("array.zip", edit))
    with refused("weights.onnx is not an array of numbers"):
        bundle.is_fraction(bundle.outputs[0])


def check_workers_share_the_cpus():
    assert runzooready.threads() == 0
    sys.argv.append("--work-announce=tcp://127.0.0.1")
    before = runzooready.get_max_workers
    try:
        runzooready.get_max_workers = lambda: 10**6
        assert runzooready.threads() == 1
        runzooready.get_max_workers = lambda: 1
        assert runzooready.threads() == os.cpu_count()
    finally:
        runzooready.get_max_workers = before
        sys.argv.pop()


def check_a_cluster_finds_the_bundle():
    plugin = module("segmentation.zip", "Find objects")
    assert plugin.prepare_to_create_batch(None, lambda path, **options: "/cluster" + path) is True
    assert plugin.directory.get_absolute_path() == f"/cluster{BUNDLES}"


# what people see


def check_settings_survive_a_pipeline_file():
    import io

    plugin = module("segmentation.zip", "Find objects", [("First one", "A"), ("probabilities: out side", "B")], tile=512, pixel_um=0.3)
    plugin.add_channel_setting()
    plugin.channels[0].image_name.value = "Red"
    again = runzooready.RunZooready()
    again.set_settings_from_values(
        [setting.unicode_value for setting in plugin.settings()], plugin.variable_revision_number, plugin.module_name
    )
    assert [setting.unicode_value for setting in again.settings()] == [setting.unicode_value for setting in plugin.settings()]
    assert [group.name.value for group in again.images] == ["A", "B"]
    place = again.settings().index(again.diameter)
    newer = (plugin.diameter, plugin.na, plugin.wavelength_nm)
    older = [setting.unicode_value for setting in plugin.settings() if setting not in newer]
    again.diameter.value = 30
    again.set_settings_from_values(older, 1, plugin.module_name)
    assert [setting.unicode_value for setting in again.settings()][place : place + 4] == ["0.0"] * 3 + [plugin.wants_images.unicode_value]
    assert [group.name.value for group in again.images] == ["A", "B"]
    pipeline = Pipeline()
    pipeline.add_module(plugin)
    text = io.StringIO()
    pipeline.dump(text, save_image_plane_details=False)
    assert text.getvalue().isascii()


def check_only_what_matters_is_shown():
    def shown(task):
        return {setting.text for setting in module("segmentation.zip", task).visible_settings()}

    assert "Name the output objects" in shown("Find objects")
    assert "Name the output image" not in shown("Find objects")
    assert "Name the output image" in shown("Make images")
    assert "Name the scores" in shown("Classify images") - shown("Make images")
    assert "Hide what is not the object?" in shown("Classify objects") - shown("Classify images")
    plugin = module("segmentation.zip", "Find objects")
    assert {setting.text for setting in plugin.visible_settings()} <= {
        setting.text for setting in [*plugin.help_settings(), plugin.add_channel, plugin.add_image]
    }
    assert all(setting.doc for setting in plugin.help_settings())


def check_choices_come_from_the_bundle_and_wrong_ones_are_said():
    plugin = module("segmentation.zip", "Make images", [("maps: x", "Maps")])
    assert plugin.image_choices(None) == ["First one", "probabilities: inside", "probabilities: out side"]
    with refused("has no output image 'maps: x'", kind=ValidationError):
        plugin.validate_module(None)
    plugin.images[0].channel.value = "probabilities: inside"
    plugin.validate_module(None)


def check_the_window_shows_input_result_and_scores():
    drawn = []

    class Figure:
        def __getattr__(self, name):
            return lambda *arguments, **options: drawn.append((name, arguments, options))

    plugin = module("segmentation.zip", "Find objects", [("First one", "Inside")])
    plugin.display(run(plugin, loaded(RAW)), Figure())
    names = [name for name, *_ in drawn if name != "subplot"]
    assert names == ["set_subplots", "subplot_imshow", "subplot_imshow_labels", "subplot_imshow"]
    assert drawn[0][1] == ((3, 1),)
    plugin = module("classifier.zip", "Classify images")
    plugin.display(run(plugin, loaded(RAW)), Figure())
    assert drawn[-1][0] == "subplot_table"
    assert drawn[-1][2]["col_labels"] == ["", "highest", "mid dle"]
    source = Path(importlib.util.find_spec("cellprofiler").origin).parent / "gui" / "figure" / "_figure.py"  # needs wx to be imported
    functions = {node.name: node.args.args for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.FunctionDef)}
    for name, arguments, options in drawn:
        known = [argument.arg for argument in functions[name][1:]]
        assert len(arguments) <= len(known)
        assert set(options) - {"sharexy"} <= set(known[len(arguments) :]), name


def check_the_manual_has_the_table_that_people_look_for():
    text = runzooready.__doc__
    assert "Supports 2D? Supports 3D? Respects masks?" in text
    assert all(link.startswith("https://doi.org/") for link in runzooready.RunZooready.doi.values())
    assert runzooready.RunZooready().volumetric()


def main():
    results = {}
    for name, function in list(globals().items()):
        if name.startswith("check_") and inspect.isfunction(function):
            try:
                function()
                results[name] = ""
            except Exception:
                results[name] = traceback.format_exc()
    (OUT / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
