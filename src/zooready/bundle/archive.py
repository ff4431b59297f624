"""A folder becomes a zip: whole or not at all, and byte for byte the same whenever its files are."""

from __future__ import annotations

import zipfile
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.images.whole_files import whole_file

EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first date: every member carries it


def pack(folder: Path, out: Path) -> Path:
    """Write every file below ``folder`` into ``out``, ``rdf.yaml`` first, replacing it only when complete; its folder is made.

    Raises
    ------
    InputInvalid
        The zip cannot be written there (no permission, disk full); nothing is left behind.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {out.parent} ({error.strerror}): choose one that you may write to.") from None
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.name != "rdf.yaml", path.as_posix()))
    with whole_file(out) as file, zipfile.ZipFile(file, "w") as archive:
        for path in files:
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(member, path.read_bytes())
    return out
