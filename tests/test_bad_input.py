"""Bad input at the command line: a sentence that says what, why and what to do, the documented exit code, nothing half-written."""

import ctypes
import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
from foreign import good
from interrupting import interruptible

import zooready
from zooready import families, java
from zooready.cli import main, parser
from zooready.records import Family, Image, Network, Pair, Part, Recipe, Training
from zooready.tensors import TensorSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130
CAPABILITY_DROP, OVERRIDES = 24, (1, 2)  # prctl's PR_CAPBSET_DROP, and the two capabilities by which root ignores permissions
SMALL_DISK = 400_000  # bytes that a file may have where the disk is "full": the unpacked bundle fits, a large image does not


def pair(seed, index):
    image = np.random.default_rng((seed, index)).normal(100, 20, (1, 32, 32)).astype(np.float32)
    return Pair(input=image, target=(image > 100).astype(np.float32), pixel_size_um=1.0)


def pair_of(image, mask, side):
    return Pair(input=image, target=(mask[None] > 0).astype(np.float32), pixel_size_um=side)


TOY = Family(
    name="toy",
    title="Toy network",
    description="Bright or dark.",
    cite=(),
    input=TensorSpec(name="image", axes="bcyx", channels=("intensity",)),
    outputs=(TensorSpec(name="probabilities", axes="bcyx", channels=("bright",)),),
    network=Network(
        architecture=Part(
            path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 8, "levels": 2, "final": "sigmoid"}
        ),
        normalization=Part(path="zooready.nets.normalization.MeanStd"),
    ),
    training=Training(pair=pair, loss=torch.nn.functional.binary_cross_entropy, pair_of=pair_of, recipe=Recipe(steps=4, batch=2)),
    sample=lambda: Image(array=np.arange(48 * 40, dtype=np.uint16).reshape(48, 40), axes="yx"),
    pixel_size_um=(1.0, 1.0),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return good().write(tmp_path_factory.mktemp("bundle") / "tiny.zip")


@pytest.fixture(scope="module", autouse=True)
def toy():
    """The toy is a family like the others."""
    known, torch_threads = dict(families.FAMILIES), torch.get_num_threads()
    families.FAMILIES["toy"] = TOY
    torch.set_num_threads(1)
    yield
    families.FAMILIES.clear()
    families.FAMILIES.update(known)
    torch.set_num_threads(torch_threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy):
    """A finished run of the toy."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", "toy", "--out", str(folder), "--device", "cpu"]) == 0
    return folder


@pytest.fixture
def said(capsys):
    """Runs a command; gives exit code and all that it printed, line breaks of the terminal taken out."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code
        printed = "".join(capsys.readouterr())
        assert "Traceback" not in printed
        return code, " ".join(printed.split())

    return run


