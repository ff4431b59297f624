"""Opening a bundle as data: nothing that it holds is run, and nothing outside it is read."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zooready.bundle.parsing import parse
from zooready.bundle.unpacking import safe_name, unpack
from zooready.errors import BundleInvalid
from zooready.records import FORMATS, TOLERANCE, Array, Bundle, Case, Format

DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")
KEYS: Mapping[Format, str] = {"state_dict": "pytorch_state_dict", "torchscript": "torchscript", "onnx": "onnx"}
KINDS = ("image", "labels", "scores")
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
ELEMENTS = 2**28  # of one stored array: 1 GiB as float32
LOOSEST = 100  # times the default tolerance


@contextmanager
def opened(path: Path | str, *, trust_code: bool = False) -> Iterator[Bundle]:
    """A bundle, unpacked to a temporary folder that vanishes when the block ends.

    Parameters
    ----------
    path
        A zip or a folder with ``rdf.yaml`` (or ``bioimageio.yaml``) at its root, spec 0.4 or 0.5.
    trust_code
        Whether the bundle's own Python may be run later; nothing is run here.

    Raises
    ------
    BundleInvalid
        Broken, unsafe, incomplete, changed since its hashes were written, or without weights that zooready knows.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="zooready-") as temporary:
        folder = Path(temporary).resolve()
        unpack(path, folder)
        try:
            bundle = _read(path, folder, trust_code)
        except (TypeError, ValueError, AttributeError, LookupError) as error:  # a value of another kind than the format has there
            raise BundleInvalid(
                f"{path}: rdf.yaml cannot be understood ({type(error).__name__}: {error}). Validate it with bioimageio validate-format."
            ) from error
        yield bundle


def _read(path: Path, folder: Path, trusted: bool) -> Bundle:
    rdf = parse(_description(path, folder))
    if not str(rdf.get("format_version", "")).startswith(("0.4", "0.5")) or rdf.get("type", "model") != "model":
        raise BundleInvalid(
            f"{path} is a {rdf.get('type')!r} of format {rdf.get('format_version')!r}: zooready reads models of format 0.4 and 0.5. "
            "Update it with bioimageio update-format."
        )
    for entry in _sources(rdf):
        _check_source(path, folder, entry)
    weights = _mapping(rdf.get("weights"), "weights")
    formats = {
        format: _inside(path, folder, _mapping(weights[KEYS[format]], KEYS[format]).get("source"))
        for format in FORMATS
        if _has(weights, KEYS[format])
    }
    if not formats:
        raise BundleInvalid(f"{path} holds weights {sorted(weights)}, of which zooready runs none: add {', '.join(KEYS.values())}.")
    own = _mapping(_mapping(rdf.get("config", {}), "config").get("zooready", {}), "config.zooready")
    return Bundle(
        path=path,
        folder=folder,
        rdf=rdf,
        formats=formats,
        outputs=_outputs(rdf, own),
        cases=tuple(_cases(path, folder, rdf, own)),
        tolerance=_tolerance(path, own),
        trusted=trusted,
    )


def _description(path: Path, folder: Path) -> Path:
    for name in DESCRIPTIONS:
        if (folder / name).is_file():
            return folder / name
    below = [str(one.relative_to(folder)) for name in DESCRIPTIONS for one in folder.rglob(name)]
    where = f"it lies at {below[0]}: zip the files, not the folder around them" if below else "this is no BioImage.IO bundle"
    raise BundleInvalid(f"{path} has no rdf.yaml at its root; {where}.")


