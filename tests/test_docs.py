"""What the pages say is so: paths and names exist, links lead somewhere, blocks and example files run, commands are commands."""

import argparse
import contextlib
import importlib
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

import zooready
from zooready import cli
from zooready.bundle.jdll import picks
from zooready.commands import evaluate
from zooready.consumers import CONSUMERS
from zooready.consumers.deepimagej.rules import ELEMENTS
from zooready.families import FAMILIES
from zooready.records import TOLERANCE, Level, Status

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "zooready"
EXAMPLES = ROOT / "tests" / "examples"
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / ".github").glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "export").glob("*/README.md")]
)
MADE = ("export/bundles",)  # by `make demo`, so not there in a fresh checkout
BLOCK = re.compile(r"^```(\w+)(?: +([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(
    r"(?<![\w./-])(?:(?:src|docs|tests|export|model_cards|\.github|\.ci)/[\w./*-]*[\w*/]|Makefile|pyproject\.toml|constraints\.txt)"
)
DOTTED = re.compile(r"(?<![\w./-])zooready\.\w+(?:\.\w+)*(?![\w/])")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FLAG = re.compile(r"(?<!\S)--[a-z][a-z-]*")
SHELL = {"make", "python", "python3", "unzip", "cp", "cellprofiler"}  # what a reader may type beside zooready itself


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """(info string, text, line number) of every block of a language."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        if block[1] == language:
            yield block[2] or "", block[3], text[: block.start(3)].count("\n")


def prose(page):
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Headings of a page as GitHub names them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands():
    """Each command of the command line with its own parser."""
    root = cli.parser()
    choices = next(action for action in root._actions if isinstance(action, argparse._SubParsersAction)).choices
    return {name: parser.load() for name, parser in choices.items()}


def lines_of(text):
    """Words of each line of a shell block; comments dropped, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def script(name, *arguments):
    """Run an example file as a script, in this process."""
    with contextlib.ExitStack() as stack:
        before = sys.argv
        stack.callback(setattr, sys, "argv", before)
        sys.argv = [name, *map(str, arguments)]
        return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder that the example of an export leaves: image.tif and spots.zip."""
    folder = tmp_path_factory.mktemp("exported")
    script("export_my_network.py", folder)
    return folder


@pytest.fixture
def desk(exported, tmp_path, monkeypatch):
    """A folder of one's own with an image and a bundle, as the pages assume."""
    for file in ("image.tif", "spots.zip"):
        shutil.copy(exported / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_on_the_page_exist(page):
    paths = {path for path in PATH.findall(prose(page)) if not path.startswith(MADE)}
    absent = {path for path in paths if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())}
    assert not absent


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_on_the_page_lead_somewhere(page):
    for link in LINK.findall(prose(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if name(target) in MADE:
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_of_the_package_on_the_page_exist(page):
    for dotted in set(DOTTED.findall(prose(page))):
        words = dotted.split(".")
        thing = zooready
        for place, word in enumerate(words[1:], 2):
            with contextlib.suppress(ImportError):
                importlib.import_module(".".join(words[:place]))
            assert hasattr(thing, word), dotted
            thing = getattr(thing, word)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_on_the_page_are_understood(page, capsys):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for _, text, number in blocks(page, "bash"):
        for first, *rest in lines_of(text):
            program = Path(first).name
            assert program in SHELL | {"zooready"}, f"line {number + 1}: {first}"
            if program == "zooready":
                try:
                    cli.parser().parse_args(rest)
                except SystemExit:
                    pytest.fail(f"line {number + 1}: zooready {shlex.join(rest)}: {capsys.readouterr().err}")
            elif program == "make":
                assert set(word for word in rest if "=" not in word) <= targets, rest


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_named_in_a_sentence_exist(page):
    known = commands()
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        if span.startswith("zooready ") and span not in ("zooready --help", "zooready --version"):
            command, *rest = span.split()[1:]
            assert command in known, span
            assert set(FLAG.findall(" ".join(rest))) <= set(known[command]._option_string_actions), span
        elif span.startswith("--"):
            assert any(span.split()[0] in parser._option_string_actions for parser in known.values()), span


def with_blocks(language, info=""):
    return [page for page in PAGES if any(words == info for words, _, _ in blocks(page, language))]


@pytest.mark.parametrize("page", with_blocks("python"), ids=name)
def test_python_blocks_of_the_page_run_from_top_to_bottom(page, desk):
    for file, text, _ in blocks(page, "yaml"):
        if file:
            (desk / file).write_text(text, encoding="utf-8")
    space = {"__name__": "__main__"}
    for _, text, number in blocks(page, "python"):
        exec(compile("\n" * number + text, name(page), "exec"), space)


@pytest.mark.parametrize("page", with_blocks("bash", "run"), ids=name)
def test_shell_blocks_that_promise_to_run_do(page, desk):
    for info, text, number in blocks(page, "bash"):
        if info != "run":
            continue
        for first, *rest in lines_of(text):
            assert first == "zooready", f"line {number + 1}: only zooready is run, not {first}"
            done = subprocess.run(
                [sys.executable, "-c", "from zooready.cli import entry; entry()", *rest],
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert done.returncode == 0, done.stdout + done.stderr


def test_python_blocks_are_found():
    assert {name(page) for page in with_blocks("python")} >= {"README.md", "docs/export.md", "docs/predict.md", "docs/check.md"}


def test_the_example_of_an_export_leaves_a_bundle_that_agrees(exported):
    verdicts = zooready.check(exported / "spots.zip", consumers=["onnxruntime", "deepimagej"]).verdicts
    assert {(verdict.consumer, verdict.status) for verdict in verdicts} == {("onnxruntime", "passed"), ("deepimagej", "passed")}


def test_the_example_of_a_prediction_writes_a_calibrated_image(desk, capsys):
    from zooready.images.files import read_image

    script("predict_with_a_bundle.py", "spots.zip", "image.tif", "out")
    assert "7.5% above 0.5" in capsys.readouterr().out
    result = read_image(desk / "out" / "image_probabilities.tif")
    assert result.pixel_size_um == pytest.approx(0.1, rel=1e-4)


def test_the_example_of_a_consumer_passes_and_catches_a_changed_weight(desk, monkeypatch):
    import onnx
    from onnx import numpy_helper

    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setitem(CONSUMERS, "onnx-reference", "add_a_consumer")
    (verdict,) = zooready.check("spots.zip", consumers=["onnx-reference"]).verdicts
    assert (verdict.format, verdict.status, verdict.level) == ("onnx", "passed", "ran")
    assert 0 < verdict.difference < verdict.tolerance
    (desk / "open").mkdir()
    shutil.unpack_archive("spots.zip", "open")
    model = onnx.load("open/weights.onnx")
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * 1.01, kernel.name))
    onnx.save(model, "open/weights.onnx")
    rehash(desk / "open")
    assert [verdict.status for verdict in zooready.check("open", consumers=["onnx-reference"]).verdicts] == ["differs"]


def rehash(folder):
    """Make the description agree with its changed ONNX file."""
    import hashlib

    import yaml

    rdf = yaml.safe_load((folder / "rdf.yaml").read_text())
    rdf["weights"]["onnx"]["sha256"] = hashlib.sha256((folder / "weights.onnx").read_bytes()).hexdigest()
    (folder / "rdf.yaml").write_text(yaml.safe_dump(rdf))


def test_the_example_of_a_family_learns_exports_and_is_judged(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from add_a_family import FAMILY
    from judge_a_family import EVALUATION

    monkeypatch.setitem(zooready.FAMILIES, "smoothing", FAMILY)
    run = zooready.train("smoothing", tmp_path / "run", device="cpu")
    assert run.metrics["psnr"] > run.metrics["psnr_input"] + 1
    bundle = zooready.export(tmp_path / "run", out=tmp_path / "smoothing.zip", torchscript="plain")
    assert bundle.formats == ("state_dict", "torchscript", "onnx")
    assert zooready.predict(bundle.path, FAMILY.sample()).images["restored"].array.shape == (96, 96)
    monkeypatch.setattr(evaluate, "evaluation_of", lambda family: EVALUATION)
    monkeypatch.setattr(evaluate, "_verdicts", lambda source, torchscript, time_limit_s: [])
    card = evaluate.evaluate(tmp_path / "run", tmp_path / "cards").read_text(encoding="utf-8")
    assert all(words in card for words in ("this network", "input itself", "Two held-out simulated images.", "it is a toy"))
    metrics = json.loads((tmp_path / "cards" / "smoothing.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["psnr"] > metrics["psnr_input"] + 1
    assert FAMILY.quality.format(**metrics).startswith(f"PSNR on held-out simulated blobs {metrics['psnr']:.1f} dB (input ")
    assert (tmp_path / "cards" / "smoothing-examples.png").stat().st_size > 1000


def test_the_example_of_a_dose_finds_what_its_page_says(tmp_path, capsys):
    script("predict_a_dose.py", "plcnn", tmp_path)
    measured = {name: float(number) for name, number in re.findall(r"^(.+): R2 (-?[\d.]+)$", capsys.readouterr().out, re.MULTILINE)}
    text = (ROOT / "docs" / "measure.md").read_text(encoding="utf-8")
    stated = {name: float(number) for name, number in re.findall(r"^\| ([\w, ]+) \| (-?[\d.]+) \|$", text, re.MULTILINE)}
    assert stated == pytest.approx(measured, abs=0.03)
    assert measured["embedding"] > measured["intensity alone"] + 0.3 > measured["embedding, doses shuffled"] + 0.3
    assert {path.name for path in tmp_path.iterdir()} == {"cells.csv", "dose.png"}


def test_every_example_is_named_on_a_page():
    pages = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {file.name for file in EXAMPLES.glob("*.py") if f"tests/examples/{file.name}" not in pages} == set()


def test_every_page_is_linked_from_the_readme():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(prose(ROOT / "README.md"))}
    pages = set((ROOT / "docs").glob("*.md"))
    assert {name(page) for page in pages - linked} == set()


def layout():
    """(rooms, cell that names the files to change) of each row of the README's layout."""
    text = prose(ROOT / "README.md").split("## Layout")[1].split("\n## ")[0]
    for rooms, files in re.findall(r"^\| (`.+?) \| .+ \| (.+) \|$", text, re.MULTILINE):
        yield re.findall(r"`([^`]+)`", rooms), files


def test_every_room_with_a_folder_is_in_the_readme_and_what_is_there_exists():
    named = {room for rooms, _ in layout() for room in rooms}
    assert {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")} - named == set()
    assert {room for room in named if not (PACKAGE / room).exists()} == set()


def test_files_to_change_that_the_readme_names_exist_in_their_rooms():
    for rooms, files in layout():
        for file in re.findall(r"`([\w/]+\.py)`", files):
            folders = [PACKAGE / room for room in rooms if room.endswith("/")]
            assert any((folder / file).exists() for folder in [PACKAGE, *folders]), (rooms, file)


def test_every_status_level_and_consumer_is_explained():
    text = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    assert {word for word in (*get_args(Status), *get_args(Level)) if f"| `{word}` |" not in text} == set()
    text = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    assert {word for word in CONSUMERS if f"| `{word}` |" not in text} == set()


def test_tolerances_on_the_page_are_those_of_the_code():
    text = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    assert {format: float(number) for format, number in re.findall(r"^\| `(\w+)` \| ([\d.e-]+) \|$", text, re.MULTILINE)} == TOLERANCE


def test_the_size_at_which_fiji_hangs_is_that_of_the_code():
    assert f"{ELEMENTS:,}" in (ROOT / "docs" / "fiji.md").read_text(encoding="utf-8")


def test_the_weights_that_fiji_takes_are_those_that_the_code_computes():
    text = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d., ]+) \| (torchscript|onnx|tie) \|$", text, re.MULTILINE)
    stated = [(version, taken) for versions, taken in rows for version in versions.split(", ")]
    computed = [(version, picks({"torchscript": version, "onnx": 17})) for version, _ in stated]
    assert {taken for _, taken in stated} == {"torchscript", "onnx", "tie"}
    assert stated == computed


def test_every_family_is_in_the_readme():
    assert {family for family in FAMILIES if f"| `{family}` |" not in prose(ROOT / "README.md")} == set()


def test_contributing_stays_short():
    assert len((ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60
