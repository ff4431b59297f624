"""A bundle runs on pictures, from Python: a file, or an array.

    python predict_with_a_bundle.py BUNDLE PICTURE FOLDER

writes one TIFF for each output into FOLDER, with the picture's calibration, and says how much of the picture is bright.
"""

# ruff: noqa: T201  scripts print

import sys
from pathlib import Path

import zooready
from zooready.prediction import save


def main(bundle: Path, picture: Path, folder: Path) -> None:
    """Predict, read the notes, save."""
    found = zooready.predict(bundle, picture)
    for note in found.notes:
        print(f"note: {note}")
    for name, output in found.pictures.items():
        print(f"{name}: axes {output.axes}, {output.array.shape}, {(output.array > 0.5).mean():.1%} above 0.5")
    for path in save(found, folder, picture.stem):
        print(path.name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
