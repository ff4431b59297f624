"""The files run in Fiji's engines, in Java, with the network's numbers."""

import numpy as np
import pytest
from format_networks import Rewritten, TinyUNet, make_image

from zooready import java
from zooready.errors import ConsumerFailed
from zooready.formats import trials

pytestmark = [pytest.mark.java, pytest.mark.usefixtures("engines")]
SHAPES = ((1, 1, 45, 62), (2, 1, 33, 19), (1, 1, 1, 1))


def worst(network, engine, weights, shapes):
    """Largest difference between Java and eager, over the range."""
    images = [make_image(*shape, seed=3).numpy() for shape in shapes]
    found = java.run(engine, weights.path, images).outputs
    pairs = [pair for image, got in zip(images, found, strict=True) for pair in zip(got, trials.eager(network, image), strict=True)]
    assert all(got.shape == want.shape for got, want in pairs)
    return max(np.abs(got - want).max() / (np.ptp(want) or 1) for got, want in pairs)


@pytest.fixture
def eager(unet):
    network = TinyUNet()
    network.load_state_dict(unet.state_dict())
    return network.eval()


@pytest.mark.parametrize("variant", ["plain", "channels_last"])
def test_torchscript_equals_eager_in_pytorch_2_0_0(traced, eager, variant):
    assert worst(eager, "pytorch", traced[variant], SHAPES) <= 1e-5


@pytest.mark.parametrize("engine", ["onnx-1.12.1", "onnx-1.13.1"])
def test_onnx_equals_eager_in_both_runtimes(exported, eager, engine):
    assert worst(eager, engine, exported, SHAPES) <= 1e-4


def test_rewritten_onnx_equals_eager_in_the_older_runtime(rewritten):
    assert worst(Rewritten().eval(), "onnx-1.12.1", rewritten, [(1, 2, 16, 24), (2, 2, 15, 8)]) <= 1e-4


def test_what_is_called_unsupported_is_refused_by_pytorch_2_0_0(modern):
    with pytest.raises(ConsumerFailed, match="rms_norm"):
        java.run("pytorch", modern.path, [make_image(1, 1, 9, 9).numpy()])
