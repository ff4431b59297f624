"""Verdicts: what passes, what is caught, and with which words."""

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from broken import BROKEN
from foreign import expect, good, make_image, network, npy, torchscript

from zooready.comparison import compare, exit_code
from zooready.comparison.comparing import lifted
from zooready.comparison.user_images import as_inputs
from zooready.consumers import java_pytorch
from zooready.consumers.deepimagej import in_fiji
from zooready.errors import BundleInvalid, InputInvalid
from zooready.records import Verdict

HERE = ("torch", "onnxruntime", "deepimagej")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return good().write(tmp_path_factory.mktemp("good") / "tiny.zip")


@pytest.fixture(scope="module")
def checked(tiny):
    return compare(tiny, consumers=HERE, trust_code=True)


def verdict(consumer="torch", status="passed", level="ran", format="torchscript", **more):
    return Verdict(consumer=consumer, format=format, status=status, level=level, **more)


def test_the_good_bundle_passes_at_every_stored_size(checked):
    assert {(one.consumer, one.format, one.status, one.level) for one in checked.verdicts} == {
        ("torch", "state_dict", "passed", "ran"),
        ("torch", "torchscript", "passed", "ran"),
        ("onnxruntime", "onnx", "passed", "ran"),
        ("deepimagej", "torchscript", "passed", "rules"),
    }
    ran = [one for one in checked.verdicts if one.level == "ran"]
    assert all(one.cases == ("test", "odd", "batch", "one", "black") for one in ran)
    assert all(one.difference <= one.tolerance for one in ran)
    assert all(one.versions and one.why == "Equal to the stored outputs in 5 cases." for one in ran)
    assert exit_code(checked.verdicts) == 0


def test_what_is_shown_is_the_test_pair_in_every_program(checked):
    np.testing.assert_array_equal(checked.shown.input, make_image("test"))
    assert set(checked.results) == {"torch state_dict", "torch torchscript", "onnxruntime onnx"}
    for outputs in checked.results.values():
        np.testing.assert_allclose(outputs[0], checked.shown.outputs[0], atol=1e-6)


def test_where_only_the_offset_image_differs_a_sum_is_to_blame(tmp_path):
    draft = good().copy()
    stored = draft.rdf["config"]["zooready"]["cases"][-1]
    stored["name"] = "offset"
    draft.files[stored["outputs"][0]] = npy(np.load(BytesIO(draft.files[stored["outputs"][0]])) + np.float32(0.01))
    (one,) = compare(draft.write(tmp_path / "tiny.zip"), consumers=("onnxruntime",)).verdicts
    assert one.status == "differs"
    assert "Only the image with a large offset differs: a sum over the image loses its last digits in this program." in one.why


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_caught_in_the_promised_words(name, tmp_path):
    case = BROKEN[name]
    path = case.write(tmp_path / "broken.zip")
    if case.consumer is None:
        with pytest.raises(BundleInvalid, match=case.message):
            compare(path)
        return
    found = [one for one in compare(path, consumers=[case.consumer]).verdicts if one.status not in ("passed", "untrusted")]
    assert [(one.status, one.consumer) for one in found] == [(case.status, case.consumer)]
    assert re.search(case.message, found[0].why), found[0].why
    assert exit_code(found, asked={case.consumer}) == 1


def test_a_stranger_s_state_dict_is_untrusted(tiny):
    verdicts = compare(tiny, consumers=["torch"]).verdicts
    assert [(one.format, one.status) for one in verdicts] == [("state_dict", "untrusted"), ("torchscript", "passed")]
    assert "trust_code=True" in verdicts[0].why
    assert exit_code(verdicts) == 0
    assert exit_code(verdicts, asked={"torch"}) == 3


