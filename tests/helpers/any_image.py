"""Writes docs/any-image.md from what programs really compute: ``python tests/helpers/any_image.py export/bundles/*.zip``.

For bundles that take planes of one channel and make no stacks of them. Images of every kind are made of the bundle's own sample image and
written as files. Every program that is here runs them, plane by plane, and is compared with the eager network in this process. Sections of
bundles that are not given are kept. Nothing is written where something disagrees and CAUSES has no word on it.
"""

# ruff: noqa: T201  scripts print

import argparse
import datetime
import hashlib
import math
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
import yaml

from zooready import java
from zooready.bundle.reading import opened
from zooready.comparison.user_images import as_inputs
from zooready.consumers import CONSUMERS, consumer
from zooready.consumers.cellprofiler import cppipe, headless
from zooready.errors import InputInvalid, ZooreadyError
from zooready.families import shipped, weights_file
from zooready.images.agreement import SHARED
from zooready.images.files import read_image, write_image
from zooready.images.matching import match
from zooready.prediction import engine, load, predict
from zooready.records import Image, as_float32

TARGET = Path(__file__).parents[2] / "docs" / "any-image.md"
WEIGHTS = Path(__file__).parents[2] / "src" / "zooready" / "weights"
SIDE = 192  # px of the images cut from the sample
ODD = (101, 67)  # y and x, no multiples of any stride
COLOUR = "RGB, green"
LUMINANCE = (0.2125, 0.7154, 0.0721)  # of red, green and blue where CellProfiler makes an image grey
KINDS = ("sample", "8-bit", "16-bit", "float", COLOUR, "odd size", "z-stack", "time series")
CAUSES: dict[tuple[str, str], str] = {}  # (bundle, program): why it disagrees and what to do, one sentence
HEAD = """# The outputs of all programs for images of every kind

The output of each program for images of every kind, compared with the network run by PyTorch in eager mode: the largest difference
divided by the range (largest minus smallest value) of the eager output for that image. For labels: the number of objects found and
expected, and the number of pixels that are not shared by objects matched one to one. **Bold** values exceed the tolerance of
[verdicts.md](verdicts.md#when-numbers-agree).

All images are made from the bundle's sample image: the unchanged sample; cropped to {side} × {side} px and scaled to 8 bits, to
16 bits, and to mean 0 and standard deviation 1 with fractions and negative values; as the green channel of an RGB image; cropped to {odd};
three shifted crops as a z-stack, and as a time series with decreasing intensity, both processed plane by plane. `predict` opens these
files; for the Java engines, ImageJ opens one file per plane; both use the bit depth of the files. The other programs are given the
same pixels in the way of `zooready check` (arrays; for CellProfiler 16-bit TIFFs, or 32-bit TIFFs if values are not whole numbers).

"""


@dataclass(frozen=True)
class Scene:
    """An image as a file, its planes as the network takes them, and each plane as a file of its own."""

    name: str
    path: Path
    planes: list
    files: list


