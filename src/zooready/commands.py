"""Commands as a person meets them: call the pipeline, show progress, print what came out, return the exit code.

May import: data, java, families, comparison, evaluation, report, doctor, demo, pipeline
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from zooready import pipeline
from zooready.errors import ConsumerMissing, InputInvalid, ZooreadyError

CONSOLE = Console(markup=False)  # file names and advice hold brackets


def train(family: str, out: Path, **options: Any) -> None:
    """Train, and say where the run lies."""
    run = pipeline.train(family, out, **options)
    CONSOLE.print(f"{run.family}: {run.steps} steps in {run.seconds:.0f} s, seed {run.seed}, on {run.data}.")
    for name, value in run.metrics.items():
        CONSOLE.print(f"  {name} {value:.4g}")
    CONSOLE.print(f"Next: zooready export {out}", soft_wrap=True)


def simulate(specimen: str, out: Path, gallery: bool = False, **options: Any) -> None:
    """Simulate, and say where each field's image and truth lie."""
    for made in pipeline.simulate(specimen, out, **options):
        CONSOLE.print(f"{made.image}  {made.truth}", soft_wrap=True)
        for note in made.notes:
            CONSOLE.print(f"{made.image.name}: {note}", style="yellow", soft_wrap=True)
    if gallery:
        settings = {name: value for name, value in options.items() if name not in ("modality", "size", "planes", "count", "z_step_um")}
        CONSOLE.print(str(pipeline.gallery(out / "gallery.png", specimen=specimen, **settings)), soft_wrap=True)


def data(data: str = "", folder: str = "", splits: Path | None = None, seed: int = 0) -> int:
    """List the public sets, explain one, or look through a folder; the exit code is 2 if files cannot be used."""
    from zooready.data import SETS, named_set

    if not data:
        table = Table("set", "what", "classes", "images", "size", "address", box=None, header_style="bold")
        for one in SETS.values():
            size = f"{one.size[1]}x{one.size[0]}" if one.size else ""
            known = "yes" if one.addresses else "none known"
            table.add_row(one.name, one.title, str(len(one.classes) or "pairs"), str(one.images or ""), size, known)
        CONSOLE.print(table)
        CONSOLE.print("Next: zooready data SET, or zooready data SET DIR")
        return 0
    if not folder and not Path(data).exists():
        for line in named_set(data).explained():
            CONSOLE.print(line, soft_wrap=True)
        return 0
    with CONSOLE.status(f"reading {folder or data} ..."):
        found = pipeline.examined(data, Path(folder) if folder else None, splits=splits, seed=seed)
    code = _tell(found)
    if splits:
        CONSOLE.print(str(splits), soft_wrap=True)
    return code


def _tell(found: pipeline.Examined) -> int:
    """Counts, sizes, notes and faults of a folder of data."""
    table = Table(found.title, "images", box=None, header_style="bold")
    for name, count in (*found.counts.items(), *((f"list {name}", count) for name, count in found.lists.items())):
        table.add_row(name, str(count))
    CONSOLE.print(table)
    sizes = [f"{size} ({count})" for size, count in found.sizes.items()]
    CONSOLE.print(f"sizes: {', '.join(sizes[:5])}{f' and {len(sizes) - 5} others' if len(sizes) > 5 else ''}", soft_wrap=True)
    if found.channels:
        CONSOLE.print(f"channels: {', '.join(found.channels)}", soft_wrap=True)
    for note in found.notes:
        CONSOLE.print(f"note: {note}", style="yellow", soft_wrap=True)
    for fault in found.faults:
        CONSOLE.print(f"fault: {fault}", style="red", soft_wrap=True)
    return 2 if found.faults else 0


def protocol(data: str, folder: Path, out: Path, shares: Sequence[int], **options: Any) -> None:
    """Run a paper's protocol, and show its table."""

    def say(done: int, total: int, split: str) -> None:
        if split:
            CONSOLE.print(f"{split}: run {done + 1} of {total}")

    rows = pipeline.protocol(data, folder, out, shares=[percent / 100 for percent in shares], progress=say, **options)
    table = Table(box=None, header_style="bold")
    for column in pipeline.COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row.cells())
    CONSOLE.print(table)
    CONSOLE.print(f"{out / 'protocol.md'} tells what to know about it.", soft_wrap=True)


def export(source: str, **options: Any) -> None:
    """Export, and say what the bundle holds and what it does not."""
    with CONSOLE.status(f"measuring, writing and comparing {source} ..."):
        made = pipeline.export_trained(source, **options)
    CONSOLE.print(f"{made.path} ({made.path.stat().st_size / 1e6:.1f} MB): {', '.join(made.formats)}", soft_wrap=True)
    if made.seconds:
        times = ", ".join(f"{variant} {seconds:.2f} s" for variant, seconds in made.seconds.items())
        CONSOLE.print(f"TorchScript variant {made.variant}, the fastest in {made.timed_in}: {times}", soft_wrap=True)
    for format, reason in made.unavailable.items():
        CONSOLE.print(f"no {format}: {reason}", soft_wrap=True)
    for note in made.measured.notes:
        CONSOLE.print(f"note: {note}", soft_wrap=True)


def evaluate(sources: Sequence[str], out: Path, **options: Any) -> None:
    """Measure, and say where the cards lie."""
    for source in sources:
        with CONSOLE.status(source) as status:
            card = pipeline.evaluate(source, out, tell=status.update, **options)
        CONSOLE.print(str(card), soft_wrap=True)


