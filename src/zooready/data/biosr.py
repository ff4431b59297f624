"""BioSR: wide-field images and images of structured illumination (SIM) of the same cells, as MRC files in the published layout.

CCPs/Cell_001/RawSIMData_level_01.mrc …      raw frames (n, y, x) at rising light      other structures alike; ER has folders inside a cell:
CCPs/Cell_001/SIM_gt.mrc                     the SIM image, twice as many pixels       ER/Cell_001/RawSIMData/RawSIMData_level_01.mrc …
                                                                                       ER/Cell_001/GTSIM/GTSIM_level_01.mrc …

The mean of the raw frames is the wide-field image; it is enlarged to the pixels of the SIM image. Names and meanings were read in programs
that convert the set; none of its archives was opened. The programs agree on pixels of 62.6 nm in raw frames; what the files say of them is
not used.

Qiao et al., Nature Methods 18, 194 (2021), doi:10.1038/s41592-020-01048-5
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from zooready.data.faults import notes_on, refuse, where_not_finite
from zooready.data.folder import Folder
from zooready.errors import InputInvalid, amount
from zooready.records import Array, Pair

PIXEL_UM = 0.0313  # side of a pixel of the SIM images, micrometres
READ = 3  # levels of light of a cell that are read at most: the lowest, the highest and one between; all would not fit into memory
HELD_OUT = 5  # every so many-th cell is held out
LEVEL = re.compile(r"RawSIMData_level_(\d+)\.mrc$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class View:
    """One cell at one level of light: the files of its raw frames and of its SIM image, None where that is missing."""

    cell: Path
    level: int
    raw: Path
    sharp: Path | None


def views(folder: Path) -> list[View]:
    """Every cell below a folder at up to three levels of light, in the order of their names; empty if this is not BioSR's layout."""
    found: list[View] = []
    cells = sorted(path for path in folder.rglob("Cell_*") if path.is_dir()) if folder.is_dir() else []
    for cell in cells:
        raws = sorted(path for pattern in ("*.mrc", "RawSIMData/*.mrc") for path in cell.glob(pattern) if LEVEL.search(path.name))
        chosen = sorted({round(at) for at in np.linspace(0, len(raws) - 1, min(READ, len(raws)))})
        for raw in (raws[index] for index in chosen):
            level = re.sub(r"\D", "", raw.stem)
            sharp = [*sorted(cell.glob("SIM_gt*.mrc")), *cell.glob(f"GTSIM/GTSIM_level_{level}.mrc")]
            found.append(View(cell=cell, level=int(level), raw=raw, sharp=sharp[0] if sharp else None))
    return found


def read_biosr(folder: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Read the cells below a folder: that of one structure, or of several.

    Parameters
    ----------
    folder
        Contains folders ``Cell_001`` and so on, at any depth.
    pair_of
        As for :func:`zooready.data.read_folder`.

    Returns
    -------
    Folder
        A pair for each cell and level; every fifth cell is held out with all its levels.

    Raises
    ------
    InputInvalid
        One message with all faults: no cells, missing or damaged files, sizes that do not fit, NaN.
    """
    data = examine_biosr(folder, pair_of)
    refuse(folder, data.faults)
    return data


def examine_biosr(folder: Path, pair_of: Callable[[Array, Array, float], Pair]) -> Folder:
    """Like :func:`read_biosr`, but faults are listed in the result and the other pairs are returned.

    Raises
    ------
    InputInvalid
        There are no cells.
    """
    if not (listed := views(folder)):
        raise InputInvalid(f"{folder} holds no Cell_001/RawSIMData_level_01.mrc or the like: give the folder of one of BioSR's structures.")
    cells = list(dict.fromkeys(view.cell for view in listed))
    kept = set(cells[HELD_OUT - 1 :: HELD_OUT] or cells[-1:])
    names, faults, notes = list[str](), list[str](), list[str]()
    pairs, training, held_out = list[Pair](), list[int](), list[int]()
    digest = hashlib.sha256()
    for view in listed:
        name = view.raw.relative_to(folder).as_posix()
        try:
            image, sharp = _read(view)
        except InputInvalid as error:
            faults.append(str(error))
            continue
        digest.update(name.encode() + image.tobytes() + sharp.tobytes())
        notes += [*notes_on(image, "yx", name), *notes_on(sharp, "yx", f"the SIM image of {name}")]
        (held_out if view.cell in kept else training).append(len(pairs))
        pairs.append(pair_of(image[None], sharp[None], PIXEL_UM))
        names.append(name)
    return Folder(
        names=tuple(names),
        pairs=tuple(pairs),
        sha256=digest.hexdigest(),
        pixel_sizes_um=(PIXEL_UM,) * len(pairs),
        training=tuple(training or held_out),
        held_out=tuple(held_out or training),
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _read(view: View) -> tuple[Array, Array]:
    """The wide-field image on the pixels of the SIM image, and that one: (y, x) float32 each."""
    if view.sharp is None:
        raise InputInvalid(f"{view.raw} has no SIM image beside it: SIM_gt.mrc, or GTSIM/GTSIM_level_{view.level:02d}.mrc.")
    wide, sharp = (read_mrc(path).mean(0, dtype=np.float64) for path in (view.raw, view.sharp))
    factors = {large / small for large, small in zip(sharp.shape, wide.shape, strict=True)}
    if len(factors) > 1 or not (factor := factors.pop()).is_integer():
        sizes = " and ".join("x".join(map(str, array.shape)) for array in (wide, sharp))
        raise InputInvalid(f"{view.raw} and {view.sharp.name} have {sizes} px: the SIM image must have a whole number of times as many.")
    wide = scipy.ndimage.zoom(wide, factor, order=3, mode="nearest", grid_mode=True)
    return wide.astype(np.float32), sharp.astype(np.float32)


def read_mrc(path: Path) -> Array:
    """The planes of an MRC file, (n, y, x), as stored.

    Raises
    ------
    InputInvalid
        The file cannot be read, or holds complex numbers, NaN or infinity.
    """
    import mrcfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that light microscopes write otherwise than electron microscopes do
            with mrcfile.open(path, permissive=True) as file:
                planes = None if file.data is None else np.array(file.data)
    except (OSError, ValueError) as error:
        raise InputInvalid(f"{path} is damaged or not an MRC file ({error}): copy it again.") from None
    if planes is None or planes.ndim not in (2, 3) or planes.dtype.kind not in "uif":
        raise InputInvalid(f"{path} is cut off, or holds no planes of real numbers: copy it again.")
    if (bad := where_not_finite(planes))[0]:
        raise InputInvalid(f"{path} has {amount(bad[0], 'pixel')} of NaN or infinity: leave this cell out.")
    return planes if planes.ndim == 3 else planes[None]
