"""Opening a bundle as data: nothing that it holds is run, and nothing outside it is read."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from zooready.bundle.parsing import dump, has, mapping, parse
from zooready.bundle.rdf import CaseFiles, case_files, read
from zooready.bundle.unpacking import instead, safe_name, unpack
from zooready.errors import BundleInvalid, InputInvalid, ZooreadyError
from zooready.formats.torchscript import container
from zooready.processes import OutOfTime, on_time, scratch, within
from zooready.records import FORMATS, Array, Bundle, Case, Format

DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")
READ_BY_CORE = (*DESCRIPTIONS, "model.yaml")  # or what ends in a point and such a name; bioimageio.spec, _internal/io.py
KEYS: Mapping[Format, str] = {"state_dict": "pytorch_state_dict", "torchscript": "torchscript", "onnx": "onnx"}
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
VERSION = re.compile(r"0\.[45]\.[0-9]+([.a-z][0-9a-z.]*)?")
ELEMENTS = 2**28  # of one stored array: 1 GiB as float32


@contextmanager
def opened(path: Path | str, *, trust_code: bool = False, time_limit_s: float | None = None) -> Iterator[Bundle]:
    """A bundle, unpacked to a temporary folder that vanishes when the block ends.

    Parameters
    ----------
    path
        A zip or a folder with ``rdf.yaml`` (or ``bioimageio.yaml``) at its root, spec 0.4 or 0.5.
    trust_code
        Whether the bundle's own Python may be run later; nothing is run here.
    time_limit_s
        How long unpacking and scanning may take now, and its network later, s; None for no limit here, and that of whoever runs it.

    Raises
    ------
    BundleInvalid
        Broken, unsafe, incomplete, changed since its hashes were written, or without weights that zooready knows;
        or not unpacked and scanned within the time limit.
    """
    if time_limit_s is not None and not time_limit_s > 0:
        raise InputInvalid(f"time_limit_s={time_limit_s!r}: give seconds above 0, or None for the usual limit.")
    path = Path(path)
    late = BundleInvalid(
        f"{path} was not unpacked and scanned within its time limit of {time_limit_s} s, and nothing of it was run: give it more time, or "
        "none if the file is as large or as strange as it looks."
    )
    with scratch() as folder:
        try:
            with within(time_limit_s, late):
                unpack(path, folder)
                bundle = _read(path, folder, trust_code)
        except (ZooreadyError, OutOfTime):
            raise
        except Exception as error:  # the guard at the door: a value of another kind than the format has there
            raise BundleInvalid(
                f"{path}: rdf.yaml cannot be understood ({type(error).__name__}: {error}). Validate it with bioimageio validate-format."
            ) from error
        yield replace(bundle, time_limit_s=time_limit_s)


def _read(path: Path, folder: Path, trusted: bool) -> Bundle:
    description = _description(path, folder)
    rdf = parse(description)
    if not VERSION.fullmatch(str(rdf.get("format_version", ""))) or rdf.get("type", "model") != "model":
        raise BundleInvalid(
            f"{path} is a {rdf.get('type')!r} of format {rdf.get('format_version')!r}: zooready reads models of format 0.4 and 0.5, "
            "written in full as in '0.5.4'. Correct it, or update it with bioimageio update-format."
        )
    for name in (rdf.get("documentation"), *(rdf["covers"] if isinstance(rdf.get("covers"), list) else ())):
        if isinstance(name, str) and "://" not in name:
            safe_name(name, path)  # bioimageio would follow it out of a folder, and package what lies there
    for entry in _sources(rdf):
        _check_source(path, folder, entry)
    weights = mapping(rdf.get("weights"), "weights")
    formats = {
        format: _inside(path, folder, mapping(weights[KEYS[format]], KEYS[format]).get("source"))
        for format in FORMATS
        if has(weights, KEYS[format])
    }
    if not formats:
        raise BundleInvalid(f"{path} holds weights {sorted(weights)}, of which zooready runs none: add {', '.join(KEYS.values())}.")
    if "torchscript" in formats:
        _write_anew(formats["torchscript"], rdf, description)
    bundle = read(rdf, path=path, folder=folder, formats=formats, trusted=trusted)
    return replace(bundle, cases=tuple(_cases(path, folder, case_files(rdf, path))))


def _description(path: Path, folder: Path) -> Path:
    for name in DESCRIPTIONS:
        if (folder / name).is_file():
            taken = _taken_by_core(folder)
            if taken != name:
                raise BundleInvalid(
                    f"{path} holds {taken} beside {name}: bioimageio reads the one, Fiji and zooready the other. Keep one description."
                )
            return folder / name
    below = [str(file.relative_to(folder)) for name in DESCRIPTIONS for file in folder.rglob(name)]
    where = (
        f"it lies at {below[0]}: zip the files, not the folder around them" if below else f"this is no BioImage.IO bundle: {instead(path)}"
    )
    raise BundleInvalid(f"{path} has no rdf.yaml at its root; {where}.")


def _taken_by_core(folder: Path) -> str:
    """The description that bioimageio takes of these files."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.yaml") if file.is_file())
    return next(name for end in READ_BY_CORE for name in names if name == end or name.endswith(f".{end}"))


