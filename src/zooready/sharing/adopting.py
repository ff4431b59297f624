"""``adopt``: somebody else's bundle becomes one that runs in Fiji, or is refused with the cause; its numbers are those of the original."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zooready.bundle.reading import opened
from zooready.bundle.renewing import renewed
from zooready.consumers.sandbox import Session
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid, OutputsDiffer, ZooreadyError
from zooready.images.whole_files import whole_file
from zooready.processes import scratch
from zooready.records import Bundle, Format
from zooready.sharing.crediting import credited, normalises
from zooready.sharing.originals import Compared, compared
from zooready.sharing.surrounding import surroundings

ORDER: tuple[Format, ...] = ("state_dict", "torchscript", "onnx")  # the network itself first, then its recordings
WORKER = "zooready.sharing.adoption_worker"
SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """The zip that was written, of which of the original's formats, how its numbers compare, and what to know before using it.

    ``unavailable`` says why of the adopted bundle's formats that could not be had, ``passed_over`` of the original's.
    """

    path: Path
    format: Format
    compared: tuple[Compared, ...]
    formats: tuple[Format, ...]
    unavailable: dict[str, str]
    passed_over: dict[str, str]
    notes: tuple[str, ...] = ()


def adopted(
    path: Path | str, out: Path | str, *, format: Format | None = None, trust_code: bool = False, time_limit_s: float | None = None
) -> Adoption:
    """Write a Fiji-safe bundle of somebody else's; it appears only if its numbers are those of the original.

    Parameters
    ----------
    path
        Zip or folder, format 0.4 or 0.5.
    out
        The zip to write.
    format
        Which of its weights to take; None tries the state dict of a trusted bundle, then TorchScript, then ONNX.
    trust_code
        Whether the bundle's own Python may run, which a state dict needs.
    time_limit_s
        How long measuring and writing may take for each of its formats, s; half an hour if None.

    Raises
    ------
    BundleInvalid, InputInvalid
        The bundle cannot be had; the message holds the reason for each of its formats.
    OutputsDiffer
        What came out computes something else than bioimageio.core makes of the original.
    """
    target = Path(out)
    if target.suffix != ".zip" or target.is_dir():
        raise InputInvalid(f"out={str(out)!r}: a bundle is a zip, so let its name end in .zip.")
    with opened(path, trust_code=trust_code, time_limit_s=time_limit_s) as original, scratch() as folder:
        newest = renewed(original)
        credited(original)
        surroundings(newest)  # what no format can cure is refused before anything runs
        reasons: dict[str, str] = {}
        for chosen in _chosen(original, format):
            below = folder / chosen
            below.mkdir()
            try:
                facts = _written(original, chosen, below)
                numbers = compared(newest, original, chosen, below / "adopted.zip")
            except (InputInvalid, BundleInvalid, ConsumerFailed, OutputsDiffer) as error:
                reasons[chosen] = str(error)
                last: ZooreadyError = error
                continue
            with whole_file(target) as file:
                file.write((below / "adopted.zip").read_bytes())
            return Adoption(
                path=target, format=chosen, compared=numbers, formats=tuple(facts["formats"]), unavailable=facts["unavailable"],
                passed_over=reasons, notes=tuple(facts["notes"]),
            )  # fmt: skip
        why = " ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise type(last)(f"{original.path.name} cannot be brought to Fiji. {why}") from None


def _chosen(bundle: Bundle, format: Format | None) -> Sequence[Format]:
    """The formats to try, in order."""
    if format is not None and format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} has no {format} weights: choose from {', '.join(bundle.formats)}.")
    if format == "state_dict" and not bundle.trusted:
        raise InputInvalid(f"{bundle.path.name}: a state dict runs the bundle's own Python. Read it, then use trust_code=True.")
    asked = [format] if format else [each for each in ORDER if each in bundle.formats]
    usable = [each for each in asked if each != "state_dict" or bundle.trusted]
    if not usable:
        raise InputInvalid(
            f"{bundle.path.name} holds a state dict only, which runs the bundle's own Python: read it, then use trust_code=True."
        )
    return usable


def _written(bundle: Bundle, format: Format, folder: Path) -> dict[str, Any]:
    """Have a child process write ``adopted.zip``; what it says of it."""
    job = {
        "kind": "adopt",
        "bundle": str(bundle.path.absolute()),
        "format": format,
        "trusted": bundle.trusted,
        "folder": str(folder),
        "provenance": {"adopted": origin(bundle, format)},
    }
    session = Session(job, who=f"adopting the {format}", seconds=bundle.time_limit_s or SECONDS, worker=WORKER)
    with contextlib.closing(session):
        session.load()
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return facts


def origin(bundle: Bundle, format: Format) -> dict[str, object]:
    """What the adopted bundle says of the original, plain data."""
    stated = {"name": bundle.name, "id": bundle.id, "format_version": bundle.format_version, "weights": format}
    steps = {tensor.name: [asdict(step) for step in tensor.operators] for tensor in (*bundle.inputs, *bundle.outputs) if tensor.operators}
    digest = hashlib.sha256(bundle.path.read_bytes()).hexdigest() if bundle.path.is_file() else ""
    return {**stated, **({"sha256": digest} if digest else {}), "steps": steps, "normalises": normalises(bundle)}
