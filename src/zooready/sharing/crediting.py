"""Who made a bundle and what it says of itself, for the bundle that is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zooready.bundle.unpacking import safe_name
from zooready.bundle.writing import identity
from zooready.errors import BundleInvalid
from zooready.prediction.steps import of_data_set
from zooready.records import About, Bundle
from zooready.sharing.joining import channels_of

COVERS = (".png", ".jpg", ".jpeg", ".gif")
AUTHOR = ("name", "affiliation", "email", "orcid")  # a github_user would be looked up by every program that reads the bundle
SHORTEST, LONGEST = 5, 128  # characters of a name
ADOPTED = " adopted"
DOI = re.compile(r"10\.\d{4,}/\S+")
NORMALISING = {"fixed_zero_mean_unit_variance", "scale_linear", "scale_mean_variance", "scale_range", "zero_mean_unit_variance"}


def credited(bundle: Bundle, notes: Sequence[str] = ()) -> About:
    """The facts of a bundle that nobody measured: name, authors, licence, citations, documentation, cover; the original as parent.

    The documentation says ``notes`` before the original's own words. Where the original's id is that of its name, as export makes it,
    the name gets a word more, since nothing is its own parent.

    Raises
    ------
    BundleInvalid
        It names no author or no licence, without which nobody may pass it on.
    """
    authors = tuple({key: str(entry[key]) for key in AUTHOR if entry.get(key)} for entry in _entries(bundle, "authors"))
    authors = tuple(author for author in authors if "name" in author)
    license = bundle.texts.get("license")
    missing = [what for what, there in (("author", authors), ("licence", license)) if not there]
    if missing:
        raise BundleInvalid(f"{bundle.path.name} names no {' and no '.join(missing)}, so nobody may pass it on: ask whoever made it.")
    cited = [(str(entry.get("text", "")), _doi(entry), str(entry.get("url") or "")) for entry in _entries(bundle, "cite")]
    tags = bundle.credits.get("tags")
    name = re.sub(r"\s+", " ", re.sub(r"[^\w+\- ()]", " ", bundle.name, flags=re.ASCII)).strip()[:LONGEST]
    name = name if len(name) >= SHORTEST else f"{name} model".strip()
    return About(
        name=name if identity(name) != bundle.id else f"{name[: LONGEST - len(ADOPTED)]}{ADOPTED}",
        description=str(bundle.texts.get("description") or f"{bundle.name}, as its authors describe it."),
        authors=authors,
        license=str(license),
        cite=tuple((text, doi) for text, doi, _ in cited if doi),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        pixel_size_um=bundle.pixel_size_um,
        documentation=_documentation(bundle, notes, [f"{text} {url}".strip() for text, doi, url in cited if not doi]),
        parent=bundle.id,
        cover=_cover(bundle),
    )


def normalises(bundle: Bundle) -> bool:
    """Whether its description names a step that brings images to the range that the network expects."""
    return any(step.name in NORMALISING for tensor in bundle.inputs for step in tensor.operators)


def cautions(newest: Bundle) -> tuple[str, ...]:
    """What to know before using the network that a bundle, in its newest form, is made into: sentences."""
    said = []
    if not normalises(newest):
        said.append("the description names no normalisation: if its authors normalise their images first, do so, too.")
    if names := [name for tensor in (*newest.inputs, *newest.outputs) for name in of_data_set(tensor)]:
        said.append(
            f"the description asks for statistics of a whole data set ({', '.join(names)}): here they are those of each image by itself, "
            "as bioimageio.core takes them when it is given one image; of several, it mixes them."
        )
    if len(newest.inputs) > 1:
        channels = ", ".join(channel for tensor in newest.inputs for channel in channels_of(tensor))
        said.append(f"the original takes {len(newest.inputs)} inputs, which are the channels of one image here, in this order: {channels}.")
    return tuple(said)


def _entries(bundle: Bundle, key: str) -> Iterator[dict[str, Any]]:
    """The mappings in a list of credits; format 0.4 allows bare names."""
    listed = bundle.credits.get(key)
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            yield entry
        elif isinstance(entry, str):
            yield {"name": entry, "text": entry}


def _doi(entry: dict[str, Any]) -> str:
    """The DOI, stated or in the address."""
    found = DOI.search(f"{entry.get('doi') or ''} {entry.get('url') or ''}")
    return found[0] if found else ""


def _file(bundle: Bundle, source: object) -> Path | None:
    """A file inside the bundle that a description names; None if there is none."""
    name = source.get("source") if isinstance(source, dict) else source
    if not isinstance(name, str) or "://" in name:
        return None
    file = bundle.folder / safe_name(name, bundle.path)
    return file if file.is_file() else None


def _cover(bundle: Bundle) -> Path | None:
    covers = bundle.credits.get("covers")
    files = (_file(bundle, cover) for cover in covers) if isinstance(covers, list) else ()
    return next((file for file in files if file and file.suffix.lower() in COVERS), None)


def _documentation(bundle: Bundle, notes: Sequence[str], others: list[str]) -> str:
    """What is said before the original's own text, and that text."""
    file = _file(bundle, bundle.texts.get("documentation"))
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file else ""
    lines = [
        f"This is *{bundle.name}*"
        + (f" (`{bundle.id}`)" if bundle.id else "")
        + ", made by the authors named below and brought to Fiji by "
        "`zooready adopt`: the steps that its description asks for before and behind the network, and the padding to sizes that it takes, "
        "are inside the network now. Its weights are unchanged. Nothing about its quality was measured, and nothing is claimed.",
    ]
    lines += [f"{note[0].upper()}{note[1:]}" for note in notes]
    if others:
        lines.append("It also refers to:\n\n" + "\n".join(f"- {line}" for line in others))
    if text:
        lines.append(f"## Documentation of the original\n\n{text}")
    return "\n\n".join(lines)
