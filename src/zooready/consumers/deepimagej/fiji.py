"""A Fiji folder: what is in it, a bundle placed among its models with its macros, and a child in which macros run without a screen."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from string import Template

from zooready import java
from zooready.consumers import export_files
from zooready.consumers.deepimagej import fiji_folder
from zooready.errors import ConsumerFailed
from zooready.java import child, engines
from zooready.records import Bundle
from zooready.tensors import Axis

VARIABLE = "ZOOREADY_FIJI"
RUNNER = "run_bundle.ijm"  # filled in for each bundle; the others go with it as they are
EXCEPTION = re.compile(r"(Exception in thread .*)?\s*([a-z_]\w*\.)+\w*(Exception|Error)\b")  # the first line of Java's report
MACROS = ("check_pixel_size.ijm", "labels_to_rois.ijm", "scores_to_table.ijm")


def home() -> Path:
    """The folder that ZOOREADY_FIJI names."""
    return Path(os.environ.get(VARIABLE, "")).expanduser().absolute()


def missing() -> str | None:
    """What Fiji with DeepImageJ lacks here, with the cure; None if it can run."""
    if lacking := fiji_folder.missing(os.environ.get(VARIABLE, "")):
        return lacking
    absent = [pip for module, pip in engines.PACKAGES.items() if module != "jgo" and find_spec(module) is None]
    return f"Python packages are missing ({', '.join(absent)}): pip install 'zooready[java]'." if absent else None


def versions() -> dict[str, str]:
    """ImageJ, JDLL and DeepImageJ, by the names of their jars."""
    return fiji_folder.versions(home())


def class_path(folder: Path) -> list[str]:
    """Every jar of a Fiji folder."""
    return [str(jar) for part in ("jars", "plugins") for jar in sorted((folder / part).rglob("*.jar"))]


def djl() -> Path:
    """Where DJL finds libtorch unpacked: our own engines, the same version, else the user's cache, as in Fiji."""
    return engines.folder() / "djl" if java.missing("pytorch") is None else Path.home() / ".djl.ai"


def placed(bundle: Bundle, folder: Path, name: str) -> Path:
    """Copy an opened bundle to ``folder``, with the macros of ``export/fiji`` beside it.

    Returns
    -------
    Path
        The macro ``<name>.ijm`` that runs it.

    Raises
    ------
    ConsumerMissing
        The macros are not where zooready brings them.
    """
    source = macros()
    shutil.copytree(bundle.folder, folder)
    for macro in MACROS:
        shutil.copyfile(source / macro, folder / macro)
    filled = Template((source / RUNNER).read_text(encoding="utf-8")).substitute(facts(bundle, name))
    (folder / f"{name}.ijm").write_text(filled, encoding="utf-8")
    return folder / f"{name}.ijm"


def macros() -> Path:
    """The folder of the macros: inside the installed package, else in the checkout.

    Raises
    ------
    ConsumerMissing
        It is in neither.
    """
    return export_files.folder("fiji", (RUNNER, *MACROS))


def facts(bundle: Bundle, name: str) -> dict[str, str]:
    """What the macro says of a bundle, in words that cannot be more than words of a macro."""
    (image,), distance = bundle.inputs, bundle.plane_distance_um or 0
    low, high = bundle.pixel_size_um or (0, 0)
    blur, takes_z = bundle.blur, "z" in image.axes
    compared = takes_z and distance > 0
    depth = next((axis for axis in image.details if axis.letter == "z"), Axis(letter="z"))
    return {
        "id": word(name),
        "name": word(bundle.name or name),
        "sample": word(image.sample) if image.sample.endswith((".tif", ".tiff")) else "",
        "outputs": _listed([output.name for output in bundle.outputs]),
        "kinds": _listed([output.kind for output in bundle.outputs]),
        "names": _listed([",".join(channel.replace(",", " ") for channel in output.channels) for output in bundle.outputs]),
        "channels": str(bundle.cases[0].input.shape[image.axes.index("c")] if "c" in image.axes else 1),
        "taken": _listed(image.channels),
        "z": str(takes_z).lower(),
        "t": str("t" in image.axes).lower(),
        "planes": f"{depth.size}, 0" if depth.size else f"{depth.minimum or 1}, {depth.step or 1}",
        "range": "|".join(f"{length:g}" for length in ((low, high, distance) if compared else (low, high))) if high or compared else "",
        "limits": ", ".join(
            f'{image.channels.index(channel) + 1}, "{word(channel)}", {smallest:g}, {largest:g}'
            for channel, (smallest, largest) in bundle.limits.items()
            if channel in image.channels
        ),
        "diameters": "|".join(f"{width:g}" for width in bundle.objects.diameter_px) if bundle.objects else "",
        "blur": "|".join(f"{side:g}" for pair in (blur.trained_px, blur.sharp_px, blur.wide_px) for side in pair) if blur else "",
        "finer": str(bundle.restores).lower(),
        "stacks": str(not takes_z and any("z" in output.axes for output in bundle.outputs)).lower(),
        "made": f"{0 if takes_z else distance:g}",
    }


