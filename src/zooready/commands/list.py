"""``zooready list``: the families and the models that come with zooready."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from pathlib import Path

from rich.table import Table

from zooready.commands.console import CONSOLE, print_line
from zooready.evaluation import cards as model_cards
from zooready.families import FAMILIES, quality


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready list``."""
    parser.add_argument("--cards", type=Path, default=SUPPRESS, metavar="DIR", help="also write the model cards")


def run(cards: Path | None = None) -> None:
    """Print families and shipped models with one line of measured quality; write their cards if asked to."""
    table = Table("family", "what it does", "shipped model, measured", box=None, header_style="bold")
    for name, family in FAMILIES.items():
        table.add_row(name, family.description, quality(name))
    CONSOLE.print(table)
    if cards:
        for path in model_cards.write(cards):
            print_line(path)
