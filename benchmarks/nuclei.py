"""The nuclei network: trained on simulated and on real fields, and judged on acquisitions that it never saw.

    python benchmarks/nuclei.py simulate                             fields for the training, into runs/nuclei
    python benchmarks/nuclei.py train --name simulated --steps 2400 --rate 2e-3
    python benchmarks/nuclei.py train --name without-RPE1 --start simulated --leave-out RPE1 --steps 600
    python benchmarks/nuclei.py train --name all --start simulated --real --steps 1500
    python benchmarks/nuclei.py judge --leave-out RPE1               thresholds and counts on a line that was left out, into runs/nuclei
    python benchmarks/nuclei.py ship --name all                      weights and tables into the package, and benchmarks/nuclei.json

Real fields are those of mnfinder 1.2.3 (MIT), its training-data and validation-data; its test-data is never unpacked. Folds are cell
lines: the fields of one, with all of its dates, are left out of training and of the choice of thresholds.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nuclei_fields import CROP_PX, LINES, RUNS, SIMULATED_FIELDS, Field, crop, fetch, held_out, real_fields, simulated
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch.nn import functional

from zooready.commands.evaluate import evaluate
from zooready.evaluation import label_images
from zooready.families import segmentation
from zooready.images.matching import match
from zooready.images.whole_files import whole_file
from zooready.nets.labelling import Instances
from zooready.training import checkpoint

RESULT = Path(__file__).with_suffix(".json")
WEIGHTS = Path(__file__).parent.parent / "src/zooready/weights/segmentation.safetensors"
BATCH, FOLD_STEPS = 3, "220 to 500"
CHOSEN = "held-out fields: between the choice of the folds (core 0.3, smallest 15 to 20) and that of simulated fields (0.4, 5)"
THRESHOLDS = tuple(segmentation.HEAD.kwargs[name] for name in ("foreground", "core", "smallest"))
CARDS = Path(__file__).parent.parent / "model_cards"
AVERAGE = 0.995  # of the running average of the weights


def batches(fields: Sequence[Field], steps: int, seed: int, share: float) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of crops: a share of them real, each cell line as often as the others."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[Field]] = {}
    for field in fields:
        groups.setdefault(field.line, []).append(field)
    lines = [line for line in groups if line]
    for _ in range(steps):
        crops = []
        for _ in range(BATCH):
            line = lines[rng.integers(len(lines))] if lines and ("" not in groups or rng.random() < share) else ""
            crops.append(crop(groups[line][rng.integers(len(groups[line]))], rng))
        yield torch.stack([image for image, _ in crops]), torch.stack([target for _, target in crops])


def grafted(old: Mapping[str, torch.Tensor], new: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The U-Net that was shipped before as the U-Net within: it ignores the second input, and passes its last features on."""
    for key, value in old.items():
        if not key.startswith("last"):
            new[f"within.{key}"] = value
    new["within.down.0.0.weight"] = torch.cat([old["down.0.0.weight"], torch.zeros_like(old["down.0.0.weight"])], 1)
    channels = len(new["within.last.bias"])
    new["within.last.weight"], new["within.last.bias"] = torch.eye(channels)[:, :, None, None], torch.zeros(channels)
    return new


