"""Objects of several classes in images of several channels: folders of masks, the family that is made for them, a training, its table."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from zooready.commands import runs
from zooready.commands.train import train
from zooready.data import read_folder
from zooready.data.folder import contents
from zooready.errors import InputInvalid
from zooready.evaluation import own_images
from zooready.families import FAMILIES, for_classes, for_folder, segmentation
from zooready.images.files import write_image
from zooready.records import Image
from zooready.training.loop import train as fit
from zooready.training.pairs import object_classes


def two_kinds(folder, count=3, size=64, channels=2):
    """Images with two large and two small squares in other channels, and a folder of masks for each kind."""
    for kind in ("images", "masks/large", "masks/small"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        large, small = np.zeros((size, size), np.uint16), np.zeros((size, size), np.uint16)
        for name, top in enumerate((4, 36), 1):
            left = int(rng.integers(4, 20))
            large[top : top + 20, left : left + 20] = name
            small[top + 6 : top + 12, 50:56] = name
        planes = np.stack([200 + 900 * (large > 0), 100 + 700 * (small > 0), np.full((size, size), 50)])[:channels]
        image = rng.poisson(planes).astype(np.uint16)
        array = image if channels > 1 else image[0]
        write_image(Image(array=array, axes="cyx"[-array.ndim :], channels=("dna", "spots", "none")[: channels if channels > 1 else 0]),
                    folder / "images" / f"{number}.tif")  # fmt: skip
        for kind, mask in (("large", large), ("small", small)):
            write_image(Image(array=mask, axes="yx"), folder / "masks" / kind / f"{number}_mask.tif")
    return folder


@pytest.mark.parametrize("count", [2, 3, 40])
def test_what_the_outputs_mean_fits_into_a_description(count):
    record = segmentation.family(tuple(f"phenotype {number}" for number in range(count)), ("dna", "actin"))
    assert all(len(spec.description) <= 128 for spec in record.outputs), "BioImage.IO takes no longer ones"
    assert "0 background" in record.outputs[-1].description


@pytest.fixture
def folder(tmp_path):
    return two_kinds(tmp_path / "cells")


def test_the_family_is_made_for_the_folders_classes_and_channels(folder):
    assert contents(folder) == (("large", "small"), ("dna", "spots"))
    record = for_folder(FAMILIES["segmentation"], folder)
    assert record.input.channels == ("dna", "spots")
    assert [spec.name for spec in record.outputs] == ["probabilities", "labels", "classes"]
    assert record.outputs[0].channels == ("foreground", "distance", "large", "small")
    assert object_classes(record) == ("large", "small")
    network = record.network.architecture.build().eval()
    with torch.no_grad():
        output = network(torch.rand(1, 2, 64, 64))
        _, labels, classes = record.network.head.build()(output)
    assert (output.shape, labels.shape, classes.shape) == ((1, 4, 64, 64), (1, 1, 64, 64), (1, 1, 64, 64))


def test_one_class_in_one_channel_is_the_family_itself(tmp_path):
    one = two_kinds(tmp_path / "one", channels=1)
    shutil.rmtree(one / "masks" / "small")
    assert len(read_folder(one, segmentation.pair_of).pairs) == 3  # a single class may have its folder
    assert for_folder(FAMILIES["segmentation"], one) is FAMILIES["segmentation"]
    assert for_classes("segmentation", ("nuclei",), ("anything",)) is FAMILIES["segmentation"]
    assert for_folder(FAMILIES["mrbcr"], one) is FAMILIES["mrbcr"]
    with pytest.raises(InputInvalid, match=r"classes \('a', 'a'\) in channels \('x',\): give distinct names"):
        for_classes("segmentation", ("a", "a"), ("x",))


def test_one_class_in_several_channels_has_no_class_image(folder):
    record = for_classes("segmentation", ("cells",), ("dna", "actin"))
    assert [spec.name for spec in record.outputs] == ["probabilities", "labels"]
    assert object_classes(record) == ("cells",)
    assert record.training.loss is segmentation.loss


def test_objects_of_all_classes_are_numbered_together_and_the_smaller_one_is_on_top():
    labels = np.zeros((2, 40, 40), np.uint16)
    labels[0, 5:25, 5:25], labels[1, 10:14, 10:14], labels[1, 30:34, 30:34] = 1, 1, 2
    pair = segmentation.pair_of_classes(np.zeros((3, 40, 40), np.float32), labels)
    assert pair.target.shape == (4, 40, 40)
    assert len(np.unique(pair.truth)) == 4
    assert pair.truth[12, 12] not in (0, pair.truth[6, 6])
    assert pair.target[2:, 12, 12].tolist() == [0, 1]
    assert pair.target[2:, 6, 6].tolist() == [1, 0]
    np.testing.assert_array_equal(pair.target[2:].sum(0), pair.truth > 0)


def test_the_loss_asks_for_the_class_and_the_metrics_count_each():
    labels = np.zeros((2, 40, 40), np.uint16)
    labels[0, 5:25, 5:25], labels[1, 30:36, 30:36] = 1, 1
    pair = segmentation.pair_of_classes(np.zeros((1, 40, 40), np.float32), labels)
    target = torch.as_tensor(pair.target)[None]
    right, swapped = target.clamp(0.01, 0.99), target[:, [0, 1, 3, 2]].clamp(0.01, 0.99)
    assert segmentation.loss_of_classes(right, target) < segmentation.loss_of_classes(swapped, target)
    measured = partial(segmentation.metrics_of_classes, names=("large", "small"))
    assert measured(right, pair)["f1_50_small"] == 1
    assert measured(swapped, pair)["f1_50_small"] == 0
    assert measured(swapped, pair)["f1_50"] == 1


def test_a_class_without_a_file_has_no_objects_there(folder):
    (folder / "masks" / "small" / "1_mask.tif").unlink()
    pairs = read_folder(folder, segmentation.pair_of_classes, channels=2, classes=("large", "small"))
    by_name = dict(zip(pairs.names, pairs.pairs, strict=True))
    assert by_name["1"].target[3].sum() == 0
    assert by_name["0"].target[3].sum() == 72
    assert [mask.objects for mask in pairs.masks] == [4, 2, 4]
    assert not pairs.notes  # that a class covers little of what is bright is right


def test_another_size_of_one_class_is_a_fault_that_names_its_file(folder):
    write_image(Image(array=np.ones((10, 10), np.uint8), axes="yx"), folder / "masks" / "small" / "1_mask.tif")
    with pytest.raises(InputInvalid, match=r"images/1\.tif and small/1_mask\.tif differ in size"):
        read_folder(folder, segmentation.pair_of_classes, channels=2, classes=("large", "small"))


def test_a_training_keeps_classes_and_channels_and_its_images_are_judged(folder, tmp_path, monkeypatch):
    small = replace(FAMILIES["segmentation"].training.recipe, batch=2)
    monkeypatch.setitem(
        FAMILIES, "segmentation", replace(FAMILIES["segmentation"], training=replace(FAMILIES["segmentation"].training, recipe=small))
    )
    run = train("segmentation", tmp_path / "run", data=folder, steps=2, device="cpu")
    assert (run.classes, run.channels) == (("large", "small"), ("dna", "spots"))
    assert {"f1_50", "f1_50_large", "f1_50_small"} <= set(run.metrics)
    family = runs.family_of(run)
    assert family.outputs[-1].name == "classes"
    sample = runs.sample_of(family, run.folder)
    assert (sample.axes, sample.channels) == ("cyx", ("dna", "spots"))
    page = own_images.write(family, run.state_dict(), folder, tmp_path / "judged", data_sha256=run.data_sha256).read_text()
    assert "Each class" in page
    assert "| large |" in page


def test_the_numbers_of_a_run_are_those_of_its_evaluation(tmp_path, monkeypatch):
    """Both judge the whole held-out images, here of a size that no network takes without padding."""
    folder = two_kinds(tmp_path / "cells", count=10, size=75, channels=1)
    record = for_folder(FAMILIES["segmentation"], folder)
    run = fit(replace(record, training=replace(record.training, recipe=replace(record.training.recipe, batch=2))), tmp_path / "run",
              data=folder, steps=20, device="cpu", is_quiet=True)  # fmt: skip
    page = own_images.write(record, run.state_dict(), folder, tmp_path / "judged", data_sha256=run.data_sha256).read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| mean of the images")]
    stated = [float(cell) for cell in row.split("|")[2:] if cell.strip()]
    assert stated[-3:] == pytest.approx([run.metrics[name] for name in ("f1_50", "f1_75", "mean_iou")], abs=6e-4)
    assert run.metrics["mean_iou"] > 0
