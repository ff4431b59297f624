"""The jar files of each engine and their hashes, as Maven Central serves them, for four platforms."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Engine = Literal["pytorch", "pytorch-2.7.1", "onnx-1.12.1", "onnx-1.13.1"]
Part = Literal[Engine, "imagej"]
ENGINES: tuple[Engine, ...] = ("pytorch", "onnx-1.12.1", "onnx-1.13.1")
PARTS: tuple[Part, ...] = (*ENGINES, "imagej")  # "imagej" runs macros without a screen
EXTRA: tuple[Engine, ...] = ("pytorch-2.7.1",)  # engines of programs other than Fiji, which are installed only when asked for


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One file of Maven Central: ``group:artifact:version[:classifier]`` and the SHA-256 of its bytes (hexadecimal)."""

    coordinate: str
    sha256: str

    @property
    def name(self) -> str:
        """File name in Maven's form."""
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"


IMAGEJ = Jar(coordinate="net.imagej:ij:1.54p", sha256="2e1a09961dfb41cee66ddc821b2577a41a072566ce45a49bae69267099741e20")
HEADLESS = (  # lets macros run without a screen: the patcher and the two libraries that it needs
    Jar(coordinate="net.imagej:ij1-patcher:2.0.0", sha256="b68810263f9521ddb34bac272816613ebb71607775c1fc337079a0476c2b581a"),
    Jar(coordinate="org.javassist:javassist:3.30.2-GA", sha256="eba37290994b5e4868f3af98ff113f6244a6b099385d9ad46881307d3cb01aaf"),
    Jar(coordinate="io.github.classgraph:classgraph:4.8.162", sha256="ea30b2d5e29e89d52706bcecf7a6ae3b44682d4a1566a5f22b9453f9be2a970c"),
)
BESIDE_DJL = (
    Jar(coordinate="com.google.code.gson:gson:2.10.1", sha256="4241c14a7727c34feea6507ec801318a3d4a90f070e4525681079fb94ee4c593"),
    Jar(coordinate="net.java.dev.jna:jna:5.13.0", sha256="66d4f819a062a51a1d5627bffc23fac55d1677f0e0a1feba144aabdd670a64bb"),
    Jar(coordinate="org.apache.commons:commons-compress:1.22", sha256="53d04a0efc7223baecaa303bd5d298eb0600e6b82b4076f9cecd558b97ba760b"),
    Jar(coordinate="org.slf4j:slf4j-api:1.7.36", sha256="d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0"),
    Jar(coordinate="org.slf4j:slf4j-simple:1.7.36", sha256="2f39bed943d624dfa8f4102d0571283a10870b6aa36f197a8a506f147010c10f"),
)


@dataclass(frozen=True, kw_only=True)
class PyTorch:
    """A version of libtorch in a version of DJL: SHA-256 of DJL's three jars (api, engine, jni), and of libtorch by platform."""

    libtorch: str
    djl: str
    jars: tuple[str, str, str]
    native: Mapping[str, str]

    def class_path(self, system: str) -> tuple[Jar, ...]:
        """All its jars; none if it was never published for the system."""
        if system not in self.native:
            return ()
        engine, jni = f"ai.djl.pytorch:pytorch-engine:{self.djl}", f"ai.djl.pytorch:pytorch-jni:{self.libtorch}-{self.djl}"
        names = (f"ai.djl:api:{self.djl}", engine, jni)
        own = (Jar(coordinate=name, sha256=digest) for name, digest in zip(names, self.jars, strict=True))
        native = Jar(coordinate=f"ai.djl.pytorch:pytorch-native-cpu:{self.libtorch}:{system}", sha256=self.native[system])
        return (IMAGEJ, *own, *BESIDE_DJL, native)


PYTORCH: Mapping[Engine, PyTorch] = {  # another version is another entry here and in Engine
    "pytorch": PyTorch(
        libtorch="2.0.0",
        djl="0.22.1",
        jars=(
            "1aa9e0719fa134e5690796c705c35a01641f12925c22725756c7eb7f35cb84eb",
            "ffd646505386188ac085ef07ab24cd24da817fd760ed306b885a9dbce515e627",
            "ccebb78ddeedb9a4b136164caf8bac2d61d0875f40708114b15c0457b1aa57c6",
        ),
        native={
            "linux-x86_64": "361c62344808fb852e768aef35660248297735f882217b271caa02b35020c502",
            "osx-x86_64": "bfb435a0e35fe9e5bb4d7dcf20de1e48cbc42f94329fba5ec3a6ad8a02dfa00d",
            "osx-aarch64": "5d986c6872872b798838e477569d063519c58210563187a76974bbe8deae6995",
            "win-x86_64": "0f3bdc79ca6fde2766842ef9426282cc7e53651e0187309b08961d0c7d417e7f",
        },
    ),
    "pytorch-2.7.1": PyTorch(
        libtorch="2.7.1",
        djl="0.36.0",
        jars=(
            "3d720dad798114f824a9efa32de4cc15e7bebf0e8f2a0cc68fde101d490d0c0a",
            "e572e2d22db54093d7aa8339d45547088444748e7cb60d74a4a2b60b732a8b7b",
            "c1808aaf5109505923bd2a813d7ad1020a0c028f023f08ff5572c1cf42322dc3",
        ),
        native={
            "linux-x86_64": "1769928feaaa2389b4aa68390e7787ce1707290258b167d016a200fced4b8c39",
            "osx-aarch64": "e1ca6c377750d31a2a791d9d2dac9efb09e39181faf84338ef0e140214979ff2",
            "win-x86_64": "f70603e9b03cf7df1690c2b1f8edd99fcfdc4e38d639db1d3604ce22b13a38df",
        },
    ),
}
ONNXRUNTIME = {
    "1.12.1": "ab7b2c0afd21c3696adc21a6379af1ace4e0dd0a7950995315cc7e305200beef",
    "1.13.1": "7a9e11f47fa7b7d188c087b25d796a2e7eeb4bde814068e2d613c6d9970d457a",
}
SYSTEMS = {"linux": "linux", "darwin": "osx", "win32": "win"}
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}


def platform_name() -> str:
    """Name of this machine in the form of Maven classifiers, e.g. ``"linux-x86_64"``."""
    machine = platform.machine().lower()
    return f"{SYSTEMS.get(sys.platform, sys.platform)}-{MACHINES.get(machine, machine)}"


def class_path(part: Part, system: str) -> tuple[Jar, ...]:
    """The jars of one engine, or of ImageJ for macros, on one system; empty if the engine was never published for it."""
    if part == "imagej":
        return (IMAGEJ, *HEADLESS)
    if part in PYTORCH:
        return PYTORCH[part].class_path(system)
    if system not in PYTORCH["pytorch"].native and system != "linux-aarch64":  # ONNX Runtime's jars carry these five
        return ()
    version = part.removeprefix("onnx-")
    return (IMAGEJ, Jar(coordinate=f"com.microsoft.onnxruntime:onnxruntime:{version}", sha256=ONNXRUNTIME[version]))


def all_jars(system: str, parts: Iterable[Part] = PARTS) -> Iterator[Jar]:
    """Every jar that some of the parts need on ``system``, once each."""
    yield from dict.fromkeys(jar for part in parts for jar in class_path(part, system))


def unpacked(part: Part) -> str:
    """Name of the folder below the engines' into which DJL unpacks its libtorch; empty for what unpacks nothing."""
    return "" if part not in PYTORCH else "djl" if part == "pytorch" else f"djl-{part}"
