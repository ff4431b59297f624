"""The id that a program looks for, put into a bundle that was made for the zoo, which gives it one only when it has taken it in."""

from __future__ import annotations

import shutil
from pathlib import Path

from zooready.bundle import archive
from zooready.bundle.parsing import dump, parse
from zooready.bundle.reading import DESCRIPTIONS
from zooready.bundle.writing import identity
from zooready.processes import scratch
from zooready.records import Bundle


def with_id(bundle: Bundle, out: Path) -> Path:
    """Write the same bundle with an id made from its name, as others will get it from the zoo."""
    with scratch() as folder:
        shutil.copytree(bundle.folder, folder / "files")
        description = next(folder / "files" / name for name in DESCRIPTIONS if (bundle.folder / name).is_file())
        dump({"id": identity(bundle.name), **parse(description)}, description)
        return archive.pack(folder / "files", out)
