"""ImageJ without DeepImageJ comes with the Java engines; the rest needs a Fiji, and who has none skips those tests with the reason."""

import os

import pytest
from asked import need

from zooready import java
from zooready.consumers import pyimagej
from zooready.consumers.deepimagej import fiji, in_fiji
from zooready.java import engines, jars


@pytest.fixture(scope="session")
def macro(engines_of_imagej, tmp_path_factory):
    """Runs one of the macros of export/fiji in plain ImageJ: what it returns."""

    def run(code, *arguments):
        folder = tmp_path_factory.mktemp("imagej")
        (folder / "test.ijm").write_text(code, encoding="utf-8")
        return fiji.in_imagej(folder / "test.ijm", arguments or ("",), folder, engines_of_imagej)

    return run


@pytest.fixture(scope="session")
def engines_of_imagej():
    reason = java.missing("imagej")
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return [str(engines.folder() / "jars" / jar.name) for jar in jars.class_path("imagej", jars.platform_name())]


@pytest.fixture(scope="session")
def deepimagej_here():
    need("deepimagej", in_fiji.missing())
    return fiji.home()


@pytest.fixture(scope="session")
def pyimagej_here():
    need("pyimagej", pyimagej.missing())
