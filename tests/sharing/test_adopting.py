"""Other people's bundles: inside the adopted network their numbers are those of bioimageio.core, and what cannot be had is refused."""

import json
import warnings

import numpy as np
import pytest
import torch
import yaml
from foreign import Draft, good
from loguru import logger
from makes import MAKES, draft

from zooready.bundle.reading import opened
from zooready.bundle.renewing import renewed
from zooready.bundle.writing import identity
from zooready.cli import main
from zooready.consumers import sandbox_worker
from zooready.errors import BundleInvalid, InputInvalid, OutputsDiffer
from zooready.images.files import write_image
from zooready.nets.adopted import Grid, arranged
from zooready.records import Image
from zooready.sharing import originals
from zooready.sharing.adopting import adopted, origin
from zooready.sharing.crediting import cautions, credited
from zooready.sharing.foreign_networks import network_of
from zooready.sharing.surrounding import surroundings


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tensors_of(result):
    return (result,) if isinstance(result, torch.Tensor) else result


def reordered(array, tensor):
    """An array with a description's axes as b, c, (z,) y, x."""
    wanted = "".join(axis for axis in "bczyx" if axis in tensor.axes or axis in "bc")
    return arranged(torch.from_numpy(array.astype(np.float32)), tensor.axes, wanted)


def test_a_description_is_read_without_lines_of_another_program_s_log(tmp_path):
    lines = []
    sink = logger.add(lines.append)
    try:
        with opened(good().write(tmp_path / "theirs.zip")) as original:
            assert renewed(original).inputs[0].axes == "bcyx"
    finally:
        logger.remove(sink)
    assert lines == []


@pytest.mark.parametrize("name", MAKES)
def test_with_everything_inside_the_network_gives_what_bioimageio_predicts(name, tmp_path):
    with opened(draft(MAKES[name]).write(tmp_path / "theirs.zip"), trust_code=True) as original:
        bundle = renewed(original)
        around = surroundings(bundle)
        module = around.around(network_of(bundle, next(iter(bundle.formats))), around.grids).eval()
        image = reordered(bundle.cases[0].input, around.input)
        with torch.no_grad():
            outputs = tensors_of(module(image))
            odd = tensors_of(module(image[..., : 41 if around.grids else None, : 43 if around.grids else None]))
    for output, expected, tensor, lost in zip(outputs, bundle.cases[0].outputs, around.outputs, around.offsets, strict=True):
        wanted = reordered(expected, tensor)
        if margin := lost.get("y"):
            output = output[..., margin:-margin, margin:-margin]
        spread = float(wanted.max() - wanted.min())
        assert spread > 1e-3, "the test sees nothing"
        assert output.dtype == torch.float32
        assert float((output - wanted).abs().max()) <= 3e-6 * spread
    if around.grids and "y" in around.outputs[0].axes:
        longest = image.shape[-2:]
        assert odd[0].shape[-2:] == (min(41, longest[0]), min(43, longest[1]))


@pytest.mark.parametrize("name", ["camera", "stack"])
def test_statistics_of_a_data_set_are_those_of_each_image_by_itself(name, tmp_path):
    with opened(draft(MAKES[name]).write(tmp_path / "theirs.zip")) as original:
        bundle = renewed(original)
        around = surroundings(bundle)
        module = around.around(network_of(bundle, "torchscript"), around.grids).eval()
        core = sandbox_worker.bioimageio({"bundle": str(original.folder / "rdf.yaml"), "weights": "torchscript"})
        for image in originals.images_of(bundle, around)[:2]:
            (expected,) = core(image)
            with torch.no_grad():
                (output,) = tensors_of(module(reordered(image, around.input)))
            assert float((output - reordered(expected, around.outputs[0])).abs().max()) <= 3e-6 * float(np.ptp(expected))
        assert ["those of each image by itself" in caution for caution in cautions(bundle)] == [True]


def test_lengths_grow_to_the_next_that_the_network_takes():
    for grid, length, whole in (
        (Grid(8, 4), 1, 8),
        (Grid(8, 4), 8, 8),
        (Grid(8, 4), 9, 12),
        (Grid(16, 1, 4, 4), 40, 48),
        (Grid(3, 5), 9, 13),
    ):
        assert grid.lead + length + grid.behind(length) == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet-torchscript", "onnx-0.4"])