def test_without_stored_cases_nothing_is_called_equal(tmp_path):
    draft = good()
    del draft.rdf["config"]["zooready"]["cases"]
    (one,) = compare(draft.write(tmp_path / "foreign.zip"), consumers=["onnxruntime"]).verdicts
    assert one.status == "passed"
    assert one.cases == ("test",)
    assert "Formats agree on the test pair (1x1x16x20)" in one.why
    assert "equal" not in one.why.lower()


def test_operators_that_nobody_applies_are_named(tmp_path):
    draft = good()
    draft.rdf["inputs"][0]["preprocessing"] = [{"id": "scale_linear", "kwargs": {"gain": 2.0, "offset": 0.0}}]
    (one,) = compare(draft.write(tmp_path / "raw.zip"), consumers=["onnxruntime"]).verdicts
    assert one.status == "refused"
    assert "leaves scale_linear to whoever runs it, and onnxruntime runs the bare network" in one.why


def test_a_format_that_is_absent_is_said_only_where_it_was_asked_for(tmp_path):
    draft = good()
    del draft.rdf["weights"]["onnx"]
    path = draft.write(tmp_path / "torchscript.zip")
    (one,) = compare(path, consumers=["onnxruntime"]).verdicts
    assert one.format is None
    assert one.status == "refused"
    assert "reads onnx, and this bundle holds state_dict, torchscript" in one.why


def test_a_crash_at_one_size_is_a_verdict_with_that_size(tmp_path):
    draft = good()
    draft.files["weights.pt"] = torchscript(Fixed())
    *_, one = compare(draft.write(tmp_path / "fixed.zip"), consumers=["torch"]).verdicts
    assert one.status == "failed"
    assert "an image of (1, 1, 13, 7) raised" in one.why


def Fixed():
    import torch

    class Reshaped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            return self.inner(x.reshape(1, 1, 16, 20))

    return Reshaped().eval()


def test_a_given_image_is_compared_between_formats(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "Zellen mit Ümlaut.tif", make_image("odd")[0, 0])
    draft = good()
    path = draft.write(tmp_path / "tiny.zip")
    seen = []
    found = compare(
        path, consumers=["torch", "onnxruntime"], image=tmp_path / "Zellen mit Ümlaut.tif", progress=lambda *step: seen.append(step)
    )
    assert [one.cases[-1] for one in found.verdicts if one.status == "passed"] == ["image", "image"]
    assert found.shown.name == "image"
    assert found.shown.input.shape == (1, 1, 13, 7)
    assert seen[0] == (0, 3, "torch state_dict")
    assert [words for *_, words in seen[1:3]] == ["onnxruntime onnx", "torch torchscript"]  # begun from both ends, told in order
    assert [(one.consumer, one.format) for one in found.verdicts] == [
        ("torch", "state_dict"),
        ("torch", "torchscript"),
        ("onnxruntime", "onnx"),
    ]
    assert seen[-1] == (3, 3, "done")


def test_formats_that_disagree_on_a_given_image_differ(tmp_path):
    import tifffile
    import torch

    bright = np.full((5, 6), 100, np.float32)
    tifffile.imwrite(tmp_path / "bright.tif", bright)
    draft = good()
    clipping = network()
    clipping.register_forward_pre_hook(lambda module, inputs: (torch.clip(inputs[0], max=4.5),))
    draft.files["weights.pt"] = torchscript(clipping)
    found = compare(draft.write(tmp_path / "tiny.zip"), consumers=["torch", "onnxruntime"], image=tmp_path / "bright.tif")
    (onnx,) = [one for one in found.verdicts if one.consumer == "onnxruntime"]
    assert onnx.status == "differs"
    assert "On the image, against torch torchscript: 'probabilities' of case 'image' (1, 1, 5, 6) differs by" in onnx.why


def test_an_image_with_other_channels_is_refused(tmp_path, tiny):
    import tifffile

    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 8, 9), np.float32), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputInvalid, match=r"axes 'cyx' \(2, 8, 9\), and the bundle takes 'bcyx' with 1 channel"):
        compare(tiny, consumers=["deepimagej"], image=tmp_path / "two.tif")


