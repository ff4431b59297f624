"""A time limit holds for unpacking and scanning too: whatever reads a stranger's file piece by piece asks whether time is left."""

from dataclasses import replace

import pytest
from foreign import good

from zooready import prediction
from zooready.bundle.reading import opened, read_array
from zooready.bundle.unpacking import unpack
from zooready.comparison import compare
from zooready.comparison.verdicts import result
from zooready.consumers import consumer
from zooready.consumers.onnx_rules import outside
from zooready.errors import BundleInvalid, ZooreadyError
from zooready.formats import torchscript
from zooready.formats.torchscript import container
from zooready.processes import OutOfTime, on_time, within

NO_TIME = 1e-9


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    with opened(good().write(tmp_path_factory.mktemp("good") / "good.zip")) as bundle:
        yield bundle


STAGES = {
    "a zip": lambda bundle, folder: unpack(bundle.path, folder),
    "a folder": lambda bundle, folder: unpack(bundle.folder, folder),
    "entries of TorchScript": lambda bundle, folder: container.members(bundle.formats["torchscript"]),
    "TorchScript written anew": lambda bundle, folder: container.strip(bundle.formats["torchscript"], folder / "new.pt", {}),
    "operators of TorchScript": lambda bundle, folder: torchscript.unsafe(bundle.formats["torchscript"]),
    "ONNX": lambda bundle, folder: outside(bundle.formats["onnx"]),
}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_of_reading_ends_when_the_time_is_over(stage, bundle, tmp_path):
    with within(NO_TIME, BundleInvalid("too slow")), pytest.raises(OutOfTime):
        STAGES[stage](bundle, tmp_path)
    (tmp_path / "again").mkdir()
    with within(60, BundleInvalid("too slow")):
        STAGES[stage](bundle, tmp_path / "again")


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_bundle_that_takes_too_long_to_unpack_is_refused_in_words(bundle, kind):
    path = bundle.path if kind == "zip" else bundle.folder
    with (
        pytest.raises(BundleInvalid, match=r"was not unpacked and scanned within its time limit of 1e-09 s, .* give it more time"),
        opened(path, time_limit_s=NO_TIME),
    ):
        pass
    with pytest.raises(BundleInvalid, match="time limit of 1e-09 s"):
        compare(path, time_limit_s=NO_TIME)
    with opened(path, time_limit_s=60) as read:
        assert read_array(next(read.folder.rglob("*.npy"))).size


@pytest.mark.parametrize(("name", "format"), [("torch", "torchscript"), ("java-pytorch", "torchscript"), ("onnxruntime", "onnx")])
def test_rules_that_take_too_long_are_a_verdict(bundle, name, format):
    verdict = result(consumer(name), format, replace(bundle, time_limit_s=NO_TIME), ()).verdict
    assert verdict.status == "failed"
    assert f"was not scanned by the rules of {name} within its time limit of 1e-09 s, so it did not run: give it more time" in verdict.why


@pytest.mark.parametrize("format", ["torchscript", "onnx"])
def test_weights_that_take_too_long_to_scan_are_not_run(bundle, format):
    with pytest.raises(BundleInvalid, match=rf"good.zip: the {format} weights were not scanned within the time limit of 1e-09 s"):
        prediction.engine(replace(bundle, time_limit_s=NO_TIME), format, "cpu")


def test_the_shorter_of_two_limits_counts_and_its_own_words_are_told():
    inner, outer = ZooreadyError("inner"), ZooreadyError("outer")
    with pytest.raises(ZooreadyError, match="outer"), within(NO_TIME, outer), within(60, inner):
        on_time()
    with pytest.raises(ZooreadyError, match="inner"), within(60, outer), within(NO_TIME, inner):
        on_time()
    with within(None, outer):
        on_time()
    on_time()
