"""Reads TIFF files of any kind: pixels, named axes, colour, channel names and calibration."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from zooready.errors import InputInvalid
from zooready.images.lengths import micrometres, seconds, square_side
from zooready.images.mapped import Lazily, in_a_file
from zooready.records import Array, Image

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

ORDER = "tzcyx"  # the order of an Image's axes, which is also ImageJ's
RGB = ("red", "green", "blue")
PRINTED = {"SEPARATED": "print (CMYK)", **dict.fromkeys(("CIELAB", "ICCLAB", "ITULAB", "LOGLUV"), "L*a*b* or L*u*v*")}
PLAIN = ("shaped", "uniform", "generic")  # kinds of files, as tifffile calls them, that state no more than a size
STRAIGHT_LINE, UNCALIBRATED = 0, 20  # calibration functions of ImageJ: c0 + c1 * stored, and none
SIGNED = -32768.0  # c0 of signed 16-bit images, which ImageJ stores with 32768 added
UNCOMPRESSED = 1  # value of the tag Compression
TINY_BYTES = 10**6  # no file so small holds more pixels than fit into memory
LAZY_BYTES = 2**26  # up to which pixels are read at once
LARGEST_NA = 2.0  # no objective has more; a larger number is a mistake
PRINT_UM = 20.0  # a resolution per inch or centimetre with larger pixels (1270 dpi) is meant for printing, not as calibration


class _LoggedErrors(logging.Handler):
    """Collects errors that tifffile only logs: it reads a cut-off stack as its first plane, for example."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    """Turn every error that tifffile raises or logs within the block into InputInvalid."""
    logger, logged = logging.getLogger("tifffile"), _LoggedErrors()
    logger.addHandler(logged)
    try:
        yield
    except InputInvalid:
        if not logged.messages:  # otherwise the damage caused it
            raise
    except MemoryError:
        if (held := path.stat().st_size) < TINY_BYTES:
            raise InputInvalid(
                f"{path} is damaged or cut off: it states more pixels than fit into memory, and has {held:,} bytes. Copy or save it again."
            ) from None
        raise InputInvalid(
            f"{path} does not fit into memory: cut it into smaller images in Fiji, or use a machine with more memory."
        ) from None
    except Exception as error:  # a damaged TIFF raises nearly anything: struct.error, ValueError, KeyError, errors of every codec
        raise InputInvalid(f"{path} is damaged or cut off ({type(error).__name__}: {error}): copy or save it again.") from error
    finally:
        logger.removeHandler(logged)
    if logged.messages:
        raise InputInvalid(f"{path} is damaged or cut off ({logged.messages[0]}): copy or save it again.")


def read_tiff(path: Path, axes: str | None, *, lazily: Lazily = False) -> Image:
    """Read a TIFF file with one image; for ``axes``, ``lazily`` and the result see :func:`zooready.images.files.read_image`.

    Raises
    ------
    InputInvalid
        The file is damaged, incomplete or inverted, contains several images, or its axes are unknown.
    """
    import tifffile

    with _errors_explained(path), tifffile.TiffFile(path) as tiff:
        pages = _alike(tiff)
        if not tiff.series:
            raise InputInvalid(f"{path} is a TIFF without an image: copy or save it again.")
        if len(tiff.series) != 1 and not pages:
            shapes = ", ".join(str(series.shape) for series in tiff.series[:4])
            raise InputInvalid(f"{path} holds {len(tiff.series)} images (sizes {shapes}): save the one you want as its own TIFF in Fiji.")
        series = tiff.series[0]
        page = series.keyframe
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype != np.bool_:
            raise InputInvalid(
                f"{path} is stored inverted (zero is white): in Fiji use Edit > Invert, Image > Lookup Tables > Invert LUT, and save it."
            )
        if tiff.is_ome and (
            any(frame is None for frame in series.pages) or _planes(tiff) * page.imagelength * page.imagewidth > series.size
        ):
            raise InputInvalid(f"{path} is one of several files of an OME-TIFF, and others are missing: put them into the same folder.")
        if 0 in series.shape:
            raise InputInvalid(f"{path} has no pixels (shape {series.shape}): save it again.")
        if not pages and (held := _held(tiff, series)) > (stated := series.size // page.size):
            raise InputInvalid(
                f"{path} holds {held} planes and says that there {'is' if stated == 1 else 'are'} {stated}, so that others would be left "
                "out: correct what it says, or open it in Fiji with Plugins > Bio-Formats, look whether all are there, and save it as TIFF."
            )
        _demand_bytes(page, path)
        pixels = _mapped(path, series, lazily) if lazily and series.nbytes > LAZY_BYTES else series.asarray()
        stored_axes = series.axes
        if pages:
            pixels, stored_axes = np.stack([page.asarray() for page in pages]), "QYX"
        elif pixels.size != series.size:  # tifffile reads the existing part of a cut-off stack
            raise InputInvalid(
                f"{path} names {series.size // series.keyframe.size} planes and holds {pixels.size // series.keyframe.size}: planes are "
                "missing. Copy or save it again, or in Fiji set Image > Properties to the planes that it has, and save it."
            )
        pixels = _as_shown(pixels, tiff.imagej_metadata or {}, path)
        array, letters = _named(pixels, axes or stored_axes, path, is_given=axes is not None)
        if "s" in letters:
            array, letters, channels = _colour(array, letters, page, path)
        else:
            channels = ()
        array, letters = in_order(array, letters)
        (pixel_size_um, z_um), frame_s = _calibration(tiff, series, path), _frame_s(tiff)
        count = array.shape[letters.index("c")] if "c" in letters else 1
        names, blurs_um = channels or _channel_names(tiff, count), _blurs_um(tiff, count)
    return Image(
        array=array, axes=letters, pixel_size_um=pixel_size_um, z_um=z_um, channels=names, blurs_um=blurs_um,
        frame_s=frame_s if "t" in letters else None,
    )  # fmt: skip


def _demand_bytes(page: Any, path: Path) -> None:
    """Refuse a file that is smaller than its one plane, before room for that plane is asked for; tifffile would read nothing of it."""
    held, stated = page.parent.filehandle.size, page.size * page.bitspersample // 8
    counts = page.tags.valueof("TileByteCounts" if page.is_tiled else "StripByteCounts") or (held,)
    if page.compression == UNCOMPRESSED and stated > held and any(counts):  # a plane of pieces without bytes is stored as empty
        raise InputInvalid(
            f"{path} is damaged or cut off: it states {page.imagewidth} x {page.imagelength} px, which take {stated:,} bytes, and has "
            f"{held:,}. Copy or save it again."
        )


def as_imagej_opens(path: Path) -> bool:
    """Whether ImageJ alone gives the planes of a TIFF the axes that :func:`read_tiff` gives them: in its own files only.

    Of all others, OME-TIFF too, it takes every plane for a slice; Fiji asks Bio-Formats for their axes.
    """
    import tifffile

    with _errors_explained(path), tifffile.TiffFile(path) as tiff:
        return bool(tiff.is_imagej) and not tiff.is_ome


def _mapped(path: Path, series: TiffPageSeries, lazily: Lazily) -> Array:
    """The pixels as they lie in the file; those that are compressed, in a file of their own, which vanishes with the array."""
    import tifffile

    if series.dataoffset is not None and series.keyframe.is_memmappable:
        return tifffile.memmap(path, mode="r")
    return series.asarray(out=in_a_file(series.shape, series.dtype, lazily))


def _alike(tiff: TiffFile) -> list[TiffPageSeries]:
    """Planes of one size that were appended to a file one by one, which tifffile takes for one image each, and ImageJ for a stack."""
    kinds = {(one.kind in PLAIN and one.axes == "YX", one.shape, one.dtype) for one in tiff.series}
    return list(tiff.series) if len(tiff.series) > 1 and len(kinds) == 1 and next(iter(kinds))[0] else []


def _held(tiff: TiffFile, series: TiffPageSeries) -> int:
    """How many planes of the series' size are in this file; 0 of one of several files. Smaller copies for a quick look do not count."""
    if series.is_multifile or len(tiff.pages) * series.keyframe.size <= series.size:
        return 0
    tiff.pages.useframes = False  # frames share the tags of the first page, and do not say whether they are copies
    pages = [tiff.pages.get(number) for number in range(len(tiff.pages))]
    return sum(page.shape == series.keyframe.shape and not getattr(page, "is_reduced", False) for page in pages)


