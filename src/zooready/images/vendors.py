"""Files as microscopes write them, each read by a package of the extra ``microscopes``.

``recording.nd2`` is the only image of a file; of several, ``recording.nd2/Position 3`` has that name, ``recording.nd2/3`` is the third.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.images.czi_files import opened_czi
from zooready.images.lif_files import opened_lif
from zooready.images.mapped import Lazily
from zooready.images.nd2_files import opened_nd2
from zooready.images.scenes import Scene, as_image, chosen
from zooready.records import Image

Opened = Callable[[Path], AbstractContextManager[list[Scene]]]
READERS: Mapping[bytes, tuple[str, str, Opened]] = {  # by the first bytes: what it is, what the reader needs, and the reader
    b"ZISRAWFI": ("a CZI file of Zeiss", "czifile of 2026 or newer, for Python 3.12 and newer,", opened_czi),
    b"\xda\xce\xbe\x0a": ("an ND2 file of Nikon", "nd2", opened_nd2),
    b"\x70\x00\x00\x00": ("a LIF file of Leica", "liffile", opened_lif),
}


def within(path: Path) -> tuple[Path, str]:
    """A file, and what a path names inside it; that is empty for the path of the file itself."""
    for parent in path.parents:
        if parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return path, ""


def stem(path: Path) -> str:
    """What names of results begin with: the file's name without its ending, and then the name of the image inside it.

    The ``.ome`` of OME-TIFF and OME-Zarr belongs to the ending: results get one of their own, where they are of such a kind.

    >>> stem(Path("a.b.ome.tif")), stem(Path("a.OME.TIFF")), stem(Path(".ome.tif"))
    ('a.b', 'a', '.ome')
    """
    file, inside = within(path)
    name = re.sub(r"(?<=.)\.ome$", "", file.stem, flags=re.IGNORECASE)
    return "_".join((name, *inside.split("/"))) if inside else name


def reader_of(head: bytes) -> tuple[str, str, Opened] | None:
    """What a file with these first bytes is, what reading it needs, and its reader; None if it is none of a microscope."""
    return next((entry for start, entry in READERS.items() if head.startswith(start)), None)


def read_microscope(path: Path, inside: str, cure: str, *, lazily: Lazily) -> Image:
    """Read one image of a microscope's file, with its axes, channels, calibration and blur as far as the file states them.

    Parameters
    ----------
    inside
        Name or number of the image, of a file with several.
    cure
        What to do without the package.
    lazily
        Put the pixels of a large image into a file for temporary use, in this folder if it is one.

    Raises
    ------
    InputInvalid
        The package is missing, the file is damaged, none or several of its images are meant, or the image is none of t, z, c, y and x.
    """
    with path.open("rb") as file:
        entry = reader_of(file.read(max(map(len, READERS))))
    assert entry is not None
    what, needed, opened = entry
    with _explained(path, what, needed, cure), opened(path) as scenes:
        return as_image(chosen(scenes, inside, path), path, lazily=lazily)


@contextmanager
def _explained(path: Path, what: str, needed: str, cure: str) -> Iterator[None]:
    """Turn whatever a package raises within the block into InputInvalid."""
    try:
        yield
    except InputInvalid:
        raise
    except ImportError:
        raise InputInvalid(
            f"{path} is {what}, and the package {needed} is not here: pip install 'zooready[microscopes]'. Or {cure}"
        ) from None
    except MemoryError:
        raise InputInvalid(f"{path} does not fit into memory: cut it into smaller images, or use a machine with more memory.") from None
    except Exception as error:  # damaged files raise nearly anything: struct.error, ValueError, KeyError, errors of every codec
        raise InputInvalid(f"{path} is damaged or cut off ({type(error).__name__}: {error}): copy or save it again.") from error