def test_an_adopted_bundle_has_the_numbers_of_the_original_and_its_authors(name, tmp_path, capsys):
    source = draft(MAKES[name]).write(tmp_path / "theirs.zip")
    assert main(["adopt", str(source), "-o", str(tmp_path / "ours.zip"), "--in", "torch"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("from what bioimageio.core gives for the original") == 4
    with opened(tmp_path / "ours.zip") as bundle:
        assert not any(tensor.operators for tensor in (*bundle.inputs, *bundle.outputs))
        assert (bundle.name, bundle.credits["authors"]) == (
            "Nuclei (of a stranger)",
            [{"name": "Ada Stranger", "affiliation": "Somewhere"}],
        )
        rdf = yaml.safe_load((bundle.folder / "rdf.yaml").read_text())
        page = (bundle.folder / "README.md").read_text()
    assert rdf["parent"] == {"id": "brave-otter"}
    assert rdf["config"]["zooready"]["adopted"]["name"] == "Nuclei (of a stranger)"
    assert "For nuclei in fluorescence images." in page
    assert "nothing is claimed" in page
    assert "https://doi.org/10.5281/zenodo.7654321" in page
    other = draft(MAKES[name], seed=1).write(tmp_path / "other.zip")
    with opened(other) as original, pytest.raises(OutputsDiffer, match="are not those that bioimageio.core gives for the original"):
        originals.compared(
            renewed(original), original, "torchscript" if "torchscript" in original.formats else "onnx", tmp_path / "ours.zip"
        )


def changed(**changes) -> Draft:
    """The first make with other entries in its description."""
    bundle = draft(MAKES["unet-torchscript"])
    bundle.rdf = {**bundle.rdf, **changes}
    return bundle


def test_bundles_without_an_author_or_a_licence_are_refused(tmp_path):
    path = changed(authors=[], license="").write(tmp_path / "theirs.zip")
    with opened(path) as bundle, pytest.raises(BundleInvalid, match="names no author and no licence, so nobody may pass it on"):
        credited(bundle)


@pytest.mark.parametrize(("id", "name"), [("nuclei-2d", "Nuclei 2D adopted"), ("brave-otter", "Nuclei 2D")])
def test_a_bundle_that_is_called_by_its_name_does_not_become_its_own_parent(tmp_path, id, name):
    with opened(changed(name="Nuclei: 2D", id=id).write(tmp_path / "theirs.zip")) as original:
        about = credited(original)
    assert (about.name, about.parent) == (name, id)
    assert identity(about.name) != about.parent


def test_the_facts_of_a_bundle_come_along(tmp_path):
    cite = [
        {"text": "one", "doi": "10.5281/zenodo.1"},
        {"text": "two", "url": "https://doi.org/10.1000/xyz"},
        {"text": "three", "url": "https://a.b"},
    ]
    bundle = changed(name="Nuclei: 2D/DAPI", cite=cite, covers=["cover.png"], authors=[{"name": "A", "github_user": "a"}])
    write_image(Image(array=np.zeros((40, 80), np.uint8), axes="yx"), tmp_path / "cover.tif")
    from PIL import Image as Pillow

    Pillow.new("RGB", (1200, 600), "red").save(tmp_path / "cover.png")
    bundle.files["cover.png"] = (tmp_path / "cover.png").read_bytes()
    with opened(bundle.write(tmp_path / "theirs.zip")) as original:
        about = credited(original)
        assert about.cover is not None
        assert about.cover.name == "cover.png"
    assert (about.name, about.parent, about.license) == ("Nuclei 2D DAPI", "brave-otter", "MIT")
    assert about.authors == ({"name": "A"},)
    assert about.cite == (("one", "10.5281/zenodo.1"), ("two", "10.1000/xyz"))
    assert "three https://a.b" in about.documentation


@pytest.mark.parametrize(
    ("steps", "is_normalised"),
    [
        ([], False),
        ([{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}, {"id": "clip", "kwargs": {"min": 0.0, "max": 5.0}}], False),
        ([{"id": "scale_linear", "kwargs": {"gain": 0.1}}], True),
    ],
    ids=["no step", "no normalisation", "one"],
)
def test_whether_the_original_normalises_is_read_from_its_steps(steps, is_normalised, tmp_path):
    bundle = draft(MAKES["unet-torchscript"])
    bundle.rdf["inputs"][0]["preprocessing"] = steps
    with opened(bundle.write(tmp_path / "theirs.zip")) as original:
        assert origin(original, "torchscript")["normalises"] is is_normalised
        said = cautions(renewed(original))
        assert any("names no normalisation" in caution for caution in said) is not is_normalised
        assert all(caution[1:] in credited(original, said).documentation for caution in said)


def distance(rdf):
    """A second input, of one number."""
    return {
        **rdf["inputs"][0],
        "id": "second",
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["z"]}],
        "preprocessing": [],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rdf: rdf["inputs"].append(distance(rdf)),
            r"takes 2 inputs \(image, second\), and DeepImageJ opens one image",
        ),
        (lambda rdf: rdf["outputs"][0]["axes"][2].update(scale=0.5), "bioimageio.spec does not understand|another size than the image"),
        (
            lambda rdf: rdf["inputs"][0]["axes"].pop(0),
            "no axis for the batch cannot be brought to Fiji|bioimageio.spec does not understand",
        ),
    ],
    ids=["two inputs", "another scale", "no batch"],
)
def test_what_fiji_cannot_have_is_refused_with_the_cause(change, message, tmp_path):
    bundle = draft(MAKES["unet-torchscript"])
    change(bundle.rdf)
    with opened(bundle.write(tmp_path / "theirs.zip")) as original, pytest.raises(BundleInvalid, match=message):
        surroundings(renewed(original))


