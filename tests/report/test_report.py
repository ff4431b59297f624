"""Verdicts as a table, as JSON, and as a page."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import CHROMIUM, browser
from PIL import Image
from rich.console import Console

from zooready.comparison import Comparison
from zooready.errors import InputInvalid
from zooready.images.drawing import limits
from zooready.images.thumbnails import data_url
from zooready.records import Case, Verdict
from zooready.report import Panel, Section, html, section, table, to_json

IMAGE = np.linspace(0, 255, 30 * 40, dtype=np.float32).reshape(1, 1, 30, 40)
LABELS = (np.arange(1200).reshape(1, 1, 30, 40) // 300).astype(np.float32)
SCORES = np.array([[0.1, 0.9]], np.float32)


def verdict(status="passed", **more):
    return Verdict(**{"consumer": "torch", "format": "onnx", "status": status, "level": "ran", "why": "Because <so>.", **more})


def comparison(results):
    return Comparison(
        path=None,
        outputs=(("maps", "image"), ("labels", "labels"), ("scores", "scores")),
        names=(("intensity",), ("foreground", "boundary"), ("labels",), ("a", "b")),
        verdicts=(verdict(),),
        shown=Case(name="test", input=IMAGE, outputs=(np.concatenate([IMAGE, IMAGE / 2], 1), LABELS, SCORES)),
        results=results,
    )


@pytest.fixture
def compared():
    other = LABELS.copy()
    other[..., 0, :7] = 9
    maps = np.concatenate([IMAGE, IMAGE / 2], 1)
    return comparison({"torch onnx": (maps, LABELS, SCORES), "java-onnx onnx": (maps + np.float32(0.25), other, SCORES)})


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_the_table_shows_status_difference_and_reason():
    verdicts = [
        verdict(difference=3.1e-7, tolerance=1e-4, versions={"torch": "2.15.0"}, seconds=2.34),
        verdict("missing", level="rules", consumer="java-onnx", why="No Java here. Run zooready engines install."),
    ]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table(verdicts, title="tiny.zip"))
    text = console.export_text()
    assert re.search(r"torch +onnx +✓ passed +ran +3e-07 / 1e-04 +2.3 +Because <so>\.", text)
    assert re.search(r"java-onnx +onnx +– missing +No Java here\. Run zooready engines install\.", text)


def test_a_reason_in_brackets_is_no_markup():
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table([verdict(why="shape [bold] (1, 1)")]))
    assert "shape [bold] (1, 1)" in console.export_text()


def test_json_holds_every_field_and_no_nan(tmp_path):
    to_json([verdict(difference=float("inf"), cases=("test",))], tmp_path / "verdicts.json")
    (stored,) = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert stored["difference"] is None
    assert stored["cases"] == ["test"]
    assert set(stored) == set(Verdict.__dataclass_fields__)


def test_reports_that_cannot_be_written_say_so(tmp_path):
    with pytest.raises(InputInvalid, match="cannot write .*nowhere"):
        to_json([], tmp_path / "nowhere" / "verdicts.json")
    with pytest.raises(InputInvalid, match="cannot write .*nowhere"):
        html([], tmp_path / "nowhere" / "page.html")


def test_rows_hold_input_expectation_programs_and_the_largest_difference(compared):
    rows = dict(section(compared, title="tiny").rows)
    assert list(rows) == ["maps: foreground", "maps: boundary", "labels", "scores (a, b)"]
    captions = [[(panel.caption, panel.note) for panel in row] for row in rows.values()]
    assert captions[0] == [
        ("input intensity", "0 to 255"),
        ("expected", "reference"),
        ("torch onnx", "identical"),
        ("java-onnx onnx", "max 0.25"),
        ("largest difference", "max 0.25"),
    ]
    assert captions[2][2:] == [
        ("torch onnx", "0 pixels differ"),
        ("java-onnx onnx", "7 pixels differ"),
        ("largest difference", "7 pixels differ"),
    ]
    assert [panel.kind for panel in rows["scores (a, b)"]] == ["input", "scores", "scores", "scores"]


def test_outputs_of_another_size_are_shown_without_a_difference():
    small = np.zeros((1, 2, 10, 10), np.float32)
    rows = dict(section(comparison({"torch onnx": (small, LABELS, SCORES)}), title="tiny").rows)
    assert [panel.note for panel in rows["maps: foreground"]] == ["0 to 255", "reference", "other size: (10, 10)"]


def test_a_check_without_images_is_a_table_only():
    empty = Comparison(path=None, outputs=(), names=(), verdicts=(verdict(),), shown=None, results={})
    assert section(empty, title="tiny").rows == ()


def test_the_page_needs_nothing_beside_itself(tmp_path, compared):
    html([section(compared, title="tiny & small", note="A note.")], tmp_path / "page.html", lead="Lead.")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^"]{1,5})', page)) == {"data:", "#0"}
    assert "tiny &amp; small" in page
    assert "Because &lt;so&gt;." in page
    assert "1 of 1 passed" in page
    assert page.count("<img") == 3 * 5 + 1  # three rows of images, and the input beside the scores
    assert page.count('class="bars"') == 3


def test_the_same_check_gives_the_same_page(tmp_path, compared):
    for name in ("a", "b"):
        html([section(compared, title="tiny")], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_images_share_the_contrast_of_their_row(tmp_path):
    dark, bright = (Panel(caption="x", array=np.full((4, 4), value, np.float32), kind="image") for value in (10, 200))
    first = Panel(caption="x", array=np.linspace(0, 200, 16, dtype=np.float32).reshape(4, 4), kind="image")
    html([Section(title="t", verdicts=(), rows=(("row", (first, dark, bright)),))], tmp_path / "page.html")
    urls = re.findall(r'src="([^"]+)"', (tmp_path / "page.html").read_text())
    assert [int(decoded(url).mean()) for url in urls[1:]] == [12, 255]


def test_a_hot_pixel_does_not_darken_an_image():
    array = np.random.default_rng(0).uniform(0, 1, (64, 64))
    array[0, 0] = 1e6
    assert limits(array)[1] <= 1
    assert limits(np.zeros((3, 3))) == (0.0, 1.0)
    assert limits(np.full((3, 3), np.nan)) == (0.0, 1.0)


def test_labels_are_coloured_by_number_and_background_is_dark():
    pixels = decoded(data_url(LABELS[0, 0], "labels", (0, 1)))
    colours = {tuple(pixels[y, 0]) for y in range(0, 30)}
    assert len(colours) == 4
    assert tuple(pixels[0, 0]) == (0, 0, 0)


def test_a_difference_is_white_where_there_is_none():
    difference = np.zeros((5, 5))
    difference[2, 2] = 1e-7
    pixels = decoded(data_url(difference, "difference", (0, 1)))
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[2, 2]) == (158, 22, 50)
    assert (decoded(data_url(np.zeros((5, 5)), "difference", (0, 1))) == 255).all()


def test_values_that_are_not_finite_are_marked_and_large_images_thinned_out():
    array = np.zeros((1000, 700), np.float32)
    array[0, 0] = np.nan
    pixels = decoded(data_url(array, "image", (0, 1)))
    assert pixels.shape == (334, 234, 3)
    assert tuple(pixels[0, 0]) == (255, 0, 255)


def test_how_far_each_program_was_tried_stands_beside_its_verdict(tmp_path):
    verdicts = (verdict(), verdict(level="engine"), verdict(level="rules"), verdict("refused", level="rules"))
    html([Section(title="tiny", verdicts=verdicts)], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    words = ("the program itself ran it", "its engine, of the same version, ran it", "nothing ran: its written rules were checked")
    assert [page.count(f"<small>{start}") for start in words] == [1, 1, 1]
    assert "the program cannot open the bundle" in page
    assert "it crashed" not in page, "only the verdicts that are there are explained"


def test_images_of_a_known_width_have_a_scale_bar(tmp_path, compared):
    assert "µm" not in page_of(tmp_path, section(compared, title="tiny"))
    page = page_of(tmp_path, section(replace(compared, pixel_size_um=0.5), title="tiny"))  # 40 px are 20 um
    assert page.count('<i class="scale" style="width: 25.00%">5 µm</i>') == page.count("<img") > 0


def page_of(tmp_path, *sections):
    html(sections, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


READY = "document.readyState == 'complete' && document.querySelector('footer') !== null"
FITS = "cell => cell.scrollWidth <= cell.clientWidth + 1 || !cell.clientWidth"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser_nothing_is_cut_off_from_a_telephone_to_a_large_screen_and_dark_is_dark(tmp_path, compared):
    why = f"the input has an axis 'depth': name it z. {'x' * 300}"
    verdicts = (verdict(versions={"torch": "2.15.0"}, difference=1e-6, tolerance=1e-4), verdict("refused", level="rules", why=why))
    shown = replace(section(replace(compared, pixel_size_um=0.5), title="tiny"), verdicts=verdicts)
    page_of(tmp_path, shown)
    with browser() as page:
        for width in (360, 701, 1280, 3840):
            page.open(tmp_path / "page.html", width)
            page.wait(READY)
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value(f"[...document.querySelectorAll('td, h1, h2, nav a')].every({FITS})")
        light = page.value("getComputedStyle(document.body).backgroundColor")
        page.open(tmp_path / "page.html", 360, dark=True)
        page.wait(READY)
        assert page.value("getComputedStyle(document.body).backgroundColor") != light
        assert page.errors == []
