"""Where a bundle comes from: versions, commits, and the caller's facts as plain data, with nothing of this machine in it."""

from __future__ import annotations

import inspect
import platform
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from zooready.errors import InputInvalid

PACKAGES = ("zooready", "torch", "numpy", "onnx", "onnxruntime", "bioimageio.spec")
FOLDERS = re.compile(
    r"(?<![\w:/.~-])~?/(?:[^\s/'\":,;()<>\[\]]+/)+"  # /home/someone/; a fraction or a URL is none
    r"|\b[A-Za-z]:[\\/](?:[^\\/:*?\"<>|\n]+[\\/])*"  # C:\\Users\\someone\\
)


def versions() -> dict[str, str]:
    """Of Python and the packages that make the files, without local parts, which name a build."""
    return {"python": platform.python_version(), **{name: metadata.version(name).split("+")[0] for name in PACKAGES}}


def commits(kind: type) -> dict[str, str]:
    """Git commits of the checkouts that track the source of ``kind`` (a network's class) and of zooready, where there are such.

    A "+" follows where that source differs from its commit.
    """
    here = Path(__file__).resolve()
    commits = {"zooready": _commit(here, here.parents[1])}
    with suppress(TypeError, OSError):  # a class of a notebook has no file
        network = Path(inspect.getfile(kind)).resolve()
        commits["network"] = _commit(network, network)
    return {name: commit for name, commit in sorted(commits.items()) if commit}


def _commit(file: Path, watched: Path) -> str:
    """Commit of the checkout that tracks ``file``, with a "+" if ``watched`` differs from it; empty if none does."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(file.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", str(file))
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(watched))
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def plain(value: Any, name: str = "provenance") -> Any:
    """Facts as YAML holds them: no None, no folders in texts, NumPy's numbers as Python's.

    >>> plain({"f1": np.float64(0.5), "seed": None, "data": "/home/someone/cells"})
    {'f1': 0.5, 'data': 'cells'}

    Raises
    ------
    InputInvalid
        Something that is no text, number, list or mapping.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}[{key!r}]") for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item, f"{name}[{index}]") for index, item in enumerate(value) if item is not None]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        value = value.name
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return without_folders(value)
    raise InputInvalid(f"{name} is a {type(value).__name__}, {str(value)[:80]!r}: give text, numbers, lists or mappings of them.")


def without_folders(text: str) -> str:
    """The text with each absolute path cut to its last name: folders tell who and where someone is.

    >>> without_folders("File /home/someone/nets.py: 1 / 2 of https://zenodo.org/records/1")
    'File nets.py: 1 / 2 of https://zenodo.org/records/1'
    """
    for folder in (str(Path.cwd()), tempfile.gettempdir(), str(Path.home())):  # these may hold spaces
        text = re.sub(rf"(?<![\w:/.~-]){re.escape(folder)}[\\/]", "", text)
    return FOLDERS.sub("", text)
