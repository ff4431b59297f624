"""What becomes of a bundle in programs that cut every image into tiles: the network sees a tile, never the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zooready.consumers.deepimagej.rules import axes
from zooready.records import Bundle


def whole_image(bundle: Bundle, program: str) -> Iterator[str]:
    """A network whose every value depends on the whole image gives other values in tiles, everywhere and not at their rims alone."""
    if _measured(bundle) == "whole image":
        yield (
            f"every value of its result depends on the whole image (measured at export), and {program} shows the network one tile at a "
            "time: use zooready predict or Fiji for it, or replace layers that average over the image (InstanceNorm, attention)."
        )


def no_halo(bundle: Bundle, program: str) -> Iterator[str]:
    """Tiles overlap by the halo that outputs declare; zooready declares none, since it pads inside the network."""
    halo = _measured(bundle)
    if isinstance(halo, int) and halo > 0 and not any(axis.get("halo") for _, axis in axes(bundle, "outputs")):
        yield f"the bundle declares no halo, so that {program}'s tiles do not overlap and values within {halo} px of their rims differ"


def numbers_restart(bundle: Bundle, program: str) -> Iterator[str]:
    """Labels are counted anew by every run of the network."""
    if any(kind == "labels" for _, kind in bundle.outputs):
        yield (
            f"labels are counted anew in every tile, and {program} shows a channel as the probability of a class: for images of several "
            "tiles export another output"
        )


def _measured(bundle: Bundle) -> object:
    """The halo that zooready measured: px, "whole image", or None in a bundle from elsewhere."""
    own = (bundle.rdf.get("config") or {}).get("zooready") or {}
    measured = own.get("measured") if isinstance(own, Mapping) else None
    return measured.get("halo") if isinstance(measured, Mapping) else None
