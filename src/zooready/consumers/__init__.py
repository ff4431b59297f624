"""One file per program that opens bundles: image in, output arrays out, no tolerance applied.

A consumer is a module with these names (:class:`Consumer`), imported when it is asked for:

- ``NAME``, ``READS`` (formats), ``LEVEL`` (what a pass of it proves);
- ``missing()``: why it cannot be run here, with the cure, or None;
- ``objections(bundle, format)``: what it will refuse or misread, known before anything starts; ``format`` is None for a bundle
  that holds nothing of ``READS``;
- ``run(bundle, format, images)``: its outputs for each image, or an error of ``zooready.errors``: ``ConsumerFailed`` (crash, time
  limit), ``BundleInvalid`` (it refuses), ``OutputsDiffer`` (its own test disagrees). None stands for an image that it cannot be handed.
  A consumer that is judged by rules alone has no ``run``; ``BY_RULES = True`` if rules are the judge only where ``missing()`` says so;
- ``beyond_engine(bundle)``, of such a one: why its engine, though it is here, cannot show what the program makes of this bundle;
- ``versions()``: what runs, by name;
- ``image_objections(image)``, if it cannot take every image that suits the bundle: why not this one, (b, c, …) float32, with the cure;
- ``OPENS_FILES = True``, if ImageJ opens files for it: an image may then be the path of a person's own file, one plane or stack for
  the network, instead of its pixels;
- ``CUTS_TILES = True``, if it takes images of sizes that the description leaves out, and cuts them into tiles;
- ``ASKED_ONLY = True``, if it is judged only where the user names it, as programs that a bundle need not be meant for;
- ``APPLIES_OPERATORS = True``, if it applies pre- and postprocessing and not the bare network; ``remarks(bundle)``, what its user
  will notice although nothing is refused;
- ``VARIANTS``, if it comes in several versions that must all pass; ``run`` then takes ``variant``.

May import: processes, java, wasm, formats, bundle
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

from zooready.errors import InputInvalid, meant
from zooready.records import Array, Bundle, Format, Level

CONSUMERS: Mapping[str, str] = {
    "bioimageio": "zooready.consumers.bioimageio",
    "torch": "zooready.consumers.pytorch",
    "onnxruntime": "zooready.consumers.onnxruntime",
    "java-pytorch": "zooready.consumers.java_pytorch",
    "java-onnx": "zooready.consumers.java_onnx",
    "deepimagej": "zooready.consumers.deepimagej.in_fiji",
    "pyimagej": "zooready.consumers.pyimagej",
    "cellprofiler": "zooready.consumers.cellprofiler.headless",
    "qupath": "zooready.consumers.qupath",
    "ilastik": "zooready.consumers.ilastik",
    "browser": "zooready.consumers.browser",
}


class Consumer(Protocol):
    """What the modules of this room have in common; ``run`` and the names in capitals but the first three are optional."""

    NAME: str
    READS: tuple[Format, ...]
    LEVEL: Level

    def missing(self) -> str | None:
        """Why this consumer cannot be run here, in words with the cure; None if it can."""

    def objections(self, bundle: Bundle, format: Format | None) -> Iterator[str]:
        """What it will refuse or misread; nothing if all is well."""

    def versions(self) -> dict[str, str]:
        """Versions of what runs, by name."""


class Runner(Consumer, Protocol):
    """A consumer that runs here."""

    def run(self, bundle: Bundle, format: Format, images: Sequence[Array]) -> Sequence[tuple[Array, ...] | None]:
        """Outputs for each (b, c, …) float32 image, in the bundle's order; None where it cannot be handed the image."""


def consumer(name: str) -> Consumer:
    """The module of a consumer.

    Raises
    ------
    InputInvalid
        No consumer has this name.
    """
    if name not in CONSUMERS:
        raise InputInvalid(f"no consumer is called {name!r}: choose from {', '.join(CONSUMERS)}.{meant(name, CONSUMERS)}")
    return cast(Consumer, importlib.import_module(CONSUMERS[name]))
