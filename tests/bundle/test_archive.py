"""A folder becomes a zip, whole or not at all."""

import zipfile
from pathlib import Path

import pytest

from zooready.bundle import archive
from zooready.errors import InputInvalid


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("weights.pt", "a.txt", "rdf.yaml", "deep/b.txt"):
        (folder / name).write_text(name * 50)
    return folder


def test_the_description_comes_first_and_the_rest_in_order(folder, tmp_path):
    with zipfile.ZipFile(archive.pack(folder, tmp_path / "out.zip")) as packed:
        assert packed.namelist() == ["rdf.yaml", "a.txt", "deep/b.txt", "weights.pt"]
        assert packed.read("deep/b.txt") == b"deep/b.txt" * 50
        assert packed.testzip() is None


def test_the_same_files_give_the_same_bytes_at_any_time(folder, tmp_path):
    first = archive.pack(folder, tmp_path / "first.zip").read_bytes()
    for path in folder.rglob("*.txt"):
        path.write_text(path.read_text())
        path.chmod(0o600)
    assert archive.pack(folder, tmp_path / "second.zip").read_bytes() == first


def test_missing_folders_are_made(folder, tmp_path):
    assert archive.pack(folder, tmp_path / "x" / "y" / "out.zip").exists()


def test_a_file_in_the_place_of_a_folder_is_named(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputInvalid, match=r"cannot make the folder .*file/deeper \(.*\): choose one that you may write to"):
        archive.pack(folder, tmp_path / "file" / "deeper" / "out.zip")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder in which nobody, not even root, may write, is known on Linux only")
def test_a_folder_that_nobody_may_write_to_is_named(folder):
    with pytest.raises(InputInvalid, match=r"cannot write /proc/self/out\.zip"):
        archive.pack(folder, Path("/proc/self/out.zip"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_whatever_happens_the_older_file_is_kept(folder, tmp_path, monkeypatch, error):
    def failing(*arguments, **options):
        raise error

    out = tmp_path / "out" / "out.zip"
    out.parent.mkdir()
    out.write_bytes(b"older")
    monkeypatch.setattr(zipfile.ZipFile, "writestr", failing)
    with pytest.raises(InputInvalid if isinstance(error, OSError) else type(error)):
        archive.pack(folder, out)
    assert out.read_bytes() == b"older"
    assert list(out.parent.iterdir()) == [out]