def _as_shown(pixels: Array, metadata: dict[str, Any], path: Path) -> Array:
    """The values that ImageJ shows for stored 8- and 16-bit pixels, which its calibration function may make of them.

    Signed 16-bit images come back as int16, other straight lines as float32. A function that ImageJ ignores, since it lacks a unit of the
    values or a coefficient, is ignored here too.

    Raises
    ------
    InputInvalid
        The calibration is a curve.
    """
    function = metadata.get("cf")
    if function in (None, UNCALIBRATED) or "vunit" not in metadata or pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        return pixels
    if function == STRAIGHT_LINE and not {"c0", "c1"} <= metadata.keys():
        return pixels
    if function != STRAIGHT_LINE:
        raise InputInvalid(
            f"{path} is calibrated by a curve (ImageJ's function {function}), so that Fiji shows other values than the file stores: in "
            "Fiji use Image > Type > 32-bit, which keeps the values shown, or Analyze > Calibrate with None for those stored, and save it."
        )
    offset, slope = float(metadata["c0"]), float(metadata["c1"])
    if (offset, slope, pixels.dtype.name) == (SIGNED, 1.0, "uint16"):
        return (pixels ^ np.uint16(0x8000)).view(np.int16)
    return (offset + slope * pixels.astype(np.float64)).astype(np.float32)


