"""A stranger's zip or folder becomes a folder of plain files, or is refused before anything in it is used."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from zooready.errors import BundleInvalid
from zooready.processes import OutOfTime, on_time

MEMBERS = 2_000
BYTES = 8 * 2**30  # of all files together, unpacked
RATIO = 200  # unpacked / packed, for members that have more than SMALL together; a black image legitimately reaches 1000
SMALL = 64 * 2**20
DEPTH = 50  # folders of a name
CHUNK = 2**20
WEIGHTS = (".ckpt", ".h5", ".keras", ".onnx", ".pb", ".pt", ".pth", ".safetensors")  # files of networks, not of bundles
IS_WINDOWS = os.name == "nt"
# Devices, whatever their ending; signs that names there cannot have; points and blanks at the end, which get lost.
UNWRITABLE = re.compile(r'^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])[ ]*(\.|$)|[<>"|?*\x00-\x1f]|[. ]$', re.IGNORECASE)


def unpack(path: Path, folder: Path) -> None:
    """Copy every file of a bundle below ``folder``, which exists and is empty.

    Parameters
    ----------
    path
        A zip, or a folder that holds the same files.
    folder
        Target. On an error it may hold a part of the files: the caller removes it.

    Raises
    ------
    BundleInvalid
        Not there, not a zip, cut off, damaged, encrypted, too large, or with names or links that lead out of the folder.
    """
    if path.is_dir():
        _copy_folder(path, folder)
        return
    if path.exists() and not path.is_file():  # nobody may write to it, so that reading never ends
        raise BundleInvalid(f"{path} is a pipe or a device, not a file: write the bundle to a file first.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, [(member.filename, member.file_size, member.compress_size) for member in archive.infolist()])
            members = list(_members(path, archive))
            for info, name in members:
                _extract(archive, info, folder / name)
    except FileNotFoundError:
        raise BundleInvalid(f"no bundle {path}: there is no such file. Check the name and the folder.") from None
    except OSError as error:
        raise BundleInvalid(
            f"cannot unpack {path}: {error.strerror or error}. Check that you may read it and that the disk has space."
        ) from None
    except (BundleInvalid, OutOfTime):
        raise
    except Exception as error:  # zipfile raises nearly anything: LZMAError, UnicodeDecodeError of a name, IndexError of an empty one
        if _start(path) not in (b"", b"PK"):
            raise BundleInvalid(f"{path} is no zip, and a bundle is one, or a folder, with an rdf.yaml: {instead(path)}.") from None
        raise BundleInvalid(f"{path} is not a readable zip ({error}): it is cut off or damaged. Download or export it again.") from None


def instead(path: Path) -> str:
    """What to give in the place of a file that is no bundle, without a full stop.

    >>> instead(Path("rdf.yaml"))
    'give the folder that it lies in'
    """
    if path.suffix.lower() in WEIGHTS:
        return "weights alone do not say what goes in and comes out, so give the bundle that they belong to, or export the network"
    if path.suffix.lower() in (".yaml", ".yml"):
        return "give the folder that it lies in"
    return "give the file that was downloaded or exported as a bundle"


def _start(path: Path) -> bytes:
    """The first two bytes."""
    with path.open("rb") as file:
        return file.read(2)


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Each file with its safe relative name; directories are left out."""
    seen = set()
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BundleInvalid(
                f"{path} holds {info.filename!r}, which is a link or a device: a bundle holds plain files. Package it again."
            )
        if info.flag_bits & 1:
            raise BundleInvalid(f"{path} holds {info.filename!r}, which is encrypted: package it again without a password.")
        if info.is_dir():
            continue
        name = safe_name(info.filename, path)
        if _one_file(name) in seen:
            raise BundleInvalid(f"{path} holds {name!r} twice: readers would disagree on which one counts. Package it again.")
        seen.add(_one_file(name))
        yield info, name
    folders = {"/".join(parts[:n]) for parts in (one.split("/") for one in seen) for n in range(1, len(parts))}
    if both := sorted(seen & folders):
        raise BundleInvalid(f"{path} holds {both[0]!r} as a file and as a folder, and no disk holds both. Package it again.")


def _one_file(name: str) -> str:
    """The same text for names that some system takes as one file: case, composed letters, points and blanks at an end do not count."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return "/".join(part.rstrip(". ") or part for part in folded.split("/"))


def safe_name(name: str, path: Path) -> str:
    """The relative name in normal form.

    Raises
    ------
    BundleInvalid
        The name is absolute, too deep, climbs with ``..``, or is none that every system can write.
    """
    pure = PurePosixPath(name)
    if len(pure.parts) > DEPTH:
        raise BundleInvalid(f"{path} names a file {len(pure.parts)} folders deep, and at most {DEPTH} are made. Package it again, flatter.")
    if not name or pure.is_absolute() or ".." in pure.parts or any(mark in name for mark in "\\:\0\n") or not pure.parts:
        raise BundleInvalid(
            f"{path} names {name!r}, which leads out of the bundle: names inside are relative, without '..'. Package it again."
        )
    if IS_WINDOWS and any(UNWRITABLE.search(part) for part in pure.parts):
        raise BundleInvalid(f"{path} names {name!r}, which Windows cannot write: rename that file in the bundle, on another system.")
    return str(pure)


def _check_sizes(path: Path, sizes: list[tuple[str, int, int]]) -> None:
    """Refuse what would fill the disk: ``sizes`` are (name, bytes unpacked, bytes packed)."""
    if len(sizes) > MEMBERS:
        raise BundleInvalid(
            f"{path} holds {len(sizes)} files, and at most {MEMBERS} are unpacked. Leave out what the network does not need."
        )
    total = sum(size for _, size, _ in sizes)
    if total > BYTES:
        raise BundleInvalid(
            f"{path} unpacks to {total / 2**30:.1f} GiB, and at most {BYTES / 2**30:.0f} GiB are unpacked. Make it smaller."
        )
    swollen = sorted((size, packed, name) for name, size, packed in sizes if size > RATIO * packed)
    if sum(size for size, _, _ in swollen) > SMALL:
        size, packed, name = swollen[-1]
        raise BundleInvalid(
            f"{path} holds {name!r}, which unpacks to {size / max(packed, 1):.0f} times its size (limit {RATIO}): "
            f"this is how zip bombs look ({len(swollen)} such files). Package it again without compression."
        )


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """One member to disk; zipfile compares its CRC at the end and never gives more than the size it declares."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("xb") as file:
        _copy(source, file)
    if target.stat().st_size != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename} has {target.stat().st_size} bytes instead of {info.file_size}")


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(CHUNK):
        on_time()
        target.write(chunk)


def _copy_folder(path: Path, folder: Path) -> None:
    """The files of a folder, none of them links."""
    files = []
    for root, directories, names in os.walk(path):
        for name in (*directories, *names):
            file = Path(root, name)
            if file.is_symlink() or not (file.is_file() or file.is_dir()):
                raise BundleInvalid(
                    f"{path} holds {file.relative_to(path)}, which is a link or a device: copy the file itself into the folder."
                )
            files += [file] if file.is_file() else []
        if len(files) > MEMBERS:
            break
    _check_sizes(path, [(str(file.relative_to(path)), file.stat().st_size, file.stat().st_size) for file in files])
    try:
        for file in files:
            target = folder / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as source, target.open("wb") as copy:
                _copy(source, copy)
    except OSError as error:
        raise BundleInvalid(
            f"cannot copy {path}: {error.strerror or error}. Check that you may read it and that the disk has space."
        ) from None
