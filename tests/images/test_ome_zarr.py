"""OME-Zarr in and out: axes by name, calibration, every version, chunk by chunk, and whole or not at all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import zarr

from zooready import cli
from zooready.errors import InputInvalid
from zooready.images import files, mapped, ome_zarr
from zooready.images.ome_zarr import read_store, write_store
from zooready.records import Image

STACK = np.random.default_rng(0).integers(0, 60000, (2, 3, 4, 30, 50), dtype=np.uint16)  # (t, z, c, y, x)
CHANNELS = ("DAPI", "GFP", "actin", "tubulin")


def by_hand(path, array, attributes, *, version=2, **how):
    group = zarr.create_group(path, zarr_format=version)
    group.create_array("full", data=array, chunks=tuple(min(16, length) for length in array.shape), **how)
    group.attrs.update(attributes)
    return path


def multiscales(axes, scale, **more):
    transformations = [{"type": "scale", "scale": scale}]
    return [{"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": transformations}], **more}]


def space(name, unit="micrometer"):
    return {"name": name, "type": "space", "unit": unit}


@pytest.mark.parametrize("lazily", [False, True])
def test_what_is_written_is_read_with_its_axes_and_calibration(tmp_path, monkeypatch, lazily):
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    monkeypatch.setattr(ome_zarr, "BLOCK", 500)
    monkeypatch.setattr(ome_zarr, "CHUNK", 16)
    image = Image(array=STACK, axes="tzcyx", pixel_size_um=0.2, z_um=0.7, channels=CHANNELS, frame_s=1.5)
    write_store(image, tmp_path / "a.ome.zarr")
    back = files.read_image(tmp_path / "a.ome.zarr", lazily=lazily)
    np.testing.assert_array_equal(back.array, STACK)
    assert mapped.is_mapped(back.array) == lazily
    assert (back.axes, back.pixel_size_um, back.z_um, back.channels) == ("tzcyx", pytest.approx(0.2), 0.7, CHANNELS)
    assert back.frame_s == 1.5


@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tyx"])
def test_axes_that_an_image_lacks_are_not_written(tmp_path, axes):
    array = STACK[0, 0, 0] if axes == "yx" else STACK[0, 0]
    write_store(Image(array=array, axes=axes), tmp_path / "a.zarr")
    back = read_store(tmp_path / "a.zarr", None)
    assert (back.axes, back.pixel_size_um, back.z_um) == (axes, None, None)
    np.testing.assert_array_equal(back.array, array)
    stated = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())["multiscales"][0]
    assert [axis["name"] for axis in stated["axes"]] == list(axes)


def test_smaller_copies_have_every_second_pixel_and_say_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "CHUNK", 16)
    monkeypatch.setattr(ome_zarr, "SMALLEST", 20)
    write_store(Image(array=STACK[0, 0], axes="cyx", pixel_size_um=0.5), tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert sorted(group.array_keys()) == ["0", "1", "2"]
    np.testing.assert_array_equal(group["2"][:], STACK[0, 0, :, ::4, ::4])
    scales = [one["coordinateTransformations"][0]["scale"] for one in group.attrs["multiscales"][0]["datasets"]]
    assert scales == [[1, 0.5, 0.5], [1, 1, 1], [1, 2, 2]]


def test_version_5_with_shards_and_nanometres(tmp_path):
    axes = [{"name": "c", "type": "channel"}, space("z", "nanometer"), space("y", "nanometer"), space("x", "nanometer")]
    stated = {"ome": {"version": "0.5", "multiscales": multiscales(axes, [1, 900, 250, 250])}}
    by_hand(tmp_path / "a.zarr", STACK[0].swapaxes(0, 1), stated, version=3, shards=(4, 3, 32, 32))
    back = read_store(tmp_path / "a.zarr", None)
    assert (back.axes, back.pixel_size_um, back.z_um) == ("zcyx", pytest.approx(0.25), pytest.approx(0.9))
    np.testing.assert_array_equal(back.array, STACK[0])


def test_a_scale_of_all_copies_counts_too(tmp_path):
    more = {"coordinateTransformations": [{"type": "scale", "scale": [10.0, 2.0, 2.0]}]}
    axes = [{"name": "t", "type": "time", "unit": "second"}, space("y"), space("x")]
    by_hand(tmp_path / "a.zarr", STACK[:, 0, 0], {"multiscales": multiscales(axes, [1, 0.1, 0.1], **more)})
    back = read_store(tmp_path / "a.zarr", None)
    assert (back.axes, back.pixel_size_um) == ("tyx", pytest.approx(0.2))


def test_old_versions_have_five_axes_in_one_order(tmp_path):
    old = [{"datasets": [{"path": "full"}], "version": "0.1"}]
    by_hand(tmp_path / "a.zarr", STACK.swapaxes(1, 2), {"multiscales": old})
    back = read_store(tmp_path / "a.zarr", None)
    assert back.axes == "tzcyx"
    np.testing.assert_array_equal(back.array, STACK)


def test_an_array_without_names_takes_the_axes_that_are_given(tmp_path):
    zarr.save_array(tmp_path / "a.zarr", STACK[0, 0])
    assert read_store(tmp_path / "a.zarr", "zyx").axes == "zyx"
    with pytest.raises(InputInvalid, match=r"a.zarr, an array of shape \(4, 30, 50\), has axes '': name them by 3 different letters"):
        read_store(tmp_path / "a.zarr", None)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, r"holds no image at its top, but deeper: name the image inside it"),
        ({"plate": {"wells": []}}, r"holds no image at its top, but deeper"),
        ({"multiscales": [{"datasets": []}]}, r"is damaged or no OME-Zarr \(IndexError"),
        ({"multiscales": multiscales([space("y"), space("x")], [1, 2])}, r"has pixels of 2 x 1 µm: networks need square ones"),
        ({"multiscales": multiscales([{"name": "angle"}, space("x")], [1, 1])}, r"has axes '\?x': name them"),
        ({"multiscales": [{"datasets": [{"path": "gone"}], "axes": ["y", "x"]}]}, r"is damaged or no OME-Zarr \(KeyError"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_reason(tmp_path, attributes, message):
    by_hand(tmp_path / "a.zarr", STACK[0, 0, 0], attributes)
    (zarr.open_group(tmp_path / "a.zarr")).create_group("deeper")
    with pytest.raises(InputInvalid, match=message):
        read_store(tmp_path / "a.zarr", None)


def test_a_damaged_chunk_is_refused(tmp_path):
    write_store(Image(array=STACK[0, 0, 0], axes="yx"), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "0" / "0" / "0").write_bytes(b"no chunk")
    with pytest.raises(InputInvalid, match=r"a.zarr is damaged or no OME-Zarr"):
        read_store(tmp_path / "a.zarr", None)


def test_of_a_large_store_only_the_chunks_that_are_looked_at_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    monkeypatch.setattr(ome_zarr, "CHUNK", 16)
    write_store(Image(array=STACK[0, 0, 0], axes="yx"), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "0" / "1" / "3").write_bytes(b"no chunk")
    image = files.read_image(tmp_path / "a.zarr", lazily=True)
    np.testing.assert_array_equal(image.array[:, :48], STACK[0, 0, 0, :, :48])
    with pytest.raises(InputInvalid, match=r"a.zarr is damaged or no OME-Zarr"):
        np.asarray(image.array[:, 47:])


@pytest.mark.parametrize(("chunks", "largest"), [((1, 2, 16, 16), 2**24), ((1, 1, 16, 16), 100)])
def test_chunks_of_many_planes_or_pixels_are_unpacked_once_to_a_file(tmp_path, monkeypatch, chunks, largest):
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    monkeypatch.setattr(ome_zarr, "LARGEST", largest)
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("full", data=STACK[0], chunks=chunks)
    group.attrs["multiscales"] = multiscales(["z", "c", "y", "x"], [1, 1, 1, 1])
    array = files.read_image(tmp_path / "a.zarr", lazily=tmp_path).array
    assert isinstance(array, np.memmap)
    np.testing.assert_array_equal(array, STACK[0])


def test_half_precision_and_truth_values_are_converted_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "LAZY_BYTES", 1)
    for name, array in (("half", STACK[0, 0, 0].astype(np.float16) / 100), ("truth", STACK[0, 0, 0] > 30000)):
        zarr.save_array(tmp_path / name, array)
        read = files.read_image(tmp_path / name, axes="yx", lazily=True).array
        assert read.dtype == (np.float32 if name == "half" else np.uint8)
        np.testing.assert_array_equal(read, array if name == "half" else 255 * array)


def test_without_the_package_the_cure_is_named(tmp_path, monkeypatch):
    write_store(Image(array=STACK[0, 0, 0], axes="yx"), tmp_path / "a.zarr")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputInvalid, match=r"a.zarr is OME-Zarr, and the package zarr is not here: pip install 'zooready\[zarr\]'"):
        files.read_image(tmp_path / "a.zarr")


def test_a_store_is_whole_or_not_there_and_replaces_an_older_one(tmp_path, monkeypatch):
    path, first, second = tmp_path / "a.zarr", STACK[0, 0, 0], STACK[0, 0, 1]
    write_store(Image(array=first, axes="yx"), path)
    with monkeypatch.context() as patch:

        def stopped(*given):
            raise KeyboardInterrupt

        patch.setattr(ome_zarr, "_metadata", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_store(Image(array=second, axes="yx"), path)
    np.testing.assert_array_equal(read_store(path, None).array, first)
    write_store(Image(array=second, axes="yx"), path)
    np.testing.assert_array_equal(read_store(path, None).array, second)
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    gone, living = (tmp_path / f".a.zarr.{pid}.part" for pid in (ended.stdout.strip(), os.getppid()))
    for part in (gone, living):
        part.mkdir()
    write_store(Image(array=STACK[0, 0, 0], axes="yx"), tmp_path / "a.zarr")
    assert sorted(tmp_path.iterdir()) == [living, tmp_path / "a.zarr"]


def test_predict_takes_and_gives_stores(tmp_path, capsys):
    from broken import good

    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    write_store(Image(array=STACK[0, 0, 0], axes="yx", pixel_size_um=0.3), images / "one.ome.zarr")
    bundle = str(good().write(tmp_path / "tiny.zip"))
    assert cli.main(["predict", bundle, str(images), "-o", str(out)]) == 0, capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["one_probabilities.ome.zarr"]
    result = files.read_image(out / "one_probabilities.ome.zarr")
    assert result.pixel_size_um == pytest.approx(0.3)
    for name in ("two.zarr", "two.zarr", "two.tif"):  # a store is replaced, too
        assert cli.main(["predict", bundle, str(images / "one.ome.zarr"), "-o", str(tmp_path / name)]) == 0, capsys.readouterr().out
        np.testing.assert_array_equal(files.read_image(tmp_path / name).array, result.array)
