"""One cell of a check: a consumer and a format become a verdict, with the outputs behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zooready.bundle.fitting import misfits
from zooready.comparison.off_step import off_step, words
from zooready.comparison.user_images import UserImage
from zooready.consumers.description_rules import is_harmless, operators
from zooready.errors import BundleInvalid, ConsumerFailed, ConsumerMissing, OutputsDiffer, ZooreadyError, amount
from zooready.images.agreement import NOT_FINITE, agreement, ranges_of
from zooready.processes import within
from zooready.records import Array, Bundle, Format, Status, Verdict, as_float32


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one cell gave: outputs for each image of each variant, or why not. ``format`` is None if nothing inside can be read.

    An image's outputs are None where the program could not be handed the image.
    """

    consumer: str
    format: Format | None
    verdict: Verdict
    outputs: Mapping[str, list[tuple[Array, ...] | None]]


def cells(module: Any, bundle: Bundle, named: bool) -> Iterator[tuple[Any, Format | None]]:
    """The formats that a consumer reads; if there is none, one cell where it was asked for or is judged by rules."""
    formats = [format for format in module.READS if format in bundle.formats]
    yield from ((module, format) for format in formats)
    if not formats and (named or _by_rules(module)):
        yield module, None


def result(module: Any, format: Format | None, bundle: Bundle, extra: Sequence[UserImage]) -> Result:
    """One cell: rules first, then the program."""
    started = time.monotonic()
    outputs: dict[str, list[tuple[Array, ...] | None]] = {}
    opens_files = getattr(module, "OPENS_FILES", False)
    beside = off_step(bundle) if format and getattr(module, "CUTS_TILES", False) and not module.missing() else None
    stored = [as_float32(case.input) for case in (*bundle.cases, *filter(None, [beside]))]
    images = [*stored, *(one.path if opens_files and one.path else one.array for one in extra)]
    late = ConsumerFailed(
        f"The bundle was not scanned by the rules of {module.NAME} within its time limit of {bundle.time_limit_s} s, so it did not run: "
        "give it more time."
    )
    try:
        with within(bundle.time_limit_s, late):
            status, why, difference = _before(module, format, bundle, extra)
        if status is None and format is not None:
            for variant in getattr(module, "VARIANTS", (None,)):
                options = {} if variant is None else {"variant": variant}
                outputs[variant or ""] = list(module.run(bundle, format, images, **options))
            status, why, difference = _judge_all(bundle, format, outputs)
            if beside and status == "passed":
                why += words(bundle, beside, list(outputs.values())[-1][len(bundle.cases)], bundle.tolerance[format])
            noticed = list(module.remarks(bundle)) if status == "passed" and hasattr(module, "remarks") else []
            why = f"{why} Its user will notice: {'; '.join(noticed)}." if noticed else why
    except ZooreadyError as error:
        status, why, difference = _status_of(error), str(error), None
    ran = bool(outputs) or status == "failed"
    verdict = Verdict(
        consumer=module.NAME,
        format=format,
        status=status or "passed",
        level=module.LEVEL if ran else "rules",
        why=why,
        difference=difference,
        tolerance=bundle.tolerance[format] if format else None,
        cases=tuple(
            case.name for n, case in enumerate(bundle.cases) if outputs and all(arrays[n] is not None for arrays in outputs.values())
        ),
        versions=module.versions() if ran or status == "passed" else {},
        seconds=time.monotonic() - started,
    )
    return Result(consumer=module.NAME, format=format, verdict=verdict, outputs=outputs)


def _before(module: Any, format: Format | None, bundle: Bundle, extra: Sequence[UserImage]) -> tuple[Status | None, str, None]:
    """What is known without running anything: a status with its reason, or None when it has to run."""
    try:
        objections = [*dict.fromkeys([*_common_objections(module, bundle), *module.objections(bundle, format)])]
        if hasattr(module, "image_objections"):
            objections += [objection for image in extra for objection in module.image_objections(image.array)]
    except (TypeError, ValueError, AttributeError, LookupError) as error:  # a stranger wrote the description, and a rule stumbled
        objections = [
            f"The description cannot be understood ({type(error).__name__}: {error}): validate it with bioimageio validate-format."
        ]
    if format is None and not objections:
        reads, holds = " or ".join(module.READS), ", ".join(bundle.formats)
        objections = [f"{module.NAME} reads {reads}, and this bundle holds {holds}: export it with {reads} as well."]
    if objections:
        return "refused", " ".join(objections), None
    if format == "state_dict" and not bundle.trusted:
        return "untrusted", "A state dict runs the Python that the bundle brings along: read it, then use trust_code=True.", None
    absent = module.missing() or (module.beyond_engine(bundle) if hasattr(module, "beyond_engine") else None)
    if absent and not _by_rules(module):
        return "missing", absent, None
    if absent or not hasattr(module, "run"):
        remarks = list(module.remarks(bundle)) if hasattr(module, "remarks") else []
        summary = "; ".join(["No written rule is broken; the program itself did not run", *remarks])
        return "passed", f"{summary}. To run it: {absent}" if absent else f"{summary}.", None
    return None, "", None