def scenes(bundle, folder):
    """Every kind of image, made of the sample."""
    sample = sample_of(bundle)
    top, spread = float(sample.max()) or 1.0, float(sample.std()) or 1.0
    height, width = (min(SIDE, length) for length in sample.shape)
    piece = sample[:height, :width]
    eight, sixteen = (np.rint(piece / top * most).astype(kind) for most, kind in ((255, np.uint8), (65535, np.uint16)))
    moved = np.stack([np.roll(sample, (31 * n, 17 * n), axis=(0, 1))[:height, :width] for n in range(3)])
    faded = np.rint(moved * np.array([1.0, 0.8, 0.5])[:, None, None]).astype(sample.dtype)
    arrays = {
        "sample": (sample, "yx"),
        "8-bit": (eight, "yx"),
        "16-bit": (sixteen, "yx"),
        "float": (((piece - sample.mean()) / spread).astype(np.float32), "yx"),
        COLOUR: (np.stack([eight // 2, eight, 255 - eight]), "cyx"),
        "odd size": (piece[: ODD[0], : ODD[1]], "yx"),
        "z-stack": (moved, "zyx"),
        "time series": (faded, "tyx"),
    }
    return [scene(name, array, axes, folder) for name, (array, axes) in arrays.items()]


def scene(name, array, axes, folder):
    stem = name.split(",")[0].replace(" ", "-")
    path = folder / f"{stem}.tif"
    if axes == "cyx":
        tifffile.imwrite(path, np.moveaxis(array, 0, -1), photometric="rgb")
        array = array[1:2]
    else:
        write_image(Image(array=array, axes=axes), path)
    planes = array if array.ndim == 3 else array[None]
    files = [folder / f"{stem}-plane{n}.tif" for n in range(len(planes))]
    for file, plane in zip(files, planes, strict=True):
        write_image(Image(array=plane, axes="yx"), file)
    return Scene(name, path, [as_float32(plane[None, None]) for plane in planes], files)


def sample_of(bundle):
    """The sample image (y, x) in its own type; of a bundle without one, the test input."""
    if sample := bundle.inputs[0].sample:
        return read_image(bundle.folder / sample).array
    return bundle.cases[0].input[0, 0]


def runs(bundle, images, names):
    """(program, format, version or "", outputs of each plane of each image) of everything that is here."""
    flat = [plane for image in images for plane in image.planes]
    files = [file for image in images for file in image.files]
    for name in names:
        module = consumer(name)
        for format in [format for format in module.READS if format in bundle.formats]:
            for variant in getattr(module, "VARIANTS", ("",)):
                print(f"  {name} {format} {variant}", file=sys.stderr)
                if name.startswith("java-"):
                    which = f"onnx-{variant}" if variant else "pytorch"
                    outputs = java.run(which, bundle.formats[format], files, limit_s=1200).outputs
                else:
                    outputs = module.run(bundle, format, flat, **({"variant": variant} if variant else {}))
                yield name, format, variant, regrouped(outputs, images)
    for format in bundle.formats:
        print(f"  predict {format}", file=sys.stderr)
        loaded = load(bundle, format, "cpu")
        yield "predict", format, "", [predicted(bundle, image, loaded) for image in images]


def regrouped(outputs, images):
    """Outputs of a flat list of planes, by image."""
    queue = iter(outputs)
    return [[next(queue) for _ in image.planes] for image in images]


def predicted(bundle, image, loaded):
    """What ``predict`` makes of the file, taken apart into planes (1, c, y, x)."""
    prediction = predict(bundle, read_image(image.path), loaded=loaded, channel=2 if image.name == COLOUR else None)
    planes = []
    for n in range(len(image.planes)):
        outputs = []
        for name, kind in bundle.kinds:
            if kind == "scores":
                table = prediction.scores[name]
                outputs.append(as_float32(np.array([table.rows[n][-len(outputs_of(bundle, name)) :]])))
                continue
            array, axes = prediction.images[name].array, prediction.images[name].axes
            for axis in "tz":
                if axis in axes:
                    array, axes = np.take(array, n, axis=axes.index(axis)), axes.replace(axis, "")
            outputs.append(as_float32(array if axes == "cyx" else array[None])[None])
        planes.append(tuple(outputs))
    return planes


def outputs_of(bundle, name):
    """Names of the classes of an output."""
    return next(spec.channels for spec in headless.specs(bundle)[1] if spec.name == name)


def compared(kind, expected, outputs, tolerance):
    """(text of a cell, whether it agrees) for one output of one image; lists of planes."""
    if any(reference.shape != output.shape for reference, output in zip(expected, outputs, strict=True)):
        return f"shape {outputs[0].shape}", False
    if kind == "labels":
        both = [match(reference, output) for reference, output in zip(expected, outputs, strict=True)]
        first, second = sum(matched.n_first for matched in both), sum(matched.n_second for matched in both)
        any_pixel = sum(int(((reference > 0) | (output > 0)).sum()) for reference, output in zip(expected, outputs, strict=True))
        apart = any_pixel - sum(int(matched.overlap.sum()) for matched in both)
        shared = min(
            int(matched.overlap.sum()) / size if size else 1.0
            for matched in both
            for size in (matched.foreground_first, matched.foreground_second)
        )
        agrees = all(matched.n_first == matched.n_second for matched in both) and shared >= SHARED
        return f"{second} of {first}, {apart} px", agrees
    largest = 0.0
    for reference, output in zip(expected, outputs, strict=True):
        span = float(np.ptp(reference.astype(np.float64))) or 1.0
        apart = np.abs(reference.astype(np.float64) - output.astype(np.float64)).max(initial=0.0) / span
        largest = float(np.maximum(largest, apart))  # which keeps NaN, as max() does not
    return f"{largest:.1e}" if largest else "0", math.isfinite(largest) and largest <= tolerance


def section(path, names):
    """(Markdown, programs with a format that disagree) for one bundle."""
    faults = {}
    with opened(path, trust_code=True) as bundle, TemporaryDirectory() as temporary:
        print(path.name, file=sys.stderr)
        images = scenes(bundle, Path(temporary))
        eager = engine(bundle, "state_dict", "cpu")
        expected = [[eager(plane) for plane in image.planes] for image in images]
        rows = {k: [] for k in range(len(bundle.outputs))}
        for program, format, variant, outputs in runs(bundle, images, names):
            for k, (_, kind) in enumerate(bundle.kinds):
                cells = [
                    compared(kind, [arrays[k] for arrays in first], [arrays[k] for arrays in second], bundle.tolerance[format])
                    for first, second in zip(expected, outputs, strict=True)
                ]
                for name, (text, agrees) in zip(KINDS, cells, strict=True):
                    if not agrees:
                        faults.setdefault(f"{program} {format} {variant}".strip(), []).append(f"{name}: {text}")
                marked = [text if agrees else f"**{text}**" for text, agrees in cells]
                rows[k].append(f"| `{program}` | {format}{' ' + variant if variant else ''} | {' | '.join(marked)} |")
        text = f"## {path.stem}\n\n{made(bundle, path.stem)}\n\n"
        for k, (name, kind) in enumerate(bundle.kinds):
            what = "objects found of expected, pixels not shared" if kind == "labels" else "largest difference / range"
            text += f"`{name}`: {what}\n\n| program | weights | {' | '.join(KINDS)} |\n|{'---|' * (len(KINDS) + 2)}\n"
            text += "\n".join(rows[k]) + "\n\n"
        text += refusals(bundle, images)
        return text + (mixed(bundle, images, eager) if "cellprofiler" in names else "") + "\n\n", faults


def made(bundle, name):
    """What the bundle is, in a sentence."""
    facts = yaml.safe_load((bundle.folder / "rdf.yaml").read_text(encoding="utf-8"))["config"]["zooready"]
    variant = facts.get("weights", {}).get("torchscript", {}).get("variant", "unknown")
    tolerances = ", ".join(f"{format} {bundle.tolerance[format]:g}" for format in bundle.formats)
    when = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    weights = f"Weights {', '.join(bundle.formats)}; TorchScript variant {variant}; tolerances {tolerances}."
    return f"{weights} Measured on {when}{of_weights(name)}."


def of_weights(name):
    """Which weights of a family are shipped, by the first digits of their SHA-256; nothing of other bundles."""
    if name not in shipped():
        return ""
    return f" with the weights `{hashlib.sha256((WEIGHTS / weights_file(name)).read_bytes()).hexdigest()[:12]}`"


def refusals(bundle, images):
    """What is said of the RGB image as it is, where one channel is asked for."""
    (path,) = [image.path for image in images if image.name == COLOUR]
    messages = []
    for what, call in (
        ("`zooready check --image`, for all programs", lambda: as_inputs(bundle, path)),
        ("`predict` without `--channel`", lambda: predict(bundle, read_image(path))),
    ):
        try:
            call()
        except InputInvalid as error:
            messages.append(f'{what}: "{str(error).replace("|", "")}"')
        else:
            raise AssertionError(f"{what} took an RGB image for a network of one channel")
    return "A whole RGB image is refused. " + " ".join(messages)


def mixed(bundle, images, eager):
    """What CellProfiler makes of the RGB image: its pipelines declare grey images, so that it mixes the colours itself."""
    (path,) = [image.path for image in images if image.name == COLOUR]
    stem, (_, outputs) = "case000-000-channel0", headless.specs(bundle)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("in", "out", "home"):
            (folder / name).mkdir()
        shutil.copy(path, folder / "in" / f"{stem}.tif")
        headless._zip(bundle, folder / "in" / headless.BUNDLE)
        pipeline = cppipe.pipeline(outputs, channels=1, volume=False, bundle=headless.BUNDLE)
        (folder / "all.cppipe").write_text(pipeline, encoding="utf-8")
        headless.launch(folder / "all.cppipe", folder / "in", folder / "out", home=folder / "home")
        table = headless._table(folder / "out" / "Image.csv") if any(spec.kind == "scores" for spec in outputs) else {}
        results = [headless._read(folder / "out", stem, k, spec, table)[None] for k, spec in enumerate(outputs)]
    expected = eager(as_float32((tifffile.imread(path) @ np.array(LUMINANCE))[None, None]))
    cells = []
    for spec, first, second in zip(outputs, expected, results, strict=True):
        text, agrees = compared(spec.kind, [first], [second], bundle.tolerance["onnx"])
        assert agrees, f"CellProfiler does not mix colours by {LUMINANCE} any more: {spec.name} {text}"
        cells.append(f"`{spec.name}` {text}")
    return (
        " CellProfiler alone does not refuse it: its pipelines declare grey images, so it mixes red, green and blue by "
        f"{', '.join(map(str, LUMINANCE))} before the plugin sees them, and then agrees with the network on that mixture "
        f"({', '.join(cells)}). To use a single colour, put CellProfiler's ColorToGray before RunZooready."
    )


def sections_of(page):
    """The sections of a page by bundle."""
    parts = page.split("\n## ")[1:-1]
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n\n" for part in parts}


def page(paths, names, absent, before=""):
    """(The whole page, what disagrees without a known cause); what the page ``before`` says of other bundles stays."""
    sections, unknown = sections_of(before), []
    for path in paths:
        text, faults = section(path, names)
        for who, cells in faults.items():
            cause = next((why for (stem, start), why in CAUSES.items() if stem == path.stem and who.startswith(start)), None)
            if cause is None:
                unknown.append(f"{path.stem}, {who}: {'; '.join(cells)}")
            else:
                text += f"- **{who}** ({'; '.join(cells)}): {cause}\n"
        sections[path.stem] = text + ("Nothing disagrees.\n\n" if not faults else "\n")
    ordered = sorted(sections, key=lambda name: (*shipped(), name).index(name))
    head = HEAD.format(side=SIDE, odd=f"{ODD[1]} × {ODD[0]} px")
    return head + "".join(sections[name] for name in ordered) + foot(names, absent), unknown


def foot(names, absent):
    versions = {"Python": platform.python_version(), "NumPy": version("numpy"), "PyTorch (eager)": version("torch")}
    versions_used = [", ".join(f"{key} {value}" for key, value in versions.items())]
    versions_used += [f"`{name}`: " + ", ".join(f"{key} {value}" for key, value in consumer(name).versions().items()) for name in names]
    where = f"{platform.system()} on {platform.machine()}"
    text = "## Where the numbers are from\n\nMeasured by `python tests/helpers/any_image.py` "
    text += f"on {where}; not typed by hand. {'; '.join(versions_used)}.\n"
    return text + (f"\nNot run there: {', '.join(f'`{name}`' for name in absent)}.\n" if absent else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page; 1 if something disagrees and nobody knows why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--in", dest="programs", nargs="+", default=None, choices=CONSUMERS, help="default: all that run here")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    here = [name for name in CONSUMERS if hasattr(consumer(name), "run") and not consumer(name).missing()]
    names = [name for name in here if options.programs is None or name in options.programs]
    try:
        before = options.out.read_text(encoding="utf-8") if options.out.is_file() else ""
        text, unknown = page(options.bundles, names, [name for name in CONSUMERS if name not in names], before)
    except ZooreadyError as error:
        print(f"any_image: {error}", file=sys.stderr)
        return 1
    if unknown:
        print("These disagree, and CAUSES says nothing of them:", *unknown, sep="\n", file=sys.stderr)
    else:
        options.out.write_text(text, encoding="utf-8")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
