"""``rdf.yaml``, what a bundle says of itself: read into a Bundle's fields, whoever wrote it; :mod:`zooready.bundle.describing` writes ours.

Nothing else in the house looks at the mapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooready.bundle import stated
from zooready.bundle.found import inside, measured_halo_px, measured_px
from zooready.bundle.parsing import has, listing, mapping
from zooready.errors import BundleInvalid
from zooready.records import TOLERANCE, Bundle, Format
from zooready.tensors import Architecture, Axis, Kind, Operator, StatedWeights, Tensor

KINDS: tuple[Kind, ...] = ("image", "labels", "scores")
LETTERS = {"batch": "b", "channel": "c", "time": "t", "index": "i"}  # by the type of an axis; axes in space go by their id
LOOSEST = 100  # times the default tolerance
OLD_AXES = "bitczyx"  # of format 0.4, in which axes are one word
LARGEST = 2**16  # px of an axis; Fiji's images end at 46,341 squared, and a minimum beyond would be padded to
CREDITS = ("authors", "cite", "tags", "covers", "maintainers")  # lists; of people, and of what they wrote and drew
TEXTS = ("format_version", "name", "description", "license", "documentation", "git_repo")  # what the format has as text


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """Names of the files of one case, as a stranger wrote them."""

    name: str
    input: object
    outputs: Sequence[object]


def letter(type: str, id: str) -> str:
    """The letter of an axis, by its type, and of an axis in space or without a type by its id.

    >>> letter("time", "time"), letter("channel", "channel"), letter("space", "y"), letter("", "batch")
    ('t', 'c', 'y', 'b')
    """
    return LETTERS.get(type or id, id)


def read(rdf: Mapping[str, Any], *, path: Path, folder: Path, formats: Mapping[Format, Path], trusted: bool = False) -> Bundle:
    """A description as a bundle without cases, of format 0.4 or 0.5.

    Values of another kind than the format has do not stop the reading, since few programs read them all: they become ``faults``.

    Raises
    ------
    BundleInvalid
        Outputs, kinds, tolerances or our own part of ``config`` cannot be used.
    """
    config = mapping(rdf.get("config", {}), "config")
    facts = mapping(config.get("zooready", {}), "config.zooready")
    faults: dict[str, str] = {}
    kinds = _kinds(facts)
    outputs = [mapping(tensor, "outputs") for tensor in listing(rdf.get("outputs"), "outputs")]
    inputs = [mapping(tensor, "inputs") for tensor in listing(rdf.get("inputs") or [], "inputs")]
    weights = mapping(rdf.get("weights") or {}, "weights")
    tiling = config.get("deepimagej")
    return Bundle(
        path=path,
        folder=folder,
        formats=formats,
        inputs=tuple(_read_tensor(tensor, f"inputs[{n}]", kinds, faults) for n, tensor in enumerate(inputs)),
        outputs=tuple(_read_tensor(tensor, f"outputs[{n}]", kinds, faults) for n, tensor in enumerate(outputs)),
        cases=(),
        tolerance=_tolerance(path, facts),
        trusted=trusted,
        id=rdf["id"] if isinstance(rdf.get("id"), str) else "",
        name=str(rdf["name"]) if rdf.get("name") is not None else "",
        format_version=str(rdf.get("format_version", "")),
        weights={key: _read_weights(key, entry) for key, entry in weights.items() if isinstance(entry, Mapping)},
        pixel_size_um=stated.length_range(facts.get("pixel_size_um"), stated.PIXEL_SIZE, "µm", faults),
        blur=stated.blur(facts.get("blur_px"), facts.get("blur_shown_px"), faults),
        plane_distance_um=stated.plane_distance_um(facts.get("z_um"), faults),
        limits=stated.limits(facts.get("limits"), faults),
        measured_halo_px=measured_halo_px(facts.get("measured")),
        measured_stride_px=measured_px(facts.get("measured"), "stride", "strides", "tile_step"),
        measured_minimum_px=measured_px(facts.get("measured"), "minimum", "minimums"),
        inside=inside(facts.get("inside")),
        restores=facts.get("restores") is True,
        crop_px=stated.crop_px(facts.get("crop_px"), faults),
        objects=stated.objects(facts.get("objects"), faults),
        known_kind=stated.known_kind(facts.get("kind"), faults),
        texts={key: rdf[key] for key in TEXTS if rdf.get(key) is not None},
        credits={key: rdf[key] for key in CREDITS if rdf.get(key) is not None},
        programs=tuple(map(str, config)),
        allows_tiling=None if tiling is None else isinstance(tiling, Mapping) and tiling.get("allow_tiling") is True,
        faults=faults,
    )


def not_understood(bundle: Bundle) -> Iterator[str]:
    """What stands in the description of inputs and outputs and is no value that the format has there, in words with the cure."""
    for where, fault in bundle.faults.items():
        if not where.startswith("config"):
            yield f"The description cannot be understood ({fault} at {where}): validate it with bioimageio validate-format."


def case_files(rdf: Mapping[str, Any], path: Path) -> tuple[CaseFiles, ...]:
    """The specification's test pair, then the stored cases; none for a network that does not take exactly one input.

    Raises
    ------
    BundleInvalid
        A case lacks a name, its input, or one of its outputs.
    """
    inputs, outputs = test_files(rdf)
    if len(inputs) != 1:
        return ()
    cases = [CaseFiles(name="test", input=inputs[0], outputs=outputs)]
    facts = mapping(mapping(rdf.get("config", {}), "config").get("zooready", {}), "config.zooready")
    for number, entry in enumerate(listing(facts.get("cases", []), "config.zooready.cases")):
        if not has(entry, "name", "input", "outputs") or len(listing(entry["outputs"], "outputs of a case")) != len(outputs):
            raise BundleInvalid(
                f"{path}: config.zooready.cases[{number}] needs a name, an input and {len(outputs)} outputs, each a .npy "
                "inside. Export again."
            )
        cases.append(CaseFiles(name=str(entry["name"]), input=entry["input"], outputs=entry["outputs"]))
    return tuple(cases)


def test_files(rdf: Mapping[str, Any]) -> tuple[list[object], list[object]]:
    """Names of the test inputs and the test outputs, whatever the format version."""
    if "test_inputs" in rdf:
        return list(rdf["test_inputs"]), list(rdf.get("test_outputs") or ())
    return _sources(rdf, "inputs"), _sources(rdf, "outputs")


def _sources(rdf: Mapping[str, Any], side: str) -> list[object]:
    tensors = [mapping(tensor, side) for tensor in listing(rdf.get(side), side)]
    return [mapping(tensor.get("test_tensor"), f"test_tensor of {side}").get("source", "") for tensor in tensors]


def _kinds(facts: Mapping[str, Any]) -> dict[str, Kind]:
    """Kind of each output that ``config.zooready`` names."""
    listed = listing(facts.get("outputs", []), "config.zooready.outputs")
    kinds = {str(entry["id"]): entry["kind"] for entry in listed if has(entry, "id", "kind")}
    unknown = set(map(str, kinds.values())) - set(KINDS)
    if unknown:
        raise BundleInvalid(f"config.zooready.outputs knows kinds {sorted(unknown)}: use {', '.join(KINDS)}.")
    return kinds


def _read_tensor(given: Mapping[str, Any], where: str, kinds: Mapping[str, Kind], faults: dict[str, str]) -> Tensor:
    name, stated = str(given.get("id", given.get("name"))), given.get("axes") or ""
    stated = stated if isinstance(stated, (str, list)) else ""
    entries = [] if isinstance(stated, str) else [(n, entry) for n, entry in enumerate(stated) if isinstance(entry, Mapping)]
    details = tuple(_read_axis(entry, f"{where}.axes[{n}]", faults) for n, entry in entries)
    axes = stated if isinstance(stated, str) else "".join(axis.letter for axis in details)
    letters = list(axes) if isinstance(stated, str) else [axis.letter for axis in details]
    is_wrong = set(letters) - set(OLD_AXES) if isinstance(stated, str) else len(entries) < len(stated)
    if not letters or len(set(letters)) < len(letters) or is_wrong:
        faults[f"{where}.axes"] = f"ValueError: axes are {letters or stated!r}, and each needs a type, an id and a place of its own"
    data = given.get("data") or {}
    described = [entry for entry in (data if isinstance(data, list) else [data]) if isinstance(entry, Mapping)]
    if not described:
        faults[f"{where}.data"] = f"TypeError: data is {data!r}"
    sample = given.get("sample_tensor")
    return Tensor(
        name=name,
        axes=axes,
        details=details,
        kind=kinds.get(name, "image" if "y" in axes and "x" in axes else "scores"),
        channels=next((axis.channels for axis in details if axis.letter == "c"), ()),
        types=tuple(sorted({*(str(entry.get("type", "float32")) for entry in described), str(given.get("data_type", "float32"))})),
        unit=str(data.get("unit") or "") if isinstance(data, Mapping) else "",
        operators=tuple(_read_operators(given, where, faults)),
        sample=str(sample.get("source", "")) if isinstance(sample, Mapping) else "",
    )


def _read_axis(given: Mapping[str, Any], where: str, faults: dict[str, str]) -> Axis:
    def whole(entry: Mapping[str, Any], key: str, least: int, prefix: str = "") -> int | None:
        """A whole number from ``least``; None if absent, or if it is something else, which is a fault."""
        value = entry.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST):
            return value
        faults[f"{where}.{prefix}{key}"] = f"ValueError: {value!r} is no whole number from {least} to {LARGEST}"
        return None

    names, size, scale = given.get("channel_names"), given.get("size"), given.get("scale", 1.0)
    grown = size if isinstance(size, Mapping) else {}
    is_reference = "tensor_id" in grown
    if names is not None and not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        faults[f"{where}.channel_names"] = f"TypeError: channel_names is {names!r}"
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < float("inf"):
        faults[f"{where}.scale"] = f"ValueError: {scale!r} is no positive number"
        scale = 1.0
    return Axis(
        letter=letter(str(given.get("type") or ""), str(given.get("id", ""))),
        id=str(given.get("id", "")),
        type=str(given.get("type") or ""),
        size=None if isinstance(size, Mapping) else whole(given, "size", 1),
        minimum=(whole(grown, "min", 0, "size.") or 0) if isinstance(size, Mapping) and not is_reference else None,
        step=whole(grown, "step", 1, "size."),
        reference=(str(grown["tensor_id"]), str(grown.get("axis_id", ""))) if is_reference else None,
        offset=whole(grown, "offset", -LARGEST, "size.") or 0,
        halo=whole(given, "halo", 0) or 0,
        scale=float(scale),
        channels=tuple(map(str, names)) if isinstance(names, list) else (),
    )


def _read_operators(given: Mapping[str, Any], where: str, faults: dict[str, str]) -> Iterator[Operator]:
    """The steps before an input or behind an output."""
    for key in ("preprocessing", "postprocessing"):
        steps = given.get(key) or []
        for number, step in enumerate(steps if isinstance(steps, list) else [steps]):
            kwargs = step.get("kwargs") or {} if isinstance(step, Mapping) else None
            if isinstance(kwargs, Mapping):
                yield Operator(name=str(step.get("id", step.get("name"))), kwargs=kwargs)
            else:
                faults[f"{where}.{key}[{number}]"] = f"TypeError: {key} has {step!r}"


def _read_weights(key: str, entry: Mapping[str, Any]) -> StatedWeights:
    """Version of PyTorch, opset or TensorFlow, and where the network's class is, in format 0.5 and 0.4 alike."""
    version = entry.get({"onnx": "opset_version", "tensorflow_saved_model_bundle": "tensorflow_version"}.get(key, "pytorch_version"))
    given = entry.get("architecture")
    if isinstance(given, Mapping):
        source, module, name, kwargs = given.get("source"), given.get("import_from"), given.get("callable"), given.get("kwargs")
    else:  # 0.4: "file.py:Class" or "package.module.Class"
        origin, _, name = str(given or "").rpartition(":" if ":" in str(given) else ".")
        source, module, kwargs = (origin, None, entry.get("kwargs")) if origin.endswith(".py") else (None, origin, entry.get("kwargs"))
    if not name:
        return StatedWeights(version=version, parent=str(entry.get("parent") or ""))
    architecture = Architecture(callable=str(name), source=str(source or ""), module=str(module or ""), kwargs=dict(kwargs or {}))
    return StatedWeights(version=version, architecture=architecture, parent=str(entry.get("parent") or ""))


def _tolerance(path: Path, facts: Mapping[str, Any]) -> dict[Format, float]:
    """Largest difference / range for each format: the default, or what the bundle claims within bounds."""
    claimed = mapping(facts.get("tolerance", {}), "config.zooready.tolerance")
    tolerance = dict(TOLERANCE)
    for format, default in TOLERANCE.items():
        value = claimed.get(format, default)
        if not isinstance(value, (int, float)) or not 0 < value <= LOOSEST * default:
            raise BundleInvalid(
                f"{path} claims a tolerance of {value!r} for {format}: a bundle may claim up to {LOOSEST * default:g}, "
                f"{LOOSEST} times the default. Export again with weights that agree."
            )
        tolerance[format] = float(value)
    return tolerance
