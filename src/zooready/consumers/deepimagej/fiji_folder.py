"""What DeepImageJ needs below a Fiji folder, and what of it is there; starts nothing."""

from __future__ import annotations

import re
from pathlib import Path

PARTS = {  # what DeepImageJ needs below a Fiji folder, by pattern: how to get it
    "jars": "this is no Fiji folder",
    "plugins": "this is no Fiji folder",
    "models": "made by DeepImageJ's first start",
    "jars/ij-1.*.jar": "Help > Update",
    "jars/ij1-patcher-*.jar": "Help > Update",
    "jars/javassist-*.jar": "Help > Update",
    "jars/imglib2-[0-9]*.jar": "Help > Update",
    "jars/dl-modelrunner-*.jar": "Help > Update > Manage Update Sites > DeepImageJ",
    "plugins/*[Dd]eep[Ii]mage[Jj]*.jar": "Help > Update > Manage Update Sites > DeepImageJ",
    "engines/pytorch-2.0.0-*": "DeepImageJ's first run of a bundle fetches it",
}
PROGRAMS = ("jars/ij-1.*.jar", "jars/dl-modelrunner-*.jar", "plugins/*[Dd]eep[Ii]mage[Jj]*.jar")  # whose versions a verdict names
ENGINE = (  # of JDLL 0.6.1's list; it does not see an engine that lacks one of them, or has it by another name
    *("pytorch-jni-2.0.0-0.22.1.jar", "pytorch-engine-0.22.1.jar", "api-0.22.1.jar", "dl-modelrunner-pytorch-*.jar"),
    *("jna-5.13.0.jar", "commons-compress-1.22.jar", "slf4j-api-2.0.6.jar"),
)


def missing(named: str) -> str | None:
    """What a Fiji with DeepImageJ lacks, by the names of jars and folders, with the cure; None if it is whole.

    Parameters
    ----------
    named
        The folder that ``ZOOREADY_FIJI`` names; empty if it is not set.
    """
    if not named:
        return "install Fiji (fiji.sc) with its update site DeepImageJ, and set ZOOREADY_FIJI to its folder; until then rules are checked."
    home = Path(named).expanduser()
    if not home.is_dir():
        return f"ZOOREADY_FIJI is {named}, which is no folder: set it to Fiji's own."
    absent = [f"{_shown(part)} ({how})" for part, how in PARTS.items() if not any(_is_whole(path) for path in home.glob(part))]
    absent += _engine_faults(home)
    return f"{home} lacks {'; '.join(absent)}." if absent else None


def _shown(pattern: str) -> str:
    """A pattern as people read it."""
    return pattern.replace("[Dd]eep[Ii]mage[Jj]", "DeepImageJ").replace("[0-9]*", "*")


def _is_whole(path: Path) -> bool:
    """Whether a folder is there, or a jar that is not an empty download."""
    return path.is_dir() or path.stat().st_size > 0


def versions(home: Path) -> dict[str, str]:
    """Versions of ImageJ, JDLL and DeepImageJ below a Fiji folder, by the names of their jars."""
    jars = [jar for pattern in PROGRAMS for jar in sorted(home.glob(pattern))[:1]]
    matches = [re.match(r"(.+?)_?-(\d[\w.]*)\.jar$", jar.name) for jar in jars]
    return {match[1]: match[2] for match in matches if match}


def _engine_faults(home: Path) -> list[str]:
    """Jars that the PyTorch engines below a Fiji lack; nothing if one of the engines is whole."""
    faults = []
    for engine in sorted(home.glob("engines/pytorch-2.0.0-*")):
        absent = [name for name in ENGINE if not any(_is_whole(path) for path in engine.glob(name))]
        if not absent:
            return []
        faults.append(f"{', '.join(absent)} in engines/{engine.name} (delete that folder, and DeepImageJ fetches the engine again)")
    return faults
