"""Which operators a TorchScript file uses, read from its text: nothing of the file is loaded or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.formats.torchscript import container
from zooready.processes import on_time

LIST = "libtorch-2.0.0-operators.txt"
ALLOWED = "torchscript-allowed.txt"


@dataclass(frozen=True, kw_only=True)
class Overload:
    """Arguments of one overload: by position, by keyword, and those without a default; ``anything`` if it takes any."""

    positional: tuple[str, ...]
    keyword: frozenset[str]
    required: frozenset[str]
    anything: bool = False

    def takes(self, count: int, names: frozenset[str]) -> bool:
        """Whether it can be called with ``count`` arguments by position and these by name."""
        if self.anything:
            return True
        given = set(self.positional[:count]) | names
        free = set(self.positional[count:]) | self.keyword
        return count <= len(self.positional) and names <= free and self.required <= given


@dataclass(frozen=True, kw_only=True)
class Use:
    """One call: the operator, the number of arguments by position (None if it cannot be told), and those by name."""

    operator: str
    count: int | None = None
    names: frozenset[str] = frozenset()


@cache
def known() -> Mapping[str, tuple[Overload, ...]]:
    """Overloads of each operator of libtorch 2.0.0, e.g. ``known()["aten::relu"]``."""
    overloads_by_name: dict[str, list[Overload]] = {}
    for line in resources.files("zooready.formats").joinpath(LIST).read_text().splitlines():
        if line and not line.startswith("#"):
            head, arguments = line.rstrip(")").split("(", 1)
            overloads_by_name.setdefault(head.split(".")[0], []).append(_overload(arguments))
    return {name: tuple(overloads) for name, overloads in overloads_by_name.items()}


@cache
def _listed(kind: str) -> frozenset[str]:
    """Names of one kind (function, operator, system) in our list."""
    lines = resources.files("zooready.formats").joinpath(ALLOWED).read_text().splitlines()
    return frozenset(name for line in lines if line.startswith(f"{kind}: ") for name in line.split()[1:])


def _overload(arguments: str) -> Overload:
    """Read ``"self, dim=, *, out"``."""
    positional, keyword, required = [], set(), set()
    after_star = anything = False
    for argument in arguments.split(", ") if arguments else []:
        if argument in ("*", "..."):
            after_star, anything = after_star or argument == "*", anything or argument == "..."
            continue
        name = argument.removesuffix("=")
        if after_star:
            keyword.add(name)
        else:
            positional.append(name)
        if name == argument:
            required.add(name)
    return Overload(positional=tuple(positional), keyword=frozenset(keyword), required=frozenset(required), anything=anything)


def operators(path: Path) -> frozenset[str]:
    """Operators that a TorchScript file uses, e.g. ``aten::relu``, ``prim::NumToTensor``.

    What cannot be understood is named too, as ``unknown::…``. The file is read as text, never loaded.

    Raises
    ------
    InputInvalid
        The file is no TorchScript zip, or one that two readers could understand differently.
    """
    return frozenset(use.operator for use in _uses(path))


def unsupported(path: Path) -> tuple[str, ...]:
    """Operators, or ways to call them, that libtorch 2.0.0 in Fiji does not know; empty if it knows all.

    Raises
    ------
    InputInvalid
        As for :func:`operators`.
    """
    unknown: set[str] = set()
    for use in _uses(path):
        overloads = known().get(use.operator)
        if overloads is None:
            unknown.add(use.operator)
        elif use.count is not None and not any(overload.takes(use.count, use.names) for overload in overloads):
            words = [f"{use.count} by position", *sorted(use.names)]
            unknown.add(f"{use.operator}({', '.join(words)})")
    return tuple(sorted(unknown))


def unsafe(path: Path) -> tuple[str, ...]:
    """Operators of a file that touch files or the system, or are on no list of ours; empty if the file may be loaded.

    Never raises for a broken file: what cannot be read is reported as ``unknown::…``.
    """
    try:
        texts = container.code(path)
        used = {use.operator for use in _uses(path)}
        foreign = {f"unknown::{name}" for name in (*container.unexpected(path), *container.native_classes(path))}
    except InputInvalid as error:
        return (f"unknown::file ({error})",)
    words = {word for text in texts.values() for word in re.findall(r"[A-Za-z_]\w*", text)}
    words |= {use.split("::")[1] for use in used}  # Python takes letters of other forms, as in torch.ſave, for the plain ones
    named = {name for name in _listed("system") if name.split("::")[1] in words}  # anywhere in the text, however it is reached
    allowed = {name for name in known() if name.startswith("aten::")} | _listed("operator")
    return tuple(sorted((used - allowed) | named | foreign))


def _uses(path: Path) -> tuple[Use, ...]:
    """Every call of an operator in the file's code, each once; a file that stays as it is is read once."""
    facts = path.stat() if path.is_file() else None
    return _read(path, *((facts.st_mtime_ns, facts.st_size, facts.st_ino) if facts else ()))


@lru_cache(maxsize=8)
def _read(path: Path, *identity: int) -> tuple[Use, ...]:
    return tuple(dict.fromkeys(_all_uses(path)))


