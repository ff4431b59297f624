"""What holds for every family, a new one included: nothing here names one."""

import re
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import zooready
from zooready import cli
from zooready.bundle.reading import opened
from zooready.commands.console import CONSOLE
from zooready.comparison import compare
from zooready.errors import ZooreadyError
from zooready.evaluation import evaluation_of
from zooready.families import FAMILIES, load_record, load_weights, quality, shipped
from zooready.prediction import engine
from zooready.records import FORMATS, Image, Pair
from zooready.training.loop import train

ROOT = Path(__file__).parents[2]
PIECE = {"z": 8, "y": 96, "x": 96}  # px of a training pair that the bundle's example keeps, for speed
INPUT = re.compile(r"_input$")  # metrics of the input itself, beside the network's
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Two steps of training in one go, by family; done when first asked for."""
    return remembered(lambda name: short(name, tmp_path_factory.mktemp(name) / "run"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, unbroken):
    """The bundle of a family, of its shipped weights if there are any, by the example of a small training pair."""
    return remembered(lambda name: bundle_of(name, unbroken, tmp_path_factory.mktemp(name) / f"{name}.zip"))


def remembered(make):
    results = {}
    return lambda name: results[name] if name in results else results.setdefault(name, make(name))


def short(name, folder, **training):
    """A run of two steps of one pair, which stops after each to write its checkpoint."""
    family = replace(FAMILIES[name], training=replace(FAMILIES[name].training, metrics=None, **training))
    return train(family, folder, steps=2, batch=1, chunk=1, device="cpu", is_quiet=True)


def bundle_of(name, unbroken, path):
    family = FAMILIES[name]
    network = family.network.architecture.build()
    network.load_state_dict(load_weights(name) if name in shipped() else unbroken(name).state_dict())
    about = zooready.About(name=family.title, description=family.description, authors=({"name": "A. Tester"},), license="BSD-3-Clause")
    parts = {key: getattr(family.network, key) for key in ("architecture", "normalization", "head", "restores")}
    specs = {"input": family.input, "outputs": family.outputs, "tolerance": family.tolerance}
    piece = tuple(slice(PIECE.get(axis)) for axis in family.input.axes[1:])
    example = Image(array=family.training.pair(0, 0).input[piece], axes=family.input.axes[1:])
    return zooready.export(network, example, about, path, torchscript="plain", **parts, **specs)


def seen(name, pair, method="scales"):
    """What the loss sees of a pair: the network's own output of a batch of one, all its scales where it has some, and the target."""
    parts = FAMILIES[name].network
    image, target = torch.from_numpy(pair.input)[None], torch.from_numpy(pair.target)[None]
    network = parts.architecture.build()
    if parts.normalization:
        *offsets, scale = parts.normalization.build().statistics(image)
        own = slice(target.shape[1])  # a target of fewer channels has the units of the image's first ones
        for offset in offsets:
            image, target = image - offset, target - offset[:, own] if parts.restores else target
        image, target = image / scale, target / scale[:, own] if parts.restores else target
    return getattr(network, method, network)(image), target


