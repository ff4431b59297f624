"""The examples in docstrings give what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and ">>> " in node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_give_what_they_say(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed
