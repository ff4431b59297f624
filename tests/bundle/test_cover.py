"""The cover shows the input and what came of it."""

import numpy as np
import pytest
from PIL import Image

from zooready.bundle import cover
from zooready.errors import InputInvalid
from zooready.records import Case
from zooready.tensors import TensorSpec

IMAGE = TensorSpec(name="image", axes="bcyx", channels=("a",))
RAMP = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))[None, None]
WIDE, HIGH = cover.LONGEST, 240 + cover.CAPTION


def spec(name, channels, kind="image", axes="bcyx"):
    return TensorSpec(name=name, axes=axes, channels=tuple(f"c{n}" for n in range(channels)), kind=kind)


def drawn(folder, *outputs, image=RAMP):
    case = Case(name="sample", input=image, outputs=tuple(array for _, array in outputs))
    with Image.open(cover.draw(case, IMAGE, tuple(one for one, _ in outputs), folder / "cover.png")) as opened:
        assert opened.format == "PNG"
        return np.asarray(opened.convert("RGB")).astype(int)


def panel(image, number):
    return image[: image.shape[0] - cover.CAPTION, number * (WIDE + 6) : number * (WIDE + 6) + WIDE]


def test_input_and_output_stand_side_by_side(tmp_path):
    image = drawn(tmp_path, (spec("maps", 1), 1 - RAMP))
    assert image.shape == (HIGH, 2 * WIDE + 6, 3)
    assert (np.diff(panel(image, 0)[100, :, 0]) >= 0).all()
    assert (np.diff(panel(image, 1)[100, :, 0]) <= 0).all()


def test_each_panel_has_its_name_below(tmp_path):
    image = drawn(tmp_path, (spec("maps", 1), RAMP))
    captions = image[-cover.CAPTION :]
    assert (captions[:, :WIDE] < 100).any()
    assert (captions[:, WIDE + 6 :] < 100).any()


def test_labels_are_coloured(tmp_path):
    image = panel(drawn(tmp_path, (spec("labels", 1, "labels"), np.round(RAMP * 5))), 1)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 6
    assert (image.max(-1) - image.min(-1)).max() > 50


def test_scores_are_bars(tmp_path):
    image = drawn(tmp_path, (spec("scores", 3, "scores", "bc"), np.array([[0.1, 0.8, 0.1]], np.float32)))
    assert image.shape[1] == 2 * WIDE + 6
    assert len(np.unique(panel(image, 1).reshape(-1, 3), axis=0)) >= 3


def test_of_maps_with_a_channel_a_class_the_one_of_the_highest_score_is_shown(tmp_path):
    maps = np.concatenate([RAMP * 0, RAMP * 0, 1 - RAMP], axis=1)
    images = [
        drawn(tmp_path, (spec("scores", 3, "scores", "bc"), np.array([scores], np.float32)), (spec("maps", 3), maps))
        for scores in ([0.1, 0.2, 0.7], [0.7, 0.2, 0.1])
    ]
    assert [image.shape[1] for image in images] == [3 * WIDE + 2 * 6] * 2
    falling, flat = (panel(image, 2)[100, :, 0] for image in images)
    assert (np.diff(falling) <= 0).all()
    assert np.ptp(falling) > 200
    assert np.ptp(flat) == 0


def test_of_many_channels_the_first_two_and_the_last_output_are_shown(tmp_path):
    many = np.repeat(RAMP, 5, axis=1) * np.array([1, -1, 1, 1, 1], np.float32)[None, :, None, None]
    image = drawn(tmp_path, (spec("maps", 5), many), (spec("labels", 1, "labels"), np.round(RAMP * 5)))
    assert image.shape[1] == 4 * WIDE + 3 * 6
    assert (panel(image, 3).max(-1) - panel(image, 3).min(-1)).max() > 50


def test_of_a_stack_the_middle_plane_is_shown(tmp_path):
    stack = np.zeros((1, 1, 5, 48, 64), np.float32)
    stack[:, :, 2] = RAMP[0, 0]
    assert panel(drawn(tmp_path, (spec("maps", 1, axes="bczyx"), stack), image=stack), 1).std() > 50


@pytest.mark.parametrize("size", [(1, 1), (2000, 1500), (1, 300)])
def test_any_size_gives_a_cover_below_the_zoos_limit(tmp_path, size):
    noise = np.random.default_rng(0).random((1, 1, *size), np.float32)
    drawn(tmp_path, (spec("maps", 3), np.repeat(noise, 3, axis=1)), image=noise)
    assert (tmp_path / "cover.png").stat().st_size < 500_000


def test_somebody_s_own_cover_is_taken_and_made_smaller(tmp_path):
    Image.new("RGB", (1200, 600), "red").save(tmp_path / "theirs.jpg")
    path = cover.taken(tmp_path / "theirs.jpg", tmp_path / "cover.png")
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (800, 400))
    (tmp_path / "none.png").write_text("no image")
    with pytest.raises(InputInvalid, match="the cover none.png cannot be read"):
        cover.taken(tmp_path / "none.png", tmp_path / "cover.png")
