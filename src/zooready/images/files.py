"""Images on disk: TIFF, PNG and JPEG become an Image with named axes and calibration, and back to a TIFF that ImageJ reads."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

import numpy as np

from zooready.errors import InputInvalid
from zooready.records import Array, Image

if TYPE_CHECKING:
    import PIL.Image
    from tifffile import TiffFile, TiffPageSeries

ORDER = "tzcyx"  # the order of an Image's axes, which is also ImageJ's
RGB = ("red", "green", "blue")
MICROMETRES = {  # by the unit's name in ImageJ, OME-XML and TIFF tags
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("inch", "in", "inches"), 25_400.0),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    "pm": 1e-6,
}
PRINT_UM = 20.0  # an inch or centimetre resolution with larger pixels than this is for a printer (1270 dpi), not a calibration
IMAGEJ_DTYPES = ("uint8", "uint16", "float32")


def read_image(path: Path | str, *, axes: str | None = None) -> Image:
    """The image in a file, with what the file says of its axes.

    Parameters
    ----------
    path
        TIFF (plain, ImageJ, OME, BigTIFF), PNG or JPEG; told by its content, not by its name.
    axes
        Letters of ``tzcyx`` for the array as it is stored; only needed where a file does not name its axes.

    Returns
    -------
    Image
        Axes in the order t, z, c, y, x, those of length 1 left out (but y and x). Pixels are raw, as stored (integers, float32 or float64);
        one-bit pixels become uint8 0 and 255, float16 becomes float32. Colour is three channels named red, green, blue; alpha is dropped.

    Raises
    ------
    InputInvalid
        No such file, not an image, cut off, empty, axes unknown, pixels complex, NaN or infinite, or not square.
    """
    path = Path(path)
    kind = _kind(path)
    image = _read_tiff(path, axes) if kind == "tiff" else _read_pillow(path)
    _demand_usable(image.array, image.axes, path)
    return replace(image, array=_native(image.array))


def write_image(image: Image, path: Path | str) -> None:
    """Write a TIFF that ImageJ opens with channels, slices, frames, channel names and calibration.

    Parameters
    ----------
    image
        uint8, uint16 or float32, with y and x.
    path
        Target; appears whole or not at all, and the same image gives the same bytes.

    Raises
    ------
    InputInvalid
        ImageJ has no such dtype, the folder is missing or read-only, the disk is full, or the image exceeds 4 GB.
    """
    import tifffile

    path = Path(path)
    if image.array.dtype.name not in IMAGEJ_DTYPES:
        raise InputInvalid(
            f"cannot write {path.name} with {image.array.dtype} pixels: ImageJ reads {', '.join(IMAGEJ_DTYPES)}. Convert first."
        )
    if image.array.nbytes >= 2**32 - 2**20:
        gigabytes = image.array.nbytes / 1e9
        raise InputInvalid(
            f"cannot write {path.name}: {gigabytes:.1f} GB, and an ImageJ TIFF holds less than 4.3 GB. Write fewer planes to a file."
        )
    array, axes = in_order(image.array, image.axes)
    metadata: dict[str, Any] = {"axes": f"{axes.upper()}S"}  # one sample: without it tifffile takes channels of 1 x 1 px for rows
    if image.pixel_size_um:
        metadata["unit"] = "micron"
        if image.z_um:
            metadata["spacing"] = image.z_um
    if image.channels and "c" in axes:
        planes = array.size // (array.shape[-1] * array.shape[-2])
        metadata["Labels"] = [image.channels[i % len(image.channels)] for i in range(planes)]
    side = image.pixel_size_um
    with whole_file(path) as file:
        tifffile.imwrite(
            file,
            array[..., None],
            imagej=True,
            photometric="minisblack",
            resolution=(1 / side, 1 / side) if side else None,
            metadata=metadata,
        )


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at ``path`` when the block ends well, and leaves nothing behind when it does not.

    Raises
    ------
    InputInvalid
        The file cannot be made or filled: no such folder, no permission, disk full.
    """
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cure = (
            "Make the folder first."
            if isinstance(error, FileNotFoundError)
            else "Free space, or choose another folder that you may write to."
        )
        reason = error.strerror or f"the disk is full or a quota reached ({error})"  # NumPy tells of bytes that did not fit, not why
        raise InputInvalid(f"cannot write {path}: {reason}. Nothing was left behind. {cure}") from error
    except BaseException:  # Ctrl-C too must leave nothing half-written
        part.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> Path:
    """The folder, made if it is missing.

    Raises
    ------
    InputInvalid
        It cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputInvalid(f"cannot make the folder {folder}: {error.strerror}. Choose another one that you may write to.") from None
    return folder


def in_order(array: Array, axes: str) -> tuple[Array, str]:
    """The same array with its axes in the order t, z, c, y, x, and that order.

    >>> in_order(np.zeros((4, 5, 3)), "yxc")[1]
    'cyx'
    """
    wanted = "".join(axis for axis in ORDER if axis in axes)
    return array.transpose([axes.index(axis) for axis in wanted]), wanted


def _kind(path: Path) -> str:
    """``tiff`` or ``pillow``, by the first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError:
        raise InputInvalid(f"no image {path}: there is no such file. Check the name and the folder.") from None
    except IsADirectoryError:
        raise InputInvalid(f"{path} is a folder, not an image: name the files inside it.") from None
    except OSError as error:
        raise InputInvalid(
            f"cannot read {path}: {error.strerror}. Check that you may read it (ls -l) and that the disk is there."
        ) from None
    if not head:
        raise InputInvalid(f"{path} is empty (0 bytes): copy or save it again.")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff":
        return "pillow"
    raise InputInvalid(f"{path} is not a TIFF, PNG or JPEG (it begins with {head[:4]!r}): open it in Fiji and save it as TIFF.")


