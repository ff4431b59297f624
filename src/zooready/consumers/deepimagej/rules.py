"""What DeepImageJ 3 (JDLL 0.6) makes of an ``rdf.yaml``: one function for each written rule, which says what, why, and the cure.

Each was seen in JDLL 0.6.1 itself; ``docs/consumers.md`` has the facts. Rules of format 0.5 leave 0.4 alone, whose axes are letters.
"""

from __future__ import annotations

from collections.abc import Iterator

from zooready.bundle.rdf import letter
from zooready.consumers.description_rules import Rule, all_axes, axes, operators, understood
from zooready.records import Array, Bundle

LETTERS = "bitzcyx"
SPELT_OUT = {"batch": "batch", "channel": "channel"}  # JDLL goes by the type of these two
OPERATORS = {
    *("ensure_dtype", "scale_range", "zero_mean_unit_variance", "fixed_zero_mean_unit_variance"),
    *("scale_linear", "clip", "sigmoid", "binarize"),
}
SCALARS = {"fixed_zero_mean_unit_variance": ("mean", "std"), "scale_linear": ("gain", "offset"), "binarize": ("threshold",)}
ELEMENTS = 4096 * 4096 * 3  # of a tile; larger ones never return


def file_name(bundle: Bundle) -> Iterator[str]:
    """JDLL looks for one name only."""
    if not (bundle.folder / "rdf.yaml").is_file():
        yield "the description is not called rdf.yaml, the only name that JDLL looks for: rename it."


def one_input(bundle: Bundle) -> Iterator[str]:
    """The macro refuses more, the window builds only the first."""
    inputs = [tensor.name for tensor in bundle.inputs]
    if len(inputs) != 1:
        yield (
            f"{len(inputs)} inputs ({', '.join(inputs)}), and DeepImageJ runs networks of exactly one: join them as channels of one input."
        )


def has_id(bundle: Bundle) -> Iterator[str]:
    """Absent beside a ``config``, JDLL 0.6 throws a NullPointerException; without a ``config`` it runs."""
    if not bundle.id and bundle.programs:
        yield (
            "no 'id' at the top of rdf.yaml, but a 'config', on which JDLL stops with a NullPointerException: add one, e.g. id: my-network."
        )


def texts(bundle: Bundle) -> Iterator[str]:
    """Cast to String without a look."""
    for key, value in bundle.texts.items():
        if not isinstance(value, str):
            cure = "write a plain, quoted string"
            if key == "documentation" and isinstance(value, dict):
                cure += ", the file's name, and format_version 0.5.10, since later ones refuse that"
            yield f"'{key}' is {value!r}, and JDLL reads it as text only (ClassCastException): {cure}."


def null_kwargs(bundle: Bundle) -> Iterator[str]:
    """Each kwarg goes to a setter that calls a method of it."""
    for step in operators(bundle):
        for key, value in step.kwargs.items():
            if value is None:
                yield f"'{key}' of operator '{step.name}' is null, on which JDLL throws an exception: leave the key out."


def axis_types(bundle: Bundle) -> Iterator[str]:
    """``type`` is compared without a look at whether it is there."""
    for tensor, axis in all_axes(bundle):
        if not axis.type:
            yield (
                f"axis {axis.id!r} of '{tensor}' has no type, on which JDLL stops with a NullPointerException: add type: space (or other)."
            )


def axis_letters(bundle: Bundle) -> Iterator[str]:
    """Only these letters have a place in JDLL's tensors."""
    for tensor, axis in all_axes(bundle):
        name = axis.id or axis.type
        if not (len(name) == 1 and name in LETTERS) and not (name in SPELT_OUT and name == axis.type):
            yield f"axis {name!r} of '{tensor}' is none of JDLL's letters {', '.join(LETTERS)}: call it by its letter, e.g. {name[:1]!r}."


