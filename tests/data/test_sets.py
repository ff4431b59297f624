"""The public sets, on tiny files in the layouts in which they are published."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from zooready.data import SETS, examine_pairs, examine_set, named_set, read_set, where
from zooready.data.layouts import HELA_ANTIBODIES, key
from zooready.errors import InputInvalid
from zooready.families.mrbcr import pair_of

PROTEINS = [data for data in SETS.values() if data.classes]


@pytest.mark.parametrize("data", PROTEINS, ids=lambda data: data.name)
def test_every_set_reads_a_folder_a_class(tmp_path, save, data):
    for name in data.classes:
        for number in range(2):
            save(tmp_path / name / f"{number}.png", (64, 64, 3) if data.has_more else (64, 64), "uint8")
    images = examine_set(data, tmp_path)
    assert images.counts == dict.fromkeys(data.classes, 2)
    assert images.channels == data.channels
    assert images.arrays[0].shape == (len(data.channels), 64, 64)


def test_the_numbers_of_classes_are_the_published_ones():
    assert {data.name: len(data.classes) for data in PROTEINS} == {
        "hela": 10,
        "cho": 5,
        "locate-endogenous": 10,
        "locate-transfected": 11,
        "yeast": 12,
    }
    assert len(SETS) == len(PROTEINS) + 5


def test_every_other_name_and_antibody_belongs_to_a_class():
    for data in PROTEINS:
        assert set(data.other_names.values()) <= set(data.classes)
        assert all(name == key(name) for name in data.other_names)
    assert set(HELA_ANTIBODIES.values()) == set(named_set("hela").classes)


def test_hela_by_antibody_takes_proteins_and_the_nuclei_of_dapi(tmp_path, save):
    folders = {"r06aug97.h9b2dap": "dna", "mc151.x": "mitochondria", "tubul": "microtubules", "phal": "actin"}
    kept = {}
    for folder in folders:
        kept[folder] = {part: save(tmp_path / "HeLa" / folder / part / "c1.png") for part in ("prot", "dna")}
    images = examine_set(named_set("hela"), tmp_path)
    by_class = {images.classes[label]: array[0] for label, array in zip(images.labels, images.arrays, strict=True)}
    assert set(by_class) == set(folders.values())
    for folder, name in folders.items():
        np.testing.assert_array_equal(by_class[name], kept[folder]["dna" if name == "dna" else "prot"])
    assert images.names[0].startswith("HeLa/")


def test_hela_as_iicbu_unpacks_it_lies_one_folder_deeper(tmp_path, save):
    for name in named_set("hela").classes:
        save(tmp_path / "hela" / name / "a.TIF")
    assert examine_set(named_set("hela"), tmp_path).counts == dict.fromkeys(named_set("hela").classes, 1)


def test_cho_goes_by_its_stains(tmp_path, save):
    for name in ("giantin", "hoechst", "lamp2", "nop4", "tubulin"):
        save(tmp_path / name / "deep" / "prot" / "a.tif")
        save(tmp_path / name / "deep" / "dna" / "a.tif")
    images = examine_set(named_set("cho"), tmp_path)
    assert images.counts == {"golgi": 1, "dna": 1, "lysosome": 1, "nucleolus": 1, "cytoskeleton": 1}
    assert all("/prot/" in name for name in images.names)


def test_locate_takes_proteins_by_name_and_nuclei_where_there_is_no_protein(tmp_path, save):
    for number, tag in enumerate(("Endosomes", "Golgi", "Actin-Cytoskeleton", "PM")):
        for stain in ("myc", "dapi"):
            save(tmp_path / f"{number:06d}_01_NOMX_{tag}_{stain}.tif")
    save(tmp_path / "000009_02_NOMX_Nuclear_DAPI_dapi.tif")
    save(tmp_path / "overview.tif")
    images = examine_set(named_set("locate-endogenous"), tmp_path)
    assert {images.classes[label]: name for label, name in zip(images.labels, images.names, strict=True)} == {
        "endosome": "000000_01_NOMX_Endosomes_myc.tif",
        "golgi": "000001_01_NOMX_Golgi_myc.tif",
        "actin": "000002_01_NOMX_Actin-Cytoskeleton_myc.tif",
        "pm": "000003_01_NOMX_PM_myc.tif",
        "nucleus": "000009_02_NOMX_Nuclear_DAPI_dapi.tif",
    }
    assert any("1 image not named like" in note for note in images.notes)


def test_locate_in_class_folders_leaves_the_nuclei_out(tmp_path, save):
    for stain in ("myc", "dapi"):
        save(tmp_path / "Endogenous" / "Golgi" / f"000001_01_NOMX_Golgi_{stain}.tif")
        save(tmp_path / "Endogenous" / "Er" / f"000001_01_NOMX_ER_{stain}.tif")
    images = examine_set(named_set("locate-endogenous"), tmp_path)
    assert [name.split("/")[-1] for name in images.names] == ["000001_01_NOMX_ER_myc.tif", "000001_01_NOMX_Golgi_myc.tif"]


def test_a_class_that_locate_does_not_have_is_named(tmp_path, save):
    save(tmp_path / "000001_01_NOMX_Golgi_myc.tif")
    save(tmp_path / "000001_01_NOMX_Chloroplast_myc.tif")
    images = examine_set(named_set("locate-transfected"), tmp_path)
    assert "000001_01_NOMX_Chloroplast_myc.tif: 'Chloroplast' is none of the classes actin, cytoplasm" in images.faults[0]
    assert images.counts["golgi"] == 1


def test_yeast_goes_by_its_lists_and_takes_two_channels(yeast):
    images = examine_set(named_set("yeast"), yeast)
    assert {name: len(members) for name, members in images.lists.items()} == {"train": 36, "val": 12, "test": 12}
    assert sorted(number for members in images.lists.values() for number in members) == list(range(60))
    for name in ("train", "test"):
        for line, number in zip((yeast / f"HOwt_{name}.txt").read_text().splitlines(), images.lists[name], strict=True):
            path, label = line.split()
            assert images.names[number] == path
            assert images.labels[number] == int(label)
            np.testing.assert_array_equal(images.arrays[number], np.moveaxis(np.asarray(Image.open(yeast / "main" / path))[..., :2], -1, 0))
    assert images.channels == ("mCherry", "GFP")


def test_the_third_channel_of_yeast_is_not_looked_at_and_an_image_without_a_second_is_a_fault(yeast):
    path = yeast / "main" / "plate01" / "000-0.png"
    array = np.asarray(Image.open(path)).copy()
    array[..., 2] = 0
    Image.fromarray(array).save(path)
    Image.fromarray(array[..., 0]).save(yeast / "main" / "plate01" / "001-0.png")
    images = examine_set(named_set("yeast"), yeast)
    assert not any("blank" in note for note in images.notes)
    assert "plate01/001-0.png has 1 channel, and 2 are expected: split or merge channels first" in images.faults


def test_lines_of_lists_that_mean_no_image_are_named(yeast):
    with (yeast / "HOwt_val.txt").open("a") as file:
        file.write(
            "plate01/000-0.png 0\n../../secret.png 1\n/etc/passwd 1\nplate01/000-0.png twelve\nplate09/none.png 3\nplate01/x.png 12\n"
        )
    (yeast / "HOwt_test.txt").unlink()
    images = examine_set(named_set("yeast"), yeast)
    for words in (
        "HOwt_test.txt is missing beside the other lists",
        "HOwt_val.txt, line 13: 'plate01/000-0.png' was listed before",
        "HOwt_val.txt, line 14: '../../secret.png' leads out of the folder",
        "HOwt_val.txt, line 15: '/etc/passwd' leads out of the folder",
        "HOwt_val.txt, line 16: 'plate01/000-0.png twelve' is not a path and a class from 0 to 11",
        "HOwt_val.txt, line 18: 'plate01/x.png 12' is not a path and a class from 0 to 11",
        "plate09/none.png",
    ):
        assert sum(words in fault for fault in images.faults) == 1, (words, images.faults)


def test_counts_that_are_confirmed_are_faults_and_others_are_notes(tmp_path, yeast, save):
    images = examine_set(named_set("yeast"), yeast)
    assert "60 images, and Yeast (DeepYeast) has 90000." in images.faults
    assert "36 images in the list 'train', and Yeast (DeepYeast) has 65000." in images.faults
    assert not any("64x64" in fault for fault in images.faults)
    save(yeast / "main" / "plate01" / "000-0.png", (60, 64, 3), "uint8")
    assert any(
        "1 of 60 images are not 64x64 px, e.g. plate01/000-0.png is 64x60." in f for f in examine_set(named_set("yeast"), yeast).faults
    )
    for name in named_set("hela").classes[1:]:
        save(tmp_path / "hela" / name / "a.tif")
    images = examine_set(named_set("hela"), tmp_path / "hela")
    assert images.faults == ("No images of actin: 2D HeLa has 10 classes.",)
    assert "9 images, and 2D HeLa has 862. The published value is not confirmed." in images.notes
    assert any("9 of 9 images are not 382x382 px, e.g. dna/a.tif is 40x30." in note for note in images.notes)


def test_to_train_on_files_must_be_whole_but_their_number_may_differ(yeast):
    images = read_set(named_set("yeast"), yeast)
    assert images.faults == ()
    assert "60 images, and Yeast (DeepYeast) has 90000." in images.notes
    (yeast / "main" / "plate01" / "003-0.png").write_bytes(b"")
    with pytest.raises(InputInvalid, match=r"(?s)Repair or remove these files:.*003-0.png is empty"):
        read_set(named_set("yeast"), yeast)


def test_strange_folders_are_left_out_with_a_note(tmp_path, save):
    save(tmp_path / "Golgi" / "a.tif")
    save(tmp_path / "leftovers" / "a.tif")
    (tmp_path / "DNA").mkdir()
    images = examine_set(named_set("cho"), tmp_path)
    assert "leftovers/ is none of the classes and was left out (1 image)." in images.notes
    assert "DNA/ holds no images: put TIFF, PNG or JPEG files there" in images.faults


def test_what_is_no_set_is_refused(tmp_path, save):
    with pytest.raises(InputInvalid, match="no data set is called 'helo': choose from hela, cho"):
        named_set("helo")
    with pytest.raises(InputInvalid, match=r"there is no folder .*none: CHO is at http://murphylab"):
        examine_set(named_set("cho"), tmp_path / "none")
    with pytest.raises(
        InputInvalid, match="has no folder named after a class .it holds no folders.: give one folder per class: golgi, dna"
    ):
        examine_set(named_set("cho"), tmp_path)
    with pytest.raises(InputInvalid, match="dSTORM and wide-field holds pairs of images, not classes: train mrbcr on it"):
        examine_set(named_set("storm"), tmp_path)


def test_pairs_are_read_where_they_are_and_the_address_is_told_where_not(tmp_path):
    with pytest.raises(InputInvalid, match=r"there is no .*none: Wide-field and confocal is at https://rodare.hzdr.de/record/2668"):
        examine_pairs(named_set("confocal"), tmp_path / "none", pair_of)
    with pytest.raises(InputInvalid, match="no address of dSTORM and wide-field is known"):
        examine_pairs(named_set("storm"), tmp_path / "none", pair_of)
    np.savez(tmp_path / "test_storm.npz", w=np.ones((2, 64, 64, 1)), gt=np.ones((2, 64, 64, 1)))
    assert len(examine_pairs(named_set("storm"), tmp_path, pair_of).pairs) == 2


@pytest.mark.parametrize("data", SETS.values(), ids=lambda data: data.name)
def test_every_set_says_what_where_and_how(data):
    text = "\n".join(data.explained())
    assert data.about in text
    assert all(line in text for line in data.layout.splitlines())
    assert all(address in text and address in where(data) for address in data.addresses)
    assert data.addresses or "No address is known" in text
    assert ("not confirmed" in text) == any(getattr(data, fact) and fact not in data.confirmed for fact in ("images", "size"))
    assert f"zooready data {data.name} DIR" in text


def test_a_damaged_image_of_a_set_is_named_and_the_others_are_read(tmp_path, save):
    for name in named_set("cho").classes:
        save(tmp_path / name / "a.tif")
        save(tmp_path / name / "b.tif")
    tifffile.imwrite(tmp_path / "dna" / "b.tif", np.full((5, 5), np.inf, np.float32))
    images = examine_set(named_set("cho"), tmp_path)
    assert len(images.faults) == 1
    assert "b.tif has 25 pixels of NaN or infinity" in images.faults[0]
    assert images.counts == {"golgi": 2, "dna": 1, "lysosome": 2, "nucleolus": 2, "cytoskeleton": 2}