def check(
    bundle: Path,
    consumers: Sequence[str] | None = None,
    at_least: Any = None,
    image: Path | None = None,
    trust_code: bool = False,
    json: Path | None = None,
    html: Path | None = None,
) -> int:
    """Check, print the table, write the files that were asked for; the exit code tells the outcome."""
    from zooready import report
    from zooready.comparison import exit_code

    with _progress() as progress:
        found = pipeline.check(bundle, consumers=consumers, image=image, trust_code=trust_code, progress=progress)
    CONSOLE.print(report.table(found.verdicts))
    if json:
        report.to_json(found.verdicts, json)
    if html:
        report.html([report.section(found)], html)
    return exit_code(found.verdicts, asked=set(consumers) if consumers else None, at_least=at_least)


def predict(bundle: Path, images: Sequence[Path], out: Path, **options: Any) -> int:
    """Run every image; one that cannot be read, or that the network fails on, is named, and the others go on."""
    code = 0
    for image, result, written in pipeline.predict_files(bundle, images, out, **options):
        if isinstance(result, ZooreadyError):
            CONSOLE.print(f"{image}: {result}", style="red", soft_wrap=True)
            code = max(code, 2 if isinstance(result, InputInvalid) else 1)
            continue
        for note in result.notes:
            CONSOLE.print(f"{image.name}: {note}", style="yellow", soft_wrap=True)
        for path in written:
            CONSOLE.print(str(path), soft_wrap=True)
    return code


def explain(bundle: str, image: Path, out: Path, **options: Any) -> None:
    """Explain, and say what was explained, how much of it lies in the cell, and where the files are."""
    with CONSOLE.status(f"explaining {image.name} ..."):
        found = pipeline.explain(bundle, image, out, **options)
    for note in found.notes:
        CONSOLE.print(f"note: {note}", style="yellow", soft_wrap=True)
    if "class" in found.facts:
        best = sorted(found.facts["scores"].items(), key=lambda item: -item[1])[:3]
        told = ", ".join(f"{name} {score:.3g}" for name, score in best)
        CONSOLE.print(f"explained: {found.facts['class']}; highest scores: {told}", soft_wrap=True)
    for one in found.explanations:
        if "share_inside" in one.facts:
            inside, box = one.facts["share_inside"], one.facts["share_box"]
            CONSOLE.print(f"{one.name}: {inside:.0%} inside the cell, {box:.0%} in a box of its area in the middle", soft_wrap=True)
    for path in found.files:
        CONSOLE.print(str(path), soft_wrap=True)


def measure(bundle: str, images: Sequence[Path], out: Path, **options: Any) -> None:
    """Measure, and say how many objects there are and where the table is."""
    with CONSOLE.status(f"measuring {len(images)} images ..."):
        table = pipeline.measure(bundle, images, out, **options)
    for note in table.notes:
        CONSOLE.print(f"note: {note}", style="yellow", soft_wrap=True)
    CONSOLE.print(f"{out}: {len(table.rows)} objects, {len(table.columns)} columns", soft_wrap=True)


def install(bundle: Path, **options: Any) -> None:
    """Install into Fiji, and say how to run it there."""
    made = pipeline.install(bundle, **options)
    for note in made.notes:
        CONSOLE.print(f"note: {note}", style="yellow", soft_wrap=True)
    CONSOLE.print(f"In Fiji: Plugins > Macros > Run..., {made.macro}", soft_wrap=True)


def doctor() -> None:
    """What is here, and how to get the rest."""
    from zooready.doctor import examine

    table = Table("what", "here", "version", "what to do", box=None, header_style="bold")
    for finding in examine():
        table.add_row(finding.name, "yes" if finding.present else "no", finding.version, finding.cure)
    CONSOLE.print(table)


def list_families(cards: Path | None = None) -> None:
    """Families and shipped models with one line of measured quality; their cards as files if asked for."""
    from zooready.families import FAMILIES, quality

    table = Table("family", "what it does", "shipped model, measured", box=None, header_style="bold")
    for name, family in FAMILIES.items():
        table.add_row(name, family.description, quality(name))
    CONSOLE.print(table)
    if cards:
        from zooready.evaluation.cards import write

        for path in write(cards):
            CONSOLE.print(str(path), soft_wrap=True)


def engines(action: str) -> None:
    """Fetch the Java engines, or verify their hashes.

    Raises
    ------
    ConsumerMissing
        They are not here, or not as they were fetched.
    """
    from zooready import java

    if action == "install":
        java.install(lambda line: CONSOLE.print(line, soft_wrap=True))
    elif fault := java.verify():
        raise ConsumerMissing(fault)
    for name, version in java.versions().items():
        CONSOLE.print(f"{name} {version}")


def demo(out: Path, readme: Path | None = None) -> int:
    """Make the shipped bundles, check them, and leave a page of images."""
    from zooready import demo as shown
    from zooready.report import table

    if readme:
        shown.around_table(readme)  # a fault there is better told before the work than after it
    with _progress() as progress:
        result = shown.demonstrate(out, progress)
    for model in result.models:
        CONSOLE.print(f"\n{model.name}  {model.bundle}", soft_wrap=True)
        CONSOLE.print(table(model.comparison.verdicts))
        for line in model.notes:
            CONSOLE.print(line, soft_wrap=True)
    CONSOLE.print(f"\nImages: {result.report}", soft_wrap=True)
    if readme:
        shown.write_table(result, readme)
    return result.exit_code


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar that names what runs at this moment."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)
