"""The zoo's form of a bundle, and what its reviewers would send back of one that is changed."""

import copy
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from networks import ABOUT, Several
from PIL import Image

import zooready
from zooready.bundle import zoo_readme
from zooready.bundle.naming import with_id
from zooready.bundle.reading import opened
from zooready.bundle.zoo_readme import HEADINGS, lacking
from zooready.errors import InputInvalid
from zooready.evaluation import cards
from zooready.families import FAMILIES, load_record, shipped
from zooready.records import Measured
from zooready.sharing.zoo_rules import FILES, objections
from zooready.tensors import TensorSpec


@pytest.fixture
def unpacked(for_zoo, tmp_path):
    """Its folder, the description as a mapping, and what reviewers say once the description is written back."""
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(for_zoo, folder)
    rdf = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))

    def faults():
        (folder / "rdf.yaml").write_text(yaml.safe_dump(rdf, sort_keys=False), encoding="utf-8")
        with opened(folder) as bundle:
            return list(objections(bundle))

    return folder, rdf, faults


def test_nothing_stands_against_what_was_exported_for_it(unpacked):
    folder, _, faults = unpacked
    assert faults() == []
    assert len(list(folder.iterdir())) == FILES


def test_it_has_no_id_and_no_sample_and_the_first_weights_are_the_parent_of_the_others(unpacked):
    _, rdf, _ = unpacked
    assert "id" not in rdf
    assert not any("sample_tensor" in tensor for tensor in (*rdf["inputs"], *rdf["outputs"]))
    assert [(key, entry.get("parent")) for key, entry in rdf["weights"].items()] == [
        ("pytorch_state_dict", None),
        ("torchscript", "pytorch_state_dict"),
        ("onnx", "pytorch_state_dict"),
    ]
    assert rdf["maintainers"] == [{"github_user": "ada-example"}]


def test_its_page_has_the_headings_with_the_authors_own_words(unpacked):
    text = (unpacked[0] / "README.md").read_text(encoding="utf-8")
    assert lacking(text) == []
    assert "\n## Validation\n\nWords on it.\n" in text
    assert "Pixels of 0.2 to 0.5 µm" in text


def test_what_the_author_says_of_the_voxel_size_stands_there_alone(for_zoo):
    with opened(for_zoo) as bundle:
        facts = {"measured": Measured(stride=1, minimum=1, halo=1, outputs=("bcyx",), channels=(1,)), "cases": bundle.cases, "weights": ()}
    own = replace(ABOUT, documentation="## Voxel size\n\nAny.", pixel_size_um=(0.2, 0.5))
    tensor = TensorSpec(name="image", axes="bcyx", channels=("grey",))
    for about, words in ((own, "Any."), (replace(own, documentation=""), "Pixels of 0.2 to 0.5 µm: rescale other images first.")):
        text = zoo_readme.page(about, tensor, (tensor,), unavailable={}, provenance={}, **facts)
        assert re.findall(r"## Voxel size\n\n(.+)", text) == [words]


def test_its_cover_is_twice_as_wide_as_high_with_a_scale_bar(unpacked):
    cover = np.asarray(Image.open(unpacked[0] / "cover.png"))
    assert cover.shape[:2] == (400, 800)
    assert (cover[384, 346:386] == 255).all()  # 90 px of 0.2 um in 400 px: 2 um are 44 px
    assert (unpacked[0] / "cover.png").stat().st_size < 500_000


def change_id(folder, rdf):
    rdf["id"] = "nuclei"


def change_outputs(folder, rdf):
    rdf["outputs"].append({**copy.deepcopy(rdf["outputs"][0]), "id": "second"})


def change_sample(folder, rdf):
    rdf["inputs"][0]["sample_tensor"] = {"source": rdf["inputs"][0]["test_tensor"]["source"]}


def change_files(folder, rdf):
    (folder / "macro.ijm").write_text("run();")


def change_parent(folder, rdf):
    del rdf["weights"]["onnx"]["parent"]


def change_order(folder, rdf):
    rdf["weights"] = dict(reversed(rdf["weights"].items()))


