"""The pages on adding a family and a consumer, followed to the letter in a copy of the repository."""

import re
from pathlib import Path

import pytest
from following import copied, follow, patched

DOCS = Path(__file__).parent.parent / "docs"


def starting(printed, start):
    """What the one command that begins so printed."""
    (line,) = [line for line in printed if line.startswith(start)]
    return printed[line]


@pytest.mark.slow
def test_a_consumer_that_is_added_as_its_page_says_holds_its_contract(tmp_path):
    printed = follow(DOCS / "add-a-consumer.md", copied(tmp_path))
    assert re.search(r"^\W*onnx-reference\b.*\byes\b", starting(printed, "zooready doctor"), re.MULTILINE)
    assert re.search(r"onnx-reference\W+onnx\W+passed", starting(printed, "zooready check"))
    assert re.search(r"\d\d? passed", starting(printed, "python -m pytest tests/consumers"))


@pytest.mark.slow
def test_a_family_that_is_added_as_its_page_says_holds_its_contract(tmp_path):
    root = copied(tmp_path)
    printed = follow(DOCS / "add-a-family.md", root)
    assert re.search(r"^\W*smoothing\b", starting(printed, "zooready list"), re.MULTILINE)
    assert re.search(r"onnxruntime\W+onnx\W+passed", starting(printed, "zooready check"))
    assert re.search(r"\d\d passed", starting(printed, "python -m pytest tests/families"))
    assert {path.name for path in (root / "run").iterdir()} >= {"weights.safetensors", "run.json"}
    assert [path.name for path in (root / "restored").iterdir()] == ["image_restored.tif"]
    card = (root / "cards" / "smoothing.md").read_text(encoding="utf-8")
    assert all(words in card for words in ("Smoothing of blobs", "input itself", "Only blobs were taught"))


def test_a_block_whose_lines_are_not_in_the_file_is_a_fault_of_the_page():
    with pytest.raises(AssertionError, match="a.py: these lines are there 0 times"):
        patched("a\nb\n", " c\n+d\n", "a.py")
    with pytest.raises(AssertionError, match="a.py: these lines are there 2 times"):
        patched("a\nb\na\n", " a\n+d\n", "a.py")
    assert patched("a\nb\nc\n", " a\n-b\n+d\n c\n", "a.py") == "a\nd\nc\n"
