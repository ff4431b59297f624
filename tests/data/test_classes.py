"""Images with a class each as training pairs."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from zooready.data import examine_classes, read_classes
from zooready.data.classes import squared
from zooready.errors import InputInvalid


def test_folders_are_classes_in_order_of_their_names(labelled_folder):
    images = read_classes(labelled_folder)
    assert images.classes == ("actin", "er", "nucleus")
    assert images.counts == {"actin": 4, "er": 5, "nucleus": 6}
    assert images.names[:5] == ("actin/0.tif", "actin/1.tif", "actin/2.tif", "actin/3.tif", "er/0.tif")
    assert images.labels == (0,) * 4 + (1,) * 5 + (2,) * 6
    assert images.channels == ("protein",)
    np.testing.assert_array_equal(images.arrays[4][0], tifffile.imread(labelled_folder / "er" / "0.tif"))


def test_a_pair_is_a_square_and_its_class(labelled_folder):
    images = read_classes(labelled_folder)
    source = images.source((0, 5, 14), 64)
    seen = set()
    for index in range(40):
        pair, again = source(3, index), source(3, index)
        assert pair.input.shape == (1, 64, 64)
        assert pair.input.dtype == pair.target.dtype == np.float32
        np.testing.assert_array_equal(pair.input, again.input)
        assert sorted(pair.target) == [0, 0, 1]
        assert int(pair.truth) == int(pair.target.argmax())
        seen.add(int(pair.truth))
    assert seen == {0, 1, 2}
    assert not np.array_equal(source(3, 0).input, source(4, 0).input)


def test_members_alone_are_drawn_from(labelled_folder):
    images = read_classes(labelled_folder)
    assert {int(images.source((1, 2), 32)(0, index).truth) for index in range(20)} == {0}


def test_a_whole_image_is_as_it_was(labelled_folder):
    pair = read_classes(labelled_folder).whole(5)
    assert pair.input.shape == (1, 31, 44)
    np.testing.assert_array_equal(pair.input[0], tifffile.imread(labelled_folder / "er" / "1.tif"))


def test_the_side_fits_the_largest_image_up_to_a_limit(labelled_folder):
    images = read_classes(labelled_folder)
    assert (images.side(), images.side(50), images.side(10)) == (64, 32, 32)


def test_small_images_are_filled_up_with_their_edge_and_lie_anywhere():
    array = np.arange(1, 7).reshape(1, 2, 3)
    positions = set()
    for seed in range(200):
        square = squared(array, np.random.default_rng(seed), 5)
        assert square.shape == (1, 5, 5)
        assert set(square.ravel()) == set(range(1, 7))
        positions.add(square.tobytes())
    assert len(positions) == 12  # 4 rows x 3 columns to lie at


def test_large_images_are_cropped_where_there_is_light():
    array = np.zeros((1, 40, 40))
    array[:, :12, :12] = 1
    crops = [squared(array, np.random.default_rng(seed), 12) for seed in range(60)]
    blind = [array[:, y : y + 12, x : x + 12] for y, x in np.random.default_rng(0).integers(0, 29, (60, 2))]
    assert np.mean([crop.mean() for crop in crops]) > 2 * np.mean([crop.mean() for crop in blind])


def test_grey_saved_as_colour_is_one_channel_and_real_colour_is_three(labelled_folder):
    for path in sorted(labelled_folder.rglob("*.tif")):
        array = (tifffile.imread(path) % 200).astype(np.uint8)
        path.unlink()
        Image.fromarray(np.stack([array] * 3, -1)).save(path.with_suffix(".png"))
    assert read_classes(labelled_folder).channels == ("protein",)
    for path in labelled_folder.rglob("*.png"):
        array = np.asarray(Image.open(path)).copy()
        array[..., 2] = 0
        Image.fromarray(array).save(path)
    images = read_classes(labelled_folder)
    assert images.channels == ("red", "green", "blue")
    assert images.arrays[0].shape == (3, 30, 44)


def test_the_hash_is_of_classes_names_and_bytes(labelled_folder):
    before = read_classes(labelled_folder).sha256
    assert read_classes(labelled_folder).sha256 == before
    (labelled_folder / "er").rename(labelled_folder / "golgi")
    renamed = read_classes(labelled_folder).sha256
    tifffile.imwrite(labelled_folder / "actin" / "0.tif", tifffile.imread(labelled_folder / "actin" / "0.tif") + 1)
    assert len({before, renamed, read_classes(labelled_folder).sha256}) == 3


def test_every_fault_is_named_and_the_rest_is_read(labelled_folder, save):
    (labelled_folder / "actin" / "1.tif").write_bytes(b"nothing")
    tifffile.imwrite(labelled_folder / "er" / "2.tif", np.full((9, 9), np.nan, np.float32))
    tifffile.imwrite(labelled_folder / "er" / "3.tif", np.ones((4, 9, 9), np.uint16), imagej=True, metadata={"axes": "ZYX"})
    save(labelled_folder / "nucleus" / "0.tif", (2, 9, 9))
    tifffile.imwrite(labelled_folder / "nucleus" / "0.tif", np.ones((2, 9, 9), np.uint16), imagej=True, metadata={"axes": "CYX"})
    (labelled_folder / "empty").mkdir()
    images = examine_classes(labelled_folder)
    assert images.counts == {"actin": 3, "empty": 0, "er": 3, "nucleus": 5}
    for words in (
        "empty/ holds no images",
        "1.tif is not a TIFF",
        "2.tif has 81 pixels of NaN",
        r"er/3.tif is a stack (zyx)",
        "nucleus/0.tif has 2 channels, and 1 is expected",
    ):
        assert sum(words in fault for fault in images.faults) == 1, (words, images.faults)
    assert len(images.faults) == 5
    with pytest.raises(InputInvalid, match=r"(?s)Repair or remove these files.*empty/.*1\.tif.*2\.tif.*3\.tif.*0\.tif"):
        read_classes(labelled_folder)


def test_saturated_and_blank_images_are_noted_and_kept(labelled_folder):
    tifffile.imwrite(labelled_folder / "er" / "0.tif", np.where(np.arange(900).reshape(30, 30) < 90, 65535, 9).astype(np.uint16))
    tifffile.imwrite(labelled_folder / "er" / "1.tif", np.full((9, 9), 3, np.uint8))
    images = read_classes(labelled_folder)
    assert images.notes[0].startswith("er/0.tif is saturated: 10.0 % of its pixels are 65535")
    assert images.notes[1] == "er/1.tif is blank: every pixel is 3."
    assert images.counts["er"] == 5


def test_pixel_sizes_are_the_files_own(labelled_folder):
    tifffile.imwrite(
        labelled_folder / "actin" / "0.tif", np.ones((9, 9), np.uint16), imagej=True, resolution=(4, 4), metadata={"unit": "um"}
    )
    images = read_classes(labelled_folder)
    assert images.pixel_sizes_um[:2] == (0.25, 0.0)
    assert images.whole(0).pixel_size_um == 0.25
    assert images.whole(1).pixel_size_um == 1.0


def test_shrunk_images_are_means_of_squares_of_pixels(labelled_folder):
    array = np.arange(77, dtype=np.uint16).reshape(7, 11)
    tifffile.imwrite(labelled_folder / "actin" / "0.tif", array, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    images = read_classes(labelled_folder)
    small = images.shrunk(3)
    expected = [[array[y : y + 3, x : x + 3].mean() for x in (0, 3, 6)] for y in (0, 3)]
    np.testing.assert_allclose(small.arrays[0][0], expected, rtol=1e-6)
    assert small.pixel_sizes_um[:2] == (0.75, 0.0)
    assert small.sha256 != images.sha256
    assert small.notes[-1] == "Images were shrunk: 3 x 3 pixels averaged to one."
    assert images.shrunk(1) is images
    with pytest.raises(InputInvalid, match="images shrunk by 8: give a whole number from 1 to 7, the shortest side in pixels"):
        images.shrunk(8)


def test_a_folder_without_classes_is_refused(tmp_path, save):
    save(tmp_path / "one" / "a.tif")
    with pytest.raises(InputInvalid, match="holds 1 folder with images: give one folder per class, at least two"):
        read_classes(tmp_path)
    with pytest.raises(InputInvalid, match=r"there is no folder .*none: check the name"):
        read_classes(tmp_path / "none")
