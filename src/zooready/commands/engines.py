"""``zooready engines``: what runs bundles outside Python, in the cache, fetched or verified."""

from __future__ import annotations

from argparse import ArgumentParser

from zooready import java
from zooready.commands.console import CONSOLE, print_line
from zooready.errors import ConsumerMissing
from zooready.wasm import runtime


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready engines``."""
    parser.add_argument("action", choices=("install", "verify"))
    parser.add_argument("--browser", action="store_true", help="what pages need, instead of Fiji's Java engines")
    parser.add_argument("--all", dest="extra", action="store_true", help="also the engine of QuPath (PyTorch 2.7.1, 0.6 GB)")


def run(action: str, browser: bool = False, extra: bool = False) -> None:
    """Fetch the engines, or verify them; print their versions.

    Raises
    ------
    ConsumerMissing
        They are not here, or not as they were fetched.
    """
    part = runtime if browser else java
    if action == "install":
        runtime.install(print_line) if browser else java.install(print_line, extra=extra)
    elif fault := runtime.missing() if browser else java.verify():
        raise ConsumerMissing(fault)
    for name, version in part.versions().items():
        CONSOLE.print(f"{name} {version}")
