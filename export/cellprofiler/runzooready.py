"""
RunZooready
===========

**RunZooready** runs a trained network from a BioImage.IO bundle (one zip file) on your images: it finds objects, restores images,
or classifies images and objects. The numbers are those that the bundle's authors get in Python.

It needs two packages in the Python of CellProfiler: ``python -m pip install onnxruntime pyyaml``.

|

============ ============ ===============
Supports 2D? Supports 3D? Respects masks?
============ ============ ===============
YES          YES          YES
============ ============ ===============

What do I need as input?
^^^^^^^^^^^^^^^^^^^^^^^^

A bundle that holds ONNX weights, and one image for each channel that the network takes (or one image that has them all). Networks
of bundles normalise images themselves: give them images as they were loaded. CellProfiler divides pixels by 255 or 65535 when it
loads them; this module multiplies them again, so that the network sees the camera's own numbers.

A network for planes runs on each plane of a volume by itself. A network for volumes needs images that are processed as 3D.

What do I get as output?
^^^^^^^^^^^^^^^^^^^^^^^^

*Find objects*: objects, from the label image that the network itself computes, with the measurements below, and, if you wish, the
network's other outputs (probabilities, say) as images.

*Make images*: one image for each output channel that you name.

*Classify images*, *Classify objects*: one measurement for each class; for objects, a piece of the image around each object is given
to the network.

**Masks**: the network sees the whole image, since it needs what is around an object, but objects end where the mask ends, and output
images keep the mask. For classification, pixels outside the mask are replaced by the smallest value inside.

Measurements made by this module
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

**Find objects**, of each object: *Location_Center_X*, *Location_Center_Y*, *Location_Center_Z*, *Number_Object_Number*; of the image:
*Count*.

**Classify**, of each image or object: *RunZooready_NAME_CLASS*, the network's score for each class, and *RunZooready_NAME_Best*, the
number of the class with the highest score, counted from 1. For a volume and a network for planes, image scores are the mean over planes.

References
^^^^^^^^^^

-  Ouyang W, Beuttenmueller F, Gómez-de-Mariscal E, et al. (2022) “BioImage Model Zoo: a community-driven resource for accessible
   deep learning in bioimage analysis.” *bioRxiv* 2022.06.07.495102. `(link) <https://doi.org/10.1101/2022.06.07.495102>`__
-  Whoever made the bundle: see *cite* in its ``rdf.yaml``.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import os
import re
import reprlib
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT, COLTYPE_INTEGER, IMAGE
from cellprofiler_core.image import Image
from cellprofiler_core.module.image_segmentation import ImageSegmentation
from cellprofiler_core.object import Objects
from cellprofiler_core.preferences import get_max_workers
from cellprofiler_core.setting import Binary, HiddenCount, SettingsGroup, ValidationError
from cellprofiler_core.setting.choice import Choice
from cellprofiler_core.setting.do_something import DoSomething, RemoveSettingButton
from cellprofiler_core.setting.subscriber import ImageSubscriber, LabelSubscriber
from cellprofiler_core.setting.text import Alphanumeric, Directory, Filename, Float, ImageName, Integer, LabelName

LOGGER = logging.getLogger(__name__)
CATEGORY = "RunZooready"

OBJECTS, IMAGES, CLASSIFY_IMAGES, CLASSIFY_OBJECTS = "Find objects", "Make images", "Classify images", "Classify objects"
FIRST = "First one"
AUTOMATIC, LIKE_INPUT, AS_THEY_ARE = "Automatic", "Scale of the input image", "As the network gives them"
WARN, STOP, RESAMPLE = "Warn", "Stop", "Resample"

MEMBERS = 2_000  # files in a bundle
DESCRIPTION_BYTES = 2**21
WEIGHTS_BYTES = 2**31 - 1  # of one ONNX file, by its format
ARRAY_BYTES = 2**30
DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")
HARMLESS = ("ensure_dtype",)  # the only step outside the network that leaves float32 pixels as they are
LETTERS = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
ROUNDING = 0.005  # calibrations have few digits: so far outside the range still counts as inside
PIECE = 512  # px, side of the piece on which memory is measured
LARGE = 4 * PIECE * PIECE  # pixels up to which nothing is measured
SAME = 1e-4  # largest difference / range of two ways to compute an image that still agree


class BundleError(ValueError):
    """What is wrong with a bundle, an image or a setting, why, and what to do."""


class Tensor:
    """An input or output: ``axes`` as letters, ``channels`` by name, ``kind``, fixed ``sizes`` and (min, step) ``steps`` by axis."""

    def __init__(self, described: dict[str, Any], kind: str = "image") -> None:
        axes = [axis for axis in described.get("axes") or () if isinstance(axis, dict)]
        self.name = str(described.get("id", described.get("name", "")))
        self.axes = "".join(LETTERS.get(str(axis.get("type")), str(axis.get("id", "?"))) for axis in axes)
        self.kind = kind
        self.channels: list[str] = []
        self.sizes: dict[str, int] = {}
        self.steps: dict[str, tuple[int, int]] = {}
        for axis, letter in zip(axes, self.axes):
            size = axis.get("size")
            if letter == "c":
                self.channels = [str(name) for name in axis.get("channel_names") or ["value"]]
            elif isinstance(size, int) and letter != "b":
                self.sizes[letter] = size
            elif isinstance(size, dict) and "min" in size:
                self.steps[letter] = (max(1, int(size["min"])), max(1, int(size.get("step", 1))))
        good = len(set(self.axes)) == len(self.axes) == len(axes) and set(self.axes) <= set("bczyx")
        if not good or not self.axes.startswith("b") or "c" not in self.axes:
            raise BundleError(
                f"'{self.name}' has axes {self.axes!r}, and this module needs b, c and some of z, y, x: export the bundle again with these."
            )

    @property
    def canonical(self) -> str:
        """The axes without b, in the order c, z, y, x."""
        return "".join(axis for axis in "czyx" if axis in self.axes)


class Bundle:
    """A bundle on disk, read without unpacking it: nothing is written, nothing outside is opened, nothing is run but its ONNX graph.

    ``halo`` is None if outputs depend on the whole image; ``pixel_um`` is the range of pixel sizes (micrometres) or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rdf = self._description()
        try:
            self._understand()
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            if isinstance(error, BundleError):
                raise BundleError(f"{path.name}: {error}") from None
            raise BundleError(
                f"{path.name} has a description that is not as BioImage.IO wants it ({error}): run bioimageio test on it."
            ) from None
        self._session: Any = None
        self._fractions: dict[str, bool] = {}

    def _understand(self) -> None:
        rdf = self.rdf
        if rdf.get("type", "model") != "model" or not str(rdf.get("format_version", "")).startswith("0.5"):
            raise BundleError("this is no model of BioImage.IO format 0.5: run bioimageio update-format on it.")
        inputs, outputs = rdf.get("inputs") or [], rdf.get("outputs") or []
        if len(inputs) != 1 or not outputs:
            raise BundleError(f"the network takes {len(inputs)} inputs, and this module gives one: join them as channels of one input.")
        steps = [str(step.get("id")) for one in inputs for step in one.get("preprocessing") or []]
        steps += [str(step.get("id")) for one in outputs for step in one.get("postprocessing") or []]
        if outside := [step for step in steps if step not in HARMLESS]:
            raise BundleError(f"{', '.join(outside)} lies outside the network, which this module runs alone: export it with these inside.")
        own = (rdf.get("config") or {}).get("zooready") or {}
        kinds = {str(one["id"]): str(one["kind"]) for one in own.get("outputs") or []}
        self.input = Tensor(inputs[0])
        self.outputs = [Tensor(one, kinds.get(str(one.get("id")), _kind_by_axes(one))) for one in outputs]
        measured = own.get("measured") or {}
        self.halo = measured["halo"] if isinstance(measured.get("halo"), int) else None
        self.stride = max(1, int(measured.get("stride") or 1))
        self.pixel_um = tuple(float(one) for one in own["pixel_size_um"]) if own.get("pixel_size_um") else None
        if "onnx" not in (rdf.get("weights") or {}):
            held = ", ".join(map(str, rdf.get("weights") or ())) or "nothing"
            raise BundleError(f"the bundle holds {held}, and this module runs ONNX: export it with ONNX weights as well.")

    def _description(self) -> dict[str, Any]:
        yaml = _package("yaml", "pyyaml")
        names = [name for name in DESCRIPTIONS if name in self._names()]
        if not names:
            raise BundleError(f"{self.path} has no rdf.yaml at its root: this is no BioImage.IO bundle. Download or export it again.")
        try:
            rdf = yaml.safe_load(self.read(names[0], DESCRIPTION_BYTES).decode("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"{self.path}: {names[0]} is not YAML ({str(error)[:200]}). Download or export it again.") from None
        if not isinstance(rdf, dict):
            raise BundleError(f"{self.path}: {names[0]} describes nothing. Download or export it again.")
        return rdf

    def _names(self) -> dict[str, zipfile.ZipInfo]:
        """The files inside by name, once every name was found to be safe."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise BundleError(f"{self.path} is not a readable zip ({error}): download or export it again.") from None
        if len(members) > MEMBERS:
            raise BundleError(f"{self.path} holds {len(members)} files, and at most {MEMBERS} are read: this is no usual bundle.")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in members:
            pure = PurePosixPath(info.filename)
            plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            if pure.is_absolute() or ".." in pure.parts or any(mark in info.filename for mark in "\\:\0\n") or not plain:
                raise BundleError(f"{self.path} holds {info.filename!r}, which leads out of the bundle: do not use this file.")
            if str(pure) in found and not info.is_dir():
                raise BundleError(f"{self.path} holds {info.filename!r} twice: do not use this file.")
            found[str(pure)] = info
        return found

    def read(self, name: str, limit: int, sha256: object = None) -> bytes:
        """Bytes of one file inside, at most ``limit``, and those that were hashed."""
        info = self._names().get(str(PurePosixPath(name)))
        if info is None or info.is_dir():
            raise BundleError(f"{self.path} names {reprlib.repr(name)} but does not hold it: download or export it again.")
        if info.file_size > limit:
            raise BundleError(f"{self.path}: {name} has {info.file_size} bytes, and at most {limit} are read: make it smaller.")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
                content = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise BundleError(f"{self.path}: {name} is damaged ({error}): download or export the bundle again.") from None
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != str(sha256).lower():
            raise BundleError(
                f"{self.path}: {name} was changed after the bundle was made (sha256 {found}, rdf.yaml says {str(sha256)[:64]}): "
                "download or export it again."
            )
        return content

    def output(self, name: str) -> Tensor:
        """The output of that name."""
        return next(one for one in self.outputs if one.name == name)

    def channels(self) -> list[str]:
        """Every channel of every output that is an image, as "output: channel"."""
        return [f"{one.name}: {channel}" for one in self.outputs if one.kind == "image" for channel in one.channels]

    def demand(self, kind: str, task: str) -> Tensor:
        """The first output of a kind."""
        for one in self.outputs:
            if one.kind == kind:
                return one
        held = ", ".join(f"{one.name} ({one.kind})" for one in self.outputs)
        raise BundleError(f"{self.path.name} cannot do '{task}': it gives {held} and no {kind}. Choose another task or bundle.")

    def is_fraction(self, tensor: Tensor) -> bool:
        """Whether this output lies within 0…1 in the bundle's own test, as probabilities do."""
        if tensor.name not in self._fractions:
            self._fractions[tensor.name] = self._lies_within_one(tensor)
        return self._fractions[tensor.name]

    def _lies_within_one(self, tensor: Tensor) -> bool:
        described = next(one for one in self.rdf["outputs"] if str(one.get("id", one.get("name"))) == tensor.name)
        test = described.get("test_tensor") or {}
        if not test.get("source"):
            return False
        content = self.read(str(test["source"]), ARRAY_BYTES, test.get("sha256"))
        try:
            values = numpy.load(io.BytesIO(content), allow_pickle=False)
        except ValueError as error:
            raise BundleError(f"{self.path}: {test['source']} is no array of numbers ({error}): export the bundle again.") from None
        return bool(values.size) and float(values.min()) >= 0 and float(values.max()) <= 1

    def start(self, gpu: bool = False) -> None:
        """Load the network, unless it is loaded."""
        if self._session is not None:
            return
        onnxruntime = _package("onnxruntime", "onnxruntime")
        entry = self.rdf["weights"]["onnx"]
        content = self.read(str(entry.get("source")), WEIGHTS_BYTES, entry.get("sha256"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads()
        providers: list[Any] = ["CPUExecutionProvider"]
        if gpu and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise BundleError("ONNX Runtime sees no GPU here: install onnxruntime-gpu in CellProfiler's Python, or set 'Use a GPU?' to No.")
        if gpu:
            providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # ONNX Runtime has a class of error for each reason
            raise BundleError(f"{self.path}: the ONNX weights do not load ({_brief(error)}): export the bundle again.") from None

    def run(self, image: numpy.ndarray) -> dict[str, numpy.ndarray]:
        """Outputs by name, axes in the order c, z, y, x, for one image (c, z, y, x) or (c, y, x) float32."""
        self.start()
        axes = self.input.canonical
        given = image.transpose([axes.index(axis) for axis in self.input.axes[1:]])[numpy.newaxis]
        names = [one.name for one in self._session.get_outputs()]
        wanted = [one.name for one in self.outputs]
        try:
            order = wanted if sorted(names) == sorted(wanted) else names
            arrays = self._session.run(order, {self._session.get_inputs()[0].name: numpy.ascontiguousarray(given, numpy.float32)})
        except Exception as error:  # as above
            if isinstance(error, MemoryError) or re.search("bad_alloc|alloc.*memory|out of memory", str(error), re.IGNORECASE):
                raise BundleError(_no_room(image.shape)) from None
            raise BundleError(f"{self.path.name}: the network failed on an image of shape {image.shape} ({_brief(error)}).") from None
        found = {}
        for tensor, array in zip(self.outputs, arrays):
            if array.ndim != len(tensor.axes) or array.shape[tensor.axes.index("c")] != len(tensor.channels):
                raise BundleError(f"{self.path.name} promises '{tensor.name}' with axes {tensor.axes!r} and gave shape {array.shape}.")
            if not numpy.isfinite(array).all():
                raise BundleError(
                    f"{self.path.name}: '{tensor.name}' holds values that are NaN or infinite for this image. Run zooready check on the "
                    "bundle, and look at the image."
                )
            found[tensor.name] = array[0].transpose([tensor.axes[1:].index(axis) for axis in tensor.canonical])
        return found


def threads() -> int:
    """Threads for one network: this process's share of the CPUs if CellProfiler runs several workers, else 0, which stands for all."""
    if any(argument.startswith("--work-announce") for argument in sys.argv):
        return max(1, (os.cpu_count() or 1) // max(1, get_max_workers()))
    return 0


_opened: dict[tuple[str, int, int], Bundle] = {}


def opened(path: str) -> Bundle:
    """The bundle at ``path``, read once for all image sets; read again when the file was replaced."""
    try:
        facts = Path(path).stat()
    except OSError:
        raise BundleError(f"no bundle {path}: there is no such file. Check the folder and the name in RunZooready.") from None
    key = (path, facts.st_size, facts.st_mtime_ns)
    if key not in _opened:
        _opened.clear()
        _opened[key] = Bundle(Path(path))
    return _opened[key]


def raw_pixels(image: Any) -> numpy.ndarray:
    """The pixels of an Image as the camera counted them, (y, x[, c]) or (z, y, x[, c]) float32.

    CellProfiler holds integers divided by 255, 65535 or the file's own maximum; ``image.scale`` is not always the number that it divided
    by, so the first of the three that gives whole numbers is taken, and these are restored without rounding error.
    """
    pixels = numpy.asarray(image.pixel_data)
    scale = float(image.scale or 1)
    if pixels.dtype.kind not in "f" or scale == 1:
        return pixels.astype(numpy.float32)
    for candidate in dict.fromkeys((scale, 65535.0, 255.0)):
        restored = pixels.astype(numpy.float64) * candidate
        whole = numpy.rint(restored)
        if numpy.abs(restored - whole).max(initial=0) <= candidate * 2.0**-23:
            return whole.astype(numpy.float32)
    return (pixels * numpy.float32(scale)).astype(numpy.float32)


def predict(bundle: Bundle, image: numpy.ndarray, axes: str, side: int, zoom: float = 1.0) -> dict[str, numpy.ndarray]:
    """All outputs for one image.

    ``image`` is raw float32 with ``axes`` "cyx" or "czyx". A network for planes runs on each plane; its outputs are (c, z, y, x), or
    (z, c) for scores. Images with y or x beyond ``side`` px (0: never) are cut into tiles, if tiles give the same numbers. ``zoom``
    scales y and x for the network, and its outputs back.
    """
    needs_z, has_z = "z" in bundle.input.axes, "z" in axes
    if needs_z and not has_z:
        raise BundleError(f"{bundle.path.name} takes volumes, and this is one plane: load images with 'Process as 3D? Yes'.")
    if not has_z or needs_z:
        return _one(bundle, image, side, zoom)
    stacks = [one.name for one in bundle.outputs if "z" in one.axes]
    if stacks:
        raise BundleError(f"'{stacks[0]}' is a stack for every plane, and this image has planes already: give one plane.")
    planes = [_one(bundle, image[:, z], side, zoom) for z in range(image.shape[1])]
    return {one.name: numpy.stack([plane[one.name] for plane in planes], axis=1 if "y" in one.axes else 0) for one in bundle.outputs}


def _one(bundle: Bundle, image: numpy.ndarray, side: int, zoom: float) -> dict[str, numpy.ndarray]:
    """Outputs for one input of the network, at the input's size."""
    if zoom == 1.0:
        return _tiled(bundle, image, side) if _tiles(bundle, image, side) else whole(bundle, image)
    size = image.shape[-2:]
    scaled = _resized(image, (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))), False)
    found = _one(bundle, scaled, side, 1.0)
    return {
        name: _resized(array, size, bundle.output(name).kind == "labels") if "y" in bundle.output(name).axes else array
        for name, array in found.items()
    }


def whole(bundle: Bundle, image: numpy.ndarray) -> dict[str, numpy.ndarray]:
    """Outputs for an image that is given to the network at once, grown to a size that it takes and cropped back."""
    axes = bundle.input.canonical
    for axis, size in bundle.input.sizes.items():
        if image.shape[axes.index(axis)] != size:
            raise BundleError(
                f"{bundle.path.name} takes exactly {size} px along {axis}, and the image has {image.shape[axes.index(axis)]}: use Crop or "
                "Resize before."
            )
    margins = []
    for axis, have in zip(axes, image.shape):
        minimum, step = bundle.input.steps.get(axis, (1, 1))
        margins.append((0, max(0, minimum - have) if have <= minimum else -(have - minimum) % step))
    given = numpy.pad(image, margins, mode="edge")
    _demand_room(bundle, given)
    found = bundle.run(given)
    for tensor in bundle.outputs:
        if "y" in tensor.axes and given.shape != image.shape:
            array = found[tensor.name]
            for axis in set(tensor.canonical) & set(axes) - {"c"}:
                place, grown, size = tensor.canonical.index(axis), given.shape[axes.index(axis)], image.shape[axes.index(axis)]
                array = array.take(range(array.shape[place] * size // grown), axis=place)
            found[tensor.name] = array
    return found


def _tiles(bundle: Bundle, image: numpy.ndarray, side: int) -> bool:
    """Whether to cut into tiles: the image is large, only pixels near by matter, and this was seen on the image itself."""
    if not side or max(image.shape[-2:]) <= side:
        return False
    if bundle.halo is None or bundle.input.sizes or any(one.kind != "image" or "y" not in one.axes for one in bundle.outputs):
        LOGGER.info("%s needs the whole image for its outputs: it is not cut into tiles.", bundle.path.name)
        return False
    margin = _margin(bundle)
    if side <= 2 * margin:
        raise BundleError(f"tiles of {side} px leave nothing after a margin of {margin} px on each side: use at least {4 * margin} px.")
    inner = bundle.stride * max(1, 32 // bundle.stride)
    piece = image[..., : inner + margin + 32, : inner + margin + 32].copy()
    before = whole(bundle, piece)
    spread = float(numpy.ptp(image)) or 1.0
    piece[..., inner + margin :, :] = float(image.max()) + spread
    piece[..., inner + margin :] = float(image.max()) + spread
    after = whole(bundle, piece)
    for name, first in before.items():
        if first.shape[-2:] != piece.shape[-2:]:
            return False
        part = (Ellipsis, slice(inner), slice(inner))
        if numpy.abs(first[part] - after[name][part]).max() > SAME * (float(numpy.ptp(first)) or 1.0):
            LOGGER.warning(
                "%s: '%s' depends on pixels farther than its halo of %d px (it normalises by the whole image, probably), so tiles would "
                "not agree with the whole: it is run whole.",
                *(bundle.path.name, name, bundle.halo),
            )
            return False
    return True


def _margin(bundle: Bundle) -> int:
    """The halo, rounded up to the stride so that tiles lie on the network's own grid, px."""
    return -(-int(bundle.halo or 0) // bundle.stride) * bundle.stride


def _tiled(bundle: Bundle, image: numpy.ndarray, side: int) -> dict[str, numpy.ndarray]:
    """Outputs of tiles of at most ``side`` px, each without its margin, side by side."""
    margin = _margin(bundle)
    inner = max(bundle.stride, (side - 2 * margin) // bundle.stride * bundle.stride)
    height, width = image.shape[-2:]
    found: dict[str, numpy.ndarray] = {}
    for top in range(0, height, inner):
        for left in range(0, width, inner):
            y, x = max(0, top - margin), max(0, left - margin)
            tile = whole(bundle, image[..., y : top + inner + margin, x : left + inner + margin])
            for name, array in tile.items():
                if name not in found:
                    found[name] = numpy.empty((*array.shape[:-2], height, width), array.dtype)
                kept = array[..., top - y : top - y + inner, left - x : left - x + inner]
                found[name][..., top : top + inner, left : left + inner] = kept
    return found


def _demand_room(bundle: Bundle, image: numpy.ndarray) -> None:
    """Refuse an image for which memory will not suffice, judged by what a piece of it takes, before the system ends the program."""
    if image[0].size <= LARGE:
        return
    import psutil  # CellProfiler itself needs it

    process, planes = psutil.Process(), math.prod(image.shape[1:-2])
    edge = max(64, math.isqrt(PIECE * PIECE // planes) // 64 * 64)
    bundle.run(image[..., :64, :64])
    before = process.memory_info().rss
    bundle.run(image[..., :edge, :edge])
    taken = process.memory_info().rss - before  # ONNX Runtime keeps what it took
    needed, free = taken * image.size / image[..., :edge, :edge].size, psutil.virtual_memory().available
    if needed > free:
        raise BundleError(f"{_no_room(image.shape)} It would take about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.")


def _no_room(shape: tuple[int, ...]) -> str:
    size = " x ".join(map(str, shape[1:]))
    return f"not enough memory for an image of {size} px: crop it, lower the tile size, run fewer workers, or use a larger machine."


def _resized(array: numpy.ndarray, size: tuple[int, int], labels: bool) -> numpy.ndarray:
    """An array (..., y, x) with another y and x; labels keep their values."""
    from skimage.transform import resize

    if array.shape[-2:] == size:
        return array
    smooth = not labels and (size[0] < array.shape[-2] or size[1] < array.shape[-1])
    how = {"order": 0 if labels else 1, "anti_aliasing": smooth, "mode": "edge", "preserve_range": True}
    planes = [resize(plane, size, **how) for plane in array.reshape(-1, *array.shape[-2:])]
    return numpy.asarray(numpy.stack(planes), numpy.float32).reshape(*array.shape[:-2], *size)


def as_labels(found: numpy.ndarray, mask: numpy.ndarray, overlap: float | None) -> numpy.ndarray:
    """A label image (y, x) or (z, y, x) int32 whose objects are numbered 1…n.

    ``found`` is float32, each plane of a volume numbered by itself if ``overlap`` is a number: objects of neighbouring planes become one
    if they share that part of their union (0: never). Pixels outside ``mask`` belong to no object.
    """
    labels = numpy.rint(found).astype(numpy.int64)
    if labels.min(initial=0) < 0 or numpy.abs(found - labels).max(initial=0) > 1e-3:
        raise BundleError("the label output holds values that are no object numbers (0, 1, 2, …): run zooready check on the bundle.")
    if overlap is not None:
        labels = _joined(labels, overlap)
    labels = numpy.where(mask, labels, 0)
    present = numpy.unique(labels)
    numbers = numpy.zeros(int(labels.max(initial=0)) + 1, numpy.int32)
    numbers[present[present > 0]] = numpy.arange(1, (present > 0).sum() + 1)
    return numbers[labels]


def _joined(planes: numpy.ndarray, overlap: float) -> numpy.ndarray:
    """Labels (z, y, x) that differ between planes, unless objects lie over each other; the best partner counts, and only one."""
    result, last = numpy.zeros_like(planes), 0
    for z, plane in enumerate(planes):
        numbers = numpy.zeros(int(plane.max()) + 1, numpy.int64)
        if z and overlap > 0:
            above, here = numpy.bincount(result[z - 1].ravel()), numpy.bincount(plane.ravel())
            pairs, shared = numpy.unique(numpy.stack([result[z - 1].ravel(), plane.ravel()]), axis=1, return_counts=True)
            union = above[pairs[0]] + here[pairs[1]] - shared
            used: set[int] = set()
            for k in numpy.argsort(-shared / union, kind="stable"):
                first, second = (int(one) for one in pairs[:, k])
                if first and second and not numbers[second] and first not in used and shared[k] >= overlap * union[k]:
                    numbers[second] = first
                    used.add(first)
        for label in numpy.unique(plane[plane > 0]):
            if not numbers[label]:
                last += 1
                numbers[label] = last
        result[z] = numbers[plane]
    return result


def pieces(image: numpy.ndarray, labels: numpy.ndarray, side: int, blank: bool) -> Iterator[tuple[int, numpy.ndarray]]:
    """Each object's number and a piece of the image around its middle.

    ``image`` is (c, y, x) or (c, z, y, x). A piece has ``side`` px along y and x (0: the object's own), the object's own length along z,
    repeats the image's edge pixels beyond the edge, and holds the smallest value where other objects or background are, if ``blank``.
    """
    from scipy.ndimage import find_objects

    for number, box in enumerate(find_objects(labels), 1):
        if box is None:
            continue
        places = []
        for axis, extent in enumerate(box):
            length = labels.shape[axis]
            start, size = extent.start, extent.stop - extent.start
            if side and axis >= labels.ndim - 2:
                start, size = (extent.start + extent.stop - side) // 2, side
            places.append(numpy.clip(numpy.arange(start, start + size), 0, length - 1))
        piece = image[numpy.ix_(range(len(image)), *places)]
        if blank:
            inside = labels[numpy.ix_(*places)] == number
            lowest = piece.reshape(len(piece), -1).min(axis=1).reshape(-1, *(1,) * inside.ndim)
            piece = numpy.where(inside, piece, lowest)
        yield number, piece.astype(numpy.float32)


def _kind_by_axes(described: dict[str, Any]) -> str:
    letters = {axis.get("id") for axis in described.get("axes") or () if isinstance(axis, dict)}
    return "image" if {"y", "x"} <= letters else "scores"


def _package(name: str, pip: str) -> Any:
    """A package that CellProfiler itself does not bring."""
    try:
        return __import__(name)
    except ImportError as error:
        raise BundleError(f"RunZooready needs {pip} in CellProfiler's Python ({error}): python -m pip install {pip}") from None


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


class RunZooready(ImageSegmentation):
    """The module: settings, checks, and what becomes of the network's outputs."""

    category = "Object Processing"
    module_name = "RunZooready"
    variable_revision_number = 1
    doi = {"Please cite the following when using RunZooready:": "https://doi.org/10.1101/2022.06.07.495102"}

    def create_settings(self) -> None:
        """Every setting with its help."""
        self.x_name = ImageSubscriber(
            "Select the input image",
            doc="The image to give to the network, as it was loaded. If the network takes several channels, either an image that has them "
            "all, or the first of them: add the others below, in the order that the bundle names.",
        )
        self.channels: list[SettingsGroup] = []
        self.channel_count = HiddenCount(self.channels)
        self.add_channel = DoSomething("", "Add another channel", self.add_channel_setting)
        self.directory = Directory(
            "Folder of the bundle",
            allow_metadata=False,
            doc="The folder that holds the bundle. The default input folder makes a pipeline easy to hand on.",
        )
        self.file_name = Filename(
            "Name of the bundle",
            "bundle.zip",
            get_directory_fn=self.directory.get_absolute_path,
            set_directory_fn=lambda path: self.directory.join_parts(*self.directory.get_parts_from_path(path)),
            browse_msg="Choose a BioImage.IO bundle",
            exts=[("BioImage.IO bundle (*.zip)", "*.zip"), ("All files (*.*)", "*.*")],
            doc="The zip file of a BioImage.IO model that holds ONNX weights. It is read as it is: do not unpack it.",
        )
        self.task = Choice(
            "What to do",
            [OBJECTS, IMAGES, CLASSIFY_IMAGES, CLASSIFY_OBJECTS],
            doc=f"""\
-  *{OBJECTS}:* the network gives a label image, which becomes objects.
-  *{IMAGES}:* the network gives images, restored ones or probabilities for instance.
-  *{CLASSIFY_IMAGES}:* the network gives a score for each class; they become measurements of the image.
-  *{CLASSIFY_OBJECTS}:* as before, for a piece of the image around each object; they become measurements of the objects.""",
        )
        self.y_name = LabelName("Name the output objects", "Nuclei", doc=f"*(Used only for {OBJECTS})* What the objects are called.")
        self.objects_name = LabelSubscriber("Select the objects", doc=f"*(Used only for {CLASSIFY_OBJECTS})* The objects to classify.")
        self.score_name = Alphanumeric(
            "Name the scores",
            "Class",
            doc="*(Used only for classification)* Measurements are called RunZooready_NAME_CLASS with this name.",
        )
        self.create_options()
        self.wants_images = Binary(
            "Keep output images as well?", False, doc="Select *Yes* to use the network's other outputs, probabilities say, as images."
        )
        self.images: list[SettingsGroup] = []
        self.image_count = HiddenCount(self.images)
        self.add_image_setting(can_remove=False)
        self.add_image = DoSomething("", "Add another output image", self.add_image_setting)

    def create_options(self) -> None:
        """The settings that most people leave as they are."""
        self.side = Integer(
            "Size of the piece around an object",
            0,
            minval=0,
            doc=f"*(Used only for {CLASSIFY_OBJECTS})* Pixels along y and x; 0 takes each object's own size. Use what the network was "
            "trained with.",
        )
        self.blank = Binary(
            "Hide what is not the object?",
            False,
            doc=f"*(Used only for {CLASSIFY_OBJECTS})* Select *Yes* to replace background and neighbours by the piece's smallest value.",
        )
        self.restore = Binary(
            "Restore raw intensities?",
            True,
            doc="CellProfiler divides pixels by 255 or 65535. Select *Yes* to multiply them again, as the network expects the camera's "
            "numbers, and *No* only for a network that was trained on images between 0 and 1.",
        )
        self.output_scale = Choice(
            "Intensities of output images",
            [AUTOMATIC, LIKE_INPUT, AS_THEY_ARE],
            doc=f"""\
-  *{AUTOMATIC}:* as the network gives them if they lie between 0 and 1 in the bundle's own test (probabilities), else as in
   *{LIKE_INPUT}*.
-  *{LIKE_INPUT}:* divided by what the input image was multiplied with, so that restored images compare with their inputs.
-  *{AS_THEY_ARE}:* not changed. Save such images as 32-bit floating point.""",
        )
        self.tile = Integer(
            "Largest side to run at once",
            2048,
            minval=0,
            doc="Pixels. Larger images are cut into tiles of this side if the bundle's outputs depend on pixels near by only (tried "
            "out on the image), and run whole otherwise. 0 never cuts.",
        )
        self.join = Float(
            "Smallest overlap of objects in neighbouring planes",
            0.25,
            minval=0,
            maxval=1,
            doc="*(Used only for volumes and networks that find objects plane by plane)* Objects that share so much of their union become "
            "one object through the planes; 0 never joins.",
        )
        self.pixel_um = Float(
            "Pixel size of the images in micrometres",
            0.0,
            minval=0,
            doc="Compared with the sizes that the network was trained for; 0 if unknown.",
        )
        self.outside = Choice(
            "If the network was trained for other pixel sizes",
            [WARN, STOP, RESAMPLE],
            doc=f"*{WARN}* goes on and writes a warning; *{STOP}* ends with an error; *{RESAMPLE}* scales images to the nearest one that "
            "fits, and results back.",
        )
        self.gpu = Binary("Use a GPU?", False, doc="Needs the package onnxruntime-gpu and CUDA.")

    def add_channel_setting(self) -> None:
        """One more input image."""
        group = SettingsGroup()
        group.append("image_name", ImageSubscriber("Select the next channel", doc="The next channel that the network takes."))
        group.append("remover", RemoveSettingButton("", "Remove this channel", self.channels, group))
        self.channels.append(group)

    def add_image_setting(self, can_remove: bool = True) -> None:
        """One more output image."""
        group = SettingsGroup()
        group.append(
            "channel",
            Choice(
                "Select the output",
                [FIRST],
                choices_fn=self.image_choices,
                doc="The output and its channel, as the bundle names them. The list is filled once the bundle was chosen.",
            ),
        )
        group.append("name", ImageName("Name the output image", "Restored", doc="What the image is called."))
        if can_remove:
            group.append("remover", RemoveSettingButton("", "Remove this image", self.images, group))
        self.images.append(group)

    def image_choices(self, pipeline: Any) -> list[str]:
        """What the bundle offers; as much as is known while there is none."""
        try:
            offered = self.bundle().channels()
        except BundleError:
            offered = [group.channel.value for group in self.images if group.channel.value != FIRST]
        return [FIRST, *dict.fromkeys(offered)]

    def settings(self) -> list[Any]:
        """All settings in the order of the file; counts come before what they count."""
        fixed = [
            *(self.x_name, self.directory, self.file_name, self.task, self.y_name, self.objects_name, self.score_name, self.side),
            *(self.blank, self.restore, self.output_scale, self.tile, self.join, self.pixel_um, self.outside, self.gpu),
            *(self.wants_images, self.channel_count, self.image_count),
        ]
        return fixed + [group.image_name for group in self.channels] + [one for group in self.images for one in (group.channel, group.name)]

    def prepare_settings(self, setting_values: list[str]) -> None:
        """Make room for as many channels and images as the file has."""
        counts = [int(setting_values[self.settings().index(one)]) for one in (self.channel_count, self.image_count)]
        for have, want, add in zip((self.channels, self.images), counts, (self.add_channel_setting, self.add_image_setting)):
            del have[want:]
            while len(have) < want:
                add()

    def visible_settings(self) -> list[Any]:
        """What matters for the chosen task."""
        task = self.task.value
        shown = [self.x_name]
        for group in self.channels:
            shown += [group.image_name, group.remover]
        shown += [self.add_channel, self.directory, self.file_name, self.task]
        shown += {
            OBJECTS: [self.y_name, self.join],
            IMAGES: [],
            CLASSIFY_IMAGES: [self.score_name],
            CLASSIFY_OBJECTS: [self.objects_name, self.score_name, self.side, self.blank],
        }[task]
        if task in (OBJECTS, CLASSIFY_IMAGES):
            shown += [self.wants_images]
        if self.gives_images():
            for group in self.images:
                shown += group.visible_settings()
            shown += [self.add_image, self.output_scale]
        return shown + [self.restore, self.tile, self.pixel_um, self.outside, self.gpu]

    def help_settings(self) -> list[Any]:
        """Every setting, for the manual."""
        return [one for one in self.settings() if not isinstance(one, HiddenCount)]

    def volumetric(self) -> bool:
        """Works in 3D pipelines."""
        return True

    def prepare_to_create_batch(self, workspace: Any, fn_alter_path: Any) -> bool:
        """The folder of the bundle as the machines of a cluster see it."""
        self.directory.alter_for_create_batch_files(fn_alter_path)
        return True

    def gives_images(self) -> bool:
        """Whether output images are wanted."""
        return self.task.value == IMAGES or (self.task.value in (OBJECTS, CLASSIFY_IMAGES) and self.wants_images.value)

    def bundle(self) -> Bundle:
        """The bundle that the settings name."""
        return opened(str(Path(self.directory.get_absolute_path()) / self.file_name.value))

    def validate_module(self, pipeline: Any) -> None:
        """Say in the settings what ``run`` would say later (nobody asks when CellProfiler runs headless)."""
        try:
            bundle = self.bundle()
            _package("onnxruntime", "onnxruntime")
            self.demand(bundle)
        except BundleError as error:
            raise ValidationError(str(error), self.file_name) from None
        for group in self.images if self.gives_images() else ():
            if group.channel.value not in [FIRST, *bundle.channels()]:
                raise ValidationError(self.no_channel(bundle, group.channel.value), group.channel)

    def demand(self, bundle: Bundle) -> Tensor:
        """The output that the task is about."""
        kind = {OBJECTS: "labels", IMAGES: "image"}.get(self.task.value, "scores")
        return bundle.demand(kind, self.task.value)

    def run(self, workspace: Any) -> None:
        """One image set."""
        bundle = self.bundle()
        tensor = self.demand(bundle)
        zoom = self.zoom(bundle)
        bundle.start(self.gpu.value)
        image, pixels, scale = self.input(workspace, bundle)
        axes = "czyx" if image.dimensions == 3 else "cyx"
        if self.task.value == CLASSIFY_OBJECTS:
            rows = self.classify_objects(workspace, bundle, tensor, pixels, zoom)
        else:
            if self.task.value == CLASSIFY_IMAGES and image.has_mask:
                lowest = [channel[image.mask].min(initial=channel.max()) for channel in pixels]
                pixels = numpy.stack([numpy.where(image.mask, channel, low) for channel, low in zip(pixels, lowest)])
            found = predict(bundle, pixels, axes, self.tile.value, zoom)
            rows = self.classify_image(workspace, tensor, found[tensor.name]) if self.task.value == CLASSIFY_IMAGES else []
            if self.task.value == OBJECTS:
                self.make_objects(workspace, bundle, image, found[tensor.name])
            if self.gives_images():
                self.make_images(workspace, bundle, image, found, scale)
        if self.show_window:
            workspace.display_data.x_data = image.pixel_data
            workspace.display_data.dimensions = image.dimensions
            workspace.display_data.rows = rows
            workspace.display_data.columns = ["", *tensor.channels]
            workspace.display_data.title = bundle.rdf.get("name", bundle.path.name)

    def input(self, workspace: Any, bundle: Bundle) -> tuple[Any, numpy.ndarray, float]:
        """The first input Image, all channels as (c, y, x) or (c, z, y, x) float32, and what the first was multiplied with."""
        names = [self.x_name.value, *(group.image_name.value for group in self.channels)]
        images = [workspace.image_set.get_image(name) for name in names]
        planes, scale = [], 1.0
        for number, image in enumerate(images):
            pixels = raw_pixels(image) if self.restore.value else numpy.asarray(image.pixel_data, numpy.float32)
            if not number:
                scale = float(image.scale or 1) if self.restore.value else 1.0
            planes += list(numpy.moveaxis(pixels, -1, 0)) if image.multichannel else [pixels]
        if len({plane.shape for plane in planes}) > 1:
            sizes = ", ".join(f"{name} {image.pixel_data.shape}" for name, image in zip(names, images))
            raise BundleError(f"the channels have different sizes ({sizes}): use Crop, Resize or Align first.")
        if len(planes) != len(bundle.input.channels):
            wanted = ", ".join(bundle.input.channels)
            raise BundleError(
                f"{bundle.path.name} takes {len(bundle.input.channels)} channels ({wanted}), and {', '.join(names)} have {len(planes)}: "
                "use ColorToGray, or add channels in RunZooready."
            )
        return images[0], numpy.stack(planes), scale

    def zoom(self, bundle: Bundle) -> float:
        """What y and x are multiplied with for the network, after comparing pixel sizes."""
        size, allowed = self.pixel_um.value, bundle.pixel_um
        if not allowed:
            if size and self.outside.value == RESAMPLE:
                raise BundleError(f"{bundle.path.name} does not say its pixel sizes, so nothing can be resampled: choose {WARN}.")
            return 1.0
        trained = f"{bundle.path.name} was trained for pixels of {allowed[0]:.4g} to {allowed[1]:.4g} µm"
        if not size:
            if self.outside.value == WARN:
                LOGGER.info("%s: tell RunZooready the pixel size, and it will compare.", trained)
                return 1.0
            raise BundleError(f"{trained}, and the pixel size is not given: set it in RunZooready, or choose {WARN}.")
        if allowed[0] * (1 - ROUNDING) <= size <= allowed[1] * (1 + ROUNDING):
            return 1.0
        if self.outside.value == RESAMPLE:
            return float(size / min(max(size, allowed[0]), allowed[1]))
        message = f"{trained}, and these have {size:.4g} µm: results may be poor. Choose {RESAMPLE}."
        if self.outside.value == STOP:
            raise BundleError(message)
        LOGGER.warning(message)
        return 1.0

    def make_objects(self, workspace: Any, bundle: Bundle, image: Any, found: numpy.ndarray) -> None:
        """Objects with their measurements, from a label output (c, y, x) or (c, z, y, x)."""
        by_plane = image.dimensions == 3 and "z" not in bundle.input.axes
        if found.shape[1:] != image.mask.shape:
            raise BundleError(f"the label output has the size {found.shape[1:]}, and the image {image.mask.shape}: use another bundle.")
        labels = as_labels(found[0], image.mask, self.join.value if by_plane else None)
        objects = Objects()
        if labels.ndim == 2 and 1 in labels.shape:  # CellProfiler forgets axes of one pixel, unless it is given coordinates
            objects.set_ijv(numpy.stack([*numpy.nonzero(labels), labels[labels > 0]], axis=1).astype(numpy.int32), labels.shape)
        else:
            objects.segmented = labels
        objects.parent_image = image
        workspace.object_set.add_objects(objects, self.y_name.value)
        self.add_measurements(workspace)
        if self.show_window:
            workspace.display_data.y_data = labels

    def make_images(self, workspace: Any, bundle: Bundle, image: Any, found: dict[str, numpy.ndarray], scale: float) -> None:
        """Output images, with the mask of the input where they have its size."""
        shown = []
        for group in self.images:
            offered = bundle.channels()
            wanted = offered[0] if group.channel.value == FIRST and offered else group.channel.value
            if wanted not in offered:
                raise BundleError(self.no_channel(bundle, group.channel.value))
            name, _, channel = wanted.partition(": ")
            tensor = bundle.output(name)
            pixels = found[name][tensor.channels.index(channel)]
            as_it_is = self.output_scale.value == AS_THEY_ARE or (self.output_scale.value == AUTOMATIC and bundle.is_fraction(tensor))
            if not as_it_is:
                pixels = pixels / numpy.float32(scale)
            parent = image if pixels.shape == image.mask.shape else None
            made = Image(pixels, parent_image=parent, convert=False, dimensions=pixels.ndim, scale=1.0 if as_it_is else scale)
            workspace.image_set.add(group.name.value, made)
            shown.append((group.name.value, pixels))
        if self.show_window:
            workspace.display_data.images = shown

    def no_channel(self, bundle: Bundle, asked: str) -> str:
        """What to say of an output that is not there."""
        return f"{bundle.path.name} has no output image {asked!r}: choose from {', '.join(bundle.channels()) or 'none'}."

    def classify_image(self, workspace: Any, tensor: Tensor, scores: numpy.ndarray) -> list[list[Any]]:
        """Measurements of the image, from (c,) or (z, c)."""
        mean = scores.reshape(-1, scores.shape[-1]).astype(numpy.float64).mean(axis=0)
        for feature, value in zip(self.features(tensor), (*mean, mean.argmax() + 1)):
            workspace.measurements.add_image_measurement(feature, value.item())
        return [[self.x_name.value, *(f"{value:.4g}" for value in mean)]]

    def classify_objects(self, workspace: Any, bundle: Bundle, tensor: Tensor, image: numpy.ndarray, zoom: float) -> list[list[Any]]:
        """Measurements of each object."""
        name = self.objects_name.value
        objects = workspace.object_set.get_objects(name)
        labels = objects.segmented
        if labels.shape != image.shape[1:]:
            raise BundleError(f"{name} has the size {labels.shape}, and the image {image.shape[1:]}: use objects of this image.")
        scores = numpy.full((objects.count, len(tensor.channels)), numpy.nan)
        side = self.side.value or max((bundle.input.sizes.get(axis, 0) for axis in "yx"), default=0)
        for number, piece in pieces(image, labels, side, self.blank.value):
            if labels.ndim == 3 and "z" not in bundle.input.axes:
                areas = (labels == number).sum(axis=(1, 2))
                piece = piece[:, int(areas.argmax()) - int(numpy.flatnonzero(areas)[0])]
            scores[number - 1] = _one(bundle, piece, 0, zoom)[tensor.name]
        best = numpy.where(numpy.isnan(scores).any(axis=1), 0, scores.argmax(axis=1) + 1)
        for feature, values in zip(self.features(tensor), (*scores.T, best)):
            workspace.measurements.add_measurement(name, feature, values)
        return [[str(number), *(f"{value:.4g}" for value in row)] for number, row in enumerate(scores, 1)]

    def features(self, tensor: Tensor) -> list[str]:
        """Names of the measurements: one a class, then that of the best class."""
        classes = [re.sub(r"\W+", "", channel) for channel in tensor.channels]
        classes = classes if len(set(classes)) == len(classes) and all(classes) else [f"Class{k + 1}" for k in range(len(classes))]
        return [f"{CATEGORY}_{self.score_name.value}_{one}" for one in (*classes, "Best")]

    def known_features(self) -> list[str]:
        """Names of the measurements, none while the bundle is not there."""
        try:
            return self.features(self.demand(self.bundle()))
        except BundleError:
            return []

    def measured(self) -> str:
        """What has scores: the image, the objects, or nothing."""
        return {CLASSIFY_IMAGES: IMAGE, CLASSIFY_OBJECTS: self.objects_name.value}.get(self.task.value, "")

    def get_measurement_columns(self, pipeline: Any, object_name: str | None = None) -> list[Any]:
        """Object, name and type of every measurement."""
        if self.task.value == OBJECTS:
            return super().get_measurement_columns(pipeline, object_name)
        features = self.known_features() if self.measured() else []
        kinds = [COLTYPE_FLOAT] * (len(features) - 1) + [COLTYPE_INTEGER]
        return [(self.measured(), feature, kind) for feature, kind in zip(features, kinds)]

    def get_categories(self, pipeline: Any, object_name: str) -> list[str]:
        """Categories of measurements of an object."""
        if self.task.value == OBJECTS:
            return super().get_categories(pipeline, object_name)
        return [CATEGORY] if object_name == self.measured() else []

    def get_measurements(self, pipeline: Any, object_name: str, category: str) -> list[str]:
        """Measurements of one category."""
        if self.task.value == OBJECTS:
            return super().get_measurements(pipeline, object_name, category)
        wanted = object_name == self.measured() and category == CATEGORY
        return [feature.split("_", 1)[1] for feature in self.known_features()] if wanted else []

    def display(self, workspace: Any, figure: Any) -> None:
        """Input beside objects and output images; scores as a table."""
        data = workspace.display_data
        made = [*([("labels", data.y_data)] if self.task.value == OBJECTS else []), *getattr(data, "images", ())]
        figure.set_subplots((1 + len(made) + bool(data.rows), 1), dimensions=data.dimensions)
        figure.subplot_imshow(0, 0, data.x_data, title=self.x_name.value, colormap="gray")
        for place, (name, pixels) in enumerate(made, 1):
            if name == "labels":
                figure.subplot_imshow_labels(
                    place, 0, pixels, title=self.y_name.value, background_image=data.x_data, sharexy=figure.subplot(0, 0)
                )
            else:
                figure.subplot_imshow(place, 0, pixels, title=name, colormap="gray", sharexy=figure.subplot(0, 0))
        if data.rows:
            figure.subplot_table(1 + len(made), 0, data.rows, col_labels=data.columns, title=data.title)
