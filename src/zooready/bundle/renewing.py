"""A bundle of format 0.4 or 0.5 as bioimageio.spec itself reads it in the newest one, every step that it adds in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zooready.bundle.parsing import parse
from zooready.bundle.rdf import read
from zooready.bundle.reading import DESCRIPTIONS
from zooready.errors import BundleInvalid
from zooready.records import Bundle

KEPT = ("format_version", "type", "name", "inputs", "outputs", "test_inputs", "test_outputs", "weights", "config")
PLAIN: dict[str, Any] = {  # what the format demands and this reading does not need, so that nothing of it is looked up
    "description": "a model",
    "authors": [{"name": "unknown"}],
    "license": "CC-BY-4.0",
    "cite": [{"text": "none", "doi": "10.5281/zenodo.1234567"}],
    "documentation": "README.md",
    "timestamp": "2020-01-01T00:00:00",
    "covers": [],
    "tags": [],
}


def renewed(bundle: Bundle) -> Bundle:
    """The same bundle, its inputs, outputs and weights as the newest format has them; who made it stays as it was written.

    bioimageio.spec puts an ``ensure_dtype`` before and behind the steps of a tensor, and translates those of format 0.4.

    Raises
    ------
    BundleInvalid
        bioimageio.spec does not understand the description; its complaints are in the message.
    """
    from bioimageio.spec import ValidationContext, build_description, dump_description
    from bioimageio.spec.model.v0_5 import ModelDescr
    from loguru import logger

    logger.disable("pydantic")  # the place to which bioimageio.spec assigns a line for each axis id that it writes in full
    rdf = parse(next(bundle.folder / name for name in DESCRIPTIONS if (bundle.folder / name).is_file()))
    content = {**PLAIN, **{key: value for key, value in rdf.items() if key in KEPT}, "name": "a model"}
    with ValidationContext(root=bundle.folder, perform_io_checks=False, update_hashes=False):
        description = build_description(content, format_version="latest")
        if not isinstance(description, ModelDescr):
            faults = [f"{'.'.join(map(str, e.loc))}: {e.msg}" for d in description.validation_summary.details for e in d.errors]
            raise BundleInvalid(
                f"{bundle.path.name}: bioimageio.spec does not understand its description ({'; '.join(faults[:4])[:600]}). Correct it, or "
                "ask whoever made the bundle."
            )
        newest = dump_description(description, exclude_unset=False)
    fresh = read(newest, path=bundle.path, folder=bundle.folder, formats=bundle.formats, trusted=bundle.trusted)
    return replace(
        fresh, cases=bundle.cases, time_limit_s=bundle.time_limit_s, id=bundle.id, name=bundle.name, format_version=bundle.format_version,
        texts=bundle.texts, credits=bundle.credits, programs=bundle.programs,
    )  # fmt: skip
