"""The errors that zooready raises.

May import: nothing
"""

import reprlib
from collections.abc import Iterable

_shown = reprlib.Repr()
_shown.maxlevel = 4
_shown.maxlist = _shown.maxtuple = _shown.maxdict = _shown.maxset = 10
_shown.maxstring = _shown.maxlong = _shown.maxother = 200


def shown(value: object) -> str:
    """A value that somebody wrote, as a message shows it; cut where it is long, since a few aliases of YAML stand for any length.

    >>> shown(list(range(99)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]'
    """
    return _shown.repr(value)


def meant(word: str, known: Iterable[str]) -> str:
    """What a misspelt word may have been, as the end of a message: a space and a question; empty if nothing is near.

    >>> meant("spotz", ["spots", "deepz"])
    " Did you mean 'spots'?"
    """
    from difflib import get_close_matches  # only when something went wrong

    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def amount(number: int, noun: str, plural: str = "") -> str:
    """A number of things in words; ``plural`` where that is not the noun with an s.

    >>> amount(1, "object"), amount(0, "object"), amount(1200, "class", "classes")
    ('1 object', '0 objects', '1200 classes')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


class ZooreadyError(Exception):
    """Any failure that zooready explains; the message says what happened, why, and what to do."""


class BundleInvalid(ZooreadyError):
    """A bundle is damaged, unsafe, or breaks a rule that the programs reading it depend on."""


class OutputsDiffer(ZooreadyError):
    """Two computations of the same output differ by more than the tolerance."""


class ConsumerMissing(ZooreadyError):
    """A program or engine that was asked for is not installed on this machine."""


class ConsumerFailed(ZooreadyError):
    """A program or engine crashed, hung, or returned nothing usable."""


class InputInvalid(ZooreadyError):
    """An image, folder, network or setting given by the user cannot be used."""