def _named(array: Array, axes: str, path: Path, *, is_given: bool) -> tuple[Array, str]:
    """The array and its lower-case axes (of tzcyxs), without those of length 1; InputInvalid for unknown axes."""
    letters = axes.lower()
    if len(letters) != array.ndim or (is_given and (set(letters) - set(ORDER) or len(set(letters)) != len(letters))):
        raise InputInvalid(
            f"axes {axes!r} do not fit {path}, an array of shape {array.shape}: give {array.ndim} different letters of '{ORDER}'."
        )
    drop = tuple(i for i, axis in enumerate(letters) if array.shape[i] == 1 and axis not in "yx")
    array, letters = array.squeeze(drop), "".join(axis for i, axis in enumerate(letters) if i not in drop)
    unknown = [f"{axis.upper()} of length {array.shape[i]}" for i, axis in enumerate(letters) if axis not in "tzcyxs"]
    if unknown or "y" not in letters or "x" not in letters:
        raise InputInvalid(
            f"{path} (shape {array.shape}) does not say what its axes are ({', '.join(unknown) or letters}): "
            "in Fiji set Image > Properties (channels, slices, frames) and save it, or name them, e.g. axes 'zyx'."
        )
    return array, letters


def _colour(array: Array, letters: str, page: Any, path: Path) -> tuple[Array, str, tuple[str, ...]]:
    """The samples of each pixel as channels: colours are named, alpha is dropped."""
    import tifffile

    if "c" in letters:
        raise InputInvalid(f"{path} has several channels in colour (axes {letters!r}): in Fiji split them, and save one image per channel.")
    samples = letters.index("s")
    if page.photometric.name in PRINTED:
        raise InputInvalid(f"{path} has the colours of {PRINTED[page.photometric.name]}, which are none of a microscope: save it as RGB.")
    alpha = sum(extra != tifffile.EXTRASAMPLE.UNSPECIFIED for extra in page.extrasamples)
    is_colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    is_colour &= array.shape[samples] <= 4  # more samples are channels: three of them would be no colour, and the others lost
    array = np.take(array, range(3 if is_colour else array.shape[samples] - alpha), axis=samples)
    letters = letters.replace("s", "c")
    if array.shape[samples] == 1:
        return array.squeeze(samples), letters.replace("c", ""), ()
    return array, letters, RGB if is_colour else ()


