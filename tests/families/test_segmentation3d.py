"""Segmentation of stacks: pairs, the loss, labels of the true targets, training on a folder of stacks with label stacks."""

import shutil

import numpy as np
import pytest
import tifffile
import torch

import zooready
from zooready.bundle.reading import opened
from zooready.cli import main
from zooready.consumers.cellprofiler import headless
from zooready.data import read_folder
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, segmentation, segmentation3d
from zooready.images.geojson import read_geojson
from zooready.images.matching import match
from zooready.images.rois import read_rois
from zooready.nets.labelling_stacks import StackInstances
from zooready.records import Image
from zooready.tensors import TensorSpec

torch.set_num_threads(1)
FAMILY = FAMILIES["segmentation3d"]


def test_a_pair_is_a_stack_with_foreground_and_distance():
    pair = segmentation3d.pair(0, 3)
    assert pair.input.shape == (1, *segmentation3d.CROP)
    assert pair.target.shape == (2, *segmentation3d.CROP)
    assert pair.truth.shape == segmentation3d.CROP
    assert set(np.unique(pair.target[0])) <= {0.0, 1.0}
    assert np.array_equal(pair.target[0] > 0, pair.truth > 0)


def test_labels_of_true_targets_are_the_true_objects():
    pairs = [segmentation3d.field(7, number) for number in range(5)]
    head = StackInstances(core=0.55)  # higher than for a network's outputs, which are lower than true distances
    found = [head(torch.as_tensor(pair.target)[None])[1][0, 0].numpy().astype(int) for pair in pairs]
    assert np.mean([match(pair.truth, labels).f1 for pair, labels in zip(pairs, found, strict=True)]) > 0.97


def test_a_missed_seam_costs_more_than_the_same_error_elsewhere():
    target = torch.zeros(1, 2, 3, 16, 32)
    target[:, 0] = 1
    target[:, 1] = 0.8
    target[..., 16] = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    perfect = target.clone()
    on_seam, elsewhere = perfect.clone(), perfect.clone()
    on_seam[:, 1, :, :, 16] += 0.5
    elsewhere[:, 1, :, :, 4] -= 0.5
    lowest, seam, other = (float(segmentation3d.loss(output.clamp(1e-4, 1 - 1e-4), target)) for output in (perfect, on_seam, elsewhere))
    assert lowest < other < seam


def test_the_sample_has_the_objects_that_its_labels_say():
    image, labels = segmentation3d.sample(), segmentation3d.sample_labels()
    assert image.axes == "zyx"
    assert image.array.shape == labels.shape == segmentation3d.SAMPLE_SHAPE
    assert labels.max() > 20


def folder_of_stacks(path, count=3):
    for kind in ("images", "masks"):
        (path / kind).mkdir(parents=True)
    for number in range(count):
        pair = segmentation3d.field(3, number, (10, 48, 56))
        metadata = {"axes": "ZYX"}
        tifffile.imwrite(path / "images" / f"{number}.tif", pair.input[0].astype(np.uint16), imagej=True, metadata=metadata)
        tifffile.imwrite(path / "masks" / f"{number}.tif", pair.truth.astype(np.uint16), imagej=True, metadata=metadata)
    return path


def test_a_lab_trains_on_its_own_stacks(tmp_path):
    run = zooready.train("segmentation3d", tmp_path / "run", data=folder_of_stacks(tmp_path / "data"), steps=2, device="cpu")
    assert 0 <= run.metrics["f1_50"] <= 1


def test_stacks_beside_single_masks_are_refused(tmp_path):
    data = folder_of_stacks(tmp_path / "data")
    tifffile.imwrite(data / "masks" / "1.tif", np.zeros((48, 56), np.uint16))
    with pytest.raises(InputInvalid, match=r"1\.tif"):
        zooready.train("segmentation3d", tmp_path / "run", data=data, steps=1, device="cpu")


class Bright(torch.nn.Module):
    """Whatever is brighter than 100 is an object."""

    def __init__(self):
        super().__init__()
        self.head = StackInstances(core=0.9)

    def forward(self, image):
        bright = torch.sigmoid(image - 100)
        return self.head(torch.cat((bright, bright), 1))


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A bundle that finds what is bright, and a stack with two blocks as a file."""
    stack = np.zeros((6, 32, 40), np.uint16)
    stack[1:4, 5:15, 6:12], stack[3:6, 20:30, 20:38] = 200, 300
    folder = tmp_path_factory.mktemp("blocks")
    path = folder / "stack.tif"
    tifffile.imwrite(path, stack, imagej=True, resolution=(2.0, 2.0), metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"})
    about = zooready.About(name="Bright blocks", description="Finds blocks.", authors=({"name": "A. Tester"},), license="BSD-3-Clause")
    outputs = [TensorSpec(name="probabilities", axes="bczyx", channels=("foreground", "distance"), description="Chances."),
               TensorSpec(name="labels", axes="bczyx", channels=("objects",), kind="labels", description="Objects.")]  # fmt: skip
    example = Image(array=stack[:, :32, :32], axes="zyx")
    return zooready.export(Bright(), example, about, folder / "blocks.zip", torchscript="plain", outputs=outputs).path, path


def test_objects_of_a_stack_become_rows_with_volumes(blocks):
    bundle, path = blocks
    table = zooready.measure(bundle, [path])
    assert table.column("shape_volume_voxels") == [3 * 10 * 6, 3 * 10 * 18]
    assert table.column("shape_volume_um3") == [3 * 10 * 6 / 2, 3 * 10 * 18 / 2]
    assert table.column("centroid_z_um") == [4.0, 8.0]
    assert table.column("intensity_mean") == [200, 300]


def test_drawn_outlines_of_a_stack_are_refused_in_words(blocks, tmp_path):
    bundle, path = blocks
    with pytest.raises(InputInvalid, match="outlines are drawn on single planes, and the labels are a stack: leave them out, or have them"):
        zooready.measure(bundle, [path], outlines=tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


@pytest.mark.parametrize(("kind", "end", "read"), [("rois", "zip", read_rois), ("geojson", "geojson", read_geojson)])
def test_what_was_found_in_a_stack_is_trained_on_as_outlines(blocks, tmp_path, kind, end, read):
    """predict, correct, train on: the masks of a lab's stacks are the outlines that measuring wrote."""
    bundle, path = blocks
    assert main(["measure", str(bundle), str(path), "--out", str(tmp_path / "t.csv"), f"--{kind}", str(tmp_path / "masks")]) == 0
    found = read(tmp_path / "masks" / f"stack.{end}", (6, 32, 40))
    expected = np.zeros((6, 32, 40), np.int32)
    expected[1:4, 5:15, 6:12], expected[3:6, 20:30, 20:38] = 1, 2
    np.testing.assert_array_equal(found, expected)
    (tmp_path / "images").mkdir()
    shutil.copy(path, tmp_path / "images" / "stack.tif")
    folder = read_folder(tmp_path, segmentation.pair_of, is_stack=True)
    np.testing.assert_array_equal(folder.pairs[0].truth, expected)
    run = zooready.train("segmentation3d", tmp_path / "run", data=tmp_path, steps=1, device="cpu")
    assert run.is_finished


def test_cellprofiler_is_not_handed_stacks_with_an_axis_of_one_voxel(blocks):
    with opened(blocks[0]) as bundle:
        assert headless.run(bundle, "onnx", [np.zeros((1, 1, 1, 1, 1)), np.zeros((1, 1, 1, 32, 32))]) == [None, None]