def channel_axes(bundle: Bundle) -> Iterator[str]:
    """Every tensor needs channels, and every channel a name."""
    for tensor in (*bundle.inputs, *bundle.outputs):
        if tensor.axes and not tensor.details:
            continue  # letters, as format 0.4 has them
        channels = [axis for axis in tensor.details if "channel" in (axis.type, axis.id)]
        if not channels:
            yield (
                f"'{tensor.name}' has no channel axis, and JDLL needs one: add type: channel with one name, and a dimension of length 1."
            )
        elif not channels[0].channels:
            yield f"the channel axis of '{tensor.name}' has no channel_names, on which JDLL stops: name each channel."


def minimum(bundle: Bundle) -> Iterator[str]:
    """The patch is rounded down to a multiple of the step, and then found too small."""
    for tensor, axis in axes(bundle.inputs):
        if axis.step and axis.minimum is not None and axis.minimum % axis.step:
            yield (
                f"axis '{axis.id}' of '{tensor}' has min {axis.minimum}, no multiple of its step {axis.step}, so every run fails: "
                "declare {min: 1, step: 1} and pad inside the network."
            )


def halo(bundle: Bundle) -> Iterator[str]:
    """Read from the outputs: equal on y and x, in steps, each referring to an input's axis."""
    steps = {axis.letter: axis.step or 1 for _, axis in axes(bundle.inputs)}
    for tensor in bundle.outputs:
        halos = {axis.letter: axis.halo for axis in tensor.details}
        if halos.get("y", 0) != halos.get("x", 0):
            yield f"'{tensor.name}' has different halos on y and x, and JDLL needs the same: give both the larger one."
        for axis in tensor.details:
            if axis.halo and axis.reference is None:
                yield (
                    f"axis '{axis.id}' of '{tensor.name}' has a halo but a size of its own: refer to the input's axis (tensor_id, axis_id)."
                )
            step = steps.get(axis.letter, 1)
            if axis.halo % step:
                yield f"axis '{axis.id}' of '{tensor.name}' has a halo of {axis.halo}, no multiple of the step {step}: round it up."


def same_size(bundle: Bundle) -> Iterator[str]:
    """JDLL applies the arithmetic of format 0.4 to 0.5: a correct up-scaling halves the image."""
    for tensor, axis in all_axes(bundle):
        if axis.scale != 1:
            yield (
                f"axis '{axis.id}' of '{tensor}' has scale {axis.scale:g}, which JDLL reads the other way round: make the output as large "
                "as the input, leave scale at 1, and write the pixel size elsewhere."
            )
    for tensor, axis in axes(bundle.outputs):
        if axis.offset:
            yield f"axis '{axis.id}' of '{tensor}' has offset {axis.offset}, which JDLL doubles: pad inside the network."
        if axis.minimum is not None:
            yield (f"axis '{axis.id}' of '{tensor}' has a size that depends on the data, which JDLL cannot tile: return the input's size.")


def fixed_ratio(bundle: Bundle) -> Iterator[str]:
    """A fixed output is placed by its ratio to the tile."""
    fixed = {axis.letter: axis.size for _, axis in axes(bundle.inputs) if axis.size}
    for tensor, axis in axes(bundle.outputs):
        taken, size = fixed.get(axis.letter), axis.size
        if taken and size and axis.type == "space" and taken % size and size % taken:
            yield f"axis '{axis.id}' of '{tensor}' is {size} for an input of {taken}, no exact ratio: return the input's size."


def declared_types(bundle: Bundle) -> Iterator[str]:
    """Inputs always arrive as float32, and an output's type must be the declared one."""
    for tensor in (*bundle.inputs, *bundle.outputs):
        for type in tensor.types:
            if type != "float32":
                yield (
                    f"'{tensor.name}' is declared {type}, and Fiji hands over and expects float32: convert inside the network, "
                    "declare float32."
                )


def real_types(bundle: Bundle) -> Iterator[str]:
    """The stored test output shows what the network really returns."""
    if bundle.cases:
        for tensor, array in zip(bundle.outputs, bundle.cases[0].outputs, strict=False):
            if array.dtype != "float32":
                yield (
                    f"'{tensor.name}' really is {array.dtype} (its test tensor), which Fiji does not read as float32: end the network with "
                    ".float()."
                )


