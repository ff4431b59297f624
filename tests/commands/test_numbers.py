"""Numbers on the command line: what is none is refused when the arguments are read."""

from argparse import ArgumentParser

import pytest

from zooready.commands import train
from zooready.commands.numbers import from_zero


def test_a_number_below_zero_is_refused_before_anything_is_imported(capsys):
    parser = ArgumentParser()
    train.options(parser)
    given = ["spots", "--out", "run", "--workers"]
    assert parser.parse_args([*given, "0"]).workers == 0
    with pytest.raises(SystemExit):
        parser.parse_args([*given, "-1"])
    assert "argument --workers: '-1' is no whole number from 0" in capsys.readouterr().err


def test_whole_numbers_from_zero():
    assert [from_zero(text) for text in ("0", "12")] == [0, 12]
