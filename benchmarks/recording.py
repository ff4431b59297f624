"""Where benchmarks put what they measured: the record of a shipped model, and pictures beside its card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zooready.evaluation.recording import write

ROOT = Path(__file__).parent.parent
RECORDS, CARDS = ROOT / "src/zooready/weights", ROOT / "model_cards"


def put(
    name: str, tables: Mapping[str, Any], words: Mapping[str, str], *, picture: str = "", caption: str = "", facts: Mapping[str, Any] = {}
) -> None:
    """Put tables, with the words on what each was measured on, a picture and further facts into the record of a family."""
    record = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    record |= facts
    record["tables"] |= tables
    record["measured_on"] |= words
    if picture:
        record["images"] = [entry for entry in record["images"] if entry["file"] != picture] + [{"file": picture, "caption": caption}]
    write(record, name, RECORDS)


def acted(words: str, **actions: Callable[[], None]) -> None:
    """Parse a command line of one action, and do it; ``words`` is the script's docstring."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=tuple(actions))
    actions[parser.parse_args().action]()
