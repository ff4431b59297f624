"""``zooready simulate``: images of known truth, as files."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any

from zooready.commands.console import print_line, print_notes
from zooready.commands.numbers import from_zero, positive
from zooready.data.gallery import gallery as draw_gallery
from zooready.data.simulated import Simulated, simulate
from zooready.simulate.modalities import MODALITIES
from zooready.simulate.stages import PLANES, STACKS

__all__ = ["SETTINGS", "Simulated", "options", "run", "simulate"]

SETTINGS = {
    "na": "numerical aperture (default: 1.3)",
    "wavelength-nm": "wavelength of the emission, nanometres (default: 600)",
    "index": "refractive index of the immersion medium (default: 1.515)",
    "specimen-index": "refractive index around the specimen (default: that of the immersion medium)",
    "depth-um": "depth of the specimen below the coverslip, micrometres; causes aberrations if the indices differ (default: 0)",
    "z-um": "distance of the specimen from the focal plane, micrometres (default: 0)",
    "pixel-size-um": "side of a pixel, micrometres (default: four fifths of the modality's Nyquist limit)",
    "z-step-um": "distance between planes, micrometres (default: four fifths of the limit)",
    "background": "background photons per pixel (default: 5)",
    "gain": "camera: counts per photon (default: 1)",
    "offset": "camera: counts without light (default: 100)",
    "read-noise": "camera: read noise, photons (default: 1.5)",
    "camera-limit": "camera: largest count (default: 65535)",
    "excitation-nm": "confocal, sted, tirf: excitation wavelength, nanometres (default: nine tenths of the emission)",
    "pinhole-au": "confocal, sted: pinhole diameter, Airy units (default: 1)",
    "saturation": "sted: depletion intensity divided by the intensity that halves the emission (default: 10)",
    "angle-deg": "tirf: angle of the beam in the glass, degrees (default: half-way from the critical to the steepest angle)",
    "water-index": "tirf: refractive index behind the coverslip, if --specimen-index is not given (default: 1.33)",
    "extension": "sim: resolution limit relative to wide-field, 1 to 2 (default: 1.9)",
    "wiener": "sim: noise term of the Wiener filter (default: 0.02)",
    "absorbance": "brightfield: decadic absorbance where the specimen is densest (default: 0.5)",
    "condenser-na": "brightfield: numerical aperture of the condenser (default: that of the objective)",
}
NOT_OF_THE_GALLERY = ("modality", "size", "planes", "count", "z_step_um")  # it chooses these itself


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready simulate``."""
    add = parser.add_argument
    named = f"Specimens: {', '.join(PLANES)}. With --planes: {', '.join(STACKS)}. Explained in docs/simulate.md."
    parser.description = f"{parser.description} {named}"
    add("specimen", help="name of the specimen; see above")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for images/ and truth/")
    add("--modality", choices=tuple(MODALITIES), default="widefield", help="kind of microscope")
    add("--size", type=positive, default=256, metavar="PX", help="side of the image, pixels")
    add("--planes", type=positive, default=1, metavar="N", help="number of planes of a stack")
    add("--count", type=positive, default=1, metavar="N", help="number of fields")
    add("--seed", type=from_zero, default=0, help="seed of specimens and noise")
    add("--photons", type=float, default=500.0, metavar="N", help="photons of the brightest pixel")
    for name, help in SETTINGS.items():
        add(f"--{name}", type=float, default=SUPPRESS, metavar="X", help=help)
    add("--gallery", action="store_true", help="also write gallery.png: every specimen, and this one in every modality")


def run(specimen: str, out: Path, gallery: bool = False, **options: Any) -> None:
    """Simulate, and print where each field's image and truth lie."""
    for field in simulate(specimen, out, **options):
        print_line(f"{field.image}  {field.truth}")
        print_notes(field.notes, field.image.name)
    if gallery:
        settings = {name: value for name, value in options.items() if name not in NOT_OF_THE_GALLERY}
        print_line(draw_gallery(out / "gallery.png", specimen=specimen, **settings))
