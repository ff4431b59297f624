import filecmp
import sys
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from format_networks import BakedWidth, Branching, OwnFunction, SizeBound, Spectral, TinyUNet, make_image
from torch import nn
from torch.nn import functional

from zooready.errors import ConsumerMissing, InputInvalid
from zooready.formats import onnx, torchscript, trials, vmapped
from zooready.formats.copies import evaluating
from zooready.formats.demands import Demands
from zooready.formats.torchscript import container, torchscript_file, tracing
from zooready.formats.torchscript.unfusing import unfused
from zooready.processes import templates


def outputs(path, image):
    return trials.eager(torchscript.load(path), image.numpy())


@pytest.mark.parametrize("variant", torchscript.VARIANTS)
def test_every_variant_gives_the_networks_numbers_at_other_sizes(traced, unet, variant):
    eager = TinyUNet()
    eager.load_state_dict(unet.state_dict())
    for shape in ((1, 1, 45, 62), (2, 1, 33, 19), (1, 1, 1, 1), (1, 1, 70, 97)):
        image = make_image(*shape, seed=5)
        expected = trials.eager(eager.eval(), image.numpy())
        for got, want in zip(outputs(traced[variant].path, image), expected, strict=True):
            assert got.shape == want.shape
            assert np.abs(got - want).max() <= 1e-6


def test_a_started_file_gives_the_networks_numbers_and_keeps_the_image(traced, unet):
    eager = TinyUNet()
    eager.load_state_dict(unet.state_dict())
    image = make_image(2, 1, 33, 19, seed=5).numpy()
    before = image.copy()
    outputs = torchscript.start(traced["plain"].path, "cpu")(image)
    assert isinstance(outputs, tuple)
    for output, expected in zip(outputs, trials.eager(eager.eval(), image), strict=True):
        assert np.abs(output - expected).max() <= 1e-6
    assert np.array_equal(image, before)


@pytest.fixture
def fuser():
    """The fuser of Fiji's engine, which PyTorch's wheels for Python have switched off on the CPU, for the time of a test."""
    before = torch._C._jit_can_fuse_on_cpu(), torch._C._jit_get_te_must_use_llvm_cpu()
    torch._C._jit_override_can_fuse_on_cpu(True)
    torch._C._jit_set_te_must_use_llvm_cpu(False)
    yield
    torch._C._jit_override_can_fuse_on_cpu(before[0])
    torch._C._jit_set_te_must_use_llvm_cpu(before[1])


def compiled_groups(path, example):
    """How many groups of operations are compiled for one size."""
    network = torchscript.load(path)
    with torch.no_grad():
        for _ in range(3):  # the profiler sees the first, the second is compiled
            network(example)
    return str(torch.jit.last_executed_optimized_graph()).count("= prim::TensorExprGroup")


@pytest.mark.parametrize("variant", torchscript.VARIANTS)
def test_nothing_in_a_file_is_compiled_anew_for_every_size(traced, unet, example, tmp_path, fuser, variant):
    usual = torch.jit.trace(evaluating(unet), example)  # a copy: the network is that of all tests
    torch.jit.save(usual, tmp_path / "usual.pt")
    assert compiled_groups(tmp_path / "usual.pt", example) > 0
    assert compiled_groups(traced[variant].path, example) == 0


def test_operations_in_loops_and_branches_are_kept_apart_too(tmp_path, fuser):
    @torch.jit.script
    def decided(x, many: int):
        for _ in range(many):
            x = (x * 2 + 1).sigmoid()
            if x.shape[-1] > 3:
                x = (x - 1).abs() * 3
        return x

    class Decided(nn.Module):
        def forward(self, x):
            return decided(x, 3)

    image = torch.rand(1, 1, 8, 8)
    scripted = torch.jit.script(Decided())
    torch.jit.save(scripted, tmp_path / "usual.pt")
    torch.jit.save(unfused(scripted), tmp_path / "apart.pt")
    assert compiled_groups(tmp_path / "usual.pt", image) > 0
    assert compiled_groups(tmp_path / "apart.pt", image) == 0
    np.testing.assert_array_equal(*(outputs(tmp_path / f"{name}.pt", image)[0] for name in ("usual", "apart")))


def test_gradients_go_through_a_file(traced, example):
    image = example.clone().requires_grad_()
    first = torchscript.load(traced["plain"].path)(image)
    (first[0] if isinstance(first, tuple) else first).sum().backward()
    assert float(image.grad.abs().sum()) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_missing_is_named(traced):
    with pytest.raises(ConsumerMissing, match="PyTorch sees no CUDA device here: check nvidia-smi, or choose the device cpu"):
        torchscript.start(traced["plain"].path, "cuda")


