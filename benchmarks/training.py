"""How much of a training is the network's: `zooready train` beside a bare loop of PyTorch on data in memory, and beside its own simulation.

    python benchmarks/training.py [--family spots] [--steps 60] [--workers 1]

prints the table and keeps it in benchmarks/training.json. All do the same steps of the same optimiser on one thread: a bare loop on batches
that are there, `train` on pairs that are there, `train` with pairs that it simulates itself, and with pairs that workers simulate. What a
simulation costs beyond pairs that are there is waiting.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from zooready.families import FAMILIES
from zooready.images.whole_files import whole_file
from zooready.records import Family, Pair
from zooready.training.loop import train
from zooready.training.module import Task
from zooready.training.optimizers import optimizer_of
from zooready.training.pairs import Pairs

RESULT = Path(__file__).with_suffix(".json")
DIFFERENT = 64  # pairs in memory


def bare(family: Family, pairs: list[Pair], steps: int, folder: Path) -> float:
    """Seconds of a loop without anything around it."""
    recipe = family.training.recipe
    task = Task(family, recipe, source=lambda _, n: pairs[n], held_out=lambda _, n: pairs[n], seed=0, chunk=steps, folder=folder)
    optimizer = optimizer_of(task.network.parameters(), recipe)
    batches = [
        tuple(
            torch.stack([torch.as_tensor(getattr(pair, name)) for pair in pairs[first : first + recipe.batch]])
            for name in ("input", "target")
        )
        for first in range(0, len(pairs) - recipe.batch + 1, recipe.batch)
    ]
    begun = time.perf_counter()
    for step in range(steps):
        optimizer.zero_grad()
        image, target = batches[step % len(batches)]
        task.loss((image, target)).backward()
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(task.network.parameters(), recipe.clip)
        optimizer.step()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="spots")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    family = FAMILIES[given.family]
    made = [family.training.pair(0, number) for number in range(DIFFERENT)]
    there = Pairs(source=lambda _, n: made[n % DIFFERENT], held_out=lambda _, n: made[n % DIFFERENT], words="pairs in memory")
    options: dict[str, Any] = {"steps": given.steps, "device": "cpu", "is_quiet": True, "chunk": given.steps}
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "a bare loop, pairs in memory": bare(family, made, given.steps, folder),
            "train, pairs in memory": train(family, folder / "there", data=there, **options).seconds,
            "train, simulated by itself": train(family, folder / "itself", workers=0, **options).seconds,
            f"train, simulated by {given.workers} worker": train(family, folder / "workers", workers=given.workers, **options).seconds,
        }
    rows = [{"method": method, "seconds a step": round(seconds / given.steps, 4)} for method, seconds in found.items()]
    alone, in_memory, _, ahead = found.values()
    result = {
        "measured_on": f"{family.name}, {given.steps} steps of {family.training.recipe.batch}, one thread of a shared machine",
        "rows": rows,
        "bare / train, pairs in memory": round(alone / in_memory, 2),
        "waiting with workers, %": round(100 * max(0.0, 1 - in_memory / ahead), 1),
    }
    print(json.dumps(result, indent=1))  # noqa: T201
    with whole_file(RESULT) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
