"""A stranger's YAML as plain data: bounded in size and depth, without aliases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from zooready.errors import BundleInvalid

BYTES = 2**20
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")  # what moves a terminal's cursor or hides what stands there
DEPTH = 50
CORE_SCHEMA = (  # (tag, pattern of plain scalars, what they begin with)
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)


def parse(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, read as YAML 1.2: ``1e-05`` is a number; ``yes``, ``12:30`` and dates are texts, ``010`` is ten.

    Raises
    ------
    BundleInvalid
        Too large, too deep, not YAML, not a mapping; with a key twice, of which programs take different ones; with a key that is no
        text; with control characters; or with aliases: a few lines of them expand to billions of nodes.
    """
    import yaml

    if file.stat().st_size > BYTES:
        raise BundleInvalid(f"{file.name} has {file.stat().st_size} bytes, and at most {BYTES} are read: move long texts into files.")
    loader = _loader()
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
            if isinstance(event, yaml.ScalarEvent) and (found := CONTROL.search(event.value)):
                raise BundleInvalid(
                    f"{file.name} holds the control character {found[0]!r} in {event.value[:40]!r}, which can change what a terminal "
                    "shows: remove it."
                )
            if depth > DEPTH:
                raise BundleInvalid(f"{file.name} nests deeper than {DEPTH} levels: no description needs that. Write it again.")
        content = yaml.load(text, Loader=loader)  # a safe loader: plain data only
    except (yaml.YAMLError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise BundleInvalid(f"{file.name} is not readable YAML ({reason}): correct that line, or export the bundle again.") from None
    if not isinstance(content, dict):
        raise BundleInvalid(f"{file.name} holds a {type(content).__name__} instead of a mapping: it is no description of a model.")
    return content


@cache
def _loader() -> Any:
    """PyYAML's safe loader, which reads YAML 1.1, with the core schema of YAML 1.2 (chapter 10.3 of its specification)."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
        yaml_constructors: ClassVar[dict[str | None, Any]] = {
            tag: constructor
            for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
            if tag is None or tag.rpartition(":")[2] in ("null", "bool", "str", "seq")
        }

    for tag, pattern, first in CORE_SCHEMA:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value, _base(node.value)))
    Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(re.sub(r"\.(?=[inIN])", "", node.value)))
    Loader.add_constructor("tag:yaml.org,2002:map", _unique)
    return Loader


def _base(number: str) -> int:
    return {"0o": 8, "0x": 16}.get(number[:2], 10)


def _unique(loader: Any, node: Any) -> dict[str, Any]:
    """A mapping whose keys are different texts."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "a mapping is needed here", node.start_mark)
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is no text, quote it", key_node.start_mark)
        if key in content:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands there twice", key_node.start_mark)
        if key == "<<":
            raise yaml.constructor.ConstructorError(None, None, "'<<' joins mappings in some programs only", key_node.start_mark)
        content[key] = loader.construct_object(value_node, deep=True)
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
