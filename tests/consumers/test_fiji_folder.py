"""What DeepImageJ needs below a Fiji folder is looked for by name, and what is missing is named with its cure."""

import shutil
from pathlib import Path

import pytest

from zooready.consumers.deepimagej import fiji_folder

FIJI = (
    "jars/ij-1.54p.jar",
    "jars/ij1-patcher-1.2.7.jar",
    "jars/javassist-3.30.2-GA.jar",
    "jars/imglib2-7.1.4.jar",
    "jars/dl-modelrunner-0.6.1.jar",
    "plugins/DeepImageJ_-3.1.0.jar",
    "models/readme",
    "engines/pytorch-2.0.0-2.0.0-linux-x86_64-cpu-gpu/api-0.22.1.jar",
)
ENGINE = (
    *("pytorch-jni-2.0.0-0.22.1.jar", "pytorch-engine-0.22.1.jar", "dl-modelrunner-pytorch-0.4.4.jar"),
    *("jna-5.13.0.jar", "commons-compress-1.22.jar", "slf4j-api-2.0.6.jar"),
)


@pytest.fixture
def home(tmp_path):
    for name in (*FIJI, *(str(Path(FIJI[-1]).parent / name) for name in ENGINE)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"jar")
    return tmp_path


def test_a_whole_fiji_is_found_with_its_versions(home):
    assert fiji_folder.missing(str(home)) is None
    assert fiji_folder.versions(home) == {"ij": "1.54p", "dl-modelrunner": "0.6.1", "DeepImageJ": "3.1.0"}


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (FIJI[0], "jars/ij-1.*.jar"),
        (FIJI[1], "jars/ij1-patcher-*.jar"),
        (FIJI[2], "jars/javassist-*.jar"),
        (FIJI[3], "jars/imglib2-*.jar"),
        (FIJI[4], "jars/dl-modelrunner-*.jar"),
        (FIJI[5], "plugins/*DeepImageJ*.jar"),
        (FIJI[6], "models"),
        (FIJI[7], "engines/pytorch-2.0.0-*"),
    ],
)
def test_each_missing_part_of_fiji_is_named(home, part, named):
    (home / part).unlink()
    if part.startswith("engines"):
        shutil.rmtree((home / part).parent)
    elif not any((home / part).parent.iterdir()):
        (home / part).parent.rmdir()
    lacking = fiji_folder.missing(str(home))
    assert lacking.startswith(f"{home} lacks ")
    assert f"{named} (" in lacking


@pytest.mark.parametrize("part", [FIJI[0], FIJI[4], FIJI[-1]])
def test_an_empty_file_of_a_download_that_broke_is_missing(home, part):
    (home / part).write_bytes(b"")
    assert Path(part).name.split("-")[0] in fiji_folder.missing(str(home))


def test_an_engine_that_lacks_a_jar_is_told_with_the_jar(home):
    (home / FIJI[-1]).unlink()
    (home / FIJI[-1]).with_name("jna-5.13.0.jar").rename((home / FIJI[-1]).with_name("jna-5.14.0.jar"))
    lacking = fiji_folder.missing(str(home))
    assert "lacks api-0.22.1.jar, jna-5.13.0.jar in engines/pytorch-2.0.0-2.0.0-linux-x86_64-cpu-gpu (delete that folder" in lacking
    whole = home / "engines" / "pytorch-2.0.0-whole"
    whole.mkdir()
    for name in ("api-0.22.1.jar", *ENGINE):
        (whole / name).write_bytes(b"jar")
    assert fiji_folder.missing(str(home)) is None


def test_no_fiji_says_how_to_get_it(tmp_path):
    assert "install Fiji (fiji.sc) with its update site DeepImageJ, and set ZOOREADY_FIJI" in fiji_folder.missing("")
    assert f"ZOOREADY_FIJI is {tmp_path}/none, which is no folder" in fiji_folder.missing(str(tmp_path / "none"))
