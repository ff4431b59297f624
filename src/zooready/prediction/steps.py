"""Steps that a bundle asks for outside its network: read and found possible here, computed by :mod:`zooready.nets.processing`.

Statistics of an input are those of the image before its first step, whatever steps come before, since that is how bioimageio.core takes
them; statistics of an output, which it cannot take, are those of the output as the steps before left it. "Statistics of a data set"
(``axes`` left out, or with ``batch`` among them) are those of the one image that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from zooready.errors import BundleInvalid
from zooready.records import Array, as_float32
from zooready.tensors import Operator, Tensor

if TYPE_CHECKING:
    from zooready.nets.processing import Statistics, Steps

IDS = {"b": "batch", "t": "time", "i": "index", "c": "channel"}  # what bioimageio.spec makes of ids of one letter, in axes and in steps
LARGEST = float(np.finfo(np.float32).max)
EPS = 1e-6  # of every step that states none


@dataclass(frozen=True, kw_only=True)
class NamedArray:
    """A tensor, and the ids of its axes."""

    array: Array
    axes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One step on a tensor with axes ``axes``: its kwargs as a stranger wrote them, read as what they have to be.

    ``lengths`` are those of the axes, by id, as far as they are known; ``source`` are the axes of what statistics are taken of.
    """

    operator: Operator
    tensor: str
    axes: tuple[str, ...]
    lengths: Mapping[str, int]
    source: tuple[str, ...]

    def invalid(self, key: str, wanted: str) -> BundleInvalid:
        """The error for a value of ``kwargs`` that is no ``wanted``."""
        return BundleInvalid(
            f"the description asks for {self.operator.name} of '{self.tensor}' with {key} {self.operator.kwargs.get(key)!r}, and it must "
            f"be {wanted}: correct it in rdf.yaml, or ask whoever made the bundle."
        )

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.operator.kwargs.get(key)
        value = default if value is None else value
        if not _is_number(value):
            raise self.invalid(key, "a number")
        return float(value)

    def optional(self, key: str) -> float | None:
        """A finite number, or None if the step does without."""
        return None if self.operator.kwargs.get(key) is None else self.number(key)

    def percentile(self, key: str, default: float | None = None) -> float:
        """A share from 0 to 1, of a percentile from 0 to 100."""
        value = self.number(key, default)
        if not 0 <= value <= 100:
            raise self.invalid(key, "a percentile from 0 to 100")
        return value / 100

    def along_axis(self, key: str, default: float | None = None) -> float | tuple[float, ...]:
        """A number, or one for each position along the axis ``axis``."""
        value, axis = self.operator.kwargs.get(key), self.axis()
        if not isinstance(value, list):
            return self.number(key, default)
        if not value or not all(map(_is_number, value)):
            raise self.invalid(key, "a list of numbers")
        if axis is None and len(value) == 1:
            return float(value[0])
        if axis is None:
            raise self.invalid("axis", f"one of {', '.join(self.axes)}")
        if len(value) not in (1, length := self.lengths.get(axis, len(value))):
            raise self.invalid(key, f"a list of {length} numbers, one for each along {axis}")
        return tuple(map(float, value))

    def axis(self, default: str | None = None) -> str | None:
        """The id of the step's one axis, ``default`` where it states none."""
        given = self.operator.kwargs.get("axis")
        axis = default if given is None else IDS.get(given, given) if isinstance(given, str) else ""
        if axis is not None and axis not in self.axes:
            raise self.invalid("axis", f"one of {', '.join(self.axes)}")
        return axis

    def position(self, default: str | None = None) -> int | None:
        """The number of that axis."""
        axis = self.axis(default)
        return None if axis is None else self.axes.index(axis)

    def statistics(self, source: tuple[str, ...] | None = None) -> Statistics:
        """What statistics are taken over, of a tensor with the axes ``source``, and where they lie in this step's tensor."""
        from zooready.nets.processing import Statistics  # with PyTorch, which takes seconds

        known = self.source if source is None else source
        given = self.operator.kwargs.get("axes")
        axes: list[str] = list(known)
        if given is not None:
            axes = [str(IDS.get(axis, axis)) if isinstance(axis, str) else "" for axis in given] if isinstance(given, list) else [""]
        if not set(axes) <= set(known) or len(set(axes)) < len(axes):
            raise self.invalid("axes", f"some of {', '.join(known)}")
        if foreign := [axis for axis in known if axis not in axes and axis not in self.axes]:
            raise self.invalid("axes", f"a list with {', '.join(foreign)}, which '{self.tensor}' does not have")
        joint = tuple(axis for axis in axes if axis != "batch")
        return Statistics(axes=known, joint=joint, onto=self.axes, wide=given is None or "batch" in axes)


