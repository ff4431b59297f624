"""Model cards say what the records say."""

from pathlib import Path

import pytest

from zooready import cards
from zooready.families import load_record, shipped

FOLDER = Path(__file__).parent.parent / "model_cards"


@pytest.mark.parametrize("name", shipped())
def test_the_card_in_the_repository_is_what_its_record_gives(name):
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == cards.page(name), "run `zooready list --cards model_cards`"


@pytest.mark.parametrize("name", shipped())
def test_every_measured_score_stands_in_the_card(name):
    page = cards.page(name)
    for content in load_record(name)["tables"].values():
        for _, row in cards._rows(content):
            assert all(f"{value:.3f}" in page for value in row.values())


def test_cards_are_written_for_every_shipped_model(tmp_path):
    assert [path.stem for path in cards.write(tmp_path)] == list(shipped())
