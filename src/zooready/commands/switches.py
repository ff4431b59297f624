"""Options that several commands share, each with one name, one type and one meaning."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterable
from typing import Any

from zooready.commands.lists import Several
from zooready.commands.numbers import above_zero, positive
from zooready.consumers import CONSUMERS


def add_consumers(parser: ArgumentParser) -> None:
    """``--in``: programs that must pass."""
    option = parser.add_argument(
        "--in", dest="consumers", action=Several, default=SUPPRESS, metavar="CONSUMER", help="programs that must pass"
    )
    option.completer = _programs  # type: ignore[attr-defined]


def _programs(**asked: Any) -> Iterable[str]:
    """What the shell offers."""
    return CONSUMERS


def add_channel(parser: ArgumentParser, of: str = "") -> None:
    """``--channel``: a name or a number from 1."""
    parser.add_argument("--channel", default=SUPPRESS, help=f"channel {of or 'to use'}: its name, or its number from 1")


def add_size(parser: ArgumentParser) -> None:
    """``--pixel-size`` and ``--diameter``, by which the image is resampled for the network, and the results back."""
    add = parser.add_argument
    add(
        "--pixel-size",
        type=lambda text: text if text == "auto" else above_zero(text),
        default=SUPPRESS,
        metavar="UM",
        help="side of a pixel, µm, or auto for what the image states: resample into the bundle's range, and back",
    )
    add("--diameter", type=above_zero, default=SUPPRESS, metavar="PX", help="width of an object, pixels: resample to suit, and back")


def add_axes(parser: ArgumentParser) -> None:
    """``--axes``: of files that do not name theirs."""
    parser.add_argument("--axes", default=SUPPRESS, help="axes of files that do not name them, e.g. zyx for a plain stack")


def add_form(parser: ArgumentParser) -> None:
    """``--for``: whom a bundle is made for."""
    words = "rich: for colleagues; zoo: for the BioImage Model Zoo, with one output and at most nine files"
    parser.add_argument("--for", dest="form", choices=("rich", "zoo"), default="rich", help=words)


def add_time_limit(parser: ArgumentParser, whose: str = "one image") -> None:
    """``--time-limit``, which becomes ``time_limit_s``."""
    parser.add_argument(
        "--time-limit", dest="time_limit_s", type=positive, default=SUPPRESS, metavar="S", help=f"seconds that {whose} may take"
    )


def add_trust_code(parser: ArgumentParser, why: str = "") -> None:
    """``--trust-code``: without it, no Python of a bundle runs."""
    parser.add_argument("--trust-code", action="store_true", help=f"run the Python code in the bundle{why}")
