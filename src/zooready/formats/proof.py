"""Whether a written file computes what the network computes, case by case; :mod:`zooready.images.agreement` is the judge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from zooready.errors import OutputsDiffer
from zooready.formats.rounding import unsteadiness
from zooready.formats.warned import brief
from zooready.images.agreement import agreement, ranges_of
from zooready.records import Array, Case

if TYPE_CHECKING:
    from torch import nn


def largest_difference(
    expected: Sequence[Case],
    run: Callable[[Array], Sequence[Array]],
    tolerance: float,
    labels: Collection[int] = (),
    names: Sequence[str] = (),
    *,
    network: nn.Module | None = None,
    left_out: list[str] | None = None,
) -> float:
    """Largest difference / range over all cases; the range is that of each channel of an output for the first case.

    See :func:`zooready.images.agreement.ranges_of`: max - min, at least a tenth of the largest magnitude, 1 if that is zero.

    Parameters
    ----------
    expected
        What the eager network returns.
    run
        Runs the file on an image, (b, c, ...) float32.
    tolerance
        Largest difference / range that still agrees.
    labels
        Numbers of the outputs that are label images, compared by objects.
    names
        Of the outputs, for messages; their numbers if empty.
    network
        What gave the cases. A case after the first, in which float32's rounding changes its outputs by more than the tolerance, proves
        nothing about a file: it is passed over, and its name put into ``left_out``.

    Raises
    ------
    OutputsDiffer
        A case cannot be run, or its outputs do not agree.
    """
    count = len(expected[0].outputs)
    kinds = [(name, "labels" if k in labels else "image") for k, name in enumerate(names or [f"output {k}" for k in range(count)])]
    ranges = ranges_of(expected[0])
    largest = 0.0
    for case in expected:
        try:
            outputs = run(case.input)
        except Exception as error:  # whatever an engine raises
            raise OutputsDiffer(f"case '{case.name}' {case.input.shape} fails ({brief(error)})") from error
        difference, why = agreement(case, outputs, kinds, ranges, tolerance)
        if why and network is not None and case is not expected[0] and unsteadiness(network, case, ranges) > tolerance:
            if left_out is not None:
                left_out.append(case.name)
            continue
        if why:
            raise OutputsDiffer(why.rstrip("."))
        largest = max(largest, difference or 0.0)
    return largest
