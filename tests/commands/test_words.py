"""Small words of the commands: a file named once, a command that can be copied, a help text without repetition."""

import importlib
from pathlib import Path
from types import SimpleNamespace

from zooready.commands.console import print_fault
from zooready.errors import InputInvalid

TRAIN = importlib.import_module("zooready.commands.train")  # the package gives the function of that name


def test_a_file_that_cannot_be_used_is_named_once(capsys):
    print_fault(Path("in/a.tif"), InputInvalid("in/a.tif is empty."))
    print_fault(Path("in/a.tif"), InputInvalid("the image has 2 channels."))
    assert capsys.readouterr().out.splitlines() == ["in/a.tif is empty.", "in/a.tif: the image has 2 channels."]


def test_the_command_that_train_advises_can_be_copied(capsys, monkeypatch):
    done = SimpleNamespace(is_finished=True, family="spots", steps=1, seconds=2.0, seed=0, data="a folder", best_step=0, metrics={})
    monkeypatch.setattr(TRAIN, "train", lambda family, out, **options: done)
    TRAIN.run("spots", Path("runs/my cells"))
    words = " ".join(capsys.readouterr().out.split())
    assert words == "spots: 1 step in 2 s, seed 0, on a folder. Next: zooready export 'runs/my cells'"


def test_the_help_lists_each_layout_of_data_once():
    words = TRAIN.layouts()
    assert (words.count("masks/"), words.count("truth/")) == (1, 1)
    assert "masks/ (segmentation, segmentation3d, spots)" in words
