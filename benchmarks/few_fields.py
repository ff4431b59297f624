"""How many fields a lab has to annotate: `train segmentation` on 1 to 27 fields, from simulated weights and from nothing.

    python benchmarks/nuclei.py simulate; python benchmarks/nuclei.py train --name simulated --steps 2400 --rate 2e-3
    python benchmarks/few_fields.py train       each number of fields, from both starts, into runs/few-fields; can be stopped
    python benchmarks/few_fields.py freeze      with the encoder held first and not, on few fields, into runs/few-fields/frozen
    python benchmarks/few_fields.py record      the table into segmentation's record, then `zooready list --cards model_cards`

Fields are those of mnfinder 1.2.3 (MIT), its training-data and validation-data; its test-data is never unpacked. All fields of the last
two dates of the cell line RPE1 are judged. Those of its earlier dates come first in training, those of other lines after them. The
weights to begin with have seen simulated nuclei only; the shipped ones have seen every field here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
from nuclei import counted, f1, otsu, segmenter_of
from nuclei_fields import RUNS, Field, fetch, real_fields
from recording import put
from safetensors.torch import load_file

from zooready.errors import amount
from zooready.evaluation import label_images
from zooready.families import segmentation
from zooready.images.whole_files import whole_file
from zooready.nets.labelling import Instances
from zooready.training.loop import train
from zooready.training.warm_start import Start

OUT = Path("runs/few-fields")
JUDGED = ("2022-05-26_RPE1", "2022-05-27_RPE1")  # acquisitions
FEWEST_TO_ALL = (1, 2, 4, 8, 16, 27)  # fields
WARM, COLD = "simulated weights", "random weights"  # to begin with
STEPS = {WARM: 400, COLD: 800}
SEED = 8  # of the order of fields
HELD, HELD_COUNTS, HELD_SEEDS = 1 / 3, (1, 2, 4), (0, 1)  # share of the steps; fields; seeds of the training
TABLE, START = "few annotated fields", "simulated"


def order(fields: Sequence[Field]) -> list[Field]:
    """The fields to learn from: the earlier dates of the same cell line first, both parts shuffled."""
    rng = np.random.default_rng(SEED)
    own, others = ([field for field in fields if (field.line == "RPE1") is same] for same in (True, False))
    return [part[index] for part in (own, others) for index in rng.permutation(len(part))]


def trained(fields: Sequence[Field], judged: Sequence[Field]) -> None:
    """Train what is not there yet, and keep what each network finds in the judged fields."""
    for start, steps in STEPS.items():
        for count in FEWEST_TO_ALL:
            weights = simulated() if start == WARM else None
            facts = {"objects": int(sum(field.labels.max() for field in fields[:count])), "start": start, "steps": steps}
            one(OUT / f"{start.split()[0]}-{count}", fields[:count], judged, facts, steps=steps, start=weights)


def held(fields: Sequence[Field], judged: Sequence[Field]) -> None:
    """Train from simulated weights, and from those with a last layer at random, with the encoder held first and not."""
    plain = simulated()
    other = Start(weights={name: value for name, value in plain.weights.items() if not name.startswith("last.")}, words=plain.words)
    for name, start, counts, seeds in (
        ("simulated", plain, HELD_COUNTS, HELD_SEEDS),
        ("other-last", other, HELD_COUNTS[:1], HELD_SEEDS[:1]),
    ):
        for seed in seeds:
            for count in counts:
                for share in (0.0, HELD):
                    folder = OUT / "frozen" / f"{name}-{count}-{seed}-{'held' if share else 'free'}"
                    one(folder, fields[:count], judged, {"seed": seed}, steps=STEPS[WARM], start=start, freeze=share, seed=seed)


def simulated() -> Start:
    """Weights that have seen simulated nuclei only."""
    return Start(weights=load_file(RUNS / f"{START}.safetensors"), words="simulated nuclei")


def one(folder: Path, fields: Sequence[Field], judged: Sequence[Field], facts: dict[str, Any], **settings: Any) -> None:
    """Train what is not there yet, and keep what it finds in the judged fields."""
    if (folder / "found.json").exists():
        return
    with TemporaryDirectory() as data:
        written(fields, Path(data))
        run = train(segmentation.FAMILY, folder, device="cpu", data=Path(data), is_quiet=True, **settings)
    segmenter = label_images.Segmenter(run.state_dict(), Instances(**segmentation.HEAD.kwargs))
    kept(folder, {**of(segmenter, judged), "fields": len(fields), "seconds": run.seconds, **facts})


def written(fields: Sequence[Field], folder: Path) -> None:
    """A person's folder: images, and label images as masks."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number, field in enumerate(fields):
        tifffile.imwrite(folder / "images" / f"{number:02d}.tif", field.image.astype(np.uint16))
        tifffile.imwrite(folder / "masks" / f"{number:02d}.tif", field.labels.astype(np.uint16))


def of(method: label_images.Method, judged: Sequence[Field]) -> dict[str, Any]:
    """F1 of a method on the judged fields."""
    return f1([counted(field.labels, method(field.image)) for field in judged])


def kept(folder: Path, found: dict[str, Any]) -> None:
    """Into the folder of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "found.json") as file:
        file.write(json.dumps(found).encode())
    print(folder.name, found, flush=True)  # noqa: T201


def recorded(judged: Sequence[Field]) -> None:
    """The table into the record."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in OUT.glob("*/found.json")]
    rows: list[dict[str, Any]] = [
        {"method": "Otsu and watershed", **of(otsu, judged)},
        {"method": "simulated weights as they are", **of(segmenter_of(START, tuple(segmentation.HEAD.kwargs.values())), judged)},
    ]
    for run in sorted(runs, key=lambda run: (tuple(STEPS).index(run["start"]), run["fields"])):
        shown = {key: run[key] for key in ("f1_50", "f1_75", "objects")}
        rows.append({"method": f"{run['start']}, {amount(run['fields'], 'field')}", **shown, "minutes": round(run["seconds"] / 60, 1)})
    objects = int(sum(field.labels.max() for field in judged))
    put("segmentation", {TABLE: rows}, {TABLE: WORDS.format(fields=len(judged), objects=objects)})


WORDS = (
    "networks of `zooready train segmentation --data FOLDER`, with so many annotated fields of mnfinder 1.2.3 (MIT), a fifth of them held "
    "out, judged on {fields} fields ({objects} nuclei) of two dates of RPE1 that no row has seen, thresholds as shipped. The first nine "
    f"fields are of earlier dates of RPE1, the others of other lines. {STEPS[WARM]} steps from weights that saw simulated nuclei only, "
    f"{STEPS[COLD]} from random ones, the best held-out weights kept; objects: outlined nuclei that were trained on; minutes of one core; "
    "few_fields.py among the benchmarks"
)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("train", "freeze", "record"))
    parser.add_argument("--cache", type=Path, default=Path("../cache/mnfinder"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    fields = real_fields(fetch(options.cache))
    judged = [field for field in fields if any(date in field.name for date in JUDGED)]
    learnt = order([field for field in fields if field not in judged])
    {"train": partial(trained, learnt), "freeze": partial(held, learnt), "record": recorded}[options.action](judged)


if __name__ == "__main__":
    main()
