"""Image files of any kind read as an Image with named axes and calibration, and written as a TIFF that ImageJ reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zooready.errors import InputInvalid, amount
from zooready.images.mapped import Lazily, blocks, is_mapped, release, reserve
from zooready.images.ome_zarr import is_store, read_store
from zooready.images.tiff import RGB, in_order, read_tiff
from zooready.images.vendors import read_microscope, reader_of, within
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Array, Image

if TYPE_CHECKING:
    import PIL.Image

WITH_BIO_FORMATS = (
    "open it in Fiji with Plugins > Bio-Formats > Bio-Formats Importer and save each image with File > Save As > Tiff, or convert all at "
    "once with bfconvert: bfconvert IN OUT_%s.ome.tiff (%s numbers the images). Both keep channels, planes and pixel sizes."
)
OTHERS = {  # first bytes of files that are not read here: what they are, and what to do
    b"\x00\x00\x00\x0cjP  ": ("JPEG 2000, or an old ND2 file of Nikon", WITH_BIO_FORMATS),
    b"\xd0\xcf\x11\xe0": ("an OIB file of Olympus or a ZVI file of Zeiss", WITH_BIO_FORMATS),
    b"\x89HDF\r\n\x1a\n": (
        "HDF5, as Imaris and ilastik write it",
        "export it as TIFF from that program.",
    ),
    b"\x93NUMPY": ("an array of NumPy", "write it as TIFF with tifffile.imwrite, or give the array itself in Python."),
    b"GIF8": ("a GIF", "save it as TIFF in Fiji."),
    b"BM": ("a BMP", "save it as TIFF in Fiji."),
}

PRINTED = {"CMYK": "print (CMYK)", "LAB": "L*a*b*"}
IMAGEJ_BYTES = 2**32 - 2**20  # more do not fit into an ImageJ TIFF
LARGEST = float(np.finfo(np.float32).max)
IMAGEJ_DTYPES = ("uint8", "uint16", "float32")


def read_image(path: Path | str, *, axes: str | None = None, lazily: Lazily = False) -> Image:
    """Read an image file, with its axes, channel names and calibration as far as the file has them.

    Parameters
    ----------
    path
        TIFF (plain, ImageJ, OME, BigTIFF), PNG or JPEG, recognised by its content, not by its name; a folder of OME-Zarr; or, with the
        packages of the extra ``microscopes``, CZI, ND2 or LIF, and of several images in one the one that is named inside it, as in
        ``recording.nd2/Position 3``.
    axes
        Letters of ``tzcyx`` for the axes of the stored array; only needed if the file does not name its axes.
    lazily
        Leave the pixels of a large TIFF or OME-Zarr where they are, in their byte order, until they are used; those of a compressed TIFF,
        and those of other files, are unpacked to a file for temporary use, in this folder if it is one.

    Returns
    -------
    Image
        Axes in the order t, z, c, y, x; axes of length 1 are left out, except y and x. Pixel values are raw, as stored (integers, float32
        or float64); one-bit pixels become uint8 0 and 255, float16 becomes float32. Colour becomes three channels named red, green, blue;
        alpha is dropped.

    Raises
    ------
    InputInvalid
        The file does not exist, is empty, damaged or not an image; its axes are unknown; or its pixels are complex, NaN, infinite,
        beyond float32 or not square.
    """
    path = Path(path)
    if is_store(path):
        image = read_store(path, axes, lazily=lazily)
    else:
        file, inside = within(path)
        kind = _kind(file)
        if inside and kind != "microscope":
            raise InputInvalid(f"{file} is one image, and holds no '{inside}': give the file itself.")
        if kind == "microscope":
            image = read_microscope(file, inside, WITH_BIO_FORMATS, lazily=lazily)
        else:
            image = read_tiff(path, axes, lazily=lazily) if kind == "tiff" else _read_pillow(path)
    demand_usable(image.array, image.axes, str(path))
    return replace(image, array=_native(image.array))


def read_mask(path: Path | str) -> Image:
    """Like :func:`read_image`, for an image whose values are numbers of objects or classes: a PNG of indexed colour gives its indices.

    Of colour images with a single channel that is not black, that channel is taken.

    Raises
    ------
    InputInvalid
        As :func:`read_image`.
    """
    path = Path(path)
    is_pillow = not is_store(path) and _kind(within(path)[0]) == "pillow"
    image = _read_pillow(path, indices=True) if is_pillow else read_image(path)
    image = replace(image, array=_native(image.array))
    used = (
        [number for number, plane in enumerate(np.moveaxis(image.array, image.axes.find("c"), 0)) if plane.any()]
        if image.channels == RGB
        else []
    )
    if image.channels != RGB or len(used) > 1:
        return image
    kept = np.take(image.array, used[0] if used else 0, axis=image.axes.index("c"))
    return replace(image, array=kept, axes=image.axes.replace("c", ""), channels=())


def write_image(image: Image, path: Path | str) -> None:
    """Write a TIFF that ImageJ opens with the right channels, slices, frames, channel names and calibration.

    Parameters
    ----------
    image
        uint8, uint16 or float32, with y and x; in memory or in a file.
    path
        Target. The file is complete or not there at all, and the same image gives the same bytes.

    Raises
    ------
    InputInvalid
        ImageJ has no such dtype, the folder is missing or read-only, or the disk is full.
    """
    import tifffile

    path = Path(path)
    if image.array.dtype.name not in IMAGEJ_DTYPES:
        raise InputInvalid(
            f"cannot write {path.name} with {image.array.dtype} pixels: ImageJ reads {', '.join(IMAGEJ_DTYPES)}. Convert first."
        )
    array, axes = in_order(image.array, image.axes)
    shape, how = (array.shape, _as_ome(image, axes)) if is_beyond_imagej(image) else ((*array.shape, 1), _as_imagej(image, array, axes))
    with whole_file(path) as file:
        if not is_mapped(array):
            tifffile.imwrite(file, array.reshape(shape), photometric="minisblack", **how)
            return
        mapped = tifffile.memmap(file.name, shape=shape, dtype=array.dtype, photometric="minisblack", **how)
        reserve(file.fileno(), Path(file.name).stat().st_size)
        for block in blocks(array):
            mapped.reshape(array.shape)[block] = array[block]
            release(mapped)
        mapped.flush()
        del mapped  # Windows renames no file that is mapped


def is_beyond_imagej(image: Image) -> bool:
    """Whether an image is larger than an ImageJ TIFF can be, so that it is written as OME-TIFF, which Fiji opens with Bio-Formats."""
    return image.array.nbytes >= IMAGEJ_BYTES


def _as_imagej(image: Image, array: Array, axes: str) -> dict[str, Any]:
    """How tifffile writes a file that ImageJ itself reads."""
    metadata: dict[str, Any] = {
        "axes": f"{axes.upper()}S"
    }  # S: one sample per pixel; without it tifffile writes channels of 1 x 1 px as rows
    if image.pixel_size_um:
        metadata["unit"] = "micron"
    elif image.z_um:
        metadata |= {"unit": "pixel", "zunit": "micron"}  # as ImageJ does where only this length is set
    if image.z_um:
        metadata["spacing"] = image.z_um
    if image.frame_s and "t" in axes:
        metadata["finterval"] = image.frame_s
    if image.channels and "c" in axes:
        planes = array.size // (array.shape[-1] * array.shape[-2])
        metadata["Labels"] = [image.channels[i % len(image.channels)] for i in range(planes)]
    side = image.pixel_size_um
    return {"imagej": True, "resolution": (1 / side, 1 / side) if side else None, "metadata": metadata}


def _as_ome(image: Image, axes: str) -> dict[str, Any]:
    """How tifffile writes a BigTIFF with OME's metadata."""
    metadata: dict[str, Any] = {"axes": axes.upper()}
    lengths = {"PhysicalSizeX": image.pixel_size_um, "PhysicalSizeY": image.pixel_size_um, "PhysicalSizeZ": image.z_um}
    for name, length in lengths.items():
        if length:
            metadata |= {name: length, f"{name}Unit": "\u00b5m"}
    if image.frame_s and "t" in axes:
        metadata |= {"TimeIncrement": image.frame_s, "TimeIncrementUnit": "s"}
    if image.channels and "c" in axes:
        metadata["Channel"] = {"Name": list(image.channels)}
    return {"ome": True, "bigtiff": True, "metadata": metadata}


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write an RGB image (y, x, 3) uint8 for display, complete or not at all, into a folder that is made if missing.

    Raises
    ------
    InputInvalid
        The folder cannot be made, or the file not be written.
    """
    import PIL.Image

    make_folder(path.parent)
    with whole_file(path) as file:
        PIL.Image.fromarray(pixels).save(file, "PNG")


def _kind(path: Path) -> str:
    """The reader for a file, ``tiff``, ``pillow`` or ``microscope``, from its first bytes."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # which nobody may write to, so that reading never ends
        raise InputInvalid(f"{path} is a pipe or a device, not a file: write the image to a file first.")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError:
        raise InputInvalid(f"no image {path}: there is no such file. Check the name and the folder.") from None
    except IsADirectoryError:
        raise InputInvalid(f"{path} is a folder, not an image: name the files inside it.") from None
    except OSError as error:
        raise InputInvalid(
            f"cannot read {path}: {error.strerror}. Check the file's permissions (ls -l) and that the disk is connected."
        ) from None
    if not head:
        raise InputInvalid(f"{path} is empty (0 bytes): copy or save it again.")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff":
        return "pillow"
    if reader_of(head):
        return "microscope"
    for start, (format, cure) in OTHERS.items():
        if head.startswith(start):
            raise InputInvalid(f"{path} is {format}, which is not read here: {cure}")
    raise InputInvalid(f"{path} is not a TIFF, PNG or JPEG (it begins with {head[:4]!r}): open it in Fiji and save it as TIFF.")


