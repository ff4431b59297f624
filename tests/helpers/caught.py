"""Writes docs/caught.md from what the check and bioimageio.core really say: ``python tests/helpers/caught.py [BUNDLE.zip ...]``.

Without arguments (``make mutations``) the shipped families are exported first.
"""

import re
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from broken import BROKEN
from foreign import Draft, core_says, good

from zooready import families
from zooready.commands.export import export
from zooready.comparison import compare
from zooready.errors import BundleInvalid

TARGET = Path(__file__).parents[2] / "docs" / "caught.md"
HEAD = """# Faults that the check detects

Each row is a bundle with one fault, made from a tiny good bundle by `tests/helpers/broken.py` and `mutations.py` and tested in
`tests/comparison/test_comparison.py`: what `zooready check` reports (program, status, message), and what `bioimageio test` reports for
the same file. Where it reports *passed*, bioimageio.core alone does not detect the fault. The exit code is 1 for a bundle that is
refused or differs, and 2 for a bundle that cannot be read.

Written by `make mutations` with bioimageio.core {core}; not by hand.

| fault | zooready check | exit code | bioimageio test |
|---|---|---|---|
"""


SHIPPED = """
## The same in shipped bundles

What can be done to any bundle, done to those that zooready ships: the status of the program that is to catch it, *unread* where the bundle
is not read at all (exit code 2), **missed** where nothing was said. {count} things, {missed} missed.

| what is wrong | {names} |
|---|{lines}|
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
    plain = " ".join(text.split()).replace(f"{folder}/", "").replace("|", "\\|").replace("<", "&lt;").replace("*id", "\\*id")
    return plain if len(plain) <= most else plain[: most - 1].rsplit(" ", 1)[0] + " …"


def draft_of(path):
    """A bundle as a draft that can be changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return Draft(rdf=yaml.safe_load(files.pop("rdf.yaml")), files=files)


def status(case, path):
    """What is said of a mutation of a shipped bundle, in a word."""
    try:
        found = compare(path, consumers=[case.consumer or "deepimagej"]).verdicts
    except BundleInvalid as error:
        return "unread" if case.consumer is None and re.search(case.message, str(error)) else f"**{error}**"
    told = [one for one in found if one.status == case.status and re.search(case.message, one.why)]
    return told[0].status if told else "**missed**"


def shipped_table(bundles):
    """Every mutation that can be done to any bundle, done to these."""
    drafts = {path.stem: draft_of(path) for path in bundles}
    cases = {name: case for name, case in BROKEN.items() if case.anywhere}
    rows = []
    with TemporaryDirectory() as folder:
        for name, case in cases.items():
            told = [status(case, case.write(Path(folder) / f"{name}.zip", draft)) for draft in drafts.values()]
            rows.append(f"| {case.what} | {' | '.join(told)} |")
    missed = sum(row.count("**") // 2 for row in rows)
    head = SHIPPED.format(count=len(cases), missed=missed or "none", names=" | ".join(drafts), lines="|".join(["---"] * len(drafts)))
    return head + "\n".join(rows) + "\n"


def main(*bundles):
    with TemporaryDirectory() as folder:
        if not bundles:
            names = families.shipped()
            bundles = [export(name, out=Path(folder) / f"{name}.zip", torchscript="plain").path for name in names]
        shipped = shipped_table([Path(bundle) for bundle in bundles])
        paths = {name: case.write(Path(folder) / f"{name}.zip") for name, case in BROKEN.items()}
        whole = good().write(Path(folder) / "good.zip")
        core = dict(zip((*paths, "good"), core_says(*paths.values(), whole), strict=True))
        lines = [f"| nothing (the good bundle) | passed | 0 | {core['good']} |"]
        for name, case in BROKEN.items():
            verdict, code = said(case, paths[name])
            lines.append(f"| {case.what} | {cell(verdict, folder)} | {code} | {cell(core[name], folder, 200)} |")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(HEAD.format(core=version("bioimageio.core")) + "\n".join(lines) + "\n" + shipped, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
