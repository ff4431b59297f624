"""Writes the tables of docs/consumers-measured.md: ``ZOOREADY_FIJI=Fiji.app python tests/helpers/hyperstacks.py export/bundles/*.zip``.

Images of every kind of axes and pixels are made of a bundle's own sample and given, as files, to the macro of ``zooready install`` in
DeepImageJ, to ``run_bundle.py`` in pyimagej, to ``predict`` and to CellProfiler's module. Each piece that a network takes at once is
compared with the network run by PyTorch in eager mode in this process; what docs/fiji.md says is refused has to be refused, in words.
Sections of bundles that are not given are kept. Nothing is written where something disagrees.
"""

# ruff: noqa: T201  scripts print

import argparse
import datetime
import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import any_image
import numpy as np
import tifffile
from hyperstack_programs import PROGRAMS, Refused

from zooready.bundle.reading import opened
from zooready.families import shipped
from zooready.images.files import read_image, write_image
from zooready.prediction import engine
from zooready.records import Array, Bundle, Image, as_float32

TARGET = Path(__file__).parents[2] / "docs" / "consumers-measured.md"
TITLE = "## The shipped bundles\n"
SIDES = (96, 112)  # y and x of the pieces but the sample; of a network of stacks half of it
ODD = (71, 97)
DEPTH = 5  # planes of a stack for a network of stacks
HEAD = """
Each cell is the largest difference from the network in PyTorch, divided by the range of that output for that plane (of a network of
stacks: for that stack), over all planes and all outputs but labels; for labels the objects found of those expected, and the pixels that
are not shared by objects matched one to one. Weights: TorchScript in the macro and in `run_bundle.py`, whose tolerance is 1e-5; ONNX in
`predict` and in CellProfiler (1e-4). What is refused is refused in words with the cure, as in the table of
[fiji.md](fiji.md#stacks-time-series-and-channels).

All images are made of the bundle's sample, as files. Pieces have {height} × {width} px, of networks of stacks {half} px and {depth} planes;
odd ones have {odd} px, or half of it. A time series and a z-stack have two of them, z-stacks over time two by two. *Signed* is 16-bit with
values below 0 as ImageJ stores it, *32-bit* has fractions and values below 0. CellProfiler has no time: it is given a file for each time
point, and each channel as a file of its own, as many as the network takes (–: the number of channels is chosen in its window).

Written by `tests/helpers/hyperstacks.py`, not by hand.
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An image as a file: ``array`` (t, z, c, y, x) as ImageJ shows it, ``axes`` those that it is stored with."""

    name: str
    path: Path
    array: Array
    axes: str


@dataclass
class Section:
    """The rows of a bundle, and what disagrees."""

    rows: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def sample_of(bundle: Bundle) -> Array:
    """The sample as (z, c, y, x) in its own type; of a bundle without one, the test input."""
    array, axes = bundle.cases[0].input[0], bundle.inputs[0].axes[1:]
    if sample := bundle.inputs[0].sample:
        image = read_image(bundle.folder / sample)
        array, axes = image.array, image.axes
    for axis in "zc":
        if axis not in axes:
            array, axes = array[None], axis + axes
    return array.transpose([axes.index(axis) for axis in "zcyx"])


