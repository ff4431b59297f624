"""Whole explanations of bundles: what they hold, what they say where something is missing, what they refuse, and their files."""

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import PIL.Image
import pytest
import torch
from patterns import CLASSES, Patterns, standard
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from zooready.bundle.reading import opened
from zooready.errors import BundleInvalid, ConsumerMissing, InputInvalid
from zooready.explanation import attribution, explain, explaining, save
from zooready.explanation.figures import draw
from zooready.images.files import read_image
from zooready.images.resampling import resampled
from zooready.records import Image

OF_CLASS = ("class_activation", "integrated_gradients", "occlusion")
OF_IMAGE = ("receptive_field", "noise_sensitivity", "uncertainty")


def by_name(explained):
    return {explanation.name: explanation for explanation in explained.explanations}


def logit_maps(trained, image):
    """Class activation maps (3, y/4, x/4) and logits in eager PyTorch."""
    network = Patterns()
    network.load_state_dict(trained)
    with torch.no_grad():
        features = network.features(standard(image.array[None, None]))
        return torch.einsum("ck,kyx->cyx", network.last.weight, features[0]).numpy(), network(standard(image.array[None, None]))[0].numpy()


@pytest.fixture(scope="module")
def explanation_of(bundles, spots):
    """The explanation of a bundle, by its name, for the image of spots with nothing else asked; made when first asked for."""

    @cache
    def explained(name):
        with opened(bundles[name]) as bundle:
            return explain(bundle, spots[0])

    return explained


@pytest.fixture(scope="module")
def trained_softmax(trained):
    def scores(image):
        return torch.softmax(torch.from_numpy(logit_maps(trained, image)[1]), 0).numpy()

    return scores


def test_a_classifier_is_explained_in_three_ways_for_its_winner(explanation_of, spots, trained_softmax):
    explained = explanation_of("maps")
    assert tuple(by_name(explained)) == OF_CLASS
    assert explained.facts["class"] == "spots"
    assert list(explained.facts["scores"].values()) == pytest.approx(list(trained_softmax(spots[0])), abs=1e-4)
    assert explained.facts["output"] == "scores"
    assert not explained.notes
    assert {explanation.values.shape[-2:] for explanation in explained.explanations} == {(48, 48)}


def test_the_class_that_is_asked_for_is_explained(open_bundle, explanation_of, spots):
    bars = explain(open_bundle("maps"), spots[0], class_name="Bars")
    assert bars.facts["class"] == "bars"
    winner = by_name(explanation_of("maps"))
    assert all(not np.allclose(explanation.values, winner[explanation.name].values) for explanation in bars.explanations)
    assert all("bars (score" in explanation.title for explanation in bars.explanations)


def test_maps_are_the_bundles_own_where_it_has_them(explanation_of):
    activation = by_name(explanation_of("maps"))["class_activation"]
    assert activation.facts["from"] == "the bundle's output 'maps'"
    assert activation.unit == "arbitrary unit"


def test_maps_follow_from_the_graph_where_it_ends_in_pooling_and_a_linear_layer(explanation_of, spots, trained):
    maps, _ = logit_maps(trained, spots[0])
    activation = by_name(explanation_of("onnx"))["class_activation"]
    assert "12 x 12 px, enlarged" in activation.facts["from"]
    large = functional.interpolate(torch.from_numpy(maps[None]), size=(48, 48), mode="bilinear")[0, 1].numpy()
    assert activation.values == pytest.approx(large, abs=1e-3 * float(np.ptp(maps)))


def test_without_gradients_the_rest_is_there_and_a_note_tells_why(explanation_of):
    explained = explanation_of("onnx")
    assert tuple(by_name(explained)) == ("class_activation", "occlusion")
    assert "no integrated gradients: onnx.zip holds onnx alone, which has no gradients: export it with TorchScript" in explained.notes[0]


def test_frozen_torchscript_is_differentiated_and_lacks_maps(explanation_of):
    explained = explanation_of("frozen")
    assert tuple(by_name(explained)) == ("integrated_gradients", "occlusion")
    assert "no class activation map: frozen.zip holds torchscript and no ONNX" in explained.notes[0]
    assert explained.facts["weights"] == "torchscript"
    other = by_name(explanation_of("maps"))["integrated_gradients"]
    assert by_name(explained)["integrated_gradients"].values == pytest.approx(other.values, abs=1e-5)


