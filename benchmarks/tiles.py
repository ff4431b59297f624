"""What tiles cost: pixels per second beside the bare engine on one fitting tile, and memory from size to size.

    python benchmarks/tiles.py [--family mrbcr] [--speed 4096] [--sizes 4096 8192] [--light 4096 8192 16384] [--stores 4096 16384]

prints the table and keeps it in benchmarks/tiles.json; rows that are not measured again stay as they were
(`--speed` without a size measures none).

Speed: `zooready.predict`'s way through an image and the bare ONNX Runtime on one window take turns, both on the same
pinned cores; pixels of the halo count for both, since both compute them. The median of the turns' ratios counts: on a machine that is
busy with other things both suffer alike.
Memory: `zooready predict` in a process of its own, on an uncompressed uint16 TIFF; what is sampled is the memory that no file stands
behind (RssAnon), which is what a machine can run out of, and all that is resident (VmRSS, pages of files included), of this process and
of those that it starts, in one of which the network runs. `--light` are sizes
for a network of one convolution, whose computation takes no time, so that large images show what reading, statistics and writing need;
`--stores` the same from OME-Zarr to OME-Zarr, in compressed chunks of 1024 px.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
from torch import nn

from zooready import About, export
from zooready.bundle.reading import opened
from zooready.images.whole_files import whole_file
from zooready.prediction import engine, predict, tiled
from zooready.prediction.tiles import tiles
from zooready.records import Array, Image

CORES = 2
STRIP_PX = 4096
RESULT = Path(__file__).with_suffix(".json")


def light(folder: Path) -> Path:
    """A bundle of one convolution."""
    torch.manual_seed(0)
    about = About(name="one convolution", description="Random weights.", authors=({"name": "nobody"},), license="BSD-3-Clause")
    path = folder / "light.zip"
    export(nn.Conv2d(1, 1, 3, padding=1), counts(128), about, path, normalization="mean-std", restores=True, formats=("onnx",))
    return path


def counts(side: int) -> Array:
    """(side, side) uint16, noise on a slope."""
    rng = np.random.default_rng(0)
    return rng.poisson(np.linspace(50, 500, side)[None] + np.zeros((side, 1))).astype(np.uint16)


def clocked(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def speed(path: Path, side: int, turns: int) -> dict[str, Any]:
    """Pixels per second by tiles, over those of the bare engine on one window."""
    image = Image(array=counts(side), axes="yx")
    with opened(path) as bundle:
        run = engine(bundle, "onnx", "cpu")
        window = np.ascontiguousarray(image.array[None, None, : tiled.SIDE, : tiled.SIDE], np.float32)
        halo, stride = bundle.measured_halo_px, bundle.measured_stride_px or 1
        assert isinstance(halo, int)
        computed = sum(
            (tile.window[0].stop - tile.window[0].start) * (tile.window[1].stop - tile.window[1].start)
            for tile in tiles((side, side), tiled.SIDE, halo=halo, stride=stride)
        )
        run(window)
        ratios = []
        for _ in range(turns):
            bare = window.size / clocked(lambda: run(window))
            ratios.append(computed / clocked(lambda: predict(bundle, image, device="cpu")) / bare)
    return {
        "bundle": path.stem, "image_px": side, "window_px": tiled.SIDE, "halo_px": halo, "computed / image": round(computed / side**2, 3),
        "tiled / bare, pixels per second": round(statistics.median(ratios), 3), "turns": [round(ratio, 3) for ratio in ratios],
    }  # fmt: skip


def filled(target: Any, side: int) -> None:
    """Put counts into (side, side) uint16, strip by strip."""
    strip = counts(side)[:1024] if side <= STRIP_PX else np.tile(counts(STRIP_PX)[:1024], (1, -(-side // STRIP_PX)))[:, :side]
    for row in range(0, side, len(strip)):
        target[row : row + len(strip)] = strip[: side - row]


def source_tiff(folder: Path, side: int) -> Path:
    """An uncompressed TIFF."""
    filled(tifffile.memmap(folder / f"{side}.tif", shape=(side, side), dtype="uint16"), side)
    return folder / f"{side}.tif"


def source_store(folder: Path, side: int) -> Path:
    """An OME-Zarr of version 0.4 at full resolution."""
    import zarr

    path = folder / f"{side}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    filled(group.create_array("0", shape=(side, side), chunks=(1024, 1024), dtype="uint16"), side)
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def family(process: int) -> list[int]:
    """The numbers of a process and of all that it started, directly or not."""
    found = [process]
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it is just ending
            found += [one for child in file.read_text().split() for one in family(int(child))]
    return found


def stated(process: int, field: str) -> int:
    """A number of bytes that the system states for a process; 0 for one that has ended."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
    return 0


def memory(path: Path, source: Path, side: int, folder: Path) -> dict[str, Any]:
    """Peak memory of ``zooready predict``, and its seconds."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "zooready", "predict", str(path), str(source), "-o", str(folder / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = resident = 0
    while process.poll() is None:
        processes = family(process.pid)
        peak = max(peak, sum(stated(one, "RssAnon:") for one in processes))
        resident = max(resident, sum(stated(one, "VmRSS:") for one in processes))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"zooready predict ended with {process.returncode} on {side} px")
    seconds = time.perf_counter() - begun
    for left in (source, *(folder / "out").iterdir()):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    row = {"bundle": path.stem, "image_px": side, "file": source.suffix[1:], "peak_gb": round(peak / 1e9, 2)}
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else CORES
    return {**row, "resident_gb": round(resident / 1e9, 2), "seconds": round(seconds), **({"cores": used} if used != CORES else {})}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is of: a new one takes the place of that of the same."""
    return row["bundle"], row["image_px"], row.get("file", "tif")


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="zip to measure (default: exported from --family)")
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--speed", type=int, nargs="*", default=[4096])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[4096, 8192])
    parser.add_argument("--light", type=int, nargs="*", default=[4096, 8192, 16384])
    parser.add_argument("--stores", type=int, nargs="*", default=[4096, 16384])
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = given.bundle or folder / f"{given.family}.zip"
        if (given.speed or given.sizes) and not given.bundle:
            export(given.family, out=path, torchscript="plain")
        rows = [("speed", speed(path, side, given.turns)) for side in given.speed]
        rows += [("memory", memory(path, source_tiff(folder, side), side, folder)) for side in given.sizes]
        plain = light(folder) if given.light or given.stores else path
        rows += [("memory", memory(plain, source_tiff(folder, side), side, folder)) for side in given.light]
        rows += [("memory", memory(plain, source_store(folder, side), side, folder)) for side in given.stores]
    for kind, row in rows:
        print(kind, row)  # noqa: T201
    kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    measured = {}
    for kind in ("speed", "memory"):
        new = [row for other, row in rows if other == kind]
        again = {_key(row) for row in new}
        measured[kind] = [row for row in kept.get(kind, []) if _key(row) not in again] + new
    cores = f"{CORES} pinned cores (where a row says no other number) of a shared machine"
    where = f"{cores}, ONNX Runtime on the CPU, uint16 images; python benchmarks/tiles.py"
    result = {"measured_on": where, **measured}
    with whole_file(RESULT) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
