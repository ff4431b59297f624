"""``zooready protocol``: the protocol of the PLCNN paper, run on a public data set."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from zooready.commands.console import CONSOLE, print_line
from zooready.commands.lists import Several
from zooready.commands.numbers import from_zero, percent, positive
from zooready.evaluation.protocols import COLUMNS, Row, protocol

__all__ = ["COLUMNS", "Row", "options", "protocol", "run"]


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready protocol``."""
    add = parser.add_argument
    add("data", metavar="SET", help="name of a set: hela, cho, ... (zooready data lists them)")
    add("folder", type=Path, metavar="DIR", help="folder of the set")
    add("--out", type=Path, required=True, help="folder for the runs and the table")
    add("--steps", type=positive, default=SUPPRESS, help="optimiser steps of every run (default: the family's recipe)")
    add("--batch", type=positive, default=SUPPRESS, help="images per step (default: the family's recipe)")
    add("--folds", dest="count", type=positive, default=10, help="number of folds of the cross-validation")
    add("--shares", action=Several, type=percent, default=[90, 80, 70, 60, 50], metavar="PERCENT", help="shares of the images to train on")
    add("--repeats", type=positive, default=1, help="runs of every share, each with another split")
    add("--no-forest", dest="with_forest", action="store_false", default=SUPPRESS, help="leave out the random forest on features")
    add("--shrink", type=positive, default=1, metavar="N", help="first average N x N pixels into one: faster, at lower resolution")
    add("--seed", type=from_zero, default=0, help="seed of splits, weights and augmentation")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")


def run(data: str, folder: Path, out: Path, shares: Sequence[int], **options: Any) -> None:
    """Run the protocol, and print its table."""

    def progress(done: int, total: int, split: str) -> None:
        if split:
            CONSOLE.print(f"{split}: run {done + 1} of {total}")

    rows = protocol(data, folder, out, shares=[percent / 100 for percent in shares], progress=progress, **options)
    table = Table(box=None, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row.cells())
    CONSOLE.print(table)
    print_line(f"{out / 'protocol.md'} explains the table.")
