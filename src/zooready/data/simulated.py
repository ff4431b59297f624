"""Simulated images on disk: each field of view as two OME-TIFFs, image and truth, in folders that training reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.whole_files import make_folder, whole_file
from zooready.simulate import stages
from zooready.simulate.camera import Camera
from zooready.simulate.emission import Dye, Light
from zooready.simulate.modalities import MODALITIES
from zooready.simulate.optics import Optics
from zooready.simulate.stages import Microscope, Recording

EXPOSURE_MS = 100.0
CAMERA = ("gain", "offset", "read_noise")  # by their own names; its saturation is called camera_limit
FINER = 0.8  # of the Nyquist limit, where no pixel size or step is given
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
ACQUISITION = {  # OME's words; bright field is a wide field with a contrast method
    "widefield": {"AcquisitionMode": "WideField"},
    "confocal": {"AcquisitionMode": "LaserScanningConfocalMicroscopy"},
    "sted": {"AcquisitionMode": "STED"},
    "tirf": {"AcquisitionMode": "TIRF"},
    "sim": {"AcquisitionMode": "StructuredIllumination"},
    "brightfield": {"AcquisitionMode": "WideField", "ContrastMethod": "Brightfield"},
}


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One simulated field on disk: the files of its image and of its truth, and warnings about it."""

    image: Path
    truth: Path
    notes: tuple[str, ...] = ()


def simulate(
    specimen: str,
    out: Path | str,
    *,
    modality: str = "widefield",
    size: int = 256,
    planes: int = 1,
    count: int = 1,
    seed: int = 0,
    photons: float = 500.0,
    **settings: float | None,
) -> Iterator[Simulated]:
    """Simulate fields, and write each as ``images/NAME.ome.tif`` and ``truth/NAME.ome.tif``.

    Parameters
    ----------
    specimen
        A name of :data:`zooready.simulate.stages.PLANES`; with several `planes` of ``STACKS``.
    out
        Folder; created if it is missing.
    modality
        A name of :data:`zooready.simulate.modalities.MODALITIES`.
    size, planes
        Side in px, and number of planes.
    count, seed
        Number of fields; field ``i`` depends on ``(seed, i)`` alone, so more can be added later.
    photons
        Expected photons of the brightest pixel, above the background.
    **settings
        Those of :func:`microscope`, and ``z_step_um``, the distance of planes in micrometres.

    Yields
    ------
    Simulated
        Each field as soon as its files are written.

    Raises
    ------
    InputInvalid
        A setting is unknown or does not make sense, or the folder cannot be written.
    """
    for name, value in (("size", size), ("planes", planes), ("count", count)):
        if value < 1:
            raise InputInvalid(f"{name}={value}: it must be at least 1.")
    step = settings.pop("z_step_um", None)
    instrument = microscope(modality, settings)
    if planes == 1 and step is not None:
        raise InputInvalid(f"z_step_um={step} with one plane: ask for several planes, or leave the step out.")
    if planes > 1 and step is None:
        step = float(f"{FINER * instrument.modality.largest_step_um(instrument.optics):.3g}")
    shape = (size, size) if planes == 1 else (planes, size, size)
    folders = [Path(out) / name for name in ("images", "truth")]
    for folder in folders:
        make_folder(folder)
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        recording = stages.record(rng, specimen, shape, instrument, z_step_um=step, photons=photons)
        facts = {"specimen": specimen, "modality": modality, "seed": seed, "index": index, "photons": photons, **_parameters(recording)}
        name = f"{specimen}_{modality}_{index:03d}.ome.tif"
        write_ome(recording.digital, folders[0] / name, facts)
        write_ome(recording.truth, folders[1] / name, facts | {"truth": "counts without blur, noise and limit"})
        warning = f"{100 * recording.saturated:.3g} % of the pixels are saturated: lower photons, or raise the camera's limit."
        yield Simulated(image=folders[0] / name, truth=folders[1] / name, notes=(warning,) if recording.saturated else ())


def settings_of(modality: str) -> tuple[str, ...]:
    """The settings that :func:`microscope` takes for a modality, its own first.

    Raises
    ------
    InputInvalid
        No such modality.
    """
    if modality not in MODALITIES:
        raise InputInvalid(f"no modality {modality!r}: choose from {', '.join(MODALITIES)}.")
    optics = tuple(field.name for field in fields(Optics) if field.name != "zernike")
    return (*(field.name for field in fields(MODALITIES[modality])), *optics, *CAMERA, "camera_limit", "background")


