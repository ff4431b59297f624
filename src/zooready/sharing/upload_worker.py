"""What runs inside the child that uploads: ``python -m zooready.sharing.upload_worker FOLDER``; bioimageio's own call does it.

``FOLDER`` holds ``job.json`` with the zip's path. Each thing that happens becomes a line of ``events.jsonl``: an answer of the server, at
which bioimageio does not always look, the name of the draft, and the end. Neither addresses' queries nor the token are in them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

from zooready.processes import end_with_parent

TOKEN = "BIOIMAGEIO_HYPHA_UPLOAD_TOKEN"
DRAFT = re.compile(r"Uploaded resource description (\S+)")
QUERY = re.compile(r"\?[^\s'\"]*")


class Answers(logging.Handler):
    """Hands on every answer that httpx reports: method, path and status."""

    def __init__(self, events: Any) -> None:
        super().__init__()
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        """One answer becomes one event."""
        method, url, _, status, reason = record.args if isinstance(record.args, tuple) and len(record.args) == 5 else (None,) * 5
        if isinstance(status, int):
            path = getattr(url, "path", "")
            _write(self.events, method=str(method), path=str(path).rpartition("/")[2], status=status, reason=str(reason))


def main(folder: Path) -> None:
    """Upload the zip; what happened is in ``events.jsonl``."""
    end_with_parent()
    from bioimageio.spec import ValidationContext, upload
    from loguru import logger

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with (folder / "events.jsonl").open("w", encoding="utf-8") as events:
        answers = logging.getLogger("httpx")
        answers.setLevel(logging.INFO)
        answers.addHandler(Answers(events))
        answers.propagate = False
        logger.remove()
        logger.enable("bioimageio")
        logger.add(lambda text: _write_draft(events, text), format="{message}")
        try:
            with ValidationContext(perform_io_checks=False):  # no look-ups of names: the bundle was validated before
                url = str(upload(job["zip"]))
        except Exception as error:  # whatever a network or a server does
            _write(events, error=type(error).__name__, why=cleaned(str(error), os.environ.get(TOKEN, "")))
        else:
            _write(events, url=url)


def cleaned(text: str, token: str) -> str:
    """Words of an error without the token and without what stands behind the question mark of an address, where others put theirs."""
    return QUERY.sub("", text.replace(token, "…") if token else text)[:500]


def _write_draft(events: Any, text: str) -> None:
    if found := DRAFT.search(text):
        _write(events, draft=found[1])


def _write(events: Any, **facts: object) -> None:
    events.write(json.dumps(facts) + "\n")
    events.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