def test_the_verdict_says_what_was_compared_with_what_on_the_image(tmp_path, tiny):
    import tifffile

    tifffile.imwrite(tmp_path / "one.tif", make_image("odd")[0, 0])
    torch_, onnx = [
        one
        for one in compare(tiny, consumers="torch,onnxruntime", image=tmp_path / "one.tif").verdicts
        if one.status == "passed"  # as one text, too
    ]
    assert torch_.why.endswith("in 5 cases. On the image: what the others are compared with.")
    assert re.search(r"in 5 cases\. On the image: as torch torchscript, up to \d\.\de-\d\d of the range\.$", onnx.why)
    (alone,) = compare(tiny, consumers=["onnxruntime"], image=tmp_path / "one.tif").verdicts
    assert alone.why.endswith("On the image: compared with nothing, since no other program or format ran it.")


def test_each_plane_of_a_stack_is_compared_and_of_many_some(tmp_path, tiny):
    import tifffile

    planes = np.random.default_rng(0).uniform(0, 4, (3, 2, 6, 7)).astype(np.float32)
    tifffile.imwrite(tmp_path / "tz.tif", planes, imagej=True, metadata={"axes": "TZYX"})
    found = compare(tiny, consumers=["torch", "onnxruntime"], image=tmp_path / "tz.tif")
    (onnx,) = [one for one in found.verdicts if one.consumer == "onnxruntime"]
    names = [f"image t {t}, z {z}" for t, z in ((1, 1), (1, 2), (2, 1), (3, 1), (3, 2))]
    assert list(onnx.cases[5:]) == names
    assert "On the image (t 1, z 1; t 1, z 2; t 2, z 1; t 3, z 1; t 3, z 2): as torch torchscript, up to" in onnx.why
    np.testing.assert_array_equal(found.shown.input[0, 0], planes[0, 0])
    for outputs in found.results.values():
        np.testing.assert_allclose(outputs[0], network()(as_tensor(planes[0, 0])).detach().numpy(), atol=1e-6)


def as_tensor(plane):
    import torch

    return torch.from_numpy(plane)[None, None]


def test_formats_that_disagree_on_one_plane_differ(tmp_path):
    import tifffile
    import torch

    planes = np.full((3, 5, 6), 1, np.float32)
    planes[1] = 100
    tifffile.imwrite(tmp_path / "z.tif", planes, imagej=True, metadata={"axes": "ZYX"})
    draft = good()
    clipping = network()
    clipping.register_forward_pre_hook(lambda module, inputs: (torch.clip(inputs[0], max=4.5),))
    draft.files["weights.pt"] = torchscript(clipping)
    found = compare(draft.write(tmp_path / "tiny.zip"), consumers=["torch", "onnxruntime"], image=tmp_path / "z.tif")
    (onnx,) = [one for one in found.verdicts if one.consumer == "onnxruntime"]
    assert onnx.status == "differs"
    assert "of case 'image z 2' (1, 1, 5, 6) differs by" in onnx.why


def test_a_stack_stored_as_time_is_refused_by_a_network_of_stacks_with_the_cure(tmp_path):
    import tifffile

    from zooready.bundle.reading import opened

    tifffile.imwrite(tmp_path / "t.tif", np.zeros((3, 6, 7), np.float32), imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "plane.tif", np.zeros((6, 7), np.float32))
    with opened(good().write(tmp_path / "tiny.zip")) as bundle:
        case = replace(bundle.cases[0], input=np.zeros((1, 1, 4, 6, 7), np.float32))
        volumes = replace(bundle, inputs=(replace(bundle.inputs[0], axes="bczyx"),), cases=(case,))
    with pytest.raises(
        InputInvalid,
        match=r"t.tif has axes 'tyx' .* takes stacks .*: if its frames are the planes of a stack, name its axes so .'zyx'., or exchange",
    ):
        as_inputs(volumes, tmp_path / "t.tif")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((3, 6, 7), np.float32), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputInvalid, match=r"c.tif has axes 'cyx' .*: if its channels are the planes of a stack, name its axes so .'zyx'."):
        as_inputs(volumes, tmp_path / "c.tif")
    with pytest.raises(InputInvalid, match=r"plane.tif has axes 'yx' .* takes stacks .*: give an image with an axis z"):
        as_inputs(volumes, tmp_path / "plane.tif")