def _read_pillow(path: Path, *, indices: bool = False) -> Image:
    import PIL.Image

    try:
        with path.open("rb") as file, PIL.Image.open(file, formats=("PNG", "JPEG")) as image:
            file.seek(0)
            head = file.read(26)
            if head[1:4] == b"PNG" and head[24] == 16 and head[25] != 0:
                raise InputInvalid(f"{path} is a 16-bit colour PNG, which can only be read with 8 bits: save it as TIFF.")
            if getattr(image, "n_frames", 1) > 1:
                raise InputInvalid(f"{path} is an animation: save its frames as a TIFF stack.")
            if image.mode in PRINTED:
                raise InputInvalid(f"{path} has the colours of {PRINTED[image.mode]}, which are none of a microscope: save it as RGB.")
            if indices and image.mode == "P":
                return Image(array=np.asarray(image), axes="yx")
            return pillow_image(image)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputInvalid(f"{path} is damaged, cut off, or too large for PNG and JPEG ({error}): save it again, best as TIFF.") from error


def pillow_image(image: PIL.Image.Image) -> Image:
    """A PNG or JPEG as an Image: grey stays unchanged, palettes and colour become red, green, blue; alpha is dropped."""
    if image.mode == "LA":
        image = image.convert("L")
    if image.mode in ("1", "L") or image.mode.startswith(("I", "F")):
        return Image(array=np.asarray(image), axes="yx")
    array = np.asarray(image.convert("RGB"))
    return Image(array=np.moveaxis(array, -1, 0), axes="cyx", channels=RGB)


