"""What is wrong with masks is said by file, with the cure; what is right stays without a word."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from skimage.draw import disk

from zooready import cli
from zooready.data.folder import examine_folder, read_folder
from zooready.data.masks import examined
from zooready.errors import InputInvalid
from zooready.families.segmentation import pair_of

SIDE = 192


def scene(count=9, radius=12, apart=30, seed=0):
    """An image of ``count`` discs and their true labels; centres are at least ``apart`` px from each other."""
    rng = np.random.default_rng(seed)
    labels, centres = np.zeros((SIDE, SIDE), np.uint16), []
    while len(centres) < count:
        centre = rng.integers(radius, SIDE - radius, 2)
        if all(np.hypot(*(centre - other)) >= apart for other in centres):
            centres.append(centre)
            labels[disk(centre, radius, shape=labels.shape)] = len(centres)
    image = rng.poisson(ndimage.gaussian_filter(100.0 + 900 * (labels > 0), 1.5)).astype(np.uint16)
    return image, labels


IMAGE, LABELS = scene()
BINARY = (LABELS > 0).astype(np.uint8) * 255


def jpeg(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def resized(array):
    larger = Image.fromarray(array).resize((300, 300), Image.Resampling.BILINEAR)
    return np.asarray(larger.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def tissue():
    """Cells that cover everything."""
    seeds = np.zeros((SIDE, SIDE), int)
    for number, (y, x) in enumerate(np.random.default_rng(2).integers(0, SIDE, (60, 2)), 1):
        seeds[y, x] = number
    return seeds[tuple(ndimage.distance_transform_edt(seeds == 0, return_indices=True)[1])]


def spots():
    """Objects of four pixels."""
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number, (y, x) in enumerate(np.random.default_rng(1).integers(0, SIDE // 4 - 1, (80, 2)), 1):
        labels[4 * y : 4 * y + 2, 4 * x : 4 * x + 2] = number
    return labels


@pytest.mark.parametrize(
    ("mask", "objects"),
    [
        (LABELS, 9),
        (BINARY, 9),
        (LABELS.astype(np.float32), 9),
        (tissue(), len(np.unique(tissue()))),
        (spots(), len(np.unique(spots())) - 1),
    ],
)
def test_masks_that_are_right_stay_without_a_word(mask, objects):
    found = examined(mask, IMAGE, "masks/a.tif", "images/a.tif")
    assert (found.objects, found.problem) == (objects, "")
    assert str(found).startswith(f"masks/a.tif: {objects} objects, ")


WRONG = {
    "ilastik's objects": (LABELS + 1, r"10 objects, 100 % foreground; it has no .* 1 to 10, and 1 seems to be the background.*Subtract 1"),
    "ilastik's classes": ((LABELS > 0) + 1, "has no background.* 1 to 2, and 1 seems to be the background"),
    "background 2": (2 - (LABELS > 0), "has no background.* 1 to 2, and 2 seems to be the background.* Change 2 to 0"),
    "background 65535": (np.where(LABELS, LABELS, 65535), "has no background.* 1 to 65535, and 65535 seems to be .* Change 65535 to 0"),
    "outlines": (BINARY - ndimage.binary_erosion(BINARY, iterations=2) * 255, "it holds outlines: .*Fill Holes"),
    "outlines of objects": (LABELS * ~ndimage.binary_erosion(BINARY, iterations=2), "it holds outlines: .*Count Masks"),
    "the image itself": (IMAGE, "it equals images/a.tif, so that a network learns to copy"),
    "rims of one number": (
        np.where(ndimage.grey_dilation(LABELS, 3) != ndimage.grey_erosion(LABELS, 3), 65535, LABELS),
        r"10 objects.* has the number 65535 for what is around the others: it is thin, touches 9 of 9 objects.*if \(v==65535\) v=0",
    ),
    "all one": (np.ones_like(LABELS), "has no background, which must be 0: its values are 1"),
    "JPEG": (jpeg(BINARY), r"JPEG or interpolation leave grey edges: save masks as PNG or TIFF.*Threshold"),
    "interpolated": (resized(BINARY), "pieces, half of them of 4 px or less"),
    "interpolated objects": (resized((LABELS * 20).astype(np.uint8)), "pieces, half of them of 4 px or less"),
    "inverted": (255 - BINARY, "89.* % foreground; it seems inverted: its foreground is one piece with 9 holes.*Edit > Invert"),
    "inverted, one object": (np.where(LABELS == 3, 0, 1), "seems inverted: its foreground is one piece with 1 hole,"),
    "classes": (np.where(LABELS > 0, LABELS % 3 + 1, 0), "has the values 1, 2, 3 in 9 separate pieces, so these seem to be classes"),
    "empty": (LABELS * 0, "0 objects, 0 % foreground; it is empty: right only if the image shows no object"),
    "sparse": (np.where(LABELS <= 2, LABELS, 0), r"2 objects, .*; it covers 2\d % of what is as bright in the image"),
    "scribbles": (LABELS * (ndimage.distance_transform_edt(LABELS > 0) > 10), r"covers \d % of what is as bright"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_mask_is_said_with_the_cure(name):
    mask, message = WRONG[name]
    problem = examined(mask, IMAGE, "masks/a.tif", "images/a.tif").problem
    assert problem.startswith("masks/a.tif: ")
    with pytest.raises(InputInvalid, match=message):
        raise InputInvalid(problem)


UNFIT = {
    "background -1": (LABELS.astype(np.int16) - 1, r"masks/0.tif has values from -1 to 8, .* If -1 is its background, add 1, in Fiji"),
    "probabilities": ((LABELS > 0) * np.float32(0.7), r"masks/0.tif has fractions \(values from 0 to 0.7\), as probabilities"),
    "colours": (np.stack([LABELS % 3, LABELS % 5, LABELS], -1).astype(np.uint8), "masks/0.tif has 3 channels, .* Number its colours"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_no_mask_is_named_with_the_cure(tmp_path, name):
    mask, message = UNFIT[name]
    save_pairs(tmp_path, (IMAGE, mask))
    with pytest.raises(InputInvalid, match=message):
        read_folder(tmp_path, pair_of)


def test_joined_objects_of_a_binary_mask_are_counted():
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for y, x in ((30, 30), (30, 50), (90, 40), (150, 40), (150, 60), (150, 80), (60, 140), (120, 140)):
        labels[disk((y, x), 11)] = 1
    image = np.random.default_rng(0).poisson(100.0 + 900.0 * labels)
    problem = examined(labels, image, "masks/a.tif", "images/a.tif").problem
    assert "5 objects" in problem
    assert "2 of its 5 pieces seem to be several that touch" in problem
    assert "give each object its own number" in problem


def save_pairs(folder, *pairs):
    for number, (image, mask) in enumerate(pairs):
        for kind, array in (("images", image), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / kind / f"{number}.tif", array)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(IMAGE, LABELS * 0)] * 2, "all 2 masks are empty, so that a network that finds nothing would score perfectly"),
        ([(IMAGE, LABELS + 1)] * 2, "no mask of 2 has background, which must be 0 .*subtract 1 from all"),
        ([(LABELS, IMAGE)] * 2, r"images and masks seem to be swapped \(masks/0.tif: .* looks like an image"),
    ],
)
def test_a_folder_that_would_teach_nothing_is_refused(tmp_path, pairs, message):
    save_pairs(tmp_path, *pairs)
    with pytest.raises(InputInvalid, match=message):
        read_folder(tmp_path, pair_of)


def test_a_single_empty_mask_among_others_is_a_note(tmp_path):
    save_pairs(tmp_path, (IMAGE, LABELS), (IMAGE + 1, LABELS * 0))
    folder = read_folder(tmp_path, pair_of)
    assert [mask.objects for mask in folder.masks] == [9, 0]
    assert folder.notes == ("masks/1.tif: 0 objects, 0 % foreground; it is empty: right only if the image shows no object; otherwise "
                            "outline its objects, or take it out.",)  # fmt: skip


def test_the_command_lists_objects_and_foreground_of_every_file(tmp_path, capsys):
    save_pairs(tmp_path, (IMAGE, LABELS), (IMAGE, np.where(LABELS > 0, LABELS % 3 + 1, 0)))
    assert cli.main(["data", str(tmp_path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    share = 100 * (LABELS > 0).mean()
    assert f"masks/0.tif: 9 objects, {share:.3g} % foreground masks/1.tif: 3 objects" in text
    assert "note: masks/1.tif: 3 objects" in text
    assert "these seem to be classes" in text


@pytest.mark.parametrize(
    ("images", "masks", "image", "mask"),
    [
        ("images", "labels", "a.tif", "a.tif"),
        ("Images", "Masks", "a.TIF", "a.PNG"),
        ("images", "masks", "a.tif", "a_mask.png"),
        ("images", "masks", "a.tif", "a_masks.tif"),
        ("images", "masks", "a.tif", "a_label.tif"),
        ("images", "masks", "a.ome.tif", "a.tif"),
        ("images", "masks", "a.tif", "a.ome.tif"),
        ("image", "label", "a_mask.tif", "a_mask.tif"),
    ],
)
def test_names_that_people_have_are_understood(tmp_path, images, masks, image, mask):
    for kind, name, array in ((images, image, IMAGE), (masks, mask, LABELS.astype(np.uint8))):
        (tmp_path / kind).mkdir()
        if name.lower().endswith("png"):
            Image.fromarray(array).save(tmp_path / kind / name)
        else:
            tifffile.imwrite(tmp_path / kind / name, array)
        (tmp_path / kind / f"._{name}").write_bytes(b"\0\5\26\7")  # what macOS leaves beside
    folder = examine_folder(tmp_path, pair_of)
    assert (folder.faults, len(folder.pairs)) == ((), 1)
    assert np.array_equal(folder.pairs[0].truth, LABELS)
    assert np.array_equal(folder.pairs[0].input[0], IMAGE)


def palette_mask(path):
    image = Image.fromarray(LABELS.astype(np.uint8), "L").convert("P")
    image = Image.fromarray(LABELS.astype(np.uint8))
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(path)


@pytest.mark.parametrize("kind", ["equal", "equal RGBA", "red", "palette"])
def test_masks_stored_in_colour_are_read_as_one_channel(tmp_path, kind):
    grey, zero = LABELS.astype(np.uint8), np.zeros_like(LABELS, np.uint8)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", IMAGE)
    path = tmp_path / "masks" / "a.png"
    if kind == "palette":
        palette_mask(path)
        assert Image.open(path).mode == "P"
    else:
        planes = {"equal": [grey] * 3, "equal RGBA": [grey] * 3 + [zero + 255], "red": [grey, zero, zero]}[kind]
        Image.fromarray(np.stack(planes, -1)).save(path)
    folder = examine_folder(tmp_path, pair_of)
    assert folder.faults == ()
    assert np.array_equal(folder.pairs[0].truth, LABELS)


def test_grey_images_stored_in_colour_are_one_channel_and_coloured_ones_are_refused(tmp_path):
    save_pairs(tmp_path, (np.stack([IMAGE // 8] * 3, -1).astype(np.uint8), LABELS))
    assert np.array_equal(examine_folder(tmp_path, pair_of).pairs[0].input[0], IMAGE // 8)
    tifffile.imwrite(tmp_path / "images" / "0.tif", np.stack([IMAGE // 8, IMAGE // 9, IMAGE // 8], -1).astype(np.uint8))
    assert "has 3 channels instead of 1" in examine_folder(tmp_path, pair_of).faults[0]


def shifted(mask, down, right):
    moved = np.zeros_like(mask)
    height, width = mask.shape
    source = mask[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    moved[max(0, down) :, max(0, right) :][: source.shape[0], : source.shape[1]] = source
    return moved


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (LABELS[:, ::-1], "flipped from left to right it would"),
        (LABELS[::-1], "flipped from top to bottom it would"),
        (LABELS[::-1, ::-1], "turned by 180 degrees it would"),
        (LABELS.T, "mirrored on its diagonal it would"),
        (np.rot90(LABELS), "turned by 270 degrees it would"),
        (shifted(LABELS, 12, -9), "moved by 9 px to the right and -12 px down it would"),
        (shifted(BINARY, 0, 15), "moved by -15 px to the right and 0 px down it would"),
    ],
)
def test_masks_that_lie_elsewhere_are_told_with_the_way_back(mask, words):
    problem = examined(mask, IMAGE, "masks/a.tif", "images/a.tif").problem
    assert f"does not lie on its image: {words} (their edges then agree by" in problem


@pytest.mark.parametrize("seed", range(6))
def test_masks_in_place_are_never_called_displaced(seed):
    """Dark and bright objects, dim ones, rough outlines, one object only, every second one missing, and rims off by two pixels."""
    rng = np.random.default_rng(seed)
    image, labels = scene(count=(9, 14, 5)[seed % 3], radius=(12, 7, 16)[seed % 3], apart=34, seed=seed)
    grown = ndimage.grey_dilation(labels, (5, 5))
    for shown in (image, 2000 - image.astype(float), rng.poisson(20 + image / 60).astype(np.uint16), rng.integers(0, 99, image.shape)):
        for mask in (labels, grown, shifted(labels, 2, 1), np.where(labels == 1, 1, 0), np.where(labels % 2, labels, 0)):
            assert "does not lie" not in examined(mask, shown, "masks/a.tif", "images/a.tif").problem


def test_one_number_for_two_objects_far_apart_is_told():
    centres = ndimage.center_of_mass(LABELS > 0, LABELS, range(1, 10))
    farthest = 1 + int(np.argmax([np.hypot(*np.subtract(centres[1], centre)) for centre in centres]))
    joined = np.where(farthest == LABELS, 2, LABELS)
    problem = examined(joined, IMAGE, "masks/a.tif", "images/a.tif").problem
    assert "has numbers that stand for several objects far from each other (2 in 2 pieces)" in problem
    cut = LABELS.copy()
    cut[:, 60:63] = 0  # an object in two halves beside each other, as a fibre across it leaves
    assert "several objects" not in examined(cut, IMAGE, "masks/a.tif", "images/a.tif").problem


def test_names_in_letters_of_another_form_and_links_to_nothing(tmp_path):
    for number, (image_name, mask_name) in enumerate((("gro\u0308sse", "gr\u00f6sse"), ("b", "b"))):
        for kind, name, array in (("images", image_name, IMAGE), ("masks", mask_name, LABELS)):
            (tmp_path / kind).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / kind / f"{name}.tif", array + np.uint16(number))
    (tmp_path / "images/c.tif").symlink_to(tmp_path / "nothing.tif")
    tifffile.imwrite(tmp_path / "masks/c.tif", LABELS)
    found = examine_folder(tmp_path, pair_of)
    assert found.names == ("b", "gr\u00f6sse")
    assert [fault for fault in found.faults if "c.tif" in fault] == list(found.faults)
    assert "there is no such file" in found.faults[0]


def test_marks_of_a_pixel_need_not_cover_what_is_bright():
    middles = np.zeros_like(LABELS)
    for number, (y, x) in enumerate(ndimage.center_of_mass(LABELS > 0, LABELS, range(1, LABELS.max() + 1)), 1):
        middles[round(y), round(x)] = number
    assert examined(middles, IMAGE, "masks/a.tif", "images/a.tif").problem == ""


def stacks(folder, *masks):
    """Pairs of stacks with these masks (z, y, x); the images are noise."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number, mask in enumerate(masks):
        image = np.random.default_rng(number).integers(0, 999, mask.shape, dtype=np.uint16)
        for kind, array in (("images", image), ("masks", mask)):
            tifffile.imwrite(folder / kind / f"{number}.tif", array, imagej=True, metadata={"axes": "ZYX"})
    return folder


