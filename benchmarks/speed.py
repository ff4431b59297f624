"""Seconds for one image: m-rBCR, its published topology, and the U-Net that it is compared with, in every engine.

    python benchmarks/speed.py            the table, into benchmarks/speed.json and the record of mrbcr

Each network is exported as its users would (channels_last TorchScript, ONNX): timed is the file in a bundle. Networks take turns, and
the median over all turns counts: on a machine that is busy with other things all suffer alike, and the ratio still
holds. Weights are random; time does not depend on them.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from recording import put

from zooready import About, export, java
from zooready.bundle.reading import opened
from zooready.families import mrbcr
from zooready.images.whole_files import whole_file
from zooready.prediction import engine
from zooready.records import Array, Bundle, Part

NETWORKS: Mapping[str, Part] = {
    "m-rBCR": mrbcr.FAMILY.network.architecture,
    "released topology": Part(path="zooready.nets.rbcr.RBCR", kwargs={"kernel": "alternating"}),
    "U-Net": Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 32, "levels": 5, "widest": 512}),
}
SIZES_PX = (512, 2048)
TURNS = {512: 5, 2048: 3}
WARM = 2  # turns that do not count: PyTorch compiles what it traced during the first two
SLOW = "released topology"  # only timed on the smaller image
THREADS = 2
RESULT = Path(__file__).with_suffix(".json")
Timed = Callable[[Array], float]


def made(name: str, folder: Path) -> Path:
    """A bundle of the network with random weights."""
    torch.manual_seed(0)
    part = NETWORKS[name]
    about = About(name=f"Speed of {name}", description="Random weights.", authors=({"name": "nobody"},), license="BSD-3-Clause")
    path = folder / f"{name}.zip"
    image = mrbcr.sample().array[:128, :128]
    loose = {"torchscript": 1e-3, "onnx": 1e-3}  # random weights make numbers of any size; what is timed need not be exact
    options = {"normalization": "mean-std", "restores": True, "torchscript": "channels_last", "tolerance": loose}
    network = part.build()
    seen = torch.from_numpy(image.astype(np.float32))[None, None]
    for _ in range(30):  # batch normalisation gets statistics, without which rounding grows from layer to layer
        network((seen - seen.mean()) / seen.std())
    found = export(network, image, about, path, architecture=part, **options)
    if found.unavailable:
        raise SystemExit(f"{name}: {found.unavailable}")
    return path


def engines(bundle: Bundle) -> dict[str, Timed]:
    """Name of an engine to a function that runs an image once and returns seconds."""

    def clocked(run: Callable[[Array], Any]) -> Timed:
        def once(image: Array) -> float:
            begun = time.perf_counter()
            run(image)
            return time.perf_counter() - begun

        return once

    def in_java(name: java.Engine, file: Path) -> Timed:
        return lambda image: java.run(name, file, [image], repeats=2).seconds[0]

    script, onnx = bundle.formats["torchscript"], bundle.formats["onnx"]
    return {
        "Python, PyTorch": clocked(engine(bundle, "state_dict", "cpu")),
        "Python, TorchScript": clocked(engine(bundle, "torchscript", "cpu")),
        "Python, ONNX Runtime": clocked(engine(bundle, "onnx", "cpu")),
        "Java, PyTorch 2.0.0": in_java("pytorch", script),
        "Java, ONNX Runtime 1.13.1": in_java("onnx-1.13.1", onnx),
    }


def main() -> None:
    """Measure, write the table."""
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder, ExitStack() as stack:
        timed = {name: engines(stack.enter_context(opened(made(name, Path(folder)), trust_code=True))) for name in NETWORKS}
        for size in SIZES_PX:
            image = rng.poisson(200, (1, 1, size, size)).astype(np.float32)
            for key in timed["m-rBCR"]:
                found: dict[str, list[float]] = {name: [] for name in NETWORKS if size < SIZES_PX[1] or name != SLOW}
                for _ in range(WARM + TURNS[size]):
                    for name in found:
                        found[name].append(timed[name][key](image))
                seconds = {name: round(statistics.median(values[WARM:]), 4) for name, values in found.items()}
                ratio = round(seconds["U-Net"] / seconds["m-rBCR"], 2)
                row = {"method": f"{key}, {size} x {size}", **{f"{name}, s": value for name, value in seconds.items()}}
                rows.append({**row, "U-Net / m-rBCR": ratio})
                print(rows[-1], flush=True)  # noqa: T201
                write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    """The rows so far into the result and the record, so that a stopped run keeps what it measured."""
    words = f"seconds per image on {THREADS} threads, median of interleaved runs, float32, on a shared machine; python benchmarks/speed.py"
    with whole_file(RESULT) as file:
        file.write((json.dumps({"measured_on": words, "rows": rows}, indent=1) + "\n").encode())
    put(mrbcr.FAMILY.name, {"speed": rows}, {"speed": words})


if __name__ == "__main__":
    main()