def _sources(node: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping that names a file by ``source``, and the bare file names of format 0.4."""
    if isinstance(node, Mapping):
        if isinstance(node.get("source"), str):
            yield node
        for key in ("test_inputs", "test_outputs"):
            yield from ({"source": one} for one in node.get(key) or () if isinstance(one, str))
        for key, value in node.items():
            if key != "config":  # free text of other programs; our own part is checked where it is read
                yield from _sources(value)
    elif isinstance(node, list):
        for value in node:
            yield from _sources(value)


def _check_source(path: Path, folder: Path, entry: Mapping[str, Any]) -> None:
    """The file is inside, and is the one that was hashed."""
    file = _inside(path, folder, entry["source"])
    if entry.get("sha256") is None:
        return
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            found.update(chunk)
    if found.hexdigest() != str(entry["sha256"]).lower():
        raise BundleInvalid(
            f"{path}: {entry['source']} was changed after the bundle was made: its sha256 is {found.hexdigest()}, "
            f"rdf.yaml says {entry['sha256']}. Download or export the bundle again."
        )


def _inside(path: Path, folder: Path, source: object) -> Path:
    """The file that a description names."""
    if not isinstance(source, str) or "://" in source:
        raise BundleInvalid(f"{path} refers to {source!r} outside itself, and nothing is fetched: package the file into the bundle.")
    file = folder / safe_name(source, path)
    if not file.is_file():
        raise BundleInvalid(f"{path} names {source!r} but does not hold it. Package it again with all its files.")
    return file


def _outputs(rdf: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(id, kind) of each output: what ``config.zooready`` says, else told by its axes."""
    said = {one["id"]: one["kind"] for one in _list(own.get("outputs", []), "config.zooready.outputs") if _has(one, "id", "kind")}
    unknown = set(map(str, said.values())) - set(KINDS)
    if unknown:
        raise BundleInvalid(f"config.zooready.outputs knows kinds {sorted(unknown)}: use {', '.join(KINDS)}.")
    outputs = [_mapping(one, "outputs") for one in _list(rdf.get("outputs"), "outputs")]
    names = [str(one.get("id", one.get("name"))) for one in outputs]
    return tuple((name, said.get(name, "image" if _is_image(one) else "scores")) for name, one in zip(names, outputs, strict=True))


def _is_image(tensor: Mapping[str, Any]) -> bool:
    axes = tensor.get("axes") or ()
    letters = axes if isinstance(axes, str) else [axis.get("id") for axis in axes if isinstance(axis, Mapping)]
    return "y" in letters and "x" in letters


def _cases(path: Path, folder: Path, rdf: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[Case]:
    """The specification's test pair, then the stored ones; none for a network that does not take exactly one input."""
    inputs, outputs = tensor_files(rdf)
    if len(inputs) != 1:
        return
    yield _case(path, folder, "test", inputs[0], outputs)
    for number, entry in enumerate(_list(own.get("cases", []), "config.zooready.cases")):
        if not _has(entry, "name", "input", "outputs") or len(_list(entry["outputs"], "outputs of a case")) != len(outputs):
            raise BundleInvalid(
                f"{path}: config.zooready.cases[{number}] needs a name, an input and {len(outputs)} outputs, each a .npy "
                "inside. Export again."
            )
        yield _case(path, folder, str(entry["name"]), entry["input"], entry["outputs"])


def tensor_files(rdf: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the test inputs and the test outputs, whatever the format version."""
    if "test_inputs" in rdf:
        return list(rdf["test_inputs"]), list(rdf.get("test_outputs") or ())
    found = []
    for side in ("inputs", "outputs"):
        tensors = [_mapping(one, side) for one in _list(rdf.get(side), side)]
        found.append([_mapping(one.get("test_tensor"), f"test_tensor of {side}").get("source", "") for one in tensors])
    return found[0], found[1]


def _case(path: Path, folder: Path, name: str, input: object, outputs: Sequence[object]) -> Case:
    return Case(
        name=name,
        input=read_array(_inside(path, folder, input)),
        outputs=tuple(read_array(_inside(path, folder, one)) for one in outputs),
    )


def read_array(file: Path) -> Array:
    """A .npy as plain numbers.

    Raises
    ------
    BundleInvalid
        Not a .npy, cut off, too large, or of objects, which would be pickled code.
    """
    try:
        with file.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(stream)
            size = math.prod(shape)
            if dtype.name not in DTYPES or size > ELEMENTS or stream.tell() + size * dtype.itemsize != file.stat().st_size:
                raise ValueError(f"{dtype} of shape {shape} in {file.stat().st_size} bytes")
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except Exception as error:  # numpy evaluates the header as Python's literals, and a damaged one raises nearly anything
        raise BundleInvalid(f"{file.name} is not a .npy of plain numbers ({error}): save it again with numpy.save, float32.") from None


def _tolerance(path: Path, own: Mapping[str, Any]) -> dict[Format, float]:
    """Largest difference / range for each format: the default, or what the bundle claims within bounds."""
    claimed = _mapping(own.get("tolerance", {}), "config.zooready.tolerance")
    tolerance = dict(TOLERANCE)
    for format, default in TOLERANCE.items():
        value = claimed.get(format, default)
        if not isinstance(value, (int, float)) or not 0 < value <= LOOSEST * default:
            raise BundleInvalid(
                f"{path} claims a tolerance of {value!r} for {format}: a bundle may claim up to {LOOSEST * default:g}, "
                f"{LOOSEST} times the default. Export again with weights that agree."
            )
        tolerance[format] = float(value)
    return tolerance


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BundleInvalid(
            f"rdf.yaml: {where} is {value!r}, and must be a mapping. Write the description again, e.g. with zooready export."
        )
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BundleInvalid(f"rdf.yaml: {where} is {value!r}, and must be a list. Write the description again, e.g. with zooready export.")
    return value


def _has(entry: object, *keys: str) -> bool:
    return isinstance(entry, Mapping) and all(entry.get(key) is not None for key in keys)
