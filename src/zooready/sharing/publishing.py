"""``publish``: a bundle made for the BioImage Model Zoo, checked as the zoo checks it, and uploaded by bioimageio's own call.

Nothing is sent before all of :func:`inspected` is in order. What is cut or refused on the way is reported, and never tried again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zooready.bundle.naming import with_id
from zooready.bundle.reading import opened
from zooready.comparison import compare
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.processes import end, scratch
from zooready.records import Bundle, Verdict
from zooready.sharing import zoo_rules
from zooready.sharing.upload_worker import TOKEN, cleaned

WORKER = "zooready.sharing.upload_worker"
JUDGE = "bioimageio"  # the consumer that runs the test which the zoo runs
WORD = re.compile(r"[!-~]+")  # what a header may hold; httpx shows the whole of any other
REFUSED = 400  # the first status of HTTP that means no
TERMS = "https://bioimage.io/#/toc"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What would be sent, and whether it may be.

    ``files`` are names and bytes; ``faults`` what stands against it, in words, empty if nothing; ``receiver`` is the server's name.
    """

    path: Path
    name: str
    files: tuple[tuple[str, int], ...]
    verdicts: tuple[Verdict, ...]
    faults: tuple[str, ...]
    receiver: str


def inspected(
    path: Path,
    *,
    consumers: Sequence[str] | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
) -> Parcel:
    """Look at a bundle as the zoo will, and run it in every program that is asked for; nothing is sent.

    Parameters
    ----------
    path
        Zip that was exported for the zoo.
    consumers, trust_code, time_limit_s, progress
        As for :func:`zooready.comparison.compare`. Programs that look for an id are handed the bundle with one.

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely.
    """
    with opened(path, trust_code=trust_code) as bundle, scratch() as folder:
        faults = [*zoo_rules.objections(bundle), *_specification(path)]
        files = tuple(sorted((file.name, file.stat().st_size) for file in bundle.folder.rglob("*") if file.is_file()))
        zip = with_id(bundle, folder / path.name)
        verdicts = compare(zip, consumers=consumers, trust_code=trust_code, time_limit_s=time_limit_s, progress=progress).verdicts
        faults += _unproven(bundle, verdicts, consumers)
    return Parcel(path=path, name=bundle.name, files=files, verdicts=verdicts, faults=tuple(faults), receiver=urlsplit(_address()).netloc)


def uploaded(parcel: Parcel, *, environment: Mapping[str, str] | None = None) -> str:
    """Send it, and hand it to the reviewers; the address of the draft.

    Parameters
    ----------
    parcel
        Without faults.
    environment
        Variables of the child process that sends, among them the token, ``BIOIMAGEIO_HYPHA_UPLOAD_TOKEN``; those of this one if None.

    Raises
    ------
    BundleInvalid
        Something stands against it.
    InputInvalid
        There is no token.
    ConsumerFailed
        The server refused a step, or the connection was cut; the message says what is there by now.
    """
    if parcel.faults:
        raise BundleInvalid("\n  ".join([f"{parcel.path.name} is not sent:", *parcel.faults]))
    variables = dict(os.environ if environment is None else environment)
    token = variables[TOKEN] = token_of(variables)
    with scratch() as folder:
        (folder / "job.json").write_text(json.dumps({"zip": str(parcel.path.absolute())}), encoding="utf-8")
        is_stopped = _attended(folder, variables)
        log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        last = cleaned(next((line for line in reversed(log.splitlines()) if line.strip()), "nothing"), token)
        return _judged(list(_events(folder / "events.jsonl")), len(parcel.files), is_stopped, last)