def contents(folder):
    """Every file below a folder, those that begin with a dot too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def grey(low=0, high=4000, dtype=np.uint16, shape=(20, 24)):
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


# --- images ---------------------------------------------------------------------------------------------------------------

GOOD_IMAGES = {
    "8-bit": grey(0, 255, np.uint8),
    "16-bit": grey(),
    "32-bit": grey(dtype=np.float32),
    "black": np.zeros((20, 24), np.uint16),
    "constant": np.full((20, 24), 777, np.uint16),
    "saturated": np.full((20, 24), 65535, np.uint16),
    "saturated 8-bit": np.full((20, 24), 255, np.uint8),
    "one pixel": np.full((1, 1), 5, np.uint16),
    "one row": grey(shape=(1, 24)),
}


@pytest.mark.parametrize("name", GOOD_IMAGES)
def test_an_image_that_is_only_odd_is_predicted_and_checked(said, bundle, tmp_path, name):
    path = tmp_path / f"{name}.tif"
    tifffile.imwrite(path, GOOD_IMAGES[name])
    code, printed = said("predict", bundle, path, "-o", tmp_path / "out")
    assert (code, contents(tmp_path / "out")) == (0, [f"{name}_probabilities.tif"]), printed
    output = tifffile.imread(tmp_path / "out" / f"{name}_probabilities.tif")
    assert output.shape[-2:] == GOOD_IMAGES[name].shape
    assert np.isfinite(output).all()
    if name in ("black", "one pixel", "16-bit"):  # the check starts a process for each image
        assert said("check", bundle, "--in", "onnxruntime", "--image", path)[0] == 0


def two_channels(path):
    tifffile.imwrite(path, grey(shape=(2, 20, 24)), imagej=True, metadata={"axes": "CYX"})


def colour(path):
    PIL.Image.fromarray(grey(0, 255, np.uint8, (20, 24, 3))).save(path, "PNG")


def cut_off(path):
    tifffile.imwrite(path, grey(shape=(200, 200)))
    path.write_bytes(path.read_bytes()[:5000])


def no_pixels(path):
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(path, np.zeros((0, 5), np.uint16))


def not_finite(path):
    tifffile.imwrite(path, np.full((5, 5), np.nan, np.float32))


BAD_IMAGES = [
    (lambda path: None, r"no image .*: there is no such file. Check the name and the folder", "missing"),
    (lambda path: path.mkdir(), r"is a folder, not an image: name the files inside it", "folder"),
    (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\): copy or save it again", "empty"),
    (lambda path: path.write_text("pixel"), r"is not a TIFF, PNG or JPEG .*: open it in Fiji and save it as TIFF", "text"),
    (cut_off, r"is damaged or cut off: it states 200 x 200 px, which take 80,000 bytes, and has 5,000\. Copy or save it", "cut off"),
    (no_pixels, r"(has no pixels|is damaged).*save it again", "no pixels"),
    (not_finite, r"25 pixels of NaN or infinity, .*: replace them, in Fiji", "nan"),
    (two_channels, r"has 2 channels and the network takes 1 channel \(intensity\): pick channel 1 or 2\.", "two channels"),
    (colour, r"in colour \(red, green, blue\) and the network takes 1 channel .*: pick channel 'green', or convert", "colour"),
]


@pytest.mark.parametrize(("make", "message"), [case[:2] for case in BAD_IMAGES], ids=[case[2] for case in BAD_IMAGES])
def test_a_bad_image_is_named_and_the_others_go_on(said, bundle, tmp_path, make, message):
    make(tmp_path / "bad.tif")
    tifffile.imwrite(tmp_path / "good.tif", grey())
    code, printed = said("predict", bundle, tmp_path / "bad.tif", tmp_path / "good.tif", "-o", tmp_path / "out")
    assert code == USAGE
    assert re.search(message, printed), printed
    assert "bad.tif" in printed
    assert contents(tmp_path / "out") == ["good_probabilities.tif"]


@pytest.mark.parametrize(
    ("make", "message"),
    [*[case[:2] for case in BAD_IMAGES[:7]], (two_channels, "takes 'bcyx' with 1 channel"), (colour, "save it as its own TIFF")],
    ids=[case[2] for case in BAD_IMAGES],
)
def test_a_check_on_a_bad_image_ends_before_anything_runs(said, bundle, tmp_path, make, message):
    make(tmp_path / "bad.tif")
    code, printed = said("check", bundle, "--image", tmp_path / "bad.tif", "--json", tmp_path / "verdicts.json")
    assert code == USAGE
    assert re.search(message, printed), printed
    assert not (tmp_path / "verdicts.json").exists()


def test_one_colour_of_a_colour_image_is_taken_when_asked_for(said, bundle, tmp_path):
    colour(tmp_path / "bad.tif")
    assert said("predict", bundle, tmp_path / "bad.tif", "-o", tmp_path, "--channel", "green")[0] == 0
    code, printed = said("predict", bundle, tmp_path / "bad.tif", "-o", tmp_path, "--channel", "violet")
    assert (code, "no channel violet: it has 3 (red, green, blue)" in printed) == (USAGE, True)


def test_two_images_of_one_name_are_refused_before_either_is_run(said, bundle, tmp_path):
    code, printed = said("predict", bundle, tmp_path / "a" / "x.tif", tmp_path / "b" / "x.tif", "-o", tmp_path / "out")
    assert (code, "several images are called x" in printed, (tmp_path / "out").exists()) == (USAGE, True, False)


def test_an_image_that_the_network_fails_on_is_a_failure_and_the_others_go_on(said, tmp_path):
    from onnx import TensorProto, helper

    draft = good()
    image, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "probabilities"))
    two = helper.make_tensor("two", TensorProto.FLOAT, [1, 2, 20, 24], np.ones(960, np.float32))
    graph = helper.make_graph([helper.make_node("Add", ["image", "two"], ["probabilities"])], "picky", [image], [found], [two])
    draft.files["weights.onnx"] = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    for name, shape in (("other", (7, 9)), ("right", (20, 24))):
        tifffile.imwrite(tmp_path / f"{name}.tif", grey(shape=shape))
    zipped = draft.write(tmp_path / "picky.zip")
    code, printed = said("predict", zipped, tmp_path / "other.tif", tmp_path / "right.tif", "-o", tmp_path / "out")
    assert (code, contents(tmp_path / "out")) == (FAILED, ["right_probabilities.tif"])
    assert re.search(r"other.tif: the onnx network of picky.zip failed on an image of shape .*: run zooready check", printed), printed


@pytest.mark.parametrize("folder", ["Bilder für später [neu]", "[bold]x[", "日本 %s {}"])
def test_paths_with_spaces_umlauts_and_brackets_work_and_are_printed_as_they_are(said, bundle, tmp_path, folder):
    target = tmp_path / folder
    target.mkdir()
    zipped = target / "Größe [1].zip"
    zipped.write_bytes(bundle.read_bytes())
    tifffile.imwrite(target / "Zölle a.tif", grey())
    code, printed = said("predict", zipped, target / "Zölle a.tif", "-o", target / "aus gabe")
    assert (code, "Zölle a_probabilities.tif" in printed, " ".join(folder.split()) in printed) == (0, True, True)
    report = ("--json", target / "ü 1.json", "--html", target / "ü 1.html")
    assert said("check", zipped, "--in", "onnxruntime", "--image", target / "Zölle a.tif", *report)[0] == 0
    assert contents(target) == ["Größe [1].zip", "Zölle a.tif", "aus gabe/Zölle a_probabilities.tif", "ü 1.html", "ü 1.json"]


def test_a_network_that_gives_nan_is_told_where_to_guard_and_damaged_weights_to_export_again(said, tmp_path):
    from broken import wrapped
    from foreign import torchscript

    for name, after, cure in (
        ("flat", lambda x, y: y * (x.sum() / x.sum()), r"finite on such images \(black\): add a small constant where it divides"),
        ("all", lambda x, y: y * torch.nan, r"No image gives finite values, .*: these weights are damaged or overflow"),
    ):
        draft = good()
        draft.files["weights.pt"] = torchscript(wrapped(after=after))
        code, printed = said("check", draft.write(tmp_path / f"{name}.zip"), "--in", "torch")
        assert code == FAILED
        assert re.search(cure, printed.replace("- ", "-")), printed


# --- bundles, runs, words ---------------------------------------------------------------------------------------------------


def broken_bundle(path):
    path.write_bytes(good().write(path).read_bytes()[:-200])


BAD_BUNDLES = [
    (lambda path: None, "no bundle .*: there is no such file. Check the name and the folder", "missing"),
    (lambda path: path.write_bytes(b""), "is not a readable zip .*Download or export it again", "empty"),
    (broken_bundle, "is not a readable zip .*cut off or damaged", "cut off"),
    (lambda path: path.mkdir(), "rdf.yaml", "empty folder"),
]


@pytest.mark.parametrize(("make", "message"), [case[:2] for case in BAD_BUNDLES], ids=[case[2] for case in BAD_BUNDLES])
def test_a_bundle_that_cannot_be_read_is_named(said, tmp_path, make, message):
    make(tmp_path / "bad.zip")
    tifffile.imwrite(tmp_path / "a.tif", grey())
    for arguments in (["check", tmp_path / "bad.zip"], ["predict", tmp_path / "bad.zip", tmp_path / "a.tif", "-o", tmp_path / "out"]):
        code, printed = said(*arguments)
        assert code == USAGE
        assert re.search(message, printed), printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "BUNDLE", "--in", "photoshop"], "no consumer is called 'photoshop': choose from bioimageio, torch"),
        (["check", "BUNDLE", "--at-least", "faith"], "invalid choice: 'faith'"),
        (["predict", "BUNDLE", "a.tif"], "the following arguments are required: -o/--out"),
        (["predict", "BUNDLE", "a.tif", "-o", "out", "--format", "state_dict"], "use the format 'onnx', or trust its code"),
        (["train", "toys", "--out", "out"], "no family is called 'toys': choose from segmentation, segmentation3d, spots"),
        (["train", "toy", "--out", "out", "--steps", "0"], "--steps: '0' is no whole number from 1"),
        (["train", "toy", "--out", "out", "--steps", "53"], "steps=53 has no divisor from 10 to 50, .*: give steps=52"),
        (["train", "toy", "--out", "out", "--batch", "-2"], "--batch: '-2' is no whole number from 1|expected one argument"),
        (["train", "toy", "--out", "out", "--seed", "x"], "--seed: 'x' is no whole number from 0"),
        (["train", "toy", "--out", "out", "--data", "nowhere"], "nowhere has no folder 'images': put images into images/"),
        (["export", "nowhere"], "'nowhere' is neither the folder of a run nor a family: choose from segmentation, segmentation3d, spots"),
        (["export", "RUN", "--about", "nowhere.yaml"], "cannot read nowhere.yaml: .* Start from this"),
        (["export", "RUN", "--outputs", "labels"], "toy has no output 'labels': choose from probabilities"),
        (["engines", "remove"], "invalid choice: 'remove'"),
        (["demo", "--out", "a.txt/out"], "cannot make the folder a.txt/out: Not a directory. Choose another one"),
        (["demo", "--out", "out", "--readme", "nowhere.md"], "cannot read nowhere.md .*: give a Markdown file with the lines"),
        (["demo", "--out", "out", "--readme", "a.txt"], "a.txt has no lines <!-- verdicts --> and <!-- /verdicts -->"),
        (["list", "--cards", "a.txt/cards"], "cannot write a.txt/cards/.*: Not a directory. Nothing was left behind"),
        (["lits"], "no command is called 'lits'. Did you mean 'list'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_answered_with_the_right_ones(said, bundle, finished, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("no table\n")
    code, printed = said(*[{"BUNDLE": bundle, "RUN": finished}.get(word, word) for word in arguments])
    assert code == USAGE
    assert re.search(message, printed), printed
    assert contents(tmp_path) == ["a.txt"]


def test_what_was_asked_for_and_is_not_here_is_missing(said, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path / "nothing"))
    code, printed = said("check", bundle, "--in", "java-onnx")
    assert (code, "zooready engines install" in printed) == (MISSING, True)
    code, printed = said("engines", "verify")
    assert (code, "no Java engines in" in printed) == (MISSING, True)
    assert contents(tmp_path) == []


def test_engines_that_changed_are_told_and_not_called_whole(said, monkeypatch):
    monkeypatch.setattr(java, "verify", lambda: "libtorch.so has changed: delete it")
    assert said("engines", "verify") == (MISSING, "zooready: libtorch.so has changed: delete it")


def test_the_list_goes_on_where_a_record_is_missing(said, monkeypatch):
    monkeypatch.setattr(families, "files", lambda package: Path("/nothing"))
    assert "no weights shipped" in said("list")[1]
    monkeypatch.setattr(families, "shipped", lambda: ("segmentation", "mrbcr"))
    code, printed = said("list")
    assert (code, printed.count("no record")) == (0, 2)
    monkeypatch.setattr(families, "load_record", lambda name: {"metrics": {}})
    assert said("list")[1].count("no record") == 2


def test_the_help_of_train_names_the_folder_of_each_family():
    (parsers,) = [action.choices for action in parser()._actions if action.choices]
    (help_text,) = [action.help for action in parsers["train"].load()._actions if action.dest == "data"]
    for name, family in families.FAMILIES.items():
        if family.training.pair_of or family.for_classes:  # the others train on their simulation only
            folder = f"{family.training.partner}/" if family.training.pair_of else "one folder per class"
            assert re.search(rf"{re.escape(folder)} \([^)]*\b{re.escape(name)}[,)]", help_text), f"{folder} ({name})"


# --- training ---------------------------------------------------------------------------------------------------------------


def folder_of(place, **images):
    """A folder to train on."""
    for number, (name, image) in enumerate(images.items()):
        for kind in ("images", "masks"):
            (place / kind).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place / "images" / f"{name}.tif", image, photometric="rgb" if image.ndim == 3 else "minisblack")
        tifffile.imwrite(place / "masks" / f"{name}.tif", np.full(image.shape[:2], number % 2, np.uint8))
    return place


def test_training_on_flat_images_stays_finite(said, tmp_path):
    flat = {f"flat{value}": np.full((40, 36), value, np.uint16) for value in (0, 777, 65535)}
    data = folder_of(tmp_path / "meine Bilder", **flat, eight=grey(0, 255, np.uint8, (33, 50)))
    code, printed = said("train", "toy", "--out", tmp_path / "lauf ä", "--data", data, "--device", "cpu")
    assert code == 0, printed
    losses = [float(line.split(",")[1]) for line in (tmp_path / "lauf ä" / "log.csv").read_text().splitlines()[1:]]
    assert np.isfinite(losses).all()


def test_training_on_bad_images_names_all_of_them_and_makes_no_run(said, tmp_path):
    data = folder_of(tmp_path / "data", colour=grey(0, 255, np.uint8, (40, 40, 3)), fine=grey(shape=(40, 40)))
    (data / "images" / "fine.tif").write_bytes(b"")
    code, printed = said("train", "toy", "--out", tmp_path / "run", "--data", data)
    assert (code, (tmp_path / "run").exists()) == (USAGE, False)
    assert re.search(r"colour.tif has 3 channels instead of 1: split or merge", printed), printed
    assert "fine.tif is empty (0 bytes)" in printed
    data = folder_of(tmp_path / "small", dot=np.ones((1, 1), np.uint16))
    code, printed = said("train", "toy", "--out", tmp_path / "run", "--data", data)
    assert (code, "'dot' is only 1 px wide or high: training needs images of at least 32 px" in printed) == (USAGE, True)


def test_steps_that_are_no_multiple_of_fifty_are_trained_and_resumed_exactly(tmp_path):
    from zooready.training.loop import chunk_of, train

    assert [chunk_of(steps) for steps in (1, 20, 49, 51, 55, 120, 6000)] == [1, 20, 49, 17, 11, 40, 50]

    def breaking(seed, index):
        if seed == 0 and index == 90:
            raise OSError("the power went")
        return pair(seed, index)

    settings = {"steps": 51, "device": "cpu", "is_quiet": True}
    with pytest.raises(OSError, match="the power went"):
        train(replace(TOY, training=replace(TOY.training, pair=breaking)), tmp_path / "broken", **settings)
    weights = [train(TOY, tmp_path / name, **settings).weights.read_bytes() for name in ("whole", "broken")]
    assert weights[0] == weights[1]
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_a_damaged_checkpoint_or_weight_file_is_named(said, finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for path in finished.iterdir():
        (run / path.name).write_bytes(path.read_bytes())
    (run / "weights.safetensors").write_bytes(b"x" * 100)
    code, printed = said("export", run, "-o", tmp_path / "x.zip")
    assert (code, "weights.safetensors is damaged" in printed) == (USAGE, True), printed
    (run / "run.json").write_text((run / "run.json").read_text().replace('"is_finished": true', '"is_finished": false'))
    (run / "last.ckpt").write_bytes((finished / "last.ckpt").read_bytes()[:1000])
    code, printed = said("train", "toy", "--out", run, "--device", "cpu")
    assert code == USAGE
    assert re.search(r"last.ckpt is cut off or damaged .*: remove it, and training starts again from its first step", printed), printed
    (run / "last.ckpt").unlink()
    assert said("train", "toy", "--out", run, "--device", "cpu")[0] == 0
    assert (run / "weights.safetensors").read_bytes() == (finished / "weights.safetensors").read_bytes()


def test_a_run_of_a_family_that_is_not_registered_exports_with_its_record(said, finished, tmp_path, monkeypatch):

    from zooready.errors import InputInvalid

    monkeypatch.delitem(families.FAMILIES, "toy")
    code, printed = said("export", finished, "-o", tmp_path / "toy.zip")
    assert (code, "no family is called 'toy'" in printed) == (USAGE, True)
    with pytest.raises(InputInvalid, match="holds a run of 'toy', not of 'other': give the family that it was trained with"):
        zooready.export(finished, out=tmp_path / "toy.zip", family=replace(TOY, name="other"))
    exported = zooready.export(finished, out=tmp_path / "toy.zip", family=TOY, torchscript="plain")
    assert exported.formats == ("state_dict", "torchscript", "onnx")
    tifffile.imwrite(tmp_path / "a.tif", grey())
    assert said("predict", exported.path, tmp_path / "a.tif", "-o", tmp_path)[0] == 0


# --- disks that fill, folders that may not be written, Ctrl-C -----------------------------------------------------------------

WRITERS = {
    "predict": ["predict", "BUNDLE", "IMAGE", "-o", "out"],
    "json": ["check", "BUNDLE", "--in", "onnxruntime", "--json", "out/a.json"],
    "html": ["check", "BUNDLE", "--in", "onnxruntime", "--html", "out/a.html"],
    "cards": ["list", "--cards", "out"],
    "train": ["train", "toy", "--out", "out", "--device", "cpu"],
    "export": ["export", "RUN", "-o", "out/toy.zip", "--torchscript", "plain"],
    "demo": ["demo", "--out", "out"],
}


@pytest.fixture
def writer(bundle, finished, tmp_path, monkeypatch):
    """Arguments of a writing command, in a folder of its own with an empty folder ``out``; the demo is of the toy."""
    from zooready.commands import demo

    export = demo.export
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "shipped", lambda: ("toy",))
    monkeypatch.setattr(demo, "export", lambda source, **how: export(finished, **how))
    Path("out").mkdir()
    tifffile.imwrite(tmp_path / "a.tif", grey())
    return lambda name: [{"BUNDLE": bundle, "RUN": finished, "IMAGE": "a.tif"}.get(word, word) for word in WRITERS[name]]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("happens", "code", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), USAGE, "cannot write .*: No space left on device. Nothing was left behind."),
        (KeyboardInterrupt(), INTERRUPTED, "stopped. Finished files are kept, unfinished ones are not"),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_a_file_that_cannot_be_finished_leaves_nothing(said, writer, monkeypatch, name, happens, code, message):
    def fail(number):
        raise happens

    monkeypatch.setattr("zooready.images.whole_files.os.fsync", fail)
    found, printed = said(*writer(name))
    assert found == code, printed
    assert re.search(message, printed), printed
    assert contents(Path("out")) == []


def test_a_disk_that_fills_during_training_leaves_a_run_that_goes_on(said, writer, finished, monkeypatch):
    sync, calls = os.fsync, []

    def fail(number):
        calls.append(number)
        if len(calls) > 3:  # run.json, log.csv and curve.png fit
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(number)

    with monkeypatch.context() as patch:
        patch.setattr("zooready.images.whole_files.os.fsync", fail)
        code, printed = said(*writer("train"))
    assert (code, "cannot write out/last.ckpt: No space left on device" in printed) == (USAGE, True), printed
    assert contents(Path("out")) == ["curve.png", "log.csv", "run.json"]
    assert said(*writer("train"))[0] == 0
    assert Path("out/weights.safetensors").read_bytes() == (finished / "weights.safetensors").read_bytes()


def test_no_place_for_temporary_files_is_explained(said, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    code, printed = said("check", bundle, "--in", "onnxruntime")
    assert code == USAGE
    assert re.search(r"(No such file|cannot).*set TMPDIR to another folder|No usable temporary", printed), printed


# --- the same in processes of their own ----------------------------------------------------------------------------------------


def obey_permissions():
    """Let root, as which containers run, be refused like anybody else: takes effect at exec."""
    if os.geteuid() == 0:
        for capability in OVERRIDES:
            ctypes.CDLL(None).prctl(CAPABILITY_DROP, capability, 0, 0, 0)


def fill_disk():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400", **{name: str(value) for name, value in more.items()}}


def start(*arguments, code="from zooready.cli import entry; entry()", **options):
    """``zooready ARGUMENTS`` in a process of its own."""
    how = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=environment(), preexec_fn=interruptible)
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], **{**how, **options})


def finish(process):
    """(exit code, what it printed); there may be no traceback in it."""
    printed = process.communicate(timeout=60)[0]
    assert "Traceback" not in printed, printed
    return process.returncode, " ".join(printed.split())


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def test_a_folder_without_write_permission_is_refused(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", grey())
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    (tmp_path / "b.tif").chmod(0)
    run = start("predict", bundle, tmp_path / "a.tif", tmp_path / "b.tif", "-o", closed, preexec_fn=obey_permissions)
    code, printed = finish(run)
    assert code == USAGE
    assert "Permission denied. Nothing was left behind. Free space, or choose another folder that you may write to" in printed
    assert re.search(r"cannot read .*b.tif: Permission denied. Check the file's permissions", printed), printed
    code, printed = finish(start("predict", bundle, tmp_path / "a.tif", "-o", closed / "new", preexec_fn=obey_permissions))
    assert (code, "new: Permission denied. Choose another one that you may write to" in printed) == (USAGE, True)
    assert contents(closed) == []


@pytest.mark.parametrize("kind", ["read-only", "a file", "missing"])
def test_a_home_that_cannot_be_written_disturbs_nothing_but_the_installation_of_engines(bundle, tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", grey())
    (tmp_path / "closed").mkdir(mode=0o500)
    home = {"read-only": tmp_path / "closed", "a file": tmp_path / "a.tif", "missing": tmp_path / "closed" / "missing"}[kind]
    where = environment(HOME=home, XDG_CACHE_HOME=home / "cache", XDG_CONFIG_HOME=home / "config")
    where.pop("ZOOREADY_CACHE", None)
    how = {"env": where, "preexec_fn": obey_permissions}
    assert finish(start("predict", bundle, tmp_path / "a.tif", "-o", tmp_path / "out", **how))[0] == 0
    code, printed = finish(start("engines", "install", **how))
    assert code == USAGE
    assert re.search(r"cannot write to .*(Permission denied|Not a directory)\): set ZOOREADY_CACHE to a folder", printed), printed
    if kind == "a file":  # the worst of the three
        assert finish(start("check", bundle, "--in", "onnxruntime", **how))[0] == 0
        assert finish(start("list", **how))[0] == 0
    assert contents(tmp_path) == ["a.tif", "out/a_probabilities.tif"]


def test_a_disk_that_is_really_full_leaves_nothing(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "large.tif", grey(shape=(1000, 300), dtype=np.uint8))
    code, printed = finish(start("predict", bundle, tmp_path / "large.tif", "-o", tmp_path / "out", preexec_fn=fill_disk))
    assert code == USAGE
    full = r"cannot write .*input\d_0.npy: the disk is full or a quota reached .*. Nothing was left behind. Free space there, or set TMPDIR"
    assert re.search(full, printed), printed
    assert contents(tmp_path / "out") == []


def test_names_and_signs_that_a_terminal_cannot_show_do_not_stop_it(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", grey())
    name = os.fsdecode(b"latin1 \xe4.tif")
    (tmp_path / name).write_bytes((tmp_path / "a.tif").read_bytes())
    for encoding in ("ascii", "utf-8"):
        where = {"env": environment(PYTHONIOENCODING=encoding)}
        code, printed = finish(start("predict", bundle, tmp_path / name, "-o", tmp_path / encoding, **where))
        assert (code, len(contents(tmp_path / encoding))) == (0, 1), printed
    code, printed = finish(start("check", bundle, "--in", "onnxruntime", env=environment(PYTHONIOENCODING="ascii")))
    assert (code, "passed" in printed) == (0, True)


def test_ctrl_c_between_images_keeps_the_finished_ones_only(bundle, tmp_path):
    names = [f"{number:04}.tif" for number in range(2000)]  # far more than are done before the signal
    for name in names:
        tifffile.imwrite(tmp_path / name, grey())
    run = start("predict", bundle, *(tmp_path / name for name in names), "-o", tmp_path / "out")
    wait_for(tmp_path / "out" / "0000_probabilities.tif", run)
    run.send_signal(signal.SIGINT)
    code, printed = finish(run)
    assert (code, "zooready: stopped. Finished files are kept" in printed) == (INTERRUPTED, True), printed
    written = contents(tmp_path / "out")
    assert written == [f"{number:04}_probabilities.tif" for number in range(len(written))]
    assert 1 <= len(written) < len(names)
    assert all(tifffile.imread(tmp_path / "out" / name).shape == (2, 20, 24) for name in written)


TOY_WITH_A_PAUSE = """
import sys, time
from dataclasses import replace
sys.path[:0] = [sys.argv[1], sys.argv.pop(1) + "/helpers"]
import test_bad_input as here
def slow(seed, index):
    time.sleep(60 * (seed == 0 and index == 130))
    return here.pair(seed, index)
