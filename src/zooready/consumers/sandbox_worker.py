"""What runs inside the child: ``main(FOLDER)``, with ``job.json`` inside.

Each line of standard input is a request, ``<number> <arrays>``: ``input<number>_<k>.npy`` lie in the folder. Writes
``output<number>_<k>.npy`` and then ``answer<number>.json`` (how many outputs), or ``failure.json`` and ends. It ends, too, when standard
input does, that is when its parent is gone.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

import numpy as np

from zooready.bundle.parsing import has, listing, parse
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid, OutputsDiffer, ZooreadyError
from zooready.formats import FORMATS
from zooready.formats.state_dict import Builder
from zooready.processes.limits import end_group
from zooready.records import Array

Network = Callable[..., Sequence[Array]]  # of (b, c, ...) float32
FILE_BYTES = 8 * 2**30


def main(folder: Path) -> None:
    """Do the job that lies in ``folder``."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    limit(job["memory"] if job.get("device", "cpu") == "cpu" else None)
    no_network()
    step = "loading"
    try:
        network = LOADERS[job["kind"]](job)
        for number, count in _requests():
            arrays = [np.load(folder / f"input{number}_{k}.npy", allow_pickle=False) for k in range(count)]
            step = f"an image of {arrays[0].shape}" if arrays else step
            outputs = network(*arrays) if arrays else ()
            for k, output in enumerate(outputs):
                if not isinstance(output, np.ndarray):
                    raise BundleInvalid(f"output {k + 1} is no tensor (Python shows it as {type(output).__name__}): return tensors only.")
                if output.dtype.kind not in "biuf":
                    raise BundleInvalid(f"output {k + 1} is of type {output.dtype}, not of real numbers: convert it inside the network.")
                np.save(folder / f"output{number}_{k}.npy", output, allow_pickle=False)
            partial = folder / f"answer{number}.partial"
            partial.write_text(json.dumps(len(outputs)), encoding="utf-8")
            partial.replace(folder / f"answer{number}.json")
    except InputInvalid as error:  # of a format: a file that its runtime cannot load, for the cause; or no tensors come out
        if error.__cause__ is None:
            leave(folder, "BundleInvalid", str(error))
        else:
            leave(folder, "ConsumerFailed", _raised(step, error.__cause__))
    except ZooreadyError as error:
        leave(folder, type(error).__name__, str(error))
    except Exception as error:  # whatever a stranger's network raises is what this process is for
        leave(folder, "ConsumerFailed", _raised(step, error))


