"""Steps that a bundle asks for outside its network, with the arithmetic of bioimageio.core 0.11.

Statistics of an input are those of the image before its first step, whatever steps come before, since that is how bioimageio.core takes
them; statistics of an output, which it cannot take, are those of the output as the steps before left it. "Statistics of a data set"
(``axes`` left out, or with ``batch`` among them) are those of the one image that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np

from zooready.errors import BundleInvalid
from zooready.records import Array, as_float32
from zooready.tensors import Operator, Tensor

DTYPES = ("float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")
IDS = {"b": "batch", "t": "time", "i": "index", "c": "channel"}  # what bioimageio.spec makes of ids of one letter, in axes and in steps
LARGEST = float(np.finfo(np.float32).max)
EPS = 1e-6  # bioimageio.core 0.11 reads another one for scale_mean_variance only


@dataclass(frozen=True, kw_only=True)
class NamedArray:
    """A tensor, and the ids of its axes."""

    array: Array
    axes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One step on a tensor with axes ``axes``: its kwargs as a stranger wrote them, read as what they have to be."""

    operator: Operator
    tensor: str
    axes: tuple[str, ...]
    lengths: tuple[int, ...]  # of these axes
    source: NamedArray  # what its statistics are taken of

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

    def along_axis(self, key: str, default: float | None = None) -> float | Array:
        """A number, or one for each position along the axis ``axis``, laid along it."""
        value, axis = self.operator.kwargs.get(key), self.axis()
        if not isinstance(value, list):
            return self.number(key, default)
        if not value or not all(map(_is_number, value)):
            raise self.invalid(key, "a list of numbers")
        if axis is None and len(value) == 1:
            return float(value[0])
        if axis is None:
            raise self.invalid("axis", f"one of {', '.join(self.axes)}")
        if len(value) not in (1, length := self.lengths[self.axes.index(axis)]):
            raise self.invalid(key, f"a list of {length} numbers, one for each along {axis}")
        return np.array(value, np.float64).reshape([-1 if name == axis else 1 for name in self.axes])

    def axis(self, default: str | None = None) -> str | None:
        """The id of the step's one axis, ``default`` where it states none."""
        given = self.operator.kwargs.get("axis")
        axis = default if given is None else IDS.get(given, given) if isinstance(given, str) else ""
        if axis is not None and axis not in self.axes:
            raise self.invalid("axis", f"one of {', '.join(self.axes)}")
        return axis

    @property
    def joint(self) -> tuple[str, ...] | None:
        """The axes that statistics are taken over, None for all."""
        axes = self.operator.kwargs.get("axes")
        if axes is None:
            return None
        known = self.source.axes
        axes = [IDS.get(axis, axis) for axis in axes] if isinstance(axes, list) and all(isinstance(axis, str) for axis in axes) else [""]
        if not set(axes) <= set(known) or len(set(axes)) < len(axes):
            raise self.invalid("axes", f"some of {', '.join(known)}")
        if foreign := [axis for axis in known if axis not in axes and axis not in self.axes]:
            raise self.invalid("axes", f"a list with {', '.join(foreign)}, which '{self.tensor}' does not have")
        return tuple(axes)

    @property
    def is_of_data_set(self) -> bool:
        """Whether bioimageio would take the statistics of all images that it has seen."""
        return self.joint is None or "batch" in self.joint

    def statistic(self, function: Callable[[Array, tuple[int, ...] | None], Any], source: NamedArray | None = None) -> Array:
        """``function(array, indices of the joint axes)``, laid along the axes of this step's tensor."""
        source = source or self.source
        if self.joint is None:
            return np.asarray(function(source.array, None))
        value = np.asarray(function(source.array, tuple(source.axes.index(axis) for axis in self.joint)))
        left = [axis for axis in source.axes if axis not in self.joint]
        lengths = dict(zip(left, value.shape, strict=True))
        return value.transpose([left.index(axis) for axis in self.axes if axis in left]).reshape(
            [lengths.get(axis, 1) for axis in self.axes]
        )

    def moments(self, source: NamedArray | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation, summed in float64; of one image in the image's own type, as bioimageio.core has them."""
        mean = self.statistic(lambda array, axes: array.mean(axes, dtype=np.float64), source)
        deviation = self.statistic(lambda array, axes: array.std(axes, dtype=np.float64), source)
        kind = np.float64 if self.is_of_data_set else np.result_type((source or self.source).array, np.float32)
        return mean.astype(kind), deviation.astype(kind)

    def quantile(self, share: float, method: Any) -> Array:
        """The value that this share of the pixels does not exceed; a list of shares makes NumPy interpolate in float64, as xarray does."""
        return self.statistic(lambda array, axes: np.quantile(array, [share], axis=axes, method=method)[0])


def _is_number(value: object) -> TypeGuard[float]:
    """Whether this is a number that float32 holds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _binarize(array: Array, step: _Step) -> Array:
    return np.asarray(array > step.along_axis("threshold"))


def _clip(array: Array, step: _Step) -> Array:
    method = "linear" if step.is_of_data_set else "inverted_cdf"
    for key, bound in (("min", np.maximum), ("max", np.minimum)):
        fixed, percentile = step.optional(key), step.optional(f"{key}_percentile")
        if fixed is not None and percentile is not None:
            raise step.invalid(key, f"left out, or {key}_percentile")
        if fixed is not None:
            array = bound(array, fixed)
        elif percentile is not None:
            array = bound(array, step.quantile(step.percentile(f"{key}_percentile"), method))
    return array


def _ensure_dtype(array: Array, step: _Step) -> Array:
    dtype = step.operator.kwargs.get("dtype")
    if dtype not in DTYPES:
        raise step.invalid("dtype", f"one of {', '.join(DTYPES)}")
    with np.errstate(invalid="ignore"):  # values beyond the type: whatever NumPy makes of them, bioimageio.core has too
        return array.astype(dtype)


def _fixed_zero_mean_unit_variance(array: Array, step: _Step) -> Array:
    mean, deviation = np.asarray(step.along_axis("mean")), np.asarray(step.along_axis("std"))
    if (deviation <= 0).any():
        raise step.invalid("std", "above 0")
    return np.asarray((array - mean) / (deviation + EPS))


def _scale_linear(array: Array, step: _Step) -> Array:
    return array * step.along_axis("gain", 1.0) + step.along_axis("offset", 0.0)


def _scale_mean_variance(array: Array, step: _Step) -> Array:
    eps = step.number("eps", EPS)
    mean, deviation = step.moments(NamedArray(array=array, axes=step.axes))
    wanted_mean, wanted_deviation = step.moments()
    return (array - mean) / (deviation + eps) * (wanted_deviation + eps) + wanted_mean


def _scale_range(array: Array, step: _Step) -> Array:
    low, high = step.percentile("min_percentile", 0.0), step.percentile("max_percentile", 100.0)
    if low >= high:
        raise step.invalid("min_percentile", "below max_percentile")
    lower, upper = step.quantile(low, "linear"), step.quantile(high, "linear")
    return (array - lower) / (upper - lower + EPS)


def _sigmoid(array: Array, step: _Step) -> Array:
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the result the right 0
        return np.asarray(1.0 / (1.0 + np.exp(-array)))


def _softmax(array: Array, step: _Step) -> Array:
    index = step.axes.index(step.axis("channel") or "channel")
    powers = np.exp(array - array.max(index, keepdims=True))
    return np.asarray(powers / powers.sum(index, keepdims=True))


def _zero_mean_unit_variance(array: Array, step: _Step) -> Array:
    mean, deviation = step.moments()
    return np.asarray((array - mean) / (deviation + EPS))


OPERATORS: Mapping[str, Callable[[Array, _Step], Array]] = {
    "binarize": _binarize,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
}
MOMENTS = ("zero_mean_unit_variance", "scale_range", "scale_mean_variance")  # whose result depends on the whole tensor


def axis_ids(tensor: Tensor) -> tuple[str, ...]:
    """Id of each axis, as ``axes`` and ``axis`` of a step name it."""
    return tuple(IDS.get(axis.letter, axis.id or axis.letter) for axis in tensor.details)


def processed(array: Array, tensor: Tensor, inputs: Mapping[str, NamedArray], *, is_input: bool = False) -> Array:
    """An input before, or an output after the network, as the steps of its tensor make it.

    Parameters
    ----------
    array
        With the axes of ``tensor``, batch of one.
    inputs
        The inputs before their first step, by name: what ``reference_tensor`` names.
    is_input
        Whether statistics are those of the array as it comes in, before the first step.

    Returns
    -------
    Array
        The same shape; float32, or what ``ensure_dtype`` as the last step says.

    Raises
    ------
    BundleInvalid
        A step that is not known, a value that it cannot have, or a reference tensor that is no input.
    """
    axes, given = axis_ids(tensor), array
    for operator in tensor.operators:
        if operator.name not in OPERATORS:
            raise BundleInvalid(f"'{tensor.name}' asks for {operator.name}, which is not known here: use bioimageio.core instead.")
        source = NamedArray(array=given if is_input else array, axes=axes)
        step = _Step(operator=operator, tensor=tensor.name, axes=axes, lengths=array.shape, source=source)
        reference = operator.kwargs.get("reference_tensor")
        if operator.name == "scale_mean_variance" or reference not in (None, tensor.name):
            if not isinstance(reference, str) or reference not in inputs:
                raise step.invalid("reference_tensor", f"an input ({', '.join(inputs)})")
            step = replace(step, source=inputs[reference])
        numbers = array.astype(np.float32) if array.dtype == np.bool_ else array
        array = OPERATORS[operator.name](numbers, step)
    return array if tensor.operators and tensor.operators[-1].name == "ensure_dtype" else as_float32(array)


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
    data_set = [tensor.operators[number].name for number in measuring if _is_of_data_set(tensor.operators[number])]
    if data_set and is_many:
        found.append(
            f"{', '.join(data_set)} of '{tensor.name}' asks for statistics of a whole data set: each plane or time point was taken by "
            "itself, so their brightness cannot be compared."
        )
    return found


def _has_percentiles(step: Operator) -> bool:
    return step.name == "clip" and any(step.kwargs.get(f"{end}_percentile") is not None for end in ("min", "max"))


def _is_of_data_set(step: Operator) -> bool:
    axes = step.kwargs.get("axes")
    return axes is None or (isinstance(axes, list) and ("batch" in axes or "b" in axes))