def test_a_mask_adds_the_shares_of_every_map(open_bundle, explanation_of, spots):
    image, mask = spots
    explanations = by_name(explain(open_bundle("maps"), image, mask=mask))
    facts = explanations["class_activation"].facts
    assert facts["share_area"] == pytest.approx(mask.mean())
    assert facts["share_inside"] > facts["share_box"] + 0.2
    assert {"share_inside", "share_box"} <= set(explanations["integrated_gradients"].facts)
    assert "share_inside" not in by_name(explanation_of("maps"))["class_activation"].facts


def test_what_the_blurred_image_has_already_and_what_the_integral_misses_is_noted(open_bundle, spots, monkeypatch):
    image = replace(spots[0], array=gaussian_filter(spots[0].array, 6))
    explained = explain(open_bundle("maps"), image)
    assert explained.facts["class"] == "smooth"
    assert re.search(r"blurred image has a score of 0.\d+ already|blurred image has a score of 1 already", explained.notes[0])
    monkeypatch.setattr(attribution, "COMPLETE", 0.0)
    monkeypatch.setattr(attribution, "STEPS", (2,))
    assert any("integrated gradients miss the score's rise by" in note for note in explain(open_bundle("maps"), spots[0]).notes)


def test_an_image_output_is_explained_in_three_ways(explanation_of):
    explained = explanation_of("smooth")
    assert tuple(by_name(explained)) == OF_IMAGE
    assert "class" not in explained.facts
    assert {explanation.values.shape[-2:] for explanation in explained.explanations} == {(48, 48)}


def test_an_output_that_takes_a_blur_away_is_blurred_again(open_bundle, spots):
    stated, told = explain(open_bundle("restoring"), spots[0]), explain(open_bundle("smooth"), spots[0], blur_px=5.0)
    assert tuple(by_name(stated)) == tuple(by_name(told)) == (*OF_IMAGE, "doubt")
    doubted = by_name(told)["doubt"]
    shares = [f"{doubted.facts[f'{name}_share']:.1%}" for name in ("invented", "missing")]
    assert doubted.title == f"'output' blurred again (by 5 px) minus the image: {shares[0]} of its pixels invented, {shares[1]} missing"
    assert (doubted.scale, doubted.values.shape) == ("signed", (48, 48))
    assert 4 <= by_name(stated)["doubt"].facts["blur_px"] <= 16


def test_a_network_that_restores_and_states_no_blur_is_doubted_with_the_blur_that_fits(open_bundle, spots):
    restores = replace(open_bundle("smooth"), restores=True)
    assert 4 <= by_name(explain(restores, spots[0]))["doubt"].facts["blur_px"] <= 32
    assert tuple(by_name(explain(replace(restores, restores=False), spots[0]))) == OF_IMAGE


def test_a_restored_image_of_another_shape_is_not_blurred_again_and_a_note_says_so(open_bundle, spots, monkeypatch):
    monkeypatch.setattr(explaining._Job, "run", lambda job, image: np.concatenate([image, image], 1))
    explained = explain(open_bundle("smooth"), spots[0], blur_px=5.0)
    assert "doubt" not in by_name(explained)
    assert "no doubt: only an image of one channel" in explained.notes[-1]


def test_the_receptive_field_is_the_bundles_halo_beside_what_gradients_show(explanation_of):
    field = by_name(explanation_of("smooth"))["receptive_field"]
    assert (field.facts["halo_px"], field.facts["halo_from"], field.facts["reach_px"]) == (2, "the bundle", 2)
    assert field.marks["all it can see, each way"] == 2
    rows, columns = np.nonzero(field.values)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (22, 26, 22, 24)  # nothing at the right


def with_measured(bundle, **measured):
    """The bundle with other facts about its network."""
    return replace(bundle, measured_halo_px=measured.get("halo"))


def test_without_a_stated_halo_gradients_measure_it(open_bundle, spots):
    field = by_name(explain(with_measured(open_bundle("smooth")), spots[0]))["receptive_field"]
    assert (field.facts["halo_px"], field.facts["halo_from"]) == (2, "gradients of this image")


