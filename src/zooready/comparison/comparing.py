"""All cells of a check, the image that they are shown on, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from zooready.bundle.reading import opened
from zooready.comparison.user_images import UserImage, as_inputs, unlike_training
from zooready.comparison.verdicts import Result, cells, result
from zooready.consumers import CONSUMERS, Consumer, consumer
from zooready.consumers.deepimagej import in_fiji
from zooready.consumers.description_rules import is_harmless, operators
from zooready.errors import InputInvalid
from zooready.images.agreement import agreement, own_ranges_of
from zooready.images.files import read_image
from zooready.processes import at_once, side_by_side
from zooready.records import LEVELS, Array, Bundle, Case, Format, Level, Verdict

REFERENCES = (("torch", "state_dict"), ("torch", "torchscript"))  # whom the others are compared with on a given image
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Verdicts, and the images behind them.

    ``shown`` is the case that images are of: the given image, else the test pair, None without either; ``results`` maps
    "consumer format" to its outputs. ``names`` are those of the channels of the input and then of each output, "" where none is given.
    ``notes`` say in which pixel size or distance of planes the given image is unlike those that the network was trained for.
    ``pixel_size_um`` is the side of a pixel of what is shown, None if unknown.
    """

    path: Path
    outputs: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, ...], ...]
    verdicts: tuple[Verdict, ...]
    shown: Case | None
    results: Mapping[str, tuple[Array, ...]]
    notes: tuple[str, ...] = ()
    pixel_size_um: float | None = None


