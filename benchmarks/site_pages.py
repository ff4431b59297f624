"""The README, the pages and the model cards as a static site, with working links: ``python benchmarks/site_pages.py [--models] [OUT]``.

Each Markdown page becomes an HTML page in its place, README.md becomes index.html, and files that pages show or link to are copied. With
``--models`` a page that runs the model in a browser is made for every shipped model (``zooready page``; minutes) and linked from its card.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from zooready.commands.page import page
from zooready.families import shipped

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "model_cards", "export/fiji", "export/pyimagej", "export/cellprofiler", ".github")
LINK = re.compile(r'(href|src)="([^"]+)"')
RUN = "models"  # folder of the pages that run a model
STYLE = """
:root { color-scheme: light dark; font: 16px/1.55 system-ui, sans-serif; }
body { margin: 0; padding: 1rem; overflow-wrap: break-word; }
nav, main > * { max-width: 62rem; margin-inline: auto; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; border-bottom: 1px solid #8886; padding-bottom: .5rem; }
nav [aria-current] { color: inherit; font-weight: bold; text-decoration: none; }
img { max-width: 100%; height: auto; }
main > table { max-width: 100%; }
table {
  display: block; width: fit-content; overflow-x: auto; border-collapse: collapse; font-variant-numeric: tabular-nums;
  /* a shadow at the side where more can be scrolled to, covered by the page's colour at the table's end */
  background:
    linear-gradient(to right, Canvas, transparent) left / 2rem 100% local,
    linear-gradient(to left, Canvas, transparent) right / 2rem 100% local,
    linear-gradient(to right, #888a, transparent) left / .8rem 100%,
    linear-gradient(to left, #888a, transparent) right / .8rem 100%;
  background-repeat: no-repeat;
}
th, td { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; vertical-align: top; overflow-wrap: normal; }
@media (max-width: 40rem) { table, pre { font-size: .85rem; } th, td { padding: .2rem .4rem; } }
pre { overflow-x: auto; padding: .8rem; background: #8882; }
code { background: #8882; padding: 0 .2rem; }
pre code { background: none; padding: 0; }
"""


def build(out: Path, *, with_models: bool = False) -> list[Path]:
    """Write the site into ``out``, which is made anew; returns its pages."""
    shutil.rmtree(out, ignore_errors=True)
    if with_models:
        (out / RUN).mkdir(parents=True)
        for name in shipped():
            page(name, out / RUN / f"{name}.html")
    sources = [ROOT / "README.md", *(path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md")))]
    places = {source: _place(source) for source in sources}
    for source, place in places.items():
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_page(source, place, places, out), encoding="utf-8")
    return [out / place for place in places.values()]


def _place(source: Path) -> Path:
    """Where the page of a Markdown file stands in the site; names that begin with a point are hidden by some servers."""
    place = source.relative_to(ROOT).with_suffix(".html")
    place = Path(*(part.removeprefix(".") for part in place.parts))
    return place.with_name("index.html") if place.name == "README.html" else place


def _page(source: Path, place: Path, places: dict[Path, Path], out: Path) -> str:
    from markdown import Markdown
    from markdown.extensions.toc import TocExtension

    text = source.read_text(encoding="utf-8")
    body = Markdown(extensions=["tables", "fenced_code", TocExtension(slugify=_anchor)]).convert(text)
    up = "../" * (len(place.parts) - 1)
    body = LINK.sub(lambda found: f'{found[1]}="{_target(found[2], source, up, places, out)}"', body)
    title = next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), source.stem)
    links = "".join(
        f'<a href="{up}{where}"{" aria-current=page" if where == place.as_posix() else ""}>{escape(words)}</a>'
        for words, where in _navigation(source, out)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><nav>{links}</nav><main>{body}</main></body></html>\n"
    )


def _navigation(source: Path, out: Path) -> Iterator[tuple[str, str]]:
    """(words, place): the first page, its list of pages, the cards, and of a card the page that runs its model."""
    yield "zooready", "index.html"
    yield "all pages", f"index.html#{_anchor('Pages', '-')}"
    yield from ((name, f"model_cards/{name}.html") for name in shipped())
    if (out / RUN / f"{source.stem}.html").is_file() and source.parent.name == "model_cards":
        yield f"run {source.stem} in the browser", f"{RUN}/{source.stem}.html"


def _target(link: str, source: Path, up: str, places: dict[Path, Path], out: Path) -> str:
    """A link as the site has it: to the page of a Markdown file, to a copy of any other file."""
    parts = urlsplit(link)
    if parts.scheme or not parts.path:
        return link
    file = (source.parent / parts.path).resolve()
    anchor = f"#{parts.fragment}" if parts.fragment else ""
    if file in places:
        return f"{up}{places[file].as_posix()}{anchor}"
    if not file.is_file():
        raise SystemExit(f"{source.relative_to(ROOT)} links to {link}, which is no file: mend the link.")
    copy = out / file.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return f"{up}{file.relative_to(ROOT).as_posix()}{anchor}"


def _anchor(title: str, separator: str) -> str:
    """A heading's name as GitHub makes it, so that links between pages hold."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", separator)


def main() -> None:
    """Build it, and say how many pages there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "site")
    parser.add_argument("--models", action="store_true")
    given = parser.parse_args()
    pages = build(given.out, with_models=given.models)
    print(f"{len(pages)} pages: {given.out / 'index.html'}")  # noqa: T201


if __name__ == "__main__":
    main()
