"""``rdf.yaml`` as a mapping of plain data, read and written, and its entries looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zooready.errors import BundleInvalid, InputInvalid
from zooready.texts.plain_yaml import read_yaml


def parse(file: Path) -> dict[str, Any]:
    """The mapping that a description holds.

    Raises
    ------
    BundleInvalid
        It is no YAML that every program reads alike (see :func:`zooready.texts.plain_yaml.read_yaml`), or not a mapping.
    """
    try:
        content = read_yaml(file)
    except InputInvalid as error:
        raise BundleInvalid(f"{error} Or export the bundle again.") from None
    if not isinstance(content, dict):
        raise BundleInvalid(f"{file.name} holds a {type(content).__name__} instead of a mapping: it is no description of a model.")
    return content


def dump(content: Mapping[str, Any], file: Path) -> None:
    """Write a mapping so that YAML 1.1 and 1.2 read the same: every text in quotes, every float with a point."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))
    Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]
    file.write_text(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")


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
