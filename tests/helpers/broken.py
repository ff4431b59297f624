"""Bundles with one thing wrong each, made from the good one, and what the check promises to say about them."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from foreign import Draft, expect, good, make_image, network, npy, onnx_model, torchscript


@dataclass(frozen=True)
class Broken:
    """What is wrong, who must catch it, and in which words; ``consumer`` None stands for the reading itself (exit code 2).

    ``after`` changes the zip once it is written. ``anywhere`` says that it can be done to any bundle.
    """

    what: str
    change: Callable[[Draft], None]
    message: str
    consumer: str | None = "deepimagej"
    status: str = "refused"
    anywhere: bool = False
    after: Callable[[Path], None] | None = None

    def write(self, path: Path, draft: Draft | None = None) -> Path:
        draft = draft.copy() if draft else good()
        self.change(draft)
        draft.write(path)
        if self.after:
            self.after(path)
        return path


BROKEN: dict[str, Broken] = {}


def broken(what, message, consumer="deepimagej", status="refused", **more):
    """Register a change of the good draft."""

    def register(change):
        BROKEN[change.__name__] = Broken(what, change, message, consumer, status, **more)
        return change

    return register


def wrapped(before=None, after=None):
    """The tiny network with something around it."""
    import torch

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            y = self.inner(x if before is None else before(x))
            return y if after is None else after(x, y)

    return Wrapped().eval()


@broken("BatchNorm left in training mode", "exported in training mode", "torch", "differs")
def batchnorm_in_training_mode(draft):
    draft.files["weights.pt"] = torchscript(network().train())


@broken("one weight changed after export", "These weights did not give the stored outputs", "torch", "differs")
def one_weight_changed(draft):
    import torch

    changed = network()
    with torch.no_grad():
        changed.convolution.weight[0, 0, 1, 1] += 0.01
    draft.files["weights.pt"] = torchscript(changed)


@broken(
    "a network that gives NaN on a black image",
    "case 'black' .* NaN or infinite, the first at .* Keep the network finite on such images",
    "torch",
    "differs",
)
def nan_producing_network(draft):
    draft.files["weights.pt"] = torchscript(wrapped(after=lambda x, y: y * (x.sum() / x.sum())))


@broken(
    "NaN in the expected output",
    "stored output 'probabilities' of case 'test' .and 4 other stored outputs. holds 640 of 640 values",
    "onnxruntime",
)
def nan_expected_output(draft):
    import torch

    everywhere = wrapped(after=lambda x, y: y * torch.nan)
    expect(draft, everywhere)
    draft.files["weights.pt"] = torchscript(everywhere)
    nan = network()
    with torch.no_grad():
        nan.convolution.bias[:] = torch.nan
    draft.files["weights.onnx"] = onnx_model(nan).SerializeToString()


@broken(
    "a size baked in by tracing", "test pair agrees but 4 of 4 other cases do not: a size or value is probably baked in", "torch", "differs"
)
def size_baked_in(draft):
    import torch

    def by_area(x, y):
        return y * torch.ones_like(x).sum((2, 3), keepdim=True) / (int(x.shape[2]) * int(x.shape[3]))

    draft.files["weights.pt"] = torchscript(wrapped(after=by_area))


@broken("ONNX of opset 18", "opset 18, and Fiji's ONNX Runtime 1.12 and 1.13 load up to 17", "java-onnx")
def opset_18(draft):
    draft.files["weights.onnx"] = onnx_model(network(), opset=18).SerializeToString()
    draft.rdf["weights"]["onnx"]["opset_version"] = 18


@broken("ONNX of IR 10", "IR 10, and Fiji's ONNX Runtime 1.12 and 1.13 load up to 8", "java-onnx")
def ir_10(draft):
    draft.files["weights.onnx"] = onnx_model(network(), ir=10).SerializeToString()


@broken("ONNX with external data", r"keeps tensors outside itself \(weights.onnx.data\)", "java-onnx")
def external_data(draft):
    import onnx

    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.onnx"
        onnx.save_model(onnx_model(network()), path, save_as_external_data=True, location="weights.onnx.data", size_threshold=0)
        draft.files["weights.onnx"] = path.read_bytes()
        draft.files["weights.onnx.data"] = (path.parent / "weights.onnx.data").read_bytes()
    draft.rdf["weights"]["onnx"]["external_data"] = {"source": "weights.onnx.data"}


@broken("two inputs", r"2 inputs \(image, second\)")
def two_inputs(draft):
    import torch

    second = {**draft.rdf["inputs"][0], "id": "second", "test_tensor": {"source": "test_second.npy"}}
    draft.files["test_second.npy"] = draft.files["test_image.npy"]
    draft.rdf["inputs"].append(second)
    del draft.rdf["weights"]["onnx"], draft.rdf["weights"]["pytorch_state_dict"]
    example = (torch.from_numpy(make_image("test")),) * 2
    draft.files["weights.pt"] = torchscript(_two(), example)


def _two():
    import torch

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x, second):
            return self.inner(x) + 0 * second

    return Two().eval()


@broken("a channel axis without names", "channel axis of 'image' has no channel_names")
def channel_without_names(draft):
    draft.rdf["inputs"][0]["axes"][1] = {"id": "c", "type": "channel", "size": 1}


@broken("an axis called time", "axis 'time' of 'image' is none of JDLL's letters")
def axis_called_time(draft):
    import torch

    sizes = ({"min": 1, "step": 1}, {"tensor_id": "image", "axis_id": "time"})
    for tensor, size in zip((draft.rdf["inputs"][0], draft.rdf["outputs"][0]), sizes, strict=True):
        tensor["axes"].insert(2, {"id": "time", "type": "time", "size": size})
    for name, content in list(draft.files.items()):
        if name.endswith(".npy"):
            draft.files[name] = npy(np.load(BytesIO(content))[:, :, None])
    del draft.rdf["weights"]["onnx"], draft.rdf["weights"]["pytorch_state_dict"]
    draft.files["weights.pt"] = torchscript(_planewise(), torch.from_numpy(make_image("test")[:, :, None]))


def _planewise():
    import torch

    class Planewise(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            return self.inner(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)

    return Planewise().eval()


@broken("no id", "no 'id' at the top of rdf.yaml", anywhere=True)
def missing_id(draft):
    del draft.rdf["id"]


@broken("a kwarg that is null", "'min' of operator 'clip' is null", anywhere=True)
def null_kwarg(draft):
    draft.rdf["inputs"][0]["preprocessing"] = [{"id": "clip", "kwargs": {"min": None, "max": 1000.0}}]


@broken("min no multiple of step", "min 2, no multiple of its step 7")
def min_no_multiple_of_step(draft):
    draft.rdf["inputs"][0]["axes"][2]["size"] = {"min": 2, "step": 7}


@broken("an output that is not float32", r"'probabilities' really is float64 \(its test tensor\)")
def wrong_output_dtype(draft):
    double = wrapped(after=lambda x, y: y.double())
    expect(draft, double)
    draft.files["weights.pt"] = torchscript(double)


@broken("config.deepimagej", "config.deepimagej without allow_tiling", anywhere=True)
def config_deepimagej(draft):
    draft.rdf["config"]["deepimagej"] = {"pyramidal_model": False, "prediction": {}}


@broken("ONNX wins in JDLL's order", r"would take the ONNX weights and crash Fiji \(pytorch_version 2.8.0, opset 17\)", anywhere=True)
def onnx_wins(draft):
    draft.rdf["weights"]["torchscript"]["pytorch_version"] = "2.8.0"


@broken("ONNX and TorchScript tie in JDLL's order", r"\(pytorch_version 2.9.0 and opset 17 share a place in its table\)")
def onnx_ties(draft):
    draft.rdf["weights"]["torchscript"]["pytorch_version"] = "2.9.0"


@broken("pytorch_version 1.11", "pytorch_version '1.11.0' asks for an engine that Fiji does not have")
def pytorch_1_11(draft):
    draft.rdf["weights"]["torchscript"]["pytorch_version"] = "1.11.0"


@broken("TorchScript that uses rms_norm", "aten::rms_norm, which Fiji's PyTorch 2.0.0 does not know")
def rms_norm(draft):
    import torch

    def normalised(x, y):
        return y + 0 * torch.nn.functional.rms_norm(y.permute(0, 2, 3, 1), (2,)).permute(0, 3, 1, 2)

    draft.files["weights.pt"] = torchscript(wrapped(after=normalised))


@broken("a device written into the trace", r"has a device written into it \(arange\)")
def device_literal(draft):
    import torch

    draft.files["weights.pt"] = torchscript(wrapped(after=lambda x, y: y + 0 * torch.arange(x.shape[3], device=x.device)))


@broken("a wrong sha256", "weights.pt was changed after the bundle was made: its sha256 is", None, anywhere=True)
def wrong_sha256(draft):
    draft.rdf["weights"]["torchscript"]["sha256"] = "0" * 64
    draft.hashed = False


def _cut(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


@broken("a truncated zip", "is not a readable zip .* cut off or damaged", None, anywhere=True, after=_cut)
def truncated_zip(draft):
    pass


import mutations  # noqa: E402, F401 - registers those that can be done to any bundle