def test_details_say_what_was_done(traced):
    details = traced["channels_last"].details
    assert details["torch"] == torch.__version__.split("+")[0]
    assert (details["variant"], details["exporter"], details["reproducible"]) == ("channels_last", "trace", True)
    assert details["difference"] <= 1e-5


def test_variants_are_what_their_names_say(traced):
    used = {variant: torchscript.operators(weights.path) for variant, weights in traced.items()}
    assert "aten::batch_norm" in used["plain"]
    assert "aten::batch_norm" not in used["channels_last"]
    assert "aten::contiguous" in used["channels_last"]
    assert "aten::contiguous" not in used["frozen"]
    submodules = {variant: len(list(torchscript.load(weights.path).children())) for variant, weights in traced.items()}
    assert submodules["plain"] > 0 == submodules["frozen"] == submodules["channels_last"]


@pytest.mark.parametrize("variant", ["plain", "channels_last"])
def test_the_same_network_gives_the_same_bytes_again(traced, unet, example, tmp_path, variant):
    again = torchscript.write(unet, example, tmp_path / "weights.pt", variant=variant)
    assert again.sha256 == traced[variant].sha256
    assert filecmp.cmp(again.path, traced[variant].path, shallow=False)


def test_files_hold_no_paths_and_no_debug_parts(traced):
    for weights in traced.values():
        with zipfile.ZipFile(weights.path) as archive:
            names = archive.namelist()
            content = b"".join(archive.read(name) for name in names if "/data/" not in name)
            assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert not [name for name in names if "debug_pkl" in name or "traced_inputs" in name or not name.startswith("weights/")]
        for private in (str(Path.home()), str(Path(__file__).parent.parent), "site-packages"):
            assert private.encode() not in content


def test_the_callers_module_stays_as_it_was(unet, example, tmp_path, here):
    state = {name: value.clone() for name, value in unet.state_dict().items()}
    unet.train()
    unet.deep.eval()
    modes = [part.training for part in unet.modules()]
    weights = unet.down[0].weight
    strides = weights.stride()
    torchscript.write(unet, example, tmp_path / "weights.pt", variant="channels_last")
    assert [part.training for part in unet.modules()] == modes
    assert (unet.down[0].weight is weights, weights.stride(), weights.requires_grad) == (True, strides, True)
    assert all(torch.equal(state[name], value) for name, value in unet.state_dict().items())


def test_an_autograd_function_and_a_device_are_rescued_by_export(example, tmp_path, here):
    weights = torchscript.write(OwnFunction(), example, tmp_path / "weights.pt")
    assert weights.details["exporter"] == "export"
    assert torchscript.unsupported(weights.path) == ()
    assert not [text for text in container.code(weights.path).values() if container.devices(text)]
    image = make_image(2, 1, 9, 30)
    assert np.array_equal(outputs(weights.path, image)[0], (image.clamp(min=0) / 100 * 2 + 2).numpy())


def test_a_branch_on_pixel_values_is_refused(example, tmp_path):
    with pytest.raises(InputInvalid, match=r"Branching cannot be written: an 'if' hangs on pixel values \(format_networks.py:\d+\)"):
        torchscript.write(Branching(), example, tmp_path / "weights.pt")
    assert not list(tmp_path.iterdir())


def test_a_baked_size_is_found_and_the_cure_named(example, tmp_path, here, monkeypatch):
    monkeypatch.setattr(torchscript_file, "ROUTES", ("trace",))
    with pytest.raises(
        InputInvalid, match=r"(?s)torch.jit.trace: case 'larger' \(1, 1, 62, 68\) fails.*take sizes from x.shape without int"
    ):
        torchscript.write(BakedWidth(), example, tmp_path / "weights.pt")