def test_a_stack_for_a_network_that_makes_a_stack_of_every_plane_is_refused_as_predict_refuses_it(tmp_path, tiny):
    import tifffile

    from zooready.bundle.reading import opened

    tifffile.imwrite(tmp_path / "z.tif", np.zeros((3, 6, 7), np.float32), imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "t.tif", np.zeros((3, 6, 7), np.float32), imagej=True, metadata={"axes": "TYX"})
    with opened(tiny) as bundle:
        stacking = replace(bundle, outputs=(replace(bundle.outputs[0], name="stack", axes="bczyx"),))
        with pytest.raises(InputInvalid, match=r"makes a stack along z of every plane \('stack' has axes 'bczyx'\).*Image > Duplicate"):
            as_inputs(stacking, tmp_path / "z.tif")
        assert [piece.where for piece in as_inputs(stacking, tmp_path / "t.tif")] == ["t 1", "t 2", "t 3"]


def test_programs_of_imagej_are_handed_the_file_itself_and_others_its_pixels(tmp_path, tiny, monkeypatch):
    import tifffile

    seen = []

    def run(bundle, format, images):
        seen.extend(images[len(bundle.cases) :])
        return [case.outputs for case in bundle.cases] + [bundle.cases[1].outputs for _ in images[len(bundle.cases) :]]

    monkeypatch.setattr(java_pytorch, "missing", lambda: None)
    monkeypatch.setattr(java_pytorch, "run", run)
    tifffile.imwrite(tmp_path / "one.tif", make_image("odd")[0, 0])
    tifffile.imwrite(tmp_path / "z.tif", np.stack([make_image("odd")[0, 0]] * 2), imagej=True, metadata={"axes": "ZYX"})
    (one,) = compare(tiny, consumers=["java-pytorch"], image=tmp_path / "one.tif").verdicts
    assert one.status == "passed"
    assert seen == [tmp_path / "one.tif"]
    compare(tiny, consumers=["java-pytorch"], image=tmp_path / "z.tif")
    assert [image.shape for image in seen[1:]] == [(1, 1, 13, 7)] * 2


@pytest.fixture
def pairs(tiny):
    """The tiny bundle, as one that takes two channels."""
    from zooready.bundle.reading import opened

    with opened(tiny) as bundle:
        case = replace(bundle.cases[0], input=np.zeros((1, 2, 6, 7), np.float32))
        yield replace(bundle, cases=(case,), inputs=(replace(bundle.inputs[0], channels=("upper", "lower")),))


def test_only_a_file_whose_channels_imagej_alone_finds_is_opened_by_it(tmp_path, pairs):
    """Of an OME-TIFF, and of one with a shape in its description, ImageJ takes the channels for slices; its programs got a stack."""
    import tifffile

    planes = np.arange(84, dtype=np.uint16).reshape(2, 6, 7)
    tifffile.imwrite(tmp_path / "imagej.tif", planes, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "two.ome.tif", planes, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "shaped.tif", planes, metadata={"axes": "CYX"}, photometric="minisblack")
    found = {name: as_inputs(pairs, tmp_path / name) for name in ("imagej.tif", "two.ome.tif", "shaped.tif")}
    assert [piece.path for (piece,) in found.values()] == [tmp_path / "imagej.tif", None, None]
    assert [
        bool(re.search("takes the planes of this file for slices.*Bio-Formats", "".join(piece.notes))) for (piece,) in found.values()
    ] == [
        False,
        True,
        True,
    ]
    assert all(np.array_equal(piece.array[0], planes) for (piece,) in found.values())


