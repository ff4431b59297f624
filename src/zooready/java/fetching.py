"""Downloads the engines from Maven Central and checks every file against its known hash; the package downloads nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zooready.errors import ConsumerMissing, InputInvalid, ZooreadyError
from zooready.java.child import work
from zooready.java.engines import PACKAGES, Installed, Manifest, extras, folder, manifest, missing, sha256
from zooready.java.jars import ENGINES, EXTRA, PARTS, PYTORCH, Engine, Jar, Part, all_jars, class_path, platform_name, unpacked

Progress = Callable[[str], None]
STALE_S = 86400.0  # temporary folders of killed installations are removed after a day


def install(progress: Progress | None = None, *, extra: bool = False) -> Manifest:
    """Download the jars, let DJL unpack libtorch once, and write the manifest last.

    A second call returns at once and needs no network. If the process is killed, the installation does not look complete, and the next
    call keeps the jars that were downloaded.

    Parameters
    ----------
    progress
        Called with one line of text for each step.
    extra
        Also fetch the engines of programs other than Fiji; those that are here already stay.

    Raises
    ------
    ConsumerMissing
        A Python package is missing, nothing was published for this platform, a file cannot be downloaded or has another hash.
    InputInvalid
        The cache folder cannot be written.
    """
    report = progress or (lambda line: None)
    system = platform_name()
    previous = manifest()
    parts = tuple(part for part in (*PARTS, *(EXTRA if extra else extras(previous))) if class_path(part, system))
    if previous is not None and not any(map(missing, parts)):
        return previous
    _check_packages(system)
    root = _writable(folder())
    try:
        current = _installed(root, system, parts, report)
        current.save(root / "engines.json")
    except OSError as error:  # a full disk, most of all
        raise InputInvalid(f"cannot write to {root} ({error}): make room (0.8 GB), or set ZOOREADY_CACHE to another folder.") from None
    report(f"{sum(file.size for file in current.files) >> 20} MiB in {root}")
    return current


def _installed(root: Path, system: str, parts: tuple[Part, ...], report: Progress) -> Manifest:
    """Download and unpack everything below ``root``; complete files that are already there are kept."""
    jars = tuple(all_jars(system, parts))
    with tempfile.TemporaryDirectory(prefix="partial-", dir=root, ignore_cleanup_errors=True) as name:
        for number, jar in enumerate(jars):
            if not _is_whole(root / "jars" / jar.name, jar):
                report(f"fetching {jar.coordinate} ({number + 1} of {len(jars)})")
                _fetch(jar, Path(name), root / "jars" / jar.name)
        for engine in (known for known in PYTORCH if known in parts and not _is_unpacked(root, system, known)):
            report(f"unpacking libtorch {PYTORCH[engine].libtorch}")
            _unpack(engine, Path(name) / engine, root / unpacked(engine))
    files = tuple(_recorded(root, path) for path in _files(root))
    return Manifest(platform=system, coordinates=tuple(jar.coordinate for jar in jars), files=files)


def _check_packages(system: str) -> None:
    absent = [pip for module, pip in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise ConsumerMissing(f"Python packages are missing ({', '.join(absent)}): pip install 'zooready[java]'.")
    if not any(class_path(engine, system) for engine in ENGINES):
        raise ConsumerMissing(f"no Java engine was ever published for {system}: use linux-x86_64, osx or win-x86_64.")


def _writable(root: Path) -> Path:
    """The folder with its subfolder for jars, created if needed, without temporary folders of killed installations."""
    try:
        (root / "jars").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
        for leftover in root.glob("partial-*"):
            if time.time() - leftover.stat().st_mtime > STALE_S:
                shutil.rmtree(leftover, ignore_errors=True)
    except OSError as error:
        raise InputInvalid(f"cannot write to {root} ({error.strerror}): set ZOOREADY_CACHE to a folder that you can write to.") from None
    return root


def _is_whole(path: Path, jar: Jar) -> bool:
    return path.exists() and sha256(path) == jar.sha256


def _is_unpacked(root: Path, system: str, engine: Part) -> bool:
    """Whether an earlier installation unpacked this version of libtorch, which running child processes may be using."""
    installed = manifest()
    if installed is None or any(jar.coordinate not in installed.coordinates for jar in class_path(engine, system)):
        return False
    files = {root / file.path: file.size for file in installed.files if file.path.startswith(f"{unpacked(engine)}/")}
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


def _unpack(engine: Engine, staging: Path, target: Path) -> None:
    """Start DJL once with an empty cache, where it unpacks libtorch (458 MB on Linux), and move that cache to ``target``."""
    job_folder, cache = staging / "start", staging / "djl"
    job_folder.mkdir(parents=True)
    try:
        work(job_folder, engine, {"weights": None, "inputs": [], "repeats": 0}, djl=cache, limit_s=600.0, memory_mb=8192)
    except ZooreadyError as error:
        raise ConsumerMissing(f"the engines were fetched, but PyTorch in Java does not start: {error}") from None
    if target.exists():
        shutil.rmtree(target)
    cache.rename(target)


def _files(root: Path) -> list[Path]:
    folders = ("jars", *(unpacked(engine) for engine in PYTORCH))
    return sorted(path for part in folders for path in (root / part).rglob("*") if path.is_file())


def _recorded(root: Path, path: Path) -> Installed:
    return Installed(path=path.relative_to(root).as_posix(), size=path.stat().st_size, sha256=sha256(path))