def _is_number(value: object) -> TypeGuard[float]:
    """Whether this is a number that float32 holds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _binarize(step: _Step) -> dict[str, Any]:
    return {"threshold": step.along_axis("threshold"), "axis": step.position()}


def _clip(step: _Step) -> dict[str, Any]:
    bounds: list[tuple[str, float, Statistics | None]] = []
    for key in ("min", "max"):
        fixed, percentile = step.optional(key), step.optional(f"{key}_percentile")
        if fixed is not None and percentile is not None:
            raise step.invalid(key, f"left out, or {key}_percentile")
        if fixed is not None:
            bounds.append((key, fixed, None))
        elif percentile is not None:
            bounds.append((key, step.percentile(f"{key}_percentile"), step.statistics()))
    return {"bounds": tuple(bounds)}


def _ensure_dtype(step: _Step) -> dict[str, Any]:
    from zooready.nets.processing import DTYPES

    dtype = step.operator.kwargs.get("dtype")
    if dtype not in DTYPES:
        raise step.invalid("dtype", f"one of {', '.join(DTYPES)}")
    return {"dtype": dtype}


def _fixed_zero_mean_unit_variance(step: _Step) -> dict[str, Any]:
    mean, deviation = step.along_axis("mean"), step.along_axis("std")
    if (np.asarray(deviation) <= 0).any():
        raise step.invalid("std", "above 0")
    return {"mean": mean, "std": deviation, "axis": step.position()}


def _scale_linear(step: _Step) -> dict[str, Any]:
    return {"gain": step.along_axis("gain", 1.0), "offset": step.along_axis("offset", 0.0), "axis": step.position()}


def _scale_mean_variance(step: _Step) -> dict[str, Any]:
    return {"own": step.statistics(step.axes), "wanted": step.statistics(), "eps": step.number("eps", EPS)}


def _scale_range(step: _Step) -> dict[str, Any]:
    low, high = step.percentile("min_percentile", 0.0), step.percentile("max_percentile", 100.0)
    if low >= high:
        raise step.invalid("min_percentile", "below max_percentile")
    return {"low": low, "high": high, "statistics": step.statistics()}


READERS: Mapping[str, Callable[[_Step], dict[str, Any]]] = {  # what each operator's function takes
    "binarize": _binarize,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": lambda step: {},
    "softmax": lambda step: {"axis": step.position("channel")},
    "zero_mean_unit_variance": lambda step: {"statistics": step.statistics()},
}
MOMENTS = ("zero_mean_unit_variance", "scale_range", "scale_mean_variance")  # whose result depends on the whole tensor


def axis_ids(tensor: Tensor) -> tuple[str, ...]:
    """Id of each axis, as ``axes`` and ``axis`` of a step name it."""
    return tuple(IDS.get(axis.letter, axis.id or axis.letter) for axis in tensor.details)


def steps_of(
    tensor: Tensor, inputs: Mapping[str, tuple[str, ...]], *, lengths: Mapping[str, int] | None = None, is_input: bool = False
) -> Steps:
    """The steps of an input before, or of an output after the network, as a module.

    Parameters
    ----------
    inputs
        The ids of the axes of each input, by name: what ``reference_tensor`` names.
    lengths
        Those of the tensor's axes, by id, as far as they are known, px.
    is_input
        Whether statistics are those of the array as it comes in, before the first step.

    Raises
    ------
    BundleInvalid
        A step that is not known, a value that it cannot have, or a reference tensor that is no input.
    """
    from zooready.nets.processing import Step, Steps

    axes, steps = axis_ids(tensor), []
    for operator in tensor.operators:
        if operator.name not in READERS:
            raise BundleInvalid(f"'{tensor.name}' asks for {operator.name}, which is not known here: use bioimageio.core instead.")
        step = _Step(operator=operator, tensor=tensor.name, axes=axes, lengths=lengths or {}, source=axes)
        named = operator.kwargs.get("reference_tensor")
        is_other = operator.name == "scale_mean_variance" or named not in (None, tensor.name)
        if is_other:
            if not isinstance(named, str) or named not in inputs:
                raise step.invalid("reference_tensor", f"an input ({', '.join(inputs)})")
            step = _Step(operator=operator, tensor=tensor.name, axes=axes, lengths=lengths or {}, source=inputs[named])
        reference = str(named) if is_other else ""
        steps.append(Step(operator=operator.name, values=READERS[operator.name](step), reference=reference))
    return Steps(steps, of_given=is_input)


def processed(array: Array, tensor: Tensor, inputs: Mapping[str, NamedArray], *, is_input: bool = False) -> Array:
    """An input before, or an output after the network, as the steps of its tensor make it.

    Parameters
    ----------
    array
        With the axes of ``tensor``, batch of one.
    inputs
        The inputs before their first step, by name: what ``reference_tensor`` names.
    is_input
        As for :func:`steps_of`.

    Returns
    -------
    Array
        The same shape; float32, or what ``ensure_dtype`` as the last step says.

    Raises
    ------
    BundleInvalid
        As :func:`steps_of`.
    """
    if not tensor.operators:
        return as_float32(array)
    axes = {name: source.axes for name, source in inputs.items()}
    steps = steps_of(tensor, axes, lengths=dict(zip(axis_ids(tensor), array.shape, strict=True)), is_input=is_input)
    import torch

    with torch.no_grad():
        given = {name: torch.from_numpy(np.ascontiguousarray(source.array)) for name, source in inputs.items()}
        result: Array = steps(torch.from_numpy(np.ascontiguousarray(array)), given).numpy()
    last = tensor.operators[-1]
    return result.astype(last.kwargs["dtype"]) if last.name == "ensure_dtype" else as_float32(result)


def notes(tensor: Tensor, *, is_many: bool, is_input: bool = False) -> list[str]:
    """What to know of the steps of an input or output before trusting them.

    Parameters
    ----------
    tensor
        The input or output.
    is_many
        Whether one image gives several inputs.
    is_input
        As for :func:`processed`.
    """
    found = []
    measuring = [number for number, step in enumerate(tensor.operators) if step.name in MOMENTS or _has_percentiles(step)]
    changing = [number for number, step in enumerate(tensor.operators) if step.name != "ensure_dtype"]
    if is_input and measuring and changing[0] < measuring[-1]:
        last, first = tensor.operators[measuring[-1]].name, tensor.operators[changing[0]].name
        found.append(
            f"{last} of '{tensor.name}' uses statistics of the image before {first}, as bioimageio does; other programs may take those "
            "after it: compare with zooready check."
        )
    for step in tensor.operators:
        if step.name in ("scale_range", "zero_mean_unit_variance") and step.kwargs.get("eps", EPS) != EPS:
            found.append(
                f"{step.name} of '{tensor.name}' asks for eps {step.kwargs['eps']}, and {EPS:g} was used, as bioimageio.core does whatever "
                "the description says: nearly constant images may differ in other programs."
            )
    if (data_set := of_data_set(tensor)) and is_many:
        found.append(
            f"{', '.join(data_set)} of '{tensor.name}' asks for statistics of a whole data set: each plane or time point was taken by "
            "itself, so their brightness cannot be compared."
        )
    return found


def of_data_set(tensor: Tensor) -> list[str]:
    """Names of the steps that ask for statistics of a whole data set."""
    measuring = (step for step in tensor.operators if step.name in MOMENTS or _has_percentiles(step))
    return [step.name for step in measuring if _is_of_data_set(step)]


def _has_percentiles(step: Operator) -> bool:
    return step.name == "clip" and any(step.kwargs.get(f"{end}_percentile") is not None for end in ("min", "max"))


def _is_of_data_set(step: Operator) -> bool:
    axes = step.kwargs.get("axes")
    return axes is None or (isinstance(axes, list) and ("batch" in axes or "b" in axes))
