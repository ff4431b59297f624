"""What the CI and the reviewers of the BioImage Model Zoo would send back: one function for each demand, in words with the cure.

Read in 2026-11 in the collection's own scripts and in what its reviewers asked for (docs/publish.md); none of it was seen to be refused.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from typing import Any

from zooready.bundle import zoo_readme
from zooready.records import Bundle

Rule = Callable[[Bundle], Iterator[str]]
FILES = 9
COVER_BYTES = 500_000
COVER_SHAPES = (2.0, 1.0)  # width / height
SHAPE_ERROR = 0.02
RUNTIME = ("torch", "numpy", "timm")  # what an architecture file may import beside Python's own modules
CONTACTS = ("email", "orcid", "github_user")


def objections(bundle: Bundle) -> Iterator[str]:
    """Every demand that a bundle does not meet, in words."""
    for rule in RULES:
        yield from rule(bundle)


def no_id(bundle: Bundle) -> Iterator[str]:
    """``bioimageio.spec.upload`` refuses one."""
    if bundle.id:
        yield f"it has the id {bundle.id!r}, and the zoo gives a model its id itself: export it for the zoo."


def one_input_and_output(bundle: Bundle) -> Iterator[str]:
    """The check of DeepImageJ stores all expected outputs under one name; that of ilastik takes one of each."""
    for side, count in (("inputs", len(bundle.inputs)), ("outputs", len(bundle.outputs))):
        if count != 1:
            yield f"it has {count} {side}, and the zoo's checks take one: export it with one."


def same_sample(bundle: Bundle) -> Iterator[str]:
    """The check of DeepImageJ runs the sample where there is one, and compares with the test output."""
    named = [tensor.name for tensor in (*bundle.inputs, *bundle.outputs) if tensor.sample]
    if named:
        yield f"{', '.join(named)} has a sample beside the test tensor; the zoo runs the one and compares with the other: leave it out."


def few_files(bundle: Bundle) -> Iterator[str]:
    """Reviewers ask for 5 to 9."""
    names = sorted(path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file())
    if len(names) > FILES:
        yield f"it holds {len(names)} files, and reviewers ask for {FILES} at most ({', '.join(names[FILES:])}): export it for the zoo."


def origin_of_weights(bundle: Bundle) -> Iterator[str]:
    """The state dict first, from which the others were converted."""
    first, *others = bundle.weights
    if "pytorch_state_dict" in others:
        yield f"its first weights are {first}: put the state dict first."
    if without := [key for key in others if not bundle.weights[key].parent]:
        yield f"{', '.join(without)} names no parent, the weights that it was converted from: export it for the zoo."


def imports(bundle: Bundle) -> Iterator[str]:
    """The zoo runs a state dict in an environment of its own, in which few packages are."""
    stated = bundle.weights.get("pytorch_state_dict")
    if stated is None or stated.architecture is None:
        return
    if stated.architecture.source:
        text = (bundle.folder / stated.architecture.source).read_text(encoding="utf-8")
        names = [name for node in ast.walk(ast.parse(text)) for name in _imported(node)]
    else:
        names = [stated.architecture.module.partition(".")[0]]
    absent = sorted({name for name in names if name not in (*RUNTIME, *sys.stdlib_module_names)})
    if absent:
        yield (
            f"the network's code imports {', '.join(absent)}, and the zoo's runtime has {', '.join(RUNTIME)} alone: write it in "
            "one file that imports PyTorch only, or leave the state dict out."
        )


def page(bundle: Bundle) -> Iterator[str]:
    """Headings that reviewers look for."""
    name = str(bundle.texts.get("documentation", ""))
    text = (bundle.folder / name).read_text(encoding="utf-8") if (bundle.folder / name).is_file() else ""
    if absent := zoo_readme.lacking(text):
        headings = ", ".join(f"## {heading}" for heading in absent)
        yield f"its page says nothing under {headings}: write that into the documentation of about.yaml."


def cover(bundle: Bundle) -> Iterator[str]:
    """2:1 or 1:1, and small."""
    from PIL import Image

    covers = [name for name in map(str, _listed(bundle, "covers")) if (bundle.folder / name).is_file()]
    if not covers:
        yield "it has no cover: export it for the zoo, which draws one."
    for name in covers:
        size = (bundle.folder / name).stat().st_size
        if size >= COVER_BYTES:
            yield f"its cover {name} has {size} bytes, and the zoo takes less than {COVER_BYTES}: draw a smaller one."
        with Image.open(bundle.folder / name) as image:
            shape = image.width / image.height
        if all(abs(shape - wanted) > SHAPE_ERROR for wanted in COVER_SHAPES):
            yield f"its cover {name} is {shape:.2f} times as wide as high, and the zoo shows 2:1 or 1:1: cut it."


def people(bundle: Bundle) -> Iterator[str]:
    """Somebody who answers."""
    authors = [author for author in _listed(bundle, "authors") if isinstance(author, dict)]
    if not any(author.get(key) for author in authors for key in CONTACTS):
        yield f"none of its authors can be asked: give one an {', '.join(CONTACTS[:-1])} or {CONTACTS[-1]} in about.yaml."
    if not _listed(bundle, "maintainers"):
        yield "it names no maintainers: list them in about.yaml, each with a github_user."


def words(bundle: Bundle) -> Iterator[str]:
    """Citation, licence, tags."""
    cited = [entry for entry in _listed(bundle, "cite") if isinstance(entry, dict)]
    if not any(entry.get("doi") for entry in cited):
        yield "it cites nothing with a DOI: add cite to about.yaml."
    if not bundle.texts.get("license"):
        yield "it has no licence: add license to about.yaml."
    if not _listed(bundle, "tags"):
        yield "it has no tags: add some to about.yaml, such as the modality, the specimen and the task."


def _listed(bundle: Bundle, key: str) -> list[Any]:
    value = bundle.credits.get(key)
    return value if isinstance(value, list) else []


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0]


RULES: tuple[Rule, ...] = (*(no_id, one_input_and_output, same_sample, few_files, origin_of_weights, imports, page, cover, people, words),)
