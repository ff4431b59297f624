"""PLCNN and its two paths alone: sizes, maps that add up to the decision, and what each setting changes."""

import inspect
import warnings

import classifiers
import numpy as np
import onnxruntime
import pytest
import torch
from classifiers import VGG, ResNet

from zooready.exporting import probing
from zooready.nets import plcnn
from zooready.nets.plcnn import PLCNN, Scores, average, average_enlarged, enlarged

SMALL = {"widths": (4, 6, 6, 8, 10), "features": 4}
SIZES = [(1, 1), (2, 7), (24, 24), (70, 97)]


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def used(network, channels=1):
    """The network with statistics of its batch normalisation as after some training, in eval mode."""
    for _ in range(3):
        network(3 * torch.randn(4, channels, 32, 32) + 1)
    return network.eval().requires_grad_(False)


def convolutions(*pairs):
    """Weights and biases of convolutions given as (in, out, kernel side)."""
    return sum(a * b * k * k + b for a, b, k in pairs)


def test_the_number_of_parameters_is_that_of_the_drawing():
    def block(w):  # two 3x3 without bias, two normalisations
        return 2 * 9 * w * w + 4 * w

    def stage(channels_in, w):
        residual = convolutions((channels_in, w, 1)) + 2 * block(w) + 9 * w * w + 2 * w
        return residual + convolutions((channels_in, w, 1), *[(w, w, 3)] * 3)

    stem, plain = 25 * 32 + 2 * 32, convolutions((1, 16, 3), (16, 16, 3), (16, 32, 3), (32, 32, 3))
    features = convolutions((1, 32, 5), *[(32, 32, 3)] * 3)
    linear = (2 * 80 + 32) * 10 + 10
    assert parameters(PLCNN()) == stem + plain + 2 * block(32) + stage(64, 48) + stage(96, 64) + stage(128, 80) + features + linear
    assert 4 * parameters(PLCNN()) < 5_000_000


