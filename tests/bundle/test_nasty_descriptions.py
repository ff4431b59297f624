"""Descriptions that once ended in a traceback, and how they lie: each is a sentence that says what stands where."""

import random
import re

import numpy as np
import pytest
import yaml
from foreign import axis, good, make_image, npy
from fuzz import attempt, damaged, mutated, text, unpacked

from zooready.bundle import specs
from zooready.bundle.fitting import misfits
from zooready.bundle.reading import opened
from zooready.cli import main
from zooready.comparison import compare
from zooready.errors import BundleInvalid

IMAGE, OUTPUT = ("inputs", 0), ("outputs", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny bundle in a folder, whose description may be overwritten."""
    return unpacked(tmp_path_factory.mktemp("tiny"))


def with_value(path, value):
    """The description with one value replaced; ``path`` are keys and indices."""
    rdf = good().rdf
    home = rdf
    for key in path[:-1]:
        home = home[key]
    home[path[-1]] = value
    return rdf


NASTY = {  # name -> (place, value, place that is named)
    "min 1.5": ((*IMAGE, "axes", 2, "size"), {"min": 1.5, "step": 0.5}, r"1.5 is no whole number from 0 to 65536\) at|size.min"),
    "step 0": ((*IMAGE, "axes", 2, "size"), {"min": 1, "step": 0}, "0 is no whole number from 1 to 65536"),
    "step absent but wrong": ((*IMAGE, "axes", 2, "size"), {"min": 1, "step": "all"}, "'all' is no whole number from 1"),
    "min infinite": ((*IMAGE, "axes", 2, "size"), {"min": float("inf"), "step": 1}, "inf is no whole number"),
    "min enormous": ((*IMAGE, "axes", 2, "size"), {"min": 1000000, "step": 1}, "1000000 is no whole number from 0 to 65536"),
    "size a word": ((*IMAGE, "axes", 2, "size"), "large", "'large' is no whole number from 1"),
    "size true": ((*IMAGE, "axes", 2, "size"), True, "True is no whole number"),
    "size not a number": ((*IMAGE, "axes", 2, "size"), float("nan"), "nan is no whole number"),
    "channel_names 0.5": ((*IMAGE, "axes", 1, "channel_names"), 0.5, r"channel_names is 0.5"),
    "channel_names of numbers": ((*OUTPUT, "axes", 1, "channel_names"), [1, 2], r"channel_names is \[1, 2\]"),
    "channel_names empty": ((*OUTPUT, "axes", 1, "channel_names"), [], r"channel_names is \[\]"),
    "halo wide": ((*OUTPUT, "axes", 2, "halo"), "wide", "'wide' is no whole number from 0"),
    "halo negative": ((*OUTPUT, "axes", 2, "halo"), -4, "-4 is no whole number from 0"),
    "scale infinite": ((*OUTPUT, "axes", 2, "scale"), float("inf"), "inf is no positive number"),
    "scale zero": ((*OUTPUT, "axes", 2, "scale"), 0, "0 is no positive number"),
    "offset far": ((*OUTPUT, "axes", 2, "size"), {"tensor_id": "image", "axis_id": "y", "offset": "far"}, "'far' is no whole number"),
    "preprocessing zero": ((*IMAGE, "preprocessing"), "zero", "preprocessing has 'zero'"),
    "axes null": ((*IMAGE, "axes"), None, "axes are ''"),
    "axes a word": ((*IMAGE, "axes"), "wide", r"axes are \['w', 'i', 'd', 'e'\]"),
    "axes a number": ((*IMAGE, "axes"), 0.5, "axes are ''"),
    "an axis that is none": ((*IMAGE, "axes", 2), -1, "each needs a type, an id and a place of its own"),
    "an axis twice": ((*IMAGE, "axes", 2), axis("x", size={"min": 1, "step": 1}), "each needs a type, an id and a place of its own"),
    "data null": ((*IMAGE, "data"), [None], r"data is \[None\]"),
}


@pytest.mark.parametrize("name", NASTY)
def test_a_value_that_the_format_does_not_have_is_named(folder, tmp_path, name):
    path, value, message = NASTY[name]
    rdf = with_value(path, value)
    (folder / "rdf.yaml").write_bytes(text(rdf).encode())
    assert attempt(folder, text(rdf).encode()) is None
    with opened(folder) as bundle, pytest.raises(BundleInvalid, match=message):
        specs.input_spec(bundle)
    (verdict,) = compare(folder, consumers=["deepimagej"]).verdicts
    assert verdict.status == "refused"
    assert "The description cannot be understood" in verdict.why


@pytest.mark.parametrize("command", ["check", "predict", "explain", "measure", "install"])
@pytest.mark.parametrize("name", ["min 1.5", "axes null", "channel_names 0.5", "bytes", "a list", "nothing"])
def test_no_command_ends_in_a_traceback(folder, tmp_path, capsys, command, name):
    import tifffile

    raw = {"bytes": b"name: \xff\xfe", "a list": b"- a", "nothing": b""}
    content = raw[name] if name in raw else text(with_value(*NASTY[name][:2])).encode()
    (folder / "rdf.yaml").write_bytes(content)
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((16, 20), np.uint16))
    options = {"check": ["--in", "deepimagej"], "install": ["--fiji", str(tmp_path)]}
    given = options.get(command, [str(tmp_path / "image.tif"), "-o", str(tmp_path / "out")])
    assert main([command, str(folder), *given]) in (1, 2)
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("seed", range(3))
def test_a_short_fuzz_finds_nothing(folder, seed):
    rng = random.Random(seed)
    base = yaml.safe_load(text(good().rdf))
    for _ in range(25):
        rdf, what = mutated(base, rng)
        assert attempt(folder, text(rdf).encode()) is None, what
    content = text(base).encode()
    for _ in range(25):
        assert attempt(folder, damaged(content, rng)) is None


@pytest.mark.parametrize("version", ["0.50", "0.5", "0.4", 0.5, "0.50.1", "0.6.0", "1.0.5.4", None, "0.5."])
def test_a_version_that_is_none_is_named(folder, version):
    (folder / "rdf.yaml").write_bytes(text(with_value(("format_version",), version)).encode())
    with pytest.raises(BundleInvalid, match="written in full as in '0.5.4'"), opened(folder):
        pass


@pytest.mark.parametrize("key", ["documentation", "covers"])
@pytest.mark.parametrize("name", ["../../secret.md", "/etc/passwd", "..\\secret.md"])
def test_a_readme_or_cover_outside_the_bundle_is_named(folder, key, name):
    (folder / "rdf.yaml").write_bytes(text(with_value((key,), [name] if key == "covers" else name)).encode())
    with pytest.raises(BundleInvalid, match="which leads out of the bundle"), opened(folder):
        pass


def swapped(tensor):
    tensor["axes"][2], tensor["axes"][3] = tensor["axes"][3], tensor["axes"][2]


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_axes_that_changed_places_are_seen_at_sizes_that_are_not_square(tmp_path, side):
    draft = good()
    swapped(draft.rdf[side][0])
    fault = "'probabilities' of case 'test' has the shape 1x2x16x20, in which . is 16 where the description gives 20"
    with opened(draft.write(tmp_path / "swapped.zip")) as bundle, pytest.raises(BundleInvalid, match=fault):
        specs.input_spec(bundle)
    for verdict in compare(tmp_path / "swapped.zip", consumers=["deepimagej", "onnxruntime"]).verdicts:
        assert verdict.status == "refused"
        assert re.search(fault, verdict.why)


def test_a_square_test_pair_alone_does_not_show_it_and_an_odd_case_does(tmp_path):
    draft = good()
    swapped(draft.rdf["outputs"][0])
    for kind in ("image", "probabilities"):
        draft.files[f"test_{kind}.npy"] = npy(np.zeros((1, 1 if kind == "image" else 2, 16, 16), np.float32))
    with opened(draft.write(tmp_path / "odd.zip")) as bundle:
        assert ["of case 'odd'" in fault for fault in misfits(bundle)] == [True]


def test_lengths_that_follow_scale_and_offset_fit(tmp_path):
    """Twice as many pixels less a rim of one on each side: 2 · 16 - 2 = 30, of a pixel of half the size."""
    draft = good()
    draft.rdf["config"] = {}
    for index, letter in ((2, "y"), (3, "x")):
        draft.rdf["inputs"][0]["axes"][index]["scale"] = 1.0
        draft.rdf["outputs"][0]["axes"][index] |= {"scale": 0.5, "size": {"tensor_id": "image", "axis_id": letter, "offset": -2}}
    draft.files["test_probabilities.npy"] = npy(np.zeros((1, 2, 30, 38), np.float32))
    with opened(draft.write(tmp_path / "doubled.zip")) as bundle:
        assert list(misfits(bundle)) == []
    draft.files["test_probabilities.npy"] = npy(np.zeros((1, 2, 32, 40), np.float32))
    with opened(draft.write(tmp_path / "wrong.zip")) as bundle:
        assert "in which y is 32 where the description gives 30" in next(misfits(bundle))


@pytest.mark.parametrize(
    ("size", "given"),
    [({"min": 32, "step": 1}, "y is 16 where the description gives 32 or more"), ({"min": 1, "step": 4}, "1 or more in steps of 4")],
)
def test_a_test_image_of_a_size_that_is_not_allowed_is_named(tmp_path, size, given):
    draft = good()
    draft.rdf["inputs"][0]["axes"][2]["size"] = size
    with opened(draft.write(tmp_path / "small.zip")) as bundle:
        assert given in next(misfits(bundle))
    (verdict,) = compare(tmp_path / "small.zip", consumers=["onnxruntime"]).verdicts
    assert (verdict.status, given in verdict.why) == ("refused", True)


def test_a_test_image_beyond_its_channels_limits_is_named(tmp_path):
    draft = good()
    (channel,) = draft.rdf["inputs"][0]["axes"][1]["channel_names"]
    low, high = float(make_image("test").min()), float(make_image("test").max())
    for limits, faults in (([low, high], 0), ([low + 1, high], 1), ([low, high - 1], 1)):
        draft.rdf["config"]["zooready"]["limits"] = {channel: limits}
        with opened(draft.write(tmp_path / "limits.zip")) as bundle:
            found = list(misfits(bundle))
        assert [f"holds {channel} from {low:g} to {high:g}" in fault for fault in found] == [True] * faults


def test_a_lying_opset_is_named(tmp_path):
    draft = good()
    draft.rdf["weights"]["onnx"]["opset_version"] = 16
    (verdict,) = compare(draft.write(tmp_path / "lie.zip"), consumers=["onnxruntime"]).verdicts
    assert verdict.status == "refused"
    assert "rdf.yaml says opset_version 16 and weights.onnx has opset 17: write 17 there" in verdict.why


def test_the_good_bundle_has_no_fault(tmp_path):
    with opened(good().write(tmp_path / "tiny.zip")) as bundle:
        assert (bundle.faults, list(misfits(bundle))) == ({}, [])
        np.testing.assert_array_equal(bundle.cases[0].input, make_image("test"))
