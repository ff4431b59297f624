"""
RunZooready
===========

**RunZooready** runs a trained network from a BioImage.IO bundle (one zip file) on your images: it finds objects, restores images,
or classifies images and objects. The results are those that the bundle's authors get in Python.

It needs two packages in the Python of CellProfiler: ``python -m pip install onnxruntime pyyaml``.

|

============ ============ ===============
Supports 2D? Supports 3D? Respects masks?
============ ============ ===============
YES          YES          YES
============ ============ ===============

What do I need as input?
^^^^^^^^^^^^^^^^^^^^^^^^

A bundle that contains ONNX weights, and one image for each channel that the network takes (or one image with all channels). Networks
of bundles normalise images themselves: use images as they were loaded. CellProfiler divides pixels by 255 or 65535 when it loads
images; this module multiplies them again, so that the network gets the camera's original values.

A network for planes runs on each plane of a volume separately. A network for volumes needs images that are processed as 3D.

What do I get as output?
^^^^^^^^^^^^^^^^^^^^^^^^

*Find objects*: objects, from the label image that the network itself computes, with the measurements below, and optionally the
network's other outputs (for example probabilities) as images.

*Make images*: one image for each output channel that you select.

*Classify images*, *Classify objects*: one measurement for each class; for objects, the network
gets a crop of the image around each object.

**Masks**: the network gets the whole image, because it needs the surroundings of an object, but objects end where the mask ends, and
output images keep the mask. For classification, pixels outside the mask are replaced by the smallest value inside.

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
-  The authors of the bundle: see *cite* in its ``rdf.yaml``.
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

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read by ONNX Runtime when it is first imported; it sends telemetry otherwise

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
CORE_SCHEMA = (  # of YAML 1.2: tag, pattern of plain scalars, what they begin with
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", "[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.0123456789")),
)
HARMLESS = ("ensure_dtype",)  # the only step outside the network that does not change float32 pixels
LETTERS = {"batch": "b", "channel": "c", "time": "t", "index": "i"}
LARGEST_NA, WAVELENGTHS_NM = 1.7, (100.0, 3000.0)
MOST = 32  # times that images are enlarged or reduced
ROUNDING = 0.005  # relative tolerance of the range of pixel sizes, because calibrations have few digits
PLANES = 0.05  # difference / distance of planes up to which two distances count as equal
PIECE = 512  # px, side of the crop on which memory is measured
LARGE = 4 * PIECE * PIECE  # pixels; memory is not measured for smaller images
PLACES, BEYOND = 5, 32  # along y and x where a piece is looked for that tries whether tiles give the same, and px of it beyond the halo
SAME = 1e-4  # largest difference / range at which two outputs count as equal
NORMALIZATIONS = ("none", "MeanStd", "FirstMeanStd", "MinMax", "Percentiles")  # as in zooready.prediction.tiled: whose statistics are
LOCAL = ("none", "AsStack", "Sharpened")  # taken of the whole image; heads of pixels
LABELLING = ("Instances", "Peaks", "ClassedInstances")  # and of objects
FLOAT = 1  # in ONNX
VARINT, EIGHT, TEXT, FOUR = 0, 1, 2, 5  # how protobuf stores a field


def amount(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class BundleError(ValueError):
    """A bundle, image or setting cannot be used; the message says why, and what to do."""


class Tensor:
    """An input or output: ``axes`` as letters, ``channels`` by name, ``kind``, fixed ``sizes`` and (min, step) ``steps`` by axis."""

    def __init__(self, description: dict[str, Any], kind: str = "image") -> None:
        axes = [axis for axis in description.get("axes") or () if isinstance(axis, dict)]
        self.name = str(description.get("id", description.get("name", "")))
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
        is_known = len(set(self.axes)) == len(self.axes) == len(axes) and set(self.axes) <= set("bczyx")
        if not is_known or not self.axes.startswith("b") or "c" not in self.axes:
            raise BundleError(
                f"'{self.name}' has axes {self.axes!r}, and this module needs b, c and some of z, y, x: export the bundle again with these."
            )

    @property
    def canonical(self) -> str:
        """The axes without b, in the order c, z, y, x."""
        return "".join(axis for axis in "czyx" if axis in self.axes)


class Bundle:
    """A bundle on disk, read without unpacking it: no file is written, no file outside is opened, only its ONNX graph is run.

    ``halo`` is None if outputs depend on the whole image; ``pixel_um`` is the range of pixel sizes and
    ``plane_um`` the distance of the planes of a stack that the network was trained for (micrometres), or None. ``limits`` are the
    smallest and largest value that it was trained for, by channel of the input, of channels that hold no light, ``diameter_px`` the
    smallest and largest width of the objects that it finds (px), ``blur_px`` the same of the blur that it takes away, or None,
    ``blur_shown_px`` the blur below which images are scaled and the one that the network then sees, and the same above, and
    ``restores`` says whether its results are sharper images.
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
                f"{path.name} has a description that does not follow the BioImage.IO format ({error}): run bioimageio test on it."
            ) from None
        self._session: Any = None
        self._gpu = False
        self._parts: list[Any] | None = None
        self._fractions: dict[str, bool] = {}

    def _understand(self) -> None:
        rdf = self.rdf
        if rdf.get("type", "model") != "model" or not str(rdf.get("format_version", "")).startswith("0.5"):
            raise BundleError("this is not a model in BioImage.IO format 0.5: run bioimageio update-format on it.")
        inputs, outputs = rdf.get("inputs") or [], rdf.get("outputs") or []
        if len(inputs) != 1 or not outputs:
            raise BundleError(f"the network takes {len(inputs)} inputs, but this module provides one: join them as channels of one input.")
        steps = [str(step.get("id")) for tensor in inputs for step in tensor.get("preprocessing") or []]
        steps += [str(step.get("id")) for tensor in outputs for step in tensor.get("postprocessing") or []]
        if unsupported := [step for step in steps if step not in HARMLESS]:
            raise BundleError(
                f"{', '.join(unsupported)} {'lies' if len(unsupported) == 1 else 'lie'} outside the network, but this module runs "
                "only the network: export it with these steps inside."
            )
        zooready = (rdf.get("config") or {}).get("zooready") or {}
        kinds = {str(output["id"]): str(output["kind"]) for output in zooready.get("outputs") or []}
        self.input = Tensor(inputs[0])
        self.outputs = [Tensor(output, kinds.get(str(output.get("id")), _kind_by_axes(output))) for output in outputs]
        measured = zooready.get("measured") or {}
        self.halo = measured["halo"] if isinstance(measured.get("halo"), int) else None
        self.stride = max(1, int(measured.get("stride") or 1))
        steps = [step for key in ("stride", "strides", "tile_step") for step in numpy.ravel(measured.get(key) or 1).tolist()]
        self.step = math.lcm(*(int(step) for step in steps if step > 0))  # tiles begin at its multiples
        self.minimum = max(1, int(numpy.max(measured.get("minimums") or measured.get("minimum") or 1)))
        self.inside = {place: str(part.get("name")) for place, part in (zooready.get("inside") or {}).items()}
        self.pixel_um = tuple(float(size) for size in zooready["pixel_size_um"]) if zooready.get("pixel_size_um") else None
        self.plane_um = float(zooready["z_um"]) if zooready.get("z_um") and "z" in self.input.axes else None
        self.restores = zooready.get("restores") is True
        self.blur_px = tuple(float(side) for side in zooready["blur_px"]) if zooready.get("blur_px") else None
        self.blur_shown_px = [tuple(float(side) for side in pair) for pair in zooready.get("blur_shown_px") or ()]
        known = (zooready.get("objects") or {}).get("diameter_px")
        self.diameter_px = tuple(float(width) for width in known) if known else None
        limits = (zooready.get("limits") or {}).items()
        self.limits = {str(name): (float(low), float(high)) for name, (low, high) in limits}
        if "onnx" not in (rdf.get("weights") or {}):
            formats = ", ".join(map(str, rdf.get("weights") or ())) or "nothing"
            raise BundleError(f"the bundle holds {formats}, but this module runs ONNX: export it with ONNX weights as well.")

    def _description(self) -> dict[str, Any]:
        yaml = _package("yaml", "pyyaml")
        names = [name for name in DESCRIPTIONS if name in self._names()]
        if not names:
            raise BundleError(f"{self.path} has no rdf.yaml at its root: this is no BioImage.IO bundle. Download or export it again.")
        try:
            rdf = yaml.load(self.read(names[0], DESCRIPTION_BYTES).decode("utf-8"), Loader=_yaml_1_2(yaml))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"{self.path}: {names[0]} is not YAML ({str(error)[:200]}). Download or export it again.") from None
        if not isinstance(rdf, dict):
            raise BundleError(f"{self.path}: {names[0]} describes nothing. Download or export it again.")
        return rdf

    def _names(self) -> dict[str, zipfile.ZipInfo]:
        """The files inside by name, after checking that every name is safe."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise BundleError(f"{self.path} is not a readable zip ({error}): download or export it again.") from None
        if len(members) > MEMBERS:
            raise BundleError(f"{self.path} holds {len(members)} files, and at most {MEMBERS} are read: this is not a normal bundle.")
        files: dict[str, zipfile.ZipInfo] = {}
        for info in members:
            member_path = PurePosixPath(info.filename)
            is_plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            if member_path.is_absolute() or ".." in member_path.parts or any(mark in info.filename for mark in "\\:\0\n") or not is_plain:
                raise BundleError(f"{self.path} holds {info.filename!r}, which leads out of the bundle: do not use this file.")
            if str(member_path) in files and not info.is_dir():
                raise BundleError(f"{self.path} holds {info.filename!r} twice: do not use this file.")
            files[str(member_path)] = info
        return files

    def read(self, name: str, limit: int, sha256: object = None) -> bytes:
        """Bytes of one file inside, at most ``limit``, checked against their hash if there is one."""
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
        actual = hashlib.sha256(content).hexdigest()
        if sha256 is not None and actual != str(sha256).lower():
            raise BundleError(
                f"{self.path}: {name} was changed after the bundle was made (sha256 {actual}, rdf.yaml says {str(sha256)[:64]}): "
                "download or export it again."
            )
        return content

    def output(self, name: str) -> Tensor:
        """The output of that name."""
        return next(tensor for tensor in self.outputs if tensor.name == name)

    def channels(self) -> list[str]:
        """Every channel of every output that is an image, as "output: channel"."""
        return [f"{tensor.name}: {channel}" for tensor in self.outputs if tensor.kind == "image" for channel in tensor.channels]

    def demand(self, kind: str, task: str) -> Tensor:
        """The first output of a kind."""
        for tensor in self.outputs:
            if tensor.kind == kind:
                return tensor
        available = ", ".join(f"{tensor.name} ({tensor.kind})" for tensor in self.outputs)
        raise BundleError(f"{self.path.name} cannot do '{task}': it gives {available} and no {kind}. Choose another task or bundle.")

    def is_fraction(self, tensor: Tensor) -> bool:
        """Whether this output lies within 0…1 in the bundle's test output, as probabilities do."""
        if tensor.name not in self._fractions:
            self._fractions[tensor.name] = self._lies_within_one(tensor)
        return self._fractions[tensor.name]

    def _lies_within_one(self, tensor: Tensor) -> bool:
        description = next(output for output in self.rdf["outputs"] if str(output.get("id", output.get("name"))) == tensor.name)
        test = description.get("test_tensor") or {}
        if not test.get("source"):
            return False
        content = self.read(str(test["source"]), ARRAY_BYTES, test.get("sha256"))
        try:
            values = numpy.load(io.BytesIO(content), allow_pickle=False)
        except ValueError as error:
            raise BundleError(f"{self.path}: {test['source']} is not an array of numbers ({error}): export the bundle again.") from None
        return bool(values.size) and float(values.min()) >= 0 and float(values.max()) <= 1

    def start(self, gpu: bool = False) -> None:
        """Load the network, unless it is loaded."""
        if self._session is None:
            self._gpu = gpu
            self._session = self._loaded(self.weights())

    def weights(self) -> bytes:
        """The ONNX file."""
        entry = self.rdf["weights"]["onnx"]
        return self.read(str(entry.get("source")), WEIGHTS_BYTES, entry.get("sha256"))

    def _loaded(self, content: bytes) -> Any:
        onnxruntime = _package("onnxruntime", "onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads()
        providers: list[Any] = ["CPUExecutionProvider"]
        if self._gpu and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise BundleError("ONNX Runtime sees no GPU here: install onnxruntime-gpu in CellProfiler's Python, or set 'Use a GPU?' to No.")
        if self._gpu:
            providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
        try:
            return onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # ONNX Runtime raises many classes of errors
            raise BundleError(f"{self.path}: the ONNX weights do not load ({_brief(error)}): export the bundle again.") from None

    def run(self, image: numpy.ndarray) -> dict[str, numpy.ndarray]:
        """Outputs by name, axes in the order c, z, y, x, for one image (c, z, y, x) or (c, y, x) float32."""
        self.start()
        names = [output.name for output in self._session.get_outputs()]
        declared = [tensor.name for tensor in self.outputs]
        order = declared if sorted(names) == sorted(declared) else names
        arrays = self._computed(self._session, order, {self._session.get_inputs()[0].name: self._batch(image)}, image.shape)
        return self._named(self.outputs, arrays)

    def _batch(self, image: numpy.ndarray) -> numpy.ndarray:
        """An image as the network takes it."""
        axes = self.input.canonical
        batch = image.transpose([axes.index(axis) for axis in self.input.axes[1:]])[numpy.newaxis]
        return numpy.ascontiguousarray(batch, numpy.float32)

    def _computed(self, session: Any, names: list[str], given: dict[str, numpy.ndarray], shape: tuple[int, ...]) -> list[numpy.ndarray]:
        try:
            return list(session.run(names, given))
        except Exception as error:  # as above
            if isinstance(error, MemoryError) or re.search("bad_alloc|alloc.*memory|out of memory", str(error), re.IGNORECASE):
                raise BundleError(_no_room(shape)) from None
            raise BundleError(f"{self.path.name}: the network failed on an image of shape {shape} ({_brief(error)}).") from None

    def _named(self, tensors: list[Tensor], arrays: list[numpy.ndarray]) -> dict[str, numpy.ndarray]:
        """Outputs by name, axes in the order c, z, y, x."""
        results = {}
        for tensor, array in zip(tensors, arrays):
            if array.ndim != len(tensor.axes) or array.shape[tensor.axes.index("c")] != len(tensor.channels):
                raise BundleError(f"{self.path.name} declares '{tensor.name}' with axes {tensor.axes!r} and returned shape {array.shape}.")
            if not numpy.isfinite(array).all():
                raise BundleError(
                    f"{self.path.name}: '{tensor.name}' contains NaN or infinite values for this image. Run zooready check on the "
                    "bundle, and check the image."
                )
            results[tensor.name] = array[0].transpose([tensor.axes[1:].index(axis) for axis in tensor.canonical])
        return results

    def parts(self) -> list[Any]:
        """The network in parts that give the whole's numbers by tiles, as ``zooready predict`` has them; empty if it has none.

        Names of what the normalisation takes from the whole image, the part that takes it, the part that computes the images with it,
        and the part that makes labels of the first of these; None for a part that is not needed.
        """
        if self._parts is None:
            self._parts = self._cut()
        return self._parts

    def _cut(self) -> list[Any]:
        images = [tensor.name for tensor in self.outputs if tensor.kind == "image"]
        labels = [tensor.name for tensor in self.outputs if tensor.kind == "labels"]
        normalization, head = self.inside.get("normalization"), self.inside.get("head")
        is_known = normalization in NORMALIZATIONS and head in (LABELLING if labels else LOCAL)
        is_local = self.halo is not None and not set(self.input.sizes) & {"y", "x"} and all("y" in tensor.axes for tensor in self.outputs)
        is_told = len(images) + len(labels) == len(self.outputs) and len(labels) <= (2 if head == "ClassedInstances" else 1)
        if not is_known or not is_local or not images or not is_told:
            return []
        content = self.weights()
        taken = [] if normalization == "none" else normalising(content)
        if normalization != "none" and not taken:
            return []
        try:
            first = cut(content, [], taken) if taken else None
            network = cut(content, taken, images)
            last = cut(content, images[:1], labels, alone=True) if labels else None
        except ValueError:  # its parts are no parts of this graph
            return []
        return [taken, *(part and self._loaded(part) for part in (first, network, last))]

    def statistics(self, image: numpy.ndarray) -> dict[str, numpy.ndarray]:
        """What the normalisation takes from a whole image, by the name of the graph's tensor."""
        taken, first, _, _ = self.parts()
        arrays = self._computed(first, taken, {first.get_inputs()[0].name: self._batch(image)}, image.shape) if taken else []
        return dict(zip(taken, arrays))

    def images_of(self, window: numpy.ndarray, statistics: dict[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
        """The outputs that are images, of a part of an image with the statistics of all of it."""
        network = self.parts()[2]
        tensors = [tensor for tensor in self.outputs if tensor.kind == "image"]
        name = next(given.name for given in network.get_inputs() if given.name not in statistics)
        given = {name: self._batch(window), **statistics}
        return self._named(tensors, self._computed(network, [tensor.name for tensor in tensors], given, window.shape))

    def labels_of(self, probabilities: numpy.ndarray) -> dict[str, numpy.ndarray]:
        """The label image, and the classes of its objects if it has any, of the whole image's first output (c, y, x); empty without."""
        last, tensors = self.parts()[3], [tensor for tensor in self.outputs if tensor.kind == "labels"]
        if last is None:
            return {}
        of = next(tensor for tensor in self.outputs if tensor.kind == "image")
        batch = probabilities.transpose([of.canonical.index(axis) for axis in of.axes[1:]])[numpy.newaxis]
        given = {of.name: numpy.ascontiguousarray(batch, numpy.float32)}
        return self._named(tensors, self._computed(last, [tensor.name for tensor in tensors], given, probabilities.shape))


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, kind and value of each field of a protobuf message, of which ONNX files are made."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while place < len(message):
        key = varint()
        kind = key & 7
        if kind == VARINT:
            yield key >> 3, kind, varint()
            continue
        if kind not in (EIGHT, TEXT, FOUR):
            raise ValueError(f"fields of kind {kind} are not known")
        size = varint() if kind == TEXT else 8 if kind == EIGHT else 4
        yield key >> 3, kind, message[place : place + size]
        place += size


def _field(number: int, kind: int, value: Any) -> bytes:
    """A field as it is stored."""

    def varint(rest: int) -> bytes:
        stored = bytearray()
        while rest > 127:
            stored.append(rest & 127 | 128)
            rest >>= 7
        return bytes([*stored, rest])

    head = varint(number << 3 | kind)
    return head + varint(value) if kind == VARINT else head + (varint(len(value)) if kind == TEXT else b"") + bytes(value)


def _text(message: memoryview, number: int) -> list[str]:
    """The texts of a field."""
    return [bytes(value).decode() for found, kind, value in _fields(message) if found == number and kind == TEXT]


def _graph(content: bytes) -> memoryview:
    return next(value for number, _, value in _fields(memoryview(content)) if number == 7)


def _needed(node: memoryview) -> set[str]:
    """Names of the tensors that a node takes, and graphs inside it from around them."""
    names = set(_text(node, 1))
    for attribute in (value for number, _, value in _fields(node) if number == 5):
        for graph in (value for number, kind, value in _fields(attribute) if number in (6, 11) and kind == TEXT):
            names.update(*(_needed(inner) for number, _, inner in _fields(graph) if number == 1))
    return names


def cut(content: bytes, inputs: list[str], outputs: list[str], alone: bool = False) -> bytes:
    """The part of an ONNX file that computes some of its float32 tensors, given others, as ``zooready.formats.onnx.cutting`` cuts it.

    ValueError if one of ``inputs`` leads to none of ``outputs``, or, ``alone``, if anything else is needed.
    """
    fields = list(_fields(_graph(content)))
    wanted, nodes = set(outputs), []
    for node in reversed([value for number, _, value in fields if number == 1]):  # in ONNX every node comes after those that it needs
        if not wanted.isdisjoint(set(_text(node, 2)) - set(inputs)):
            nodes.append(node)
            wanted |= _needed(node)
    given = [value for number, _, value in fields if number == 11 and _text(value, 1)[0] in wanted]
    if not set(inputs) <= wanted or (alone and given):
        raise ValueError(f"{', '.join(inputs)} do not give {', '.join(outputs)}")
    tensor = _field(2, TEXT, _field(1, TEXT, _field(1, VARINT, FLOAT)))  # of any shape
    kept = [_field(1, TEXT, node) for node in reversed(nodes)]
    kept += [_field(5, TEXT, value) for number, _, value in fields if number == 5 and set(_text(value, 8)) & (wanted - set(inputs))]
    kept += [_field(11, TEXT, value) for value in given]
    kept += [_field(11, TEXT, _field(1, TEXT, name.encode()) + tensor) for name in inputs]
    kept += [_field(12, TEXT, _field(1, TEXT, name.encode()) + tensor) for name in outputs]
    graph = b"".join([*kept, *(_field(number, kind, value) for number, kind, value in fields if number == 2)])
    others = [_field(*field) for field in _fields(memoryview(content)) if field[0] != 7]
    return b"".join([*others, _field(7, TEXT, graph)])


def normalising(content: bytes) -> list[str]:
    """Names of the tensors that an ONNX file subtracts from the image, in turn, and of the one that it then divides by; or nothing."""
    fields = list(_fields(_graph(content)))
    nodes = [value for number, _, value in fields if number == 1]
    value, names = _text(next(value for number, _, value in fields if number == 11), 1)[0], []
    while True:
        steps = [node for node in nodes if _text(node, 4)[0] in ("Sub", "Div") and _text(node, 1)[0] == value]
        if len(steps) != 1:
            return []
        names.append(_text(steps[0], 1)[1])
        value = _text(steps[0], 2)[0]
        if _text(steps[0], 4) == ["Div"]:
            computed = {name for node in nodes for name in _text(node, 2)}
            return names if set(names) <= computed else []


def threads() -> int:
    """Threads for one network: this process's share of the CPUs if CellProfiler runs several workers, else 0, which means all CPUs."""
    if any(argument.startswith("--work-announce") for argument in sys.argv):
        return max(1, (os.cpu_count() or 1) // max(1, get_max_workers()))
    return 0


_opened: dict[tuple[str, int, int], Bundle] = {}


def opened(path: str) -> Bundle:
    """The bundle at ``path``, read once for all image sets; read again when the file was replaced."""
    try:
        status = Path(path).stat()
    except OSError:
        raise BundleError(f"no bundle {path}: there is no such file. Check the folder and the name in RunZooready.") from None
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _opened:
        _opened.clear()
        _opened[key] = Bundle(Path(path))
    return _opened[key]


def raw_pixels(image: Any) -> numpy.ndarray:
    """The pixels of an Image with the camera's original values, (y, x[, c]) or (z, y, x[, c]) float32.

    CellProfiler stores integers divided by 255, 65535 or the file's own maximum; ``image.scale`` is not always the divisor, so the first
    of the three that gives whole numbers is used, and these are restored without rounding error.
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
    (z, c) for scores. Images with y or x beyond ``side`` px (0: never) are cut into tiles, if tiles give the same values. ``zoom``
    scales y and x for the network, and its outputs back.
    """
    takes_z, has_z = "z" in bundle.input.axes, "z" in axes
    if takes_z and not has_z:
        raise BundleError(f"{bundle.path.name} takes volumes, but this is one plane: load images with 'Process as 3D? Yes'.")
    if not has_z or takes_z:
        return _one(bundle, image, side, zoom)
    stacks = [tensor.name for tensor in bundle.outputs if "z" in tensor.axes]
    if stacks:
        raise BundleError(f"'{stacks[0]}' is a stack for every plane, but this image is already a volume: use one plane.")
    planes = [_one(bundle, image[:, z], side, zoom) for z in range(image.shape[1])]
    return {
        tensor.name: numpy.stack([plane[tensor.name] for plane in planes], axis=1 if "y" in tensor.axes else 0) for tensor in bundle.outputs
    }


def _one(bundle: Bundle, image: numpy.ndarray, side: int, zoom: float) -> dict[str, numpy.ndarray]:
    """Outputs for one input of the network, at the input's size."""
    if zoom == 1.0 and side and max(image.shape[-2:]) > side and bundle.parts():
        return _stitched(bundle, image, side) if _is_as_stated(bundle, image) else whole(bundle, image)
    if zoom == 1.0:
        return _tiled(bundle, image, side) if _tiles(bundle, image, side) else whole(bundle, image)
    size = image.shape[-2:]
    order = 3 if bundle.restores and zoom < 1 else 1  # cubic is sharper, which mrbcr's results need
    scaled = _resized(image, (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))), order)
    outputs = _one(bundle, scaled, side, 1.0)
    return {
        name: _resized(array, size, 0 if bundle.output(name).kind == "labels" else order) if "y" in bundle.output(name).axes else array
        for name, array in outputs.items()
    }


def whole(bundle: Bundle, image: numpy.ndarray) -> dict[str, numpy.ndarray]:
    """Outputs for an image that the network gets at once, padded to a size that it takes and cropped back."""
    axes = bundle.input.canonical
    for axis, size in bundle.input.sizes.items():
        if image.shape[axes.index(axis)] != size:
            raise BundleError(
                f"{bundle.path.name} takes exactly {size} px along {axis}, and the image has {image.shape[axes.index(axis)]}: use Crop or "
                "Resize before."
            )
    margins = []
    for axis, length in zip(axes, image.shape):
        minimum, step = bundle.input.steps.get(axis, (1, 1))
        margins.append((0, max(0, minimum - length) if length <= minimum else -(length - minimum) % step))
    padded = numpy.pad(image, margins, mode="edge")
    _demand_room(bundle, padded)
    results = bundle.run(padded)
    for tensor in bundle.outputs:
        if "y" in tensor.axes and padded.shape != image.shape:
            array = results[tensor.name]
            for axis in set(tensor.canonical) & set(axes) - {"c"}:
                position, padded_length, size = tensor.canonical.index(axis), padded.shape[axes.index(axis)], image.shape[axes.index(axis)]
                array = array.take(range(array.shape[position] * size // padded_length), axis=position)
            results[tensor.name] = array
    return results


def _is_as_stated(bundle: Bundle, image: numpy.ndarray) -> bool:
    """Whether a piece of the image comes out the same when cut by the halo, stride and normalization that the bundle states."""
    margin = -(-int(bundle.halo or 0) // bundle.step) * bundle.step
    inner = -(-max(BEYOND, bundle.minimum) // bundle.step) * bundle.step
    first, stop = bundle.step + margin, bundle.step + inner + 2 * margin
    piece = _varied(image, stop + BEYOND)
    is_cut = [length > stop for length in piece.shape[-2:]]
    window = tuple(slice(bundle.step, stop) if cut else slice(None) for cut in is_cut)
    kept = tuple(slice(first, first + inner) if cut else slice(None) for cut in is_cut)
    place = tuple(slice(margin, margin + inner) if cut else slice(None) for cut in is_cut)
    statistics = bundle.statistics(piece)
    entire, part = (bundle.images_of(given, statistics) for given in (piece, piece[(..., *window)]))
    for name, expected in entire.items():
        wanted, result = expected[(..., *kept)], part[name][(..., *place)]
        room = SAME * float(numpy.ptp(expected)) + 4 * float(numpy.finfo(numpy.float32).eps * numpy.abs(expected).max())
        if result.shape != wanted.shape or numpy.abs(result - wanted).max() > room:
            LOGGER.warning(
                "%s: a piece of '%s' comes out differently when it is cut as the bundle states (its halo, stride or normalization): the "
                "image is run whole. Do not trust what else the bundle states; export or download it again.",
                *(bundle.path.name, name),
            )
            return False
    return True


def _varied(image: numpy.ndarray, side: int) -> numpy.ndarray:
    """Of pieces (..., y, x) spread over an image, the one whose values differ most."""
    starts = [numpy.unique(numpy.linspace(0, max(0, length - side), PLACES).astype(int)) for length in image.shape[-2:]]
    pieces = (image[..., y : y + side, x : x + side] for y in starts[0] for x in starts[1])
    return max(pieces, key=lambda piece: float(piece.std(dtype=numpy.float64)))


def _stitched(bundle: Bundle, image: numpy.ndarray, side: int) -> dict[str, numpy.ndarray]:
    """Outputs of a large image with the values that the whole has: its statistics for each tile, and labels of the stitched image."""
    margin = -(-int(bundle.halo or 0) // bundle.step) * bundle.step
    inner = max(bundle.step, max(side - 2 * margin, side // 4) // bundle.step * bundle.step)
    lengths = image.shape[-2:]
    rows, columns = ([_along(length, first, inner, margin, bundle) for first in range(0, length, inner)] for length in lengths)
    LOGGER.info(
        "%s: the image of %d x %d px is computed in %d tiles of up to %d px, with the values of the whole.",
        *(bundle.path.name, *lengths, len(rows) * len(columns), inner + 2 * margin),
    )
    _demand_room(bundle, image[..., rows[0][1], columns[0][1]])
    statistics = bundle.statistics(image)
    outputs: dict[str, numpy.ndarray] = {}
    for y, window_y in rows:
        for x, window_x in columns:
            for name, array in bundle.images_of(image[..., window_y, window_x], statistics).items():
                if name not in outputs:
                    outputs[name] = numpy.empty((*array.shape[:-2], *lengths), array.dtype)
                inside = (
                    slice(y.start - window_y.start, y.stop - window_y.start),
                    slice(x.start - window_x.start, x.stop - window_x.start),
                )
                outputs[name][..., y, x] = array[(..., *inside)]
    return {**outputs, **bundle.labels_of(next(iter(outputs.values())))}


def _along(length: int, first: int, inner: int, margin: int, bundle: Bundle) -> tuple[slice, slice]:
    """Along one axis, what a tile answers for, and what is computed for it: as in ``zooready.prediction.tiles``."""
    last = min(first + inner, length)
    stop = min(last + margin, length)
    start = min(max(0, first - margin), max(0, stop - bundle.minimum) // bundle.step * bundle.step)
    return slice(first, last), slice(start, stop)


def _tiles(bundle: Bundle, image: numpy.ndarray, side: int) -> bool:
    """Whether to cut into tiles: the image is large, outputs depend only on nearby pixels, and a test on this image confirms it."""
    if not side or max(image.shape[-2:]) <= side:
        return False
    if bundle.halo is None or bundle.input.sizes or any(tensor.kind != "image" or "y" not in tensor.axes for tensor in bundle.outputs):
        LOGGER.info("%s needs the whole image for its outputs: the image is not cut into tiles.", bundle.path.name)
        return False
    margin = _margin(bundle)
    if side <= 2 * margin:
        raise BundleError(f"tiles of {side} px leave nothing after a margin of {margin} px on each side: use at least {4 * margin} px.")
    inner = bundle.stride * max(1, BEYOND // bundle.stride)
    crop = _varied(image, inner + margin + BEYOND).copy()
    before, shifted = whole(bundle, crop), whole(bundle, crop[..., bundle.stride :, bundle.stride :])
    spread = float(numpy.ptp(image)) or 1.0
    crop[..., inner + margin :, :] = float(image.max()) + spread
    crop[..., inner + margin :] = float(image.max()) + spread
    after = whole(bundle, crop)
    later = bundle.stride + margin
    for name, first in before.items():
        if first.shape[-2:] != crop.shape[-2:]:
            return False
        corner, rest, its = ((Ellipsis, cut, cut) for cut in (slice(inner), slice(later, None), slice(margin, None)))
        room = SAME * (float(numpy.ptp(first)) or 1.0)
        if numpy.abs(first[corner] - after[name][corner]).max() > room:
            LOGGER.warning(
                "%s: '%s' depends on pixels farther away than its halo of %d px (it probably normalises by the whole image), so tiles "
                "would change the output: the image is run whole.",
                *(bundle.path.name, name, bundle.halo),
            )
            return False
        if numpy.abs(first[rest] - shifted[name][its]).max(initial=0) > room:
            LOGGER.warning(
                "%s: '%s' changes when the image is moved by its stride of %d px, so tiles would change the output: the image is run "
                "whole.",
                *(bundle.path.name, name, bundle.stride),
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
    outputs: dict[str, numpy.ndarray] = {}
    for top in range(0, height, inner):
        for left in range(0, width, inner):
            y, x = max(0, top - margin), max(0, left - margin)
            tile = whole(bundle, image[..., y : top + inner + margin, x : left + inner + margin])
            for name, array in tile.items():
                if name not in outputs:
                    outputs[name] = numpy.empty((*array.shape[:-2], height, width), array.dtype)
                kept = array[..., top - y : top - y + inner, left - x : left - x + inner]
                outputs[name][..., top : top + inner, left : left + inner] = kept
    return outputs


def _demand_room(bundle: Bundle, image: numpy.ndarray) -> None:
    """Raise BundleError for an image that memory does not suffice for, estimated from a crop, before the system ends the program."""
    if image[0].size <= LARGE:
        return
    import psutil  # a dependency of CellProfiler

    process, planes = psutil.Process(), math.prod(image.shape[1:-2])
    edge = max(64, math.isqrt(PIECE * PIECE // planes) // 64 * 64)
    bundle.run(image[..., :64, :64])
    before = process.memory_info().rss
    bundle.run(image[..., :edge, :edge])
    used = process.memory_info().rss - before  # ONNX Runtime keeps the memory that it used
    needed, free = used * image.size / image[..., :edge, :edge].size, psutil.virtual_memory().available
    if needed > free:
        raise BundleError(f"{_no_room(image.shape)} It would take about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.")


def _no_room(shape: tuple[int, ...]) -> str:
    size = " x ".join(map(str, shape[1:]))
    return f"not enough memory for an image of {size} px: crop it, lower the tile size, run fewer workers, or use a larger machine."


def _resized(array: numpy.ndarray, size: tuple[int, int], order: int) -> numpy.ndarray:
    """An array (..., y, x) with another y and x, interpolated by splines of this order; 0 keeps values, as labels need."""
    from skimage.transform import resize

    if array.shape[-2:] == size:
        return array
    smooth = order > 0 and (size[0] < array.shape[-2] or size[1] < array.shape[-1])
    options = {"order": order, "anti_aliasing": smooth, "mode": "edge", "preserve_range": True}
    planes = [resize(plane, size, **options) for plane in array.reshape(-1, *array.shape[-2:])]
    return numpy.asarray(numpy.stack(planes), numpy.float32).reshape(*array.shape[:-2], *size)


def as_labels(output: numpy.ndarray, mask: numpy.ndarray, overlap: float | None) -> numpy.ndarray:
    """A label image (y, x) or (z, y, x) int32 whose objects are numbered 1…n.

    ``output`` is float32; if ``overlap`` is a number, each plane of a volume is numbered separately, and objects of neighbouring planes
    become one if their intersection / union is at least ``overlap`` (0: never). Pixels outside ``mask`` belong to no object.
    """
    labels = numpy.rint(output).astype(numpy.int64)
    if labels.min(initial=0) < 0 or numpy.abs(output - labels).max(initial=0) > 1e-3:
        raise BundleError("the label output contains values that are not object numbers (0, 1, 2, …): run zooready check on the bundle.")
    if overlap is not None:
        labels = _joined(labels, overlap)
    labels = numpy.where(mask, labels, 0)
    present = numpy.unique(labels)
    numbers = numpy.zeros(int(labels.max(initial=0)) + 1, numpy.int32)
    numbers[present[present > 0]] = numpy.arange(1, (present > 0).sum() + 1)
    return numbers[labels]


def _joined(planes: numpy.ndarray, overlap: float) -> numpy.ndarray:
    """Labels (z, y, x) that differ between planes, except for overlapping objects; each object joins only its best partner."""
    result, last = numpy.zeros_like(planes), 0
    for z, plane in enumerate(planes):
        numbers = numpy.zeros(int(plane.max()) + 1, numpy.int64)
        if z and overlap > 0:
            sizes_above, sizes_here = numpy.bincount(result[z - 1].ravel()), numpy.bincount(plane.ravel())
            pairs, shared = numpy.unique(numpy.stack([result[z - 1].ravel(), plane.ravel()]), axis=1, return_counts=True)
            union = sizes_above[pairs[0]] + sizes_here[pairs[1]] - shared
            joined: set[int] = set()
            for k in numpy.argsort(-shared / union, kind="stable"):
                first, second = (int(pixel_label) for pixel_label in pairs[:, k])
                if first and second and not numbers[second] and first not in joined and shared[k] >= overlap * union[k]:
                    numbers[second] = first
                    joined.add(first)
        for label in numpy.unique(plane[plane > 0]):
            if not numbers[label]:
                last += 1
                numbers[label] = last
        result[z] = numbers[plane]
    return result


def pieces(image: numpy.ndarray, labels: numpy.ndarray, side: int, blank: bool) -> Iterator[tuple[int, numpy.ndarray]]:
    """Each object's number and a crop of the image around its centre.

    ``image`` is (c, y, x) or (c, z, y, x). A crop has ``side`` px along y and x (0: the object's own size) and the object's own length
    along z; beyond the image its edge is repeated. If ``blank``, other objects and the background get the crop's smallest value.
    """
    from scipy.ndimage import find_objects

    for number, box in enumerate(find_objects(labels), 1):
        if box is None:
            continue
        coordinates = []
        for axis, extent in enumerate(box):
            length = labels.shape[axis]
            start, size = extent.start, extent.stop - extent.start
            if side and axis >= labels.ndim - 2:
                start, size = (extent.start + extent.stop - side) // 2, side
            coordinates.append(numpy.clip(numpy.arange(start, start + size), 0, length - 1))
        crop = image[numpy.ix_(range(len(image)), *coordinates)]
        if blank:
            inside = labels[numpy.ix_(*coordinates)] == number
            lowest = crop.reshape(len(crop), -1).min(axis=1).reshape(-1, *(1,) * inside.ndim)
            crop = numpy.where(inside, crop, lowest)
        yield number, crop.astype(numpy.float32)


def _kind_by_axes(description: dict[str, Any]) -> str:
    letters = {axis.get("id") for axis in description.get("axes") or () if isinstance(axis, dict)}
    return "image" if {"y", "x"} <= letters else "scores"


def _package(name: str, pip: str) -> Any:
    """Import a package that CellProfiler does not install itself."""
    try:
        return __import__(name)
    except ImportError as error:
        raise BundleError(f"RunZooready needs {pip} in CellProfiler's Python ({error}): python -m pip install {pip}") from None


def _yaml_1_2(yaml: Any) -> Any:
    """A safe loader that reads plain values as YAML 1.2 does (``on`` is a text, ``1e-05`` a number) and refuses a key that stands twice."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        yaml_implicit_resolvers: dict[str, Any] = {}

    def unique(loader: Any, node: Any) -> dict[Any, Any]:
        keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
        if odd := [key for key in keys if not isinstance(key, str)]:
            raise yaml.YAMLError(f"the key {odd[0]!r} is no text")
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"the key {twice[0]!r} stands there twice")
        return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value)}

    for tag, pattern, first in CORE_SCHEMA:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
    Loader.add_constructor("tag:yaml.org,2002:map", unique)
    return Loader


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


class RunZooready(ImageSegmentation):
    """The module: settings, checks, and the conversion of the network's outputs."""

    category = "Object Processing"
    module_name = "RunZooready"
    variable_revision_number = 2
    doi = {"Please cite the following when using RunZooready:": "https://doi.org/10.1101/2022.06.07.495102"}

    def create_settings(self) -> None:
        """Create every setting with its help."""
        self.x_name = ImageSubscriber(
            "Select the input image",
            doc="The network's input image, as it was loaded. If the network takes several channels, either an image with all "
            "channels, or the first channel: add the others below, in the order that the bundle lists.",
        )
        self.channels: list[SettingsGroup] = []
        self.channel_count = HiddenCount(self.channels)
        self.add_channel = DoSomething("", "Add another channel", self.add_channel_setting)
        self.directory = Directory(
            "Folder of the bundle",
            allow_metadata=False,
            doc="The folder of the bundle. With the default input folder a pipeline is easy to share.",
        )
        self.file_name = Filename(
            "Name of the bundle",
            "bundle.zip",
            get_directory_fn=self.directory.get_absolute_path,
            set_directory_fn=lambda path: self.directory.join_parts(*self.directory.get_parts_from_path(path)),
            browse_msg="Choose a BioImage.IO bundle",
            exts=[("BioImage.IO bundle (*.zip)", "*.zip"), ("All files (*.*)", "*.*")],
            doc="The zip file of a BioImage.IO model with ONNX weights. Do not unpack it.",
        )
        self.task = Choice(
            "What to do",
            [OBJECTS, IMAGES, CLASSIFY_IMAGES, CLASSIFY_OBJECTS],
            doc=f"""\
-  *{OBJECTS}:* the network gives a label image, which becomes objects.
-  *{IMAGES}:* the network gives images, for example restored ones or probabilities.
-  *{CLASSIFY_IMAGES}:* the network gives a score for each class; they become measurements of the image.
-  *{CLASSIFY_OBJECTS}:* the same for a crop of the image around each object; the scores become measurements of the objects.""",
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
            "Keep output images as well?",
            False,
            doc="Select *Yes* to use the network's other outputs, for example probabilities, as images.",
        )
        self.images: list[SettingsGroup] = []
        self.image_count = HiddenCount(self.images)
        self.add_image_setting(can_remove=False)
        self.add_image = DoSomething("", "Add another output image", self.add_image_setting)

    def create_options(self) -> None:
        """Create the settings whose defaults suit most pipelines."""
        self.side = Integer(
            "Size of the piece around an object",
            0,
            minval=0,
            doc=f"*(Used only for {CLASSIFY_OBJECTS})* Pixels along y and x; 0 uses each object's own size. Use the size that the network "
            "was trained with.",
        )
        self.blank = Binary(
            "Hide what is not the object?",
            False,
            doc=f"*(Used only for {CLASSIFY_OBJECTS})* Select *Yes* to replace background and neighbours by the crop's smallest value.",
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
-  *{AUTOMATIC}:* as the network gives them if they lie between 0 and 1 in the bundle's test output (probabilities), else as in
   *{LIKE_INPUT}*.
-  *{LIKE_INPUT}:* divided by the number that the input image was multiplied with, so that restored images compare with their inputs.
-  *{AS_THEY_ARE}:* unchanged. Save such images as 32-bit floating point.""",
        )
        self.tile = Integer(
            "Largest side to run at once",
            2048,
            minval=0,
            doc="Pixels. Larger images are computed in tiles of this side if the bundle says what its network takes from the whole image, "
            "as those of zooready do, or if its outputs depend only on nearby pixels (tested on the image), and run whole otherwise; the "
            "log says which. Values are those of the whole image. 0 never cuts.",
        )
        self.join = Float(
            "Smallest overlap of objects in neighbouring planes",
            0.25,
            minval=0,
            maxval=1,
            doc="*(Used only for volumes and networks that find objects plane by plane)* Objects whose intersection / union is at least "
            "this become one object across the planes; 0 never joins.",
        )
        self.pixel_um = Float(
            "Pixel size of the images in micrometres",
            0.0,
            minval=0,
            doc="Compared with the pixel sizes that the network was trained for; 0 if unknown.",
        )
        self.outside = Choice(
            "If the network was trained for other pixel sizes",
            [WARN, STOP, RESAMPLE],
            doc=f"*{WARN}* continues with a warning; *{STOP}* ends with an error; *{RESAMPLE}* scales images to the middle of the "
            "range, and results back.",
        )
        self.gpu = Binary("Use a GPU?", False, doc="Needs the package onnxruntime-gpu and CUDA.")
        self.diameter = Float(
            "Width of a typical object in pixels",
            0.0,
            minval=0,
            doc=f"*(Used only for {OBJECTS}, and networks that state which sizes they know)* Images are scaled so that such objects have a "
            "size in the middle of those, and results back. 0 leaves images as they are, or as the pixel size says.",
        )

        self.na = Float(
            "Numerical aperture of the objective",
            0.0,
            minval=0,
            doc="*(Used only for networks that take blur away)* With wavelength and pixel size it gives the blur, wavelength / (NA x pixel "
            "size). Images whose blur is near or beyond the ends of the network's range are scaled for it, and back. 0 if unknown.",
        )
        self.wavelength_nm = Float("Emission wavelength in nanometres", 0.0, minval=0, doc="See the numerical aperture; 0 if unknown.")

    def add_channel_setting(self) -> None:
        """Add settings for another input image."""
        group = SettingsGroup()
        group.append("image_name", ImageSubscriber("Select the next channel", doc="The next channel that the network takes."))
        group.append("remover", RemoveSettingButton("", "Remove this channel", self.channels, group))
        self.channels.append(group)

    def add_image_setting(self, can_remove: bool = True) -> None:
        """Add settings for another output image."""
        group = SettingsGroup()
        group.append(
            "channel",
            Choice(
                "Select the output",
                [FIRST],
                choices_fn=self.image_choices,
                doc="The output and its channel, as the bundle names them. The list is filled once a bundle is chosen.",
            ),
        )
        group.append("name", ImageName("Name the output image", "Restored", doc="What the image is called."))
        if can_remove:
            group.append("remover", RemoveSettingButton("", "Remove this image", self.images, group))
        self.images.append(group)

    def image_choices(self, pipeline: Any) -> list[str]:
        """Output channels of the bundle; without a bundle, those that the pipeline file names."""
        try:
            choices = self.bundle().channels()
        except BundleError:
            choices = [group.channel.value for group in self.images if group.channel.value != FIRST]
        return [FIRST, *dict.fromkeys(choices)]

    def settings(self) -> list[Any]:
        """All settings in the order of the pipeline file; counts come before the settings that they count."""
        fixed = [
            *(self.x_name, self.directory, self.file_name, self.task, self.y_name, self.objects_name, self.score_name, self.side),
            *(self.blank, self.restore, self.output_scale, self.tile, self.join, self.pixel_um, self.outside, self.gpu),
            *(self.diameter, self.na, self.wavelength_nm, self.wants_images, self.channel_count, self.image_count),
        ]
        return (
            fixed
            + [group.image_name for group in self.channels]
            + [setting for group in self.images for setting in (group.channel, group.name)]
        )

    def prepare_settings(self, setting_values: list[str]) -> None:
        """Create as many channel and image settings as the pipeline file has."""
        counts = [int(setting_values[self.settings().index(counter)]) for counter in (self.channel_count, self.image_count)]
        for groups, count, add in zip((self.channels, self.images), counts, (self.add_channel_setting, self.add_image_setting)):
            del groups[count:]
            while len(groups) < count:
                add()

    def upgrade_settings(self, setting_values: list[str], variable_revision_number: int, module_name: str) -> tuple[list[str], int]:
        """The settings of older pipeline files: before revision 2 there were neither the width of objects nor the objective."""
        if variable_revision_number == 1:
            place = self.settings().index(self.diameter)
            setting_values = [*setting_values[:place], *["0.0"] * 3, *setting_values[place:]]
        return setting_values, self.variable_revision_number

    def visible_settings(self) -> list[Any]:
        """The settings that apply to the chosen task."""
        task = self.task.value
        visible = [self.x_name]
        for group in self.channels:
            visible += [group.image_name, group.remover]
        visible += [self.add_channel, self.directory, self.file_name, self.task]
        visible += {
            OBJECTS: [self.y_name, self.join],
            IMAGES: [],
            CLASSIFY_IMAGES: [self.score_name],
            CLASSIFY_OBJECTS: [self.objects_name, self.score_name, self.side, self.blank],
        }[task]
        if task in (OBJECTS, CLASSIFY_IMAGES):
            visible += [self.wants_images]
        if self.gives_images():
            for group in self.images:
                visible += group.visible_settings()
            visible += [self.add_image, self.output_scale]
        further = {OBJECTS: [self.diameter], IMAGES: [self.na, self.wavelength_nm]}.get(task, [])
        return visible + [self.restore, self.tile, self.pixel_um, self.outside, *further, self.gpu]

    def help_settings(self) -> list[Any]:
        """Every setting, for the manual."""
        return [setting for setting in self.settings() if not isinstance(setting, HiddenCount)]

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
        """Report errors of ``run`` in the settings already (CellProfiler does not call this when it runs headless)."""
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
        """The output that the task needs."""
        kind = {OBJECTS: "labels", IMAGES: "image"}.get(self.task.value, "scores")
        return bundle.demand(kind, self.task.value)

    def run(self, workspace: Any) -> None:
        """Process one image set."""
        bundle = self.bundle()
        tensor = self.demand(bundle)
        zoom = self.zoom(bundle)
        if not 1 / MOST <= zoom <= MOST:
            raise BundleError(
                f"images would be scaled by {zoom:.3g}: correct the pixel size, width, aperture or wavelength in RunZooready."
            )
        bundle.start(self.gpu.value)
        image, pixels, scale = self.input(workspace, bundle)
        self.compare_planes(bundle, image)
        self.compare_values(bundle, pixels)
        axes = "czyx" if image.dimensions == 3 else "cyx"
        if self.task.value == CLASSIFY_OBJECTS:
            rows = self.classify_objects(workspace, bundle, tensor, pixels, zoom)
        else:
            if self.task.value == CLASSIFY_IMAGES and image.has_mask:
                lowest = [channel[image.mask].min(initial=channel.max()) for channel in pixels]
                pixels = numpy.stack([numpy.where(image.mask, channel, low) for channel, low in zip(pixels, lowest)])
            outputs = predict(bundle, pixels, axes, self.tile.value, zoom)
            rows = self.classify_image(workspace, tensor, outputs[tensor.name]) if self.task.value == CLASSIFY_IMAGES else []
            if self.task.value == OBJECTS:
                self.make_objects(workspace, bundle, image, outputs[tensor.name])
            if self.gives_images():
                self.make_images(workspace, bundle, image, outputs, scale)
        if self.show_window:
            workspace.display_data.x_data = image.pixel_data
            workspace.display_data.dimensions = image.dimensions
            workspace.display_data.rows = rows
            workspace.display_data.columns = ["", *tensor.channels]
            workspace.display_data.title = bundle.rdf.get("name", bundle.path.name)

    def input(self, workspace: Any, bundle: Bundle) -> tuple[Any, numpy.ndarray, float]:
        """The first input Image, all channels as (c, y, x) or (c, z, y, x) float32, and the factor that the first was multiplied with."""
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
            expected = ", ".join(bundle.input.channels)
            raise BundleError(
                f"{bundle.path.name} takes {amount(len(bundle.input.channels), 'channel')} ({expected}), and {', '.join(names)} "
                f"{'has' if len(names) == 1 else 'have'} {len(planes)}: use ColorToGray, or add channels in RunZooready."
            )
        return images[0], numpy.stack(planes), scale

    def zoom(self, bundle: Bundle) -> float:
        """Factor by which y and x are scaled for the network, from the width of objects or from the pixel sizes."""
        if self.task.value == OBJECTS and self.diameter.value:
            return self.zoom_of_objects(bundle)
        if self.task.value == IMAGES and self.na.value and self.wavelength_nm.value:
            return self.zoom_of_blur(bundle)
        size, allowed = self.pixel_um.value, bundle.pixel_um
        if not allowed:
            if size and self.outside.value == RESAMPLE:
                raise BundleError(f"{bundle.path.name} does not state its pixel sizes, so images cannot be resampled: choose {WARN}.")
            return 1.0
        trained = f"{bundle.path.name} was trained for pixels of {allowed[0]:.4g} to {allowed[1]:.4g} µm"
        if not size:
            if self.outside.value == WARN:
                LOGGER.info("%s: set the pixel size in RunZooready to compare it.", trained)
                return 1.0
            raise BundleError(f"{trained}, and the pixel size is not given: set it in RunZooready, or choose {WARN}.")
        if allowed[0] * (1 - ROUNDING) <= size <= allowed[1] * (1 + ROUNDING):
            return 1.0
        if self.outside.value == RESAMPLE:
            return float(size / numpy.sqrt(allowed[0] * allowed[1]))
        message = f"{trained}, but these have {size:.4g} µm: results may be poor. Compare them with those of {RESAMPLE}."
        if self.outside.value == STOP:
            raise BundleError(message)
        LOGGER.warning(message)
        return 1.0

    def zoom_of_objects(self, bundle: Bundle) -> float:
        """Factor by which y and x are scaled, so that objects have a size in the middle of those that the network knows."""
        width = self.diameter.value
        if not bundle.diameter_px:
            raise BundleError(
                f"{bundle.path.name} does not state the sizes of the objects that it finds: set their width in RunZooready to 0."
            )
        return float(numpy.sqrt(bundle.diameter_px[0] * bundle.diameter_px[1]) / width)

    def zoom_of_blur(self, bundle: Bundle) -> float:
        """Factor by which y and x are scaled, so that the network sees a blur that it takes away well; the log says the blur."""
        na, wavelength_nm, pixel_um = self.na.value, self.wavelength_nm.value, self.pixel_um.value
        if not bundle.blur_px:
            raise BundleError(
                f"{bundle.path.name} does not state which blur it takes away: set the numerical aperture in RunZooready to 0."
            )
        if not pixel_um:
            raise BundleError("the blur in pixels follows from the pixel size as well: set it in RunZooready.")
        if na > LARGEST_NA or not WAVELENGTHS_NM[0] <= wavelength_nm <= WAVELENGTHS_NM[1]:
            raise BundleError(
                f"NA {na:g} and {wavelength_nm:g} nm: give the objective's numerical aperture, up to {LARGEST_NA:g}, and the emission "
                f"wavelength in nanometres, {WAVELENGTHS_NM[0]:g} to {WAVELENGTHS_NM[1]:g}."
            )
        if len(bundle.blur_shown_px) != 2:
            raise BundleError(f"{bundle.path.name} does not state which blur is to be shown to it: export it again with today's zooready.")
        low, high = bundle.blur_px
        blur = wavelength_nm / 1000 / na / pixel_um
        (below, sharp), (above, wide) = bundle.blur_shown_px
        zoom = sharp / blur if blur < below else wide / blur if blur > above else 1.0
        LOGGER.info(
            "the images' blur is %.3g px, %s takes away %g to %g px and sees them %.3g times as large.",
            blur,
            bundle.path.name,
            low,
            high,
            zoom,
        )
        return float(zoom)

    def compare_planes(self, bundle: Bundle, image: Any) -> None:
        """Warn, or stop, where the planes of a stack are at another distance than those that the network was trained for."""
        if not bundle.plane_um or image.dimensions != 3:
            return
        trained = f"{bundle.path.name} was trained for planes {bundle.plane_um:.4g} µm apart"
        if not self.pixel_um.value:
            LOGGER.info("%s: set the pixel size in RunZooready, and the relative pixel spacing in NamesAndTypes, to compare it.", trained)
            return
        distance = float(image.spacing[0] / image.spacing[-1]) * self.pixel_um.value
        if abs(distance - bundle.plane_um) <= PLANES * bundle.plane_um:
            return
        message = (
            f"{trained}, but these are {distance:.4g} µm apart by the pixel size in RunZooready and the relative pixel spacing in "
            "NamesAndTypes: correct these if they are wrong; otherwise results may be poor, and z should be rescaled before."
        )
        if self.outside.value == STOP:
            raise BundleError(message)
        LOGGER.warning(message)

    def compare_values(self, bundle: Bundle, pixels: numpy.ndarray) -> None:
        """Warn, or stop, where a channel that holds no light, such as a distance, has values that the network was not trained for."""
        for name, values in zip(bundle.input.channels, pixels):
            low, high = bundle.limits.get(name, (-numpy.inf, numpy.inf))
            smallest, largest = float(values.min()), float(values.max())
            if low <= smallest and largest <= high:
                continue
            message = (
                f"{bundle.path.name} was trained for '{name}' from {low:.6g} to {high:.6g}, but here it goes from {smallest:.6g} to "
                f"{largest:.6g}: where it lies beyond, the result is of no use. Give the channel in that unit, as a 32-bit TIFF."
            )
            if self.outside.value == STOP:
                raise BundleError(message)
            LOGGER.warning(message)

    def make_objects(self, workspace: Any, bundle: Bundle, image: Any, output: numpy.ndarray) -> None:
        """Objects with their measurements, from a label output (c, y, x) or (c, z, y, x)."""
        by_plane = image.dimensions == 3 and "z" not in bundle.input.axes
        if output.shape[1:] != image.mask.shape:
            raise BundleError(f"the label output has the size {output.shape[1:]}, and the image {image.mask.shape}: use another bundle.")
        labels = as_labels(output[0], image.mask, self.join.value if by_plane else None)
        if labels.ndim == 3 and 1 in labels.shape:
            raise BundleError(
                f"the stack has {labels.shape} planes and pixels, and CellProfiler holds no objects in stacks with an axis of length one: "
                "use an image of several planes, or a bundle for planes."
            )
        objects = Objects()
        if labels.ndim == 2 and 1 in labels.shape:  # CellProfiler drops axes of one pixel, except from coordinates
            objects.set_ijv(numpy.stack([*numpy.nonzero(labels), labels[labels > 0]], axis=1).astype(numpy.int32), labels.shape)
        else:
            objects.segmented = labels
        objects.parent_image = image
        workspace.object_set.add_objects(objects, self.y_name.value)
        self.add_measurements(workspace)
        if self.show_window:
            workspace.display_data.y_data = labels

    def make_images(self, workspace: Any, bundle: Bundle, image: Any, outputs: dict[str, numpy.ndarray], scale: float) -> None:
        """Output images, with the mask of the input if they have its size."""
        display = []
        for group in self.images:
            choices = bundle.channels()
            choice = choices[0] if group.channel.value == FIRST and choices else group.channel.value
            if choice not in choices:
                raise BundleError(self.no_channel(bundle, group.channel.value))
            name, _, channel = choice.partition(": ")
            tensor = bundle.output(name)
            pixels = outputs[name][tensor.channels.index(channel)]
            as_it_is = self.output_scale.value == AS_THEY_ARE or (self.output_scale.value == AUTOMATIC and bundle.is_fraction(tensor))
            if not as_it_is:
                pixels = pixels / numpy.float32(scale)
            parent = image if pixels.shape == image.mask.shape else None
            output_image = Image(pixels, parent_image=parent, convert=False, dimensions=pixels.ndim, scale=1.0 if as_it_is else scale)
            workspace.image_set.add(group.name.value, output_image)
            display.append((group.name.value, pixels))
        if self.show_window:
            workspace.display_data.images = display

    def no_channel(self, bundle: Bundle, name: str) -> str:
        """The message for an output that does not exist."""
        return f"{bundle.path.name} has no output image {name!r}: choose from {', '.join(bundle.channels()) or 'none'}."

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
        for number, crop in pieces(image, labels, side, self.blank.value):
            if labels.ndim == 3 and "z" not in bundle.input.axes:
                areas = (labels == number).sum(axis=(1, 2))
                crop = crop[:, int(areas.argmax()) - int(numpy.flatnonzero(areas)[0])]
            scores[number - 1] = _one(bundle, crop, 0, zoom)[tensor.name]
        best = numpy.where(numpy.isnan(scores).any(axis=1), 0, scores.argmax(axis=1) + 1)
        for feature, values in zip(self.features(tensor), (*scores.T, best)):
            workspace.measurements.add_measurement(name, feature, values)
        return [[str(number), *(f"{value:.4g}" for value in row)] for number, row in enumerate(scores, 1)]

    def features(self, tensor: Tensor) -> list[str]:
        """Names of the measurements: one per class, then that of the best class."""
        classes = [re.sub(r"\W+", "", channel) for channel in tensor.channels]
        classes = classes if len(set(classes)) == len(classes) and all(classes) else [f"Class{k + 1}" for k in range(len(classes))]
        return [f"{CATEGORY}_{self.score_name.value}_{class_name}" for class_name in (*classes, "Best")]

    def known_features(self) -> list[str]:
        """Names of the measurements; none without a bundle."""
        try:
            return self.features(self.demand(self.bundle()))
        except BundleError:
            return []

    def measured(self) -> str:
        """The object that has scores: the image, the objects, or nothing."""
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
        """Show the input beside objects and output images, and scores as a table."""
        data = workspace.display_data
        panels = [*([("labels", data.y_data)] if self.task.value == OBJECTS else []), *getattr(data, "images", ())]
        figure.set_subplots((1 + len(panels) + bool(data.rows), 1), dimensions=data.dimensions)
        figure.subplot_imshow(0, 0, data.x_data, title=self.x_name.value, colormap="gray")
        for row, (name, pixels) in enumerate(panels, 1):
            if name == "labels":
                figure.subplot_imshow_labels(
                    row, 0, pixels, title=self.y_name.value, background_image=data.x_data, sharexy=figure.subplot(0, 0)
                )
            else:
                figure.subplot_imshow(row, 0, pixels, title=name, colormap="gray", sharexy=figure.subplot(0, 0))
        if data.rows:
            figure.subplot_table(1 + len(panels), 0, data.rows, col_labels=data.columns, title=data.title)
