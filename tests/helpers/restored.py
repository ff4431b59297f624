"""Writes the image pairs of docs/restoration.md: ``python tests/helpers/restored.py export/bundles/*.zip``.

For bundles that restore: their test input, and beside it what the network makes of it, docs/restored-<family>.png. Of a stack the middle
plane is drawn; of a stack made from one image, the plane a quarter from the top.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from zooready.bundle.reading import opened
from zooready.images.drawing import grey, side_by_side

TARGET = Path(__file__).parents[2] / "docs"
SIDE, TIMES = 112, 2  # px of the image that are drawn, and pixels drawn for each


def plane_of(array, share=0.5):
    """A plane (y, x) of an output or input (c, ..., y, x): its first channel, and of a stack the plane at this share of its depth."""
    first = array[0]
    return first if first.ndim == 2 else first[int(share * (len(first) - 1))]


def drawn(plane):
    """The middle of a plane, enlarged, in grey with a contrast of its own."""
    y, x = ((length - min(SIDE, length)) // 2 for length in plane.shape)
    return grey(plane[y : y + SIDE, x : x + SIDE]).repeat(TIMES, 0).repeat(TIMES, 1)


def write(path):
    """The pair of one bundle."""
    with opened(path) as bundle:
        case = bundle.cases[0]
        image, output = np.asarray(case.input[0]), np.asarray(case.outputs[0][0])
    share = 0.25 if output.ndim > image.ndim else 0.5
    panels = [drawn(plane_of(image)), drawn(plane_of(output, share))]
    Image.fromarray(side_by_side(panels)).convert("L").save(TARGET / f"restored-{path.stem}.png", optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+")
    for bundle_path in parser.parse_args().bundles:
        write(bundle_path)
