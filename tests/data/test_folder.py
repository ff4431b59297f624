"""A person's images and masks as training pairs."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from zooready.data import alike, augmented, read_folder
from zooready.errors import InputInvalid
from zooready.records import Pair


def pair_of(image, partner, pixel_size_um):
    return Pair(input=image, target=partner[None].astype(np.float32), pixel_size_um=pixel_size_um, truth=partner)


@pytest.fixture
def folder(tmp_path):
    """Six images (48..58 px high) and masks; the mask is the image modulo 7."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(6):
        image = rng.integers(0, 60000, (48 + 2 * number, 70), dtype=np.uint16)
        tifffile.imwrite(tmp_path / "images" / f"f{number}.tif", image)
        Image.fromarray((image % 7).astype(np.uint8)).save(tmp_path / "masks" / f"f{number}.png")
    return tmp_path


def test_images_meet_their_masks_by_name(folder):
    images = read_folder(folder, pair_of)
    assert images.names == tuple(f"f{n}" for n in range(6))
    for pair in images.pairs:
        np.testing.assert_array_equal(pair.input[0] % 7, pair.target[0])


def test_crops_turn_image_and_mask_alike_and_can_be_made_again(folder):
    images = read_folder(folder, pair_of)
    source, crops = images.source(range(6), 32), []
    for index in range(30):
        pair, again = source(1, index), source(1, index)
        assert pair.input.shape == pair.target.shape == (1, 32, 32)
        np.testing.assert_array_equal(pair.input[0] % 7, pair.truth)
        np.testing.assert_array_equal(pair.input, again.input)
        crops.append(pair.input.tobytes())
    assert len(set(crops)) == 30
    assert not np.array_equal(source(2, 0).input, source(1, 0).input)


def test_a_fifth_is_held_out_and_never_trained_on(folder):
    training, held_out = read_folder(folder, pair_of).split(0)
    assert (len(training), len(held_out)) == (5, 1)
    assert not set(training) & set(held_out)
    assert len({read_folder(folder, pair_of).split(seed)[1] for seed in range(9)}) > 1


def test_copies_of_an_image_stay_together_and_are_named(folder):
    for kind, ending in (("images", "tif"), ("masks", "png")):
        for copy in ("g", "h"):
            (folder / kind / f"{copy}.{ending}").write_bytes((folder / kind / f"f0.{ending}").read_bytes())
    images = read_folder(folder, pair_of)
    copies = {images.names.index(name) for name in ("f0", "g", "h")}
    for seed in range(20):
        training, held_out = images.split(seed)
        assert len(training) + len(held_out) == 8
        assert copies <= set(training) or copies <= set(held_out)
    named = [note for note in images.notes if "has the pixels of" in note]
    assert [note.split()[0] for note in named] == ["images/g.tif", "images/h.tif"]
    assert named[0].endswith("has the pixels of images/f0.tif, so both are trained on or both held out: keep one.")


def test_blank_images_are_no_copies_of_each_other(folder):
    for number in (0, 1):
        tifffile.imwrite(folder / "images" / f"f{number}.tif", np.full((48 + 2 * number, 70), 7, np.uint16))
    tifffile.imwrite(folder / "images" / "f2.tif", np.full((52, 70), 7, np.uint16))
    assert [len(group) for group in alike(read_folder(folder, pair_of).pairs)] == [1] * 6


def test_channels_in_another_order_than_before_are_a_fault(folder):
    for number, labels in enumerate((["DAPI", "GFP"], ["dapi", "gfp"], ["GFP", "DAPI"], ["DAPI", "RFP"], None, ["red", "far red"])):
        path = folder / "images" / f"f{number}.tif"
        array = np.stack([tifffile.imread(path)] * 2)
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": "CYX"} | ({"Labels": labels} if labels else {}))
    with pytest.raises(InputInvalid) as error:
        read_folder(folder, pair_of, channels=2)
    assert str(error.value).count("\n") == 1
    assert "images/f2.tif has the channels GFP, DAPI, and images before it DAPI, GFP: give all the same order" in str(error.value)


def test_a_single_image_serves_as_both(folder):
    for kind in ("images", "masks"):
        for path in (folder / kind).iterdir():
            if path.stem != "f0":
                path.unlink()
    assert read_folder(folder, pair_of).split(0) == ((0,), (0,))


def test_the_hash_is_of_names_and_bytes(folder):
    before = read_folder(folder, pair_of).sha256
    assert read_folder(folder, pair_of).sha256 == before
    (folder / "images" / "f0.tif").rename(folder / "images" / "g0.tif")
    (folder / "masks" / "f0.png").rename(folder / "masks" / "g0.png")
    renamed = read_folder(folder, pair_of).sha256
    image = tifffile.imread(folder / "images" / "g0.tif")
    tifffile.imwrite(folder / "images" / "g0.tif", image + 1)
    assert len({before, renamed, read_folder(folder, pair_of).sha256}) == 3


def test_crops_fit_the_smallest_image(folder):
    images = read_folder(folder, pair_of)
    assert (images.crop(160), images.crop(32)) == (32, 32)


def test_images_too_small_to_train_on_are_refused(folder):
    tifffile.imwrite(folder / "images" / "f3.tif", np.zeros((20, 40), np.uint8))
    tifffile.imwrite(folder / "masks" / "f3.tif", np.zeros((20, 40), np.uint8))
    (folder / "masks" / "f3.png").unlink()
    with pytest.raises(InputInvalid, match="'f3' is only 20 px wide or high: training needs images of at least 32 px"):
        read_folder(folder, pair_of).crop(160)


