"""Bundles as other people's tools make them, with random weights: what ``zooready adopt`` is tried on.

``python tests/helpers/makes.py FOLDER`` adopts each, runs it in Fiji's engine, and prints the rows of docs/adopt.md.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import stranger_networks
import torch
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core.digest_spec import create_sample_for_model, get_member_ids
from foreign import Draft, npy, state_dict
from torch import nn

NETWORKS = Path(stranger_networks.__file__).read_text(encoding="utf-8")

Step = tuple[str, dict]
PLANES, SAMPLE = {"axes": ["y", "x"]}, {"axes": ["channel", "y", "x"]}
FLOAT = ("ensure_dtype", {"dtype": "float32"})


@dataclass(frozen=True, kw_only=True)
class Make:
    """One bundle: whose habit it follows, its network, and what stands in its description."""

    like: str
    network: str
    kwargs: dict = field(default_factory=dict)
    formats: tuple[str, ...] = ("torchscript",)
    version: str = "0.5.4"
    axes: str = "bcyx"
    outputs: tuple[str, ...] = ("bcyx",)
    channels: int = 1
    size: dict = field(default_factory=lambda: {"min": 8, "step": 4})
    length: int = 48
    before: tuple[Step, ...] = ()
    behind: tuple[Step, ...] = ()
    offset: int = 0
    type: str = "float32"
    output_type: str = "float32"
    pixels: Callable = lambda rng, shape: rng.gamma(2.0, 40.0, shape)
    scripted: bool = False


MAKES = {
    "unet-torchscript": Make(
        like="the specification's example U-Net", network="Unet", before=(("zero_mean_unit_variance", SAMPLE),), behind=(("sigmoid", {}),)
    ),
    "careamics": Make(
        like="CAREamics: a denoiser, mean and deviation of its data", network="Dense", formats=("state_dict",), size={"min": 8, "step": 8},
        before=(("fixed_zero_mean_unit_variance", {"mean": [80.5], "std": [56.5], "axis": "channel"}),),
        behind=(("scale_linear", {"gain": [56.5], "offset": [80.5], "axis": "channel"}),),
    ),
    "biapy": Make(
        like="BiaPy: one size, percentiles, foreground and contours", network="Unet", kwargs={"outputs": 2}, size={"size": 64}, length=64,
        formats=("state_dict", "torchscript"),
        before=(("clip", {"min_percentile": 1.0, "max_percentile": 99.0, **SAMPLE}), ("scale_range", SAMPLE)), behind=(("sigmoid", {}),),
    ),
    "torch-em-0.4": Make(
        like="torch-em: format 0.4, boundaries and foreground", network="Unet", kwargs={"outputs": 2}, version="0.4.9",
        size={"min": 16, "step": 8}, before=(("zero_mean_unit_variance", {"mode": "per_sample", "axes": "xy"}),), behind=(("sigmoid", {}),),
    ),
    "torch-em-3d-0.4": Make(
        like="torch-em: format 0.4, stacks", network="Unet", kwargs={"flat": False, "levels": 1, "outputs": 2}, version="0.4.10",
        axes="bczyx", outputs=("bczyx",), size={"min": 12, "step": 4}, length=16,
        before=(("zero_mean_unit_variance", {"mode": "per_sample", "axes": "zyx"}),), behind=(("sigmoid", {}),),
    ),
    "monai": Make(
        like="MONAI: softmax over classes, 8-bit images by their range", network="Unet", kwargs={"outputs": 3, "levels": 3},
        size={"min": 16, "step": 8}, before=(FLOAT, ("scale_linear", {"gain": 1 / 255}), FLOAT),
        behind=(("softmax", {"axis": "channel"}),), type="uint8",
        pixels=lambda rng, shape: rng.integers(0, 255, shape).astype(np.uint8),
    ),
    "onnx-unet": Make(
        like="an ONNX file of the legacy exporter", network="Unet", formats=("onnx",),
        before=(("scale_range", {"min_percentile": 1.0, "max_percentile": 99.8, **SAMPLE}),), behind=(("sigmoid", {}),),
    ),
    "onnx-resize": Make(
        like="an ONNX file that enlarges by Resize", network="Unet", kwargs={"upsample": "nearest"}, formats=("onnx",),
        before=(("zero_mean_unit_variance", PLANES),),
    ),
    "onnx-0.4": Make(
        like="format 0.4, ONNX, percentiles of a sample", network="Dense", formats=("onnx",), version="0.4.7", size={"min": 16, "step": 1},
        before=(("scale_range", {"mode": "per_sample", "axes": "cyx", "min_percentile": 3, "max_percentile": 99}),),
    ),
    "stack": Make(
        like="stacks, steps of a whole data set", network="Unet", kwargs={"flat": False, "levels": 1}, axes="bczyx", outputs=("bczyx",),
        size={"min": 4, "step": 2}, length=16, before=(("zero_mean_unit_variance", {}),),
    ),
    "no-channel": Make(like="no channel axis", network="Without", axes="byx", outputs=("byx",), size={"min": 4, "step": 1}),
    "channels-last": Make(
        like="Keras' order of axes", network="Last", axes="byxc", outputs=("byxc",), channels=2, size={"min": 4, "step": 1},
        before=(("zero_mean_unit_variance", PLANES),),
    ),
    "two-outputs": Make(
        like="two outputs, steps on each", network="Two", outputs=("bcyx", "bcyx"), before=(("scale_range", PLANES),),
        behind=(("clip", {"min": 0.2, "max": 0.8}),),
    ),
    "classifier": Make(
        like="a classifier", network="Classifier", outputs=("bc",), size={"min": 8, "step": 1},
        before=(("zero_mean_unit_variance", SAMPLE),), behind=(("softmax", {"axis": "channel"}),),
    ),
    "valid": Make(
        like="convolutions without padding", network="Valid", offset=-8, size={"min": 16, "step": 1},
        before=(("zero_mean_unit_variance", SAMPLE),),
    ),
    "one-size": Make(
        like="one size stated, any taken", network="Unet", size={"size": 40}, length=40, before=(("scale_range", SAMPLE),),
    ),
    "transformer": Make(
        like="one size only: a place for each patch", network="Positions", size={"size": 32}, length=32,
        before=(("zero_mean_unit_variance", SAMPLE),),
    ),
    "channels": Make(
        like="three channels, a number for each", network="Dense", kwargs={"channels": 3}, channels=3, size={"min": 4, "step": 1},
        before=(
            ("scale_linear", {"axis": "channel", "gain": [0.01, 0.02, 0.005], "offset": [-1.0, 0.0, 0.5]}),
            ("clip", {"min": -2.0, "max": 3.0}),
        ),
    ),
    "binary": Make(
        like="a mask comes out", network="Unet", before=(FLOAT, ("zero_mean_unit_variance", SAMPLE)),
        behind=(("sigmoid", {}), ("binarize", {"threshold": 0.5})), output_type="uint8",
    ),
    "restoration": Make(
        like="a restoration with the image's own brightness", network="Dense", size={"min": 4, "step": 1},
        before=(("zero_mean_unit_variance", SAMPLE),),
        behind=(("scale_range", {"reference_tensor": "image", "axes": ["channel", "y", "x"]}), ("scale_linear", {"gain": 100.0})),
        pixels=lambda rng, shape: rng.poisson(400.0, shape).astype(np.float32),
    ),
    "scripted": Make(
        like="TorchScript by script, a branch on the size inside", network="Loop", size={"min": 4, "step": 1}, scripted=True,
        before=(("zero_mean_unit_variance", SAMPLE),),
    ),
    "camera": Make(
        like="16-bit images, percentiles of a data set", network="Dense", size={"min": 4, "step": 1}, type="uint16",
        before=(FLOAT, ("scale_range", {"min_percentile": 0.1, "max_percentile": 99.9}), FLOAT),
        pixels=lambda rng, shape: rng.poisson(2000.0, shape).astype(np.uint16),
    ),
}  # fmt: skip
README = "# A model\n\nFor nuclei in fluorescence images.\n"


def network_of(make: Make, seed: int = 0) -> nn.Module:
    """The network with weights and statistics that matter."""
    torch.manual_seed(seed)
    network = getattr(stranger_networks, make.network)(**make.kwargs)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running" in name:
                value.copy_(torch.rand(value.shape) * 0.4 + 0.2)
            elif value.dim() > 1:
                nn.init.kaiming_normal_(value)
    return network.eval()


def shape_of(make: Make) -> tuple[int, ...]:
    lengths = {"b": 1, "c": make.channels, "z": make.length, "y": make.length, "x": make.length}
    return tuple(lengths[axis] for axis in make.axes)


def weights_of(make: Make, network: nn.Module) -> tuple[dict, dict[str, bytes]]:
    """The entries of the description, and the files."""
    entries, files = {}, {}
    example = torch.randn(shape_of(make))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if "torchscript" in make.formats:
            stream = BytesIO()
            torch.jit.save(torch.jit.script(network) if make.scripted else torch.jit.trace(network, example, check_trace=False), stream)
            files["weights.pt"] = stream.getvalue()
            entries["torchscript"] = {"source": "weights.pt", "pytorch_version": "2.5.1"}
        if "onnx" in make.formats:
            stream = BytesIO()
            names = {axis: axis for axis in make.axes if axis in "byxz"}
            dynamic = {"image": {make.axes.index(axis): name for axis, name in names.items()}}
            torch.onnx.export(network, (example,), stream, dynamo=False, opset_version=15, input_names=["image"], dynamic_axes=dynamic)
            files["weights.onnx"] = stream.getvalue()
            entries["onnx"] = {"source": "weights.onnx", "opset_version": 15}
        if "state_dict" in make.formats:
            files["weights_state.pt"], files["networks.py"] = state_dict(network), NETWORKS.encode()
            architecture = {"source": "networks.py", "callable": make.network, "kwargs": make.kwargs}
            entries["pytorch_state_dict"] = {"source": "weights_state.pt", "architecture": architecture, "pytorch_version": "2.5.1"}
    return entries, files


def draft(make: Make, seed: int = 0) -> Draft:
    """The bundle, its test output that of bioimageio.core itself."""
    network = network_of(make, seed)
    entries, files = weights_of(make, network)
    image = np.asarray(make.pixels(np.random.default_rng(seed), shape_of(make))).astype(make.type)
    with torch.no_grad():
        results = network(torch.from_numpy(image.astype(np.float32)))
    results = [results] if isinstance(results, torch.Tensor) else list(results)
    files |= {"README.md": README.encode(), "test_input.npy": npy(image)}
    files |= {f"test_output_{k}.npy": npy(result.numpy().astype(make.output_type)) for k, result in enumerate(results)}
    describe = described_0_4 if make.version.startswith("0.4") else described_0_5
    rdf = {
        "format_version": make.version, "type": "model", "id": "brave-otter", "name": "Nuclei (of a stranger)",
        "description": "Segments nuclei.", "authors": [{"name": "Ada Stranger", "affiliation": "Somewhere"}], "license": "MIT",
        "documentation": "README.md", "cite": [{"text": "Stranger et al. 2025", "doi": "10.5281/zenodo.7654321"}], "tags": ["nuclei"],
        "weights": entries, **describe(make, [result.shape for result in results]),
    }  # fmt: skip
    bundle = Draft(rdf=rdf, files=files)
    for k, output in enumerate(predicted_by_core(bundle, image)[0]):
        bundle.files[f"test_output_{k}.npy"] = npy(output.astype(make.output_type))
    return bundle


def described_0_5(make: Make, shapes: list) -> dict:
    def axis(letter, output, count):
        if letter in "bc":
            return (
                {"type": "batch"}
                if letter == "b"
                else {"type": "channel", "channel_names": [f"{'o' if output else 'i'}{n}" for n in range(count)]}
            )
        grown = {"tensor_id": "image", "axis_id": letter, "offset": make.offset} if output else make.size
        size = make.size.get("size", grown)
        return {"type": "space", "id": letter, "size": size}

    def tensor(name, axes, shape, output, steps, kind, file):
        listed = [axis(letter, output, shape[axes.index("c")] if "c" in axes else 1) for letter in axes]
        key = "postprocessing" if output else "preprocessing"
        operators = [{"id": step, **({"kwargs": kwargs} if kwargs else {})} for step, kwargs in steps]
        return {"id": name, "axes": listed, "test_tensor": {"source": file}, "data": {"type": kind}, key: operators}

    inputs = [tensor("image", make.axes, shape_of(make), False, make.before, make.type, "test_input.npy")]
    outputs = [
        tensor(f"out{k}", axes, shape, True, make.behind, make.output_type, f"test_output_{k}.npy")
        for k, (axes, shape) in enumerate(zip(make.outputs, shapes, strict=True))
    ]
    return {"inputs": inputs, "outputs": outputs}


def described_0_4(make: Make, shapes: list) -> dict:
    least = [1 if axis == "b" else make.channels if axis == "c" else make.size["min"] for axis in make.axes]
    steps = [make.size["step"] if axis in "zyx" else 0 for axis in make.axes]
    before = [{"name": step, **({"kwargs": kwargs} if kwargs else {})} for step, kwargs in make.before]
    behind = [{"name": step, **({"kwargs": kwargs} if kwargs else {})} for step, kwargs in make.behind]
    (shape,) = shapes
    scale = [shape[1] / make.channels if axis == "c" else 1.0 for axis in make.axes]
    reference = {"reference_tensor": "image", "scale": scale, "offset": [0.0] * len(scale)}
    common, halo = {"axes": make.axes, "data_type": "float32"}, [4 if axis in "yx" else 0 for axis in make.axes]
    return {
        "inputs": [{"name": "image", **common, "shape": {"min": least, "step": steps}, "preprocessing": before}],
        "outputs": [{"name": "out0", **common, "shape": reference, "postprocessing": behind, "halo": halo}],
        "test_inputs": ["test_input.npy"], "test_outputs": ["test_output_0.npy"], "timestamp": "2023-01-01T00:00:00",
    }  # fmt: skip


def predicted_by_core(bundle: Draft, *images) -> list[list]:
    """What bioimageio.core makes of each image by itself."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = bundle.copy().write(Path(folder) / "draft.zip")
        model = load_model_description(path, perform_io_checks=False)
        results = []
        for image in images:
            pipeline = create_prediction_pipeline(model)  # one for all would mix in statistics of the images before
            sample = create_sample_for_model(model, inputs=image)
            result = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
            results.append([result.members[name].data.to_numpy() for name in get_member_ids(model.outputs)])
        return results


