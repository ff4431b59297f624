"""`zooready data`: list, explain, look through."""

import numpy as np
import pytest
import tifffile

from zooready import cli
from zooready.commands import data as command
from zooready.data import SETS, folds, read_classes, share
from zooready.errors import InputInvalid


def said(capsys, *words):
    code = cli.main(["data", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_without_a_name_all_sets_are_listed(capsys):
    code, text = said(capsys)
    assert code == 0
    assert all(name in text for name in SETS)


def test_a_name_alone_is_explained(capsys):
    code, text = said(capsys, "yeast")
    assert code == 0
    assert "DIR/HOwt_train.txt" in text
    assert "contradicted by its own confusion matrix" in text


def test_a_set_is_counted_and_what_differs_is_noted(capsys, tmp_path, save):
    for number, name in enumerate(SETS["cho"].classes, 1):
        for image in range(number):
            save(tmp_path / name / f"{image}.tif")
    code, text = said(capsys, "cho", tmp_path)
    assert code == 0
    lines = [line.split() for line in text.splitlines()]
    assert all([name, str(number)] in lines for number, name in enumerate(SETS["cho"].classes, 1))
    assert "sizes: 40x30 px (15)" in text
    assert "note: 15 images, and CHO has 327. The published value is not confirmed." in text
    assert "fault" not in text


def test_faults_are_told_and_the_exit_code_says_so(capsys, yeast):
    (yeast / "main" / "plate01" / "000-0.png").write_bytes(b"nothing")
    code, text = said(capsys, "yeast", yeast)
    assert code == 2
    assert "000-0.png is not a TIFF, PNG or JPEG" in text
    assert "fault: 59 images, and Yeast (DeepYeast) has 90000." in text
    assert ["list", "val", "12"] in [line.split() for line in text.splitlines()]
    assert "channels: mCherry, GFP" in text


def test_ones_own_classes_are_looked_through(capsys, labelled_folder):
    (labelled_folder / "er" / "0.tif").write_bytes(b"")
    code, text = said(capsys, labelled_folder)
    assert code == 2
    assert ["er", "4"] in [line.split() for line in text.splitlines()]
    assert "0.tif is empty (0 bytes)" in text


def test_ones_own_images_with_partners_are_looked_through(capsys, tmp_path, save):
    for kind in ("images", "masks"):
        for number in range(3):
            save(tmp_path / kind / f"{number}.tif", (40, 40))
    save(tmp_path / "masks" / "1.tif", (40, 41))
    tifffile.imwrite(tmp_path / "images" / "2.tif", np.where(np.eye(40) > 0, 65535, 7).astype(np.uint16))
    code, text = said(capsys, tmp_path)
    assert code == 2
    assert ["pairs", "2"] in [line.split() for line in text.splitlines()]
    assert "fault: images/1.tif and masks/1.tif differ in size (40x40 and 40x41 px)" in text
    assert "note: images/2.tif is saturated: 2.5 % of its pixels" in text


def test_ones_own_pairs_in_npz_are_looked_through(capsys, tmp_path):
    for part, count in (("train", 3), ("val", 1)):
        np.savez(tmp_path / f"{part}.npz", w=np.random.default_rng(0).random((count, 40, 40)), gt=np.ones((count, 40, 40)))
    for words in (["storm", tmp_path], [tmp_path]):
        code, text = said(capsys, *words)
        assert code == 0
        lines = [line.split() for line in text.splitlines()]
        assert ["pairs", "4"] in lines
        assert ["list", "train", "3"] in lines
        assert ["list", "held", "out", "1"] in lines
        assert "note: the target of train.npz[2] is blank: every pixel is 1.0." in text


def test_what_is_no_data_is_refused_with_the_layouts(tmp_path):
    with pytest.raises(InputInvalid, match="no images/, npz files, cells of BioSR or folders of classes: see docs/data.md"):
        command.data(str(tmp_path))
    (tmp_path / "images").mkdir()
    with pytest.raises(InputInvalid, match=r"has images/ but no partner folder: add masks/ or truth/"):
        command.data(str(tmp_path))
    with pytest.raises(InputInvalid, match="'nowhere' is neither a data set nor a folder"):
        command.data("nowhere")


def test_an_unknown_set_is_refused_with_those_that_exist(capsys):
    code, text = said(capsys, "helo")
    assert code == 2
    assert "no data set is called 'helo': choose from hela, cho" in text


def test_the_papers_splits_are_written_for_other_programs(capsys, labelled_folder, tmp_path):
    for number in range(4, 10):
        tifffile.imwrite(
            labelled_folder / "er" / f"{number + 10}.tif", np.random.default_rng(number).integers(0, 99, (9, 9)).astype(np.uint8)
        )
    code, text = said(capsys, labelled_folder, "--splits", tmp_path / "splits.csv", "--seed", 3)
    assert (code, text.splitlines()[-1]) == (0, str(tmp_path / "splits.csv"))
    lines = [line.split(",") for line in (tmp_path / "splits.csv").read_text().splitlines()]
    shares = [f"{n}-{100 - n}-run-01" for n in (90, 80, 70, 60, 50)]
    assert lines[0] == ["image", "class", *(f"fold-{n:02d}" for n in range(1, 11)), *shares]
    images = read_classes(labelled_folder)
    assert [(line[0], line[1]) for line in lines[1:]] == [(n, images.classes[k]) for n, k in zip(images.names, images.labels, strict=True)]
    for place, line in enumerate(lines[1:]):
        assert line[2:12].count("test") == 1
        assert line[2] == ("test" if place in folds(images.labels, 10, 3)[0].held_out else "train")
        assert line[16] == ("test" if place in share(images.labels, 0.5, 3).held_out else "train")


def test_published_lists_are_the_splits_and_validation_is_neither(capsys, yeast, tmp_path):
    said(capsys, "yeast", yeast, "--splits", tmp_path / "splits.csv")
    lines = [line.split(",") for line in (tmp_path / "splits.csv").read_text().splitlines()]
    assert lines[0] == ["image", "class", "published"]
    assert [[line[2] for line in lines].count(word) for word in ("train", "test", "")] == [36, 12, 12]


def test_pairs_have_no_splits_to_write(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones((1, 40, 40)), gt=np.ones((1, 40, 40)))
    for words in (("storm", tmp_path), (str(tmp_path), None)):
        with pytest.raises(InputInvalid, match="only images with classes are split"):
            command.data(*words, splits=tmp_path / "splits.csv")


def test_stacks_are_counted_by_size_and_equal_partners_are_noted(capsys, tmp_path):
    rng = np.random.default_rng(0)
    stacks = [rng.integers(0, 999, (9, 64, 70)).astype(np.uint16) for _ in range(2)]
    for kind in ("images", "truth"):
        (tmp_path / kind).mkdir()
        for number, stack in enumerate(stacks):
            sharp = stack + 1 if (kind, number) == ("truth", 1) else stack
            tifffile.imwrite(tmp_path / kind / f"{number}.tif", sharp, imagej=True, metadata={"axes": "ZYX"})
    code, text = said(capsys, tmp_path)
    assert code == 0
    assert "images/ and truth/, for mrbcr3d, mrbcr3d-confocal" in text
    assert "sizes: 70x64x9 px (2)" in text
    assert text.count("its partner are equal") == 1
    assert "0.tif and its partner are equal, so that there is nothing to learn from them." in " ".join(text.split())