def test_gradients_from_beyond_the_halo_are_noted(open_bundle, spots):
    (note,) = explain(with_measured(open_bundle("smooth"), halo=1), spots[0]).notes
    assert note.startswith("gradients reach 2 px, further than the halo of 1 px")


def test_a_network_that_sees_everything_says_so(open_bundle, spots):
    field = by_name(explain(with_measured(open_bundle("smooth"), halo="whole image"), spots[0]))["receptive_field"]
    assert field.title.endswith("depends on: the whole image")
    assert set(field.marks) == {"90 % of the gradient, radius"}


def test_noise_follows_the_seed_and_nothing_else_does(open_bundle, explanation_of, spots):
    bundle, first = open_bundle("smooth"), by_name(explanation_of("smooth"))
    again, other = (by_name(explain(bundle, spots[0], seed=seed)) for seed in (0, 1))
    assert all((first[name].values == again[name].values).all() for name in OF_IMAGE)
    assert [name for name in OF_IMAGE if not (first[name].values == other[name].values).all()] == ["noise_sensitivity"]


def test_a_size_that_the_bundle_must_grow_is_explained_at_its_own(open_bundle, spots):
    bundle = open_bundle("smooth")
    details = tuple(replace(axis, minimum=48, step=48) if axis.letter in "yx" else axis for axis in bundle.inputs[0].details)
    bundle = replace(bundle, inputs=(replace(bundle.inputs[0], details=details),), cases=bundle.cases[:1])
    image = replace(spots[0], array=spots[0].array[:40, :45])
    explanations = by_name(explain(bundle, image))
    assert {explanation.values.shape[-2:] for explanation in explanations.values()} == {(40, 45)}
    assert explanations["receptive_field"].facts["reach_px"] == 2


def test_one_channel_of_several_is_taken_by_name(open_bundle, explanation_of, spots):
    both = Image(array=np.stack([0 * spots[0].array, spots[0].array]), axes="cyx", channels=("red", "green"))
    assert explain(open_bundle("maps"), both, channel="green").facts["scores"] == explanation_of("maps").facts["scores"]


def test_an_image_of_another_pixel_size_is_noted(open_bundle, spots):
    (note,) = explain(open_bundle("smooth"), replace(spots[0], pixel_size_um=2.0)).notes
    assert re.search("pixels of 2 µm.*compare them with those of a pixel size of 'auto'", note)


@pytest.mark.parametrize(("channel", "share"), [(1, 0.5), (2, 1.0)])
def test_the_blur_that_counts_is_that_of_the_channel_that_is_explained(open_bundle, spots, channel, share):
    plane = spots[0].array
    image = Image(array=np.stack([plane, plane]), axes="cyx", pixel_size_um=0.1, blurs_um=(1.8, 0.9))
    explained = explain(open_bundle("restoring"), image, channel=channel, pixel_size="auto")
    assert explained.image.array.shape[-2:] == tuple(round(share * side) for side in plane.shape)


