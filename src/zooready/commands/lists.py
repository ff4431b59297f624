"""Options that take several words: after one another, separated by commas, or the option given again, as people are used to."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any


class Several(Action):
    """``--in a b``, ``--in a,b`` and ``--in a --in b`` all give ``["a", "b"]``; ``type`` makes a value of each word."""

    def __init__(self, option_strings: list[str], dest: str, *, type: Callable[[str], Any] = str, **settings: Any) -> None:
        super().__init__(option_strings, dest, **{"nargs": "+", **settings})
        self._make = type
        self._begun: Namespace | None = None  # of the parse in which the option came before; its default is left behind by then

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        """Add what was given."""
        words = [word.strip() for value in values for word in value.split(",") if word.strip()]
        if not words:
            raise ArgumentError(self, f"{' '.join(values)!r} names nothing")
        try:
            made = [self._make(word) for word in words]
        except (ArgumentTypeError, ValueError) as error:
            raise ArgumentError(self, str(error)) from None
        before = getattr(namespace, self.dest) if self._begun is namespace else []
        self._begun = namespace
        setattr(namespace, self.dest, [*before, *made])
