"""The zip that holds TorchScript: reading its parts without running any, and writing it again with nothing but what engines need."""

from __future__ import annotations

import ast
import itertools
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.processes import on_time

LARGEST_CODE = 2**23  # bytes of TorchScript text; the largest network seen has 2 MB
MEMBERS = 2**15  # a tensor is one, and each class
LARGEST_PICKLE = 2**22  # bytes of pickled structure; reading one takes a second
MOST_WORDS = 2**20  # of TorchScript text: names, numbers and signs, each of which takes microseconds and a kilobyte to understand
WORD = re.compile(r"\w+|[^\w\s]")
ROOT = "weights"
# Names below the root that exporters write, and engines read. PyTorch opens names without regard to case: x.PY would run unseen as x.py.
NEEDED = re.compile(
    r"(data|constants)\.pkl|(data|constants)/\w+|code/(\w+/)*\w+\.py|version|\.data/version|byteorder|\.format_version|\.storage_alignment"
)
# Source positions with absolute paths; the example's shape; a hash; notes of the author that no engine reads.
NEEDLESS = re.compile(r"code/(\w+/)*\w+\.py\.debug_pkl|traced_inputs\.pkl|traced_inputs/\w+|\.data/serialization_id|extra/.+")
PICKLES = ("data.pkl", "constants.pkl")
# What a damaged zip may raise: the last ones come of a name that is no text, and of an empty name.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, IndexError)
EPOCH = (1980, 1, 1, 0, 0, 0)


def members(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Entries of a TorchScript file by their name below the root folder.

    Raises
    ------
    InputInvalid
        Not a zip, entries that two readers could understand differently (equal but for case, outside the root, other names in the
        local headers), or more code than any network needs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            for info in infos[:MEMBERS]:
                on_time()
                archive.open(info).close()  # compares the name in the local header with the directory's
            comment = archive.comment
    except DAMAGED as error:
        raise InputInvalid(f"{path.name} is no TorchScript zip ({error}): export it again.") from None
    if len(infos) > MEMBERS:
        raise InputInvalid(f"{path.name}: {len(infos)} entries, more than the {MEMBERS} that any network needs.")
    names = [info.filename for info in infos]
    roots = {name.split("/")[0] for name in names}
    if len({name.casefold() for name in names}) != len(names) or len(roots) != 1 or comment or not all("/" in name for name in names):
        raise InputInvalid(
            f"{path.name}: its zip has doubled entries, several roots {sorted(roots)[:3]} or a comment, as no exporter writes."
        )
    for end, most in ((".py", LARGEST_CODE), (".pkl", LARGEST_PICKLE)):
        if sum(info.file_size for info in infos if info.filename.casefold().endswith(end)) > most:
            raise InputInvalid(f"{path.name}: more than {most} bytes in files that end in {end}, which no network needs.")
    return {info.filename.split("/", 1)[1]: info for info in infos}


def code(path: Path) -> dict[str, str]:
    """TorchScript text of each code file, by its name, e.g. ``code/__torch__.py``.

    Raises
    ------
    InputInvalid
        As for :func:`members`; also when a text is not UTF-8, or longer than any network's.
    """
    entries = members(path)
    try:
        with zipfile.ZipFile(path) as archive:
            texts = {name: archive.read(info).decode("utf-8") for name, info in entries.items() if name.endswith(".py")}
    except DAMAGED as error:
        raise InputInvalid(f"{path.name}: its code cannot be read ({error}).") from None
    if sum(1 for text in texts.values() for _ in itertools.islice(WORD.finditer(text), MOST_WORDS + 1)) > MOST_WORDS:
        raise InputInvalid(f"{path.name}: more than {MOST_WORDS} words of code, which no network needs.")
    return texts


def unexpected(path: Path) -> tuple[str, ...]:
    """Entries of names that no exporter writes, below the root; such a file is not to be loaded.

    Raises
    ------
    InputInvalid
        As for :func:`members`.
    """
    return tuple(name for name in members(path) if not NEEDED.fullmatch(name) and not NEEDLESS.fullmatch(name))


def native_classes(path: Path) -> tuple[str, ...]:
    """Classes of PyTorch's own C++ code that the pickled structure asks for, e.g. ``torch.classes.dist_c10d.Store``.

    Raises
    ------
    InputInvalid
        As for :func:`members`; also when a pickle cannot be taken apart.
    """
    entries, names = members(path), set()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in PICKLES:
                if name in entries:
                    names |= set(_named_classes(archive.read(entries[name])))
    except DAMAGED as error:
        raise InputInvalid(f"{path.name}: its {' or '.join(PICKLES)} cannot be read ({error}).") from None
    return tuple(sorted(name for name in names if name.startswith("__torch__.torch.classes.")))


def _named_classes(pickled: bytes) -> Iterator[str]:
    """Classes and functions that a pickle names, which is taken apart and never run."""
    for opcode, argument, _ in pickletools.genops(pickled):
        on_time()
        if opcode.name == "GLOBAL":
            yield ".".join(str(argument).split(" "))
        elif opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"opcode {opcode.name}, which no exporter writes")