def _requests() -> Iterator[tuple[int, int]]:
    """Number and count of arrays of each request, as they come; the process ends when no more can come."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        while line := sys.stdin.buffer.readline():
            lines.put(line)
        end_group()  # even if the network still computes

    threading.Thread(target=read, daemon=True).start()
    while True:
        number, count = lines.get().split()
        yield int(number), int(count)


def _raised(step: str, error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{step} raised {type(error).__name__}: {lines[-1] if lines else '(no message)'}"


def leave(folder: Path, error: str, why: str) -> None:
    """Leave the reason where the parent looks for it."""
    partial = folder / "failure.partial"
    partial.write_text(json.dumps({"error": error, "why": why[:2000]}), encoding="utf-8")
    partial.replace(folder / "failure.json")


def limit(memory: int | None) -> None:
    """Bound memory (bytes; None where a GPU's driver maps far more than it uses) and files, and leave no core dump; not on Windows."""
    try:
        import resource
    except ImportError:
        return
    limits = {resource.RLIMIT_FSIZE: FILE_BYTES, resource.RLIMIT_CORE: 0}
    for what, most in (limits | ({} if memory is None else {resource.RLIMIT_DATA: memory})).items():
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def no_network() -> None:
    """Refuse every connection: a check reads one file, and a silent server would stall it."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            raise OSError(f"a check uses no network ({event})")

    sys.addaudithook(refuse)


def weights(job: dict[str, Any]) -> Network:
    """One weight file, on the CPU; TorchScript and state dicts are code, and only ever come here with trust or after a look."""
    options: dict[str, Any] = {"outputs": job["outputs"]} if "outputs" in job else {}
    if "constants" in job:
        options["constants"] = {name: np.load(f"{job['path']}.{k}.npy", allow_pickle=False) for k, name in enumerate(job["constants"])}
    if "builder" in job:
        given = job["builder"]
        options["builder"] = Builder(**{**given, "file": Path(given["file"]) if given["file"] else None})
    run: Network = FORMATS[job["kind"]].start(Path(job["path"]), job.get("device", "cpu"), **options)
    return run


def differentiable(job: dict[str, Any]) -> Network:
    """TorchScript, with gradients: given (b, c, …) alone it computes, given also the gradient in each output, that in the image."""
    import torch

    from zooready.formats import torchscript
    from zooready.formats.copies import tensors

    network = torchscript.load(Path(job["path"]))
    for weight in network.parameters():
        weight.requires_grad_(False)

    def run(image: Array, *gradients: Array) -> Sequence[Array]:
        given = torch.from_numpy(image.copy()).requires_grad_(bool(gradients))
        outputs = tensors(network(given))
        if not gradients:
            return [output.numpy() for output in outputs]
        depending = [(output, torch.from_numpy(k)) for output, k in zip(outputs, gradients, strict=True) if output.requires_grad]
        if not depending:
            return [np.zeros_like(image)]
        (gradient,) = torch.autograd.grad([o for o, _ in depending], given, [k for _, k in depending], allow_unused=True)
        return [np.zeros_like(image) if gradient is None else gradient.numpy()]

    return run


def bioimageio(job: dict[str, Any]) -> Network:
    """The own test of bioimageio.core for one weights format, and then its prediction of each image by itself."""
    import bioimageio.core
    from bioimageio.core.digest_spec import create_sample_for_model, get_member_ids
    from bioimageio.core.proc_setup import get_required_dataset_measures
    from bioimageio.spec.model import v0_4, v0_5

    _take_accounts_as_written(Path(job["bundle"]))
    model = bioimageio.core.load_description_and_test(job["bundle"], weight_format=job["weights"])
    if not isinstance(model, (v0_4.ModelDescr, v0_5.ModelDescr)) or model.validation_summary.status != "passed":
        _explain(model.validation_summary)
    fresh = partial(bioimageio.core.create_prediction_pipeline, model, weight_format=job["weights"])
    lasting = None if any(get_required_dataset_measures(model)) else fresh()  # one that lasts mixes in statistics of the images before

    def network(*inputs: Array) -> Sequence[Array]:
        pipeline = fresh() if lasting is None else lasting
        named = dict(zip(get_member_ids(model.inputs), inputs, strict=True))
        sample = create_sample_for_model(model, inputs=named)  # as in its own test, a halo is neither added nor cut off
        predicted = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
        return [predicted.members[name].data.to_numpy() for name in get_member_ids(model.outputs)]

    return network


def _take_accounts_as_written(description: Path) -> None:
    """Have bioimageio.spec not look up the accounts of authors and maintainers: there is no network here, and without it, it raises."""
    from bioimageio.spec._internal.constants import KNOWN_GITHUB_USERS

    rdf = parse(description)
    people = [person for key in ("authors", "maintainers", "packaged_by") for person in listing(rdf.get(key) or [], key)]
    KNOWN_GITHUB_USERS.update(str(person["github_user"]).lower() for person in people if has(person, "github_user"))


def _explain(summary: Any) -> NoReturn:
    """Turn core's summary into one error; ``valid-format`` is how it says that outputs are wrong."""
    faults = [(detail.name, error) for detail in summary.details for error in detail.errors]
    why = "; ".join(dict.fromkeys(f"{name}: {' '.join(str(error.msg).split())}" for name, error in faults)) or "no reason given"
    verdict = f"its own test says {summary.status!r} ({why[:600]})"
    if summary.status != "valid-format":
        raise BundleInvalid(f"{verdict}. Correct the description, or export again.")
    if any("disagree" in str(error.msg) for _, error in faults):
        raise OutputsDiffer(f"{verdict}. Export again from the network that gave the test output, in eval mode.")
    raise ConsumerFailed(f"{verdict}. Export again, and compare with the other formats.")


LOADERS: dict[str, Callable[[dict[str, Any]], Network]] = {
    **dict.fromkeys(FORMATS, weights),
    "bioimageio": bioimageio,
    "differentiable": differentiable,
}
