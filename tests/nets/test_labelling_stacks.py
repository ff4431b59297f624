"""Labels of stacks made inside the network, against scipy and scikit-image."""

import numpy as np
import onnxruntime
import pytest
import torch
from scipy import ndimage
from skimage.segmentation import watershed

from zooready.families import segmentation
from zooready.images.matching import match
from zooready.nets.components import numbered
from zooready.nets.labelling_stacks import StackInstances

SIZES = [(1, 1, 1, 1), (1, 1, 1, 37), (2, 5, 33, 1), (2, 7, 31, 24)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def blobs(batch, *shape):
    """Smooth random stacks (b, 2, z, y, x) float32 around 0.5: many irregular objects, also at faces and in the first voxel."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((batch, 2, *shape)), (0, 0, 1, 2, 2)) * 4 + 0.45
    noise[:, :, 0, 0, 0] = 0.9
    return torch.as_tensor(noise.astype(np.float32))


def balls(shape, centres, radius):
    z, y, x = np.indices(shape)
    depth = np.stack([1 - np.sqrt((2 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) / radius for cz, cy, cx in centres])
    return np.where(depth.max(0) > 0, depth.argmax(0) + 1, 0)


@pytest.mark.parametrize("size", SIZES)
def test_cores_are_numbered_like_connected_components(size):
    core = blobs(*size)[:, 1:] > 0.5
    labels = numbered(core, 30).numpy()
    for stack, mask in zip(labels[:, 0], core[:, 0].numpy(), strict=True):
        truth, count = ndimage.label(mask, np.ones((3, 3, 3)))
        assert sorted(set(stack.ravel()) - {0}) == list(range(1, count + 1))
        assert match(truth, stack.astype(np.int64), 0.99).f1 == 1.0


def test_touching_balls_are_parted_as_a_watershed_parts_them():
    truth = balls((12, 40, 64), [(6, 20, 14), (6, 20, 31), (5, 20, 50)], 11)
    pair = segmentation.pair_of(np.zeros((1, *truth.shape)), truth)
    labels = StackInstances(core=0.55)(torch.as_tensor(pair.target)[None])[1][0, 0].numpy().astype(int)
    height = pair.target[1]
    seeds = ndimage.label(ndimage.uniform_filter(height, (1, 3, 3)) > 0.55, np.ones((3, 3, 3)))[0]
    flooded = watershed(-height, seeds, mask=truth > 0)
    assert labels.max() == 3
    assert match(truth, labels, 0.9).f1 == 1.0
    assert match(flooded, labels, 0.9).f1 == 1.0


def test_an_object_of_three_planes_is_found_and_an_empty_stack_has_none():
    truth = np.zeros((9, 32, 32), np.int32)
    truth[3:6, 8:20, 8:20] = 1
    target = torch.as_tensor(segmentation.pair_of(np.zeros((1, *truth.shape)), truth).target)[None]
    assert np.array_equal(StackInstances(core=0.55)(target)[1][0, 0].numpy(), truth)
    assert StackInstances()(torch.zeros_like(target))[1].max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_onnx_gives_the_same_labels(size, tmp_path):
    path, example = tmp_path / "labels.onnx", blobs(1, 4, 24, 28)
    names = {0: "b", 2: "z", 3: "y", 4: "x"}
    torch.onnx.export(
        StackInstances(), (example,), path, input_names=["p"], output_names=["q", "labels"], dynamic_axes={"p": names}, dynamo=False
    )
    probabilities = blobs(*size)
    expected = StackInstances()(probabilities)[1].numpy()
    found = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["labels"], {"p": probabilities.numpy()})[0]
    assert np.array_equal(found, expected)
