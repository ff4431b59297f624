"""``zooready install``: a bundle where DeepImageJ looks for its models, with the macros that run it and show what comes out."""

from __future__ import annotations

import os
import re
import tempfile
from argparse import SUPPRESS, ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooready.bundle.fitting import misfits
from zooready.bundle.reading import opened
from zooready.commands.console import print_line, print_notes
from zooready.consumers.deepimagej import fiji_folder, in_fiji
from zooready.consumers.deepimagej.fiji import VARIABLE, placed
from zooready.consumers.torchscript_rules import only_computes
from zooready.errors import BundleInvalid, InputInvalid
from zooready.records import Bundle

LONGEST = 100  # letters of a folder's name: file systems take 255, and whole paths on Windows 260


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Where a bundle went: its folder, the macro that runs it, and what its user should know."""

    folder: Path
    macro: Path
    notes: tuple[str, ...] = ()


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready install``."""
    add = parser.add_argument
    add("bundle", type=Path, help="zip or folder")
    add("--fiji", type=Path, default=SUPPRESS, metavar="DIR", help=f"Fiji's folder (default: the value of {VARIABLE})")
    add("--force", action="store_true", help="replace an installed model of the same id")


def install(bundle: Path | str, *, fiji: Path | str | None = None, force: bool = False) -> Installed:
    """Unpack a bundle below ``models`` of a Fiji, whole or not at all.

    Parameters
    ----------
    bundle
        Zip or folder.
    fiji
        Fiji's folder; None takes that of ZOOREADY_FIJI.
    force
        Replace a model of the same id.

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely, or DeepImageJ would refuse it or crash.
    InputInvalid
        No Fiji there, the folder cannot be written, or a model of that id is there already.
    """
    home = _fiji(fiji)
    with opened(bundle) as unpacked:
        _demand_that_it_runs(unpacked)
        name = _name(unpacked)
        target = home / "models" / name
        if target.exists() and not (force and (target / "rdf.yaml").is_file()):
            cure = "use --force to replace it" if (target / "rdf.yaml").is_file() else "it holds no model: move it away first"
            raise InputInvalid(f"{target} is there already: {cure}.")
        try:
            _fill(unpacked, target, name)
        except OSError as error:
            raise InputInvalid(
                f"cannot write to {target.parent} ({error.strerror or error}): check its rights and the disk's space."
            ) from None
        lacking = fiji_folder.missing(str(home))
        notes = (*(f"{remark}." for remark in in_fiji.remarks(unpacked)), *([lacking] if lacking else []))
        return Installed(folder=target, macro=target / f"{name}.ijm", notes=notes)


def _fiji(fiji: Path | str | None) -> Path:
    path = str(fiji or os.environ.get(VARIABLE, ""))
    home = Path(path).expanduser().absolute()
    if not path:
        raise InputInvalid(f"no Fiji is named: give --fiji its folder, or set {VARIABLE}.")
    if not (home / "jars").is_dir() or not (home / "plugins").is_dir():
        raise InputInvalid(f"{home} is no Fiji: it has no folders jars and plugins. Give the folder that holds them, e.g. Fiji.app.")
    return home


def _demand_that_it_runs(bundle: Bundle) -> None:
    """A model that crashes Fiji is not put into it."""
    faults = [*in_fiji.objections(bundle, "torchscript"), *misfits(bundle)]
    if "torchscript" in bundle.formats:
        faults += only_computes(bundle.formats["torchscript"])
    if faults:
        raise BundleInvalid(f"DeepImageJ would not run {bundle.path.name}, so it is not installed: {' '.join(faults)}")


def _name(bundle: Bundle) -> str:
    """The bundle's id, or its beginning, as the name of a folder."""
    return re.sub(r"[^a-z0-9_-]+", "-", bundle.id.lower()).strip("-")[:LONGEST] or "model"


def _fill(bundle: Bundle, target: Path, name: str) -> None:
    """Fill a folder beside the target, and swap it in; the older one comes back if that fails."""
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".zooready-", dir=target.parent, ignore_cleanup_errors=True) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        placed(bundle, new, name)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise


def run(bundle: Path, **options: Any) -> None:
    """Install into Fiji, and print how to run it there."""
    installed = install(bundle, **options)
    print_notes(installed.notes)
    print_line(f"In Fiji: Plugins > Macros > Run..., {installed.macro}")
