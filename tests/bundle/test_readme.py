"""The page that a biologist reads."""

from dataclasses import replace

import numpy as np
import pytest
from networks import ABOUT

from zooready.bundle import readme
from zooready.records import Case, Measured, Weights
from zooready.tensors import TensorSpec

IMAGE = TensorSpec(name="image", axes="bcyx", channels=("nuclei",))
LABELS = TensorSpec(name="labels", axes="bcyx", channels=("labels",), kind="labels")
MEASURED = Measured(stride=16, minimum=32, halo=47, outputs=("bcyx",), channels=(1,))
TEST = Case(name="test", input=np.zeros((1, 1, 70, 97), np.float32), outputs=())


@pytest.fixture
def page(tmp_path):
    weights = (Weights(format="torchscript", path=tmp_path / "weights.pt", sha256="", details={"difference": 3.4e-7}),)

    def write(about=ABOUT, input=IMAGE, outputs=(LABELS,), measured=MEASURED, unavailable=None, provenance=None, weights=weights):
        return readme.readme(
            about,
            input,
            outputs,
            measured=measured,
            cases=(TEST,),
            weights=weights,
            unavailable=unavailable or {},
            provenance=provenance or {},
        )

    return write


def test_it_begins_with_what_it_is(page):
    lines = page().splitlines()
    assert lines[0] == "# Nuclei (test)"
    assert lines[2] == "Finds bright spots."
    assert "(cover.png)" in lines[4]


def test_the_authors_own_words_come_early(page):
    text = page(about=replace(ABOUT, documentation="For DAPI only.\n"))
    assert text.index("For DAPI only.") < text.index("## How to run it")


def test_fiji_is_told_first_with_the_sample_to_try(page):
    text = page()
    assert text.index("Fiji.app/models/") < text.index("zooready predict") < text.index("bioimageio.core.predict")
    assert "`sample-image.tif`" in text


@pytest.mark.parametrize(("normalises", "said"), [(True, "Do not normalise them"), (False, "if its authors normalise their images first")])
def test_an_adopted_bundle_claims_to_normalise_only_where_the_original_does(normalises, said, page):
    text = page(provenance={"adopted": {"normalises": normalises}})
    assert said in text
    assert ("the bundle does" in text) is normalises


def test_the_channels_to_give_are_named(page):
    assert "8-bit, 16-bit or float, one channel. Do not normalise" in page()
    two = TensorSpec(name="image", axes="bcyx", channels=("nuclei", "actin"))
    assert "2 channels (nuclei, actin)" in page(input=two)


def test_any_size_or_one_size(page):
    assert "Images may have any size" in page()
    fixed = replace(IMAGE, sizes={"y": 64, "x": 48})
    text = page(input=fixed, measured=replace(MEASURED, stride=0))
    assert "**It takes images of one size only: 64 px in y × 48 px in x.** Crop or pad your images." in text
    assert "multiples" not in text
    assert "may have any size" not in text


def test_the_pixel_size_is_told_or_said_to_be_unknown(page):
    assert "trained for pixels of 0.2 to 0.5 µm: rescale other images first" in page()
    assert "pixel sizes that it was trained for are not stated" in page(about=replace(ABOUT, pixel_size_um=None))
    blurred = page(about=replace(ABOUT, pixel_size_um=None, blur_px=(4, 16)))
    assert "microscopes whose wavelength / (NA x pixel size) is 4 to 16 pixels: with others it may harm" in blurred


def test_labels_are_explained(page):
    assert "| output | `labels` | label image: 0 is background, each object has its own number | labels | b, c, y, x |" in page()


def test_what_was_measured_is_in_numbers(page):
    text = page()
    assert "multiples of 16 px, from 32 px on" in text
    assert "pixels up to 47 px away" in text
    assert "| `weights.pt` | TorchScript, used by Fiji | 3e-07 |" in text
    assert "1 image (test 1 × 1 × 70 × 97)" in text


def test_a_network_that_takes_every_size_is_not_said_to_be_padded(page):
    text = page(measured=replace(MEASURED, stride=1, minimum=1))
    assert "takes every size from 1 px on" in text
    assert "padded" not in text


def test_a_network_that_sees_everything_is_not_to_be_tiled(page):
    assert "tiles of the image would give different results" in page(measured=replace(MEASURED, halo=None))


def test_what_is_missing_is_told_with_the_reason(page):
    text = page(unavailable={"onnx": "no such operator"}, measured=replace(MEASURED, notes=("beware of the rim",)))
    assert "- The bundle contains no onnx: no such operator" in text
    assert "- Beware of the rim" in text


def test_metrics_and_training_stand_there_if_known(page):
    assert "How good it is" not in page()
    text = page(provenance={"metrics": {"f1": 0.87654, "images": 12}, "training": "On simulations.", "versions": {"torch": "2.15.0"}})
    assert "| f1 | 0.8765 |\n| images | 12 |" in text
    assert "## Training\n\nOn simulations." in text
    assert text.rstrip().endswith("Exported with torch 2.15.0.")


def test_many_channels_are_counted(page):
    assert "| 12 (plane_0 to plane_11) |" in page(outputs=(replace(LABELS, channels=tuple(f"plane_{n}" for n in range(12))),))


def test_people_licence_and_papers_are_named(page):
    text = page()
    assert "- Ada Author, Institute" in text
    assert "Licence: BSD-3-Clause." in text
    assert "- A paper, https://doi.org/10.5281/zenodo.1234567" in text
