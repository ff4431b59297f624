"""Normalisation: the same in NumPy, TorchScript and ONNX, and finite for every image without NaN."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch

from zooready import java
from zooready.nets.normalization import FirstMeanStd, JointMeanStd, MeanStd, MinMax, Percentiles, normalised

MODULES = [
    Percentiles(1, 99),
    Percentiles(0, 100),
    Percentiles(2.5, 99.8),
    Percentiles(10, 99.8, brightest=3.0),
    MeanStd(),
    FirstMeanStd(10.0),
    JointMeanStd(),
    MinMax(),
]
IDS = [repr(module) for module in MODULES]
SIZES = [(1, 1, 1, 1), (2, 3, 71, 97), (1, 2, 1, 33), (1, 1, 256, 255)]


def make_image(*size, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).gamma(2.0, 300.0, size).astype(np.float32))


def test_percentiles_are_nearest_ranks_of_each_channel():
    image = make_image(2, 3, 71, 97)
    offset, scale = Percentiles(1, 99).statistics(image)
    assert offset.shape == scale.shape == (2, 3, 1, 1)
    pixels = np.sort(image.numpy().reshape(2, 3, -1))
    k = 71 * 97 // 100
    np.testing.assert_array_equal(offset[..., 0, 0], pixels[..., k])
    np.testing.assert_array_equal((offset + scale)[..., 0, 0].round(decimals=2), pixels[..., -1 - k].round(2))


def test_mean_and_standard_deviation_are_those_of_numpy():
    image = make_image(2, 3, 40, 30)
    offset, remainder, scale = MeanStd().statistics(image)
    np.testing.assert_allclose((offset + remainder)[..., 0, 0], image.numpy().mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(scale[..., 0, 0], image.numpy().std((2, 3)), rtol=1e-5)


def test_only_the_first_channel_is_measured():
    image = make_image(2, 3, 40, 30)
    first = MeanStd()(image[:, :1])
    normal = FirstMeanStd(10.0)(image)
    assert torch.equal(normal[:, :1], first)
    torch.testing.assert_close(normal[:, 1:], image[:, 1:] / 10)


def test_min_max_maps_to_zero_and_one():
    image = MinMax()(make_image(2, 3, 40, 30))
    assert (image.amin((2, 3)) == 0).all()
    assert (image.amax((2, 3)) == 1).all()


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_forward_is_the_statistics_applied(module):
    image = make_image(2, 2, 30, 20)
    *offsets, scale = module.statistics(image)
    values = image
    for offset in offsets:
        values = values - offset
    assert torch.equal(module(image), values / scale)


@pytest.mark.parametrize("module", MODULES, ids=IDS)
@pytest.mark.parametrize("value", [0.0, 7.0, 65535.0, -3.0, 1e30])
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (2, 1, 33, 20)])
def test_constant_images_are_finite(module, value, size):
    assert torch.isfinite(module(torch.full(size, value))).all()


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_a_few_bright_pixels_on_black_are_finite_and_of_order_one(module):
    image = torch.zeros(1, 1, 64, 64)
    image[0, 0, 5, 5:8] = 60000.0
    assert module(image).abs().max() < 1000


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_volumes_have_one_more_axis(module):
    volume = make_image(2, 1, 5, 12, 13)
    assert {statistic.shape for statistic in module.statistics(volume)} == {(2, 1, 1, 1, 1)}
    assert torch.equal(module(volume).flatten(2), module(volume.flatten(2, 3)).flatten(2))


def test_percentiles_differ_by_their_settings_and_show_them():
    image = make_image(1, 1, 50, 50)
    assert repr(Percentiles(2, 97.5)) == "Percentiles(low=2, high=97.5)"
    for other in (Percentiles(5, 99), Percentiles(1, 95)):
        assert not torch.equal(other(image), Percentiles(1, 99)(image))


@pytest.mark.parametrize(("low", "high"), [(50, 50), (-1, 99), (1, 101)])
def test_percentages_out_of_range_are_refused(low, high):
    with pytest.raises(ValueError, match=f"low={low}, high={high}: use percentages"):
        Percentiles(low, high)


def test_a_few_bright_objects_in_a_large_field_set_the_scale_and_a_hot_pixel_does_not():
    noise = 100 + torch.from_numpy(np.random.default_rng(0).normal(0, 3, (1, 1, 300, 301))).float()
    spots = noise.clone()
    spots[..., 50:53, 60:63] += 150.0
    module = Percentiles(10, 99.8, brightest=3.0)
    assert float(module(spots)[..., 50:53, 60:63].mean()) == pytest.approx(3, rel=0.02)
    assert float(Percentiles(10, 99.8)(spots).max()) > 9
    speck = noise.clone()
    speck[..., 50:53, 60:63] += 30000.0
    assert torch.allclose(module.statistics(speck)[1], 8 * Percentiles(10, 99.8).statistics(speck)[1])
    hot = noise.clone()
    hot[..., 299, 300] += 60.0
    assert torch.equal(module(hot)[..., :250, :250], Percentiles(10, 99.8)(hot)[..., :250, :250])
    assert repr(module) == "Percentiles(low=10, high=99.8, brightest=3.0)"
    with pytest.raises(ValueError, match="brightest=0: give a number above 0"):
        Percentiles(brightest=0)


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_nothing_is_stored(module):
    assert not module.state_dict()


def written(module, folder):
    """The module as n.pt and n.onnx, for (b, c, y, x) of any size."""
    example = make_image(1, 2, 37, 41)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example)
        torch.jit.save(traced, str(folder / "n.pt"))
        torch.onnx.export(
            module, (example,), folder / "n.onnx", dynamo=False, opset_version=17, input_names=["image"],
            output_names=["values"], dynamic_axes=dict.fromkeys(("image", "values"), dict(enumerate("bcyx"))),
        )  # fmt: skip
    session = onnxruntime.InferenceSession(folder / "n.onnx", providers=["CPUExecutionProvider"])
    return traced, lambda image: session.run(None, {"image": np.asarray(image)})[0]


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_torchscript_and_onnx_equal_eager_at_any_size(module, tmp_path):
    traced, in_onnx = written(module, tmp_path)
    assert "Device = " not in str(traced.inlined_graph)
    for size in SIZES:
        image = make_image(*size, seed=1)
        assert torch.equal(traced(image), module(image))
        np.testing.assert_allclose(in_onnx(image), module(image), rtol=1e-5, atol=1e-5)


# A camera's offset is large and what varies is small: float32 then has few digits for the mean, and none to lose in a sum.

CAMERAS = {  # size, offset and spread in counts
    "60000 +- 20": ((1, 1, 512, 512), 60000, 20),
    "65000 +- 1": ((1, 1, 301, 257), 65000, 1),
    "60000 +- 1, two channels": ((2, 2, 128, 77), 60000, 1),
    "one row": ((1, 1, 1, 200_000), 60000, 20),
    "one column": ((1, 1, 200_000, 1), 60000, 1),
    "darkness": ((1, 1, 512, 512), 0, 2),
    "a stripe": ((1, 1, 512, 512), 60000, 0),
}


def camera(name):
    """Counts of a 16-bit camera, float32; the last one varies by one count between its halves, and has a dead and a hot pixel."""
    size, offset, spread = CAMERAS[name]
    image = np.round(offset + spread * np.random.default_rng(3).standard_normal(size)).clip(0, 65535)
    if name == "a stripe":
        image[..., : size[-1] // 2] += 1
        image[0, 0, 0, 0], image[0, 0, 7, 8] = 65535, 0
    return image.astype(np.float32)


def in_standard_deviations(image):
    """(b, c, y, x) -> the same shape: what MeanStd must give, in float64."""
    exact = image.astype(np.float64)
    return (exact - exact.mean((2, 3), keepdims=True)) / exact.std((2, 3), keepdims=True)


@pytest.mark.parametrize("name", CAMERAS)
def test_mean_and_standard_deviation_are_exact_for_every_16_bit_camera(name, tmp_path):
    image = camera(name)
    expected = in_standard_deviations(image)
    traced, in_onnx = written(MeanStd(), tmp_path)
    tensor = torch.from_numpy(image)
    for engine, values in {"eager": MeanStd()(tensor).numpy(), "script": traced(tensor).numpy(), "onnx": in_onnx(image)}.items():
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-5, err_msg=engine)


@pytest.mark.java
@pytest.mark.parametrize("engine", ["pytorch", "onnx-1.12.1", "onnx-1.13.1"])
def test_mean_and_standard_deviation_are_exact_in_fijis_engines(engine, engines, tmp_path):
    written(MeanStd(), tmp_path)
    images = [camera(name) for name in ("60000 +- 20", "one row")]
    results = java.run(engine, tmp_path / ("n.pt" if engine == "pytorch" else "n.onnx"), images)
    for image, (values,) in zip(images, results.outputs, strict=True):
        np.testing.assert_allclose(values, in_standard_deviations(image), rtol=1e-6, atol=1e-5)


def test_channels_that_are_normalised_together_keep_their_brightness_beside_one_another():
    image = torch.rand(2, 2, 8, 6) * torch.tensor([10.0, 100.0])[None, :, None, None]
    statistics = JointMeanStd().statistics(image)
    assert all(values.shape == (2, 1, 1, 1) for values in statistics)
    result = normalised(image, statistics)
    assert torch.allclose(result.mean((1, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(result.std((1, 2, 3), unbiased=False), torch.ones(2), atol=1e-5)
    assert (result[:, 1].mean() - result[:, 0].mean()) > 1