def solids(numbers):
    """A stack of four blocks with these numbers."""
    mask = np.zeros((5, 40, 40), np.uint8)
    for number, (top, left) in zip(numbers, ((4, 4), (4, 24), (24, 4), (24, 24)), strict=True):
        mask[1:4, top : top + 10, left : left + 10] = number
    return mask


@pytest.mark.parametrize(
    ("mask", "objects", "problem"),
    [
        (solids((1, 2, 3, 4)), 4, ""),
        (solids((255, 255, 255, 255)), 4, ""),
        (solids((0, 0, 0, 0)), 0, "it is empty: right only if the image shows no object"),
        (solids((1, 2, 1, 2)), 2, "it has the values 1, 2 in 4 separate pieces, so these seem to be classes"),
        (255 - solids((255, 255, 255, 255)), 1, "it seems inverted, or has no background"),
        (1 + solids((1, 1, 1, 1)), 2, "it seems inverted, or has no background"),
    ],
)
def test_masks_of_stacks_are_looked_through_too(tmp_path, mask, objects, problem):
    folder = read_folder(stacks(tmp_path, solids((1, 2, 3, 4)), mask), pair_of, is_stack=True)
    assert [found.objects for found in folder.masks] == [4, objects]
    assert len(folder.notes) == (1 if problem else 0)
    assert all(note.startswith("masks/1.tif: ") and problem in note for note in folder.notes)


def test_stacks_that_show_nothing_at_all_are_refused(tmp_path):
    with pytest.raises(InputInvalid, match="all 2 masks are empty"):
        read_folder(stacks(tmp_path, solids((0, 0, 0, 0)), solids((0, 0, 0, 0))), pair_of, is_stack=True)