def equal(first, second):
    return np.array_equal(first.input, second.input) and np.array_equal(first.target, second.target)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pair_is_the_same_for_the_same_numbers_and_another_for_others(name):
    make = FAMILIES[name].training.pair
    first = make(3, 7)
    assert equal(first, make(3, 7)), "training could not go on after a kill"
    assert not np.array_equal(first.input, make(3, 8).input), "pair ignores its index"
    assert not np.array_equal(first.input, make(4, 7).input), "pair ignores its seed"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pair_is_what_the_record_says(name):
    family = FAMILIES[name]
    pair = family.training.pair(0, 0)
    assert (pair.input.dtype, pair.target.dtype) == (np.float32, np.float32)
    assert (pair.input.ndim, len(pair.input)) == (len(family.input.axes) - 1, len(family.input.channels))
    assert np.isfinite(pair.input).all()
    assert np.isfinite(pair.target).all()
    if family.pixel_size_um:
        smallest, largest = family.pixel_size_um
        assert smallest <= pair.pixel_size_um <= largest


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_is_lowest_at_the_target_and_reaches_the_network(name):
    training = FAMILIES[name].training
    shown = [pair for pair in (training.pair(0, index) for index in range(8)) if np.ptp(pair.target) > 0][:4]  # no empty field
    (output, target), *others = (seen(name, pair) for pair in shown)
    others = [other for _, other in others]
    first = output[0] if isinstance(output, tuple | list) else output
    assert first.shape == target.shape, "loss and metrics see the network's own output beside the target"
    lowest = training.loss(target, target)
    assert lowest.ndim == 0
    assert torch.isfinite(lowest)
    wrong = [target.roll(1, -1), target.flip(-1), torch.full_like(target, float(target.mean()))]
    wrong += [(target + other) / 2 for other in others] + others
    assert all(training.loss(guess, target) > lowest for guess in wrong if not torch.equal(guess, target))
    loss = training.loss(output, target)
    loss.backward()
    assert loss > lowest


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_resumed_equals_one_unbroken(name, unbroken, tmp_path):
    def power_cut(seed, index):
        if (seed, index) == (0, 1):
            raise OSError("the power went")
        return FAMILIES[name].training.pair(seed, index)

    with pytest.raises(OSError, match="the power went"):
        short(name, tmp_path, pair=power_cut)
    weights, whole = short(name, tmp_path).state_dict(), unbroken(name).state_dict()
    assert all(torch.equal(weights[key], value) for key, value in whole.items())
    assert weights.keys() == whole.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_metrics_are_numbers_with_those_of_the_input_itself(name):
    family = FAMILIES[name]
    pair = next(pair for pair in map(partial(family.training.pair, 0), range(9)) if np.ptp(pair.target))  # an empty field has none
    with torch.no_grad():
        output, _ = seen(name, pair, "forward")
    numbers = family.training.metrics(output, pair)
    assert numbers
    assert all(np.isfinite(number) for number in numbers.values())
    if family.network.restores:
        assert {INPUT.sub("", key) for key in numbers if INPUT.search(key)} == {key for key in numbers if not INPUT.search(key)}


@pytest.mark.parametrize("name", FAMILIES)
def test_its_three_formats_agree_with_the_network_at_every_size(name, exported):
    family = FAMILIES[name]
    with opened(exported(name).path, trust_code=True) as bundle:
        assert set(bundle.formats) == set(FORMATS), exported(name).unavailable
        sizes = {case.input.shape[-2:] for case in bundle.cases}
        assert (1, 1) in sizes
        assert any(height != width and (height % 2 or width % 2) for height, width in sizes)
        ranges = [float(np.ptp(array)) or 1.0 for array in bundle.cases[0].outputs]
        for format in FORMATS:
            run = engine(bundle, format, "cpu")
            for case in bundle.cases:
                for spec, array, expected, span in zip(family.outputs, run(case.input), case.outputs, ranges, strict=True):
                    where = f"{format}, {case.name} {case.input.shape}, {spec.name}"
                    assert (array.shape, array.dtype) == (expected.shape, np.float32), where
                    assert np.isfinite(array).all(), where
                    if spec.kind == "labels":
                        assert array.max() == expected.max(), where
                        assert np.mean((array > 0) == (expected > 0)) > 0.999, where
                    else:
                        assert np.abs(array - expected).max() / span <= family.tolerance[format], where


@pytest.mark.parametrize("name", FAMILIES)
def test_onnxruntime_passes_its_bundle(name, exported):
    (verdict,) = compare(exported(name).path, consumers=["onnxruntime"]).verdicts
    assert (verdict.status, verdict.level) == ("passed", "ran"), verdict.why
    assert len(verdict.cases) >= 5


