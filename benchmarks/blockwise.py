"""Tiled prediction beside the blockwise prediction of bioimageio.core, on the same image, with the same bundle and ONNX Runtime.

    python benchmarks/blockwise.py [--family mrbcr] [--bundle mrbcr.zip] [--side 4096] [--blocks 2048] [--turns 3]

prints the table and keeps it in benchmarks/blockwise.json; rows of other bundles and sizes stay as they were. Both take turns on the same
pinned cores, the networks started before; the ratio of a turn is core's seconds over ours, and the median counts. ``--blocks`` are the
sides that core is told to take, since it has none of its own for a bundle of any size; ours is the same as always. Core normalises each
block by itself, so its result is another one: the largest difference, over the range of ours, is in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tiles import CORES, clocked, counts

from zooready import export
from zooready.bundle.reading import opened
from zooready.images.whole_files import whole_file
from zooready.prediction import load, predict
from zooready.records import Array, Image

RESULT = Path(__file__).with_suffix(".json")


def compared(path: Path, side: int, block: int, turns: int) -> dict[str, Any]:
    """Seconds of both on one image, by turns."""
    import bioimageio.core

    array = counts(side)
    pipeline = bioimageio.core.create_prediction_pipeline(bioimageio.core.load_description(path), weight_format="onnx")
    with opened(path) as bundle:
        loaded, given = load(bundle, "onnx", "cpu"), bundle.inputs[0].name
        results: dict[str, Array] = {}

        def ours() -> None:
            image = next(iter(predict(bundle, Image(array=array, axes="yx"), loaded=loaded, device="cpu").images.values()))
            results["ours"] = image.array

        def theirs() -> None:
            sample = bioimageio.core.predict(
                model=pipeline,
                inputs={given: array.astype(np.float32)[None, None]},
                input_block_shape={given: {"batch": 1, "channel": 1, "y": block, "x": block}},
            )
            results["core"] = next(iter(sample.members.values())).data.to_numpy().reshape(results["ours"].shape)

        ours()  # what the first run of a session costs counts for neither
        theirs()
        ratios, seconds = [], []
        for _ in range(turns):
            seconds.append((clocked(ours), clocked(theirs)))
            ratios.append(seconds[-1][1] / seconds[-1][0])
        difference = float(np.abs(results["ours"] - results["core"]).max()) / float(np.ptp(results["ours"]))
    return {
        "bundle": path.stem, "image_px": side, "core's block_px": block, "core / ours, seconds": round(statistics.median(ratios), 2),
        "turns": [round(ratio, 2) for ratio in ratios], "ours_s": round(statistics.median(own for own, _ in seconds), 1),
        "core_s": round(statistics.median(other for _, other in seconds), 1), "difference / range": float(f"{difference:.2g}"),
    }  # fmt: skip


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="zip to measure (default: exported from --family)")
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--blocks", type=int, nargs="+", default=[2048])
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with TemporaryDirectory() as name:
        path = given.bundle or export(given.family, out=Path(name) / f"{given.family}.zip", torchscript="plain").path
        rows = [compared(path, given.side, block, given.turns) for block in given.blocks]
    for row in rows:
        print(row)  # noqa: T201
    again = {(row["bundle"], row["image_px"], row["core's block_px"]) for row in rows}
    kept = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    rows = [row for row in kept if (row["bundle"], row["image_px"], row["core's block_px"]) not in again] + rows
    where = f"{CORES} pinned cores of a shared machine, ONNX Runtime on the CPU, a uint16 image; python benchmarks/blockwise.py"
    with whole_file(RESULT) as file:
        file.write((json.dumps({"measured_on": where, "rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
