"""Numbers on the command line, as types of argparse."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def from_zero(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def percent(text: str) -> int:
    """A whole number from 1 to 99."""
    if not text.isdecimal() or not 0 < int(text) < 100:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to 99")
    return int(text)
