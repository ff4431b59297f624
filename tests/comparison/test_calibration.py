"""An image given to a check, whose pixel size or distance of planes is not that of the training."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from foreign import good, make_image

from zooready.cli import main
from zooready.comparison import compare
from zooready.comparison.user_images import UserImage, unlike_training
from zooready.images.files import write_image
from zooready.records import Image

APART = "the planes of the image are 0.5 µm apart, and the network was trained for planes 0.25 µm apart: results may be poor"
UNSAID = "the image does not say how far apart its planes are, and the network was trained for planes 0.25 µm apart: set it in Fiji"
WIDE = "the image has pixels of 0.5 µm, and the network was trained for 0.1 to 0.2 µm: results may be poor; rescale the image in Fiji"


@pytest.mark.parametrize(
    ("side", "distance", "axes", "words"),
    [
        (0.15, 0.26, "bczyx", ()),
        (0.15, 0.5, "bczyx", (APART,)),
        (0.15, None, "bczyx", (UNSAID,)),
        (0.5, 0.5, "bczyx", (WIDE, APART)),
        (0.5, 0.5, "bcyx", (WIDE,)),
    ],
)
def test_both_are_compared_with_what_the_bundle_states(side, distance, axes, words):
    bundle = SimpleNamespace(
        inputs=(SimpleNamespace(axes=axes, channels=("grey",)),), pixel_size_um=(0.1, 0.2), plane_distance_um=0.25, limits={}
    )
    image = UserImage(name="image", array=np.zeros((1, 1, 2, 3, 3), np.float32), pixel_size_um=side, z_um=distance)
    notes = unlike_training(bundle, [image])
    assert len(notes) == len(words)
    assert all(note.startswith(word) for note, word in zip(notes, words, strict=True))


def test_values_of_every_piece_are_compared_with_those_of_the_training():
    tensor = SimpleNamespace(axes="bcyx", channels=("intensity", "distance_um"))
    bundle = SimpleNamespace(inputs=(tensor,), pixel_size_um=None, plane_distance_um=None, limits={"distance_um": (-5.0, 5.0)})
    pieces = [UserImage(name="image", array=np.full((1, 2, 3, 3), value, np.float32)) for value in (0, 32764)]
    assert unlike_training(bundle, pieces[:1]) == ()
    (note,) = unlike_training(bundle, pieces)
    assert "'distance_um' of the image has values from 0 to 32764, and the network was trained for -5 to 5" in note


def test_a_check_prints_it_and_its_verdicts_stay(tmp_path, capsys):
    draft = good()
    draft.rdf.setdefault("config", {}).setdefault("zooready", {})["pixel_size_um"] = [0.1, 0.2]
    path = draft.write(tmp_path / "tiny.zip")
    write_image(Image(array=make_image("odd")[0, 0].astype(np.float32), axes="yx", pixel_size_um=0.5), tmp_path / "wide.tif")
    write_image(Image(array=make_image("odd")[0, 0].astype(np.float32), axes="yx", pixel_size_um=0.2), tmp_path / "fine.tif")
    found = compare(path, consumers=["onnxruntime"], image=tmp_path / "wide.tif")
    assert [verdict.status for verdict in found.verdicts] == ["passed"]
    assert found.notes[0].startswith(WIDE)
    assert compare(path, consumers=["onnxruntime"], image=tmp_path / "fine.tif").notes == ()
    assert main(["check", str(path), "--in", "onnxruntime", "--image", str(tmp_path / "wide.tif")]) == 0
    assert f"wide.tif: {WIDE}" in " ".join(capsys.readouterr().out.split())


def test_numbers_that_float32_does_not_hold_are_told(tmp_path):
    path = good().write(tmp_path / "tiny.zip")
    tifffile.imwrite(tmp_path / "large.tif", np.arange(63, dtype=np.uint32).reshape(9, 7) + 2**24)
    found = compare(path, consumers=["onnxruntime"], image=tmp_path / "large.tif")
    assert [note for note in found.notes if note.startswith("31 of 63 pixels are whole numbers above 16,777,216")]
