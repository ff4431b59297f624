"""``zooready page``: one HTML file that runs a bundle in a browser, on the visitor's own images, offline."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from zooready.commands import runs
from zooready.commands.console import print_line
from zooready.commands.export import bundle_of
from zooready.sharing.browser_page import write_page


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready page``."""
    add = parser.add_argument
    runs.takes_family(add("bundle", help="zip, folder, run, or a family with shipped weights"))
    add("-o", "--out", type=Path, default=Path("model.html"), help="HTML file to write")


def page(bundle: Path | str, out: Path | str) -> Path:
    """Write a page that runs the bundle in a browser; see docs/page.md.

    Raises
    ------
    BundleInvalid, ConsumerMissing, InputInvalid
        As :func:`zooready.sharing.browser_page.write_page`.
    """
    with bundle_of(bundle) as opened_bundle:
        return write_page(opened_bundle, out)


def run(bundle: str, out: Path) -> None:
    """Write the page, and say how large it is."""
    path = page(bundle, out)
    print_line(f"{path} ({path.stat().st_size / 1e6:.1f} MB): open it in a browser, or send it to a colleague.")
