"""The command line: quick to start, every option understood by its command, every failure an exit code and a sentence."""

import argparse
import ast
import importlib.metadata
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import zooready
from zooready import cli, families
from zooready.commands import COMMANDS, EXAMPLES, command, doctor
from zooready.consumers import consumer
from zooready.errors import ConsumerMissing, InputInvalid

STARTS = {"import": ("import zooready", 0.15), "help": ("from zooready.cli import parser; parser().format_help()", 0.15)}
SAME_NAME = set(COMMANDS) - {"doctor", "engines", "list"}  # whose modules have a function of the command's name


def subcommands():
    root = cli.parser()
    choices = next(action for action in root._actions if isinstance(action, argparse._SubParsersAction)).choices
    return {name: parser.load() for name, parser in choices.items()}


def cpu_seconds(*words):
    """CPU time of a Python process, the best of three."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(seconds)


@pytest.mark.parametrize("name", STARTS)
def test_starting_is_quick_and_imports_nothing_heavy(name):
    code, most = STARTS[name]
    heavy = "{'torch', 'numpy', 'onnx', 'bioimageio', 'rich', 'lightning', 'matplotlib'}"
    assert cpu_seconds("-c", f"import sys\n{code}\nassert not {heavy} & set(sys.modules)") < most


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_neither_torch_nor_lightning(name):
    code = f"import sys; from zooready.commands import command; command({name!r})"
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'torch', 'lightning', 'onnx'}} & set(sys.modules)"], check=True)


@pytest.mark.parametrize("name", ["list", "data", "doctor"])
def test_commands_that_only_look_import_neither_torch_nor_the_rooms_of_scipy(name):
    code = f"import sys; from zooready.cli import main; code = main([{name!r}])"
    heavy = "{'torch', 'lightning', 'onnxruntime', 'scipy.ndimage', 'scipy.spatial', 'scipy.fft', 'skimage.draw'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}; assert not {heavy}; sys.exit(code)"], check=True, stdout=subprocess.DEVNULL)


def test_the_package_is_run_as_a_module():
    printed = subprocess.run([sys.executable, "-m", "zooready", "--help"], check=True, capture_output=True, text=True).stdout
    assert printed.startswith("usage: zooready")
    assert all(f"    {name} " in printed for name in COMMANDS)
    refused = subprocess.run([sys.executable, "-m", "zooready", "export", "nowhere"], capture_output=True, text=True)
    assert (refused.returncode, "zooready: 'nowhere' is neither the folder of a run nor a family" in refused.stderr) == (2, True)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"zooready {importlib.metadata.version('zooready')}\n"
    assert zooready.__version__ == importlib.metadata.version("zooready")


@pytest.mark.parametrize(
    ("typed", "words"),
    [("exprot", "no command is called 'exprot'. Did you mean 'export'?"), ("xyzzy", "no command is called 'xyzzy'. Use train, export,")],
)
def test_a_misspelt_command_brings_the_nearest(capsys, typed, words):
    with pytest.raises(SystemExit, match="2"):
        cli.main([typed])
    assert words in capsys.readouterr().err


def test_a_misspelt_option_brings_the_nearest(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["publish", "nuclei.zip", "--dryrun"])
    assert "unrecognized arguments: --dryrun Did you mean '--dry-run'?" in capsys.readouterr().err


def test_a_misspelt_family_brings_the_nearest():
    with pytest.raises(InputInvalid, match="no family is called 'segmentaton'.*Did you mean 'segmentation'"):
        families.named("segmentaton")


@pytest.mark.parametrize("command", [["publish", "segmentaton", "--dry-run"], ["page", "segmentaton", "-o", "page.html"]])
def test_a_misspelt_family_in_the_place_of_a_bundle_brings_the_nearest(capsys, command):
    assert cli.main(command) == 2
    assert "Did you mean 'segmentation'?" in capsys.readouterr().err


def test_a_misspelt_program_brings_the_nearest():
    with pytest.raises(InputInvalid, match="no consumer is called 'cellprofile': choose from .* Did you mean 'cellprofiler'"):
        consumer("cellprofile")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_with_examples_that_it_understands(name):
    parser = subcommands()[name]
    assert parser.format_help().rstrip().endswith("\n".join(f"  zooready {name} {words}" for words in EXAMPLES[name]).rstrip())
    for words in EXAMPLES[name]:
        parser.parse_args(words.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_says_that_its_default_is_nothing(name):
    shown = " ".join(subcommands()[name].format_help().split())
    assert "default: None" not in shown
    assert "default: False" not in shown


def test_defaults_are_said_where_there_are_some():
    assert "weights to run (default: onnx)" in " ".join(subcommands()["predict"].format_help().split())


@pytest.mark.parametrize("name", sorted(SAME_NAME))
def test_a_command_is_the_function_of_its_name(name):
    assert callable(getattr(command(name), name))


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
    assert "no command is called 'pulish'" in capsys.readouterr().err


def test_an_unknown_name_of_the_package_lists_the_known_ones():
    import zooready

    with pytest.raises(AttributeError, match="no attribute 'exprot': its names are FAMILIES"):
        _ = zooready.exprot


def test_every_public_name_can_be_imported():
    import zooready

    assert len(zooready.__all__) <= 12
    assert all(getattr(zooready, name) is not None for name in zooready.__all__)
    assert dir(zooready) == sorted(zooready.__all__)


def test_a_type_checker_sees_every_public_name():
    import zooready

    tree = ast.parse(Path(zooready.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == sorted(zooready.__all__)


def test_doctor_lists_every_consumer(capsys):
    from zooready.consumers import CONSUMERS

    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert all(name.split("-")[0] in printed for name in CONSUMERS)


@pytest.mark.skipif(importlib.util.find_spec("argcomplete") is None, reason="argcomplete is not here: make setup")
@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("zooready ex", {"export", "explain"}),
        ("zooready export segmentation --fo", {"--for"}),
        ("zooready export spo", {"spots"}),
        ("zooready publish spots --in cell", {"cellprofiler"}),
    ],
)
def test_the_shell_completes_commands_options_families_and_programs(line, among, tmp_path):
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words")}
    subprocess.run([sys.executable, "-c", "from zooready.cli import entry; entry()"], env={**os.environ, **asked}, check=False)
    assert {word.strip() for word in (tmp_path / "words").read_text().split("\v")} == among
