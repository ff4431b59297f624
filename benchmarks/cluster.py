"""What a cluster costs and gains: an image through `zooready predict --scheduler` with one and two workers, and without, in turns.

    python benchmarks/cluster.py [--family mrbcr] [--side 4096] [--turns 3] [--workers 1 2]

prints the table and keeps it in benchmarks/cluster.json. Each worker is a process with one thread. Beside the clock, the seconds that the
processor spent for each process are taken, which do not depend on what else the machine does: those of this process, which reads, cuts,
sends and keeps the tiles, are what limits the number of workers, and those of the workers are what is shared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from distributed import Client
from tiles import counts

from zooready import export
from zooready.commands.predict import predict_files
from zooready.images.whole_files import whole_file
from zooready.processes import cores

RESULT = Path(__file__).with_suffix(".json")
LOCAL = ("--host", "127.0.0.1")
ONE = {"OMP_NUM_THREADS": "1"}


def spent(pid: int) -> float:
    """Seconds that the processor has spent for a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def workers(count: int, folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Address of a scheduler with so many workers, and their process ids."""
    file = folder / f"scheduler-{count}-{time.monotonic_ns()}.json"
    kinds = {"scheduler": [*LOCAL, "--port", "0", "--no-dashboard"], "worker": [*LOCAL, "--nthreads", "1", "--no-nanny", "--no-dashboard"]}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": os.environ | ONE}
    processes = []
    try:
        for kind in ("scheduler", *["worker"] * count):
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(file), *kinds[kind]]
            processes.append(subprocess.Popen(command, **quiet))
        while not file.exists():
            time.sleep(0.1)
        with Client(scheduler_file=str(file), timeout=120, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120)
            yield client.scheduler.address, [process.pid for process in processes[1:]]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(bundle: Path, image: Path, folder: Path, count: int) -> dict[str, Any]:
    """One pass: clock, processor seconds here and of the workers, and the number of tiles."""
    seen = []
    out = folder / "out"

    def passed(address: str | None, pids: list[int]) -> dict[str, Any]:
        before, clock, own = [spent(pid) for pid in pids], time.perf_counter(), spent(os.getpid())
        progress = lambda done, total: seen.append(total)  # noqa: E731
        for _, result, _ in predict_files(bundle, [image], out, device="cpu", scheduler=address, progress=progress):
            assert not isinstance(result, Exception), result
        there = sum(spent(pid) for pid in pids) - sum(before)
        return {"clock_s": time.perf_counter() - clock, "here_s": spent(os.getpid()) - own, "workers_s": there, "tiles": seen[-1]}

    if not count:
        return passed(None, [])
    with workers(count, folder) as (address, pids):
        return passed(address, pids)


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = given.bundle or export(given.family, out=folder / f"{given.family}.zip", torchscript="plain").path
        tifffile.imwrite(folder / "image.tif", np.asarray(counts(given.side)))
        turns: dict[int, list[dict[str, Any]]] = {count: [] for count in (0, *given.workers)}
        for _ in range(given.turns):
            for count, found in turns.items():
                found.append(run(bundle, folder / "image.tif", folder, count))
    rows = []
    for count, found in turns.items():
        middle = {key: round(statistics.median(turn[key] for turn in found), 2) for key in found[0]}
        rows.append({"workers": count, **middle, "here_s_per_tile": round(middle["here_s"] / middle["tiles"], 3)})
        print(rows[-1])  # noqa: T201
    what = given.bundle.stem if given.bundle else given.family
    where = f"{cores()} cores of a shared machine, {given.turns} turns, {what}, uint16 image of {given.side} px"
    with whole_file(RESULT) as file:
        file.write((json.dumps({"measured_on": where, "rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
