"""Instance labels made inside the network, against scipy and scikit-image."""

import numpy as np
import onnxruntime
import pytest
import torch
from scipy import ndimage
from skimage.segmentation import watershed

from zooready.images.matching import match
from zooready.nets.components import numbered
from zooready.nets.labelling import Instances

EIGHT = np.ones((3, 3))
SIZES = [(1, 1, 1), (1, 1, 57), (2, 33, 1), (2, 71, 97), (1, 160, 128)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def blobs(batch, height, width, seed=0):
    """Smooth random images (b, 2, y, x) float32 around 0.5: many irregular objects, also at the border and in the first pixel."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((batch, 2, height, width)), (0, 0, 2, 2)) * 3 + 0.45
    noise[:, :, 0, 0] = 0.9
    return torch.as_tensor(noise.astype(np.float32))


def discs(size, centres, radius):
    y, x = np.mgrid[:size, :size]
    depth = np.stack([1 - np.hypot(y - cy, x - cx) / radius for cy, cx in centres])
    labels = np.where(depth.max(0) > 0, depth.argmax(0) + 1, 0)
    return labels, torch.as_tensor(np.stack([depth.max(0) > 0, depth.max(0).clip(0)]).astype(np.float32))[None]


def spiral(size):
    """One arm, three pixels wide with gaps of three, that winds to the middle."""
    path = np.zeros((size, size), bool)
    y, x, dy, dx, steps = 1, 1, 0, 1, size - 3
    path[1, 1] = True
    while steps > 5:
        for _ in range(2):
            for _ in range(steps):
                y, x = y + dy, x + dx
                path[y, x] = True
            dy, dx = dx, -dy
            if (dy, dx) == (1, 0) and not path[1, 2:-2].all():
                continue
        steps -= 6
    return path


@pytest.mark.parametrize("size", SIZES)
def test_cores_are_numbered_like_connected_components(size):
    core = blobs(*size)[:, 1:] > 0.5
    labels = numbered(core, 40).numpy()
    for image, mask in zip(labels[:, 0], core[:, 0].numpy(), strict=True):
        truth, count = ndimage.label(mask, EIGHT)
        assert sorted(set(image.ravel()) - {0}) == list(range(1, count + 1))
        assert match(truth, image, 0.99).f1 == 1
        assert (image > 0).sum() == mask.sum()


def test_touching_discs_get_their_own_labels():
    truth, probabilities = discs(96, [(30, 30), (30, 49), (48, 40), (80, 80), (0, 70)], 11)
    labels = Instances()(probabilities)[1].numpy()[0, 0]
    matches = match(truth, labels, 0.9)
    assert (matches.f1, matches.n_second) == (1, 5)
    assert matches.mean_iou > 0.96


def test_climbing_agrees_with_watershed_on_the_same_seeds():
    probabilities = torch.cat([blobs(1, 128, 128, 3)[:, :1] + 0.15, ndimage_smooth(blobs(1, 128, 128, 3)[:, :1])], 1)
    network = Instances(rounds=40, growth=40)
    foreground = probabilities[0, 0].numpy() > 0.5
    height = ndimage.uniform_filter(probabilities[0, 1].numpy(), 3, mode="constant") * foreground
    seeds = numbered(torch.as_tensor(height > 0.5)[None, None], 40)
    expected = watershed(-height, seeds[0, 0].numpy().astype(int), mask=foreground, connectivity=EIGHT)
    labels = network(probabilities)[1].numpy()[0, 0]
    matches = match(expected, labels)
    assert matches.n_first == matches.n_second > 10
    assert matches.overlap.sum() > 0.9 * matches.foreground_first


def test_an_object_of_two_hundred_pixels_is_filled_to_its_outline():
    truth, probabilities = discs(420, [(110, 110), (110, 300), (290, 205)], 100)
    labels = Instances(core=0.8)(probabilities)[1].numpy()[0, 0]
    matches = match(truth, labels, 0.9)
    assert (matches.f1, matches.n_second) == (1, 3)


def ndimage_smooth(image):
    return torch.as_tensor(ndimage.gaussian_filter(image.numpy(), (0, 0, 1, 1)))


def test_a_spiral_needs_more_rounds_and_is_never_mixed_with_its_neighbour():
    arm = spiral(64)
    core = np.stack([arm, ndimage.label(~ndimage.binary_dilation(arm, EIGHT), EIGHT)[0] == 1])
    both = torch.as_tensor(core.any(0))[None, None]
    truth, count = ndimage.label(both[0, 0].numpy(), EIGHT)
    few, many = (numbered(both, r).numpy()[0, 0] for r in (2, 400))
    assert many.max() == count
    assert few.max() > count
    for name in range(1, int(few.max()) + 1):
        assert len(set(truth[few == name])) == 1


def test_objects_far_below_the_mean_area_are_left_out_and_the_others_numbered_again():
    truth, probabilities = discs(120, [(8, 8), (30, 30), (80, 40), (70, 90)], 20)
    small, small_probabilities = discs(120, [(8, 100)], 5)
    both = torch.maximum(probabilities, small_probabilities)
    counts = [int(Instances(smallest=percent)(both)[1].max()) for percent in (0, 3, 10)]
    labels = Instances(smallest=10)(both)[1].numpy()[0, 0]
    assert counts == [5, 5, 4]
    assert sorted(np.unique(labels)) == [0, 1, 2, 3, 4]
    assert not labels[small > 0].any()
    assert match(truth, labels, 0.6).f1 == 1


def test_empty_and_full_images():
    for value, count in ((0.0, 0), (1.0, 1)):
        probabilities = torch.full((2, 2, 40, 23), value)
        labels = Instances()(probabilities)[1]
        assert labels.shape == (2, 1, 40, 23)
        assert labels.dtype == torch.float32
        assert (labels == count).all()


def test_probabilities_pass_unchanged_and_foreground_without_a_core_is_background():
    probabilities = torch.zeros(1, 2, 9, 9)
    probabilities[0, 0, 2:5, 2:5] = 1
    same, labels = Instances()(probabilities)
    assert torch.equal(same, probabilities)
    assert not labels.any()


@pytest.mark.parametrize(
    ("setting", "value"), [("foreground", 0.9), ("core", 0.9), ("rounds", 1), ("doublings", 0), ("growth", 1), ("smallest", 50)]
)
def test_every_setting_changes_something_and_is_shown(setting, value):
    probabilities = blobs(1, 90, 80)
    changed = Instances(**{setting: value})
    assert not torch.equal(changed(probabilities)[1], Instances()(probabilities)[1])
    assert f"{setting}={value}" in repr(changed)


def test_pixel_indices_are_exact_beyond_4096_squared():
    core = torch.zeros(1, 1, 4097, 4097, dtype=torch.bool)
    core[0, 0, -1, -9:] = torch.tensor([1, 0, 1, 0, 1, 0, 1, 1, 1], dtype=torch.bool)
    core[0, 0, -3, -9:] = torch.tensor([1, 1, 1, 0, 1, 0, 1, 0, 1], dtype=torch.bool)
    labels = numbered(core, 1)[0, 0, -3:, -9:].numpy()
    assert labels[0].tolist() == [1, 1, 1, 0, 2, 0, 3, 0, 4]
    assert labels[2].tolist() == [5, 0, 6, 0, 7, 0, 8, 8, 8]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """TorchScript and ONNX Runtime of the same labelling, both recorded at one size."""
    network, example = Instances(smallest=10).eval(), blobs(1, 37, 41)
    path = tmp_path_factory.mktemp("onnx") / "labels.onnx"
    axes = dict.fromkeys(("probabilities", "same", "labels"), {0: "b", 2: "y", 3: "x"})
    traced = torch.jit.trace(network, example)
    torch.onnx.export(
        network, (example,), path, dynamo=False, opset_version=17, input_names=["probabilities"],
        output_names=["same", "labels"], dynamic_axes=axes,
    )  # fmt: skip
    return traced, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("size", SIZES)
def test_torchscript_and_onnx_equal_eager_exactly(exported, size):
    traced, session = exported
    probabilities = blobs(*size, seed=1)
    expected = Instances(smallest=10)(probabilities)[1]
    assert torch.equal(traced(probabilities)[1], expected)
    np.testing.assert_array_equal(session.run(["labels"], {"probabilities": probabilities.numpy()})[0], expected.numpy())


def test_the_trace_names_no_device(exported):
    assert "Device = " not in str(exported[0].inlined_graph)