class OneByOne(nn.Module):
    """Each image by itself; ``inner`` is what is done to it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.vmap(self.inner)(x)


def test_vmap_is_taken_apart(example, tmp_path, here):
    network = OneByOne(lambda image: torch.tanh(image) * image.mean() + 1)
    assert vmapped.is_vmapped(network, example)
    written = torchscript.write(network, example, tmp_path / "weights.pt")
    image = make_image(3, *example.shape[1:3], 17, seed=2)
    (result,) = torchscript.start(written.path)(image.numpy())
    np.testing.assert_allclose(result, network(image).numpy(), rtol=1e-6)


def test_vmap_that_no_recording_follows_has_its_own_cure(example, tmp_path, here):
    network = OneByOne(lambda image: functional.group_norm(image[None], 1)[0])
    with pytest.raises(InputInvalid, match="Cure: do for the whole batch what the network does inside torch.vmap"):
        torchscript.write(network, example, tmp_path / "weights.pt")
    with pytest.raises(InputInvalid, match="Cure: do for the whole batch"):
        onnx.write(network, example, tmp_path / "w.onnx", input_name="image", input_axes="bcyx", output_names=["out"], output_axes=["bcyx"])


def test_a_baked_size_is_no_fault_where_the_size_is_fixed(example, tmp_path, here):
    weights = torchscript.write(BakedWidth(), example, tmp_path / "weights.pt", Demands(fixed={"y": 45, "x": 62}))
    assert any("to a Python" in line for line in weights.details["warnings"])


def test_fourier_transforms_work_and_devices_follow_the_input(modern):
    assert "aten::fft_fft2" in torchscript.operators(modern.path)
    assert "arange: device follows the input" in modern.details["warnings"]
    assert modern.details["difference"] == 0


def test_a_class_of_a_test_function_is_sent_by_value(example, tmp_path):
    factor = 3.0

    class Local(nn.Module):
        def forward(self, x):
            return x * factor

    weights = torchscript.write(Local(), example, tmp_path / "weights.pt")
    assert weights.details["reproducible"] is True
    assert np.array_equal(outputs(weights.path, example)[0], (example * 3).numpy())


def test_modules_that_a_fresh_process_cannot_import_are_sent_by_value():
    made = types.ModuleType("made_here")
    made.Ramp = type("Ramp", (nn.Module,), {"__module__": "made_here"})
    sys.modules["made_here"] = made
    try:
        assert not tracing._is_importable(made)
        assert tracing._is_importable(sys.modules["torch"])
        with tracing._by_value(made.Ramp()):
            assert b"made_here" in tracing._pickled({"network": made.Ramp()})
    finally:
        del sys.modules["made_here"]


def test_a_network_that_cannot_be_pickled_is_traced_here_and_says_so(example, tmp_path):
    class Locked(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lock = nn.Conv2d(1, 2, 1), threading.Lock()

        def forward(self, x):
            with self.lock:
                return self.conv(x)

    weights = torchscript.write(Locked(), example, tmp_path / "weights.pt")
    assert weights.details["reproducible"] is False
    assert "the network cannot be pickled" in weights.details["reason"]


def in_place_of_the_worker(monkeypatch, code):
    monkeypatch.setattr(templates, "is_possible", lambda: False)
    monkeypatch.setattr(templates, "CHILD", code)


def test_a_crash_of_the_recording_process_is_told(example, tmp_path, monkeypatch):
    in_place_of_the_worker(monkeypatch, "import os; os._exit(7)")
    with pytest.raises(InputInvalid, match="recording ended with code 7"):
        tracing.record_apart(Spectral(), example, variant="plain", route="trace", folder=tmp_path)


def test_a_recording_that_takes_too_long_is_ended(example, tmp_path, monkeypatch):
    in_place_of_the_worker(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(tracing, "TIME_LIMIT_S", 0.5)
    with pytest.raises(InputInvalid, match="longer than 0.5 s"):
        tracing.record_apart(Spectral(), example, variant="plain", route="trace", folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "fast"}, "variant='fast' is not known. Use one of"),
        ({"name": "weights.torchscript"}, "JDLL opens TorchScript only from files that end in '.pt'"),
        ({"shape": (1, 1, 5)}, r"example of shape \(1, 1, 5\): give \(b, c, y, x\)"),
    ],
)
def test_wrong_arguments_are_refused_at_once(tmp_path, arguments, message):
    name, shape = arguments.pop("name", "weights.pt"), arguments.pop("shape", (1, 1, 9, 9))
    with pytest.raises(InputInvalid, match=message):
        torchscript.write(Spectral(), make_image(*shape), tmp_path / name, **arguments)


def test_a_network_of_one_size_is_refused_unless_it_is_declared(tmp_path, here):
    with pytest.raises(InputInvalid, match=r"works at no size but the example's \(1, 1, 20, 24\)"):
        torchscript.write(SizeBound(), make_image(1, 1, 20, 24), tmp_path / "weights.pt")


def test_a_broken_file_is_not_loaded(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputInvalid, match="weights.pt cannot be loaded"):
        torchscript.load(path)


def test_export_keeps_declared_lengths_and_frees_the_others(tmp_path, here, monkeypatch):
    monkeypatch.setattr(torchscript_file, "ROUTES", ("export",))
    weights = torchscript.write(BakedWidth(), make_image(1, 1, 20, 24), tmp_path / "weights.pt", Demands(fixed={"x": 24}))
    assert outputs(weights.path, make_image(3, 1, 50, 24))[0].shape == (3, 1, 50, 24)
