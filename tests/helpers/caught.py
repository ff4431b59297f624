"""Writes docs/caught.md from what the check and bioimageio.core really say: ``python tests/helpers/caught.py [tiny | FAMILY ...]``.

Without arguments (``make mutations``) both tables are measured, the second with every shipped family; ``tiny`` measures only the first
and leaves the second as it stands. What was measured is kept in :data:`RECORD`, so that a run that was stopped goes on where it stopped;
what hangs on weights, on a mutation or on the code of zooready that have changed since is measured anew.
"""

import hashlib
import json
import multiprocessing
import os
import re
import sys
import zipfile
from contextlib import closing
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

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "caught.md"
RECORD = ROOT / "export" / "bundles" / "caught.json"
PROCESSES = 2
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


def status(name, bundle):
    """What is said of a mutation of a shipped bundle, in a word."""
    case = BROKEN[name]
    with TemporaryDirectory() as folder:
        path = case.write(Path(folder) / f"{name}.zip", draft_of(bundle))
        try:
            found = compare(path, consumers=[case.consumer or "deepimagej"]).verdicts
        except BundleInvalid as error:
            return "unread" if case.consumer is None and re.search(case.message, str(error)) else f"**{error}**"
    told = [one for one in found if one.status == case.status and re.search(case.message, one.why)]
    return told[0].status if told else "**missed**"


def row(name):
    """What the check says of a mutation of the tiny bundle: a cell, and the exit code."""
    with TemporaryDirectory() as folder:
        verdict, code = said(BROKEN[name], BROKEN[name].write(Path(folder) / f"{name}.zip"))
        return cell(verdict, folder), code


def measured(unit):
    """The result of one unit of work, ("row", mutation) or ("status", mutation, bundle)."""
    kind, *arguments = unit
    return unit, {"row": row, "status": status}[kind](*arguments)


class Record:
    """Results by their keys, on disk after each."""

    def __init__(self):
        self.held = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}

    def __contains__(self, key):
        return key in self.held

    def __getitem__(self, key):
        return self.held[key]

    def __setitem__(self, key, result):
        self.held[key] = result
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.with_suffix(".new").write_text(json.dumps(self.held, indent=0), encoding="utf-8")
        RECORD.with_suffix(".new").replace(RECORD)


def digest(*files):
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


MUTATIONS = tuple(Path(__file__).parent / f"{name}.py" for name in ("broken", "foreign", "mutations"))
CODE = digest(*sorted((ROOT / "src").rglob("*.py")), *MUTATIONS)


def key_of(unit):
    """A unit's key: what it hangs on."""
    kind, name, *bundle = unit
    return " ".join([CODE, kind, name, *map(digest, bundle)])


def filled(record, units):
    """The results of all units, those that are not in the record measured by several processes."""
    left = [unit for unit in units if key_of(unit) not in record]
    with multiprocessing.get_context("spawn").Pool(min(PROCESSES, len(left) or 1)) as pool:
        for done, (unit, result) in enumerate(pool.imap_unordered(measured, left), 1):
            record[key_of(unit)] = result
            sys.stderr.write(f"{done} of {len(left)}: {' '.join(map(str, unit))}\n")
    return [record[key_of(unit)] for unit in units]


def exported(name):
    """A shipped family's bundle, made anew only when its weights or the code are others."""
    weights = ROOT / "src" / "zooready" / "weights" / f"{name}.safetensors"
    path = RECORD.parent / "caught" / f"{digest(weights)}-{CODE}" / f"{name}.zip"
    return path if path.is_file() else export(name, out=path, torchscript="plain").path


def shipped_table(record, names):
    """Every mutation that can be done to any bundle, done to these families'."""
    bundles = [str(exported(name)) for name in names]
    cases = {name: case for name, case in BROKEN.items() if case.anywhere}
    told = iter(filled(record, [("status", name, bundle) for name in cases for bundle in bundles]))
    rows = [f"| {case.what} | {' | '.join(next(told) for _ in bundles)} |" for case in cases.values()]
    missed = sum(row.count("**") // 2 for row in rows)
    head = SHIPPED.format(count=len(cases), missed=missed or "none", names=" | ".join(names), lines="|".join(["---"] * len(names)))
    return head + "\n".join(rows) + "\n"


def tiny_table(record):
    """Every mutation, done to the tiny bundle; the first row is of the bundle itself."""
    with TemporaryDirectory() as folder:
        paths = {name: case.write(Path(folder) / f"{name}.zip") for name, case in BROKEN.items()}
        now = f"bioimageio.core {version('bioimageio.core')} {digest(*MUTATIONS)}"
        paths["good"] = good().write(Path(folder) / "good.zip")
        left = {key: path for name, path in paths.items() if (key := f"{now} {name}") not in record}
        with closing(core_says(*left.values())) as reports:
            for key, report in zip(left, reports, strict=True):
                record[key] = cell(report, folder, 200)
                sys.stderr.write(f"bioimageio test: {key.split()[-1]}\n")
    core = {name: record[f"{now} {name}"] for name in paths}
    rows = filled(record, [("row", name) for name in BROKEN])
    lines = [f"| nothing (the good bundle) | passed | 0 | {core['good']} |"]
    lines += [f"| {BROKEN[name].what} | {said} | {code} | {core[name]} |" for name, (said, code) in zip(BROKEN, rows, strict=True)]
    return HEAD.format(core=version("bioimageio.core")) + "\n".join(lines) + "\n"


def main(*names):
    os.environ["OMP_NUM_THREADS"] = "1"
    record = Record()
    first = tiny_table(record)
    before = TARGET.read_text(encoding="utf-8") if TARGET.is_file() else ""
    title = SHIPPED.split("{", 1)[0]
    second = title + before.split(title)[-1] if names == ("tiny",) else shipped_table(record, names or families.shipped())
    TARGET.write_text(first + second, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
