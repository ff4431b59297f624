"""What runs inside the child: ``python -m zooready.consumers.sandbox_worker FOLDER`` with ``job.json`` and ``input<i>.npy`` inside.

Writes ``output<i>_<k>.npy`` and ``outputs.json`` (how many outputs each image gave), or ``failure.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid, OutputsDiffer, ZooreadyError
from zooready.formats import FORMATS
from zooready.formats.state_dict import Builder
from zooready.records import Array

Network = Callable[[Array], Sequence[Array]]
FILE_BYTES = 8 * 2**30


def main(folder: Path) -> None:
    """Do the job that lies in ``folder``."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    limit(job["memory"])
    no_network()
    step = "loading"
    try:
        network = LOADERS[job["kind"]](job)
        counts = []
        for number in range(job["images"]):
            image = np.load(folder / f"input{number}.npy", allow_pickle=False)
            step = f"an image of {image.shape}"
            outputs = network(image)
            for k, output in enumerate(outputs):
                np.save(folder / f"output{number}_{k}.npy", output, allow_pickle=False)
            counts.append(len(outputs))
        (folder / "outputs.json").write_text(json.dumps(counts), encoding="utf-8")
    except InputInvalid as error:  # of a format: a file that its runtime cannot load, for the cause; or no tensors come out
        if error.__cause__ is None:
            leave(folder, "BundleInvalid", str(error))
        else:
            leave(folder, "ConsumerFailed", _raised(step, error.__cause__))
    except ZooreadyError as error:
        leave(folder, type(error).__name__, str(error))
    except Exception as error:  # whatever a stranger's network raises is what this process is for
        leave(folder, "ConsumerFailed", _raised(step, error))


def _raised(step: str, error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{step} raised {type(error).__name__}: {lines[-1] if lines else '(no message)'}"


def leave(folder: Path, error: str, why: str) -> None:
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


def weights(job: dict[str, Any]) -> Network:
    """One weight file, on the CPU; TorchScript and state dicts are code, and only ever come here with trust or after a look."""
    options: dict[str, Any] = {}
    if "builder" in job:
        given = job["builder"]
        options["builder"] = Builder(**{**given, "file": Path(given["file"]) if given["file"] else None})
    run: Network = FORMATS[job["kind"]].start(Path(job["path"]), "cpu", **options)
    return run


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
        sample = create_sample_for_model(model, inputs=image)  # as in its own test, a halo is neither added nor cut off
        predicted = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
        return [predicted.members[name].data.to_numpy() for name in get_member_ids(model.outputs)]

    return network


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


LOADERS: dict[str, Callable[[dict[str, Any]], Network]] = {**dict.fromkeys(FORMATS, weights), "bioimageio": bioimageio}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
