"""YAML as plain data, of a person or a stranger: version 1.2, bounded in size and depth, without aliases and without a key twice."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from zooready.errors import InputInvalid

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


def read_yaml(file: Path) -> Any:
    """What a YAML file holds, read as YAML 1.2: ``1e-05`` is a number; ``yes``, ``12:30`` and dates are texts, ``010`` is ten.

    Raises
    ------
    InputInvalid
        Too large, too deep or not YAML; with a key twice, of which programs take different ones; with a key that is no text; with
        control characters; or with aliases: a few lines of them expand to billions of nodes.
    OSError
        The file is missing or cannot be read.
    """
    import yaml

    if file.stat().st_size > BYTES:
        raise InputInvalid(f"{file.name} has {file.stat().st_size} bytes, and at most {BYTES} are read: move long texts into files.")
    loader = _loader()
    try:
        text = file.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise InputInvalid(
                    f"{file.name} uses the alias *{event.anchor}, and aliases are not read (a few of them can fill any memory): write the "
                    "values out."
                )
            if isinstance(event, yaml.ScalarEvent) and (found := CONTROL.search(event.value)):
                raise InputInvalid(
                    f"{file.name} holds the control character {found[0]!r} in {event.value[:40]!r}, which can change what a terminal "
                    "shows: remove it."
                )
            if depth > DEPTH:
                raise InputInvalid(f"{file.name} nests deeper than {DEPTH} levels: no such file needs that. Write it again.")
        return yaml.load(text, Loader=loader)  # a safe loader: plain data only
    except (yaml.YAMLError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise InputInvalid(f"{file.name} is not readable YAML ({reason}): correct that line.") from None


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