def known_operators(bundle: Bundle) -> Iterator[str]:
    """What JDLL has no class for raises."""
    for step in operators(bundle):
        if step.name not in OPERATORS:
            yield f"no '{step.name}' in JDLL: fold it into the network."


def scalar_operators(bundle: Bundle) -> Iterator[str]:
    """Lists per channel raise, or are silently wrong."""
    for step in operators(bundle):
        for key in SCALARS.get(step.name, ()):
            if isinstance(step.kwargs.get(key), list):
                yield f"'{step.name}' has a list as '{key}', which JDLL gets wrong: fold it into the network."
        absent = [key for key in ("min", "max") if step.name == "clip" and step.kwargs.get(key) is None]
        if absent:
            yield f"'clip' has no {' and no '.join(absent)}, and JDLL needs min and max: give both, or fold it into the network."


def normalisation(bundle: Bundle) -> Iterator[str]:
    """Statistics over more than one plane are applied to the wrong pixels (20.9 standard deviations off)."""
    for step in operators(bundle):
        name, listed = step.name, step.kwargs.get("axes")
        letters = [letter("", str(axis)) for axis in listed or ()]
        if name in ("scale_range", "zero_mean_unit_variance") and "b" in letters:
            yield f"'{name}' over the batch axis is misread by JDLL: list the axes [channel, y, x], or fold it into the network."
        elif name == "zero_mean_unit_variance" and listed and _planes(bundle) > 1 and "c" not in letters:
            yield "'zero_mean_unit_variance' plane by plane gives each plane's statistics to all of them in JDLL: fold it into the network."


def rounded_percentiles(bundle: Bundle) -> Iterator[str]:
    """A remark: percentiles are those of single pixels, which matters in small images."""
    if any(step.name == "scale_range" and {"min_percentile", "max_percentile"} & set(step.kwargs) for step in operators(bundle)):
        yield (
            "'scale_range' takes percentiles without interpolation in JDLL, so that numbers differ from Python's (by 0.004 of the range on "
            "64x64, 2.5e-5 on 256x256); folded into the network they would be equal"
        )


def _planes(bundle: Bundle) -> int:
    """Planes of the test input, over all axes but the last two; 1 if unknown."""
    array = bundle.cases[0].input if bundle.cases else None
    return 1 if array is None or array.ndim < 3 else int(array.size / max(1, array.shape[-1] * array.shape[-2]))


def deepimagej_config(bundle: Bundle) -> Iterator[str]:
    """Switches tiling off, and then every {min, step} input fails."""
    if bundle.allows_tiling is False:
        yield "config.deepimagej without allow_tiling: true switches tiling off, and then inputs of variable size fail: leave it out."


def stardist(bundle: Bundle) -> Iterator[str]:
    """These go to another reader."""
    if "stardist" in bundle.name.lower() and "stardist" in bundle.programs:
        yield (
            "the name contains 'stardist' and there is config.stardist, so JDLL opens it as a StarDist model: rename it, or drop that part."
        )


def test_size(bundle: Bundle) -> Iterator[str]:
    """A tile larger than 4096 · 4096 · 3 elements never returns."""
    size = bundle.cases[0].input.size if bundle.cases else 0
    if size > ELEMENTS:
        yield f"the test input has {size} elements, and DeepImageJ hangs above {ELEMENTS}: store a smaller one, and use zooready predict."


def image_size(image: Array) -> Iterator[str]:
    """The same of an image that a user gives."""
    if image.size > ELEMENTS:
        yield f"The image has {image.size} pixels, and DeepImageJ hangs above {ELEMENTS}: use zooready predict."


RULES: tuple[Rule, ...] = (
    understood, file_name, one_input, has_id, texts, null_kwargs, axis_types, axis_letters, channel_axes, minimum, halo, same_size,
    fixed_ratio, declared_types, real_types, known_operators, scalar_operators, normalisation, deepimagej_config, stardist, test_size,
)  # fmt: skip
