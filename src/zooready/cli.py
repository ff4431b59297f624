"""The command line: parse, call one function, print, exit.

May import: commands
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zooready.errors import BundleInvalid, ConsumerMissing, InputInvalid, ZooreadyError

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130  # exit codes; see docs/verdicts.md


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = vars(parser().parse_args(arguments))
    options.pop("command")
    command = options.pop("call")
    try:
        from zooready import commands

        return int(getattr(commands, command)(**options) or 0)
    except ZooreadyError as error:
        _say(str(error))
        return MISSING if isinstance(error, ConsumerMissing) else USAGE if isinstance(error, InputInvalid | BundleInvalid) else FAILED
    except KeyboardInterrupt:
        _say("stopped. Finished files are kept, unfinished ones are not.")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:  # of a place that no room writes to by itself: temporary files, a current folder that is gone
        where = f" ({error.filename})" if error.filename else ""
        _say(f"the system refused: {error.strerror or error}{where}. Free space, check permissions, or set TMPDIR to another folder.")
        return USAGE


def _say(sentence: str) -> None:
    print(f"zooready: {sentence}", file=sys.stderr)  # noqa: T201


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    root = argparse.ArgumentParser(
        prog="zooready",
        description="Train microscopy models and ship bundles that are proven to run in Fiji, DeepImageJ, pyimagej and CellProfiler.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, call: str, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.set_defaults(call=call)
        return command

    _train(add("train", "train", "Train a family's network on your images or on simulated ones; can be killed and started again."))
    _export(add("export", "export", "Make a bundle from a finished run, or from the weights that come with zooready."))
    _check(add("check", "check", "Run a bundle in every program that is here, and compare the numbers."))
    _predict(add("predict", "predict", "Run a bundle on images."))
    _explain(add("explain", "explain", "Show why a network says what it says of an image: figures, TIFFs and numbers."))
    _measure(add("measure", "measure", "Measure the objects of images: a classifier's embedding and scores, shape, intensity, texture."))
    _install(add("install", "install", "Put a bundle into Fiji, where DeepImageJ finds it, with a macro that runs it."))
    _simulate(add("simulate", "simulate", "Simulate fluorescence and bright-field images with known truth, as OME-TIFF."))
    _data(add("data", "data", "Public data sets: where they live, how to lay them out; and what is wrong with a folder of data."))
    _protocol(add("protocol", "protocol", "Train and test PLCNN on a public data set as its paper did; can be killed and started again."))
    add("doctor", "doctor", "Say which programs are on this machine, and how to get the others.")
    _evaluate(
        add("evaluate", "evaluate", "Measure shipped weights or a run against truth and classical methods, and write the model card.")
    )
    families = add("list", "list_families", "The families and the models that come with zooready, with their measured quality.")
    families.add_argument("--cards", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="also write the model cards")
    engines = add("engines", "engines", "Fetch Fiji's Java engines into your cache, or check them.")
    engines.add_argument("action", choices=("install", "verify"))
    demo = add("demo", "demo", "Export the shipped models, check them everywhere, and write a page of images.")
    demo.add_argument("--out", type=Path, default=Path("export/bundles"), help="folder for bundles and report")
    demo.add_argument("--readme", type=Path, default=argparse.SUPPRESS, help="also put the verdict table into this file")
    return root


def _train(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("family", help="segmentation, mrbcr, ... (zooready list)")
    add("--out", type=Path, required=True, help="folder of the run")
    add(
        "--data",
        default="simulated",
        help="folder with images/ and, same names, masks/ (segmentation), truth/ (mrbcr) or truth/ (mrbcr3d); npz pairs; "
        "a folder a class (plcnn)",
    )
    add("--steps", type=_positive, default=argparse.SUPPRESS, help="optimiser steps (default: the family's recipe)")
    add("--batch", type=_positive, default=argparse.SUPPRESS, help="pairs in a step (default: the family's recipe)")
    add("--seed", type=_seed, default=0, help="of weights, data and augmentation")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")


def _data(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "data",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="SET-or-DIR",
        help="a set's name (without it: list them), or a folder of yours",
    )
    add("folder", nargs="?", default=argparse.SUPPRESS, metavar="DIR", help="where the set lies, to look through it")
    add("--splits", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="write the paper's splits as CSV (sets with classes)")
    add("--seed", type=_seed, default=0, help="of the splits")


def _protocol(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("data", metavar="SET", help="hela, cho, ... (zooready data)")
    add("folder", type=Path, metavar="DIR", help="where the set lies")
    add("--out", type=Path, required=True, help="folder for the runs and the table")
    add("--steps", type=_positive, default=argparse.SUPPRESS, help="optimiser steps of every run (default: the family's recipe)")
    add("--batch", type=_positive, default=argparse.SUPPRESS, help="images in a step (default: the family's recipe)")
    add("--folds", dest="count", type=_positive, default=10, help="of the cross-validation")
    add("--shares", nargs="+", type=_percent, default=[90, 80, 70, 60, 50], metavar="PERCENT", help="of the images, to train on")
    add("--repeats", type=_positive, default=1, help="runs of every share, each with a split of its own")
    add("--no-forest", dest="with_forest", action="store_false", default=argparse.SUPPRESS, help="leave out features and a random forest")
    add("--shrink", type=_positive, default=1, metavar="N", help="average N x N pixels to one first: quicker, and coarser")
    add("--seed", type=_seed, default=0, help="of splits, weights and augmentation")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")


PLANES = "beads filaments puncta rings meshes nuclei neurites worms clouds leaves stripes mosaic bumps mixed"  # not imported: NumPy is slow
STACKS = "beads filaments puncta tubes neurites clouds mixed"
MODALITIES = ("widefield", "confocal", "sted", "tirf", "sim", "brightfield")
SETTINGS = {
    "na": "numerical aperture (default: 1.3)",
    "wavelength-nm": "of the emission, in nanometres (default: 600)",
    "index": "refractive index of the immersion (default: 1.515)",
    "specimen-index": "refractive index around the specimen (default: that of the immersion)",
    "depth-um": "of the specimen below the coverslip, micrometres; aberrates if the indices differ (default: 0)",
    "z-um": "of the specimen from the focal plane, micrometres (default: 0)",
    "pixel-size-um": "side of a pixel, micrometres (default: four fifths of the modality's Nyquist limit)",
    "z-step-um": "distance of planes, micrometres (default: four fifths of the limit)",
    "background": "photons of every pixel besides (default: 5)",
    "gain": "camera: counts a photon (default: 1)",
    "offset": "camera: counts without light (default: 100)",
    "read-noise": "camera: in photons (default: 1.5)",
    "camera-limit": "camera: largest count (default: 65535)",
    "excitation-nm": "confocal, sted, tirf: in nanometres (default: nine tenths of the emission)",
    "pinhole-au": "confocal, sted: diameter in Airy units (default: 1)",
    "saturation": "sted: depletion over the intensity that halves the emission (default: 10)",
    "angle-deg": "tirf: of the beam in the glass (default: half-way from the critical to the steepest angle)",
    "water-index": "tirf: refractive index behind the coverslip, if --specimen-index is not given (default: 1.33)",
    "extension": "sim: limit over that of wide-field, 1 to 2 (default: 1.9)",
    "wiener": "sim: noise term of the filter (default: 0.02)",
    "absorbance": "brightfield: decadic, where the specimen is densest (default: 0.5)",
    "condenser-na": "brightfield: numerical aperture of the condenser (default: that of the objective)",
}


def _simulate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    command.epilog = f"Specimens: {PLANES.replace(' ', ', ')}. With --planes: {STACKS.replace(' ', ', ')}. Explained in docs/simulate.md."
    add("specimen", help="what lies under the microscope; see below")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for images/ and truth/")
    add("--modality", choices=MODALITIES, default="widefield", help="kind of microscope")
    add("--size", type=_positive, default=256, metavar="PX", help="side of an image")
    add("--planes", type=_positive, default=1, metavar="N", help="planes of a stack")
    add("--count", type=_positive, default=1, metavar="N", help="fields")
    add("--seed", type=_seed, default=0, help="of specimens and noise")
    add("--photons", type=float, default=500.0, metavar="N", help="of the brightest pixel")
    for name, help in SETTINGS.items():
        add(f"--{name}", type=float, default=argparse.SUPPRESS, metavar="X", help=help)
    add("--gallery", action="store_true", help="also draw gallery.png: every specimen, and this one through every modality")


def _evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="families with shipped weights, or folders of runs")
    add("-o", "--out", type=Path, required=True, help="folder for the cards and their images")
    add(
        "--records",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="folder for the cards' numbers as JSON (default: that of --out)",
    )


def _export(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("source", help="folder of a run, or a family with shipped weights")
    add("-o", "--out", type=Path, default=argparse.SUPPRESS, help="the zip (default: <family>.zip)")
    add("--about", type=Path, default=argparse.SUPPRESS, help="about.yaml with authors, licence, citation (default: the family's)")
    add("--torchscript", default="auto", choices=("auto", "plain", "frozen", "channels_last"), help="variant for Fiji")
    add("--outputs", nargs="+", default=argparse.SUPPRESS, metavar="ID", help="keep only these outputs (QuPath takes one)")


def _check(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("bundle", type=Path, help="zip or folder")
    add("--in", dest="consumers", nargs="+", default=argparse.SUPPRESS, metavar="CONSUMER", help="programs that must pass")
    add("--at-least", choices=("rules", "engine", "ran"), default=argparse.SUPPRESS, help="weakest proof that counts")
    add("--image", type=Path, default=argparse.SUPPRESS, help="also run this image everywhere")
    add("--trust-code", action="store_true", help="run the Python that the bundle brings along")
    add("--json", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="write the verdicts")
    add("--html", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="write a page with images")


def _predict(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("bundle", type=Path, help="zip or folder")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="TIFF, OME-TIFF, PNG or JPEG")
    add("-o", "--out", type=Path, required=True, help="folder for the results")
    add("--format", choices=("onnx", "torchscript", "state_dict"), default="onnx", help="weights to run")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    add("--pixel-size", choices=("auto",), default=argparse.SUPPRESS, help="auto: resample into the bundle's range, and back")
    add("--channel", default=argparse.SUPPRESS, help="the channel to take: its name, or its number from 1")
    add("--trust-code", action="store_true", help="allow --format state_dict of a bundle from elsewhere")


def _explain(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("bundle", help="zip, folder, run, or a family with shipped weights")
    add("image", type=Path, help="TIFF, OME-TIFF, PNG or JPEG; one plane")
    add("-o", "--out", type=Path, required=True, help="folder for the results")
    add("--class", dest="class_name", default=argparse.SUPPRESS, metavar="NAME", help="class to explain (default: the winning one)")
    add("--mask", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="image that is other than 0 in the cell")
    add("--channel", default=argparse.SUPPRESS, help="the channel to take: its name, or its number from 1")
    add("--seed", type=_seed, default=0, help="of the noise that is added")
    add("--trust-code", action="store_true", help="run the bundle's own Python for gradients, where it has no TorchScript")


def _measure(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("bundle", help="zip, folder, run, or a family with shipped weights; a classifier")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="TIFF, OME-TIFF, PNG or JPEG; one plane each")
    add("-o", "--out", type=Path, required=True, metavar="TABLE.csv", help="the table")
    add("--labels", type=Path, nargs="+", default=argparse.SUPPRESS, metavar="FILE", help="a label image for each image")
    add("--segment", default=argparse.SUPPRESS, metavar="BUNDLE", help="find the objects by this bundle's labels")
    add("--background", choices=("keep", "zero", "lowest"), default="keep", help="what the network sees around an object")
    add("--crop", dest="crop_px", type=_positive, default=argparse.SUPPRESS, metavar="PX", help="side of the piece that it is given")
    add("--channel", default=argparse.SUPPRESS, help="the classifier's channel: its name, or its number from 1")
    add("--segment-channel", default=argparse.SUPPRESS, help="the segmentation's channel")
    add("--trust-code", action="store_true", help="trust the bundle's author")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _percent(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 99")
    return int(text)


def _install(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("bundle", type=Path, help="zip or folder")
    add("--fiji", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="Fiji's folder (default: that of ZOOREADY_FIJI)")
    add("--force", action="store_true", help="replace a model of the same id")


def entry() -> Any:
    """Entry point of the ``zooready`` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # terminals that lack a sign, and file names that are no text
    sys.exit(main())
