"""The static site: a page for every Markdown page, and every link in it leads somewhere."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from browser import CHROMIUM, browser

from zooready.families import shipped

pytest.importorskip("markdown", reason="Markdown is not here: make setup")
import site_pages  # noqa: E402

LINK = re.compile(r'(?:href|src)="([^"]+)"')
ID = re.compile(r'id="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    return out, site_pages.build(out)


def test_every_link_leads_to_a_file_and_a_heading_that_are_there(site):
    out, pages = site
    for page in pages:
        for link in map(unescape, LINK.findall(page.read_text(encoding="utf-8"))):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (page.parent / parts.path).resolve() if parts.path else page
            assert target.is_file(), (page.relative_to(out), link)
            assert target.is_relative_to(out.resolve())
            assert not parts.fragment or parts.fragment in ID.findall(target.read_text(encoding="utf-8")), (page.relative_to(out), link)


def test_there_is_a_page_for_every_card_with_its_images(site):
    out, _ = site
    for name in shipped():
        text = (out / "model_cards" / f"{name}.html").read_text(encoding="utf-8")
        assert "<table>" in text
        assert "<img" in text


def test_no_link_leads_to_markdown(site):
    _, pages = site
    links = [link for page in pages for link in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [link for link in links if not urlsplit(link).scheme and urlsplit(link).path.endswith(".md")] == []


def test_a_link_to_nothing_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(site_pages, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("# A\n\n[b](nothing.md)\n")
    with pytest.raises(SystemExit, match=r"README.md links to nothing.md, which is no file"):
        site_pages.build(tmp_path / "site")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_no_page_is_wider_than_a_telephone_and_every_image_is_there(site):
    _, pages = site
    with browser() as page:
        for path in pages:
            page.open(path, 360)
            page.wait(f"document.readyState == 'complete' && location.pathname.endsWith('/{path.name}')")
            assert page.value("document.documentElement.scrollWidth") <= 360, path
            assert page.value("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == [], path
