"""What `zooready export` costs beside the bare steps that nobody can leave out, in turns, each a process of its own.

    python benchmarks/exporting.py [--family mrbcr] [--turns 3]

prints the table and keeps it in benchmarks/exporting.json. Bare are: the network with its weights, one trace to TorchScript, one export to
ONNX, a package by bioimageio.spec with its validation, and one start of Fiji's engine that runs the test image. What `export` does besides:
it measures stride and halo, records TorchScript in processes of their own, in three variants that it times, and compares every file with
the network at several sizes. Beside the clock, the seconds that the processor spent for each with all of its children are taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from check import clocked

from zooready.images.whole_files import whole_file
from zooready.processes import cores

RESULT = Path(__file__).with_suffix(".json")
KEYS = ("clock_s", "processor_s")


def bare(family: str, bundle: Path, folder: Path) -> None:
    """The bare steps, on what a bundle of the family contains."""
    warnings.simplefilter("ignore")
    import numpy as np
    import torch
    from bioimageio.spec import load_model_description, save_bioimageio_package

    from zooready import java
    from zooready.bundle.reading import opened
    from zooready.families import FAMILIES, load_weights
    from zooready.nets.wrapping import FijiSafe

    network = FAMILIES[family].network
    core = network.architecture.build().eval()
    core.load_state_dict(load_weights(family))
    normal, head = (part.build() if part else None for part in (network.normalization, network.head))
    with opened(bundle) as read:
        wrapped = FijiSafe(core, normal, head, stride=read.measured_stride_px or 1, minimum=1, restores=network.restores).eval()
        image = read.cases[0].input.astype(np.float32)
    tensor = torch.from_numpy(image)
    with torch.no_grad():
        torch.jit.trace(wrapped, tensor).save(str(folder / "weights.pt"))
        torch.onnx.export(wrapped, (tensor,), str(folder / "weights.onnx"), dynamo=True, verbose=False)
    save_bioimageio_package(load_model_description(bundle), output_path=folder / "package.zip")
    java.run("pytorch", folder / "weights.pt", [image])


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(given.family, given.bare, Path.cwd())
        return
    turns: dict[str, list[tuple[float, float]]] = {"bare steps": [], "zooready export": []}
    with TemporaryDirectory() as name:
        bundle = Path(name) / "bundle.zip"
        for turn in range(given.turns + 1):
            ours = clocked([sys.executable, "-W", "ignore", "-m", "zooready", "export", given.family, "-o", str(bundle)], Path(name))
            alone = clocked([sys.executable, str(Path(__file__).resolve()), "--family", given.family, "--bare", str(bundle)], Path(name))
            if turn:  # the first one fills the caches of the system
                turns["bare steps"].append(alone)
                turns["zooready export"].append(ours)
    rows: list[dict[str, Any]] = [
        {"command": label, **{key: round(statistics.median(turn[place] for turn in found), 1) for place, key in enumerate(KEYS)}}
        for label, found in turns.items()
    ]
    ratios = {f"export / bare, {key}": round(rows[1][key] / rows[0][key], 2) for key in KEYS}
    result = {"measured_on": f"{cores()} cores of a shared machine, {given.turns} turns, {given.family}", "rows": rows, **ratios}
    print(json.dumps(result, indent=1))  # noqa: T201
    with whole_file(RESULT) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