def test_augmentation_refuses_images_smaller_than_the_crop():
    pair = Pair(input=np.zeros((1, 20, 40)), target=np.zeros((1, 20, 40)), pixel_size_um=1.0)
    with pytest.raises(InputInvalid, match="20x40 px is smaller than the crop of 32 px"):
        augmented(pair, np.random.default_rng(0), 32)


def lose_partner(folder):
    (folder / "masks" / "f2.png").unlink()


def lose_image(folder):
    (folder / "images" / "f2.tif").unlink()


def change_size(folder):
    tifffile.imwrite(folder / "images" / "f2.tif", np.zeros((40, 41), np.uint8))


def add_nan(folder):
    tifffile.imwrite(folder / "images" / "f2.tif", np.full((52, 70), np.nan, np.float32))


def add_channels(folder):
    Image.fromarray(np.full((52, 70, 3), [1, 2, 3], np.uint8)).save(folder / "images" / "f2.png")
    (folder / "images" / "f2.tif").unlink()


def add_planes(folder):
    tifffile.imwrite(folder / "images" / "f2.tif", np.zeros((4, 52, 70), np.uint16), imagej=True, metadata={"axes": "ZYX"})


def break_file(folder):
    (folder / "images" / "f2.tif").write_bytes(b"nothing")


def add_twin(folder):
    tifffile.imwrite(folder / "images" / "f2.tiff", np.zeros((52, 70), np.uint16))


def remove_all(folder):
    for path in (folder / "images").iterdir():
        path.unlink()


def remove_folder(folder):
    (folder / "masks").rename(folder / "outlines")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_partner, r"images/f2.tif has no partner in masks/ \(if it shows no object, save zeros of its size as masks/f2.tif\)"),
        (lose_image, r"masks/f2.png has no image in images/"),
        (change_size, r"images/f2.tif and masks/f2.png differ in size \(40x41 and 52x70 px\)"),
        (add_nan, r"f2.tif.*NaN"),
        (add_channels, r"images/f2.png has 3 channels instead of 1"),
        (add_planes, r"images/f2.tif is a stack \(zyx\)"),
        (break_file, r"f2.tif"),
        (add_twin, r"images holds several files called 'f2'"),
        (remove_all, r"images holds no images"),
        (remove_folder, r"has no folder 'masks'"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder, damage, message):
    damage(folder)
    with pytest.raises(InputInvalid, match=message):
        read_folder(folder, pair_of)


def test_all_faults_come_in_one_message(folder):
    lose_partner(folder)
    tifffile.imwrite(folder / "images" / "f1.tif", np.zeros((40, 41), np.uint8))
    with pytest.raises(InputInvalid, match=r"(?s)Repair or remove.*f2\.tif has no partner.*f1\.tif and"):
        read_folder(folder, pair_of)


def test_many_faults_are_counted(folder):
    for number in range(20):
        tifffile.imwrite(folder / "images" / f"x{number}.tif", np.zeros((40, 41), np.uint8))
    with pytest.raises(InputInvalid, match="and 10 more"):
        read_folder(folder, pair_of)


@pytest.fixture
def stacks(tmp_path):
    """Four stacks of 5 to 8 planes, 40 x 44 px; the partner is the stack modulo 7."""
    rng = np.random.default_rng(1)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(4):
        image = rng.integers(1, 60000, (5 + number, 40, 44), dtype=np.uint16)
        for kind, array in (("images", image), ("masks", image % 7)):
            tifffile.imwrite(tmp_path / kind / f"s{number}.tif", array, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path


def test_stacks_meet_their_partners_and_are_cropped_along_every_axis(stacks):
    images = read_folder(stacks, pair_of, is_stack=True)
    assert [pair.input.shape for pair in images.pairs] == [(1, 5 + number, 40, 44) for number in range(4)]
    source, firsts = images.source(range(4), 32), set()
    for index in range(20):
        pair = source(1, index)
        assert pair.input.shape == pair.target.shape == (1, 5, 32, 32)
        np.testing.assert_array_equal(pair.input % 7, pair.target)
        firsts.add(pair.input[0, 0].tobytes())
    assert len(firsts) == 20


def test_thick_stacks_give_sixteen_planes(stacks):
    for kind in ("images", "masks"):
        for number in range(4):
            array = np.arange(20 * 40 * 44, dtype=np.uint16).reshape(20, 40, 44) % 2
            tifffile.imwrite(stacks / kind / f"s{number}.tif", array, imagej=True, metadata={"axes": "ZYX"})
    assert read_folder(stacks, pair_of, is_stack=True).source(range(4), 32)(0, 0).input.shape == (1, 16, 32, 32)


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((40, 44), "YX", r"images/s1.tif is not a stack \(yx\): give stacks of planes"),
        ((3, 6, 40, 44), "TZYX", r"images/s1.tif is not a stack \(tzyx\)"),
        ((5, 40, 44), "ZYX", r"images/s1.tif and masks/s1.tif differ in size \(5x40x44 and 6x40x44 px\)"),
        ((6, 2, 40, 44), "ZCYX", r"images/s1.tif has 2 channels instead of 1"),
    ],
)
def test_what_is_wrong_with_a_stack_is_said(stacks, shape, axes, message):
    tifffile.imwrite(stacks / "images" / "s1.tif", np.ones(shape, np.uint16), imagej=True, metadata={"axes": axes})
    with pytest.raises(InputInvalid, match=message):
        read_folder(stacks, pair_of, is_stack=True)