def _native(array: Array) -> Array:
    """The same values in this machine's byte order, but for those that lie in a file; bool as uint8 0 and 255, float16 as float32."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if is_mapped(array) and array.dtype != np.float16:
        return array
    return array.astype(np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("="), copy=False)


def demand_usable(array: Array, axes: str, source: str) -> None:
    """Raise InputInvalid for pixels that networks cannot use; ``source`` is what messages call the image."""
    if not array.size:
        raise InputInvalid(f"{source} has no pixels (shape {array.shape}): give at least one.")
    if array.dtype.kind not in "biuf":
        raise InputInvalid(f"{source} has {array.dtype} pixels: save it in Fiji as 8-bit, 16-bit or 32-bit TIFF.")
    if array.dtype.kind == "f" and not all(np.isfinite(array[block]).all() for block in blocks(array)):
        bad = ~np.isfinite(array)
        position = ", ".join(f"{axis} {i}" for axis, i in zip(axes, np.unravel_index(bad.argmax(), array.shape), strict=True))
        raise InputInvalid(
            f"{source} has {amount(int(bad.sum()), 'pixel')} of NaN or infinity, the first at {position}: "
            "replace them, in Fiji with Process > Noise > Remove NaNs, and save it, or in Python with numpy.nan_to_num."
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and any(np.abs(array[block]).max() > LARGEST for block in blocks(array)):
        raise InputInvalid(
            f"{source} has values beyond 3.4e38, which float32 does not hold: divide them, in Fiji with Process > Math > Divide."
        )
