"""A folder for Hugging Face: the bundle's files and a model card, as bioimageio.spec arranges them; nothing is sent."""

from __future__ import annotations

import shutil
from pathlib import Path

from zooready.bundle.naming import with_id
from zooready.bundle.writing import identity
from zooready.errors import BundleInvalid, InputInvalid
from zooready.images.whole_files import make_folder
from zooready.processes import scratch
from zooready.records import Bundle


def write_hub_folder(bundle: Bundle, folder: Path) -> Path:
    """Write ``folder/<id>``: ``README.md`` with the card, ``images/``, and ``package/`` with the bundle's files.

    Parameters
    ----------
    bundle
        An opened bundle.
    folder
        Named like the account that it is for: the card names the model by the account and the id.

    Raises
    ------
    InputInvalid
        Something is there already, or the folder cannot be written.
    BundleInvalid
        bioimageio.spec does not take the description.
    """
    from bioimageio.spec import ModelDescr, ValidationContext, load_description
    from bioimageio.spec._hf import push_to_hub  # its only home; told to prepare and not to send

    name = bundle.id or identity(bundle.name)
    target = folder / name
    if target.exists():
        raise InputInvalid(f"{target} is there already: move it away, or choose another folder.")
    make_folder(folder)
    with scratch() as temporary, ValidationContext(perform_io_checks=False):
        description = load_description(with_id(bundle, temporary / "bundle.zip"))
        if not isinstance(description, ModelDescr):
            raise BundleInvalid(f"bioimageio.spec does not take {bundle.path.name} as a model: export it again.")
        push_to_hub(description, folder.resolve().name, prep_dir=temporary / name, prep_only_no_upload=True)
        _moved(temporary / name, target)
    return target


def _moved(made: Path, target: Path) -> None:
    """Copy a finished folder beside its place, then rename it, so that it is there whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copytree(made, part)
        part.rename(target)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InputInvalid(f"cannot write {target} ({error.strerror}): free space, or choose another folder.") from None