def test_several_inputs_are_refused_by_the_command_in_one_sentence(tmp_path, capsys):
    bundle = draft(MAKES["unet-torchscript"])
    bundle.rdf["inputs"].append(distance(bundle.rdf))
    assert main(["adopt", str(bundle.write(tmp_path / "theirs.zip")), "-o", str(tmp_path / "ours.zip")]) == 2
    printed = capsys.readouterr()
    said = " ".join((printed.out + printed.err).split())
    assert "theirs.zip takes 2 inputs (image, second), and DeepImageJ opens one image" in said
    assert not (tmp_path / "ours.zip").exists()


def test_python_of_a_stranger_runs_only_when_it_is_trusted(tmp_path):
    path = draft(MAKES["careamics"]).write(tmp_path / "theirs.zip")
    with pytest.raises(
        InputInvalid, match="holds a state dict only, which runs the bundle's own Python: read it, then use trust_code=True"
    ):
        adopted(path, tmp_path / "ours.zip")
    with pytest.raises(InputInvalid, match="Read it, then use trust_code=True"):
        adopted(path, tmp_path / "ours.zip", format="state_dict")
    with pytest.raises(InputInvalid, match="has no onnx weights: choose from state_dict"):
        adopted(path, tmp_path / "ours.zip", format="onnx")
    assert not (tmp_path / "ours.zip").exists()


def test_a_network_that_cannot_be_had_is_refused_with_its_reason_and_writes_nothing(tmp_path):
    bundle = draft(MAKES["onnx-unet"])
    bundle.files["weights.onnx"] = json.dumps({"no": "graph"}).encode()
    with pytest.raises(Exception, match=r"theirs.zip cannot be brought to Fiji. onnx: adopting the onnx: "):
        adopted(bundle.write(tmp_path / "theirs.zip"), tmp_path / "ours.zip")
    assert not (tmp_path / "ours.zip").exists()


def test_whatever_is_added_by_bioimageio_is_read(tmp_path):
    bundle = draft(MAKES["monai"])
    bundle.rdf["inputs"][0]["preprocessing"] = []
    with opened(bundle.write(tmp_path / "theirs.zip")) as original:
        assert [step.name for step in original.inputs[0].operators] == []
        assert [(step.name, step.kwargs["dtype"]) for step in renewed(original).inputs[0].operators] == [("ensure_dtype", "uint8")]
