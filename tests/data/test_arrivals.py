"""A folder that a microscope writes to: whole files only, nothing twice, a restart goes on."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from broken import good

from zooready.commands.predict import predict_files
from zooready.data import arrivals, arriving
from zooready.errors import InputInvalid


class Over(Exception):
    """The looks that a test allows are over."""


@pytest.fixture
def looks(monkeypatch):
    """Runs what happens before each look at the folder, one second after the other; then the generator ends."""

    def start(*events):
        clock = {"now": 0.0}
        waiting = list(events)

        def sleep(seconds):
            clock["now"] += 1.0
            if not waiting:
                raise Over
            waiting.pop(0)()

        monkeypatch.setattr(arrivals, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock["now"]))
        return clock

    return start


def nothing():
    pass


def until_over(generator):
    """What a generator gives until the looks are over."""
    try:
        yield from generator
    except Over:
        return


def names(folder, record):
    """Names of what comes until the looks are over."""
    return [path.name for path in until_over(arriving(folder, record))]


def test_a_file_comes_when_it_has_stopped_growing(tmp_path, looks):
    file, sizes = tmp_path / "a.tif", []

    def grow():
        with file.open("ab") as target:
            target.write(b"x" * 10)

    looks(grow, grow, nothing, grow, *[nothing] * 5)
    for path in until_over(arriving(tmp_path, tmp_path / "record.json")):
        sizes.append(path.stat().st_size)
    assert sizes == [30]


def test_nothing_comes_twice_and_a_restart_goes_on(tmp_path, looks):
    (tmp_path / "a.tif").write_bytes(b"a")
    record = tmp_path / "record.json"
    looks(*[nothing] * 5)
    assert names(tmp_path, record) == ["a.tif"]
    (tmp_path / "b.tif").write_bytes(b"b")
    looks(*[nothing] * 5)
    assert names(tmp_path, record) == ["b.tif"]
    (tmp_path / "a.tif").write_bytes(b"another one")
    looks(*[nothing] * 5)
    assert names(tmp_path, record) == ["a.tif"]


def test_a_file_whose_work_was_interrupted_comes_again(tmp_path, looks):
    (tmp_path / "a.tif").write_bytes(b"a")
    for _ in range(2):
        looks(*[nothing] * 5)
        assert next(arriving(tmp_path, tmp_path / "record.json")).name == "a.tif"


def test_an_empty_file_is_waited_for(tmp_path, looks):
    (tmp_path / "a.tif").touch()
    looks(*[nothing] * 6)
    assert names(tmp_path, tmp_path / "record.json") == []


def test_a_record_that_cannot_be_read_is_explained(tmp_path):
    (tmp_path / "record.json").write_text("[1]")
    with pytest.raises(InputInvalid, match=r"record.json, which remembers the files that were taken, cannot be read"):
        next(arriving(tmp_path, tmp_path / "record.json"))


@pytest.mark.parametrize("images", [["a.tif"], ["one", "two"]])
def test_only_one_folder_is_watched(tmp_path, images):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputInvalid, match="cannot be watched: name one folder"):
        next(predict_files("segmentation", [tmp_path / name for name in images], tmp_path / "out", watch=True))


def test_results_appear_as_images_do(tmp_path, looks):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    image = np.arange(35, dtype=np.uint16).reshape(5, 7)
    looks(*[nothing] * 4, lambda: tifffile.imwrite(source / "late.tif", image), *[nothing] * 5)
    tifffile.imwrite(source / "early.tif", image)
    found = [path.name for path, _, _ in until_over(predict_files(good().write(tmp_path / "tiny.zip"), [source], out, watch=True))]
    assert found == ["early.tif", "late.tif"]
    assert sorted(path.name for path in out.iterdir()) == ["early_probabilities.tif", "late_probabilities.tif", "watched.json"]