@pytest.mark.parametrize("pixel_size", ["auto", 1.2])
def test_an_image_is_explained_at_the_size_at_which_the_network_knows_it(open_bundle, spots, pixel_size):
    image, mask = spots
    coarse = replace(image, pixel_size_um=1.2 if pixel_size == "auto" else None)
    explained = explain(open_bundle("maps"), coarse, mask=mask, pixel_size=pixel_size)
    zoom = 1.2 / 0.316228  # to the middle of the bundle's 0.2 to 0.5 µm
    size = tuple(round(length * zoom) for length in image.array.shape)
    enlarged = replace(image, array=resampled(image.array.astype(np.float32), size), pixel_size_um=0.316228)
    expected = explain(open_bundle("maps"), enlarged, mask=resampled(mask, size, labels=True))
    assert explained.image.array.shape[1:] == size
    assert explained.image.pixel_size_um == pytest.approx(0.316228)
    assert explained.facts["scores"] == expected.facts["scores"]
    shares = [by_name(result)["class_activation"].facts["share_inside"] for result in (explained, expected)]
    assert shares[0] == shares[1] > 0.2
    assert any("explained as the network sees it, 3.79 times as large" in note for note in explained.notes)
    assert not any("results may be poor" in note for note in explained.notes)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"pixel_size_um": 9.0}, {"pixel_size": "auto"}, "as the network sees it, 28.5 times as large, and explanations take up to 1024"),
        ({"array": np.ones((15, 40))}, {}, "image has 40 x 15 px, and less than 16 a side cannot be explained"),
        ({"array": np.ones((1025, 16))}, {}, "image has 16 x 1025 px, and explanations take up to 1024 a side: crop"),
        ({"array": np.ones((2, 40, 40)), "axes": "cyx"}, {}, "image has 2 channels and the network takes 1 channel"),
        ({"array": np.ones((3, 40, 40)), "axes": "tyx"}, {}, r"several planes \(3 along t\), and one is explained"),
        ({"array": np.full((40, 40), 77)}, {}, "every pixel of the image is 77, so that there is nothing to explain"),
        ({"array": np.eye(40) * 1e38}, {}, r"image has values from 0 to 1e\+38: what a network adds and squares"),
        ({}, {"class_name": "stripes"}, "no class is called 'stripes': 'scores' has smooth, spots, bars"),
        ({}, {"mask": np.ones((9, 9))}, r"mask has shape \(9, 9\)"),
    ],
    ids=["scaled", "small", "large", "channels", "planes", "constant", "huge", "class", "mask"],
)
def test_what_cannot_be_explained_is_refused(open_bundle, spots, change, options, words):
    with pytest.raises(InputInvalid, match=words):
        explain(open_bundle("maps"), replace(spots[0], **change), **options)


@pytest.mark.parametrize("options", [{"class_name": "spots"}, {"mask": np.ones((48, 48))}], ids=["class", "mask"])
def test_a_class_of_a_bundle_without_scores_is_refused(open_bundle, spots, options):
    with pytest.raises(InputInvalid, match="smooth.zip gives no class scores, so there is no class to explain"):
        explain(open_bundle("smooth"), spots[0], **options)


def test_labels_alone_have_nothing_to_explain(open_bundle, spots):
    bundle = open_bundle("smooth")
    bundle = replace(bundle, outputs=(replace(bundle.outputs[0], kind="labels"),))
    with pytest.raises(InputInvalid, match=r"smooth.zip gives output \(labels\), which are whole numbers without gradients"):
        explain(bundle, spots[0])


def test_scores_of_another_number_than_promised_are_refused(open_bundle, spots):
    bundle = open_bundle("onnx")
    with pytest.raises(BundleInvalid, match=r"promises 'scores' with 2 classes and gave the shape \(1, 3\)"):
        explain(replace(bundle, outputs=(replace(bundle.outputs[0], channels=("a", "b")),)), spots[0])


def test_captum_is_asked_for_before_any_work(open_bundle, spots, monkeypatch):
    monkeypatch.setattr(attribution, "find_spec", lambda name: None)
    with pytest.raises(ConsumerMissing, match=r"pip install 'zooready\[explain\]'"):
        explain(open_bundle("maps"), spots[0])
    assert len(explain(open_bundle("smooth"), spots[0]).explanations) == 3


def test_dangerous_torchscript_is_not_run_unless_trusted(open_bundle, spots, monkeypatch):
    from zooready.formats import torchscript

    monkeypatch.setattr(torchscript, "unsafe", lambda path: ("aten::from_file",))
    explained = explain(open_bundle("maps"), spots[0])
    assert "integrated_gradients" not in by_name(explained)
    assert "its TorchScript is not run here" in explained.notes[0]
    assert "integrated_gradients" in by_name(explain(open_bundle("maps", trust_code=True), spots[0]))


# Files


def test_every_explanation_is_a_figure_and_a_calibrated_tiff_and_all_numbers_are_in_one_json(open_bundle, spots, tmp_path):
    explained = explain(open_bundle("maps"), spots[0], mask=spots[1])
    written = save(explained, tmp_path / "new" / "folder", "cell")
    assert {path.name for path in written} == {f"cell_{name}.{end}" for name in OF_CLASS for end in ("png", "tif")} | {
        "cell_explanation.json"
    }
    for explanation in explained.explanations:
        back = read_image(tmp_path / "new" / "folder" / f"cell_{explanation.name}.tif")
        assert back.array.dtype == np.float32
        assert back.array == pytest.approx(explanation.values.squeeze())
        assert back.pixel_size_um == pytest.approx(0.3, rel=1e-4)
    written_facts = json.loads(written[-1].read_text(encoding="utf-8"))
    assert written_facts["class"] == "spots"
    assert set(written_facts["scores"]) == set(CLASSES)
    assert written_facts["explanations"]["integrated_gradients"]["completeness_error"] < 0.02
    assert written_facts["explanations"]["occlusion"]["files"] == ["cell_occlusion.png", "cell_occlusion.tif"]
    assert {"zooready", "torch", "captum", "onnxruntime"} <= set(written_facts["versions"])


