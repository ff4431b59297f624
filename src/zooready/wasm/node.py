"""ONNX weights in the WebAssembly engine of browsers, run by Node.js in a child process with limits of time and memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from zooready.errors import ConsumerFailed, ConsumerMissing
from zooready.processes import end, guard, memory_bytes, scratch
from zooready.records import Array, as_float32
from zooready.wasm import runtime

SECONDS = 600.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONPATH")


def missing() -> str | None:
    """Why it cannot be run here, with the cure; None if it can."""
    return runtime.missing() or (None if shutil.which("node") else "Node.js is not here: install it, so that node is on the path.")


def version() -> str:
    """What ``node --version`` prints."""
    node = shutil.which("node")
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip() if node else ""


def run(weights: Path, images: Sequence[Array], names: Sequence[str], *, seconds: float | None = None) -> list[tuple[Array, ...]]:
    """Outputs of the network for each image.

    Parameters
    ----------
    weights
        One ONNX file.
    images
        (b, c, …) each; given as float32.
    names
        Of the outputs, in the order wanted; the file's own order where it has others.
    seconds
        Time limit for all images together; :data:`SECONDS` if None.

    Raises
    ------
    ConsumerMissing
        Node.js or the engine is not here.
    ConsumerFailed
        It crashed, hung, or refused the file or an image.
    """
    if why := missing():
        raise ConsumerMissing(why)
    with scratch() as folder:
        listed = []
        for number, image in enumerate(images):
            as_float32(image).tofile(folder / f"input{number}")
            listed.append({"file": str(folder / f"input{number}"), "shape": list(image.shape)})
        job = {"engine": str(runtime.folder()), "weights": str(weights), "folder": str(folder), "images": listed}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _finished(folder, seconds or SECONDS)
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        return [tuple(_array(output) for output in _in_order(outputs, names)) for outputs in answer]


def _in_order(outputs: list[dict[str, object]], names: Sequence[str]) -> list[dict[str, object]]:
    by_name = {str(output["name"]): output for output in outputs}
    return [by_name[name] for name in names] if set(names) == set(by_name) else outputs


def _array(output: dict[str, object]) -> Array:
    shape = output["shape"]
    assert isinstance(shape, list)
    return np.fromfile(str(output["file"]), dtype=str(output["type"])).reshape(shape)


def _finished(folder: Path, seconds: float) -> None:
    """Run the job in ``folder`` to its end."""
    environment = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    environment |= dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(folder))
    with resources.as_file(resources.files("zooready.wasm").joinpath("node.mjs")) as script, (folder / "log.txt").open("wb") as log:
        command = [shutil.which("node") or "node", str(script), str(folder / "job.json")]
        child = subprocess.Popen(
            guard.command(command, memory_bytes()), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ConsumerFailed(
                f"the browser's engine was stopped after {seconds:.0f} s. Try a smaller image, a faster machine, or a longer time limit."
            ) from None
        finally:
            end(child)
    if code or not (folder / "answer.json").is_file():
        lines = [line.strip() for line in (folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()]
        told = next((line for line in lines if "Error" in line), next((line for line in reversed(lines) if line), "nothing"))
        raise ConsumerFailed(f"the browser's engine ended with exit code {code}. It said: {told[:400]} Try the file in another program.")
