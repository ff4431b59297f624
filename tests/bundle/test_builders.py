"""Where the network of a state dict is built, in every form that a description may have."""

from pathlib import Path

import pytest

from zooready.bundle.builders import builder_of
from zooready.bundle.rdf import read
from zooready.formats.state_dict import Builder


def bundle_of(folder, entry):
    return read({"inputs": [], "outputs": [], "weights": {"pytorch_state_dict": entry}}, path=Path("a.zip"), folder=folder, formats={})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"architecture": {"source": "net.py", "callable": "build"}}, {"callable": "build", "file": "net.py"}),
        (
            {"architecture": {"import_from": "a.b", "callable": "C", "kwargs": {"k": 1}}},
            {"callable": "C", "module": "a.b", "kwargs": {"k": 1}},
        ),
        ({"architecture": "net.py:Net", "kwargs": {"k": 1}}, {"callable": "Net", "file": "net.py", "kwargs": {"k": 1}}),
        ({"architecture": "a.b.C", "kwargs": None}, {"callable": "C", "module": "a.b"}),
        ({"architecture": {"source": "../net.py", "callable": "build"}}, None),
        ({"architecture": {"source": "net.py"}}, None),
        ({}, None),
    ],
)
def test_the_code_is_found_in_every_form(tmp_path, entry, expected):
    folder = tmp_path.resolve()
    if expected and "file" in expected:
        expected = {**expected, "file": folder / expected["file"]}
    assert builder_of(bundle_of(folder, entry)) == (Builder(**expected) if expected else None)
