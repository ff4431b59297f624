"""Whether explanations of a classifier can be believed, on simulated cells: the numbers and the image of docs/explain.md.

    python benchmarks/explanations.py BUNDLE --cells 3 --image docs/explained.png

BUNDLE is an export of plcnn with its state dict, whose weights are replaced by random ones for one of the checks.
"""

# ruff: noqa: T201  scripts print

import argparse
import io
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from zooready import explanation, prediction
from zooready.bundle.reading import opened
from zooready.explanation import attribution
from zooready.explanation.figures import draw
from zooready.records import Image
from zooready.simulate import cells
from zooready.simulate.patterns import PATTERNS

METHODS = ("class_activation", "integrated_gradients", "occlusion")
SEED = 20260301  # of cells that no training saw
SHOWN = "mitochondria"


def cell(pattern: str, number: int) -> tuple[Image, np.ndarray]:
    """A simulated cell and its mask."""
    image, mask = cells.cell(np.random.default_rng((SEED, list(PATTERNS).index(pattern), number)), pattern)
    return Image(array=image, axes="yx", pixel_size_um=cells.PIXEL_SIZE_UM), mask


def of_weights(network: torch.nn.Module, image: np.ndarray, target: int, mask: np.ndarray, method: str) -> np.ndarray:
    """Values of a method inside the cell, for a PyTorch network that returns scores and maps."""
    if method == "class_activation":
        with torch.no_grad():
            return network(torch.from_numpy(image))[1][0, target].numpy()[mask]

    def score(given: torch.Tensor) -> torch.Tensor:
        return network(given)[0]

    if method == "occlusion":
        return attribution.occlusion(score, image, attribution.background(image), target)[0][mask]
    return attribution.integrated_gradients(score, image, attribution.blurred(image), target)[0][0][mask]


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cells", type=int, default=3, help="of each pattern")
    parser.add_argument("--image", type=Path, help="where to put the image")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shares: dict[str, list[tuple[float, float, float]]] = {name: [] for name in METHODS}
    ranks: dict[str, list[float]] = {name: [] for name in METHODS}
    with opened(options.bundle, trust_code=True) as bundle:
        learnt = prediction.network(bundle, "state_dict").requires_grad_(False)
        random = explanation.randomised(learnt)
        for number in range(options.cells):
            for pattern in PATTERNS:
                image, mask = cell(pattern, number)
                found = explanation.explain(bundle, image, mask=mask)
                for one in found.explanations:
                    if "share_inside" in one.facts:
                        shares[one.name].append(tuple(one.facts[f"share_{key}"] for key in ("inside", "box", "area")))
                array = image.array[None, None].astype(np.float32)
                target = list(found.facts["scores"]).index(found.facts["class"])
                for name in METHODS if number == 0 else ():
                    maps = [of_weights(network, array, target, mask, name) for network in (learnt, random)]
                    ranks[name].append(abs(explanation.rank_correlation(*maps)))
        if options.image:
            show(explanation.explain(bundle, cell(SHOWN, 0)[0]), options.image)
    print(
        "| method | inside the cell | in the box | cells with more inside | rank correlation with random weights |\n|---|---|---|---|---|"
    )
    for name in METHODS:
        table = np.array(shares[name])
        more = f"{int((table[:, 0] > table[:, 1]).sum())} of {len(table)}"
        print(f"| {name.replace('_', ' ')} | {table[:, 0].mean():.2f} | {table[:, 1].mean():.2f} | {more} | {np.mean(ranks[name]):.2f} |")
    print(f"area of the cell: {table[:, 2].mean():.2f} of the image")


def show(found: explanation.Explained, path: Path) -> None:
    """All figures below each other."""
    figures = [PIL.Image.open(io.BytesIO(draw(one, found.image))).convert("RGB") for one in found.explanations]
    whole = PIL.Image.new("RGB", (max(one.width for one in figures), sum(one.height for one in figures)), "white")
    for place, figure in enumerate(figures):
        whole.paste(figure, (0, sum(one.height for one in figures[:place])))
    whole.save(path, optimize=True)


if __name__ == "__main__":
    main()