here.torch.set_num_threads(1)
here.families.FAMILIES["toy"] = replace(here.TOY, training=replace(here.TOY.training, pair=slow))
from zooready.cli import entry
entry()
"""


def test_ctrl_c_in_training_ends_it_as_stopped_and_the_run_goes_on(said, tmp_path):
    words = ["train", "toy", "--steps", "100", "--device", "cpu", "--out"]
    run = start(Path(__file__).parent, *words, tmp_path / "run", code=TOY_WITH_A_PAUSE)
    wait_for(tmp_path / "run" / "last.ckpt", run)
    time.sleep(1)
    run.send_signal(signal.SIGINT)
    code, printed = finish(run)
    assert (code, "zooready: stopped" in printed) == (INTERRUPTED, True), printed
    assert contents(tmp_path / "run") == ["curve.png", "last.ckpt", "log.csv", "predictions.png", "run.json"]
    code, printed = said("export", tmp_path / "run", "-o", tmp_path / "x.zip")
    assert (code, "training is not finished. Start the same" in printed) == (USAGE, True)
    for folder in ("run", "unbroken"):
        assert said(*words, tmp_path / folder)[0] == 0
    weights = [(tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("run", "unbroken")]
    assert weights[0] == weights[1]


def test_ctrl_c_in_a_check_ends_the_child_too(tmp_path):
    draft = good()
    pause = f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n"
    draft.files["tiny.py"] = pause.encode() + draft.files["tiny.py"]
    zipped = draft.write(tmp_path / "slow.zip")
    (tmp_path / "tmp").mkdir()
    words = ["check", zipped, "--in", "torch", "--trust-code", "--json", tmp_path / "verdicts.json"]
    run = start(*words, env=environment(TMPDIR=tmp_path / "tmp"))
    wait_for(tmp_path / "pid", run)
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    code, printed = finish(run)
    assert (code, "zooready: stopped" in printed) == (INTERRUPTED, True), printed
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert contents(tmp_path) == ["pid", "slow.zip"]
    assert list((tmp_path / "tmp").iterdir()) == []
