"""The command line: quick to start, every option understood by its command, every failure an exit code and a sentence."""

import argparse
import inspect
import os
import subprocess
import sys

import pytest

from zooready import cli
from zooready.commands import COMMANDS, command, doctor
from zooready.errors import ConsumerMissing, InputInvalid

STARTS = ["import zooready", "from zooready.cli import parser; parser().format_help()"]


def subcommands():
    root = cli.parser()
    choices = next(action for action in root._actions if isinstance(action, argparse._SubParsersAction)).choices
    return {name: parser.load() for name, parser in choices.items()}


@pytest.mark.parametrize("code", STARTS, ids=["import", "help"])
def test_starting_takes_less_than_half_a_second_and_no_torch(code):
    heavy = "{'torch', 'numpy', 'onnx', 'bioimageio', 'rich', 'lightning', 'matplotlib'}"
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-c", f"import sys\n{code}\nassert not {heavy} & set(sys.modules)"], check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_a_parameter_of_its_function(name):
    options = {action.dest for action in subcommands()[name]._actions if action.dest != "help"}
    parameters = inspect.signature(command(name).run).parameters
    assert options <= set(parameters) or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    assert {n for n, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD} <= options


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputInvalid("no such image"), 2, "zooready: no such image"),
        (ConsumerMissing("no engine"), 3, "zooready: no engine"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
    ids=["input", "missing", "ctrl-c"],
)
def test_a_failure_is_an_exit_code_and_a_sentence(monkeypatch, capsys, error, code, words):
    def fail():
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    assert cli.main(["doctor"]) == code
    assert words in capsys.readouterr().err


def test_an_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["pulish"])
    assert "invalid choice" in capsys.readouterr().err


def test_an_unknown_name_of_the_package_lists_the_known_ones():
    import zooready

    with pytest.raises(AttributeError, match="no attribute 'exprot': its names are FAMILIES"):
        _ = zooready.exprot


def test_every_public_name_can_be_imported():
    import zooready

    assert len(zooready.__all__) <= 12
    assert all(getattr(zooready, name) is not None for name in zooready.__all__)
    assert dir(zooready) == sorted(zooready.__all__)


def test_doctor_lists_every_consumer(capsys):
    from zooready.consumers import CONSUMERS

    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert all(name.split("-")[0] in printed for name in CONSUMERS)
