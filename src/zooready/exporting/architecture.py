"""The bundle's own source: one readable file that builds the network which its state dict belongs to.

Files of ``zooready.nets`` and ``zooready.nets.wrapping`` are copied in whole (each needs PyTorch alone); any other class is imported from
its package, which ``environment.yaml`` then names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from zooready.bundle.describing import BUILDER
from zooready.errors import InputInvalid
from zooready.nets import wrapping
from zooready.records import Part

if TYPE_CHECKING:
    from zooready.nets.wrapping import FijiSafe

NETS = "zooready.nets"


def source(name: str, parts: tuple[Part, Part | None, Part | None], wrapped: FijiSafe) -> str:
    """Text of ``architecture.py``.

    Parameters
    ----------
    name
        Of the bundle, for the first line.
    parts
        Network, normalisation and head.
    wrapped
        The module as exported; its settings are written into ``build``.

    Raises
    ------
    InputInvalid
        A keyword argument is no plain literal, so it cannot be written into a source file.
    """
    pieces: dict[str, str] = {}
    calls = []
    for part in parts:
        if part is None:
            calls.append("None")
            continue
        module, _, attribute = part.path.rpartition(".")
        calls.append(f"{attribute}({_arguments(part)})")
        if module.startswith(f"{NETS}."):
            pieces |= _with_those_it_imports(module)
        else:
            pieces[f"{module}.{attribute}"] = f"from {module} import {attribute}\n"
    pieces |= _with_those_it_imports(wrapping.__name__)
    network, normalization, head = calls
    settings = (
        f"stride={wrapped.stride!r}, minimum={wrapped.minimum!r}, axes={wrapped.axes!r}, restores={wrapped.restores}, keep={wrapped.keep!r}"
    )
    build = (
        f"def {BUILDER}() -> FijiSafe:\n"
        '    """The network as exported; its weights are the state dict beside this file."""\n'
        f"    network = {network}\n    normalization = {normalization}\n    head = {head}\n"
        f"    return FijiSafe(network, normalization, head, {settings})\n"
    )
    first = (
        f'"""Architecture of {name}: build() returns the network that the state dict belongs to."""\n\nfrom __future__ import annotations\n'
    )
    return "\n\n".join([first, *pieces.values(), build])


def environment(parts: tuple[Part, Part | None, Part | None], torch_version: str) -> str:
    """Conda environment that runs ``architecture.py``: PyTorch, and the packages that it imports, at the versions used."""
    foreign = [part.path for part in parts if part is not None and not part.path.startswith(("zooready.nets.", "torch."))]
    packages = sorted({_distribution(path) for path in foreign})
    lines = ["name: bundle", "channels:", "- conda-forge", "dependencies:", "- python >=3.10", f"- pytorch =={torch_version}"]
    if packages:
        lines += ["- pip", "- pip:", *(f"  - {package}" for package in packages)]
    return "\n".join(lines) + "\n"


def _distribution(path: str) -> str:
    package = path.split(".")[0]
    for name in metadata.packages_distributions().get(package, []):
        return f"{name}=={metadata.version(name).split('+')[0]}"
    raise InputInvalid(
        f"{path!r} is in no installed package, so nobody else can import it: install its package, or leave out architecture=."
    )


def _arguments(part: Part) -> str:
    rendered = {key: repr(value) for key, value in part.kwargs.items()}
    for key, text in rendered.items():
        try:
            ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise InputInvalid(
                f"argument {key}={text} of {part.path!r} is no plain value: give numbers, strings, lists or dicts."
            ) from None
    return ", ".join(f"{key}={text}" for key, text in rendered.items())


def _with_those_it_imports(module: str) -> dict[str, str]:
    """Source of a module of ``zooready.nets`` behind that of those which it imports: nobody else has them."""
    text = inspect.getsource(importlib.import_module(module))
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{NETS}.")]
    pieces: dict[str, str] = {}
    for node in imports:
        pieces |= _with_those_it_imports(str(node.module))
    lines = text.splitlines()
    for node in imports:
        lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return {**pieces, module: _standalone("\n".join(lines))}


def _standalone(text: str) -> str:
    """A module's source without its docstring's place at the top (kept as comments) and without the future import."""
    tree = ast.parse(text)
    lines = text.splitlines()
    doc = ast.get_docstring(tree)
    if doc is not None:
        lines = lines[tree.body[0].end_lineno or 0 :]
    body = "\n".join(line for line in lines if line != "from __future__ import annotations").strip("\n")
    return "\n".join([*_comments(doc or ""), "", body]) + "\n"


def _comments(doc: str) -> Iterator[str]:
    for line in re.sub(r"^May import:.*$", "", doc, flags=re.MULTILINE).rstrip().splitlines():
        yield f"# {line}".rstrip()
