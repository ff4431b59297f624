"""What `zooready check` in all Python and Java programs costs beside `bioimageio test` of the same bundle, in turns.

    python benchmarks/check.py [--bundle mrbcr.zip | --family mrbcr] [--turns 3]

prints the table and keeps it in benchmarks/check.json. Both are processes of their own, pinned to the same cores. Beside the clock, the
seconds that the processor spent for each with all of its children are taken, which do not depend on what else the machine does; over the
number of cores they are the clock of a check whose programs fill all cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from zooready import export
from zooready.images.whole_files import whole_file
from zooready.processes import cores

RESULT = Path(__file__).with_suffix(".json")
PROGRAMS = "bioimageio,torch,onnxruntime,java-pytorch,java-onnx"


def clocked(command: list[str], home: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processor; what the command prints is shown if it fails."""
    before, clock = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - clock, getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = (given.bundle or export(given.family, out=folder / f"{given.family}.zip", torchscript="plain").path).resolve()
        start = [sys.executable, "-W", "ignore", "-m"]
        commands = {
            "bioimageio test": [*start, "bioimageio.core", "test", str(bundle)],
            "zooready check": [*start, "zooready", "check", str(bundle), "--in", PROGRAMS, "--trust-code"],
        }
        turns: dict[str, list[tuple[float, float]]] = {label: [] for label in commands}
        for _ in range(given.turns):
            for label, command in commands.items():
                turns[label].append(clocked(command, folder))
    rows = [
        {
            "command": label,
            "clock_s": round(statistics.median(t[0] for t in found), 1),
            "processor_s": round(statistics.median(t[1] for t in found), 1),
        }
        for label, found in turns.items()
    ]
    ratio = statistics.median(check[0] / test[0] for test, check in zip(*turns.values(), strict=True))
    what = given.bundle.stem if given.bundle else given.family
    result = {
        "measured_on": f"{cores()} cores of a shared machine, {given.turns} turns, {what}, {PROGRAMS}",
        "rows": rows, "check / bioimageio test, by the clock": round(ratio, 2),
    }  # fmt: skip
    print(json.dumps(result, indent=1))  # noqa: T201
    with whole_file(RESULT) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
