"""A bundle runs on images, from Python: a file, or an array.

    python predict_with_a_bundle.py BUNDLE IMAGE FOLDER

writes one TIFF for each output into FOLDER, with the image's calibration, and says how much of the image is bright.
"""

# ruff: noqa: T201  scripts print

import sys
from pathlib import Path

import zooready
from zooready.prediction import save


def main(bundle: Path, image: Path, folder: Path) -> None:
    """Predict, read the notes, save."""
    prediction = zooready.predict(bundle, image)
    for note in prediction.notes:
        print(f"note: {note}")
    for name, output in prediction.images.items():
        print(f"{name}: axes {output.axes}, {output.array.shape}, {(output.array > 0.5).mean():.1%} above 0.5")
    for path in save(prediction, folder, image.stem):
        print(path.name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