def row_of(name: str, folder: Path) -> str:
    """Adopt one make in this process; what Fiji's engine gives for it against bioimageio.core's predictions of the original, in words."""
    from zooready import java
    from zooready.bundle.reading import opened
    from zooready.bundle.renewing import renewed
    from zooready.errors import ZooreadyError
    from zooready.records import TOLERANCE
    from zooready.sharing import adopting, originals
    from zooready.sharing.adoption_worker import adopted
    from zooready.sharing.surrounding import surroundings

    make, bundle = MAKES[name], draft(MAKES[name])
    try:
        with opened(bundle.write(folder / f"{name}-original.zip"), trust_code=True) as original:
            newest, format = renewed(original), next(each for each in adopting.ORDER if each in original.formats)
            result, notes = adopted(newest, original, format, folder / f"{name}.zip", {})
            around = surroundings(newest)
            images = originals.images_of(newest, around)
            with opened(result.path) as ours:
                given = java.run("pytorch", ours.formats["torchscript"], [originals.in_order(image, around.input) for image in images])
            compared = originals.judged(around, images, predicted_by_core(bundle, *images), given.outputs, TOLERANCE[format])
    except ZooreadyError as error:
        return f"| `{name}` | {make.like} | not to be had: {error} | | |"
    off = max(one.difference for one in compared)
    formats = ", ".join(result.formats) + "".join(f"; no {format}: {why}" for format, why in result.unavailable.items())
    words = "; ".join((*notes, *result.measured.notes))
    return f"| `{name}` | {make.like} | {format} | {formats} | {len(compared)} | {off:.1g} | {words}"


def main(folder: Path, names: list[str]) -> None:
    """Print the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in names or MAKES:
        print(row_of(name, folder), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