def change_import(folder, rdf):
    (folder / "architecture.py").write_text("import monai.networks\n")
    del rdf["weights"]["pytorch_state_dict"]["architecture"]["sha256"]


def change_page(folder, rdf):
    text = (folder / "README.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(text.replace("## Validation", "## Quality"), encoding="utf-8")


def change_shape(folder, rdf):
    Image.new("RGB", (300, 400)).save(folder / "cover.png")


def change_size(folder, rdf):
    noise = np.random.default_rng(0).integers(0, 255, (500, 1000, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "cover.png")


def change_cover(folder, rdf):
    rdf["covers"] = []


def change_authors(folder, rdf):
    rdf["authors"] = [{"name": "the authors"}]


def change_maintainers(folder, rdf):
    del rdf["maintainers"]


def change_cite(folder, rdf):
    rdf["cite"] = [{"text": "a page", "url": "https://example.org"}]


def change_licence(folder, rdf):
    del rdf["license"]


def change_tags(folder, rdf):
    rdf["tags"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_id, "the zoo gives a model its id itself"),
        (change_outputs, "it has 2 outputs, and the zoo's checks take one"),
        (change_sample, "image has a sample beside the test tensor"),
        (change_files, "it holds 10 files, and reviewers ask for 9 at most"),
        (change_parent, "onnx names no parent"),
        (change_order, "its first weights are onnx: put the state dict first"),
        (change_import, "the network's code imports monai"),
        (change_page, "its page says nothing under ## Validation"),
        (change_shape, "is 0.75 times as wide as high"),
        (change_size, "bytes, and the zoo takes less than 500000"),
        (change_cover, "it has no cover"),
        (change_authors, "none of its authors can be asked"),
        (change_maintainers, "it names no maintainers"),
        (change_cite, "it cites nothing with a DOI"),
        (change_licence, "it has no licence"),
        (change_tags, "it has no tags"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_every_demand_is_told_when_it_is_not_met(unpacked, change, said):
    folder, rdf, faults = unpacked
    change(folder, rdf)
    assert any(said in fault for fault in faults()), faults()


def test_the_same_bundle_with_an_id_has_everything_else_as_it_was(for_zoo, tmp_path):
    with opened(for_zoo) as bundle:
        named = with_id(bundle, tmp_path / "named.zip")
        files = {file.name for file in bundle.folder.iterdir()}
    with opened(named) as again:
        assert again.id == "nuclei-test"
        assert {file.name for file in again.folder.iterdir()} == files


def test_several_outputs_are_refused_with_their_names(tmp_path):
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    with pytest.raises(InputInvalid, match=r"the zoo takes one output, and this network gives output_0, output_1: keep one"):
        zooready.export(Several(), image, ABOUT, tmp_path / "a.zip", form="zoo")


@pytest.mark.parametrize("name", shipped())
def test_the_card_of_every_shipped_model_fills_the_sections(name):
    sections = cards.zoo_sections(FAMILIES[name], load_record(name))
    is_of_any_size = name in ("segmentation3d", "spots", "mrbcr3d-confocal")  # the others state a range of pixel sizes or of blur
    of_any_size = ["Voxel size"] if is_of_any_size else []
    assert list(sections) == ["Intended Use", "Validation", "Limitations and biases", "Training data", *of_any_size]
    assert "| this network |" in sections["Validation"] or "| method |" in sections["Validation"]
    assert set(sections) < set(HEADINGS)


def test_a_run_has_its_held_out_numbers_under_validation():
    record = {"metrics": {"psnr": 30.5, "ssim": 0.9}, "data": "my images"}
    sections = cards.zoo_sections(FAMILIES["mrbcr"], record)
    assert "| this network | 30.500 | 0.900 |" in sections["Validation"]
    assert "on held-out images" in sections["Validation"]
    alone = cards.zoo_sections(FAMILIES["mrbcr"], {**record, "has_held_out": False})["Validation"]
    assert "Measured on the one image that it was trained on, during training." in alone
    assert sections["Training data"] == "Trained on my images."
    assert "Intended Use" not in sections
