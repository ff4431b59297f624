"""Fiji with DeepImageJ 3: the real program where ZOOREADY_FIJI names one, and its written rules everywhere.

With a Fiji the bundle goes into a models folder of its own and the very macro of ``zooready install`` runs on TIFFs, headless, judged by
the TIFFs that DeepImageJ writes. Without one a pass says that nothing known stands in the way. When ``java-pytorch`` then passes in the
same check, the engine that DeepImageJ starts has computed the same numbers, and the comparison lifts the verdict to ``engine``;
``java-onnx`` never lifts it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from zooready.bundle.jdll import TIE, picks
from zooready.consumers.deepimagej import fiji
from zooready.consumers.deepimagej.rules import RULES, image_size, rounded_percentiles
from zooready.consumers.description_rules import Rule, axes
from zooready.consumers.torchscript_rules import known_operators, no_device, only_computes
from zooready.errors import BundleInvalid, ConsumerFailed
from zooready.processes import memory_bytes, scratch
from zooready.records import Array, Bundle, Format, Level, as_float32

NAME = "deepimagej"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "ran"
BY_RULES = True
OPENS_FILES = True
CUTS_TILES = True
APPLIES_OPERATORS = True
NEWEST, OLDER = "2.0.0", "1.13.1"  # of the engines
SECONDS = 900.0  # for all images of one bundle together


def missing() -> str | None:
    """None with a Fiji that has DeepImageJ and its engine; without one, rules are what remains."""
    return fiji.missing()


def run(bundle: Bundle, format: Format, images: Sequence[Array | Path]) -> list[tuple[Array, ...] | None]:
    """What DeepImageJ writes for each image; None for batches, and for lines and single pixels, which DeepImageJ 3.1 drops an axis of.

    Raises
    ------
    BundleInvalid
        The TorchScript does more than compute.
    ConsumerFailed
        Fiji crashed, hung, or DeepImageJ wrote no output; the message has its last lines.
    """
    if faults := list(only_computes(bundle.formats[format])):
        raise BundleInvalid(" ".join(faults))
    (taken,) = bundle.inputs
    with scratch() as folder:
        macro = fiji.placed(bundle, folder / "models" / "bundle", "bundle")
        written = _written(images, taken.axes, folder)
        arguments = [f"{path}|{folder / 'out'}" for path in written.values()]
        limit_s = bundle.time_limit_s or SECONDS
        returned = fiji.run_macro(macro, arguments, folder, limit_s=limit_s, memory_mb=memory_bytes() >> 20) if arguments else []
        log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace") if arguments else ""
        outputs: list[tuple[Array, ...] | None] = [None] * len(images)
        for (n, path), end in zip(written.items(), returned, strict=True):
            files = [folder / "out" / f"{path.stem}_{output.name}.tif" for output in bundle.outputs]
            absent = [file.name for file in files if not file.is_file()]
            if absent:
                image = images[n]
                which = image.name if isinstance(image, Path) else f"an image of {image.shape}"
                raise ConsumerFailed(
                    f"DeepImageJ wrote no {', '.join(absent)} for {which} (the macro returned {end!r}). "
                    f"Try the bundle in Fiji's window to see more.{fiji.complaint(log)}"
                )
            outputs[n] = tuple(_read(file, output.axes) for file, output in zip(files, bundle.outputs, strict=True))
        return outputs


def _written(images: Sequence[Array | Path], axes: str, folder: Path) -> dict[int, Path]:
    """Number and file of each image that DeepImageJ can be handed; a person's file is copied byte for byte, under a plain name."""
    files = {}
    for n, image in enumerate(images):
        if isinstance(image, Path):
            files[n] = Path(shutil.copyfile(image, folder / f"image{n}{image.suffix}"))
        elif _write(image, axes, folder / f"image{n}.tif"):
            files[n] = folder / f"image{n}.tif"
    return files


def _write(image: Array, axes: str, path: Path) -> bool:
    """The image as an ImageJ TIFF; False if ImageJ has no axis for what it holds, or DeepImageJ would lose one."""
    import tifffile

    sizes = dict(zip(axes, image.shape, strict=False))
    if len(axes) != image.ndim or set(axes) - set("btczyx") or sizes.get("b", 1) != 1 or min(sizes.get("y", 1), sizes.get("x", 1)) < 2:
        return False
    kept = axes.replace("b", "")
    array = as_float32(image).reshape([length for axis, length in zip(axes, image.shape, strict=True) if axis != "b"])
    for axis in "tzcyx":
        if axis not in kept:
            array, kept = array[None], axis + kept
    ordered = array.transpose([kept.index(axis) for axis in "tzcyx"])
    # the sample axis is given, since tifffile takes a last axis of length 1 for it and would write x = 1 as y
    tifffile.imwrite(path, np.ascontiguousarray(ordered)[..., None], imagej=True, metadata={"axes": "TZCYXS"})
    return True


