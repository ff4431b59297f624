"""Frames per second of every shipped bundle, by format: Python's runtimes and Java's, as Fiji has them.

    python benchmarks/frames.py [FAMILY ...] [--turns 5]

prints the table and keeps it in benchmarks/frames.json; rows of other families stay as they were. A frame is 512 x 512 px, of networks for
stacks 16 x 256 x 256 voxels; timed is the bare runtime on one frame after the other, on two threads, the median over turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from zooready import export, java
from zooready.bundle.reading import opened
from zooready.families import FAMILIES, shipped
from zooready.images.whole_files import whole_file
from zooready.prediction import engine
from zooready.records import Array

RESULT = Path(__file__).with_suffix(".json")
THREADS, WARM = 2, 2
SIDES = {4: (512, 512), 5: (16, 256, 256)}  # by the axes of the input


def in_python(run: Callable[[Array], Any], frame: Array, turns: int) -> float:
    """Frames per second of a function."""
    taken = []
    for _ in range(WARM + turns):
        begun = time.perf_counter()
        run(frame)
        taken.append(time.perf_counter() - begun)
    return 1 / statistics.median(taken[WARM:])


def row(name: str, turns: int) -> dict[str, Any]:
    """Frames per second of a family's bundle, by program."""
    spec = FAMILIES[name].input
    frame = np.random.default_rng(0).poisson(200, (1, len(spec.channels), *SIDES[len(spec.axes)])).astype(np.float32)
    with TemporaryDirectory() as folder, opened(export(name, out=Path(folder) / "bundle.zip").path, trust_code=True) as bundle:
        files = bundle.formats
        found = {
            "Python, TorchScript": in_python(engine(bundle, "torchscript", "cpu"), frame, turns),
            "Python, ONNX Runtime": in_python(engine(bundle, "onnx", "cpu"), frame, turns),
            "Java, PyTorch 2.0.0": 1 / java.run("pytorch", files["torchscript"], [frame], repeats=turns).seconds[0],
            "Java, ONNX Runtime 1.13.1": 1 / java.run("onnx-1.13.1", files["onnx"], [frame], repeats=turns).seconds[0],
        }
    size = " x ".join(map(str, frame.shape[2:]))
    return {"method": f"{name}, {size}", **{program: float(f"{rate:.3g}") for program, rate in found.items()}, "turns": turns}


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(shipped()))
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    kept = {line["method"]: line for line in (json.loads(RESULT.read_text())["rows"] if RESULT.exists() else [])}
    for name in given.families:
        line = row(name, given.turns)
        print(line, flush=True)  # noqa: T201
        kept[line["method"]] = line
        words = f"frames per second, {THREADS} threads of a shared machine, median of the turns; python benchmarks/frames.py"
        with whole_file(RESULT) as file:
            file.write((json.dumps({"measured_on": words, "rows": list(kept.values())}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
