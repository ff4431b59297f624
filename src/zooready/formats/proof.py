"""Whether a written file computes what the network computes, case by case; :mod:`zooready.images.agreement` is the judge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zooready.errors import OutputsDiffer
from zooready.formats.warned import brief
from zooready.images.agreement import agreement, ranges_of
from zooready.records import Array, Case


def largest_difference(
    expected: Sequence[Case],
    run: Callable[[Array], Sequence[Array]],
    tolerance: float,
    labels: Collection[int] = (),
    names: Sequence[str] = (),
) -> float:
    """Largest difference / range over all cases; range is max - min of that output for the first case, 1 if zero.

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
        if why:
            raise OutputsDiffer(why.rstrip("."))
        largest = max(largest, difference or 0.0)
    return largest
