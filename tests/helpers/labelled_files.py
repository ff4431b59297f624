"""Tiny files in the layouts in which the public sets are published."""

import numpy as np
import pytest
import tifffile
from PIL import Image


@pytest.fixture
def save():
    """``save(path, shape=(30, 40), dtype="uint16")``: noise that differs from file to file; the folders are made."""
    rng = np.random.default_rng(0)

    def to(path, shape=(30, 40), dtype="uint16"):
        path.parent.mkdir(parents=True, exist_ok=True)
        array = rng.integers(1, 250, shape).astype(dtype)
        if path.suffix == ".png":
            Image.fromarray(array).save(path)
        else:
            tifffile.imwrite(path, array)
        return array

    return to


@pytest.fixture
def labelled_folder(tmp_path, save):
    """Three classes with 4, 5 and 6 images of different sizes."""
    for label, name in enumerate(("actin", "er", "nucleus")):
        for number in range(4 + label):
            save(tmp_path / "own" / name / f"{number}.tif", (30 + number, 44))
    return tmp_path / "own"


@pytest.fixture
def yeast(tmp_path, save):
    """Twelve classes, three lists; 3, 1 and 1 images of each class."""
    lists = {"train": [], "val": [], "test": []}
    for label in range(12):
        for number, name in enumerate(("train", "train", "train", "val", "test")):
            path = f"plate{1 + number:02d}/{label:03d}-{number}.png"
            save(tmp_path / "yeast" / "main" / path, (64, 64, 3), "uint8")
            lists[name].append(f"{path} {label}\n")
    for name, lines in lists.items():
        (tmp_path / "yeast" / f"HOwt_{name}.txt").write_text("".join(lines))
    return tmp_path / "yeast"
