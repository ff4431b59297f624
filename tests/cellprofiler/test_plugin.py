"""Every check of inside.py, which runs in CellProfiler's own Python."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "inside.py"
CHECKS = [node.name for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body if getattr(node, "name", "").startswith("check_")]


@pytest.mark.cellprofiler
@pytest.mark.parametrize("check", CHECKS)
def test_in_memory(check, inside):
    assert not inside[check], inside[check]
