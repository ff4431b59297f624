"""Writes docs/caught.md from what the check and bioimageio.core really say: ``python tests/helpers/caught.py``, by itself or with

``tiny``, which measures only the first table and leaves the second as it stands; ``measure FAMILY ...``, which writes nothing but the
record; or ``columns FAMILY ...``, which measures these columns of the second table and keeps what the page says of the others. Without
arguments (``make mutations``) both tables are measured, the second with every shipped family. What was measured is kept in
:data:`RECORD`, so that a run that was stopped goes on where it stopped; what hangs on weights, on a mutation or on the code of zooready
that have changed since is measured anew.
"""

import hashlib
import json
import os
import re
import sys
import zipfile
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from broken import BROKEN
from core import Core
from foreign import Draft, good

from zooready import families
from zooready.commands.export import export
from zooready.comparison import compare
from zooready.errors import BundleInvalid

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "caught.md"
RECORD = ROOT / "export" / "bundles" / "caught.json"
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

What can be done to any bundle, done to those that zooready ships. First what `zooready check` says: the status of the program that is to
catch it, *unread* where the bundle is not read at all (exit code 2), **missed** where something else was said than is promised. Then, after
the stroke, what `bioimageio test` says of the same file; *valid-format* is its word for a good description of a network that gives other
numbers. {count} things in {bundles} bundles: zooready missed {missed}, and bioimageio passed {passed}.

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


