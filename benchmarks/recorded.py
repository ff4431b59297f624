"""Shipped bundles run in DeepImageJ and pyimagej, and kept with the weights that ran, so that README shows it on machines without Fiji.

    ZOOREADY_FIJI=/path/to/Fiji.app python benchmarks/recorded.py mrbcr deepz

Without names, every shipped bundle is run. ``src/zooready/weights/programs.json`` and the table of ``README.md`` are written anew; a
program that does not pass with level ``ran`` leaves no record, and older weights lose theirs. With ``--table`` nothing is run.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from zooready.commands.check import check
from zooready.commands.console import print_line
from zooready.commands.demo import renew_records
from zooready.commands.export import export
from zooready.evaluation.recorded_runs import FILE, renew
from zooready.families import FAMILIES, shipped
from zooready.records import Verdict

ROOT = Path(__file__).parent.parent
PROGRAMS = ("deepimagej", "pyimagej")


def ran(name: str) -> tuple[Verdict, ...]:
    """Verdicts of the programs on a family's bundle, exported as it is shipped."""
    with TemporaryDirectory(prefix="zooready-") as folder:
        bundle = export(name, out=Path(folder) / f"{name}.zip", torchscript=FAMILIES[name].torchscript)
        return check(bundle.path, consumers=PROGRAMS).verdicts


def main() -> None:
    """Run, print the verdicts, and write the record and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*shipped(), []], help="families (default: all with shipped weights)")
    parser.add_argument("--table", action="store_true", help="write the table only, from the records of the weights that are there")
    given = parser.parse_args()
    for name in () if given.table else given.names or shipped():
        verdicts = ran(name)
        for verdict in verdicts:
            print_line(f"{name} {verdict.consumer} {verdict.status} ({verdict.level}) {verdict.difference} {verdict.why}")
        renew(name, verdicts, datetime.now(UTC).date().isoformat(), ROOT / "src" / "zooready" / "weights" / FILE)
    renew_records(ROOT / "README.md")


if __name__ == "__main__":
    main()
