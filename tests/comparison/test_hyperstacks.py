"""The tables of images of every kind of axes: every shipped bundle stands there, refused as promised; the script tells right from wrong."""

import re
from dataclasses import replace

import hyperstacks
import pytest
from foreign import good
from hyperstack_programs import PROGRAMS

from zooready.families import FAMILIES, shipped

PAGE = hyperstacks.TARGET.read_text(encoding="utf-8")


def rows(section):
    """{image: its cells} of a section."""
    lines = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)
    return {name: cells for name, *cells in (line.split(" | ") for line in lines[1:])}


def test_the_page_has_every_shipped_bundle_and_every_program():
    sections = hyperstacks.sections_of(PAGE)
    assert list(sections) == list(shipped())
    for section in sections.values():
        assert f"| image | {' | '.join(PROGRAMS)} |" in section
        assert {len(cells) for cells in rows(section).values()} == {len(PROGRAMS)}
        assert "**" not in section


@pytest.mark.parametrize("family", shipped())
def test_what_is_refused_is_what_the_table_of_fiji_refuses(family):
    """A single plane and time for a network of stacks, a stack for one that makes stacks, other numbers of channels for all."""
    record, refused = FAMILIES[family], {"z-stack, a channel too many"}
    if "z" in record.input.axes:
        refused |= {"depth 1", "time series"}
    elif any("z" in output.axes for output in record.outputs):
        refused |= {"z-stack", "z-stacks over time"}
    if len(record.input.channels) > 1:
        refused |= {"a channel too few"}
    found = rows(hyperstacks.sections_of(PAGE)[family])
    assert {name for name, cells in found.items() if set(cells) <= {"refused", "–"}} == refused
    assert not any("refused" in cells for name, cells in found.items() if name not in refused)


def test_a_section_replaces_the_one_before_and_leaves_the_rest():
    sections = hyperstacks.sections_of(PAGE)
    assert hyperstacks.put_into(PAGE, sections) == PAGE
    changed = hyperstacks.put_into(PAGE, sections | {"mrbcr": "### mrbcr\n\nnew\n"})
    assert "### mrbcr\n\nnew\n" in changed
    assert hyperstacks.sections_of(changed) == sections | {"mrbcr": "### mrbcr\n\nnew\n"}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Exit code of a run for a draft by some programs, and the section that it wrote."""
    monkeypatch.setattr(hyperstacks, "SIDES", (14, 15))
    monkeypatch.setattr(hyperstacks, "ODD", (7, 5))

    def run(draft, *programs):
        page = tmp_path / "page.md"
        page.write_text(PAGE, encoding="utf-8")
        code = hyperstacks.main([str(draft.write(tmp_path / "tiny.zip")), "--in", *programs, "--out", str(page)])
        return code, hyperstacks.sections_of(page.read_text(encoding="utf-8")).get("tiny", "")

    return run


def test_a_good_bundle_agrees_on_every_kind_of_image(written):
    code, section = written(good(), "predict")
    assert code == 0
    found = rows(section)
    assert found.pop("z-stack, a channel too many") == ["refused"]
    assert {"depth 1", "time series", "z-stack", "z-stacks over time", "signed"} <= set(found)
    assert all(float(cell) <= 1e-4 for (cell,) in found.values())


def test_a_program_that_loses_a_plane_or_turns_their_order_round_is_found(written, monkeypatch, capsys):
    real = PROGRAMS["predict"].run

    def wrong(path, bundle, images, folder):
        answers = real(path, bundle, images, folder)
        turned, short = (next(n for n, image in enumerate(images) if image.name == name) for name in ("z-stack", "time series"))
        answers[turned] = {name: pieces[::-1] for name, pieces in answers[turned].items()}
        answers[short] = {name: pieces[:1] for name, pieces in answers[short].items()}
        return answers

    monkeypatch.setitem(PROGRAMS, "predict", replace(PROGRAMS["predict"], run=wrong))
    assert written(good(), "predict") == (1, "")
    told = capsys.readouterr().err
    assert "tiny, predict, time series: 1 pieces of 2" in told
    assert re.search(r"tiny, predict, z-stack: 0\.\d+|tiny, predict, z-stack: \d", told)


def test_an_image_that_is_taken_though_it_cannot_be_meant_is_found(written, monkeypatch, capsys):
    monkeypatch.setattr(hyperstacks, "is_refused", lambda bundle, image: image.name == "z-stack" or image.array.shape[2] > 1)
    assert written(good(), "predict") == (1, "")
    assert "tiny, predict, z-stack: runs" in capsys.readouterr().err


@pytest.mark.fiji
@pytest.mark.cellprofiler
@pytest.mark.slow
def test_every_program_that_is_here_agrees_on_every_kind_of_image(written):
    here = [name for name, program in PROGRAMS.items() if not program.missing()]
    if here == ["predict"]:
        pytest.skip("neither Fiji nor CellProfiler is here")
    code, section = written(good(), *here)
    assert code == 0
    assert {len(cells) for cells in rows(section).values()} == {len(here)}
