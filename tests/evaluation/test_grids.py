"""Images of cards: small files, grey where everything is grey."""

import numpy as np
import PIL.Image

from zooready.evaluation.grids import COLOURS, grid


def test_a_grid_of_grey_images_is_a_grey_file(tmp_path):
    grid(tmp_path / "grid.png", ["image"], [("a row", [np.arange(12.0).reshape(3, 4)])])
    with PIL.Image.open(tmp_path / "grid.png") as image:
        assert image.mode == "L"
        assert {0, 255} <= set(np.unique(np.asarray(image)))


def test_a_grid_with_colours_keeps_them_in_a_palette(tmp_path):
    red = np.zeros((5, 5, 3), np.uint8) + np.uint8([200, 10, 30])
    grid(tmp_path / "grid.png", ["image"], [("a row", [red])])
    with PIL.Image.open(tmp_path / "grid.png") as image:
        assert image.mode == "P"
        colours = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3)}
    assert len(colours) <= COLOURS
    assert (200, 10, 30) in colours
