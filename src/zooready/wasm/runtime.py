"""What a page needs to run a network and to read images in a browser: three npm packages, fetched into the cache by their hashes.

<cache>/browser/<file>        the files that travel in every page, each written whole
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zooready.errors import ConsumerMissing, InputInvalid
from zooready.java import engines
from zooready.processes import scratch

SECONDS = 600.0
CURE = "run `zooready engines install --browser`."


@dataclass(frozen=True, kw_only=True)
class Package:
    """One npm package: the SHA-256 of its archive (hexadecimal), the files taken from it, and its licence in a line."""

    name: str
    version: str
    sha256: str
    files: Mapping[str, str]  # path in the archive -> name in the cache
    license: str

    @property
    def archive(self) -> str:
        """File name of its archive."""
        return f"{self.name}-{self.version}.tgz"


PACKAGES = (
    Package(
        name="onnxruntime-web",
        version="1.30.0",
        sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
        files={
            "package/dist/ort.wasm.min.js": "ort.js",
            "package/dist/ort-wasm-simd-threaded.mjs": "ort.mjs",
            "package/dist/ort-wasm-simd-threaded.wasm": "ort.wasm",
        },
        license="MIT, Copyright (c) Microsoft Corporation",
    ),
    Package(
        name="utif2",
        version="4.1.0",
        sha256="4156ccd1164f1418af3632b40f0e7992d47a9a622956e85b00b8c605065e8e35",
        files={"package/UTIF.js": "utif.js"},
        license="MIT, Copyright (c) Photopea",
    ),
    Package(
        name="pako",
        version="2.1.0",
        sha256="49fedc8866b4abfc8e71dc7fe75ad4ef1ff1ac9601b0642cff88ee5bf2338709",
        files={"package/dist/pako_inflate.min.js": "pako.js"},
        license="MIT and Zlib, Copyright (c) Vitaly Puzrin, Andrei Tuputcyn, Jean-loup Gailly and Mark Adler",
    ),
)
Progress = Callable[[str], None]


def folder() -> Path:
    """Where the files lie, beside Java's engines; it may not exist yet."""
    return engines.folder().parent / "browser"


def missing() -> str | None:
    """Why no page can be made here, with the cure; None if all files are there."""
    try:
        root = folder()
    except InputInvalid as error:
        return str(error)
    absent = [name for package in PACKAGES for name in package.files.values() if not (root / name).is_file()]
    return f"What a page needs in a browser is not in {root} ({', '.join(absent)}): {CURE}" if absent else None


def install(progress: Progress) -> None:
    """Fetch what is missing, by npm.

    Raises
    ------
    ConsumerMissing
        There is no npm, a package cannot be fetched, or it is not the one whose hash is known.
    InputInvalid
        The cache cannot be written.
    """
    for package in PACKAGES:
        if all((folder() / name).is_file() for name in package.files.values()):
            continue
        progress(f"fetching {package.name} {package.version}")
        with scratch() as below:
            archive = _fetched(package, below)
            try:
                folder().mkdir(parents=True, exist_ok=True)
                _unpack(package, archive)
            except OSError as error:
                raise InputInvalid(
                    f"cannot write to {folder()} ({error.strerror}): set ZOOREADY_CACHE to a folder that you can write to."
                ) from None


def versions() -> dict[str, str]:
    """Version of each package, by name."""
    return {package.name: package.version for package in PACKAGES}


def _fetched(package: Package, below: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ConsumerMissing(f"npm is not here, which fetches {package.name}: install Node.js, and repeat.")
    command = [npm, "pack", "--silent", f"{package.name}@{package.version}"]
    try:
        done = subprocess.run(command, cwd=below, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConsumerMissing(f"npm could not fetch {package.name} ({error}): connect to the network, and repeat.") from None
    archive = below / package.archive
    if done.returncode or not archive.is_file():
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConsumerMissing(f"npm could not fetch {package.name} {package.version} ({last[:200]}): connect to the network, and repeat.")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise ConsumerMissing(
            f"{package.archive} arrived with SHA-256 {digest}, expected {package.sha256}: it was not kept. Repeat, or try another network."
        )
    return archive


def _unpack(package: Package, archive: Path) -> None:
    with tarfile.open(archive) as contents:
        for path, name in package.files.items():
            stream = contents.extractfile(path)
            if stream is None:
                raise ConsumerMissing(f"{package.archive} holds no {path}: report it to zooready.")
            partial = folder() / f"{name}.partial"
            partial.write_bytes(stream.read())
            partial.replace(folder() / name)