def _write_anew(torchscript: Path, rdf: Mapping[str, Any], description: Path) -> None:
    """Leave of a TorchScript file what was scanned, so that nothing else can be loaded; the description follows with its hash.

    A file that cannot be read stays as it is: ``formats.unsafe`` refuses it wherever it would be loaded.
    """
    fresh = torchscript.with_name(f"{torchscript.name}.new")
    try:
        container.strip(torchscript, fresh, {})
    except InputInvalid:
        fresh.unlink(missing_ok=True)
        return
    fresh.replace(torchscript)
    digest = _sha256(torchscript)
    folder, is_stale = description.parent, False
    for entry in _sources(rdf):
        if entry.get("sha256") not in (None, digest) and folder / entry["source"] == torchscript:
            entry["sha256"] = digest
            is_stale = True
    if is_stale:
        dump(rdf, description)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            on_time()
            digest.update(chunk)
    return digest.hexdigest()


def _sources(node: object) -> Iterator[dict[str, Any]]:
    """Every mapping that names a file by ``source``, and the bare file names of format 0.4."""
    if isinstance(node, dict):
        if isinstance(node.get("source"), str):
            yield node
        for key in ("test_inputs", "test_outputs"):
            yield from ({"source": name} for name in node.get(key) or () if isinstance(name, str))
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
    digest = _sha256(file)
    if digest != str(entry["sha256"]).lower():
        raise BundleInvalid(
            f"{path}: {entry['source']} was changed after the bundle was made: its sha256 is {digest}, "
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


def _cases(path: Path, folder: Path, listed: Sequence[CaseFiles]) -> Iterator[Case]:
    for case in listed:
        on_time()
        arrays = [read_array(_case_file(path, folder, source)) for source in (case.input, *case.outputs)]
        yield Case(name=case.name, input=arrays[0], outputs=tuple(arrays[1:]))


def _case_file(path: Path, folder: Path, source: object) -> Path:
    """The file of a case; bioimageio, when it saves a bundle again, puts all files at the root and leaves ``config`` as it was."""
    if isinstance(source, str) and not (folder / safe_name(source, path)).is_file():
        name = PurePosixPath(source).name
        return _inside(path, folder, name if (folder / name).is_file() else source)
    return _inside(path, folder, source)


def read_array(file: Path) -> Array:
    """A .npy as plain numbers.

    Raises
    ------
    BundleInvalid
        Not a .npy, cut off, empty, too large, or of objects, which would be pickled code.
    """
    try:
        with file.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(stream)
            size = math.prod(shape)
            if dtype.name not in DTYPES or not 0 < size <= ELEMENTS or stream.tell() + size * dtype.itemsize != file.stat().st_size:
                raise ValueError(f"{dtype} of shape {shape} in {file.stat().st_size} bytes")
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except Exception as error:  # numpy evaluates the header as Python's literals, and a damaged one raises nearly anything
        raise BundleInvalid(f"{file.name} is not a .npy of plain numbers ({error}): save it again with numpy.save, float32.") from None