def word(text: str) -> str:
    """A stranger's text without what ends a string of ImageJ's macro language."""
    return re.sub(r"[^A-Za-z0-9_ .,()+-]", "_", text)


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f'"{word(text)}"' for text in texts)


def run_macro(macro: Path, arguments: Sequence[str], folder: Path, *, limit_s: float, memory_mb: int) -> list[str]:
    """Run a macro once for each argument, in one JVM with all jars of the Fiji that ZOOREADY_FIJI names.

    Parameters
    ----------
    macro
        An ``.ijm`` file.
    arguments
        What ``getArgument()`` gives.
    folder
        Working folder of the child, in which DeepImageJ looks for ``engines``; its log is left there.
    limit_s, memory_mb
        Seconds and MiB of resident memory for all of it, the engine's own process included.

    Returns
    -------
    list of str
        What each run returned; ``"[aborted]"`` or ``"None"`` after an error.

    Raises
    ------
    ConsumerFailed
        The JVM crashed, hung, or took too much memory; the message has its last lines.
    """
    fiji = home()
    (folder / "engines").unlink(missing_ok=True)
    try:
        (folder / "engines").symlink_to(fiji / "engines", target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(fiji / "engines", folder / "engines")
    options = [f"-Dplugins.dir={fiji}", f"-Dij1.plugin.dirs={fiji / 'plugins'}", f"-Duser.home={folder}"]
    return in_imagej(macro, arguments, folder, class_path(fiji), options, limit_s=limit_s, memory_mb=memory_mb)


def complaint(log: str) -> str:
    r"""What a log of ImageJ says went wrong: the first exception with its root, or the macro's error; else the log's last lines.

    >>> complaint("started\njava.lang.RuntimeException: no\n\tat ij.Macro.run\nCaused by: java.io.IOException: disk full\n\tat x")
    ' It said: java.lang.RuntimeException: no, caused by java.io.IOException: disk full'
    """
    lines = log.splitlines()
    first = next((n for n, line in enumerate(lines) if EXCEPTION.match(line)), None)
    if first is None:
        said = next((line.strip() for line in lines if line.startswith("Macro Error")), "")
        return f" It said: {said[:300]}" if said else child.tail(log)
    said, root = re.sub('^Exception in thread .*?" ', "", lines[first].strip()), ""
    for line in lines[first + 1 :]:
        if line.startswith("Caused by: "):
            root = f", caused by {line.removeprefix('Caused by: ').strip()[:300]}"
        elif not line.startswith(("\t", "  ")):
            break
    return f" It said: {said[:300]}{root}"


def in_imagej(
    macro: Path,
    arguments: Sequence[str],
    folder: Path,
    jars: Sequence[str],
    options: Sequence[str] = (),
    *,
    limit_s: float = 120.0,
    memory_mb: int = 4096,
) -> list[str]:
    """Like :func:`run_macro`, in any ImageJ: ``jars`` must hold ``ij`` and ``ij1-patcher``, ``options`` go to the JVM as well."""
    started = time.monotonic()
    job = {
        "jvm": str(engines.libjvm()),
        "options": [*child.options(folder, djl(), memory_mb), *options],
        "class_path": list(jars),
        "macro": str(macro),
        "arguments": list(arguments),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "zooready.consumers.deepimagej.fiji_worker", str(folder / "job.json")]
    end, code = child.attended(command, folder, child.environment(folder, djl()), limit_s=limit_s, memory_mb=memory_mb)
    log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    if end or code or not (folder / "result.json").is_file():
        why = end or f"{child.cause(folder, code)} after {time.monotonic() - started:.1f} s"
        raise ConsumerFailed(f"ImageJ, running {macro.name}: {why}.{complaint(log)}")
    return [str(answer) for answer in json.loads((folder / "result.json").read_text(encoding="utf-8"))]
