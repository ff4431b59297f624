"""Pairs in NumPy's npz files, as m-rBCR and DeBCR publish them.

train.npz, val.npz, test.npz, each with    w or low     blurred images (n, y, x) or (n, y, x, 1)
                                           gt or o      the sharp ones, of the same shape

Read in the code that was published with them: m-rBCR's training asks for ``w`` and ``o``, its tests for ``w`` and ``gt`` (and the point
spread function ``psf`` in one of them), DeBCR for ``low`` and ``gt``; images of 128 px are stretched to 0..1 one by one and kept as
float64. Assumed: that the files on the servers are named after their part (``…train…npz``), as one published address is.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zooready.data.faults import notes_on, refuse, where_not_finite
from zooready.data.folder import Folder
from zooready.errors import InputInvalid, amount
from zooready.records import Array, Pair

INPUTS, TARGETS = ("w", "low"), ("gt", "o")  # names of the arrays in a file; the first that exists is used
PARTS = ("train", "val", "test")  # words in a file's name


@dataclass(frozen=True, kw_only=True)
class PairsFile:
    """One npz file: ``inputs`` and ``targets`` (n, y, x) as stored, and the ``part`` of the data set ("" if the name does not say)."""

    path: Path
    part: str
    inputs: Array
    targets: Array


def npz_files(path: Path) -> list[Path]:
    """The npz files at a path: the file itself, or those of a folder and of its subfolders ``train``, ``val`` and ``test``."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".npz" else []
    return sorted(file for pattern in ("*.npz", *(f"{part}/*.npz" for part in PARTS)) for file in path.glob(pattern))


def read_npz(source: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Read a file of pairs, or a folder of such files.

    Parameters
    ----------
    source
        An npz file, or a folder of them.
    pair_of
        As for :func:`zooready.data.read_folder`.

    Returns
    -------
    Folder
        With the published split, train and val (test if there is no val), if the files' names contain it.

    Raises
    ------
    InputInvalid
        One message with all faults: no such arrays, pickled objects, different shapes, NaN, damaged files.
    """
    data = examine_npz(source, pair_of)
    refuse(source, data.faults)
    return data


def examine_npz(source: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Like :func:`read_npz`, but faults are listed in the result and the other pairs are returned.

    Raises
    ------
    InputInvalid
        There is no npz file; if the path does not exist, the message says where public data sets are listed.
    """
    if not source.exists():
        raise InputInvalid(f"there is no {source}: check the name. `zooready data` lists the public data sets and their addresses.")
    paths = npz_files(source)
    if not paths:
        raise InputInvalid(f"{source} holds no npz files: give a file, or a folder with train.npz and val.npz.")
    base = source if source.is_dir() else source.parent
    digest = hashlib.sha256()
    names: list[str] = []
    pairs: list[Pair] = []
    faults: list[str] = []
    notes: list[str] = []
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for path in paths:
        name = path.relative_to(base).as_posix()
        try:
            with path.open("rb") as file:
                digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
            file_of_pairs = load(path)
        except InputInvalid as error:
            faults.append(str(error))
            continue
        inputs, targets = (np.asarray(array, np.float32) for array in (file_of_pairs.inputs, file_of_pairs.targets))
        for number in range(len(inputs)):
            pair_name = f"{name}[{number}]"
            if fault := _wrong(file_of_pairs, number):
                faults.append(f"{pair_name}: {fault}")
                continue
            notes += notes_on(file_of_pairs.inputs[number], "yx", pair_name)
            notes += notes_on(file_of_pairs.targets[number], "yx", f"the target of {pair_name}")
            if file_of_pairs.part:
                parts[file_of_pairs.part].append(len(pairs))
            names.append(pair_name)
            pairs.append(pair_of(inputs[number][None], targets[number], 1.0))
    held_out = parts["val"] or parts["test"]
    has_parts = bool(parts["train"] and held_out)
    return Folder(
        names=tuple(names),
        pairs=tuple(pairs),
        sha256=digest.hexdigest(),
        training=tuple(parts["train"]) if has_parts else (),
        held_out=tuple(held_out) if has_parts else (),
        faults=tuple(faults),
        notes=tuple(notes),
    )


def load(path: Path) -> PairsFile:
    """The two arrays of a file, checked for shape but not for their values.

    Raises
    ------
    InputInvalid
        The file is missing, damaged or not an npz file, has pickled objects, lacks the arrays, or their shapes differ.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputInvalid(f"{path} holds a single array: save two, numpy.savez({path.name!r}, w=..., gt=...).")
        with archive:
            inputs, targets = (_array(archive, keys, path) for keys in (INPUTS, TARGETS))
    except FileNotFoundError:
        raise InputInvalid(f"no file {path}: check the name and the folder.") from None
    except MemoryError:
        raise InputInvalid(f"{path} does not fit into memory: save it as several smaller files, or use a larger machine.") from None
    except (ValueError, pickle.UnpicklingError) as error:
        if "pickle" in str(error).lower():
            raise InputInvalid(
                f"{path} holds pickled objects, which could run code when opened, so it was not opened: save plain numbers, "
                "e.g. numpy.savez(path, w=w.astype('float32'), gt=gt.astype('float32'))."
            ) from None
        raise InputInvalid(f"{path} is damaged ({error}): copy it again.") from None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise InputInvalid(f"{path} is damaged or not an npz file ({error}): copy it again.") from None
    if inputs.shape != targets.shape:
        raise InputInvalid(
            f"{path}: {inputs.shape} blurred and {targets.shape} sharp images differ: both arrays of pairs must have one shape."
        )
    part = next((part for part in PARTS if part in path.stem.lower() or path.parent.name == part), "")
    return PairsFile(path=path, part=part, inputs=inputs, targets=targets)


def _array(archive: Mapping[str, Array], keys: tuple[str, ...], path: Path) -> Array:
    """The first array with one of these names, as (n, y, x)."""
    key = next((key for key in keys if key in archive), None)
    if key is None:
        raise InputInvalid(f"{path} holds {', '.join(sorted(archive)) or 'nothing'}, but no {' or '.join(keys)}: name the arrays w and gt.")
    array = archive[key]
    if array.dtype.kind not in "uif":
        raise InputInvalid(f"{path}: {key} holds {array.dtype}, not numbers of images: save integers or floats.")
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise InputInvalid(f"{path}: {key} has the shape {array.shape}: give (n, y, x) or (n, y, x, 1), single planes of one channel.")
    return array


def _wrong(file: PairsFile, number: int) -> str:
    """Why a pair cannot be used; empty if it can."""
    for array, side in ((file.inputs, "blurred"), (file.targets, "sharp")):
        count, position = where_not_finite(array[number])
        if count:
            return f"the {side} image has {amount(count, 'pixel')} of NaN or infinity, the first at y {position[0]}, x {position[1]}"
    return ""
