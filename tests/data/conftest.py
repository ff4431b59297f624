"""Tiny files in the layouts in which the public sets are published, and a folder of classes."""

import pytest
from public_sets import save, yeast

__all__ = ["own", "save", "yeast"]


@pytest.fixture
def own(tmp_path, save):
    """Three classes with 4, 5 and 6 images of different sizes."""
    for label, name in enumerate(("actin", "er", "nucleus")):
        for number in range(4 + label):
            save(tmp_path / "own" / name / f"{number}.tif", (30 + number, 44))
    return tmp_path / "own"
