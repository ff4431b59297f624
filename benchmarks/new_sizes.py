"""What images of a new size cost in Fiji's engine, PyTorch 2.0.0 in Java, by files as exported and by the same without `aten::alias`.

    python benchmarks/new_sizes.py [FAMILY ...]

prints the table and keeps it in benchmarks/new_sizes.json; rows of other families stay as they were. One loaded file gets three images of
each size, one after the other; seconds are those of the clock, on two threads.
"""

from __future__ import annotations

import argparse
import json
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from zooready import export, java
from zooready.images.whole_files import whole_file

RESULT = Path(__file__).with_suffix(".json")
SIZES = ((96, 96), (130, 134), (200, 180), (96, 96))
IMAGES = 3  # of each size


def joined(path: Path, target: Path) -> None:
    """The same file without `aten::alias`, as the tracer writes it."""
    network = torch.jit.load(str(path))
    for part in network.modules():
        for name in part._c._method_names():
            for node in part._c._get_method(name).graph.findAllNodes("aten::alias"):
                node.output().replaceAllUsesWith(node.input())
                node.destroy()
    torch.jit.save(network, str(target))


def seconds(path: Path) -> list[list[float]]:
    """Of each image, by size."""
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 1000, (1, 1, *size)).astype(np.float32) for size in SIZES for _ in range(IMAGES)]
    taken = java.run("pytorch", path, [images[0][..., :64, :64], *images]).seconds[1:]  # the first image of all waits for much else
    return [[round(one, 2) for one in taken[place : place + IMAGES]] for place in range(0, len(taken), IMAGES)]


def main() -> None:
    """Measure, print and keep the table."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=["segmentation", "mrbcr", "superres-sted", "deepz-stack"])
    rows: list[dict[str, Any]] = []
    for family in parser.parse_args().families:
        with TemporaryDirectory() as name:
            folder = Path(name)
            bundle = export(family, out=folder / "bundle.zip", torchscript="channels_last").path
            with zipfile.ZipFile(bundle) as archive:
                (folder / "apart.pt").write_bytes(archive.read("weights.pt"))
            joined(folder / "apart.pt", folder / "joined.pt")
            for file, words in (("joined", "as traced"), ("apart", "as exported")):
                found = {
                    f"{y} x {x}" + (", again" if place == 3 else ""): times
                    for place, ((y, x), times) in enumerate(zip(SIZES, seconds(folder / f"{file}.pt"), strict=True))
                }
                rows.append({"family": family, "file": words, "seconds of three images": found})
                print(rows[-1], flush=True)  # noqa: T201
    kept = [
        row
        for row in (json.loads(RESULT.read_text())["rows"] if RESULT.exists() else [])
        if row["family"] not in {new["family"] for new in rows}
    ]
    with whole_file(RESULT) as file:
        file.write((json.dumps({"measured_on": "a shared machine, 2 threads", "rows": kept + rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