def test_channels_are_put_into_the_networks_order_by_their_names_as_predict_does(tmp_path, pairs):
    """A check took them by their order alone, so that every program agreed on an image with its channels exchanged."""
    import tifffile

    planes = np.arange(84, dtype=np.uint16).reshape(2, 6, 7)
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata={"axes": "CYX", "Labels": ["Lower", "Upper"]})
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, metadata={"axes": "CYX", "Channel": {"Name": ["Lower", "Upper"]}})
    for name in ("a.tif", "a.ome.tif"):
        (piece,) = as_inputs(pairs, tmp_path / name)
        np.testing.assert_array_equal(piece.array[0], planes[::-1])
        assert piece.path is None
        assert "Arrange Channels" in "".join(piece.notes)
    tifffile.imwrite(tmp_path / "b.ome.tif", planes, metadata={"axes": "CYX", "Channel": {"Name": ["Lower", "DAPI"]}})
    with pytest.raises(InputInvalid, match="'lower' would be taken for 'upper'"):
        as_inputs(pairs, tmp_path / "b.ome.tif")


def test_of_a_stack_that_imagej_opens_as_one_nothing_is_said(tmp_path, tiny):
    import tifffile

    from zooready.bundle.reading import opened

    tifffile.imwrite(tmp_path / "z.ome.tif", np.zeros((3, 6, 7), np.float32), metadata={"axes": "ZYX"})
    with opened(tiny) as bundle:
        case = replace(bundle.cases[0], input=np.zeros((1, 1, 4, 6, 7), np.float32))
        volumes = replace(bundle, inputs=(replace(bundle.inputs[0], axes="bczyx"),), cases=(case,))
    (piece,) = as_inputs(volumes, tmp_path / "z.ome.tif")
    assert (piece.path, piece.notes) == (None, ())


def test_planes_of_a_stack_for_a_network_of_two_channels_are_refused_with_the_cure(tmp_path, pairs):
    import tifffile

    tifffile.imwrite(tmp_path / "z.tif", np.zeros((2, 6, 7), np.float32), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputInvalid, match="planes are these channels, name its axes so \\('cyx'\\), or set 2 channels in Fiji"):
        as_inputs(pairs, tmp_path / "z.tif")
    tifffile.imwrite(tmp_path / "more.tif", np.zeros((3, 6, 7), np.float32), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputInvalid, match="choose the channel in Fiji"):
        as_inputs(pairs, tmp_path / "more.tif")


def test_axes_that_are_named_cure_a_file_and_imagej_does_not_open_it_its_way(tmp_path, pairs):
    """Before, only ``predict`` took axes; what it named as the cure could not be done for a check."""
    import tifffile

    planes = np.arange(84, dtype=np.uint16).reshape(2, 6, 7)
    tifffile.imwrite(tmp_path / "z.tif", planes, imagej=True, metadata={"axes": "ZYX"})
    (piece,) = as_inputs(pairs, tmp_path / "z.tif", axes="cyx")
    np.testing.assert_array_equal(piece.array[0], planes)
    assert piece.path is None
    assert "given the axes that you named" in "".join(piece.notes)


def test_check_takes_the_axes_of_a_plain_stack(tmp_path, tiny, capsys):
    import tifffile

    from zooready.cli import main

    tifffile.imwrite(tmp_path / "plain.tif", np.stack([make_image("odd")[0, 0]] * 2), metadata=None)
    words = ["check", str(tiny), "--in", "onnxruntime", "--image", str(tmp_path / "plain.tif")]
    assert main([*words]) == 2
    assert "name them, e.g. axes 'zyx'" in " ".join(capsys.readouterr().err.split())
    assert main([*words[:-2], "--axes", "tyx"]) == 2
    assert "axes 'tyx' are those of an image, and none is given" in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--axes", "tyx"]) == 0
    assert "t 1; t 2" in " ".join(capsys.readouterr().out.split())


