"""Where a bundle comes from, and nothing of where its maker sits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zooready.bundle import provenance
from zooready.errors import InputInvalid


def test_versions_name_no_build():
    found = provenance.versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(found) == {"python", *provenance.PACKAGES}
    assert not any("+" in version for version in found.values())


def git(folder, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def kind(tmp_path, monkeypatch):
    """A class in a file of a fresh checkout."""
    git(tmp_path, "init", "-q")
    (tmp_path / "their_network.py").write_text("class Network:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import their_network

    yield their_network.Network
    del sys.modules["their_network"]


def test_the_commit_is_that_of_the_networks_own_checkout(kind, tmp_path):
    assert "network" not in provenance.commits(kind)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commits(kind)["network"] == head
    (tmp_path / "unrelated.txt").touch()
    assert provenance.commits(kind)["network"] == head
    (tmp_path / "their_network.py").write_text("class Network:\n    changed = True\n")
    assert provenance.commits(kind)["network"] == head + "+"


@pytest.mark.parametrize("kind", [int, type("Made", (), {"__module__": "nowhere"})])
def test_a_class_without_a_file_has_no_commit(kind):
    assert "network" not in provenance.commits(kind)


def test_facts_become_plain_data():
    given = {"a": np.float32(0.5), "b": [np.int64(3), None, True], "c": {"d": None, 7: "x"}, "e": Path("/home/zaphod/cells"), "f": ("g",)}
    assert provenance.plain(given) == {"a": 0.5, "b": [3, True], "c": {"7": "x"}, "e": "cells", "f": ["g"]}
    assert type(provenance.plain(given)["a"]) is float


def test_what_yaml_cannot_hold_is_named():
    with pytest.raises(InputInvalid, match=r"provenance\['a'\]\[1\] is a object.*: give text, numbers, lists or mappings"):
        provenance.plain({"a": [1, object()]})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no /home/zaphod/nets.py here", "no nets.py here"),
        ("(/usr/lib/python3/torch.py:12)", "(torch.py:12)"),
        ("'~/cells/a.tif'", "'a.tif'"),
        (r"File C:\Users\Zaphod Beeblebrox\nets.py, line 3", "File nets.py, line 3"),
        ("1 / 2 and/or b/c of https://zenodo.org/records/1", "1 / 2 and/or b/c of https://zenodo.org/records/1"),
    ],
)
def test_folders_are_cut_off(text, left):
    assert provenance.without_folders(text) == left


def test_the_folders_of_this_machine_are_cut_off_even_with_spaces(tmp_path, monkeypatch):
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert provenance.without_folders(f"at {folder}/deep/nets.py") == "at deep/nets.py"
