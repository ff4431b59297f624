"""What DeepImageJ 3 (JDLL 0.6) makes of an ``rdf.yaml``: one function for each written rule, which says what, why, and the cure.

Each was seen in JDLL 0.6.1 itself; ``docs/consumers.md`` has the facts. Rules of format 0.5 leave 0.4 alone, whose axes are letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zooready.records import Bundle

Rule = Callable[[Bundle], Iterator[str]]
LETTERS = "bitzcyx"
SPELT_OUT = {"batch": "batch", "channel": "channel"}  # JDLL goes by the type of these two
OPERATORS = {
    *("ensure_dtype", "scale_range", "zero_mean_unit_variance", "fixed_zero_mean_unit_variance"),
    *("scale_linear", "clip", "sigmoid", "binarize"),
}
SCALARS = {"fixed_zero_mean_unit_variance": ("mean", "std"), "scale_linear": ("gain", "offset"), "binarize": ("threshold",)}
TEXTS = ("name", "description", "license", "documentation", "git_repo")
ELEMENTS = 4096 * 4096 * 3  # of a tile; larger ones never return


def tensors(bundle: Bundle, side: str) -> list[Mapping[str, Any]]:
    """The inputs or outputs of the description."""
    return [one for one in bundle.rdf.get(side) or () if isinstance(one, Mapping)]


def axes(bundle: Bundle, side: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(tensor, axis) for each axis of format 0.5."""
    for tensor in tensors(bundle, side):
        if isinstance(tensor.get("axes"), list):
            yield from ((name_of(tensor), axis) for axis in tensor["axes"] if isinstance(axis, Mapping))


def operators(bundle: Bundle) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, kwargs) of every pre- and postprocessing step."""
    for side, key in (("inputs", "preprocessing"), ("outputs", "postprocessing")):
        for tensor in tensors(bundle, side):
            for step in tensor.get(key) or ():
                yield str(step.get("id", step.get("name"))), step.get("kwargs") or {}


def name_of(tensor: Mapping[str, Any]) -> str:
    """The tensor's id, in format 0.4 its name."""
    return str(tensor.get("id", tensor.get("name")))


def letters(tensor: Mapping[str, Any]) -> str:
    """The axes of a tensor as letters, e.g. ``"bcyx"``, whatever the format version."""
    axes = tensor.get("axes") or ""
    named = axes if isinstance(axes, str) else [str(axis.get("id", axis.get("type", ""))) for axis in axes]
    return "".join({"batch": "b", "channel": "c"}.get(name, name) for name in named)


def file_name(bundle: Bundle) -> Iterator[str]:
    """JDLL looks for one name only."""
    if not (bundle.folder / "rdf.yaml").is_file():
        yield "the description is not called rdf.yaml, the only name that JDLL looks for: rename it."


def one_input(bundle: Bundle) -> Iterator[str]:
    """The macro refuses more, the window builds only the first."""
    inputs = [name_of(one) for one in tensors(bundle, "inputs")]
    if len(inputs) != 1:
        yield (
            f"{len(inputs)} inputs ({', '.join(inputs)}), and DeepImageJ runs networks of exactly one: join them as channels of one input."
        )


def has_id(bundle: Bundle) -> Iterator[str]:
    """Absent, JDLL 0.6 throws a NullPointerException."""
    if not isinstance(bundle.rdf.get("id"), str) or not bundle.rdf["id"]:
        yield "no 'id' at the top of rdf.yaml, on which JDLL stops with a NullPointerException: add one, e.g. id: my-network."


def texts(bundle: Bundle) -> Iterator[str]:
    """Cast to String without a look."""
    for key in ("format_version", *TEXTS):
        value = bundle.rdf.get(key)
        if value is not None and not isinstance(value, str):
            yield f"'{key}' is {value!r}, and JDLL reads it as text only (ClassCastException): write a plain, quoted string."


def null_kwargs(bundle: Bundle) -> Iterator[str]:
    """Each kwarg goes to a setter that calls a method of it."""
    for name, kwargs in operators(bundle):
        for key, value in kwargs.items():
            if value is None:
                yield f"'{key}' of operator '{name}' is null, on which JDLL throws an exception: leave the key out."


def axis_types(bundle: Bundle) -> Iterator[str]:
    """``type`` is compared without a look at whether it is there."""
    for side in ("inputs", "outputs"):
        for tensor, axis in axes(bundle, side):
            if not axis.get("type"):
                yield (
                    f"axis {axis.get('id')!r} of '{tensor}' has no type, on which JDLL stops with a NullPointerException: add type: "
                    "space (or other)."
                )


