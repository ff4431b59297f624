"""The one reader of YAML: that every file of YAML is read by it, and what it refuses; its numbers are tested with ``rdf.yaml``."""

import ast
from pathlib import Path

import pytest

import zooready
from zooready.errors import InputInvalid
from zooready.texts.plain_yaml import BYTES, read_yaml

PACKAGE = Path(zooready.__file__).parent


def test_no_other_file_of_the_package_reads_yaml():
    """Whoever needs PyYAML for writing may import it, but only this reader calls what reads."""
    readers = {"load", "safe_load", "full_load", "unsafe_load", "load_all", "safe_load_all", "parse", "compose"}
    calls = {
        file.name
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in readers and isinstance(node.value, ast.Name) and "yaml" in node.value.id.lower()
    }
    assert calls == {"plain_yaml.py"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 3\nsteps: 4", "file.yaml is not readable YAML .the key 'steps' stands there twice in .*line 2, column 1"),
        ("a: &a [1]\nb: *a", r"file.yaml uses the alias \*a"),
        ("a: " + "[" * 60, "nests deeper than 50 levels"),
        ('a: "\\e[2J"', "holds the control character"),
        ("a: b" + " " * BYTES, "at most 1048576 are read: move long texts into files"),
    ],
)
def test_what_is_refused_is_told_with_its_line(tmp_path, text, message):
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputInvalid, match=message):
        read_yaml(tmp_path / "file.yaml")


@pytest.mark.parametrize(("text", "content"), [("", None), ("- 1e-3", [0.001]), ("no", "no"), ("0o10", 8)])
def test_any_content_is_given_as_it_is(tmp_path, text, content):
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    assert read_yaml(tmp_path / "file.yaml") == content
