"""What an export costs: seconds of computation, and those of them that Java takes, for a family's weights.

    python benchmarks/starts.py [--family mrbcr] [--turns 2] [--beside CHECKOUT]

prints the table and keeps it in benchmarks/starts.json. Seconds are of the processor (user and system, all processes), which on a busy
machine say more than those of the clock. ``--beside`` is a checkout of another commit: its exports take turns with these.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zooready.images.whole_files import whole_file

HERE = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).with_suffix(".json")
# an export that tells the seconds of the processor: its own, those of its children, and those of its children of Java
EXPORT = """
import json, resource, sys
from zooready import cli
from zooready.java import child
java = []
work = child.work
def seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
def timed(*given, **options):
    before = seconds(resource.RUSAGE_CHILDREN)
    try:
        return work(*given, **options)
    finally:
        java.append(seconds(resource.RUSAGE_CHILDREN) - before)
child.work = timed
code = cli.main(["export", sys.argv[1], "-o", sys.argv[2]])
print(json.dumps({"starts": len(java), "java": sum(java), "all": seconds(resource.RUSAGE_SELF) + seconds(resource.RUSAGE_CHILDREN)}))
sys.exit(code)
"""


def exported(checkout: Path, family: str) -> dict[str, float]:
    """One export by the code of a checkout."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "2"}
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", EXPORT, family, str(Path(folder) / "a.zip")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return {**found, "clock": time.monotonic() - started}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mrbcr")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--beside", type=Path)
    given = parser.parse_args()
    checkouts = {"before": given.beside, "now": HERE} if given.beside else {"now": HERE}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    for _ in range(given.turns):
        for name, checkout in checkouts.items():
            runs[name].append(exported(checkout, given.family))
            print(name, runs[name][-1], flush=True)  # noqa: T201
    rows: list[dict[str, Any]] = [
        {"family": given.family, "code": name, **{key: round(statistics.median(run[key] for run in taken), 1) for key in taken[0]}}
        for name, taken in runs.items()
    ]
    with whole_file(RESULT) as file:
        file.write((json.dumps({"unit": "s of the processor; clock: of the clock", "rows": rows}, indent=1) + "\n").encode())
    print(json.dumps(rows, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
