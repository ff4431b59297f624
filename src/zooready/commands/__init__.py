"""One file for each command of the command line: its options, a plain function for Python, and what the command prints.

In: what a person asked for. Out: files, and the exit code. A module is imported when its command is called, so that the others start
quickly; it has these names (:class:`Command`):

- ``options(parser)`` adds the command's options to its parser;
- ``run(**options)`` does the work, prints what came of it, and returns the exit code (None is 0);
- the function that ``run`` calls bears the command's name and prints nothing: it is what Python programs call.

May import: processes, images, simulate, data, java, wasm, training, families, bundle, exporting, consumers, comparison, prediction, explanation, measurement, evaluation, report, sharing
"""  # noqa: E501 - the rooms stand in one line

from __future__ import annotations

import importlib
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Protocol, cast

COMMANDS: Mapping[str, str] = {  # in the order of the help
    "train": "Train the network of a family on your images or on simulated ones; resumes when started again.",
    "export": "Make a bundle from a finished run, or from the weights shipped with zooready.",
    "adopt": "Make a bundle that runs in Fiji of somebody else's, with the same numbers.",
    "check": "Run a bundle in every program on this machine, and compare the outputs.",
    "predict": "Run a bundle on images.",
    "page": "Write one HTML file that runs a bundle in a browser, offline.",
    "explain": "Explain the output of a network for an image, by figures, TIFFs and numbers.",
    "measure": "Measure the objects of images: embedding and scores of a classifier, shape, intensity, texture.",
    "publish": "Make a model ready for the BioImage Model Zoo, check it as the zoo does, and upload it.",
    "install": "Install a bundle in Fiji for DeepImageJ, with a macro that runs it.",
    "simulate": "Simulate fluorescence and bright-field images with known truth, as OME-TIFF.",
    "data": "List public data sets with addresses and folder layouts; examine a folder of data for faults.",
    "protocol": "Train and test PLCNN on a public data set as in its paper; resumes when started again.",
    "doctor": "List the programs on this machine, and how to install the others.",
    "evaluate": "Measure the quality of shipped weights or of a run, compared with classical methods, and write the model card.",
    "list": "List the families and the models shipped with zooready, with their measured quality.",
    "engines": "Download Fiji's Java engines, or what pages need, into your cache folder, or verify them.",
    "demo": "Export the shipped models, check them in all programs, and write an HTML page with the results.",
}
EXAMPLES: Mapping[str, tuple[str, ...]] = {  # what may stand behind the name of a command
    "train": ("segmentation --out runs/nuclei", "segmentation --data my-images --out runs/mine"),
    "export": ("segmentation", "runs/nuclei -o nuclei.zip --about about.yaml"),
    "adopt": ("theirs.zip -o ours.zip", "theirs.zip -o ours.zip --trust-code --in java-pytorch"),
    "check": ("nuclei.zip", "nuclei.zip --in deepimagej java-pytorch --html verdicts.html"),
    "predict": ("nuclei.zip image.tif -o results", "mrbcr image.tif -o restored.tif"),
    "page": ("segmentation -o nuclei.html",),
    "explain": ("plcnn cell.tif -o explained",),
    "measure": ("segmentation image.tif -o objects.csv",),
    "publish": ("runs/nuclei --about about.yaml --dry-run", "nuclei-for-the-zoo.zip --trust-code"),
    "install": ("nuclei.zip --fiji Fiji.app",),
    "simulate": ("nuclei --out simulated",),
    "data": ("hela", "my-images"),
    "protocol": ("hela hela-images --out runs/protocol",),
    "doctor": ("",),
    "evaluate": ("mrbcr -o cards",),
    "list": ("",),
    "engines": ("install", "install --browser"),
    "demo": ("--out bundles",),
}


class Command(Protocol):
    """What the modules of this room have in common."""

    def options(self, parser: ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, **options: Any) -> int | None:
        """Do it and print what came of it; the exit code, None for 0."""


def command(name: str) -> Command:
    """The module of one of ``COMMANDS``, imported now."""
    return cast(Command, importlib.import_module(f"zooready.commands.{name}"))