def train(name: str, fields: Sequence[Field], start: str, steps: int, rate: float, seed: int = 0, share: float = 0.6) -> None:
    """Train and save ``RUNS/name.safetensors``: running average of the weights; cosine rate with a short rise."""
    torch.manual_seed(seed)
    network = segmentation.FAMILY.network.architecture.build()
    if start:
        weights = load_file(RUNS / f"{start}.safetensors")
        network.load_state_dict(weights if "join.0.weight" in weights else grafted(weights, network.state_dict()))
    network = network.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 1e-3
    )
    begun, losses = time.monotonic(), []
    for step, (images, targets) in enumerate(batches(fields, steps, seed, share)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(images.contiguous(memory_format=torch.channels_last))
        loss = segmentation.loss(output, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        keep = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for own, other in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                own.lerp_(other, 1 - keep) if own.is_floating_point() else own.copy_(other)
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            print(f"{name} {step + 1} loss {np.mean(losses[-20:]):.4f} {time.monotonic() - begun:.0f} s", flush=True)  # noqa: T201
        if (step + 1) % 200 == 0 or step + 1 == steps:
            save_file({key: value.contiguous() for key, value in average.state_dict().items()}, RUNS / f"{name}.safetensors")
    facts = {"name": name, "start": start, "steps": steps, "rate": rate, "batch": BATCH, "crop_px": CROP_PX, "real": share}
    facts |= {"fields": len(fields), "seconds": round(time.monotonic() - begun)}
    (RUNS / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")


GRID = [(foreground, core, smallest) for foreground in (0.5, 0.6) for core in (0.3, 0.4, 0.5) for smallest in (5, 10, 15, 20)]
ZOOMS, FEW = (0.5, 0.7, 1.4, 2.0, 3.0), 8  # rescaled and disturbed: every eighth field of a line
NETWORK, ALONE, OTSU = "network", "simulation alone", "otsu"  # rows
Count = NDArray[np.int64]  # matched at 0.5, matched at 0.75, true objects, found objects


def counted(truth: NDArray[Any], labels: NDArray[Any]) -> Count:
    """Matched, true and found objects of one field."""
    half, strict = match(truth, labels), match(truth, labels, 0.75)
    return np.array([len(half.pairs), len(strict.pairs), half.n_first, half.n_second])


def f1(counts: Sequence[Count]) -> dict[str, float]:
    """F1 at 0.5 and 0.75 over the objects of all fields together."""
    half, strict, true, found = np.sum(counts, axis=0).tolist()
    return {"f1_50": round(2 * half / (true + found), 4), "f1_75": round(2 * strict / (true + found), 4)}


def connected(field: Field) -> NDArray[Any]:
    """The same truth as connected parts, as if nobody had numbered nuclei that touch."""
    return np.asarray(ndimage.label(field.labels > 0)[0])


TRUTHS: Mapping[str, Callable[[Field], NDArray[Any]]] = {"numbered": lambda field: field.labels, "connected": connected}


def choose(segmenter: label_images.Segmenter, fields: Sequence[Field]) -> tuple[float, float, int]:
    """Thresholds (foreground, core, smallest) with the highest F1@0.5 + F1@0.75 on fields."""
    counts: dict[tuple[float, float, int], list[Count]] = {setting: [] for setting in GRID}
    for field in fields:
        probabilities = segmenter.probabilities(field.image)
        for setting in GRID:
            head = Instances(foreground=setting[0], core=setting[1], smallest=setting[2])
            counts[setting].append(counted(field.labels, label_images.labelled(head, probabilities)))
    sums = {setting: sum(f1(rows).values()) for setting, rows in counts.items()}
    return max(sums, key=lambda setting: sums[setting])


def zoomed(field: Field, zoom: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Image and labels of a field, rescaled as a person would rescale them."""
    size = tuple(round(extent * zoom) for extent in field.image.shape)
    image = functional.interpolate(torch.as_tensor(field.image)[None, None], size, mode="bilinear", antialias=True)[0, 0].numpy()
    nearest = [np.minimum((np.arange(new) + 0.5) / zoom, old - 1).astype(int) for new, old in zip(size, field.image.shape, strict=True)]
    return image, field.labels[np.ix_(*nearest)]


def twenty_photons(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """As if the 99th percentile above the background were 20 photons."""
    low, high = np.percentile(image, [1, 99])
    return rng.poisson(np.clip((image - low) / max(high - low, 1e-6), 0, None) * 20).astype(np.float32)


def vignette(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Light that falls to 30 % in the corners."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, extent) for extent in image.shape), indexing="ij")
    return (image * np.exp(-(y**2 + x**2) / 2 * 1.2)).astype(np.float32)


def hot_pixels(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """One pixel in a thousand at the camera's highest count."""
    return np.where(rng.random(image.shape) < 1e-3, 65535 if image.max() > 255 else 255, image).astype(np.float32)


DISTURBANCES = {"noise of 20 photons": twenty_photons, "vignette to 30 %": vignette, "one hot pixel in a thousand": hot_pixels}


def disturbed(segmenter: label_images.Segmenter, fields: Sequence[Field]) -> dict[str, list[Count]]:
    """Counts on fields as they are, rescaled, and disturbed."""
    rng = np.random.default_rng(0)
    rows = {"as they are": [counted(field.labels, segmenter(field.image)) for field in fields]}
    for zoom in ZOOMS:
        scaled = [zoomed(field, zoom) for field in fields]
        rows[f"rescaled x{zoom:g}"] = [counted(labels, segmenter(image)) for image, labels in scaled]
    for name, change in DISTURBANCES.items():
        rows[name] = [counted(field.labels, segmenter(change(field.image, rng))) for field in fields]
    return rows


def segmenter_of(name: str, thresholds: tuple[float, float, int] = (0.5, 0.4, 10)) -> label_images.Segmenter:
    """A trained network with its thresholds."""
    head = Instances(foreground=thresholds[0], core=thresholds[1], smallest=thresholds[2])
    return label_images.Segmenter(load_file(RUNS / f"{name}.safetensors"), head)


def judge(line: str, fields: Sequence[Field], simulation: Sequence[Field]) -> None:
    """Counts on the fields of one line, by a network that never saw it, by simulation alone, and by Otsu and watershed; into ``RUNS``."""
    judged, fold = [field for field in fields if field.line == line], f"without-{line}"
    at = {"simulated": choose(segmenter_of("simulated"), simulation)}
    at[fold] = choose(segmenter_of(fold), held_out([field for field in fields if field.line != line])[1])
    network = segmenter_of(fold, at[fold])
    methods = {NETWORK: network, ALONE: segmenter_of("simulated", at["simulated"]), OTSU: otsu}
    counts: dict[str, dict[str, list[Count]]] = {table: {title: [] for title in methods} for table in TRUTHS}
    for field in judged:
        for title, method in methods.items():
            labels = method(field.image)
            for table, truth in TRUTHS.items():
                counts[table][title].append(counted(truth(field), labels))
    counts["changed"] = disturbed(network, judged[::FEW])
    plain = {table: {row: np.asarray(values).tolist() for row, values in rows.items()} for table, rows in counts.items()}
    content = {"thresholds": at, "objects": int(sum(field.labels.max() for field in judged)), "counts": plain}
    (RUNS / f"judged-{line}.json").write_text(json.dumps(content), encoding="utf-8")


def merged() -> dict[str, Any]:
    """The tables of all lines together, plain data."""
    lines = {line: json.loads((RUNS / f"judged-{line}.json").read_text(encoding="utf-8")) for line in LINES}
    tables: dict[str, Any] = {}
    for table in next(iter(lines.values()))["counts"]:
        rows = lines[LINES[0]]["counts"][table]
        tables[table] = {row: f1([count for content in lines.values() for count in content["counts"][table][row]]) for row in rows}
    tables["lines"] = {line: f1(content["counts"]["numbered"][NETWORK]) for line, content in lines.items()}
    facts = {key: {line: content[key] for line, content in lines.items()} for key in ("thresholds", "objects")}
    return {**facts, "fields": {line: len(content["counts"]["numbered"][NETWORK]) for line, content in lines.items()}, "tables": tables}


def otsu(image: NDArray[Any]) -> NDArray[Any]:
    """The classical baseline."""
    return label_images.classical(image, "otsu")


TABLES = {  # title in the card: table, and what it was measured on
    "other people's images": (
        "numbered",
        "{fields} fields of mnfinder 1.2.3 (MIT), {objects} nuclei, as they are, no size given; each cell line by a network of the same "
        "recipe, with fewer steps ({steps} after the simulated ones), that never saw it; thresholds chosen on held-out fields of the other "
        "lines; "
        "the shipped weights were then trained on all lines",
    ),
    "the same, by cell line": ("lines", "that network on each line that it never saw"),
    "the same, nuclei that touch counted as one": ("connected", "the same labels against connected parts of the truth"),
    "the same, changed": (
        "changed",
        "every eighth of these fields, rescaled, with noise as of 20 photons a nucleus, light that falls to 30 % in the corners, "
        "one pixel in a thousand at the camera's highest count; by networks that never saw the line",
    ),
}


def ship(name: str, thresholds: tuple[float, float, int]) -> None:
    """The weights of a run into the package, the tables into ``RESULT``, and the card with all that ``zooready evaluate`` measures."""
    found, chain = merged(), []
    step: str | None = name
    while step and (RUNS / f"{step}.json").exists():
        chain.insert(0, json.loads((RUNS / f"{step}.json").read_text(encoding="utf-8")))
        step = chain[0]["start"]
    content = (RUNS / f"{name}.safetensors").read_bytes()
    words = {"fields": sum(found["fields"].values()), "objects": sum(found["objects"].values()), "steps": FOLD_STEPS}
    record = {
        **{"family": "segmentation", "seed": 0, "steps": sum(run["steps"] for run in chain), "batch": "3 or 4"},
        **{"git": checkpoint.git_commit(), "device": "cpu", "precision": "bf16-mixed", "seconds": sum(run["seconds"] for run in chain)},
        "versions": checkpoint.versions(),
        "sha256": sha256(content).hexdigest(),
        "thresholds": dict(zip(("foreground", "core", "smallest"), thresholds, strict=True)) | {"chosen_on": CHOSEN},
        "tables": {title: found["tables"][table] for title, (table, _) in TABLES.items()},
        "measured_on": {title: text.format(**words) for title, (_, text) in TABLES.items()},
    }
    for path, text in ((RESULT, {**found, "runs": chain}), (WEIGHTS.with_suffix(".json"), record)):
        with whole_file(path) as file:
            file.write((json.dumps(text, indent=1, ensure_ascii=False) + "\n").encode())
    with whole_file(WEIGHTS) as file:
        file.write(content)
    evaluate("segmentation", CARDS, records=WEIGHTS.parent, progress=lambda sentence: print(sentence, flush=True))  # noqa: T201


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("fetch", "simulate", "train", "judge", "ship"))
    parser.add_argument("--cache", type=Path, default=Path("../cache/mnfinder"))
    parser.add_argument("--name", default="simulated")
    parser.add_argument("--start", default="")
    parser.add_argument("--leave-out", default="", choices=("", *LINES))
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--share", type=float, default=0.7, help="of real crops in a batch")
    parser.add_argument("--fields", type=int, default=SIMULATED_FIELDS, help="simulated ones")
    options = parser.parse_args()
    if options.action == "fetch":
        fetch(options.cache)
    elif options.action == "simulate":
        simulated()
    elif options.action == "train":
        real = real_fields(fetch(options.cache)) if options.real or options.leave_out else []
        real = held_out([field for field in real if field.line != options.leave_out])[0] if options.leave_out else real
        torch.set_num_threads(1)
        train(options.name, simulated(options.fields) + real, options.start, options.steps, options.rate, share=options.share)
    elif options.action == "ship":
        ship(options.name, THRESHOLDS)
    else:
        torch.set_num_threads(1)
        judge(options.leave_out, real_fields(fetch(options.cache)), simulated(24))


if __name__ == "__main__":
    main()
