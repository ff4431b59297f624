"""What becomes of a bundle in programs that cut every image into tiles: the network sees a tile, never the image."""

from __future__ import annotations

from collections.abc import Iterator

from zooready.consumers.description_rules import axes
from zooready.records import Bundle


def whole_image(bundle: Bundle, program: str) -> Iterator[str]:
    """A network whose every value depends on the whole image gives other values in tiles, everywhere and not at their rims alone."""
    if bundle.measured_halo_px == "whole image":
        yield (
            f"every value of its result depends on the whole image (measured at export), and {program} shows the network one tile at a "
            "time: use zooready predict or Fiji for it, or replace layers that average over the image (InstanceNorm, attention)."
        )


def no_halo(bundle: Bundle, program: str) -> Iterator[str]:
    """Tiles overlap by the halo that outputs declare; zooready declares none, since it pads inside the network."""
    halo = bundle.measured_halo_px
    if isinstance(halo, int) and halo > 0 and not any(axis.halo for _, axis in axes(bundle.outputs)):
        yield f"the bundle declares no halo, so that {program}'s tiles do not overlap and values within {halo} px of their rims differ"


def numbers_restart(bundle: Bundle, program: str) -> Iterator[str]:
    """Labels are counted anew by every run of the network."""
    if any(output.kind == "labels" for output in bundle.outputs):
        yield (
            f"labels are counted anew in every tile, and {program} shows a channel as the probability of a class: for images of several "
            "tiles export another output"
        )