@pytest.mark.parametrize("has_z", [True, False])
def test_a_stack_that_the_network_makes_of_a_plane_keeps_its_distance_of_planes(open_bundle, spots, tmp_path, has_z):
    """That of the bundle, as its prediction has; a single plane has none."""
    explained = explain(replace(open_bundle("smooth"), plane_distance_um=0.5), spots[0])
    noise = by_name(explained)["noise_sensitivity"]
    plane = noise.values.squeeze()
    values = np.stack([plane] * 3) if has_z else plane
    made = replace(explained, explanations=(replace(noise, values=values, axes="zyx" if has_z else "yx"),))
    _, path, _ = save(made, tmp_path, "cell")
    assert read_image(path).z_um == (pytest.approx(0.5) if has_z else None)


def test_the_same_question_gives_the_same_bytes(open_bundle, explanation_of, spots, tmp_path):
    for folder, explained in (("first", explanation_of("smooth")), ("second", explain(open_bundle("smooth"), spots[0]))):
        save(explained, tmp_path / folder, "cell")
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("first", "second"))
    assert first == second


def pixels(explanation, image, tmp_path):
    (tmp_path / "figure.png").write_bytes(draw(explanation, image))
    return np.asarray(PIL.Image.open(tmp_path / "figure.png").convert("RGB")).astype(int)


def test_the_figure_shows_scale_bar_marks_and_values(explanation_of, spots, tmp_path):
    image = spots[0]
    field = by_name(explanation_of("smooth"))["receptive_field"]
    whole = pixels(field, image, tmp_path)
    without_bar = pixels(field, replace(image, pixel_size_um=None), tmp_path)
    without_marks = pixels(replace(field, marks={}), image, tmp_path)
    other_values = pixels(replace(field, values=field.values[::-1].copy()), image, tmp_path)
    half = whole.shape[1] // 2
    assert (whole[:, :half] != without_bar[:, :half]).any()
    assert (whole[:, half:] == without_bar[:, half:]).all()
    assert whole.shape != without_marks.shape or (whole[:, :half] != without_marks[:, :half]).any()
    assert (whole[:, half:] != other_values[:, half:]).any()


def test_a_figure_has_a_panel_for_each_channel_and_the_middle_plane_of_a_stack(explanation_of, spots, tmp_path):
    explanation = by_name(explanation_of("smooth"))["uncertainty"]
    two_channels = replace(explanation, values=np.repeat(explanation.values, 2, axis=0), channels=("foreground", "distance"))
    assert pixels(two_channels, spots[0], tmp_path).shape[1] == pytest.approx(1.5 * pixels(explanation, spots[0], tmp_path).shape[1], abs=3)
    stack = np.stack([0 * explanation.values[0], explanation.values[0], 0 * explanation.values[0]])
    assert (pixels(replace(explanation, values=stack, axes="zyx"), spots[0], tmp_path) == pixels(explanation, spots[0], tmp_path)).all()


def test_a_long_title_is_not_cut_off(explanation_of, spots, tmp_path):
    field = by_name(explanation_of("smooth"))["uncertainty"]
    drawn = pixels(replace(field, title="'restored' blurred again (by 4.76 px) minus the image: 0.1% invented, " * 2), spots[0], tmp_path)
    assert (drawn[:, [0, -1]] == drawn[0, 0]).all()


def test_values_without_any_size_can_be_drawn(explanation_of, spots, tmp_path):
    for explanation in (*explanation_of("smooth").explanations, *explanation_of("maps").explanations):
        assert pixels(replace(explanation, values=0 * explanation.values), spots[0], tmp_path).size
