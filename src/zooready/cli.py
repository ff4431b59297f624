"""The command line: find the command, print errors, return the exit code.

May import: commands
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from zooready.commands import COMMANDS, EXAMPLES, command
from zooready.errors import BundleInvalid, ConsumerMissing, InputInvalid, ZooreadyError, meant

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130  # exit codes; see docs/verdicts.md


class RootParser(argparse.ArgumentParser):
    """The parser of ``zooready`` itself, which says what a misspelt command or option may have been."""

    def error(self, message: str) -> NoReturn:
        """End with the message, and with the nearest command or option if one is not known."""
        if unknown := re.search(r"invalid choice: '([^']*)'", message):
            message = f"no command is called {unknown[1]!r}." + (meant(unknown[1], COMMANDS) or f" Use {', '.join(COMMANDS)}.")
        elif unknown := re.search(r"unrecognized arguments:.*?(--[^\s=]+)", message):
            message += meant(unknown[1], self.options())
        super().error(message)

    def commands(self) -> dict[str, CommandParser]:
        """The parser of each command."""
        return next(action.choices for action in self._actions if isinstance(action.choices, dict))

    def options(self) -> list[str]:
        """The options of the command that was typed."""
        return [name for command in self.commands().values() if command.is_loaded for name in command._option_string_actions]


class Version(argparse.Action):
    """Prints the version and ends; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Print it."""
        from zooready import __version__

        sys.stdout.write(f"zooready {__version__}\n")
        parser.exit()


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says defaults where there are some, and leaves examples in their lines."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class CommandParser(argparse.ArgumentParser):
    """The parser of one command. Its options are added when it is used first, since their module takes a while to import."""

    is_loaded = False

    def load(self) -> CommandParser:
        """Add the command's options, once; returns itself."""
        if not self.is_loaded:
            self.is_loaded = True
            command(self.prog.split()[-1]).options(self)
        return self

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """As argparse does, with the command's options."""
        return super(CommandParser, self.load()).parse_known_args(*given, **named)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    try:
        options = vars(parser().parse_args(arguments))
        return command(options.pop("command")).run(**options) or 0
    except ZooreadyError as error:
        _print_error(str(error))
        return MISSING if isinstance(error, ConsumerMissing) else USAGE if isinstance(error, InputInvalid | BundleInvalid) else FAILED
    except KeyboardInterrupt:
        _print_error("stopped. Finished files are kept, unfinished ones are not.")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:  # of a folder that no room writes to by itself: temporary files, a current folder that is gone
        where = f" ({error.filename})" if error.filename else ""
        _print_error(
            f"the system refused: {error.strerror or error}{where}. Free space, check permissions, or set TMPDIR to another folder."
        )
        return USAGE


def _print_error(sentence: str) -> None:
    print(f"zooready: {sentence}", file=sys.stderr)  # noqa: T201


def parser() -> RootParser:
    """The parser of the command line; each command's options are added when that command is parsed."""
    root = RootParser(
        prog="zooready",
        description="Train microscopy models and ship bundles that are proven to run in Fiji, DeepImageJ, pyimagej and CellProfiler.",
        formatter_class=Formatter,
    )
    root.add_argument(
        "--version", action=Version, nargs=0, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, help="print the version and end"
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=CommandParser)
    for name, help in COMMANDS.items():
        examples = "\n".join(("examples:", *(f"  zooready {name} {words}" for words in EXAMPLES[name])))
        commands.add_parser(name, help=help, description=help, epilog=examples, formatter_class=Formatter)
    return root


def entry() -> None:
    """Entry point of the ``zooready`` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # terminals that lack a sign, and file names that are no text
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may follow, which argcomplete answers, and then ends the process
        from argcomplete import autocomplete

        root = parser()
        for word in os.environ.get("COMP_LINE", "").split():
            if word in root.commands():
                root.commands()[word].load()  # argcomplete looks at options before they are parsed
        autocomplete(root)
    sys.exit(main())
