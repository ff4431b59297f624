"""``about.yaml``: who made a network and what it is, the facts that nobody can measure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from zooready.errors import InputInvalid, shown
from zooready.records import About
from zooready.texts.plain_yaml import read_yaml

TEMPLATE = """\
name: Nuclei of my cells
description: Segments nuclei in DAPI images of HeLa cells, 20x.
authors:
- {name: Your Name, affiliation: Your Institute}
license: CC-BY-4.0
cite:
- {text: "Your Name et al., a title, 2026", doi: 10.5281/zenodo.1234567}
tags: [nuclei, segmentation, fluorescence]
pixel_size_um: [0.2, 0.5]
documentation: |
  What it is for, what it is not for, and what it was trained on.
"""
RULES = {  # keys that the specification has a rule for, and the rule in words where its own message is none
    "name": "at least 5 characters of A-Z, a-z, 0-9, _, +, -, (, ) and space",
    "description": "",
    "license": "an SPDX identifier, e.g. CC-BY-4.0, MIT or BSD-3-Clause",
    "authors": "",
    "cite": "",
    "tags": "",
    "maintainers": "",
}
RANGES = {"pixel_size_um": "micrometres", "blur_px": "pixels"}  # keys with a smallest and a largest value, and their unit


def read(path: Path) -> About:
    """The facts in an ``about.yaml``.

    Raises
    ------
    InputInvalid
        The file is missing, is no YAML that every program reads alike (:func:`zooready.texts.plain_yaml.read_yaml`), or a key is
        missing, unknown or unusable; all faults in one message.
    """
    try:
        content = read_yaml(path)
    except (OSError, InputInvalid) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error  # without its number and the path again
        raise InputInvalid(f"cannot read {path}: {why}. Start from this:\n{TEMPLATE}") from None
    if not isinstance(content, dict):
        raise InputInvalid(f"{path} holds no keys. Start from this:\n{TEMPLATE}")
    known = {field.name for field in fields(About)}
    needed = {"name", "description", "authors", "license"}
    faults = [f"{key!r} is missing" for key in sorted(needed - set(content))]
    faults += [f"{key!r} is not a known key" for key in sorted(map(str, set(content) - known))]
    faults += [fault for key, value in content.items() if (fault := _fault(str(key), value))]
    if faults:
        raise InputInvalid(f"{path}: {'; '.join(faults)}. A complete example:\n{TEMPLATE}")
    tuples: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    if "cite" in content:
        tuples["cite"] = tuple((entry["text"], entry["doi"]) for entry in content["cite"])
    if "cover" in content:
        tuples["cover"] = path.parent / content["cover"]
    return About(**tuples)


def demand(about: About) -> None:
    """Raise InputInvalid unless these facts can stand in a description; all faults in one message."""
    given = {field.name: _as_in_a_file(getattr(about, field.name)) for field in fields(About)}
    given = {key: value for key, value in given.items() if key != "cover" and not (key in RANGES and value is None)}
    faults = []
    if isinstance(given["cite"], list) and all(isinstance(pair, list) and len(pair) == 2 for pair in given["cite"]):
        given["cite"] = [{"text": text, "doi": doi} for text, doi in given["cite"]]
    else:
        faults = [f"'cite' must be pairs (text, DOI), got {shown(given.pop('cite'))}"]
    if faults := faults + [fault for key, value in given.items() if (fault := _fault(key, value))]:
        raise InputInvalid(f"about: {'; '.join(faults)}.")


def _as_in_a_file(value: Any) -> Any:
    """A fact as a file would hold it: sequences become lists, mappings dictionaries; anything else stays what it is."""
    if isinstance(value, list | tuple):
        return [_as_in_a_file(entry) for entry in value]
    return dict(value) if isinstance(value, Mapping) else value


def _fault(key: str, value: Any) -> str:
    """What is wrong with one fact as ``about.yaml`` states it; empty if nothing."""
    if key in ("documentation", "parent", "cover") and not isinstance(value, str):
        return f"{key!r} must be text, got {shown(value)}"
    if key in ("name", "description", "license") and not (isinstance(value, str) and value.strip()):
        return f"{key!r} must be text, got {shown(value)}"
    if key == "authors" and not (isinstance(value, list) and value and all(isinstance(a, dict) and "name" in a for a in value)):
        return f"'authors' must be a list of entries with a name, got {shown(value)}"
    if key == "cite" and not (isinstance(value, list) and all(isinstance(c, dict) and {"text", "doi"} <= set(c) for c in value)):
        return f"'cite' must be a list of entries with text and doi, got {shown(value)}"
    if key == "tags" and not (isinstance(value, list) and all(isinstance(tag, str) for tag in value)):
        return f"'tags' must be a list of words, got {shown(value)}"
    if key == "maintainers" and not (isinstance(value, list) and all(isinstance(m, dict) and "github_user" in m for m in value)):
        return f"'maintainers' must be a list of entries with a github_user, got {shown(value)}"
    if key in RANGES:
        ends = value if isinstance(value, list) else []
        if len(ends) != 2 or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
            return f"{key!r} must be [smallest, largest] in {RANGES[key]}, got {shown(value)}"
        if not 0 < ends[0] <= ends[1] < math.inf:
            return f"{key!r} must be positive and in order, got {shown(value)}"
    return _refused(key, value) if key in RULES else ""


def _refused(key: str, value: Any) -> str:
    """What the specification's own rule for this key says against the value."""
    from bioimageio.spec import ValidationContext
    from bioimageio.spec.model.v0_5 import ModelDescr
    from pydantic import TypeAdapter, ValidationError

    rule = ModelDescr.model_fields[key]
    with ValidationContext(perform_io_checks=False) as context:
        try:
            TypeAdapter(Annotated[rule.annotation, rule]).validate_python(value, context=context)
        except ValidationError as error:
            first = error.errors()[0]
            key_path = ".".join(map(str, (key, *(step for step in first["loc"] if key != "license"))))
            return f"{key_path!r}: {RULES[key] or first['msg']}, got {shown(first['input'])}"
    return ""