def with_halo():
    """A bundle for tiles: a halo of 2, and no image too small for it."""
    draft = good()
    for axis in (*draft.rdf["inputs"][0]["axes"][2:], *draft.rdf["outputs"][0]["axes"][2:]):
        axis |= {"halo": 2} if "tensor_id" in axis["size"] else {"size": {"min": 7, "step": 1}}
    stored = draft.rdf["config"]["zooready"]
    stored["cases"] = [case for case in stored["cases"] if case["name"] != "one"]
    return draft


@pytest.mark.parametrize("consumer", ["torch", "bioimageio"])
def test_a_bundle_with_a_halo_passes_where_nothing_is_cut_into_tiles(tmp_path, consumer):
    draft = with_halo()
    found = [one for one in compare(draft.write(tmp_path / "halo.zip"), consumers=[consumer]).verdicts if one.format == "torchscript"]
    assert [(one.status, one.cases) for one in found] == [("passed", ("test", "odd", "batch", "black"))], found[0].why


def test_remarks_of_the_rules_stay_when_the_program_ran(tmp_path, monkeypatch):
    draft = with_halo()
    monkeypatch.setattr(in_fiji, "missing", lambda: None)
    monkeypatch.setattr(in_fiji, "versions", lambda: {"ij": "1.54p"})
    monkeypatch.setattr(in_fiji, "run", lambda bundle, format, images: [case.outputs for case in bundle.cases])
    (one,) = compare(draft.write(tmp_path / "halo.zip"), consumers=["deepimagej"]).verdicts
    assert (one.status, one.level) == ("passed", "ran")
    assert "in 4 cases. Its user will notice: with a halo Fiji mirrors the image at its rim" in one.why


@pytest.mark.parametrize("seams", [False, True])
def test_a_size_off_the_step_is_run_where_the_program_takes_it_and_seams_are_told(tmp_path, monkeypatch, seams):
    """The tiny network pads with zeros: tiles of 4 px without overlap differ from the image as a whole, repeated edges do not."""
    draft = good()
    for axis in draft.rdf["inputs"][0]["axes"][2:]:
        axis["size"] = {"min": 4, "step": 4}
    stored = draft.rdf["config"]["zooready"]
    stored["cases"] = [case for case in stored["cases"] if case["name"] == "black"]
    seen = []

    def run(bundle, format, images):
        seen.append(images[2])
        return [case.outputs for case in bundle.cases] + [tiled(images[2]) if seams else at_once(images[2])]

    def at_once(image):
        import torch

        grown = np.pad(image, [(0, 0), (0, 0), (0, 2), (0, 2)], mode="edge")
        return (network()(torch.from_numpy(grown)).detach().numpy()[..., :-2, :-2],)

    def tiled(image):
        rows = [np.concatenate([at_once(part)[0] for part in np.split(row, [8], axis=3)], 3) for row in np.split(image, [8], axis=2)]
        return (np.concatenate(rows, 2),)

    monkeypatch.setattr(in_fiji, "missing", lambda: None)
    monkeypatch.setattr(in_fiji, "versions", lambda: {"ij": "1.54p"})
    monkeypatch.setattr(in_fiji, "run", run)
    (one,) = compare(draft.write(tmp_path / "step.zip"), consumers=["deepimagej"]).verdicts
    np.testing.assert_array_equal(seen[0], make_image("test")[..., :14, :18])
    assert (one.status, one.cases) == ("passed", ("test", "black"))
    assert ("But at 14 x 18, off its step, where the program cuts the image into tiles, it is off by 0." in one.why) is seams
    assert ("At 14 x 18, off its step, it agrees as well." in one.why) is not seams
    assert "sizes that are no multiple of 4 (y of 'image') are cut into tiles, with seams unless there is a halo" in one.why


