"""``zooready evaluate``: everything on a model card measured again, and the card written."""

from __future__ import annotations

import hashlib
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zooready.commands import switches
from zooready.commands.check import check
from zooready.commands.console import CONSOLE, print_line
from zooready.commands.export import export
from zooready.commands.runs import family_of, is_family
from zooready.errors import InputInvalid
from zooready.evaluation import cards, evaluation_of, record, recording
from zooready.families import FAMILIES, load_record, load_weights, shipped
from zooready.images.whole_files import make_folder, whole_file
from zooready.records import Family
from zooready.training import checkpoint
from zooready.training.pairs import classes_of

if TYPE_CHECKING:
    from zooready.evaluation.contract import Weights

NOT_RECORDED = ("folder", "is_finished", "classes", "channels", "pixel_size_um", "objects")  # of a run


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready evaluate``."""
    add = parser.add_argument
    words = "families with shipped weights, or folders of runs (default: every family with shipped weights)"
    add("sources", nargs="*", default=SUPPRESS, metavar="SOURCE", help=words)
    add("-o", "--out", type=Path, required=True, help="folder for the cards and their images")
    add("--data", type=Path, default=SUPPRESS, metavar="DIR", help="judge on these images and label images instead, without a card")
    add("--records", type=Path, default=SUPPRESS, metavar="DIR", help="folder for the cards' numbers as JSON (default: that of --out)")
    switches.add_time_limit(parser, "a program")


def evaluate(
    source: Path | str,
    out: Path | str,
    *,
    data: Path | str | None = None,
    records: Path | str | None = None,
    time_limit_s: float | None = None,
    progress: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Measure a family's weights against truth and classical methods, run their bundle everywhere, and write the card.

    Parameters
    ----------
    source
        A family with shipped weights, or the folder of a finished run.
    out
        Folder for ``<family>.md`` and its images; made if missing.
    data
        A folder of images and label images, as for training: the weights are judged on them, beside classical methods, and the page
        ``<family>-on-<folder>.md`` is written instead of a card. Images that the run was trained on are left out.
    records
        Folder for ``<family>.json``, all that the card says as plain data; `out` if None.
    time_limit_s
        What each program may take for the bundle, s; ten or fifteen minutes if None.
    progress
        Called with a sentence before each part, which may take minutes.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    InputInvalid
        Neither a run nor a family, a family without an evaluation, or a folder that cannot be written.
    """
    family, weights, known = _weights_of(source)
    evaluation = evaluation_of(family)
    if data is not None:
        if evaluation.judge is None:
            raise InputInvalid(
                f"{family.name} does not find objects, and only families that do can be judged on your images. Leave data out."
            )
        progress(f"{family.name}: judging on {data}")
        facts_of_run = {key: known[key] for key in ("data_sha256", "seed", "trained_on") if key in known}
        return evaluation.judge(family, weights, Path(data), Path(out), **facts_of_run)
    if family is not FAMILIES.get(family.name):
        raise InputInvalid(
            f"{source} finds objects that are not simulated, so that only you have images of them: give their folder as data."
        )
    folder = Path(out)
    make_folder(folder)
    progress(f"{family.name}: measuring, and drawing images")
    known.pop("trained_on", None)
    measured = record(known, weights, evaluation, folder)
    progress(f"{family.name}: exporting the bundle and running it in every program on this machine")
    facts = {**measured, "verdicts": _verdicts(source, family.torchscript, time_limit_s)}
    recording.write(facts, family.name, Path(records or out))
    card = folder / f"{family.name}.md"
    with whole_file(card) as file:
        file.write(cards.page(family, facts).encode())
    return card


def _weights_of(source: Path | str) -> tuple[Family, Weights, dict[str, Any]]:
    """Family, weights, and what is known of them already, of a run's folder or of a shipped model."""
    if is_family(source):
        return FAMILIES[str(source)], load_weights(str(source)), load_record(str(source))
    run = checkpoint.read(Path(source))
    family = family_of(run)
    if classes_of(family) and run.data_sha256:
        raise InputInvalid(
            f"{source} tells {len(run.classes)} classes of your own apart, whose truth only you have: its {checkpoint.RECORD} holds the "
            "scores of the images that were held out."
        )
    facts = {key: value for key, value in asdict(run).items() if key not in NOT_RECORDED and value not in ("", {})}
    return family, run.state_dict(), {**facts, "sha256": hashlib.sha256(run.weights.read_bytes()).hexdigest()}


def _verdicts(source: Path | str, torchscript: str, time_limit_s: float | None) -> list[dict[str, Any]]:
    """Status, level and difference of each format in each program, plain data."""
    with TemporaryDirectory(prefix="zooready-") as folder:
        bundle = export(source, out=Path(folder) / "bundle.zip", torchscript=torchscript)
        return recording.plain(check(bundle.path, trust_code=True, time_limit_s=time_limit_s).verdicts)


def run(out: Path, sources: Sequence[str] | None = None, **options: Any) -> None:
    """Measure, and print where the cards lie."""
    for source in sources or shipped():
        with CONSOLE.status(source) as status:
            card = evaluate(source, out, progress=status.update, **options)
        print_line(card)