def microscope(modality: str, settings: Mapping[str, float | None]) -> Microscope:
    """A microscope from plain numbers.

    Parameters
    ----------
    modality
        A name of :data:`zooready.simulate.modalities.MODALITIES`.
    settings
        Settings of optics, modality and camera by their own names; the camera's largest count is ``camera_limit``, since ``saturation``
        is a setting of STED, and ``background`` is in photons per pixel. None stands for the default; that of ``pixel_size_um`` is four
        fifths of the Nyquist limit.

    Returns
    -------
    Microscope
        Ready for :func:`zooready.simulate.stages.record`.

    Raises
    ------
    InputInvalid
        No such modality, or a setting that it does not take.
    """
    names = (*settings_of(modality), "zernike")
    unknown = [name for name, value in settings.items() if value is not None and name not in names]
    if unknown:
        raise InputInvalid(f"{modality} takes no {', '.join(unknown)}: choose from {', '.join(settings_of(modality))}.")
    remaining = {name: value for name, value in settings.items() if value is not None}

    def settings_for(kind: type) -> dict[str, Any]:
        return {field.name: remaining.pop(field.name) for field in fields(kind) if field.name in remaining}

    kind_of_microscope = MODALITIES[modality](**settings_for(MODALITIES[modality]))
    optics = {"na": 1.3, "wavelength_nm": 600.0, "index": 1.515} | settings_for(Optics)
    background = remaining.pop("background", 5.0)
    if not (isfinite(background) and background >= 0):
        raise InputInvalid(f"background={background}: it must be zero or more (photons of every pixel).")
    dye = Dye(background_per_s=1000 * background / EXPOSURE_MS, exposure_ms=EXPOSURE_MS)
    camera: dict[str, Any] = {name: remaining[name] for name in CAMERA if name in remaining}
    if "camera_limit" in remaining:
        if not isfinite(remaining["camera_limit"]):
            raise InputInvalid(f"camera_limit={remaining['camera_limit']}: it must be a whole number (the largest count).")
        camera["saturation"] = int(remaining["camera_limit"])
    if "pixel_size_um" not in optics:
        finest = Optics(**optics, pixel_size_um=1e-6)
        optics["pixel_size_um"] = float(f"{FINER * kind_of_microscope.largest_pixel_um(finest):.3g}")
    return Microscope(optics=Optics(**optics), modality=kind_of_microscope, dye=dye, camera=Camera(**camera))


def write_ome(light: Light, path: Path, facts: Mapping[str, Any]) -> None:
    """Write an OME-TIFF that Fiji's Bio-Formats and :func:`zooready.images.files.read_image` read with calibration, and ImageJ without.

    Parameters
    ----------
    light
        uint16 or float32, (y, x) or (z, y, x).
    path
        Target; appears whole or not at all, and the same light and facts give the same bytes.
    facts
        Plain values; they stand in the description as JSON. ``modality`` and ``optics`` also in OME's own words.

    Raises
    ------
    InputInvalid
        The file cannot be written.
    """
    import tifffile

    per_cm = 1e4 / light.pixel_size_um
    with whole_file(path) as file:
        tifffile.imwrite(
            file,
            light.array,
            photometric="minisblack",
            metadata=None,
            description=_xml(light, path.name, facts),
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            software=False,
        )


def _xml(light: Light, name: str, facts: Mapping[str, Any]) -> bytes:
    """OME-XML, ASCII only as a TIFF tag must be; the order of elements is the schema's."""
    optics, side = facts["optics"], str(light.pixel_size_um)
    planes = light.array.shape[0] if light.axes == "zyx" else 1
    high, wide = light.array.shape[-2:]
    root = ElementTree.Element("OME", {"xmlns": OME, "Creator": "zooready"})
    instrument = ElementTree.SubElement(root, "Instrument", {"ID": "Instrument:0"})
    ElementTree.SubElement(instrument, "Objective", {"ID": "Objective:0", "LensNA": str(optics["na"])})
    image = ElementTree.SubElement(root, "Image", {"ID": "Image:0", "Name": name})
    ElementTree.SubElement(image, "Description").text = json.dumps(facts, sort_keys=True)
    ElementTree.SubElement(image, "InstrumentRef", {"ID": "Instrument:0"})
    ElementTree.SubElement(image, "ObjectiveSettings", {"ID": "Objective:0", "RefractiveIndex": str(optics["index"])})
    depth = {} if light.z_step_um is None else {"PhysicalSizeZ": str(light.z_step_um), "PhysicalSizeZUnit": "\u00b5m"}
    sizes = {"SizeX": wide, "SizeY": high, "SizeZ": planes, "SizeC": 1, "SizeT": 1}
    pixels = ElementTree.SubElement(
        image,
        "Pixels",
        {
            "ID": "Pixels:0",
            "DimensionOrder": "XYZCT",
            "Type": {"uint16": "uint16", "float32": "float"}[light.array.dtype.name],
            **{key: str(value) for key, value in sizes.items()},
            **{"PhysicalSizeX": side, "PhysicalSizeXUnit": "\u00b5m", "PhysicalSizeY": side, "PhysicalSizeYUnit": "\u00b5m"},
            **depth,
        },
    )
    channel = {"ID": "Channel:0:0", "Name": str(facts["specimen"]), "SamplesPerPixel": "1", **ACQUISITION[facts["modality"]]}
    nanometres = {"EmissionWavelength": str(optics["wavelength_nm"]), "EmissionWavelengthUnit": "nm"}
    ElementTree.SubElement(pixels, "Channel", channel | nanometres)
    for plane in range(planes):
        ElementTree.SubElement(pixels, "TiffData", {"IFD": str(plane), "FirstZ": str(plane), "PlaneCount": "1"})
    xml: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + xml


def _parameters(recording: Recording) -> dict[str, Any]:
    """Every parameter, as plain values."""
    instrument = recording.microscope
    facts: dict[str, Any] = {
        "optics": asdict(instrument.optics),
        "settings": asdict(instrument.modality),
        "camera": asdict(instrument.camera),
        "dye": asdict(instrument.dye),
    }
    facts["dye"]["bleaching_s"] = None if facts["dye"]["bleaching_s"] == float("inf") else facts["dye"]["bleaching_s"]
    facts["z_step_um"] = recording.digital.z_step_um
    return facts
