"""A run on tiles that was stopped goes on at the tile where it was, and nobody takes its parts for results."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from zooready.commands.predict import predict_files
from zooready.errors import InputInvalid
from zooready.images import ome_zarr
from zooready.images.files import read_image
from zooready.images.mapped import in_a_file
from zooready.images.ome_zarr import write_store
from zooready.prediction import parts, tiled
from zooready.processes import locked
from zooready.records import Image

# a command line whose tiles are small
PREDICT = """
import sys
from zooready import cli
from zooready.prediction import parts, tiled, whole
tiled.SIDE, whole.AREA, parts.EVERY_S = 64, 1, 0
sys.exit(cli.main(["predict", *sys.argv[1:]]))
"""


def command(bundle, image, out):
    return [sys.executable, "-c", PREDICT, str(bundle), str(image), "-o", str(out)]


def done(out):
    """Tiles that lie in the parts of the image; 0 before the first."""
    record = out / ".image.tiles" / "done.json"
    return json.loads(record.read_text())["done"] if record.exists() else 0


def only(results):
    ((_, result, _),) = results
    return result


def stopped(bundle, image, out, after=5):
    """Run in this process until so many tiles are done, and then as Ctrl-C stops it."""

    def progress(tile, tiles):
        if tile == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predict_files(bundle, [image], out, progress=progress))


def test_a_killed_process_goes_on_where_it_was(bundle, image, tmp_path):
    subprocess.run(command(bundle, image, tmp_path / "whole"), check=True, capture_output=True)
    out = tmp_path / "out"
    child = subprocess.Popen(command(bundle, image, out), stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while done(out) < 10 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    before = done(out)
    assert before >= 10
    assert [path.name for path in out.iterdir()] == [".image.tiles"]
    again = subprocess.run(command(bundle, image, out), check=True, capture_output=True, text=True)
    assert re.search(rf"went on after {before} tiles that a stopped run\s+had\s+computed", again.stdout)
    assert [path.name for path in out.iterdir()] == ["image_output.tif"]
    assert (out / "image_output.tif").read_bytes() == (tmp_path / "whole" / "image_output.tif").read_bytes()


def test_a_killed_run_from_store_to_store_goes_on_where_it_was(bundle, image, tmp_path):
    store, out = tmp_path / "image.ome.zarr", tmp_path / "out"
    write_store(read_image(image), store)
    subprocess.run(command(bundle, store, tmp_path / "whole"), check=True, capture_output=True)
    child = subprocess.Popen(command(bundle, store, out), stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while done(out) < 10 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    before = done(out)
    assert before >= 10
    assert [path.name for path in out.iterdir()] == [".image.tiles"]
    again = subprocess.run(command(bundle, store, out), check=True, capture_output=True, text=True)
    assert re.search(rf"went on after {before} tiles that a stopped run\s+had\s+computed", again.stdout)
    assert [path.name for path in out.iterdir()] == ["image_output.ome.zarr"]
    files = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (out, tmp_path / "whole")
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 3


@pytest.mark.parametrize("largest", [1, 2**24])
def test_a_store_is_read_by_tiles_or_unpacked_on_the_disk_of_the_results(bundle, image, tmp_path, small_tiles, monkeypatch, largest):
    write_store(read_image(image), tmp_path / "image.ome.zarr")
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    monkeypatch.setattr(ome_zarr, "LARGEST", largest)
    folders = []
    monkeypatch.setattr(ome_zarr, "in_a_file", lambda shape, dtype, folder: folders.append(folder) or in_a_file(shape, dtype, folder))
    lazy = only(predict_files(bundle, [tmp_path / "image.ome.zarr"], tmp_path / "out"))
    assert folders == [tmp_path / "out"] * (largest == 1)
    at_once = only(predict_files(bundle, [image], tmp_path / "tiff"))
    np.testing.assert_array_equal(lazy.images["output"].array, at_once.images["output"].array)


def test_one_channel_of_a_stack_in_chunks_is_that_of_the_tiff(bundle, tmp_path, small_tiles, monkeypatch):
    stack = np.random.default_rng(2).poisson(100, (2, 3, 130, 150)).astype(np.uint16)
    write_store(Image(array=stack, axes="zcyx"), tmp_path / "image.ome.zarr")
    tifffile.imwrite(tmp_path / "other.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    monkeypatch.setattr(ome_zarr, "_unpacked", None)
    lazy = only(predict_files(bundle, [tmp_path / "image.ome.zarr"], tmp_path / "out", channel=2))
    at_once = only(predict_files(bundle, [tmp_path / "other.tif"], tmp_path / "out", channel=2))
    assert lazy.images["output"].array.shape == (2, 130, 150)
    np.testing.assert_array_equal(lazy.images["output"].array, at_once.images["output"].array)


def test_ctrl_c_keeps_the_tiles_and_they_are_not_computed_again(bundle, image, tmp_path, small_tiles):
    stopped(bundle, image, tmp_path / "out", after=7)
    assert done(tmp_path / "out") == 7
    calls = []
    result = only(predict_files(bundle, [image], tmp_path / "out", progress=lambda *numbers: calls.append(numbers)))
    assert calls[0][0] == 8
    assert "went on after 7 tiles that a stopped run had computed." in result.notes
    expected = only(predict_files(bundle, [image], tmp_path / "other"))
    np.testing.assert_array_equal(result.images["output"].array, expected.images["output"].array)


def test_files_are_brought_up_to_date_now_and_then(bundle, image, tmp_path, small_tiles, monkeypatch):
    monkeypatch.setattr(parts, "EVERY_S", 1e9)
    stopped(bundle, image, tmp_path / "out")
    assert done(tmp_path / "out") == 0


def test_every_plane_of_a_stack_is_taken_up(bundle, tmp_path, small_tiles):
    path = tmp_path / "image.tif"
    stack = np.random.default_rng(2).poisson(100, (3, 130, 150)).astype(np.uint16)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    stopped(bundle, path, tmp_path / "out", after=14)  # in the second plane, of nine tiles each
    result = only(predict_files(bundle, [path], tmp_path / "out"))
    assert "went on after 14 tiles that a stopped run had computed." in result.notes
    expected = only(predict_files(bundle, [path], tmp_path / "other"))
    np.testing.assert_array_equal(result.images["output"].array, expected.images["output"].array)


@pytest.mark.parametrize("change", ["pixels", "weights", "smaller tiles", "a file is gone"])
def test_what_has_changed_since_is_computed_anew(bundle, image, tmp_path, small_tiles, monkeypatch, change):
    stopped(bundle, image, tmp_path / "out")
    if change == "pixels":
        pixels = tifffile.imread(image)
        pixels[-1, -1] += 1
        tifffile.imwrite(image, pixels)
    if change == "weights":
        monkeypatch.setattr(parts, "version", lambda name: "another")
    if change == "smaller tiles":
        monkeypatch.setattr(tiled, "SIDE", 32)
    if change == "a file is gone":
        (tmp_path / "out" / ".image.tiles" / "0").unlink()
    result = only(predict_files(bundle, [image], tmp_path / "out"))
    assert not any("went on" in note for note in result.notes)
    expected = only(predict_files(bundle, [image], tmp_path / "other"))
    np.testing.assert_array_equal(result.images["output"].array, expected.images["output"].array)


def test_windows_that_are_a_little_larger_than_memory_now_suggests_are_taken_up(bundle, image, tmp_path, small_tiles, monkeypatch):
    stopped(bundle, image, tmp_path / "out")
    monkeypatch.setattr(tiled, "SIDE", 56)
    result = only(predict_files(bundle, [image], tmp_path / "out"))
    assert "went on after 5 tiles that a stopped run had computed." in result.notes


def test_parts_that_another_process_works_on_are_left_alone(bundle, image, tmp_path, small_tiles):
    stopped(bundle, image, tmp_path / "out")
    with (tmp_path / "out" / ".image.tiles" / "in-use").open("ab") as lock:
        assert locked(lock)
        result = only(predict_files(bundle, [image], tmp_path / "out"))
    assert not any("went on" in note for note in result.notes)
    assert done(tmp_path / "out") == 5
    assert (tmp_path / "out" / "image_output.tif").exists()


def test_old_parts_of_other_images_are_removed(bundle, image, tmp_path, small_tiles):
    out = tmp_path / "out"
    stopped(bundle, image, out)
    shutil.copytree(out / ".image.tiles", out / ".young.tiles")
    old = time.time() - 8 * 24 * 3600
    os.utime(out / ".image.tiles" / "done.json", (old, old))
    tifffile.imwrite(tmp_path / "other.tif", np.ones((20, 30), np.uint8))
    list(predict_files(bundle, [tmp_path / "other.tif"], out))
    assert sorted(path.name for path in out.iterdir()) == [".young.tiles", "other_output.tif"]


def test_an_image_that_cannot_be_used_leaves_no_parts(bundle, image, tmp_path, small_tiles, monkeypatch):
    def full(*given):
        raise InputInvalid("the disk is full.")

    monkeypatch.setattr("zooready.prediction.output.write_image", full)
    assert "the disk is full" in str(only(predict_files(bundle, [image], tmp_path / "out")))
    assert list((tmp_path / "out").iterdir()) == []