def _all_uses(path: Path) -> Iterator[Use]:
    trees: dict[str, ast.Module] = {}
    for name, text in container.code(path).items():
        on_time()
        try:
            trees[name] = container.parsed(text)
        except InputInvalid:
            yield Use(operator=f"unknown::unparsable {name}")
    declared = {item for tree in trees.values() for item in _declared(tree)}
    for tree in trees.values():
        try:
            yield from _Reader(declared).read(tree)
        except RecursionError:
            yield Use(operator="unknown::nested too deeply")


def _declared(tree: ast.Module) -> Iterator[str]:
    """Names of methods, functions, classes and attributes that the code itself declares."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


class _Reader:
    """Walks one code file; ``declared`` are the names that all files of the zip declare."""

    def __init__(self, declared: set[str]) -> None:
        self.declared = declared
        self._aliases: set[str] = set()  # local names of declared functions, in the function that is read now

    def read(self, tree: ast.AST) -> Iterator[Use]:
        """Uses in a piece of code, the innermost last."""
        if isinstance(tree, ast.Call):
            yield from self._call(tree)
        elif isinstance(tree, ast.Attribute):
            yield from self._attribute(tree, None)
        elif isinstance(tree, ast.Name) and tree.id in ("torch", "ops"):
            yield Use(operator=f"unknown::{tree.id} under another name")
        elif isinstance(tree, (ast.Import, ast.ImportFrom)) and ast.unparse(tree) not in _IMPORTS:
            yield Use(operator=f"unknown::{ast.unparse(tree)}")
        elif isinstance(tree, ast.FunctionDef):
            self._aliases = _aliases(tree, self.declared)
            yield from self._inside(tree)
            self._aliases = set()
        else:
            yield from self._inside(tree)

    def _inside(self, tree: ast.AST) -> Iterator[Use]:
        on_time()
        for child in ast.iter_child_nodes(tree):
            yield from self.read(child)

    def _call(self, call: ast.Call) -> Iterator[Use]:
        if isinstance(call.func, ast.Attribute):
            yield from self._attribute(call.func, call)
        elif isinstance(call.func, ast.Name):
            if call.func.id == "getattr" and len(call.args) > 1:
                yield from self._getattr(call.args[1])
            elif not any(call.func.id in names for names in (_listed("function"), self.declared, self._aliases)):
                yield Use(operator=f"unknown::{call.func.id}")
        else:
            yield from self.read(call.func)
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            yield from self.read(argument)

    def _getattr(self, name: ast.expr) -> Iterator[Use]:
        """`getattr(self, "0")` names a submodule; a declared name or a number is one, anything else could be an operator."""
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            yield Use(operator="unknown::getattr")
        elif name.value.isidentifier() and name.value not in self.declared:
            yield Use(operator=f"aten::{name.value}")

    def _attribute(self, node: ast.Attribute, call: ast.Call | None) -> Iterator[Use]:
        chain = _chain(node)
        arguments = [*call.args, *(k.value for k in call.keywords)] if call else []
        is_literal = call is not None and not any(isinstance(a, ast.Starred) for a in arguments) and all(k.arg for k in call.keywords)
        count = len(call.args) if call and is_literal else None
        names = frozenset(str(k.arg) for k in call.keywords) if call and is_literal else frozenset()
        if chain[0] == "torch":
            if chain[1:] in (["device"], ["dtype"]) or chain[1:2] == ["jit"]:
                yield from () if chain[1:] == ["device"] else (Use(operator=f"unknown::{'.'.join(chain)}"),)
            else:
                name = f"aten::{chain[1]}" if len(chain) == 2 else f"unknown::{'.'.join(chain)}"
                yield Use(operator=name, count=count, names=names)
        elif chain[0] == "ops":
            name = f"{chain[1]}::{chain[2]}" if len(chain) == 3 else f"unknown::{'.'.join(chain)}"
            yield Use(operator=name, count=count, names=names)
        elif chain[0] == "__torch__":
            if chain[-1] not in self.declared or chain[1:3] == ["torch", "classes"]:
                yield Use(operator=f"unknown::{'.'.join(chain)}")
        elif chain[0] == "CONSTANTS":
            return
        else:
            if call is not None and node.attr not in self.declared:
                yield Use(operator=f"aten::{node.attr}")  # a method of a tensor, a list or a string
            yield from self.read(node.value)


_IMPORTS = frozenset({"from torch import Tensor"})


def _aliases(function: ast.FunctionDef, declared: set[str]) -> set[str]:
    """Names that stand for a function of the file's own all through a function: scripts write ``_0 = __torch__.a.f`` and call ``_0``."""
    values: dict[str, list[ast.expr | None]] = {argument.arg: [None] for argument in ast.walk(function) if isinstance(argument, ast.arg)}
    plain = {id(node.targets[0]): node.value for node in ast.walk(function) if isinstance(node, ast.Assign) and len(node.targets) == 1}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            values.setdefault(node.id, []).append(plain.get(id(node)))
    return {name for name, bound in values.items() if all(value is not None and _is_own(value, declared) for value in bound)}


def _is_own(value: ast.expr, declared: set[str]) -> bool:
    """Whether this is a function that the file's own code declares."""
    chain = _chain(value)
    return chain[0] == "__torch__" and chain[-1] in declared and chain[1:3] != ["torch", "classes"]


def _chain(node: ast.expr) -> list[str]:
    """``torch.nn.relu`` as its parts; the first is empty if the root is no plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *parts]
