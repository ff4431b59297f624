"""Options that take several words take them in every way that people write them."""

from argparse import ArgumentParser

import pytest

from zooready.commands import check, export, protocol
from zooready.commands.lists import Several
from zooready.commands.numbers import percent


@pytest.mark.parametrize(
    "given", [["--in", "a", "b"], ["--in", "a,b"], ["--in", "a", "--in", "b"], ["--in=a", "--in=b"], ["--in", "a,", "b"], ["--in", " a, b"]]
)
def test_repeated_comma_and_space_lists_are_one_list(given):
    parser = ArgumentParser()
    check.options(parser)
    assert parser.parse_args(["bundle.zip", *given]).consumers == ["a", "b"]
    assert parser.parse_args(["bundle.zip", *given]).consumers == ["a", "b"]


def test_outputs_of_an_export_add_up():
    parser = ArgumentParser()
    export.options(parser)
    assert parser.parse_args(["segmentation", "--outputs", "labels", "--outputs", "maps,x"]).keep == ["labels", "maps", "x"]


def test_what_is_given_replaces_the_default_and_every_word_is_converted(capsys):
    parser = ArgumentParser()
    parser.add_argument("--shares", action=Several, type=percent, default=[90.0, 80.0])
    assert parser.parse_args([]).shares == [90, 80]
    assert parser.parse_args(["--shares", "50,40", "--shares", "30"]).shares == [percent("50"), percent("40"), percent("30")]
    for wrong in ("half", ","):
        with pytest.raises(SystemExit):
            parser.parse_args(["--shares", wrong])
    assert "argument --shares: ',' names nothing" in capsys.readouterr().err


def test_the_shares_of_a_protocol_are_such_a_list():
    parser = ArgumentParser()
    protocol.options(parser)
    (shares,) = [action for action in parser._actions if "--shares" in action.option_strings]
    assert isinstance(shares, Several)