def axis_letters(bundle: Bundle) -> Iterator[str]:
    """Only these letters have a place in JDLL's tensors."""
    for side in ("inputs", "outputs"):
        for tensor, axis in axes(bundle, side):
            name, type = axis.get("id", axis.get("type")), axis.get("type")
            if not (isinstance(name, str) and len(name) == 1 and name in LETTERS) and not (type in SPELT_OUT and name == type):
                yield (
                    f"axis {name!r} of '{tensor}' is none of JDLL's letters {', '.join(LETTERS)}: call it by its letter, e.g. "
                    f"{str(name)[:1]!r}."
                )


def channel_axes(bundle: Bundle) -> Iterator[str]:
    """Every tensor needs channels, and every channel a name."""
    for side in ("inputs", "outputs"):
        for tensor in tensors(bundle, side):
            listed = tensor.get("axes")
            if not isinstance(listed, list):
                continue
            channels = [axis for axis in listed if isinstance(axis, Mapping) and "channel" in (axis.get("type"), axis.get("id"))]
            if not channels:
                yield (
                    f"'{name_of(tensor)}' has no channel axis, and JDLL needs one: add type: channel with one name, and a dimension of "
                    "length 1."
                )
            elif not channels[0].get("channel_names"):
                yield f"the channel axis of '{name_of(tensor)}' has no channel_names, on which JDLL stops: name each channel."


def minimum(bundle: Bundle) -> Iterator[str]:
    """The patch is rounded down to a multiple of the step, and then found too small."""
    for tensor, axis in axes(bundle, "inputs"):
        size = axis.get("size")
        if isinstance(size, Mapping) and size.get("step") and int(size.get("min", 0)) % int(size["step"]):
            yield (
                f"axis '{axis.get('id')}' of '{tensor}' has min {size['min']}, no multiple of its step {size['step']}, so every run fails: "
                "declare {min: 1, step: 1} and pad inside the network."
            )


def halo(bundle: Bundle) -> Iterator[str]:
    """Read from the outputs: equal on y and x, in steps, each referring to an input's axis."""
    steps = {axis.get("id"): axis["size"].get("step", 1) for _, axis in axes(bundle, "inputs") if isinstance(axis.get("size"), Mapping)}
    for tensor in tensors(bundle, "outputs"):
        halos = {axis.get("id"): axis for axis in tensor.get("axes") or () if isinstance(axis, Mapping) and axis.get("halo")}
        if {name: axis["halo"] for name, axis in halos.items() if name in ("y", "x")} and len(
            {halos.get(name, {}).get("halo", 0) for name in ("y", "x")}
        ) > 1:
            yield f"'{name_of(tensor)}' has different halos on y and x, and JDLL needs the same: give both the larger one."
        for name, axis in halos.items():
            if not isinstance(axis.get("size"), Mapping) or "tensor_id" not in axis["size"]:
                yield (
                    f"axis '{name}' of '{name_of(tensor)}' has a halo but a size of its own: refer to the input's axis (tensor_id, "
                    "axis_id)."
                )
            step = int(steps.get(name) or 1)
            if int(axis["halo"]) % step:
                yield f"axis '{name}' of '{name_of(tensor)}' has a halo of {axis['halo']}, no multiple of the step {step}: round it up."


def same_size(bundle: Bundle) -> Iterator[str]:
    """JDLL applies the arithmetic of format 0.4 to 0.5: a correct up-scaling halves the image."""
    for side in ("inputs", "outputs"):
        for tensor, axis in axes(bundle, side):
            if float(axis.get("scale", 1)) != 1:
                yield (
                    f"axis '{axis.get('id')}' of '{tensor}' has scale {axis['scale']}, which JDLL reads the other way round: make the "
                    "output as "
                    "large as the input, leave scale at 1, and write the pixel size elsewhere."
                )
            size = axis.get("size")
            if side == "outputs" and isinstance(size, Mapping) and size.get("offset"):
                yield f"axis '{axis.get('id')}' of '{tensor}' has offset {size['offset']}, which JDLL doubles: pad inside the network."
            if side == "outputs" and isinstance(size, Mapping) and "tensor_id" not in size:
                yield (
                    f"axis '{axis.get('id')}' of '{tensor}' has a size that depends on the data, which JDLL cannot tile: return the "
                    "input's size."
                )


def fixed_ratio(bundle: Bundle) -> Iterator[str]:
    """A fixed output is placed by its ratio to the tile."""
    fixed = {axis.get("id"): axis["size"] for _, axis in axes(bundle, "inputs") if isinstance(axis.get("size"), int)}
    for tensor, axis in axes(bundle, "outputs"):
        name, size = axis.get("id"), axis.get("size")
        if isinstance(size, int) and name in fixed and axis.get("type") == "space" and fixed[name] % size and size % fixed[name]:
            yield f"axis '{name}' of '{tensor}' is {size} for an input of {fixed[name]}, no exact ratio: return the input's size."


