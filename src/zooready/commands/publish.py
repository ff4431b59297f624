"""``zooready publish``: a model made ready for the BioImage Model Zoo, checked as the zoo checks it, shown, and sent there."""

from __future__ import annotations

import os
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooready import report
from zooready.bundle.reading import opened
from zooready.commands import runs, switches
from zooready.commands.console import CONSOLE, print_line, print_notes, progress_bar
from zooready.commands.export import export
from zooready.commands.lists import Several
from zooready.commands.runs import is_family, is_run
from zooready.errors import InputInvalid, amount, meant
from zooready.families import FAMILIES
from zooready.processes import scratch
from zooready.records import About
from zooready.sharing.hub_folder import write_hub_folder
from zooready.sharing.publishing import Parcel, Progress, inspected, token_of, uploaded


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was looked at and the ``url`` of the draft in the zoo; or the ``folder`` for Hugging Face, for which nothing is looked at."""

    parcel: Parcel | None = None
    url: str = ""
    folder: Path | None = None


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready publish``."""
    add = parser.add_argument
    runs.takes_family(add("bundle", help="zip exported for the zoo, run, or a family with shipped weights"))
    add("--about", type=Path, default=SUPPRESS, help="about.yaml of a run or a family: authors who can be asked, maintainers")
    add("--outputs", dest="keep", action=Several, default=SUPPRESS, metavar="ID", help="the output to keep of a run or a family")
    switches.add_consumers(parser)
    add("--dry-run", action="store_true", help="show everything, send nothing")
    add("--to-huggingface", type=Path, default=SUPPRESS, metavar="DIR", help="write a folder with a model card instead; send nothing")
    switches.add_trust_code(parser)
    switches.add_time_limit(parser, "a program")


def publish(
    bundle: Path | str,
    *,
    about: About | Path | str | None = None,
    keep: Sequence[str] = (),
    consumers: Sequence[str] | None = None,
    dry_run: bool = False,
    to_huggingface: Path | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
    show: Callable[[Parcel], None] = lambda parcel: None,
) -> Published:
    """Make the zoo's form of a model, check it, and upload it; see docs/publish.md.

    Parameters
    ----------
    bundle
        A zip that was exported for the zoo; or a run or a family, exported for this and gone afterwards.
    about, keep
        Of a run or a family: its facts, and the output to keep.
    consumers
        Programs that must pass; None takes all on this machine.
    dry_run
        Stop before anything is sent, and leave what stands against it in the parcel's ``faults``.
    to_huggingface
        A folder, named like the account there, to write the bundle and its card to; then nothing is sent.
    trust_code, time_limit_s, progress
        As for :func:`zooready.comparison.compare`.
    show
        Called with what would be sent, before anything is.

    Raises
    ------
    BundleInvalid
        Something stands against sending it; all of it is in the message.
    InputInvalid
        Neither a bundle, a run nor a family, or there is no token.
    ConsumerFailed
        The server refused it, or the connection was cut.
    """
    is_own = _is_made_here(bundle, about, keep)
    if not dry_run and to_huggingface is None:
        token_of(os.environ)  # rather than after minutes of checks
    with _made(bundle, about, keep) if is_own else nullcontext(Path(bundle)) as path:
        trusted = trust_code or is_own
        if to_huggingface is not None:
            with opened(path) as model:
                return Published(folder=write_hub_folder(model, to_huggingface))
        parcel = inspected(path, consumers=consumers, trust_code=trusted, time_limit_s=time_limit_s, progress=progress)
        show(parcel)
        return Published(parcel=parcel, url="" if dry_run else uploaded(parcel))


def _is_made_here(source: Path | str, about: About | Path | str | None, keep: Sequence[str]) -> bool:
    """Whether this is a run or a family, of which a bundle is made here."""
    if not is_run(source) and (Path(source).exists() or not is_family(source)):
        if about is not None or keep:
            raise InputInvalid(f"{source} is a bundle, which states its facts itself: export it for the zoo with these.")
        if not Path(source).is_file():
            raise InputInvalid(
                f"{str(source)!r} is no bundle, run or family: give a zip that was exported for the zoo.{meant(str(source), FAMILIES)}"
            )
        return False
    return True


@contextmanager
def _made(source: Path | str, about: About | Path | str | None, keep: Sequence[str]) -> Iterator[Path]:
    """The zip of a run or a family."""
    with scratch() as folder:
        name = Path(source).resolve().name if is_run(source) else str(source)
        result = export(source, about=about, out=folder / f"{name}.zip", keep=keep, torchscript="plain", form="zoo")
        yield result.path


def run(bundle: str, dry_run: bool = False, **options: Any) -> int:
    """Show what is sent and where to, what the programs say and what stands against it; send it unless told not to."""
    with progress_bar() as progress:
        result = publish(bundle, dry_run=dry_run, progress=progress, show=_print, **options)
    if result.folder:
        print_line(f"{result.folder}: the card and the bundle, for you to push. Nothing was sent.")
    elif dry_run:
        print_notes(result.parcel.faults if result.parcel else (), "in the way")
        print_line("Nothing was sent.")
    else:
        print_line(f"{result.url}\nThe zoo runs it now, and its reviewers look at it: answer them there.")
    return 1 if result.parcel and result.parcel.faults else 0


def _print(parcel: Parcel) -> None:
    """Files, receiver and verdicts; what stands against sending it comes at the end, or in the error."""
    print_line(f"{parcel.name}: {amount(len(parcel.files), 'file')} for {parcel.receiver}")
    for name, size in parcel.files:
        print_line(f"  {name} ({size / 1e6:.2f} MB)")
    CONSOLE.print(report.table(parcel.verdicts))