def test_an_unknown_consumer_is_refused(tiny):
    with pytest.raises(InputInvalid, match="no consumer is called 'icy': choose from bioimageio, torch"):
        compare(tiny, consumers=["icy"])


def test_the_engine_lifts_deepimagej_and_onnx_never_does():
    rules = verdict("deepimagej", level="rules", why="no written rule is broken.")
    assert lifted([verdict("java-pytorch", level="engine", difference=1e-6), rules])[1].level == "engine"
    assert lifted([verdict("java-onnx", level="engine", format="onnx"), rules])[1].level == "rules"
    assert lifted([verdict("java-pytorch", "missing", "rules"), rules])[1] == rules


def test_an_engine_that_differs_takes_deepimagej_along():
    found = lifted([verdict("java-pytorch", "differs", "engine", why="off by 0.1."), verdict("deepimagej", level="rules")])
    assert found[1].status == "differs"
    assert "PyTorch 2.0.0 in Java: off by 0.1." in found[1].why


@pytest.mark.parametrize(
    ("verdicts", "asked", "at_least", "code"),
    [
        ([verdict()], None, None, 0),
        ([verdict(), verdict("java-onnx", "missing", "rules")], None, None, 0),
        ([verdict(), verdict("java-onnx", "missing", "rules")], {"torch", "java-onnx"}, None, 3),
        ([verdict(), verdict("java-onnx", "missing", "rules")], {"torch"}, None, 0),
        ([verdict(status="untrusted")], {"torch"}, None, 3),
        ([verdict(status="missing")], None, None, 3),
        ([verdict(), verdict("deepimagej", level="rules")], None, "engine", 3),
        ([verdict(), verdict("deepimagej", level="engine")], None, "engine", 0),
        ([verdict(level="engine")], {"torch"}, "ran", 3),
        ([verdict(status="differs"), verdict(status="missing")], {"torch"}, None, 1),
        ([verdict(status="refused")], None, None, 1),
        ([verdict(status="failed")], None, None, 1),
        ([verdict("torch", "failed")], {"deepimagej"}, None, 3),
    ],
)
def test_exit_codes(verdicts, asked, at_least, code):
    assert exit_code(verdicts, asked=asked, at_least=at_least) == code


def test_expected_outputs_of_another_network_differ_everywhere(tmp_path):
    draft = good()
    expect(draft, network(seed=1))
    (one,) = compare(draft.write(tmp_path / "other.zip"), consumers=["onnxruntime"]).verdicts
    assert one.status == "differs"
    assert one.difference > 0.01


def test_a_description_that_a_rule_stumbles_over_is_a_verdict(tmp_path):
    draft = good()
    draft.rdf["inputs"][0]["axes"][2]["size"] = {"min": "one", "step": 16}
    (one,) = compare(draft.write(tmp_path / "odd.zip"), consumers=["deepimagej"]).verdicts
    assert one.status == "refused"
    assert "The description cannot be understood (ValueError: 'one' is no whole number" in one.why


def test_the_page_of_what_is_caught_shows_every_message():
    text = (Path(__file__).parents[2] / "docs" / "caught.md").read_text(encoding="utf-8")
    tiny, _, shipped = text.partition("## The same in shipped bundles")
    assert "zooready missed none" in shipped
    assert "not run" not in shipped
    assert len(re.findall(r"^\| .* \|$", shipped, re.MULTILINE)) > 60
    lines = tiny.splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    for case in BROKEN.values():
        assert case.what in rows, f"{case.what!r} is not in docs/caught.md: run python tests/helpers/caught.py"
        assert re.search(case.message, rows[case.what]), f"docs/caught.md is stale for {case.what!r}: run python tests/helpers/caught.py"
