"""Tiles computed by a Dask cluster: real processes on the loopback, one of them killed; the result has the same bytes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tifffile

import zooready
from zooready.bundle.reading import opened
from zooready.commands.predict import Predictor, predict_files
from zooready.errors import ConsumerFailed, ConsumerMissing, InputInvalid
from zooready.prediction import cluster, spreading, tiled

START_S = 120.0  # on a busy machine
LOCAL = ("--host", "127.0.0.1")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a scheduler with two workers, each a process; they end with the module."""
    distributed = pytest.importorskip("distributed", reason="distributed is not here: pip install 'zooready[cluster]'")
    file = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    wanted = {"scheduler": [*LOCAL, "--port", "0", "--no-dashboard"], "worker": [*LOCAL, "--nthreads", "1", "--no-nanny", "--no-dashboard"]}
    command = {
        name: [sys.executable, "-m", f"distributed.cli.dask_{name}", "--scheduler-file", str(file), *options]
        for name, options in wanted.items()
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": file.parent}
    processes = [subprocess.Popen(command[name], **quiet) for name in ("scheduler", "worker", "worker")]
    try:
        until = time.monotonic() + START_S
        while not file.exists():
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(file), timeout=START_S, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=START_S)
            yield client.scheduler.address
    finally:
        for process in processes:
            process.kill()
            process.wait()


def only(results):
    ((_, result, _),) = results
    return result


@pytest.mark.slow
def test_a_killed_worker_costs_its_tiles_only(bundle, image, address, tmp_path, small_tiles):
    from distributed import Client

    only(predict_files(bundle, [image], tmp_path / "here"))
    calls = []

    def computed(dask_scheduler):  # how often a tile was
        return sum(str(entry[0]).startswith("zooready-tile") and entry[2] == "memory" for entry in dask_scheduler.transition_log)

    with Client(address, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())

        def progress(done, total):
            calls.append((done, total))
            if done == 10:
                os.kill(pids[0], signal.SIGKILL)

        result = only(predict_files(bundle, [image], tmp_path / "there", scheduler=address, progress=progress))
        assert not isinstance(result, Exception), result
        assert len(client.nthreads()) == 1
        repeated = client.run_on_scheduler(computed) - calls[-1][1]
    assert [done for done, _ in calls] == list(range(1, calls[-1][1] + 1))
    assert len(calls) > 30
    assert 0 <= repeated <= spreading.AHEAD * 2
    assert not any("computed here" in note for note in result.notes)
    name = "image_output.tif"
    assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_a_run_that_was_stopped_goes_on_with_a_cluster(bundle, image, address, tmp_path, small_tiles):
    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predict_files(bundle, [image], tmp_path / "out", progress=stop))
    result = only(predict_files(bundle, [image], tmp_path / "out", scheduler=address))
    assert "went on after 7 tiles that a stopped run had computed." in result.notes
    only(predict_files(bundle, [image], tmp_path / "here"))
    assert (tmp_path / "out" / "image_output.tif").read_bytes() == (tmp_path / "here" / "image_output.tif").read_bytes()


def test_tiles_on_their_way_are_called_back_when_a_run_is_stopped(bundle, image, tmp_path, small_tiles, monkeypatch):
    called_back = []

    def some(graph, windows):
        try:
            for window in windows:
                yield (np.zeros((1, 1, *window.shape[-2:]), np.float32),)
        finally:
            called_back.append(True)

    def stop(done, total):
        assert not called_back
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("zooready.commands.predict.prediction.cluster", lambda address: nullcontext_of(some))
    with pytest.raises(KeyboardInterrupt) as stopped:
        list(predict_files(bundle, [image], tmp_path / "out", scheduler="tcp://nowhere:1", progress=stop))
    assert stopped.value is not None  # which holds all that was at work
    assert called_back == [True]


def test_each_plane_of_a_stack_has_its_own_statistics_on_the_cluster(bundle, address, tmp_path, small_tiles):
    path = tmp_path / "image.tif"
    stack = np.random.default_rng(2).poisson(np.array([100, 900])[:, None, None], (2, 130, 150)).astype(np.uint16)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    expected = only(predict_files(bundle, [path], tmp_path / "here")).images["output"].array
    result = only(predict_files(bundle, [path], tmp_path / "there", scheduler=address)).images["output"].array
    np.testing.assert_array_equal(result, expected)


