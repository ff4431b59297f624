"""One file for each command of the command line: its options, a plain function for Python, and what the command prints.

In: what a person asked for. Out: files, and the exit code. A module is imported when its command is called, so that the others start
quickly; it has these names (:class:`Command`):

- ``options(parser)`` adds the command's options to its parser;
- ``run(**options)`` does the work, prints what came of it, and returns the exit code (None is 0);
- the function that ``run`` calls bears the command's name and prints nothing: it is what Python programs call.

May import: processes, images, simulate, data, java, training, families, bundle, exporting, consumers, comparison, prediction, explanation, measurement, evaluation, report
"""  # noqa: E501 - the rooms stand in one line

from __future__ import annotations

import importlib
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Protocol, cast

COMMANDS: Mapping[str, str] = {  # in the order of the help
    "train": "Train a family's network on your images or on simulated ones; can be killed and started again.",
    "export": "Make a bundle from a finished run, or from the weights that come with zooready.",
    "check": "Run a bundle in every program that is here, and compare the numbers.",
    "predict": "Run a bundle on images.",
    "explain": "Show why a network says what it says of an image: figures, TIFFs and numbers.",
    "measure": "Measure the objects of images: a classifier's embedding and scores, shape, intensity, texture.",
    "install": "Put a bundle into Fiji, where DeepImageJ finds it, with a macro that runs it.",
    "simulate": "Simulate fluorescence and bright-field images with known truth, as OME-TIFF.",
    "data": "Public data sets: where they live, how to lay them out; and what is wrong with a folder of data.",
    "protocol": "Train and test PLCNN on a public data set as its paper did; can be killed and started again.",
    "doctor": "Say which programs are on this machine, and how to get the others.",
    "evaluate": "Measure shipped weights or a run against truth and classical methods, and write the model card.",
    "list": "The families and the models that come with zooready, with their measured quality.",
    "engines": "Fetch Fiji's Java engines into your cache, or check them.",
    "demo": "Export the shipped models, check them everywhere, and write a page of images.",
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