def strip(source: Path, target: Path, texts: Mapping[str, str]) -> None:
    """Write a TorchScript file anew: only what engines need, stored entries, one time stamp and the root ``weights/``.

    Nothing is left that prints. What is read is what Python's zip reader shows and :func:`code` scans. So nothing is left by which
    another reader could see another file: a second zip before or behind, other names, data between the entries.

    Parameters
    ----------
    texts
        Code files that replace those of the source, by name below the root.

    Raises
    ------
    InputInvalid
        As for :func:`members`; also when an entry has a name that no exporter writes, or is damaged.
    """
    if foreign := unexpected(source):
        raise InputInvalid(f"{source.name} holds {', '.join(foreign[:3])}, as no exporter writes: export it again.")
    try:
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
            for name, info in members(source).items():
                if NEEDED.fullmatch(name):
                    on_time()
                    content = texts[name].encode() if name in texts else archive.read(info)
                    content = _without_prints(content) if name.endswith(".py") else content
                    out.writestr(zipfile.ZipInfo(f"{ROOT}/{name}", EPOCH), content)
    except DAMAGED as error:
        raise InputInvalid(f"{source.name} is damaged ({error}): export or download it again.") from None


def _without_prints(content: bytes) -> bytes:
    """A code file that prints nothing: what was printed is still computed, since it may change a tensor in place.

    What cannot be parsed stays as it is.
    """
    if b"print(" not in content or len(content) > MOST_WORDS:
        return content
    try:
        tree = parsed(content.decode())  # as PyTorch does, whatever encoding a comment names
    except (InputInvalid, UnicodeDecodeError):
        return content
    lines = content.splitlines(keepends=True)
    starts = list(itertools.accumulate((len(line) for line in lines), initial=0))  # ast counts bytes
    for number, node in reversed(list(enumerate(sorted(_prints(tree), key=lambda node: (node.lineno, node.col_offset))))):
        first, last = starts[node.lineno - 1] + node.col_offset, starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        printed = [content[starts[a.lineno - 1] + a.col_offset : starts[a.end_lineno - 1] + a.end_col_offset] for a in node.args]  # type: ignore[operator]
        kept = b"_printed_%d = (%s,)" % (number, b", ".join(printed)) if printed else b"pass"
        content = content[:first] + kept + content[last:]
    return content


def _prints(tree: ast.Module) -> Iterator[ast.Call]:
    """Statements that print, and nothing else."""
    for node in ast.walk(tree):
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print" and not call.keywords:
            yield call


def parsed(text: str) -> ast.Module:
    """A code file as a tree.

    Raises
    ------
    InputInvalid
        It is none of Python's, or nested more deeply than any exporter writes.
    """
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputInvalid(f"code that cannot be read ({type(error).__name__}: {error}): export it again.") from None


def devices(text: str) -> list[str]:
    """Operators of a code file that have a device written into them, e.g. ``["arange"]``.

    Raises
    ------
    InputInvalid
        As for :func:`parsed`.
    """
    return [_operator(call) for _, call in _device_users(text)]


def follow_input_device(text: str) -> tuple[str, list[str]]:
    """Replace devices written into the code by the device of the function's first tensor.

    Tracing writes ``torch.arange(…, device=x.device)`` as device "cpu", which breaks on a GPU. The first tensor argument of
    each traced function comes from the image, so its device is the right one.

    Returns
    -------
    tuple
        The text, and the operators that were changed. Functions without a tensor argument stay as they are.
    """
    lines = text.splitlines(keepends=True)
    changed: list[str] = []
    spots = []
    for function, call in _device_users(text):
        tensor = next((a.arg for a in function.args.args if isinstance(a.annotation, ast.Name) and a.annotation.id == "Tensor"), None)
        literal = next(node for node in [*call.args, *(k.value for k in call.keywords)] if _is_device(node))
        if tensor is not None and literal.lineno == literal.end_lineno:
            spots.append((literal, f"ops.prim.device({tensor})"))
            changed.append(_operator(call))
    for literal, replacement in sorted(spots, key=lambda spot: (spot[0].lineno, spot[0].col_offset), reverse=True):
        raw = lines[literal.lineno - 1].encode()  # ast counts bytes
        lines[literal.lineno - 1] = (raw[: literal.col_offset] + replacement.encode() + raw[literal.end_col_offset :]).decode()
    return "".join(lines), changed


def _device_users(text: str) -> list[tuple[ast.FunctionDef, ast.Call]]:
    """Calls with a device literal among their arguments, with the function around each."""
    if not re.search(r"torch\.device\(", text):
        return []
    tree = parsed(text)
    homes: list[ast.Module | ast.ClassDef] = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    functions = [node for home in homes for node in home.body if isinstance(node, ast.FunctionDef)]
    calls = [(function, node) for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [(f, call) for f, call in calls if any(_is_device(a) for a in [*call.args, *(k.value for k in call.keywords)])]


def _is_device(node: ast.AST) -> bool:
    """Whether a piece of code is ``torch.device("…")``."""
    func = node.func if isinstance(node, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr == "device" and isinstance(func.value, ast.Name) and func.value.id == "torch"


def _operator(call: ast.Call) -> str:
    """Name of the operator called, e.g. ``arange``."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else "?"