def test_its_rivals_have_as_many_parameters():
    for rival in (ResNet(), VGG(), VGG(is_normalised=True)):
        assert parameters(rival) == pytest.approx(parameters(PLCNN()), rel=0.1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strides", [(2, 2, 2), (2, 1, 1), (1, 1, 1)])
def test_any_size_gives_maps_of_its_own_size(size, strides):
    network = used(PLCNN(2, 3, **SMALL, strides=strides), 2)
    logits, maps = network(torch.randn(2, 2, *size))
    assert (logits.shape, maps.shape) == ((2, 3), (2, 3, *size))
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_logit_is_the_mean_of_its_map_plus_the_bias(size):
    network = used(PLCNN(1, 5, **SMALL))
    torch.nn.init.normal_(network.last.bias)
    logits, maps = network(torch.randn(2, 1, *size))
    torch.testing.assert_close(maps.double().mean((2, 3)) + network.last.bias.double(), logits.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_training_sees_the_same_logits_without_maps_at_the_images_size(size):
    coarse, image = torch.randn(2, 5, -(-size[0] // 8), -(-size[1] // 8)), torch.zeros(2, 1, *size)
    torch.testing.assert_close(average_enlarged(coarse, 8, image), average(enlarged(coarse, 8, image)), rtol=1e-5, atol=1e-6)
    logits, maps = PLCNN(1, 5, **SMALL).train()(torch.randn(2, 1, 64, 64))
    assert (logits.shape, maps.shape[:2]) == ((2, 5), (2, 5))
    assert maps.shape[2] < 64


@pytest.mark.parametrize("size", [(200_000, 1), (512, 517), (1, 1)])
def test_the_mean_of_a_constant_map_is_its_value_in_onnx_at_any_size(size, tmp_path):
    class Average(torch.nn.Module):
        def forward(self, maps):
            return plcnn.average(maps)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Average(), (torch.rand(1, 2, 5, 7),), tmp_path / "n.onnx", dynamo=False, opset_version=17, input_names=["maps"],
            dynamic_axes={"maps": {2: "y", 3: "x"}},
        )  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    maps = np.full((1, 2, *size), 7.3, np.float32)
    for values in (session.run(None, {"maps": maps})[0], plcnn.average(torch.from_numpy(maps)).numpy()):
        np.testing.assert_allclose(values, maps[:, :, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_linear_layer_of_the_embedding_gives_the_logits(size):
    network = used(PLCNN(1, 5, **SMALL))
    image = torch.randn(2, 1, *size)
    embedding = network.embedding(image)
    assert embedding.shape == (2, 2 * 10 + 4)
    torch.testing.assert_close(network.last(embedding), network(image)[0], rtol=1e-4, atol=1e-5)


def test_maps_lie_where_the_image_was_seen():
    """A spot moves by whole strides, and its map with it; mirrored images of strides * k + 1 px sample at mirrored places."""
    coarse = torch.zeros(1, 1, 6, 6)
    coarse[0, 0, 2, 3] = 1.0
    large = plcnn.enlarged(coarse, 8, torch.zeros(1, 1, 41, 45))
    assert large.shape == (1, 1, 41, 45)
    assert large[0, 0, 16, 24] == 1
    assert large[0, 0, 12, 24] == pytest.approx(0.5)
    assert large[0, 0, 20, 20] == pytest.approx(0.25)
    assert large.sum() == pytest.approx(64)


def test_what_lies_beyond_the_last_coarse_value_keeps_it():
    large = plcnn.enlarged(torch.tensor([[[[1.0, 3.0]]]]), 4, torch.zeros(1, 1, 1, 8))
    assert large[0, 0, 0].tolist() == [1, 1.5, 2, 2.5, 3, 3, 3, 3]


def test_each_path_and_the_features_reach_the_decision():
    network, image = used(PLCNN(1, 3, **SMALL)), torch.randn(1, 1, 32, 32)
    torch.nn.init.normal_(network.last.weight)
    before = network(image)[0]
    for part in (network.stem, network.plain, network.features, network.stages[0].residual, network.stages[2].plain):
        kept = [p.clone() for p in part.parameters()]
        for p in part.parameters():
            p.mul_(0.5)
        assert not torch.allclose(network(image)[0], before), part
        for p, old in zip(part.parameters(), kept, strict=True):
            p.copy_(old)
    assert torch.equal(network(image)[0], before)


def test_channels_classes_widths_features_and_strides_change_the_network():
    plain = parameters(PLCNN(1, 3, **SMALL))
    assert parameters(PLCNN(2, 3, **SMALL)) > plain
    assert parameters(PLCNN(1, 4, **SMALL)) == plain + 2 * 10 + 4 + 1
    assert parameters(PLCNN(1, 3, widths=SMALL["widths"], features=5)) > plain
    assert parameters(PLCNN(1, 3, widths=(4, 6, 6, 8, 12), features=4)) > plain
    assert [PLCNN(1, 3, **SMALL, strides=strides).stride for strides in ((2, 2, 2), (2, 1, 1), (1, 1, 1))] == [32, 8, 4]


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        logits, maps = PLCNN(1, 3, **SMALL)(torch.rand(2, 1, 16, 16))
        others = [rival(1, 3, widths)(torch.rand(2, 1, 16, 16)) for rival, widths in ((ResNet, (4, 4, 4, 4)), (VGG, (4, 4, 4, 4, 4)))]
    assert {output.dtype for output in (logits, maps, *others)} == {torch.float32}


def test_probing_finds_that_any_size_works_and_a_trace_serves_them_all():
    measured = probing.measure(probing.prepared(used(PLCNN(1, 3, **SMALL))), torch.randn(1, 1, 40, 40))
    assert (measured.stride, measured.minimum, measured.outputs) == (1, 1, ("bc", "bcyx"))


def test_the_temperature_softens_scores_and_changes_no_decision():
    logits, maps = torch.randn(4, 5), torch.randn(4, 5, 3, 3)
    plain, same = Scores()(logits, maps)
    soft, _ = Scores(temperature=3.0)(logits, maps)
    torch.testing.assert_close(plain, logits.exp() / logits.exp().sum(1, keepdim=True))
    assert same is maps
    assert (soft.max(1).values < plain.max(1).values).all()
    assert torch.equal(soft.argmax(1), plain.argmax(1))


@pytest.mark.parametrize(("rival", "widths"), [(ResNet, (4, 6, 8, 10)), (VGG, (4, 6, 8, 10, 12))])
@pytest.mark.parametrize("size", SIZES)
def test_rivals_take_any_size_too(rival, widths, size):
    network = used(rival(2, 3, widths), 2)
    logits = network(torch.randn(2, 2, *size))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


def test_the_rivals_settings_change_them():
    strides = [tuple(ResNet(1, 2, (4, 4, 4, 4), strides=s).features(torch.rand(1, 1, 64, 64)).shape[2:]) for s in ((2, 1, 1), (2, 2, 2))]
    assert strides == [(8, 8), (2, 2)]
    pools = [tuple(VGG(1, 2, (4,) * 5, strides=s).features(torch.rand(1, 1, 64, 64)).shape[2:]) for s in ((2, 2, 2, 1, 1), (2,) * 5)]
    assert pools == [(8, 8), (2, 2)]
    assert parameters(VGG(is_normalised=True)) - parameters(VGG()) == 2 * (2 * 16 + 2 * 32 + 3 * 80 + 3 * 112 + 3 * 160)


@pytest.mark.parametrize("settings", [{"widths": (1, 2, 3, 4)}, {"strides": (2, 2)}, {"strides": (2, 2, 3)}])
def test_widths_and_strides_of_another_number_are_refused(settings):
    with pytest.raises(ValueError, match="give five widths and three strides, each stride 1 or 2"):
        PLCNN(**settings)


def test_a_temperature_must_be_above_zero():
    with pytest.raises(ValueError, match=r"temperature=0\.0: it must be above 0"):
        Scores(temperature=0.0)


@pytest.mark.parametrize("module", [plcnn, classifiers])
def test_the_file_stands_alone(module):
    imports = [line for line in inspect.getsource(module).splitlines() if line.startswith(("import", "from"))]
    assert all(line.split()[1].split(".")[0] == "torch" for line in imports)