def _by_rules(module: Any) -> bool:
    """Whether rules are the judge where the program is not here."""
    return not hasattr(module, "run") or getattr(module, "BY_RULES", False)


def _common_objections(module: Any, bundle: Bundle) -> Iterator[str]:
    """A description that fits its arrays, finite expectations, and one raw input for programs that run the bare network."""
    yield from misfits(bundle)
    broken = [
        (name, case.name, expected)
        for case in bundle.cases
        for (name, _), expected in zip(bundle.kinds, case.outputs, strict=True)
        if not np.isfinite(expected).all()
    ]
    if broken:
        name, case, expected = broken[0]
        bad = int(expected.size - np.isfinite(expected).sum())
        others = f" (and {len(broken) - 1} other stored outputs)" if len(broken) > 1 else ""
        yield (
            f"The stored output '{name}' of case '{case}'{others} holds {bad} of {expected.size} values that are NaN or infinite, so "
            "nothing can agree with it: make the network finite on that input (no division by zero), and export again."
        )
    if getattr(module, "APPLIES_OPERATORS", False):
        return
    if not bundle.cases:
        yield (f"The network takes {len(bundle.inputs)} inputs, and {module.NAME} is handed exactly one: join them as channels.")
    names = sorted({step.name for step in operators(bundle) if not is_harmless(step)})
    if names:
        yield (
            f"The bundle leaves {', '.join(names)} to whoever runs it, and {module.NAME} runs the bare network: fold it into the network, "
            "or see what bioimageio says."
        )


def _status_of(error: ZooreadyError) -> Status:
    if isinstance(error, OutputsDiffer):
        return "differs"
    if isinstance(error, BundleInvalid):
        return "refused"
    return "missing" if isinstance(error, ConsumerMissing) else "failed"


def _judge_all(bundle: Bundle, format: Format, outputs: Mapping[str, list[tuple[Array, ...] | None]]) -> tuple[Status, str, float | None]:
    """Status, reason and largest difference over all cases of all variants."""
    largest: float | None = None
    ranges = ranges_of(bundle.cases[0], [output.axes for output in bundle.outputs]) if bundle.cases else ()
    for variant, results in outputs.items():
        faults = {}
        for case, arrays in zip(bundle.cases, results, strict=False):
            if arrays is None:
                continue
            difference, why = agreement(case, arrays, bundle.kinds, ranges, bundle.tolerance[format])
            largest = max((number for number in (largest, difference) if number is not None), default=None)
            if why:
                faults[case.name] = why
        if faults:
            return "differs", f"{variant + ': ' if variant else ''}{' '.join(list(faults.values())[:2])} {_cure(bundle, faults)}", largest
    if not bundle.cases:
        return "passed", "Its own test passed; with several inputs nothing else is compared.", None
    if len(bundle.cases) == 1:
        size = "x".join(map(str, bundle.cases[0].input.shape))
        return "passed", f"Formats agree on the test pair ({size}); the bundle stores no other case, so other sizes are unproven.", largest
    skipped = [case.name for n, case in enumerate(bundle.cases) if any(results[n] is None for results in outputs.values())]
    if len(skipped) == len(bundle.cases):
        return "failed", "None of the stored images can be handed to it (it takes one image at a time): store one of batch 1.", None
    but = f", all but {', '.join(skipped)}, which it cannot be handed" if skipped else ""
    return "passed", f"Equal to the stored outputs in {amount(len(bundle.cases) - len(skipped), 'case')}{but}.", largest


def _cure(bundle: Bundle, faults: Mapping[str, str]) -> str:
    """Where and how it differs tells why."""
    broken = [name for name, why in faults.items() if NOT_FINITE in why]
    if broken and len(broken) == len(bundle.cases):
        return "No image gives finite values, and the stored outputs are finite: these weights are damaged or overflow, so export again."
    if broken:
        return (
            f"Keep the network finite on such images ({', '.join(broken)}): add a small constant where it divides, takes a logarithm or "
            "a root, or normalises by a spread that is 0 on a flat image; then export again."
        )
    if set(faults) == {"offset"}:
        return (
            "Only the image with a large offset differs: a sum over the image loses its last digits in this program. Subtract a first "
            "estimate, such as one pixel, before the mean is taken (the normalisation 'mean-std' does), and export again."
        )
    if "test" not in faults:
        return (
            f"The test pair agrees but {len(faults)} of {len(bundle.cases) - 1} other cases do not: a size or value is probably baked in "
            "by tracing. Compute it from the tensor's shape inside the network, and export again."
        )
    return "These weights did not give the stored outputs (changed afterwards, or exported in training mode): call eval(), export again."