class _Complaints(logging.Handler):
    """Collects what tifffile only logs: a cut-off stack is read as its first plane, with an error in the log alone."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _no_complaints(path: Path) -> Iterator[None]:
    """Turn every error that tifffile raises or logs within the block into InputInvalid."""
    logger, complaints = logging.getLogger("tifffile"), _Complaints()
    logger.addHandler(complaints)
    try:
        yield
    except InputInvalid:
        if not complaints.messages:  # else the damage is the reason for it
            raise
    except MemoryError:
        raise InputInvalid(f"{path} does not fit into memory: cut it into smaller images in Fiji, or use a larger machine.") from None
    except Exception as error:  # a damaged TIFF raises nearly anything: struct.error, ValueError, KeyError, errors of every codec
        raise InputInvalid(f"{path} is damaged or cut off ({type(error).__name__}: {error}): copy or save it again.") from error
    finally:
        logger.removeHandler(complaints)
    if complaints.messages:
        raise InputInvalid(f"{path} is damaged or cut off ({complaints.messages[0]}): copy or save it again.")


def _read_tiff(path: Path, axes: str | None) -> Image:
    import tifffile

    with _no_complaints(path), tifffile.TiffFile(path) as tiff:
        if len(tiff.series) != 1:
            shapes = ", ".join(str(series.shape) for series in tiff.series[:4])
            raise InputInvalid(f"{path} holds {len(tiff.series)} images (sizes {shapes}): save the one you want as its own TIFF in Fiji.")
        series = tiff.series[0]
        page = series.keyframe
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype != np.bool_:
            raise InputInvalid(
                f"{path} is stored inverted (zero is white): in Fiji use Edit > Invert, Image > Lookup Tables > Invert LUT, and save it."
            )
        if tiff.is_ome and any(one is None for one in series.pages):
            raise InputInvalid(f"{path} is one of several files of an OME-TIFF, and others are missing: put them into the same folder.")
        if 0 in series.shape:
            raise InputInvalid(f"{path} has no pixels (shape {series.shape}): save it again.")
        pixels = series.asarray()
        if pixels.size != series.size:  # tifffile reads what is there of a cut-off stack
            raise InputInvalid(
                f"{path} names {series.size // series.keyframe.size} planes and holds {pixels.size // series.keyframe.size}: planes are "
                "missing. Copy or save it again, or in Fiji set Image > Properties to what is there, and save it."
            )
        array, letters = _named(pixels, axes or series.axes, path, given=axes is not None)
        if "s" in letters:
            array, letters, channels = _colour(array, letters, page, path)
        else:
            channels = ()
        array, letters = in_order(array, letters)
        pixel_size_um, z_um = _calibration(tiff, series, path)
        named = channels or _channel_names(tiff, array.shape[letters.index("c")] if "c" in letters else 1)
    return Image(array=array, axes=letters, pixel_size_um=pixel_size_um, z_um=z_um, channels=named)


def _named(array: Array, axes: str, path: Path, *, given: bool) -> tuple[Array, str]:
    """The array and its lower-case axes (of tzcyxs), without those of length 1; refuses axes that nobody named."""
    letters = axes.lower()
    if len(letters) != array.ndim or (given and (set(letters) - set(ORDER) or len(set(letters)) != len(letters))):
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
    """Samples of a pixel as channels: colour by name, alpha dropped."""
    import tifffile

    if "c" in letters:
        raise InputInvalid(
            f"{path} has channels that are coloured each (axes {letters!r}): in Fiji split them, and save one image a channel."
        )
    samples = letters.index("s")
    alpha = sum(extra != tifffile.EXTRASAMPLE.UNSPECIFIED for extra in page.extrasamples)
    is_colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    array = np.take(array, range(3 if is_colour else array.shape[samples] - alpha), axis=samples)
    letters = letters.replace("s", "c")
    if array.shape[samples] == 1:
        return array.squeeze(samples), letters.replace("c", ""), ()
    return array, letters, RGB if is_colour else ()


def _calibration(tiff: TiffFile, series: TiffPageSeries, path: Path) -> tuple[float | None, float | None]:
    """Side of a pixel and distance of planes in micrometres, None where the file does not say."""
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff.ome_metadata)
        x, y, z = (_micrometres(pixels.get(f"PhysicalSize{a}"), pixels.get(f"PhysicalSize{a}Unit", "µm")) for a in "XYZ")
        return _square(x, y, path), z
    imagej = tiff.imagej_metadata or {}
    tags = series.keyframe.tags
    codes = {2: "inch", 3: "cm"}
    unit = str(imagej.get("unit") or codes.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2, ""))
    sides = []
    for name in ("XResolution", "YResolution"):
        numerator, denominator = tags[name].value if name in tags else (0, 1)
        sides.append(_micrometres(denominator / numerator, unit) if numerator and denominator else None)
    side = _square(sides[0], sides[1], path)
    if side and unit in codes.values() and side > PRINT_UM:
        return None, None
    return side, _micrometres(imagej.get("spacing"), unit)


def _square(x: float | None, y: float | None, path: Path) -> float | None:
    if x and y and abs(x - y) > 0.01 * max(x, y):
        raise InputInvalid(f"{path} has pixels of {x:.4g} x {y:.4g} µm: networks need square ones. In Fiji use Image > Scale, and save it.")
    return x if y is None or x is None else (x + y) / 2


def _micrometres(value: object, unit: object) -> float | None:
    """A length in micrometres; None without a value, for a unit that is no length, and for lengths that cannot be."""
    try:
        length = float(str(value)) * MICROMETRES[re.sub(r"\\u00[bB]5", "µ", str(unit)).strip().lower()]
    except (ValueError, KeyError):
        return None
    return length if 0 < length < float("inf") else None


def _ome_pixels(xml: str) -> ElementTree.Element:
    """The Pixels element of the first image; an empty one if there is none."""
    found = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    return ElementTree.Element("Pixels") if found is None else found


def _channel_names(tiff: TiffFile, channels: int) -> tuple[str, ...]:
    """Names of the channels if the file has a distinct one for each, else none."""
    if tiff.is_ome and tiff.ome_metadata:
        names = [element.get("Name", "") for element in _ome_pixels(tiff.ome_metadata).findall("{*}Channel")]
    else:
        names = [str(label) for label in (tiff.imagej_metadata or {}).get("Labels", [])]
        names = names[:channels] if names == names[:channels] * (len(names) // channels) else []
    return tuple(names) if len(names) == channels and all(names) and len(set(names)) == channels else ()


def _read_pillow(path: Path) -> Image:
    import PIL.Image

    try:
        with path.open("rb") as file, PIL.Image.open(file, formats=("PNG", "JPEG")) as image:
            file.seek(0)
            head = file.read(26)
            if head[1:4] == b"PNG" and head[24] == 16 and head[25] != 0:
                raise InputInvalid(f"{path} is a 16-bit colour PNG, of which 8 bits would be lost: save it as TIFF.")
            if getattr(image, "n_frames", 1) > 1:
                raise InputInvalid(f"{path} is an animation: save its frames as a TIFF stack.")
            return _pillow_image(image)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputInvalid(f"{path} is damaged, cut off, or too large for PNG and JPEG ({error}): save it again, best as TIFF.") from error


def _pillow_image(image: PIL.Image.Image) -> Image:
    """Grey modes stay as they are; palettes and other colour become red, green, blue; alpha is dropped."""
    if image.mode == "LA":
        image = image.convert("L")
    if image.mode in ("1", "L") or image.mode.startswith(("I", "F")):
        return Image(array=np.asarray(image), axes="yx")
    array = np.asarray(image.convert("RGB"))
    return Image(array=np.moveaxis(array, -1, 0), axes="cyx", channels=RGB)


def _native(array: Array) -> Array:
    """The same values in this machine's byte order; bool as uint8 0 and 255, float16 as float32."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    return array.astype(np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("="), copy=False)


def _demand_usable(array: Array, axes: str, path: Path) -> None:
    """Refuse pixels that no network can take."""
    if array.dtype.kind not in "biuf":
        raise InputInvalid(f"{path} has {array.dtype} pixels: save it in Fiji as 8-bit, 16-bit or 32-bit TIFF.")
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        if bad.any():
            where = ", ".join(f"{axis} {i}" for axis, i in zip(axes, np.unravel_index(bad.argmax(), array.shape), strict=True))
            raise InputInvalid(
                f"{path} has {int(bad.sum())} pixels that are NaN or infinite, the first at {where}: "
                "replace them, in Fiji with Process > Noise > Remove NaNs, and save it."
            )