def token_of(environment: Mapping[str, str]) -> str:
    """The token to upload with, without a line break at its end, which came with copying.

    Raises
    ------
    InputInvalid
        There is none, or it can be none; what it is is not in the message.
    """
    token = environment.get(TOKEN, "").strip()
    if not token:
        raise InputInvalid(
            f"there is no token to upload with: log in at the zoo, make one, and put it into the environment as {TOKEN}. By using it you "
            f"agree to the zoo's terms ({TERMS})."
        )
    if not WORD.fullmatch(token):
        raise InputInvalid(f"{TOKEN} holds a space, a line break or a letter that no token has, so nothing was sent: copy the token again.")
    return token


def _attended(folder: Path, variables: Mapping[str, str]) -> bool:
    """Run the child to its end; whether the person stopped it."""
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER, str(folder)], cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            child.wait()
        except KeyboardInterrupt:
            return True
        finally:
            end(child)
    return False


def _events(file: Path) -> Iterator[dict[str, Any]]:
    """What the child wrote, but for a last line that was cut."""
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with suppress(ValueError):
            yield json.loads(line)


def _judged(events: Sequence[Mapping[str, Any]], files: int, is_stopped: bool, last: str) -> str:
    """The address of the draft, if every step was answered with yes.

    bioimageio does not look at the answer to a file or to the request for a review; here each counts. ``last`` is what the child said last.
    """
    sent = sum(event.get("method") == "PUT" and event["status"] < REFUSED for event in events)
    draft = next((str(event["draft"]) for event in events if "draft" in event), "")
    there = (
        f"The draft {draft!r} is there with {sent} of {files} files and is not with the reviewers: finish or delete it on the zoo's pages."
        if draft
        else "No draft was made."
    )
    refused = next((event for event in events if event.get("status", 0) >= REFUSED), None)
    error = next((event for event in events if "error" in event), None)
    if refused:
        raise ConsumerFailed(
            f"the zoo refused it: {refused['method']} {refused['path']} was answered with {refused['status']} {refused['reason']}. {there} "
            "Nothing is tried again by itself. Check the token and its permissions."
        )
    if is_stopped:
        raise ConsumerFailed(f"the upload was stopped. {there}")
    if error:
        raise ConsumerFailed(
            f"the upload was cut ({error['error']}: {error['why']}). {there} Nothing is tried again by itself: check the connection first."
        )
    url = next((str(event["url"]) for event in events if "url" in event), "")
    if not url:
        raise ConsumerFailed(f"the upload ended without a result. {there} Its process said last: {last}")
    return url


def _unproven(bundle: Bundle, verdicts: Sequence[Verdict], consumers: Sequence[str] | None) -> Iterator[str]:
    """Verdicts that are not as the zoo needs them: all asked for passed, and bioimageio's test of every format among them."""
    for verdict in verdicts:
        counts = consumers is not None or verdict.status not in ("missing", "untrusted")
        if verdict.status != "passed" and (counts or verdict.consumer == JUDGE):
            yield f"{verdict.consumer} {verdict.format or ''}: {verdict.status}. {verdict.why}"
    proven = {verdict.format for verdict in verdicts if verdict.consumer == JUDGE}
    if absent := [format for format in bundle.formats if format not in proven]:
        yield f"bioimageio's own test was not run for {', '.join(absent)}, and the zoo runs it: name {JUDGE} among the programs."


def _specification(path: Path) -> Iterator[str]:
    """What bioimageio.spec says when it reads the zip as for an upload, without looking up names on the network."""
    from bioimageio.spec import InvalidDescr, ValidationContext, get_package_content, load_description

    with ValidationContext(perform_io_checks=False):
        description = load_description(path)
        if isinstance(description, InvalidDescr):
            faults = [f"{'.'.join(map(str, e.loc))}: {e.msg}" for d in description.validation_summary.details for e in d.errors]
            yield f"the specification refuses it: {'; '.join(faults[:4])}."
            return
        get_package_content(description)


def _address() -> str:
    """Where bioimageio sends to."""
    from bioimageio.spec import settings

    return os.environ.get("BIOIMAGEIO_HYPHA_UPLOAD", settings.hypha_upload)
