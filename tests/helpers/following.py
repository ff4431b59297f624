"""Follows a page to the letter: its blocks change a copy of the repository, and its commands run there.

A block ```` ```diff FILE ```` finds the lines that begin with a blank (their beginnings are enough) and puts those with ``+`` where
they stand; any other block with a file's name, ```` ```text FILE ````, is that file; the lines of ```` ```bash ```` are run. Blocks
without a name are there to be read.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("src", "tests", "docs", "export", "model_cards", "Makefile", "README.md", "pyproject.toml")
BLOCK = re.compile(r"^```(\w+)(?: +([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def copied(folder):
    """A copy of the repository that commands can run in, without what a run leaves behind."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "bundles"))
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, folder / part)
    return folder


def follow(page, root):
    """What each command of the page printed, by its line, after everything before it was done in ``root``."""
    printed = {}
    for language, name, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            printed |= {line: run(line, root) for line in text.splitlines()}
        elif name and language == "diff":
            file = root / name
            file.write_text(patched(file.read_text(encoding="utf-8"), text, name), encoding="utf-8")
        elif name and name != "run":
            (root / name).write_text(text, encoding="utf-8")
    return printed


def patched(content, diff, name):
    """The content with the diff's ``+`` lines put in and its ``-`` lines taken out.

    >>> patched("a = {\\n    1,\\n}\\n", "     1,\\n+    2,\\n", "numbers.py")
    'a = {\\n    1,\\n    2,\\n}\\n'
    """
    lines, changes = content.splitlines(), diff.splitlines()
    here = [line[1:] for line in changes if line[:1] != "+"]
    starts = [n for n in range(len(lines)) if all(line.startswith(start) for line, start in zip(lines[n:], here, strict=False))]
    starts = [n for n in starts if n + len(here) <= len(lines)]
    assert len(starts) == 1, f"{name}: these lines are there {len(starts)} times: {here}"
    index = starts[0]
    for change in changes:
        if change.startswith("+"):
            lines.insert(index, change[1:])
        elif change.startswith("-"):
            del lines[index]
        index += not change.startswith("-")
    return "\n".join(lines) + "\n"


def run(line, root):
    """What a line of the shell prints in ``root``, whose package is the one that is imported; it must end well."""
    program, *words = shlex.split(line, comments=True)
    start = {
        "python": [sys.executable],
        "zooready": [sys.executable, "-W", "ignore", "-c", "from zooready.cli import entry; entry()"],
        "cp": ["cp"],
    }[program]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "400"}
    environment["ZOOREADY_CACHE"] = str(root / "cache")  # no engines there, whose start is no part of the pages
    ended = subprocess.run([*start, *words], cwd=root, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=500)
    assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
