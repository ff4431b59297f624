"""``zooready engines``: Fiji's Java engines in the cache, fetched or verified."""

from __future__ import annotations

from argparse import ArgumentParser

from zooready import java
from zooready.commands.console import CONSOLE, print_line
from zooready.errors import ConsumerMissing


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready engines``."""
    parser.add_argument("action", choices=("install", "verify"))


def run(action: str) -> None:
    """Fetch the Java engines, or verify their hashes; print their versions.

    Raises
    ------
    ConsumerMissing
        They are not here, or not as they were fetched.
    """
    if action == "install":
        java.install(print_line)
    elif fault := java.verify():
        raise ConsumerMissing(fault)
    for name, version in java.versions().items():
        CONSOLE.print(f"{name} {version}")
