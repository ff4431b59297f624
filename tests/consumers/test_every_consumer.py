"""What holds for every consumer, a new one included: nothing here names one."""

import re
from functools import cache
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from asked import need
from broken import BROKEN
from foreign import SIZES, eager, good, make_image, network

from zooready import cli
from zooready.bundle.reading import opened
from zooready.commands.console import CONSOLE
from zooready.consumers import CONSUMERS, consumer, export_files
from zooready.errors import BundleInvalid
from zooready.records import FORMATS, LEVELS, TOLERANCE

DOCS = Path(__file__).parents[2] / "docs"
CURE = re.compile(r"\b(run|set|install|put|open|unzip|load|wait|free|fetch)\b", re.IGNORECASE)
SENTENCE = re.compile(r"\S[^\n]{10,}: [^\n]{10,}\.")  # what is so, and why: what to do about it.
RUNS = [(name, format) for name in CONSUMERS if hasattr(consumer(name), "run") for format in consumer(name).READS]
SHOWN = ("test", "odd", "batch", "one", "black")  # the cases, whose shapes are SIZES


def marks(name):
    return [pytest.mark.java] if name.startswith("java-") else []


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Path of every broken bundle that can be read at all, by name."""
    folder, readable = tmp_path_factory.mktemp("broken"), {}
    for name, case in BROKEN.items():
        path = case.write(folder / f"{name}.zip")
        try:
            with opened(path):
                readable[name] = path
        except BundleInvalid:
            assert case.consumer is None, f"{name} cannot be read, and {case.consumer} was to refuse it"
    return readable


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """A machine without Fiji, CellProfiler, Java engines and any Python package."""
    for variable in ("ZOOREADY_FIJI", "ZOOREADY_CELLPROFILER", "JAVA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(util, "find_spec", lambda *names: None)
    monkeypatch.setattr(export_files, "PACKAGE", tmp_path / "src" / "zooready")
    for name in CONSUMERS:
        if hasattr(consumer(name), "find_spec"):
            monkeypatch.setattr(consumer(name), "find_spec", lambda *names: None)


@cache
def expected():
    """The eager network's outputs for the images of :data:`SHOWN`."""
    return [eager(network(), make_image(name)) for name in SHOWN]


@pytest.mark.parametrize("name", CONSUMERS)
def test_its_name_formats_level_and_versions_are_sane(name):
    module = consumer(name)
    assert name == module.NAME
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert module.READS == tuple(format for format in FORMATS if format in module.READS) != ()
    assert module.LEVEL in LEVELS
    assert (module.LEVEL == "rules") == (not hasattr(module, "run")), "a level above rules needs a run, and a run proves more than rules"
    assert all(isinstance(text, str) and text for pair in module.versions().items() for text in pair)
    assert module.__doc__
    assert all(getattr(module, function).__doc__ for function in ("missing", "objections", "versions"))


@pytest.mark.parametrize("name", CONSUMERS)
def test_what_it_is_missing_is_said_with_a_cure(name):
    reason = consumer(name).missing()
    assert reason is None or (CURE.search(reason) and "\n" not in reason), reason


@pytest.mark.parametrize("name", CONSUMERS)
def test_on_a_bare_machine_it_says_what_to_do(name, bare_machine):
    reason = consumer(name).missing()
    assert reason, f"{name} believes to be here, where nothing is"
    assert CURE.search(reason), reason


@pytest.mark.parametrize("name", CONSUMERS)
def test_the_good_bundle_meets_no_objection(name, tmp_path):
    module = consumer(name)
    with opened(good().write(tmp_path / "good.zip")) as bundle:
        assert [list(module.objections(bundle, format)) for format in module.READS] == [[] for _ in module.READS]


@pytest.mark.parametrize("name", CONSUMERS)
def test_objections_to_every_broken_bundle_are_sentences_with_a_cure(name, bundles):
    module = consumer(name)
    for broken, path in bundles.items():
        with opened(path) as bundle:
            for format in [format for format in module.READS if format in bundle.formats] or [None]:
                for objection in module.objections(bundle, format):
                    assert SENTENCE.fullmatch(objection), (broken, objection)
                    assert not re.search(r"Traceback|<\w+ object|\w+Error\(", objection), (broken, objection)


