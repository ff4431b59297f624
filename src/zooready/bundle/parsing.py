"""A stranger's YAML as plain data: bounded in size and depth, without aliases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooready.errors import BundleInvalid

BYTES = 2**20
DEPTH = 50


def parse(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises
    ------
    BundleInvalid
        Too large, too deep, not YAML, not a mapping, or with aliases: a few lines of them expand to billions of nodes.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if file.stat().st_size > BYTES:
        raise BundleInvalid(f"{file.name} has {file.stat().st_size} bytes, and at most {BYTES} are read: move long texts into files.")
    try:
        text = file.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise BundleInvalid(
                    f"{file.name} uses the alias *{event.anchor}, and aliases are not read (a few of them can fill any memory): write the "
                    "values out."
                )
            if depth > DEPTH:
                raise BundleInvalid(f"{file.name} nests deeper than {DEPTH} levels: no description needs that. Write it again.")
        content = yaml.load(text, Loader=loader)  # a safe loader: plain data only
    except (yaml.YAMLError, ValueError) as error:
        raise BundleInvalid(f"{file.name} is not readable YAML ({error}): correct that line, or export the bundle again.") from None
    if not isinstance(content, dict):
        raise BundleInvalid(f"{file.name} holds a {type(content).__name__} instead of a mapping: it is no description of a model.")
    return content


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """The value, a mapping.

    Raises
    ------
    BundleInvalid
        It is something else; the message says what stands at ``where``.
    """
    if not isinstance(value, Mapping):
        raise BundleInvalid(
            f"rdf.yaml: {where} is {value!r}, and must be a mapping. Write the description again, e.g. with zooready export."
        )
    return value


def listing(value: object, where: str) -> list[Any]:
    """The value, a list.

    Raises
    ------
    BundleInvalid
        It is something else; the message says what stands at ``where``.
    """
    if not isinstance(value, list):
        raise BundleInvalid(f"rdf.yaml: {where} is {value!r}, and must be a list. Write the description again, e.g. with zooready export.")
    return value


def has(entry: object, *keys: str) -> bool:
    """Whether this is a mapping with a value for each key."""
    return isinstance(entry, Mapping) and all(entry.get(key) is not None for key in keys)
