"""Writes docs/caught.md from what the check and bioimageio.core really say: ``python tests/helpers/caught.py``."""

import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from broken import BROKEN
from foreign import core_says, good

from zooready.comparison import compare
from zooready.errors import BundleInvalid

TARGET = Path(__file__).parents[2] / "docs" / "caught.md"
HEAD = """# Faults that the check detects

Each row is a bundle with one fault, made from a good bundle by `tests/helpers/broken.py` and tested in
`tests/comparison/test_comparison.py`: what `zooready check` reports (program, status, message), and what `bioimageio test` reports for
the same file. Where it reports *passed*, bioimageio.core alone does not detect the fault. The exit code is 1 for a bundle that is
refused or differs, and 2 for a bundle that cannot be read.

Written by `python tests/helpers/caught.py` with bioimageio.core {core}; not by hand.

| fault | zooready check | exit code | bioimageio test |
|---|---|---|---|
"""


def said(case, path):
    """(verdict, exit code) of the check that is to catch it."""
    if case.consumer is None:
        try:
            compare(path)
        except BundleInvalid as error:
            return str(error), 2
        raise AssertionError(f"{case.what} was read without complaint")
    (one,) = [verdict for verdict in compare(path, consumers=[case.consumer]).verdicts if verdict.status not in ("passed", "untrusted")]
    return f"`{one.consumer}` **{one.status}**: {one.why}", 1


def cell(text, folder, most=600):
    """Markdown of one line, without the place that the file had."""
    plain = text.replace(f"{folder}/", "").replace("|", "\\|").replace("<", "&lt;").replace("*id", "\\*id")
    return plain if len(plain) <= most else plain[: most - 1].rsplit(" ", 1)[0] + " …"


def main():
    with TemporaryDirectory() as folder:
        paths = {name: case.write(Path(folder) / f"{name}.zip") for name, case in BROKEN.items()}
        whole = good().write(Path(folder) / "good.zip")
        core = dict(zip((*paths, "good"), core_says(*paths.values(), whole), strict=True))
        lines = [f"| nothing (the good bundle) | passed | 0 | {core['good']} |"]
        for name, case in BROKEN.items():
            verdict, code = said(case, paths[name])
            lines.append(f"| {case.what} | {cell(verdict, folder)} | {code} | {cell(core[name], folder, 200)} |")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(HEAD.format(core=version("bioimageio.core")) + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