@pytest.mark.parametrize(("name", "format"), [pytest.param(*run, id="-".join(run), marks=marks(run[0])) for run in RUNS])
def test_its_run_equals_the_eager_network_at_every_size(name, format, tmp_path):
    module = consumer(name)
    need(name, module.missing())
    images = [make_image(size) for size in SHOWN]
    assert [image.shape for image in images] == [SIZES[size] for size in SHOWN]
    with opened(good().write(tmp_path / "good.zip"), trust_code=True) as bundle:
        for options in [{"variant": variant} for variant in getattr(module, "VARIANTS", ())] or [{}]:
            results = list(module.run(bundle, format, images, **options))
            assert len(results) == len(images)
            assert results[0] is not None, "the test image itself could not be handed over"
            for size, result, array in zip(SHOWN, results, expected(), strict=True):
                if result is not None:
                    assert [(output.shape, output.dtype) for output in result] == [(array.shape, np.float32)], size
                    np.testing.assert_allclose(result[0], array, rtol=0, atol=TOLERANCE[format] * np.ptp(expected()[0]), err_msg=size)


@pytest.mark.parametrize("name", CONSUMERS)
def test_the_doctor_has_its_row(name, capsys, monkeypatch):
    monkeypatch.setattr(CONSOLE, "_width", 400)
    cli.main(["doctor"])
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(rf"[^\w]*{name}\b(?!-)", line)]
    assert len(rows) == 1, rows
    here = consumer(name).missing() is None
    assert re.search(r"\b(yes|no)\b", rows[0])[0] == ("yes" if here else "no"), f"doctor and missing() disagree: {rows[0]}"
    assert here or CURE.search(rows[0]), rows[0]


SANE, MISSING = test_its_name_formats_level_and_versions_are_sane, test_what_it_is_missing_is_said_with_a_cure
OBJECTIONS, RUN = test_objections_to_every_broken_bundle_are_sentences_with_a_cure, test_its_run_equals_the_eager_network_at_every_size
FAULTS = [
    ("NAME", "runtime", SANE),
    ("READS", ("onnx", "onnx"), SANE),
    ("LEVEL", "rules", SANE),
    ("versions", lambda: {"onnxruntime": None}, SANE),
    ("missing", lambda: "It is not here.", MISSING),
    ("missing", lambda: "It is not here.", test_the_doctor_has_its_row),
    ("objections", lambda bundle, format: iter(["bad"]), OBJECTIONS),
    ("objections", lambda bundle, format: bundle.formats[None], OBJECTIONS),
    ("run", lambda bundle, format, images: [(1.01 * array,) for array in expected()], RUN),
    ("run", lambda bundle, format, images: [(array,) for array in expected()[:2]], RUN),
]


@pytest.mark.parametrize(("attribute", "fault", "contract"), FAULTS)
def test_a_consumer_that_breaks_its_contract_fails(attribute, fault, contract, request, monkeypatch):
    monkeypatch.setattr(consumer("onnxruntime"), attribute, fault)
    words = contract.__code__.co_varnames[: contract.__code__.co_argcount]
    known = {"name": "onnxruntime", "format": "onnx"}
    with pytest.raises((AssertionError, KeyError)):
        contract(**{word: known[word] if word in known else request.getfixturevalue(word) for word in words})


@pytest.mark.parametrize("name", CONSUMERS)
def test_the_page_of_the_check_has_its_row(name):
    rows = re.findall(rf"^\| `{name}` \| (.+) \| (.+) \|$", (DOCS / "check.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 1, f"docs/check.md needs one row `{name}`: what it is, and what a pass proves"
    proof = f"`{consumer(name).LEVEL}`"
    assert rows[0][1].startswith(proof), rows[0]