@lru_cache(1)
def draft_of(path):
    """A bundle as a draft that can be changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return Draft(rdf=yaml.safe_load(files.pop("rdf.yaml")), files=files, packed=False)


def row(case, path):
    """What the check says of a mutation of the tiny bundle: a cell, and the exit code."""
    verdict, code = said(case, path)
    return cell(verdict, path.parent), code


def status(case, path):
    """What the check says of a mutation of a shipped bundle, in a word."""
    try:
        found = compare(path, consumers=[case.consumer or "deepimagej"]).verdicts
    except BundleInvalid as error:
        return (
            "unread" if case.consumer is None and re.search(case.message, str(error)) else f"**missed** ({cell(str(error), path.parent)})"
        )
    told = [one for one in found if one.status == case.status and re.search(case.message, one.why)]
    return told[0].status if told else f"**missed** ({cell(' '.join(one.why for one in found), path.parent)})"


class Record:
    """Results by their keys, on disk after each."""

    def __init__(self):
        self.held = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}

    def __contains__(self, key):
        return key in self.held

    def __getitem__(self, key):
        return self.held[key]

    def __setitem__(self, key, result):
        self.held = Record().held | {key: result}  # another run may have measured as well
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.with_suffix(".new").write_text(json.dumps(self.held, indent=0), encoding="utf-8")
        RECORD.with_suffix(".new").replace(RECORD)


def digest(*files):
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


MUTATIONS = tuple(Path(__file__).parent / f"{name}.py" for name in ("broken", "foreign", "mutations"))
# Rooms that no bundle and no check hangs on.
ELSEWHERE = ("data", "evaluation", "explanation", "measurement", "prediction", "report", "training")
PACKAGE = ROOT / "src" / "zooready"
SOURCE = digest(*(file for file in sorted(PACKAGE.rglob("*.py")) if file.relative_to(PACKAGE).parts[0] not in ELSEWHERE))
CODE = f"{SOURCE} {digest(*MUTATIONS)}"


def measured(record, core, name, bundle, ours):
    """(what ``ours`` says, what core's own test says) of a mutation; they work at the same time.

    Ours hangs on all code, core's answer on nothing but the file.
    """
    key = f"{CODE} {name} {digest(bundle) if bundle else 'tiny'}"
    if key not in record:
        with TemporaryDirectory() as folder:
            path = BROKEN[name].write(Path(folder) / f"{name}.zip", draft_of(bundle) if bundle else None)
            same_file = f"bioimageio.core {version('bioimageio.core')} {digest(path)}"
            if same_file not in record:
                core.ask(path)
            said_here = ours(BROKEN[name], path)
            if same_file not in record:
                record[same_file] = cell(core.answer(), folder, 200)
            record[key] = said_here, record[same_file]
        sys.stderr.write(f"{Path(bundle).stem if bundle else 'tiny'} {name}: {record[key]}\n")
    return record[key]


def exported(name):
    """A shipped family's bundle, made anew only when its weights or the code are others."""
    weights = ROOT / "src" / "zooready" / "weights"
    made_of = digest(weights / f"{name}.json", weights / f"{families.FAMILIES[name].weights or name}.safetensors")
    path = RECORD.parent / "caught" / f"{made_of}-{SOURCE}" / f"{name}.zip"
    return path if path.is_file() else export(name, out=path, torchscript="plain").path


def shipped_table(record, core, names, kept=()):
    """Every mutation that can be done to any bundle, done to these families'; ``kept`` are columns of a page, by family."""
    cases = {name: case for name, case in BROKEN.items() if case.anywhere}
    columns = dict(kept)
    for family in names:
        bundle = exported(family)
        answers = [measured(record, core, name, bundle, status) for name in cases]
        columns[family] = [f"{here} / {of_core.split(':')[0]}" for here, of_core in answers]
    columns = {name: columns[name] for name in families.shipped() if name in columns}
    found = [answer for column in columns.values() for answer in column]
    missed, passed = sum("missed" in answer for answer in found), sum(answer.endswith("/ passed") for answer in found)
    rows = [
        f"| {case.what} | {' | '.join(answers)} |"
        for case, answers in zip(cases.values(), zip(*columns.values(), strict=True), strict=True)
    ]
    counts = {"count": len(cases), "bundles": len(columns), "missed": missed or "none", "passed": passed}
    return SHIPPED.format(**counts, names=" | ".join(columns), lines="|".join(["---"] * len(columns))) + "\n".join(rows) + "\n"


def columns_of(page):
    """The columns of the second table of a page by family, if its rows are those of today."""
    lines = [line.strip("| ").split(" | ") for line in page.split(SHIPPED.split("\n\n", 1)[0])[-1].splitlines() if line.startswith("| ")]
    (_, *names), *rows = lines
    today = [case.what for case in BROKEN.values() if case.anywhere]
    assert [row[0] for row in rows] == today, "other faults than those of the page: run it without arguments"
    return {name: [row[n] for row in rows] for n, name in enumerate(names, 1)}


def tiny_table(record, core):
    """Every mutation, done to the tiny bundle; the first row is of the bundle itself."""
    with TemporaryDirectory() as folder:
        core.ask(good().write(Path(folder) / "good.zip"))
        lines = [f"| nothing (the good bundle) | passed | 0 | {cell(core.answer(), folder, 200)} |"]
    for name, case in BROKEN.items():
        (verdict, code), of_core = measured(record, core, name, None, row)
        lines.append(f"| {case.what} | {verdict} | {code} | {of_core} |")
    return HEAD.format(core=version("bioimageio.core")) + "\n".join(lines) + "\n"


def main(*names):
    os.environ["OMP_NUM_THREADS"] = "1"
    record = Record()
    with closing(Core()) as core:
        if names[:1] == ("measure",):
            shipped_table(record, core, names[1:] or families.shipped())
            return
        if names[:1] == ("columns",):
            page = TARGET.read_text(encoding="utf-8")
            title = SHIPPED.split("\n\n", 1)[0]
            TARGET.write_text(page.split(title)[0] + shipped_table(record, core, names[1:], columns_of(page)), encoding="utf-8")
            return
        first = tiny_table(record, core)
        before = TARGET.read_text(encoding="utf-8") if TARGET.is_file() else ""
        title = SHIPPED.split("\n\n", 1)[0]
        second = title + before.split(title)[-1] if names == ("tiny",) else shipped_table(record, core, families.shipped())
    TARGET.write_text(first + second, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
