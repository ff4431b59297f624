"""The house's plan: which room imports which, in what order they stand, and that a name means one thing.

Everything is read from the source. An import is a statement anywhere in a file (``TYPE_CHECKING`` and functions
included), or a string ``"zooready.x.y"`` outside docstrings, as ``Part``, ``importlib`` and the command lines of child processes take it.
"""

import ast
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import zooready

PACKAGE = Path(__file__).parent.parent / "src" / "zooready"
ORDER = (  # a room imports only rooms before it
    *(
        "errors",
        "tensors",
        "records",
        "texts",
        "processes",
        "nets",
        "images",
        "simulate",
        "data",
        "java",
        "wasm",
        "training",
        "families",
        "formats",
        "bundle",
    ),
    *("exporting", "consumers", "comparison", "prediction", "explanation", "measurement", "evaluation", "report", "sharing"),
    *("commands", "cli", "__main__"),
)
ALWAYS = ("errors", "tensors", "records")  # whom every room but nets may import without saying so
LOOSE = {"__init__.py", "errors.py", "tensors.py", "records.py", "cli.py", "__main__.py"}
HIDDEN = 15  # imports of our own inside functions, in all files together
DOTTED = re.compile(r"zooready((?:\.\w+)+)")
CODE = re.compile(r"\b(?:from|import) zooready((?:\.\w+)+)")

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(("zooready", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path for path in FILES}
NAMES = {path: name for name, path in MODULES.items()}
ROOMS = sorted({name.split(".")[1] for name in MODULES if "." in name} - {"__main__"})


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(path):
    """(node, dotted name of what it imports, whether a function holds it) for every import of our own."""
    inside = {id(inner) for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{NAMES[path]}, line {node.lineno}: write the whole path of what is imported"
            if node.module and node.module.split(".")[0] == "zooready":
                yield from ((node, f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name, id(node) in inside) for alias in node.names if alias.name.split(".")[0] == "zooready")


def docstrings(path):
    """The nodes of all docstrings of a file."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree(path)) if isinstance(node, owners) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def paths_in_strings(path):
    """Dotted names that strings of a file hold: whole, as the beginning of an f-string, or as code for a child process."""
    prose = docstrings(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            whole = DOTTED.fullmatch(node.value)
            yield from (f"zooready{match}" for match in ([whole[1]] if whole else CODE.findall(node.value)))
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            start = re.match(r"zooready\.\w+(?=\.)", node.values[0].value)
            yield from [start[0]] if start else []


def rooms_of(path):
    """Rooms that a file imports."""
    dotted = [name for _, name, _ in statements(path)] + list(paths_in_strings(path))
    return {name.split(".")[1] for name in dotted if "." in name} & set(ROOMS)


def files_of(room):
    return [path for name, path in MODULES.items() if name.split(".")[1:2] == [room]]


@cache
def imported(room):
    return set().union(*(rooms_of(path) for path in files_of(room))) - {room}


def said(room):
    """Rooms in the line ``May import:`` of a room's docstring, in order."""
    text = ast.get_docstring(tree(MODULES[f"zooready.{room}"])) or ""
    lines = re.findall(r"^May import: (.+)$", text, re.MULTILINE)
    assert len(lines) == 1, f"{room}: its docstring needs one line 'May import: ...', and has {len(lines)}"
    return [] if lines[0] == "nothing" else lines[0].split(", ")


def reach(room, seen=()):
    return imported(room).union(*(reach(other, (*seen, room)) for other in imported(room) if other not in (*seen, room)))


def module_of(dotted):
    """The module that holds what a dotted name names."""
    while dotted not in MODULES:
        dotted = dotted.rpartition(".")[0]
    return dotted


def circles(arrows):
    """What is left when whatever imports nothing, or is imported by nothing, has been taken away again and again."""
    while ends := {name for name in arrows if not arrows[name] or not any(name in targets for targets in arrows.values())}:
        arrows = {name: targets - ends for name, targets in arrows.items() if name not in ends}
    return arrows


def commands():
    return {path.stem for path in (PACKAGE / "commands").glob("*.py")} - {"__init__"}


def families():
    return {path.stem for path in (PACKAGE / "families").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("room", ROOMS)
def test_the_line_may_import_is_exactly_what_is_imported(room):
    free = set() if room in ALWAYS else set(ALWAYS)
    assert set(said(room)) == imported(room) - free, "rewrite the room's line 'May import:', or the import"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_that_stand_before_it(room):
    assert room in ORDER, f"{room} has no place in ORDER: say after which rooms it comes"
    assert [other for other in imported(room) if other not in ORDER[: ORDER.index(room)]] == []


def test_the_line_names_rooms_in_their_order():
    assert [room for room in ROOMS if said(room) != sorted(said(room), key=ORDER.index)] == []


def test_no_room_reaches_itself():
    assert [room for room in ROOMS if room in reach(room)] == []


def test_the_two_arrows_that_must_not_exist():
    assert "families" not in reach("bundle")
    assert not {"nets", "families"} & reach("consumers")


def test_nets_import_torch_and_the_standard_library_only():
    """They travel inside bundles, with nothing but the files of nets that they import."""
    modules = {(NAMES[path], node.module) for path in files_of("nets") for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}
    modules |= {
        (NAMES[path], a.name)
        for path in files_of("nets")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import)
        for a in node.names
    }
    free = {"torch", *sys.stdlib_module_names}
    assert {(file, name) for file, name in modules if name.split(".")[0] not in free and not name.startswith("zooready.nets.")} == set()


def test_only_the_named_files_stand_outside_a_room():
    assert {path.name for path in PACKAGE.glob("*.py")} <= LOOSE


def test_no_file_reaches_itself():
    arrows = {name: {module_of(target) for _, target, _ in statements(path)} - {name, "zooready"} for name, path in MODULES.items()}
    assert circles(arrows) == {}


def test_a_module_s_name_occurs_once():
    names = Counter(name.rpartition(".")[2] for name in MODULES)
    twice = {name for name, count in names.items() if count > 1} - families() - commands()
    assert {name: [module for module in MODULES if module.endswith(f".{name}")] for name in sorted(twice)} == {}


def test_no_module_has_the_name_of_a_public_function():
    """Public is what ``zooready`` offers, and what the ``__init__`` of a room defines or takes from its files."""
    doors = [(name, path) for name, path in MODULES.items() if path.name == "__init__.py"]
    public = {(function, name) for name, path in doors for function in functions(path)}
    public |= {(target.rpartition(".")[2], name) for name, path in doors for _, target, _ in statements(path) if is_function(target)}
    public |= {(function, "zooready") for function in zooready.__all__}
    modules = {name.rpartition(".")[2]: name for name in MODULES if not name.startswith("zooready.commands.")}
    assert {f"{room}.{function}": modules[function] for function, room in sorted(public) if function in modules} == {}


def functions(path):
    return [node.name for node in tree(path).body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]


def is_function(dotted):
    return dotted not in MODULES and dotted.rpartition(".")[2] in functions(MODULES[module_of(dotted)])


def test_every_family_has_an_evaluation_of_its_name():
    assert families() <= {path.stem for path in (PACKAGE / "evaluation").glob("*.py")}


def test_few_imports_of_our_own_hide_in_functions():
    hidden = {f"{NAMES[path]}, line {node.lineno}" for path in FILES for node, _, inside in statements(path) if inside}
    assert len(hidden) <= HIDDEN, sorted(hidden)


def test_the_package_s_front_door_is_not_used_inside():
    """What ``zooready`` re-exports is imported from its own room; only the version is the package's."""
    fronted = {(NAMES[path], name) for path in FILES for _, name, _ in statements(path) if module_of(name) == "zooready"}
    assert {name for _, name in fronted} <= {"zooready.__version__"}, fronted
