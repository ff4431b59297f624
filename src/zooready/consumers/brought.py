"""The files that a user copies into another program: the wheel carries them, a checkout has them in ``export/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zooready.errors import ConsumerMissing


def folder(program: str, files: Sequence[str], package: Path) -> Path:
    """The folder of a program's files: inside the installed package, else in the checkout.

    Parameters
    ----------
    program
        Its folder below ``export``, e.g. ``"fiji"``.
    files
        Names that must all be there.
    package
        Folder of the package ``zooready``.

    Raises
    ------
    ConsumerMissing
        They are in neither.
    """
    for place in (package / "export" / program, package.parent.parent / "export" / program):
        if all((place / name).is_file() for name in files):
            return place
    raise ConsumerMissing(f"{files[0]} is not where zooready brings it (export/{program} below {package}): install zooready again.")
