"""The files that a user copies into another program: the wheel carries them, a checkout has them in ``export/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zooready.errors import ConsumerMissing

PACKAGE = Path(__file__).parents[1]


def folder(program: str, files: Sequence[str]) -> Path:
    """The folder of a program's files: inside the installed package, else in the checkout.

    Parameters
    ----------
    program
        Its folder below ``export``, e.g. ``"fiji"``.
    files
        Names that must all be there.

    Raises
    ------
    ConsumerMissing
        They are in neither.
    """
    for home in (PACKAGE / "export" / program, PACKAGE.parents[1] / "export" / program):
        if all((home / name).is_file() for name in files):
            return home
    raise ConsumerMissing(f"{files[0]} is not where zooready brings it (export/{program} below {PACKAGE}): install zooready again.")
