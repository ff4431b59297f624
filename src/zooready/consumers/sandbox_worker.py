"""What runs inside the child: ``python -m zooready.consumers.sandbox_worker FOLDER`` with ``job.json`` and ``input<i>.npy`` inside.

Writes ``output<i>_<k>.npy`` and ``outputs.json`` (how many outputs each image gave), or ``failure.json``.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from zooready.errors import BundleInvalid, ConsumerFailed, OutputsDiffer, ZooreadyError
from zooready.records import Array

Network = Callable[[Array], Sequence[Array]]
FILE_BYTES = 8 * 2**30


def main(folder: Path) -> None:
    """Do the job that lies in ``folder``."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    limit(job["memory"])
    no_network()
    where = "loading"
    try:
        network = LOADERS[job["kind"]](job)
        counts = []
        for number in range(job["images"]):
            image = np.load(folder / f"input{number}.npy", allow_pickle=False)
            where = f"an image of {image.shape}"
            outputs = network(image)
            for k, output in enumerate(outputs):
                np.save(folder / f"output{number}_{k}.npy", output, allow_pickle=False)
            counts.append(len(outputs))
        (folder / "outputs.json").write_text(json.dumps(counts), encoding="utf-8")
    except ZooreadyError as error:
        tell(folder, type(error).__name__, str(error))
    except Exception as error:  # whatever a stranger's network raises is what this process is for
        last = [line.strip() for line in str(error).splitlines() if line.strip()]
        tell(folder, "ConsumerFailed", f"{where} raised {type(error).__name__}: {last[-1] if last else '(no message)'}")


def tell(folder: Path, error: str, why: str) -> None:
    """Leave the reason where the parent looks for it."""
    (folder / "failure.json").write_text(json.dumps({"error": error, "why": why[:2000]}), encoding="utf-8")


def limit(memory: int) -> None:
    """Bound memory and file sizes, and leave no core dump; Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def no_network() -> None:
    """Refuse every connection: a check reads one file, and a silent server would stall it."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            raise OSError(f"a check uses no network ({event})")

    sys.addaudithook(refuse)


def torchscript(job: dict[str, Any]) -> Network:
    """A TorchScript file, on the CPU."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch 2.15 deprecates loading TorchScript; Fiji's engine does not
        module = torch.jit.load(job["path"], map_location="cpu").eval()
    return _of_torch(module)


def state_dict(job: dict[str, Any]) -> Network:
    """The bundle's own architecture with its weights; only ever called with trust."""
    import torch

    if job["file"]:
        specification = importlib.util.spec_from_file_location("architecture_of_the_bundle", job["file"])
        if specification is None or specification.loader is None:
            raise BundleInvalid(f"{job['file']} is no Python file: name the architecture's file .py.")
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
    else:
        module = importlib.import_module(job["module"])
    network = getattr(module, job["callable"])(**job["kwargs"])
    network.load_state_dict(torch.load(job["path"], map_location="cpu", weights_only=True))
    return _of_torch(network.eval())


def _of_torch(module: Any) -> Network:
    import torch

    def network(image: Array) -> Sequence[Array]:
        with torch.no_grad():
            found = module(torch.from_numpy(image))
        outputs = found if isinstance(found, (tuple, list)) else (found,)
        if not all(isinstance(one, torch.Tensor) for one in outputs):
            raise BundleInvalid(f"the network returns {type(found).__name__}, not tensors: return a tensor or a tuple of tensors.")
        return [one.detach().cpu().numpy() for one in outputs]

    return network


def onnx(job: dict[str, Any]) -> Network:
    """An ONNX file in Python's ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(job["path"], providers=["CPUExecutionProvider"])
    inputs = [one.name for one in session.get_inputs()]
    if len(inputs) != 1:
        raise BundleInvalid(f"the ONNX graph takes {len(inputs)} inputs {inputs}: export it with one.")
    return lambda image: session.run(None, {inputs[0]: image})


def bioimageio(job: dict[str, Any]) -> Network:
    """The own test of bioimageio.core for one weights format, and then its predictions."""
    import bioimageio.core
    from bioimageio.core.digest_spec import create_sample_for_model, get_member_ids
    from bioimageio.spec.model import v0_4, v0_5

    model = bioimageio.core.load_description_and_test(job["bundle"], weight_format=job["weights"])
    if not isinstance(model, (v0_4.ModelDescr, v0_5.ModelDescr)) or model.validation_summary.status != "passed":
        _explain(model.validation_summary)
    pipeline = bioimageio.core.create_prediction_pipeline(model, weight_format=job["weights"])

    def network(image: Array) -> Sequence[Array]:
        found = pipeline.predict_sample_without_blocking(create_sample_for_model(model, inputs=image), skip_input_padding=True)
        return [found.members[name].data.to_numpy() for name in get_member_ids(model.outputs)]

    return network


def _explain(summary: Any) -> NoReturn:
    """Turn core's summary into one error; ``valid-format`` is how it says that outputs are wrong."""
    found = [(detail.name, error) for detail in summary.details for error in detail.errors]
    why = "; ".join(dict.fromkeys(f"{name}: {' '.join(str(error.msg).split())}" for name, error in found)) or "no reason given"
    said = f"its own test says {summary.status!r} ({why[:600]})"
    if summary.status != "valid-format":
        raise BundleInvalid(f"{said}. Correct the description, or export again.")
    if any("disagree" in str(error.msg) for _, error in found):
        raise OutputsDiffer(f"{said}. Export again from the network that gave the test output, in eval mode.")
    raise ConsumerFailed(f"{said}. Export again, and compare with the other formats.")


LOADERS: dict[str, Callable[[dict[str, Any]], Network]] = {
    "torchscript": torchscript,
    "state_dict": state_dict,
    "onnx": onnx,
    "bioimageio": bioimageio,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