def _read(path: Path, axes: str) -> Array:
    """An output of DeepImageJ with the axes that the bundle declares; ImageJ leaves out those of length 1."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        array, here = tiff.series[0].asarray(), tiff.series[0].axes.lower()
    if "b" in axes and "t" not in axes:
        here = here.replace("t", "b")  # DeepImageJ shows a batch as time
    wanted = [array.shape[here.index(axis)] if axis in here else 1 for axis in axes]
    kept = [axis for axis in axes if axis in here]
    if len(set(here)) != len(here) or array.size != np.prod(wanted):
        raise ConsumerFailed(
            f"{path.name} of DeepImageJ has axes {here!r} {array.shape}, and the bundle declares {axes!r}: check its axes."
        )
    rest = [i for i, axis in enumerate(here) if axis not in axes]
    ordered = array.transpose([*rest, *(here.index(axis) for axis in kept)])
    return np.ascontiguousarray(ordered.reshape(wanted).astype(array.dtype.newbyteorder("=")))


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Every rule that the bundle breaks, in words."""
    for rule in (*RULES, *WEIGHT_RULES):
        yield from rule(bundle)


def image_objections(image: Array) -> Iterator[str]:
    """An image that DeepImageJ would never come back from."""
    yield from image_size(image)


def remarks(bundle: Bundle) -> Iterator[str]:
    """What a user will notice although nothing is refused."""
    for tensor, axis in axes(bundle.inputs):
        if axis.step and axis.step > 1:
            yield (
                f"sizes that are no multiple of {axis.step} ({axis.id} of '{tensor}') are cut into tiles, with seams unless there is a halo"
            )
    if any(axis.halo for _, axis in axes(bundle.outputs)):
        yield "with a halo Fiji mirrors the image at its rim, so that rim pixels differ from Python"
    yield from rounded_percentiles(bundle)
    if engine(bundle) == OLDER:
        yield (
            f"pytorch_version {_version(bundle, 'torchscript')} asks for PyTorch {OLDER}, which DeepImageJ fetches at its first run; only "
            "'2.0.0' asks for the engine that is checked here"
        )


def engine(bundle: Bundle) -> str:
    """The PyTorch that DeepImageJ starts for a bundle that passes the rules."""
    return OLDER if _version(bundle, "torchscript") == OLDER else NEWEST


def versions() -> dict[str, str]:
    """What ran, else the version whose rules these are."""
    return {"rules of JDLL": "0.6.1"} if missing() else fiji.versions()


def _taken(bundle: Bundle) -> str | None:
    """The weights that JDLL takes."""
    return picks({key: stated.version for key, stated in bundle.weights.items()})


def _version(bundle: Bundle, key: str) -> object:
    """The version that the description states for these weights, as written; None without them."""
    return bundle.weights[key].version if key in bundle.weights else None


def has_engine(bundle: Bundle) -> Iterator[str]:
    """A state dict alone asks for a Python environment, not for the Java engine."""
    if _taken(bundle) is None:
        held = ", ".join(bundle.formats)
        yield f"only {held} inside, which Fiji cannot run with its own engines (it would set up Python): add TorchScript."


def picks_torchscript(bundle: Bundle) -> Iterator[str]:
    """ONNX inside DeepImageJ 3 closes its outputs twice and crashes Fiji, and there is no fall-back."""
    taken, version, opset = _taken(bundle), _version(bundle, "torchscript"), _version(bundle, "onnx")
    if taken == "onnx" and "torchscript" not in bundle.formats:
        yield "only ONNX inside, with which DeepImageJ 3 crashes Fiji at the end of every run: add TorchScript."
    elif taken == "onnx":
        yield (
            f"DeepImageJ would take the ONNX weights and crash Fiji (pytorch_version {version}, opset {opset}): declare pytorch_version "
            "'2.0.0' "
            "once java-pytorch passed, or leave ONNX out."
        )
    elif taken == TIE:
        yield (
            f"DeepImageJ would take whichever weights come first, and crash Fiji with ONNX (pytorch_version {version} and opset {opset} "
            "share a "
            "place in its table): declare pytorch_version '2.0.0' once java-pytorch passed."
        )
    elif taken not in ("torchscript", None):
        yield f"DeepImageJ would take {taken}, which is not checked here: leave it out, or move it to a bundle of its own."


def pytorch_version(bundle: Bundle) -> Iterator[str]:
    """JDLL's newest engine is PyTorch 2.0.0, taken for 2.x; it also has 1.13.1, taken for itself."""
    if "torchscript" not in bundle.formats:
        return
    version = _version(bundle, "torchscript")
    if not isinstance(version, str):
        yield f"pytorch_version is {version!r} and not text, so JDLL may ask for another engine: write it in quotes, e.g. '2.0.0'."
    elif not version.startswith("2.") and version != OLDER:
        yield (
            f"pytorch_version '{version}' asks for an engine that Fiji does not have beside {NEWEST} and {OLDER}: export with PyTorch 2, "
            "declare '2.0.0'."
        )


def torchscript_name(bundle: Bundle) -> Iterator[str]:
    """The engine looks for exactly this ending."""
    name = bundle.formats["torchscript"].name if "torchscript" in bundle.formats else ".pt"
    if not name.endswith(".pt"):
        yield f"the TorchScript file is called {name!r}, and Fiji's engine loads names that end in .pt only: call it weights.pt."


def torchscript_operators(bundle: Bundle) -> Iterator[str]:
    """The engine is libtorch 2.0.0."""
    if "torchscript" in bundle.formats:
        yield from known_operators(bundle.formats["torchscript"])


def torchscript_device(bundle: Bundle) -> Iterator[str]:
    """Fiji may run on a GPU."""
    if "torchscript" in bundle.formats:
        yield from no_device(bundle.formats["torchscript"])


WEIGHT_RULES: tuple[Rule, ...] = (
    *(has_engine, picks_torchscript, pytorch_version, torchscript_name),
    *(torchscript_operators, torchscript_device),
)
