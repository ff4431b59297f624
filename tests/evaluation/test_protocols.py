"""The paper's protocol, on tiny files: every image is tested once, a stopped protocol goes on, and the table tells the truth."""

import csv
import shutil

import numpy as np
import pytest
import torch

from zooready import cli
from zooready.data import folds, named_set, read_set, share
from zooready.errors import InputInvalid
from zooready.evaluation.protocols import COLUMNS, protocol
from zooready.families import plcnn
from zooready.training import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = {"steps": 2, "batch": 2, "device": "cpu", "count": 2, "shares": (0.5,), "with_forest": False}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def hela(tmp_path_factory):
    """Three of HeLa's ten classes, 8, 4 and 4 images of 32 px."""
    import tifffile

    folder = tmp_path_factory.mktemp("hela")
    rng = np.random.default_rng(0)
    for name, count in (("actin", 8), ("dna", 4), ("er", 4)):
        (folder / name).mkdir()
        for number in range(count):
            tifffile.imwrite(folder / name / f"{number}.tif", rng.integers(0, 200, (32, 32)).astype(np.uint16))
    return folder


@pytest.fixture(scope="module")
def unbroken(hela, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("unbroken")
    return out, protocol("hela", hela, out, **SETTINGS)


def confusion(folder):
    rows = list(csv.reader((folder / "confusion.csv").read_text().splitlines()))
    return rows[0][1:], np.array([[int(value) for value in row[1:]] for row in rows[1:]])


def test_every_split_is_a_run_of_its_own(unbroken):
    out, rows = unbroken
    assert sorted(path.name for path in out.iterdir()) == ["50-50-run-01", "fold-01", "fold-02", "protocol.csv", "protocol.md"]
    assert [(row.split, row.runs, row.trained_on, row.held_out, row.claimed) for row in rows] == [
        ("2-fold", 2, 8, 8, None),
        ("50-50", 1, 8, 8, 87.5),
    ]
    for name in ("fold-01", "50-50-run-01"):
        run = checkpoint.read(out / name)
        assert run.classes == named_set("hela").classes
        assert run.data == f"8 images of 2D HeLa, split {name}, 8 held out"
        assert (out / name / "sample.tif").exists()


def test_every_image_is_tested_once_by_a_network_that_never_saw_it(unbroken, hela):
    out, rows = unbroken
    images = read_set(named_set("hela"), hela)
    family = plcnn.family(images.classes)
    right = []
    for split in folds(images.labels, 2, 0):
        network = family.network.architecture.build().eval()
        network.load_state_dict(checkpoint.read(out / split.name).state_dict())
        expected = np.zeros((10, 10), int)
        for member in split.held_out:
            image = torch.as_tensor(images.arrays[member].astype(np.float32))[None]
            with torch.no_grad():
                logits, _ = network((image - image.mean()) / image.std(correction=0))
            expected[images.labels[member], int(logits.argmax())] += 1
        classes, counts = confusion(out / split.name)
        assert tuple(classes) == images.classes
        np.testing.assert_array_equal(counts, expected)
        assert counts.sum(1).tolist()[:4] == [4, 2, 0, 2]
        right.append(100 * np.trace(expected) / 8)
    assert rows[0].correct == pytest.approx(np.mean(right))
    assert rows[0].deviation == pytest.approx(np.std(right, ddof=1))
    assert rows[0].largest_class == 50
    assert rows[1].deviation is None


def test_the_page_says_what_one_must_know(unbroken):
    out, rows = unbroken
    page = (out / "protocol.md").read_text()
    assert "16 images of 10 classes" in page
    assert "these runs took\n2 steps of 2 images, seed 0" in page
    assert "- No images of endosome, golgia, golgpp" in page
    assert "- 16 images, and 2D HeLa has 862. The published value is not confirmed." in page
    assert "read from a graph" in page
    table = list(csv.reader((out / "protocol.csv").read_text().splitlines()))
    assert table[0] == list(COLUMNS)
    assert [tuple(line) for line in table[1:]] == [row.cells() for row in rows]
    assert f"| {' | '.join(rows[0].cells())} |" in page
    actin = (confusion(out / "fold-01")[1] + confusion(out / "fold-02")[1])[0]
    assert f"| actin | 8 | {100 * actin[0] / 8:.1f} |" in page
    assert "| endosome | 0 |  |" in page


def test_a_stopped_protocol_goes_on_and_ends_alike(unbroken, hela, tmp_path):
    def stop(done, total, split):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        protocol("hela", hela, tmp_path, progress=stop, **SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["fold-01"]
    before = (tmp_path / "fold-01" / "weights.safetensors").stat().st_mtime_ns
    progress = []
    assert protocol("hela", hela, tmp_path, progress=lambda *what: progress.append(what), **SETTINGS) == unbroken[1]
    assert (tmp_path / "fold-01" / "weights.safetensors").stat().st_mtime_ns == before
    assert progress == [(0, 3, "fold-01"), (1, 3, "fold-02"), (2, 3, "50-50-run-01"), (3, 3, "")]
    for name in ("protocol.csv", "protocol.md"):
        assert (tmp_path / name).read_bytes() == (unbroken[0] / name).read_bytes()


def test_repeats_are_splits_of_their_own_and_finished_runs_are_kept(unbroken, hela, tmp_path):
    shutil.copytree(unbroken[0], tmp_path / "out")
    rows = protocol("hela", hela, tmp_path / "out", repeats=2, **SETTINGS)
    assert (rows[1].runs, rows[1].deviation is not None) == (2, True)
    images = read_set(named_set("hela"), hela)
    assert share(images.labels, 0.5, 0).held_out != share(images.labels, 0.5, 1).held_out
    first, second = (checkpoint.read(tmp_path / "out" / f"50-50-run-{number:02d}").data_sha256 for number in (1, 2))
    assert first != second


def test_shrunk_images_are_other_data_and_the_page_says_so(unbroken, hela, tmp_path):
    protocol("hela", hela, tmp_path, shrink=2, **{**SETTINGS, "shares": ()})
    assert checkpoint.read(tmp_path / "fold-01").data_sha256 != checkpoint.read(unbroken[0] / "fold-01").data_sha256
    assert "- Images were shrunk: 2 x 2 pixels averaged to one." in (tmp_path / "protocol.md").read_text()


def test_features_and_a_forest_are_judged_on_the_same_splits(unbroken, hela, tmp_path):
    from sklearn.ensemble import RandomForestClassifier

    from zooready.measurement.features import measurements

    shutil.copytree(unbroken[0], tmp_path / "out")
    settings = {**SETTINGS, "shares": (), "with_forest": True}
    (row,) = protocol("hela", hela, tmp_path / "out", **settings)
    images = read_set(named_set("hela"), hela)
    table = np.array([list(measurements(array[0]).values()) for array in images.arrays])
    right = []
    for split in folds(images.labels, 2, 0):
        forest = RandomForestClassifier(500, random_state=0).fit(table[list(split.training)], np.array(images.labels)[list(split.training)])
        right.append(100 * forest.score(table[list(split.held_out)], np.array(images.labels)[list(split.held_out)]))
    assert row.forest == pytest.approx(np.mean(right))
    assert row.correct == unbroken[1][0].correct
    assert unbroken[1][0].forest is None
    kept = (tmp_path / "out" / "features.npz").stat().st_mtime_ns
    (tmp_path / "out" / "fold-01" / "confusion-forest.csv").unlink()
    assert protocol("hela", hela, tmp_path / "out", **settings) == (row,)
    assert (tmp_path / "out" / "features.npz").stat().st_mtime_ns == kept


def test_other_settings_in_the_same_folder_are_refused(unbroken, hela):
    with pytest.raises(InputInvalid, match="fold-01 holds a run with steps = 2, not 1"):
        protocol("hela", hela, unbroken[0], **{**SETTINGS, "steps": 1})


def test_published_lists_replace_the_splits(yeast, tmp_path):
    rows = protocol("yeast", yeast, tmp_path, **SETTINGS)
    assert [(row.split, row.runs, row.trained_on, row.held_out, row.claimed) for row in rows] == [("published", 1, 36, 12, 91.0)]
    assert confusion(tmp_path / "published")[1].sum(1).tolist() == [1] * 12
    assert "10,022 of 12,500 right, 80.2 %" in (tmp_path / "protocol.md").read_text()
    assert checkpoint.read(tmp_path / "published").channels == ("mCherry", "GFP")


def test_lists_that_name_no_images_are_refused(yeast, tmp_path):
    (yeast / "HOwt_test.txt").write_text("")
    with pytest.raises(InputInvalid, match="the published lists name no images to train or to test on"):
        protocol("yeast", yeast, tmp_path, **SETTINGS)


def test_faulty_files_stop_it_before_anything_starts(hela, tmp_path):
    shutil.copytree(hela, tmp_path / "hela")
    (tmp_path / "hela" / "er" / "1.tif").write_bytes(b"")
    with pytest.raises(InputInvalid, match=r"(?s)Repair or remove these files:.*1\.tif is empty"):
        protocol("hela", tmp_path / "hela", tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table(unbroken, hela, capsys):
    words = ["--steps", "2", "--batch", "2", "--device", "cpu", "--folds", "2", "--shares", "50", "--no-forest"]
    assert cli.main(["protocol", "hela", str(hela), "--out", str(unbroken[0]), *words]) == 0
    printed = capsys.readouterr().out
    assert "fold-02: run 2 of 3" in printed
    assert "87.5" in printed
    assert "protocol.md explains the table" in printed


def test_shares_that_are_no_percents_are_usage_errors(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["protocol", "hela", "x", "--out", "y", "--shares", "100"])
    assert "'100' is no whole number from 1 to 99" in capsys.readouterr().err
