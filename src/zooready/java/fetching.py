"""Fetches the engines: the only download of the package, from Maven Central, every file checked against its known hash."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zooready.errors import ConsumerMissing, InputInvalid, ZooreadyError
from zooready.java.child import work
from zooready.java.engines import PACKAGES, Installed, Manifest, folder, manifest, missing, sha256
from zooready.java.jars import ENGINES, PARTS, Jar, all_jars, class_path, platform_name

Progress = Callable[[str], None]
STALE_S = 86400.0  # what a killed installation left behind is removed after a day


def install(progress: Progress | None = None) -> Manifest:
    """Fetch the jars, let DJL unpack libtorch once, and write the manifest last.

    A second call returns at once and needs no network. Killed at any point, nothing looks complete, and the next call goes on
    with the jars that had arrived.

    Parameters
    ----------
    progress
        Told each step in one plain line.

    Raises
    ------
    ConsumerMissing
        A Python package is missing, nothing was published for this platform, a file cannot be fetched or is not the one that it should be.
    InputInvalid
        The cache folder cannot be written.
    """
    tell = progress or (lambda line: None)
    system = platform_name()
    found = manifest()
    if found is not None and not any(missing(engine) for engine in PARTS if class_path(engine, system)):
        return found
    _check_packages(system)
    root = _writable(folder())
    try:
        made = _installed(root, system, tell)
        made.save(root / "engines.json")
    except OSError as error:  # a full disk, most of all
        raise InputInvalid(f"cannot write to {root} ({error}): make room (0.8 GB), or set ZOOREADY_CACHE to another folder.") from None
    tell(f"{sum(file.size for file in made.files) >> 20} MiB in {root}")
    return made


def _installed(root: Path, system: str, tell: Progress) -> Manifest:
    """Everything in its place below ``root``; what was there and is whole stays."""
    jars = tuple(all_jars(system))
    with tempfile.TemporaryDirectory(prefix="partial-", dir=root, ignore_cleanup_errors=True) as name:
        for number, jar in enumerate(jars):
            if not _is_whole(root / "jars" / jar.name, jar):
                tell(f"fetching {jar.coordinate} ({number + 1} of {len(jars)})")
                _fetch(jar, Path(name), root / "jars" / jar.name)
        if class_path("pytorch", system) and not _is_unpacked(root, system):
            tell("unpacking libtorch")
            _unpack(Path(name), root / "djl")
    files = tuple(_recorded(root, path) for path in _files(root))
    return Manifest(platform=system, coordinates=tuple(jar.coordinate for jar in jars), files=files)


def _check_packages(system: str) -> None:
    import importlib.util

    absent = [pip for module, pip in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise ConsumerMissing(f"Python packages are missing ({', '.join(absent)}): pip install 'zooready[java]'.")
    if not any(class_path(engine, system) for engine in ENGINES):
        raise ConsumerMissing(f"no Java engine was ever published for {system}: use linux-x86_64, osx or win-x86_64.")


def _writable(root: Path) -> Path:
    """The folder with its subfolder for jars, made if needed, and without what killed installations left."""
    try:
        (root / "jars").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
        for left in root.glob("partial-*"):
            if time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise InputInvalid(f"cannot write to {root} ({error.strerror}): set ZOOREADY_CACHE to a folder that you can write to.") from None
    return root


def _is_whole(path: Path, jar: Jar) -> bool:
    return path.exists() and sha256(path) == jar.sha256


def _is_unpacked(root: Path, system: str) -> bool:
    """Whether an earlier installation unpacked this very libtorch, which running children may be using."""
    found = manifest()
    if found is None or any(jar.coordinate not in found.coordinates for jar in class_path("pytorch", system)):
        return False
    files = {root / file.path: file.size for file in found.files if file.path.startswith("djl/")}
    return bool(files) and all(path.is_file() and path.stat().st_size == size for path, size in files.items())


def _fetch(jar: Jar, staging: Path, target: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver
    from requests import RequestException

    group, artifact, version, *classifier = jar.coordinate.split(":")
    context = MavenContext(resolver=PythonResolver(lenient=True), repo_cache=staging / "maven", local_repos=[], timeout=60)
    try:
        component = context.project(group, artifact).at_version(version)
        fetched = component.artifact(classifier=classifier[0] if classifier else "", packaging="jar").resolve()
    except (RequestException, RuntimeError, OSError) as error:
        raise ConsumerMissing(
            f"cannot fetch {jar.coordinate} from Maven Central ({type(error).__name__}: {str(error)[:200]}): "
            f"connect to the network and repeat, or copy {target.parent.parent} from a machine of the same kind."
        ) from None
    actual = sha256(fetched)
    if actual != jar.sha256:
        raise ConsumerMissing(
            f"{jar.coordinate} arrived with SHA-256 {actual}, expected {jar.sha256}: it was not kept. "
            "Something between here and Maven Central changes or cuts files; repeat, or try another network."
        )
    fetched.replace(target)


def _unpack(staging: Path, target: Path) -> None:
    """Start DJL once with an empty cache; it unpacks libtorch there (458 MB on Linux), and the whole moves to ``target``."""
    place, cache = staging / "start", staging / "djl"
    place.mkdir()
    try:
        work(place, "pytorch", {"weights": None, "inputs": [], "repeats": 0}, djl=cache, limit_s=600.0, memory_mb=8192)
    except ZooreadyError as error:
        raise ConsumerMissing(f"the engines were fetched, but PyTorch in Java does not start: {error}") from None
    if target.exists():
        shutil.rmtree(target)
    cache.rename(target)


def _files(root: Path) -> list[Path]:
    return sorted(path for part in ("jars", "djl") for path in (root / part).rglob("*") if path.is_file())


def _recorded(root: Path, path: Path) -> Installed:
    return Installed(path=path.relative_to(root).as_posix(), size=path.stat().st_size, sha256=sha256(path))