def scenes(bundle: Bundle, folder: Path) -> list[Scene]:
    """Every kind of image; the first is the sample itself."""
    stacks, sample = "z" in bundle.inputs[0].axes, sample_of(bundle)
    height, width = (side // 2 if stacks else side for side in SIDES)
    depth = DEPTH if stacks else 1
    unit = sample[:depth, :, :height, :width]

    def moved(t: int, z: int) -> Array:
        """(t, z, c, y, x): every piece another one."""
        pieces = [np.roll(sample, (31 * n, 17 * n), axis=(2, 3))[:depth, :, :height, :width] for n in range(t * z)]
        return np.stack(pieces).reshape(t, z * depth, *unit.shape[1:])

    piece, planes = "zyx" if stacks else "yx", 1 if stacks else 2
    shapes = {
        "sample": (sample[None], piece),
        **pixels(unit, bundle, piece),
        "odd size": (sample[None, :depth, :, : ODD[0] // (1 + stacks), : ODD[1] // (1 + stacks)], piece),
        "depth 1": (moved(1, 1)[:, :1], "tzyx"),
        "time series": (moved(2, 1)[:, :1], "tyx"),
        "z-stack": (moved(1, planes), "zyx"),
        "z-stacks over time": (moved(2, planes), "tzyx"),
        "z-stack, a channel too many": (np.concatenate([moved(1, planes)] * 2, axis=2), "zyx"),
    }
    if unit.shape[1] > 1:
        shapes["a channel too few"] = (unit[None, :, :1], "yx")
    return [scene(name, array, axes, folder) for name, (array, axes) in shapes.items()]


def pixels(unit: Array, bundle: Bundle, axes: str) -> dict[str, tuple[Array, str]]:
    """The same piece in other types of pixels, (1, z, c, y, x); a channel that holds no light allows signed ones alone."""
    top, light = float(unit.max()), unit.astype(np.float64)
    signed = {"signed": (np.rint(unit.astype(np.float64) - (0 if bundle.limits else 100)).astype(np.int16)[None], axes)}
    if bundle.limits:
        return signed
    return {
        "8-bit": (np.rint(light / top * 255).astype(np.uint8)[None], axes),
        "32-bit": (((light - light.mean()) / light.std()).astype(np.float32)[None], axes),
        **signed,
    }


def scene(name: str, array: Array, axes: str, folder: Path) -> Scene:
    """Write (t, z, c, y, x) with the axes named, and with c where there are several channels."""
    path = folder / f"{name.replace(',', '').replace(' ', '-')}.tif"
    axes = axes.replace("yx", "cyx") if array.shape[2] > 1 else axes
    kept = array.reshape([length for axis, length in zip("tzcyx", array.shape, strict=True) if axis in axes])
    if array.dtype == np.int16:  # ImageJ keeps 32768 more, and a function that takes it off
        sizes = {"channels": array.shape[2], "slices": array.shape[1], "frames": array.shape[0]}
        counts = "".join(f"{key}={length}\n" for key, length in sizes.items() if length > 1)
        told = f"ImageJ=1.54p\nimages={array[..., 0, 0].size}\n{counts}hyperstack=true\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n"
        stored = (kept.astype(np.int32) + 32768).astype(np.uint16)
        tifffile.imwrite(path, stored, description=told, metadata=None, photometric="minisblack")
    else:
        write_image(Image(array=kept, axes=axes, pixel_size_um=0.2, z_um=0.5 if "z" in axes else None), path)
    return Scene(name=name, path=path, array=array, axes=axes)


def is_refused(bundle: Bundle, image: Scene) -> bool:
    """Whether docs/fiji.md says so."""
    frames, planes, channels = image.array.shape[:3]
    wanted = len(bundle.inputs[0].channels)
    if channels != wanted:
        return True
    if "z" in bundle.inputs[0].axes:
        return planes == 1
    return planes > 1 and any("z" in output.axes for output in bundle.outputs)


def expected(bundle: Bundle, image: Scene, run) -> dict[str, list[Array]]:
    """Outputs of every piece by eager PyTorch, frame by frame and in each plane by plane; without the axis b."""
    outputs = {output.name: [] for output in bundle.outputs}
    for frame, z in itertools.product(range(image.array.shape[0]), [...] if "z" in bundle.inputs[0].axes else range(image.array.shape[1])):
        piece = np.moveaxis(image.array[frame], 1, 0) if z is ... else image.array[frame, z]
        for output, array in zip(bundle.outputs, run(as_float32(piece[None])), strict=True):
            outputs[output.name].append(array[0])
    return outputs


def cell(bundle: Bundle, format: str, truth: dict[str, list[Array]], found: dict[str, list[Array]]) -> tuple[str, bool]:
    """What stands in a cell, and whether all outputs agree; scores of a volume are the mean over its planes in CellProfiler."""
    values, objects, agree = [], "", True
    for output in bundle.outputs:
        first, second = truth[output.name], found[output.name]
        if output.kind == "scores" and len(second) < len(first):
            parts = len(first) // len(second)
            first = [np.mean(first[n : n + parts], axis=0) for n in range(0, len(first), parts)]
        if len(first) != len(second):
            return f"{len(second)} pieces of {len(first)}", False
        text, agrees = any_image.compared(output.kind, first, second, bundle.tolerance[format])
        agree &= agrees
        if output.kind == "labels":
            objects = text
        else:
            values.append(text)
    largest = max(values, key=lambda text: float(text) if re.fullmatch("[0-9.e+-]+", text) else np.inf, default="")
    return "; ".join(filter(None, (largest, objects))), agree


def section(path: Path, names: Sequence[str]) -> tuple[str, list[str], dict[str, str]]:
    """(Markdown of a bundle, what disagrees, one text of refusal for each kind of image and program)."""
    made, words = Section(), {}
    with opened(path, trust_code=True) as bundle, TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = scenes(bundle, folder)
        run = engine(bundle, "state_dict", "cpu")
        truths = {image.name: expected(bundle, image, run) for image in images if not is_refused(bundle, image)}
        answers = {}
        for name in names:
            print(f"{path.stem}: {name}", file=sys.stderr)
            (folder / name).mkdir()
            answers[name] = PROGRAMS[name].run(path, bundle, images, folder / name)
        for n, image in enumerate(images):
            cells = []
            for name in names:
                answer, refusal = answers[name][n], is_refused(bundle, image)
                if answer is None:
                    text, right = "–", True
                elif isinstance(answer, Refused):
                    text, right = "refused", refusal and len(answer.words) > 20
                    words[f"{image.name}|{name}"] = answer.words
                elif refusal:
                    text, right = "runs", False
                else:
                    text, right = cell(bundle, PROGRAMS[name].format, truths[image.name], answer)
                if not right:
                    made.faults.append(f"{path.stem}, {name}, {image.name}: {getattr(answer, 'words', '') or text}")
                cells.append(text if right else f"**{text}**")
            made.rows.append(f"| {image.name} | {' | '.join(cells)} |")
        shape = " × ".join(str(length) for length in np.squeeze(images[0].array).shape)
    when = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    head = f"### {path.stem}\n\nSample of {shape}; measured on {when}{any_image.of_weights(path.stem)}.\n"
    table = f"| image | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}\n"
    return f"{head}\n{table}" + "\n".join(made.rows) + "\n", made.faults, words


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page by bundle."""
    ours = page.split(TITLE, 1)[-1].split("\n## ", 1)[0]
    return {part.split("\n", 1)[0]: "### " + part.rstrip("\n") + "\n" for part in ours.split("### ")[1:]}


def head() -> str:
    """What stands before the tables."""
    half = " × ".join(str(side // 2) for side in SIDES)
    return TITLE + HEAD.format(height=SIDES[0], width=SIDES[1], half=half, depth=DEPTH, odd=" × ".join(map(str, ODD)))


def put_into(page: str, sections: dict[str, str]) -> str:
    """The page with these sections, in the order of the list of families."""
    before, rest = page.split(TITLE, 1)
    ordered = [sections[name] for name in sorted(sections, key=lambda name: (*shipped(), name).index(name))]
    return before + "\n".join([head(), *ordered]) + "\n## " + rest.split("\n## ", 1)[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page; 1 if something disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--in", dest="programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    for name in options.programs:
        if absent := PROGRAMS[name].missing():
            print(f"hyperstacks: {name}: {absent}", file=sys.stderr)
            return 3
    faults = []
    for path in options.bundles:
        text, wrong, words = section(path, options.programs)
        for what, said in words.items():
            print(f"  {what}: {said}", file=sys.stderr)
        print(text, *wrong, sep="\n", file=sys.stderr)
        faults += wrong
        if not wrong:
            page = options.out.read_text(encoding="utf-8")
            options.out.write_text(put_into(page, sections_of(page) | {path.stem: text}), encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
