"""Rooms import only from the rooms that their docstring names."""

import ast
import re
from pathlib import Path

import pytest

import zooready

PACKAGE = Path(__file__).parent.parent / "src" / "zooready"
ALWAYS = {"errors", "tensors", "records"}
ROOMS = sorted(p.stem for p in PACKAGE.iterdir() if (p.suffix == ".py" and p.stem != "__init__") or (p / "__init__.py").exists())


def home(room):
    return PACKAGE / room / "__init__.py" if (PACKAGE / room).is_dir() else PACKAGE / f"{room}.py"


def allowed(room):
    doc = ast.get_docstring(ast.parse(home(room).read_text())) or ""
    line = re.search(r"^May import: (.+?)(?:\.|$)", doc, re.MULTILINE)
    assert line, f"{room}: its docstring needs a line 'May import: ...'"
    return {name.split()[0] for name in line[1].replace("(reading)", "").split(",")} - {"nothing"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "zooready":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [a.name.split(".")[1] for a in node.names if a.name.startswith("zooready.")]


def reach(room, seen=()):
    direct = allowed(room) & set(ROOMS)
    return direct.union(*(reach(r, (*seen, r)) for r in direct if r not in seen))


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_its_docstring_allows(room):
    files = (PACKAGE / room).rglob("*.py") if (PACKAGE / room).is_dir() else [home(room)]
    permitted = allowed(room) | (ALWAYS if room not in ALWAYS | {"nets"} else set()) | {room}
    trespass = {(str(f.relative_to(PACKAGE)), name) for f in files for name in imported(f) if name in ROOMS and name not in permitted}
    assert not trespass, f"imports beyond 'May import': {sorted(trespass)}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_reaches_itself(room):
    assert room not in reach(room)


def test_the_two_arrows_that_must_not_exist():
    assert "families" not in reach("bundle")
    assert not {"nets", "families"} & reach("consumers")


def modules():
    """Name of every module and room but for `__init__`, with repetitions."""
    return [
        path.parent.name if path.stem == "__init__" else path.stem
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE or path.stem != "__init__"
    ]


def test_a_module_name_occurs_once_but_for_those_of_families():
    families = {path.stem for path in (PACKAGE / "families").glob("*.py")}
    assert {name for name in modules() if modules().count(name) > 1} <= families


def test_no_module_has_the_name_of_a_public_function():
    assert not set(modules()) & set(zooready.__all__)


def test_every_family_has_an_evaluation_of_its_name():
    families, evaluations = ({path.stem for path in (PACKAGE / room).glob("[!_]*.py")} for room in ("families", "evaluation"))
    assert families <= evaluations