def declared_types(bundle: Bundle) -> Iterator[str]:
    """Inputs always arrive as float32, and an output's type must be the declared one."""
    for side in ("inputs", "outputs"):
        for tensor in tensors(bundle, side):
            data = tensor.get("data") or {}
            told = [one.get("type", "float32") for one in (data if isinstance(data, list) else [data])]
            for type in {*told, tensor.get("data_type", "float32")} - {"float32"}:
                yield (
                    f"'{name_of(tensor)}' is declared {type}, and Fiji hands over and expects float32: convert inside the network, "
                    "declare float32."
                )


def real_types(bundle: Bundle) -> Iterator[str]:
    """The stored test output shows what the network really returns."""
    if bundle.cases:
        for (name, _), array in zip(bundle.outputs, bundle.cases[0].outputs, strict=False):
            if array.dtype != "float32":
                yield (
                    f"'{name}' really is {array.dtype} (its test tensor), which Fiji does not read as float32: end the network with "
                    ".float()."
                )


def known_operators(bundle: Bundle) -> Iterator[str]:
    """What JDLL has no class for raises."""
    for name, _ in operators(bundle):
        if name not in OPERATORS:
            yield f"no '{name}' in JDLL: fold it into the network."


def scalar_operators(bundle: Bundle) -> Iterator[str]:
    """Lists per channel raise, or are silently wrong."""
    for name, kwargs in operators(bundle):
        for key in SCALARS.get(name, ()):
            if isinstance(kwargs.get(key), list):
                yield f"'{name}' has a list as '{key}', which JDLL gets wrong: fold it into the network."
        absent = [key for key in ("min", "max") if name == "clip" and kwargs.get(key) is None]
        if absent:
            yield f"'clip' has no {' and no '.join(absent)}, and JDLL needs min and max: give both, or fold it into the network."


def normalisation(bundle: Bundle) -> Iterator[str]:
    """Statistics over more than one plane are applied to the wrong pixels (20.9 standard deviations off)."""
    for name, kwargs in operators(bundle):
        listed = kwargs.get("axes")
        letters = [{"batch": "b", "channel": "c"}.get(str(one), str(one)) for one in listed or ()]
        if name == "scale_range" and {"min_percentile", "max_percentile"} & set(kwargs):
            yield (
                "'scale_range' takes percentiles without interpolation in JDLL (0.004 of the range off on 64x64): fold it into the network."
            )
        if name in ("scale_range", "zero_mean_unit_variance") and "b" in letters:
            yield f"'{name}' over the batch axis is misread by JDLL: list the axes [channel, y, x], or fold it into the network."
        elif name == "zero_mean_unit_variance" and listed and _planes(bundle) > 1 and "c" not in letters:
            yield "'zero_mean_unit_variance' plane by plane gives each plane's statistics to all of them in JDLL: fold it into the network."


def _planes(bundle: Bundle) -> int:
    """Planes of the test input, over all axes but the last two; 1 if unknown."""
    array = bundle.cases[0].input if bundle.cases else None
    return 1 if array is None or array.ndim < 3 else int(array.size / max(1, array.shape[-1] * array.shape[-2]))


def deepimagej_config(bundle: Bundle) -> Iterator[str]:
    """Switches tiling off, and then every {min, step} input fails."""
    own = (bundle.rdf.get("config") or {}).get("deepimagej")
    if own is not None and not (isinstance(own, Mapping) and own.get("allow_tiling") is True):
        yield "config.deepimagej without allow_tiling: true switches tiling off, and then inputs of variable size fail: leave it out."


def stardist(bundle: Bundle) -> Iterator[str]:
    """These go to another reader."""
    if "stardist" in str(bundle.rdf.get("name")).lower() and "stardist" in (bundle.rdf.get("config") or {}):
        yield (
            "the name contains 'stardist' and there is config.stardist, so JDLL opens it as a StarDist model: rename it, or drop that part."
        )


def test_size(bundle: Bundle) -> Iterator[str]:
    """A tile larger than 4096 · 4096 · 3 elements never returns."""
    size = bundle.cases[0].input.size if bundle.cases else 0
    if size > ELEMENTS:
        yield f"the test input has {size} elements, and DeepImageJ hangs above {ELEMENTS}: store a smaller one, and use zooready predict."


RULES: tuple[Rule, ...] = (
    file_name, one_input, has_id, texts, null_kwargs, axis_types, axis_letters, channel_axes, minimum, halo, same_size, fixed_ratio,
    declared_types, real_types, known_operators, scalar_operators, normalisation, deepimagej_config, stardist, test_size,
)  # fmt: skip
