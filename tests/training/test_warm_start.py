"""Training that goes on from other weights, keeps the best ones, and hands its own image to the bundle."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from test_train import TINY, bits, run, tiny

from zooready.commands import runs
from zooready.data import read_folder
from zooready.errors import BundleInvalid, InputInvalid
from zooready.families import segmentation
from zooready.images.files import read_image
from zooready.records import Pair, Part
from zooready.tensors import Objects
from zooready.training import checkpoint
from zooready.training.pairs import pairs_of
from zooready.training.sample import SIDE_PX, as_sample, window
from zooready.training.warm_start import Start, begin

pytestmark = pytest.mark.filterwarnings("ignore")
WIDER = replace(TINY, network=replace(TINY.network, architecture=replace(TINY.network.architecture, kwargs={
    **TINY.network.architecture.kwargs, "channels_out": 2})))  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def folder(path, count=5, size=64, seed=0, pixel_size_um=0.5, is_wrong=False):
    """Images whose bright pixels are the mask, or, in other images, its opposite: (size, size) uint16."""
    rng = np.random.default_rng(seed + 100 * is_wrong)
    for index in range(count):
        image = rng.normal(100, 20, (size, size)).clip(0).astype(np.uint16)
        for kind, array in (("images", image), ("masks", ((image > 100) != is_wrong).astype(np.uint8))):
            (path / kind).mkdir(parents=True, exist_ok=True)
            metadata = {"unit": "um"} if pixel_size_um else {}
            resolution = (1 / pixel_size_um, 1 / pixel_size_um) if pixel_size_um else None
            tifffile.imwrite(path / kind / f"{index}.tif", array, imagej=True, resolution=resolution, metadata=metadata)
    return path


def held_out(finished):
    """The held-out losses by step."""
    with (finished.folder / "log.csv").open() as file:
        return {int(row["step"]): float(row["held_out_loss"]) for row in csv.DictReader(file) if row["held_out_loss"]}


def test_weights_are_those_of_the_start(first):
    network = TINY.network.architecture.build()
    begin(network, Start(weights=first.state_dict(), words="the first run"))
    assert {name: value.numpy().tobytes() for name, value in network.state_dict().items()} == bits(first)


def test_a_run_goes_on_from_another_and_is_better_at_once(first, tmp_path):
    start = runs.start_of(first.folder)
    assert start.words == "the run 'run'"
    second = run(tmp_path / "second", start=start)
    assert second.start == "the run 'run'"
    assert second.start_sha256 == start.sha256 != ""
    assert held_out(second)[4] < held_out(first)[4]
    with pytest.raises(InputInvalid, match="holds a run with start_sha256"):
        run(tmp_path / "second")


def test_layers_of_other_classes_begin_fresh_and_are_named(first, caplog):
    network = WIDER.network.architecture.build()
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    begin(network, Start(weights=first.state_dict(), words="the first run"))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, fresh[name])}
    unfit = {name for name, value in first.state_dict().items() if fresh[name].shape != value.shape}
    assert unfit
    assert not changed & unfit
    assert all(name in caplog.text for name in unfit)


def test_another_network_is_no_start(first):
    other = Part(path="zooready.nets.bcr.BCR", kwargs={"width": 8, "levels": 1}).build()
    with pytest.raises(InputInvalid, match="only 0 of this network's [0-9]+ numbers are there.*Start from one of the same family"):
        begin(other, Start(weights=first.state_dict(), words="the first run"))


def test_what_is_no_start_is_named(tmp_path):
    with pytest.raises(InputInvalid, match="'nowhere.zip' is no family, run or bundle: give one of segmentation"):
        runs.start_of("nowhere.zip")
    (tmp_path / "torn.zip").write_bytes(b"PK")
    with pytest.raises(BundleInvalid, match="not a readable zip"):
        runs.start_of(tmp_path / "torn.zip")


def test_simulated_runs_keep_the_last_weights_and_files_the_best(first, tmp_path):
    assert first.best_step == 0
    data, opposite = folder(tmp_path / "data"), folder(tmp_path / "opposite", is_wrong=True)  # the more is learnt, the worse it is there
    finished = run(tmp_path / "run", data=data, validation=opposite, steps=24)
    losses = held_out(finished)
    assert finished.best_step == min(losses, key=losses.get) < 24
    last = run(tmp_path / "last", data=data, validation=opposite, steps=24, keeps_best=False)
    assert last.best_step == 0
    assert max(held_out(last)) == 24
    assert bits(last) != bits(finished)


def test_training_on_files_stops_when_it_gains_nothing(tmp_path):
    opposite = folder(tmp_path / "opposite", is_wrong=True)
    finished = run(tmp_path / "run", data=folder(tmp_path / "data"), validation=opposite, steps=60)
    assert max(held_out(finished)) == finished.best_step + 20 < 60  # a third of the steps
    assert finished.is_finished


@pytest.mark.parametrize("lost", [1, 2])
def test_a_run_on_files_that_was_stopped_ends_with_the_same_best_weights(tmp_path, monkeypatch, lost):
    settings = {"data": folder(tmp_path / "data"), "validation": folder(tmp_path / "opposite", is_wrong=True), "steps": 24}
    whole = run(tmp_path / "whole", **settings)
    from zooready.training import callbacks

    saved = callbacks.curve
    calls = []

    def breaking(rows, path, label):
        calls.append(len(rows))
        if len(calls) == lost + 1:
            raise OSError("the power went")
        saved(rows, path, label)

    monkeypatch.setattr(callbacks, "curve", breaking)
    with pytest.raises(OSError, match="the power went"):
        run(tmp_path / "broken", **settings)
    monkeypatch.undo()
    resumed = run(tmp_path / "broken", **settings)
    assert resumed.best_step == whole.best_step
    assert bits(resumed) == bits(whole)


def test_a_folder_of_its_own_is_held_out(tmp_path):
    data, others = folder(tmp_path / "data", count=3), folder(tmp_path / "others", count=2, seed=7)
    finished = run(tmp_path / "run", data=data, validation=others)
    assert finished.data == "3 images of the folder 'data' and of 'others', 2 held out"
    assert finished.data_sha256 != run(tmp_path / "alone", data=data).data_sha256
    kept = read_image(tmp_path / "run" / "sample.tif").array
    np.testing.assert_array_equal(kept, tifffile.imread(others / "images" / "0.tif"))
    with pytest.raises(InputInvalid, match="cannot be held out beside simulated pairs"):
        run(tmp_path / "simulated", validation=others)


def test_images_that_are_trained_on_are_not_held_out_too(tmp_path):
    data, others = folder(tmp_path / "data", count=3), folder(tmp_path / "others", count=2, seed=7)
    for kind in ("images", "masks"):
        (others / kind / "copy.tif").write_bytes((data / kind / "2.tif").read_bytes())
    with pytest.raises(InputInvalid, match=r"others: 1 image to hold out would be trained on too, pixel for pixel, such as 'copy' \('2' "):
        run(tmp_path / "run", data=data, validation=others)
    with pytest.raises(InputInvalid, match="data: 3 images to hold out would be trained on too"):
        run(tmp_path / "run", data=data, validation=data)


def emptied(path, *names):
    """The folder with masks of zeros for these images."""
    for name in names:
        tifffile.imwrite(path / "masks" / f"{name}.tif", np.zeros_like(tifffile.imread(path / "masks" / f"{name}.tif")))
    return path


def test_an_image_without_objects_is_trained_on_and_the_sample_shows_some(tmp_path):
    data, others = emptied(folder(tmp_path / "data", count=3), 1), emptied(folder(tmp_path / "others", count=2, seed=7), 0)
    pairs = pairs_of(segmentation.FAMILY, data, 0, others)
    assert pairs.words == "3 images of the folder 'data' and of 'others', 2 held out"
    assert any(not pairs.source(0, index).target.any() for index in range(20))
    np.testing.assert_array_equal(pairs.sample.array, tifffile.imread(others / "images" / "1.tif"))


def test_held_out_images_that_show_nothing_are_told(tmp_path, caplog):
    data = folder(tmp_path / "data", count=5)
    (member,) = read_folder(data, segmentation.FAMILY.training.pair_of).split(0)[1]
    pairs = pairs_of(segmentation.FAMILY, emptied(data, member), 0)
    assert "the images held out show no object, so that the metrics say only whether none was found there" in caplog.text
    first = next(number for number in range(5) if number != member)
    np.testing.assert_array_equal(pairs.sample.array, tifffile.imread(data / "images" / f"{first}.tif"))


def test_the_bundle_of_a_lab_shows_an_image_of_the_lab(tmp_path):
    data = folder(tmp_path / "data")
    finished = run(tmp_path / "run", data=data)
    sample = runs.sample_of(TINY, finished.folder)
    originals = [tifffile.imread(path) for path in sorted((data / "images").iterdir())]
    assert any(np.array_equal(sample.array, original) for original in originals)
    assert sample.array.dtype == np.uint16
    assert sample.pixel_size_um == pytest.approx(0.5)
    assert finished.pixel_size_um == pytest.approx((0.5, 0.5))
    assert runs.trained(finished.folder, TINY).about.pixel_size_um == pytest.approx((0.5, 0.5))
    silent = run(tmp_path / "silent", data=folder(tmp_path / "unknown", pixel_size_um=None))
    assert runs.trained(silent.folder, TINY).about.pixel_size_um is None


def test_the_bundle_of_a_lab_states_the_labs_objects_and_a_simulated_one_those_of_the_family(tmp_path):
    known = Objects(diameter_px=(7, 120), foreground=0.8, background=(0.0, 0.3))
    labelled = replace(
        TINY.training,
        pair_of=lambda image, mask, side: Pair(input=image, target=mask[None].astype(np.float32), pixel_size_um=side, truth=mask),
    )
    finder = replace(TINY, objects=known, training=labelled)
    finished = run(tmp_path / "run", finder, data=folder(tmp_path / "data"))
    assert finished.objects.diameter_px[1] > finished.objects.diameter_px[0]
    assert finished.objects != known
    assert checkpoint.read(finished.folder).objects == finished.objects
    assert runs.trained(finished.folder, finder).family.objects == finished.objects
    assert runs.trained(run(tmp_path / "simulated", finder).folder, finder).family.objects == known


def test_the_sample_of_a_large_image_is_where_something_is():
    image, partner = np.zeros((1, 700, 1100), np.float32), np.zeros((1, 700, 1100), np.float32)
    partner[:, 600:650, 900:1000] = 1
    image[:, 600:650, 900:1000] = 7
    part = window(image, partner)
    assert part.shape[1] <= SIDE_PX
    assert part.sum() == 7 * 50 * 100


@pytest.mark.parametrize(
    ("array", "dtype", "axes"),
    [
        (np.full((1, 4, 5), 3.0, np.float32), "uint16", "yx"),
        (np.full((1, 4, 5), 3.5, np.float32), "float32", "yx"),
        (np.full((1, 4, 5), -3.0, np.float32), "float32", "yx"),
        (np.full((1, 4, 5), 70000.0, np.float32), "float32", "yx"),
        (np.full((1, 4, 5), 3, np.int64), "float32", "yx"),
        (np.full((1, 4, 5), 3, np.uint8), "uint8", "yx"),
        (np.full((2, 4, 5), 3.0, np.float32), "uint16", "cyx"),
        (np.full((1, 3, 4, 5), 3.0, np.float32), "uint16", "zyx"),
    ],
)
def test_a_sample_is_what_imagej_opens(array, dtype, axes):
    sample = as_sample(array, ("a", "b")[: len(array)], 0.1)
    assert (sample.array.dtype.name, sample.axes) == (dtype, axes)
    np.testing.assert_array_equal(sample.array.reshape(array.shape), array)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(tmp_path, rate):
    with pytest.raises(InputInvalid, match="learning_rate=.*: give a number above 0"):
        run(tmp_path, tiny(), learning_rate=rate)
