import numpy as np
import onnxruntime
import pytest
import torch

from zooready.nets.rbcr import RBCR

torch.set_num_threads(1)


def count(kernel):
    return sum(parameter.numel() for parameter in RBCR(kernel).parameters())


@pytest.mark.parametrize(("kernel", "parameters"), [("released", 236_630), ("alternating", 236_630), ("isotropic", 310_486)])
def test_parameters_are_those_of_the_released_checkpoint(kernel, parameters):
    assert count(kernel) == parameters


def test_its_parts_have_the_parameters_of_the_released_parts():
    network = RBCR("released")
    parts = {name: sum(p.numel() for p in child.parameters()) for name, child in network.named_children()}
    assert parts == {"stacks": 35_040, "fuse_adjoint": 11_328, "adjoint": 163, "blocks": 155_248, "fuse_inverse": 23_184, "last": 11_667}


def test_another_kernel_is_refused():
    with pytest.raises(ValueError, match=r"kernel='round' is not known\. Use one of \['alternating', 'isotropic', 'released'\]"):
        RBCR("round")


@pytest.mark.parametrize("size", [(4, 4), (8, 20), (36, 64)])
def test_any_multiple_of_four_is_restored_at_three_resolutions(size):
    high, wide = size
    with torch.no_grad():
        shapes = [tuple(image.shape) for image in RBCR().eval().scales(torch.zeros(2, 1, high, wide))]
    assert shapes == [(2, 1, high, wide), (2, 1, high // 2, wide // 2), (2, 1, high // 4, wide // 4)]


def test_training_and_evaluation_give_the_same_finest_image():
    network, image = RBCR(), torch.randn(1, 1, 16, 24)
    assert torch.equal(network.train()(image), network.eval()(image))
    assert torch.equal(network(image), network.scales(image)[0])


def reach(kernel):
    """How far (rows, columns) a pixel reaches through the first directional convolutions of a block."""
    block = torch.nn.Sequential(*list(RBCR(kernel).blocks[2].children())[:12])
    block.apply(lambda layer: torch.nn.init.ones_(layer.weight) if isinstance(layer, torch.nn.Conv2d) else None)
    image = torch.zeros(1, 1, 41, 41)
    image[..., 20, 20] = 1
    with torch.no_grad():
        seen = block(image)[0, 0] > 0
    return int(seen.any(1).sum()), int(seen.any(0).sum())


@pytest.mark.parametrize(("kernel", "expected"), [("released", (1, 25)), ("alternating", (13, 13)), ("isotropic", (13, 13))])
def test_kernels_differ_in_direction(kernel, expected):
    assert reach(kernel) == expected


def test_every_parameter_moves_the_three_scales():
    network = RBCR()
    sum(image.square().sum() for image in network.scales(torch.randn(2, 1, 32, 32))).backward()
    still = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.abs().any()]
    assert still == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:FutureWarning")  # torch 2.15 deprecates what the formats still need
def test_a_trace_at_one_size_is_right_at_another():
    network = RBCR().eval()
    traced = torch.jit.trace(network, torch.randn(1, 1, 32, 32))
    image = torch.randn(2, 1, 20, 44)
    with torch.no_grad():
        torch.testing.assert_close(traced(image), network(image), atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the older exporter, which opset 17 needs, announces its end
def test_onnx_opset_17_made_at_one_size_is_right_at_another(tmp_path):
    network, path = RBCR().eval(), tmp_path / "rbcr.onnx"
    axes = {0: "b", 2: "y", 3: "x"}
    torch.onnx.export(
        network,
        (torch.randn(1, 1, 32, 32),),
        path,
        opset_version=17,
        dynamo=False,
        input_names=["image"],
        output_names=["restored"],
        dynamic_axes={"image": axes, "restored": axes},
    )
    image = torch.randn(2, 1, 20, 44)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (restored,) = session.run(None, {"image": image.numpy()})
    with torch.no_grad():
        expected = network(image).numpy()
    assert np.abs(restored - expected).max() <= 1e-4 * np.ptp(expected)