@pytest.mark.parametrize("name", FAMILIES)
def test_its_sample_is_an_image_that_it_is_made_for(name):
    family = FAMILIES[name]
    first, again = family.sample(), family.sample()
    assert np.array_equal(first.array, again.array)
    assert first.array.ndim == len(first.axes)
    assert set(first.axes) <= set(family.input.axes)
    smallest, largest = family.pixel_size_um or (0, np.inf)
    assert first.pixel_size_um is None or smallest <= first.pixel_size_um <= largest


@pytest.mark.parametrize("name", FAMILIES)
def test_the_command_line_knows_it(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(CONSOLE, "_width", 400)
    family = FAMILIES[name]
    assert family.name == name
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    cli.main(["list"])
    assert re.search(rf"^\W*{name}\b", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"\b{name}\b", words)
    assert family.training.pair_of is None or f"{family.training.partner}/" in words


@pytest.mark.parametrize("name", FAMILIES)
def test_the_readme_has_its_row(name):
    rows = re.findall(rf"^\| `{name}` \| (.+) \| (.+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 1, f"README.md needs one row `{name}`: what goes in and comes out, and in which state it is"


@pytest.mark.parametrize("name", FAMILIES)
def test_its_evaluation_and_its_card_are_there(name):
    family = FAMILIES[name]
    evaluation = evaluation_of(family)
    assert all(callable(part) for part in (evaluation.measure, evaluation.spot, evaluation.draw))
    assert all((evaluation.data, evaluation.suited, evaluation.unsuited, evaluation.limits))
    if name not in shipped():
        assert quality(name) == "no weights shipped"
        return
    assert quality(name) == family.quality.format(**load_record(name)["metrics"])
    card = (ROOT / "model_cards" / f"{name}.md").read_text(encoding="utf-8")
    assert family.title in card
    assert all(sentence in card for sentence in evaluation.limits)


@pytest.mark.parametrize("name", FAMILIES)
def test_its_words_and_parts_are_there(name):
    family = FAMILIES[name]
    assert all((family.title, family.description, family.input.channels, family.outputs, family.quality))
    for part in filter(None, (family.network.architecture, family.network.normalization, family.network.head)):
        assert part.path.startswith("zooready.nets."), f"{part.path} cannot travel in bundles: move it to zooready/nets/"
        assert find_spec(part.path.rpartition(".")[0])


FAULTS = {  # of a family like the others: the contract that it breaks
    "a pair that ignores its seed": ("pair", lambda made: lambda seed, index: made(0, index)),
    "a pair that ignores its index": ("pair", lambda made: lambda seed, index: made(seed, 0)),
    "a pair that is another each time": ("pair", lambda made: lambda seed, index: changed(made(seed, index))),
    "a loss that ignores the target": ("loss", lambda made: lambda output, target: output.square().mean()),
    "a loss with the wrong sign": ("loss", lambda made: lambda output, target: -(output - target).square().mean()),
    "a loss that reaches no weight": ("loss", lambda made: lambda output, target: made(output, target).detach()),
}
CONTRACTS = {
    "pair": test_a_pair_is_the_same_for_the_same_numbers_and_another_for_others,
    "loss": test_the_loss_is_lowest_at_the_target_and_reaches_the_network,
}


def changed(pair):
    return Pair(input=pair.input + np.float32(np.random.default_rng().uniform()), target=pair.target, pixel_size_um=pair.pixel_size_um)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_family_that_breaks_its_contract_fails(fault, monkeypatch):
    field, spoilt = FAULTS[fault]
    good = next(iter(FAMILIES.values()))
    training = replace(good.training, **{field: spoilt(getattr(good.training, field))})
    monkeypatch.setitem(FAMILIES, "spoilt", replace(good, name="spoilt", training=training))
    CONTRACTS[field](good.name)
    with pytest.raises((AssertionError, RuntimeError, ZooreadyError)):
        CONTRACTS[field]("spoilt")
