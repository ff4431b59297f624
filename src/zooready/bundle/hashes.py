"""SHA-256 of files and bytes, as descriptions state it."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(content: Path | bytes) -> str:
    """Hexadecimal SHA-256 of a file or of bytes.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