def _calibration(tiff: TiffFile, series: TiffPageSeries, path: Path) -> tuple[float | None, float | None]:
    """Pixel size and distance of planes in micrometres, None where the file has none."""
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff.ome_metadata)
        x, y, z = (micrometres(pixels.get(f"PhysicalSize{a}"), pixels.get(f"PhysicalSize{a}Unit", "µm")) for a in "XYZ")
        return square_side(x, y, path), z
    imagej = tiff.imagej_metadata or {}
    tags = series.keyframe.tags
    codes = {2: "inch", 3: "cm"}
    unit = str(imagej.get("unit") or codes.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2, ""))
    sides = []
    for name, key in (("XResolution", "unit"), ("YResolution", "yunit")):
        numerator, denominator = tags[name].value if name in tags else (0, 1)
        sides.append(micrometres(denominator / numerator, imagej.get(key) or unit) if numerator and denominator else None)
    side = square_side(sides[0], sides[1], path)
    if side and unit in codes.values() and side > PRINT_UM:
        return None, None
    return side, micrometres(imagej.get("spacing"), imagej.get("zunit") or unit)


def _frame_s(tiff: TiffFile) -> float | None:
    """The time from one frame to the next in seconds, None where the file has none."""
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff.ome_metadata)
        return seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    imagej = tiff.imagej_metadata or {}
    return seconds(imagej.get("finterval"), imagej.get("tunit", "s"))


def _ome_pixels(xml: str) -> ElementTree.Element:
    """The Pixels element of the first image; an empty one if there is none."""
    pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    return ElementTree.Element("Pixels") if pixels is None else pixels


def _planes(tiff: TiffFile) -> int:
    """How many planes OME states, each colour for one; 0 if it does not say."""
    try:
        pixels = _ome_pixels(tiff.ome_metadata or "")
        return math.prod(int(pixels.get(f"Size{axis}", 0)) for axis in "CZT")
    except (ElementTree.ParseError, ValueError):
        return 0


def _blurs_um(tiff: TiffFile, channels: int) -> tuple[float, ...]:
    """Emission wavelength / NA of each channel, micrometres, as OME states them; empty if any is missing."""
    if not (tiff.is_ome and tiff.ome_metadata):
        return ()
    root = ElementTree.fromstring(tiff.ome_metadata)
    used = root.find("{*}Image/{*}ObjectiveSettings")
    objectives = [lens for lens in root.findall("{*}Instrument/{*}Objective") if used is None or lens.get("ID") == used.get("ID")]
    stated = [channel.attrib for channel in _ome_pixels(tiff.ome_metadata).findall("{*}Channel")]
    waves_um = [micrometres(channel.get("EmissionWavelength"), channel.get("EmissionWavelengthUnit", "nm")) for channel in stated]
    try:
        na = float(objectives[0].get("LensNA", "")) if len(objectives) == 1 else 0.0
    except ValueError:
        return ()
    known = tuple(wave_um / na for wave_um in waves_um if wave_um and 0 < na < LARGEST_NA)
    return known if len(known) == channels else ()


def _channel_names(tiff: TiffFile, channels: int) -> tuple[str, ...]:
    """Channel names if the file has a distinct one for each channel, else none."""
    if tiff.is_ome and tiff.ome_metadata:
        names = [element.get("Name", "") for element in _ome_pixels(tiff.ome_metadata).findall("{*}Channel")]
    else:
        names = [str(label) for label in (tiff.imagej_metadata or {}).get("Labels", [])]
        names = names[:channels] if names == names[:channels] * (len(names) // channels) else []
    return tuple(names) if len(names) == channels and all(names) and len(set(names)) == channels else ()


def in_order(array: Array, axes: str) -> tuple[Array, str]:
    """The same array with its axes in the order t, z, c, y, x, and that order.

    >>> in_order(np.zeros((4, 5, 3)), "yxc")[1]
    'cyx'
    """
    order = "".join(axis for axis in ORDER if axis in axes)
    return array.transpose([axes.index(axis) for axis in order]), order