def test_the_cluster_serves_python_too(bundle, image, address, small_tiles):
    array = tifffile.imread(image)
    here = zooready.predict(bundle, array)
    there = zooready.predict(bundle, array, scheduler=address)
    np.testing.assert_array_equal(there.images["output"].array, here.images["output"].array)
    with Predictor(bundle, scheduler=address) as predictor:
        kept = [predictor(array), predictor(array[:100])]
    np.testing.assert_array_equal(kept[0].images["output"].array, here.images["output"].array)
    assert [any("not by the cluster" in note for note in result.notes) for result in (there, *kept)] == [False] * 3
    with pytest.raises(InputInvalid, match="this predictor was closed"):
        predictor(array)


def test_small_images_are_computed_here_and_a_note_says_so(bundle, image, address, tmp_path):
    result = only(predict_files(bundle, [image], tmp_path / "out", scheduler=address))
    assert "computed here and not by the cluster, since it is too small to be cut into tiles." in result.notes


def test_a_cluster_that_loses_its_workers_leaves_the_tiles_that_are_here(bundle, image, tmp_path, small_tiles, monkeypatch):
    class Future:
        def __init__(self, number):
            self.number = number

        def result(self):
            if self.number >= 5:
                raise RuntimeError("KilledWorker")
            return (np.zeros((1, 1, 66, 66), np.float32)[..., :64, :64],)

    def some(graph, windows):
        for number, window in enumerate(windows):
            (output,) = spreading._result(Future(number))
            yield (np.zeros((1, 1, *window.shape[-2:]), np.float32) + output.mean(),)

    monkeypatch.setattr("zooready.commands.predict.prediction.cluster", lambda address: nullcontext_of(some))
    error = only(predict_files(bundle, [image], tmp_path / "out", scheduler="tcp://nowhere:1"))
    assert isinstance(error, ConsumerFailed)
    assert "no result for a tile (RuntimeError: KilledWorker): look at the logs of its workers" in str(error)
    assert (tmp_path / "out" / ".image.tiles" / "done.json").exists()


def nullcontext_of(value):
    from contextlib import nullcontext

    return nullcontext(value)


@pytest.fixture
def sent(bundle):
    """A graph that is sent, and the network here."""
    from zooready.bundle.specs import input_spec

    with opened(bundle) as read:
        way = tiled.tiling(read, input_spec(read), format="onnx", device="cpu", zoom=1.0)
        graph = way.graph_with((np.full((1, 1, 1, 1), 5, np.float32), *(np.ones((1, 1, 1, 1), np.float32) for _ in way.taken[1:])))
        yield spreading.sent_graph(graph), graph.start()


def test_a_worker_starts_a_network_once_and_keeps_the_latest(sent, monkeypatch):
    graph, here = sent
    monkeypatch.setattr(spreading, "_started", {})
    window = np.arange(20 * 24, dtype=np.uint16).reshape(1, 20, 24)
    for _ in range(2):
        np.testing.assert_array_equal(spreading.computed(graph, window)[0], here(window.astype(np.float32)[None])[0])
    assert list(spreading._started) == [graph.key]
    for key in ("second", "third"):
        spreading.computed(replace(graph, key=key), window)
    assert list(spreading._started) == ["second", "third"]


def test_other_constants_are_another_network(sent):
    graph = sent[0].graph
    other = replace(graph, constants={name: value + 1 for name, value in graph.constants.items()})
    assert spreading.sent_graph(other).key != sent[0].key == spreading.sent_graph(graph).key


def test_a_worker_with_other_software_is_refused(sent):
    with pytest.raises(ConsumerMissing, match=r"a worker of the cluster has zooready .* instead of 0\.0\.0: its numbers could differ"):
        spreading.computed(replace(sent[0], key="other", software=("0.0.0", sent[0].software[1])), np.zeros((1, 8, 8), np.uint16))


def test_a_worker_without_zooready_is_told():
    class Future:
        def result(self):
            raise ModuleNotFoundError("No module named 'zooready'", name="zooready")

    with pytest.raises(ConsumerMissing, match="cannot import zooready: install zooready there, as here"):
        spreading._result(Future())


def test_what_a_worker_finds_wrong_with_an_image_is_passed_on():
    class Future:
        def result(self):
            raise InputInvalid("not enough memory")

    with pytest.raises(InputInvalid, match="not enough memory"):
        spreading._result(Future())


def test_an_address_without_a_scheduler_is_told(monkeypatch):
    pytest.importorskip("distributed", reason="distributed is not here: pip install 'zooready[cluster]'")
    monkeypatch.setattr(spreading, "WAIT_S", 0.5)
    with (
        pytest.raises(ConsumerMissing, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 .*start one with 'dask scheduler'"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ConsumerMissing, match=r"distributed is not here: pip install 'zooready\[cluster\]'"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pass