def compare(
    path: Path | str,
    *,
    consumers: Sequence[str] | None = None,
    image: Path | str | None = None,
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run a bundle in every consumer and compare with the outputs stored inside.

    Parameters
    ----------
    path
        Zip or folder.
    consumers
        Names of :data:`zooready.consumers.CONSUMERS`, or one text with commas; None takes all that find something to read,
        without those that are judged only when named (``ASKED_ONLY``).
    image
        An image to run as well; formats and programs are compared with each other on it, since no stored output exists. Of a stack or
        time series that the network does not take at once, up to five planes are run, each by itself.
    axes
        Letters of ``tzcyx``: the axes of the image, if its file names none or wrong ones.
    trust_code
        Whether the bundle's own Python may run, without which state dicts are ``untrusted``.
    time_limit_s
        How long each program may take for all images together, s; None leaves it to each, ten or fifteen minutes.
    progress
        Called with (cells done, cells in all, what runs next).

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely.
    InputInvalid
        Unknown consumers, or an image that does not fit the bundle's input.
    """
    consumers = consumers.split(",") if isinstance(consumers, str) else consumers
    asked = list(dict.fromkeys(consumers)) if consumers is not None else None
    modules = [module for module in map(consumer, asked or CONSUMERS) if asked or not getattr(module, "ASKED_ONLY", False)]
    with opened(path, trust_code=trust_code, time_limit_s=time_limit_s) as bundle:
        extra = () if image is None else as_inputs(bundle, Path(image), axes=axes)
        todo = [cell for module in modules for cell in cells(module, bundle, asked is not None)]
        calls = [partial(result, module, format, bundle, extra) for module, format in todo]
        results = side_by_side(calls, at_once(), _told(todo, progress), order=_from_both_ends(len(todo)))
        if progress:
            progress(len(todo), len(todo), "done")
        if extra:
            results = list(_on_image(results, bundle, extra))
        verdicts = tuple(result.verdict for result in results)
        verdicts = lifted(verdicts) if _is_fiji_engine(bundle) else verdicts
        kept = {f"{cell.consumer} {cell.format}": list(cell.outputs.values())[-1] for cell in results if cell.outputs}
        case = Case(name="image", input=extra[0].array, outputs=()) if extra else next(iter(bundle.cases), None)
        images = {name: outputs[-len(extra)] for name, outputs in kept.items() if outputs}  # of no image: the first
        shown = {name: outputs for name, outputs in images.items() if outputs is not None}
        return Comparison(
            path=Path(path), outputs=bundle.kinds, names=_channel_names(bundle), verdicts=verdicts, shown=case, results=shown,
            notes=unlike_training(bundle, extra) if extra else (), pixel_size_um=_pixel_size(bundle, extra),
        )  # fmt: skip


def _from_both_ends(count: int) -> list[int]:
    """0, the last, 1, the last but one, …: programs of Python stand first and wait for one import of torch, others begin meanwhile."""
    return [number // 2 if number % 2 == 0 else count - 1 - number // 2 for number in range(count)]


def _pixel_size(bundle: Bundle, extra: Sequence[UserImage]) -> float | None:
    """That of the given image, else of the sample, from which export cuts the test pair; others' samples may be other images."""
    if extra:
        return extra[0].pixel_size_um
    if bundle.measured_stride_px is not None and bundle.inputs and bundle.inputs[0].sample:
        with suppress(InputInvalid):
            return read_image(bundle.folder / bundle.inputs[0].sample).pixel_size_um
    return None


def _told(todo: Sequence[tuple[Consumer, Format | None]], progress: Progress | None) -> Callable[[int, int], None]:
    """Tells ``progress`` what begins."""

    def begun(number: int, done: int) -> None:
        module, format = todo[number]
        if progress:
            progress(done, len(todo), f"{module.NAME} {format or ''}".strip())

    return begun


def exit_code(verdicts: Sequence[Verdict], *, asked: set[str] | None = None, at_least: Level | None = None) -> int:
    """0 all asked for passed; 1 one differs, is refused or failed; 3 asked for but missing, untrusted, or below ``at_least``.

    Parameters
    ----------
    verdicts
        Of one check.
    asked
        Consumers named by the user; None stands for whatever can run here, so that missing and untrusted cells are not counted.
    at_least
        Weakest level that a pass may have.
    """
    counted = [verdict for verdict in verdicts if asked is None or verdict.consumer in asked]
    if any(verdict.status in ("differs", "refused", "failed") for verdict in counted):
        return 1
    passed = [verdict for verdict in counted if verdict.status == "passed"]
    if asked is not None and (len(passed) < len(counted) or asked - {verdict.consumer for verdict in passed}):
        return 3
    if not passed or (at_least is not None and any(LEVELS.index(verdict.level) < LEVELS.index(at_least) for verdict in passed)):
        return 3
    return 0


def lifted(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The engine inside DeepImageJ has the last word on its verdict by rules."""
    engine = next((verdict for verdict in verdicts if verdict.consumer == "java-pytorch" and verdict.format == "torchscript"), None)

    def lift(verdict: Verdict) -> Verdict:
        judged = engine is not None and engine.status not in ("missing", "untrusted")
        if engine is None or not judged or verdict.consumer != "deepimagej" or verdict.status != "passed" or verdict.level == "ran":
            return verdict
        if engine.status == "passed":
            why = f"{verdict.why} Its engine, PyTorch 2.0.0 in Java, agrees."
            return replace(
                verdict,
                level="engine",
                why=why,
                difference=engine.difference,
                cases=engine.cases,
                versions=dict(engine.versions) | dict(verdict.versions),
            )
        return replace(verdict, status=engine.status, why=f"Its engine, PyTorch 2.0.0 in Java: {engine.why}", difference=engine.difference)

    return tuple(map(lift, verdicts))


def _is_fiji_engine(bundle: Bundle) -> bool:
    """Whether ``java-pytorch`` computes what DeepImageJ would: the same PyTorch, and no step outside the network."""
    return in_fiji.engine(bundle) == in_fiji.NEWEST and all(map(is_harmless, operators(bundle)))


def _on_image(results: Sequence[Result], bundle: Bundle, images: Sequence[UserImage]) -> Iterator[Result]:
    """Compare what the cells made of the given image with the reference, and say so; a pass may become ``differs``."""
    last = {(cell.consumer, cell.format): list(cell.outputs.values())[-1][-len(images) :] for cell in results if cell.outputs}
    ran = {key: [one for one in outputs if one is not None] for key, outputs in last.items()}
    ran = {key: outputs for key, outputs in ran.items() if len(outputs) == len(images)}
    chosen = next((key for key in (*REFERENCES, *ran) if key in ran), None)
    for cell in results:
        if (cell.consumer, cell.format) not in ran or chosen is None or cell.format is None:
            yield cell
            continue
        cases = [Case(name=image.name, input=image.array, outputs=outputs) for image, outputs in zip(images, ran[chosen], strict=True)]
        tolerance = bundle.tolerance[cell.format]
        faults = [
            agreement(case, outputs, bundle.kinds, own_ranges_of(case, [output.axes for output in bundle.outputs]), tolerance)
            for given in cell.outputs.values()
            for case, outputs in zip(cases, given[-len(images) :], strict=True)
            if outputs is not None
        ]
        why = next((fault for _, fault in faults if fault), "")
        here = max((number for number, _ in faults if number is not None), default=None)
        largest = max((number for number in (cell.verdict.difference, here) if number is not None), default=None)
        verdict = replace(cell.verdict, difference=largest, cases=(*cell.verdict.cases, *(image.name for image in images)))
        if why and verdict.status == "passed":
            verdict = replace(verdict, status="differs", why=f"On the image, against {' '.join(map(str, chosen))}: {why}")
        elif verdict.status == "passed":
            compared = _words(" ".join(map(str, chosen)), here, is_alone=len(ran) == 1, is_itself=(cell.consumer, cell.format) == chosen)
            pieces = f" ({'; '.join(image.where for image in images)})" if images[0].where else ""
            verdict = replace(verdict, why=f"{verdict.why} On the image{pieces}: {compared}.")
        yield replace(cell, verdict=verdict)


def _words(chosen: str, difference: float | None, *, is_alone: bool, is_itself: bool) -> str:
    """What was compared with what."""
    if is_itself:
        return "compared with nothing, since no other program or format ran it" if is_alone else "what the others are compared with"
    return f"as {chosen}" + (f", up to {difference:.1e} of the range" if difference is not None else "")


def _channel_names(bundle: Bundle) -> tuple[tuple[str, ...], ...]:
    """Names of the channels of the first input and of each output, as many as the test pair has channels."""
    if not bundle.cases:
        return ()
    names = []
    for tensor, array in zip((bundle.inputs[0], *bundle.outputs), (bundle.cases[0].input, *bundle.cases[0].outputs), strict=True):
        count = array.shape[1] if array.ndim > 1 else 1
        names.append(tensor.channels if len(tensor.channels) == count else ("",) * count)
    return tuple(names)
