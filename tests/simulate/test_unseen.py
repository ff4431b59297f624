import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "src" / "zooready"
ALLOWED = {
    "simulate/unseen.py",
    "evaluation/deepz.py",
    "evaluation/mrbcr.py",
    "evaluation/mrbcr3d.py",
    "evaluation/mrbcr3d_confocal.py",
    "evaluation/refocusing.py",
    "evaluation/superres.py",
}


def names(tree):
    """Every module and name that a file imports, dotted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def trespasses(folder):
    """Files that import the unseen specimens, or name them in a string that could be imported."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
        if any("unseen" in name.lower().split(".") for name in names(tree)) or any("simulate.unseen" in text for text in strings):
            yield path.relative_to(folder).as_posix()


def test_only_evaluation_imports_the_unseen_specimens():
    assert set(trespasses(PACKAGE)) <= ALLOWED


def test_the_room_does_not_hand_on_the_unseen_specimens():
    assert "unseen" not in " ".join(names(ast.parse((PACKAGE / "simulate" / "__init__.py").read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "line",
    [
        "from zooready.simulate.unseen import tissue",
        "from zooready.simulate import unseen",
        "import zooready.simulate.unseen as u",
        "from zooready.simulate.unseen import *",
        "x = Part(path='zooready.simulate.unseen.shells')",
        "def f():\n    from ..simulate.unseen import UNSEEN",
    ],
)
def test_an_import_of_the_unseen_specimens_is_noticed(line, tmp_path):
    (tmp_path / "family.py").write_text(line)
    assert list(trespasses(tmp_path)) == ["family.py"]
