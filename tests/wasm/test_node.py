"""The engine of browsers, run by Node.js: equal numbers, every failure a sentence, nothing left behind."""

import time

import numpy as np
import pytest
from foreign import eager, good, make_image, network, onnx_model

from zooready import cli
from zooready.errors import ConsumerFailed, ConsumerMissing
from zooready.wasm import node, runtime

needs_node = pytest.mark.skipif(node.missing() is not None, reason="needs Node.js, and what zooready engines install --browser fetches")


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "weights.onnx").write_bytes(onnx_model(network()).SerializeToString())
    return tmp_path / "weights.onnx"


@needs_node
def test_the_numbers_are_those_of_the_network_for_each_image(weights):
    images = [make_image(name) for name in ("test", "batch", "one")]
    for image, (output,) in zip(images, node.run(weights, images, ["probabilities"]), strict=True):
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, eager(network(), image), atol=1e-6)


@needs_node
def test_a_file_that_is_no_network_is_a_sentence(weights):
    weights.write_bytes(b"no graph")
    with pytest.raises(ConsumerFailed, match=r"the browser's engine ended with exit code 1. It said: .*Error"):
        node.run(weights, [make_image("one")], ["probabilities"])


@needs_node
def test_a_run_without_end_is_stopped(weights, monkeypatch):
    began = time.monotonic()
    with pytest.raises(ConsumerFailed, match="was stopped after 0 s. Try a smaller image"):
        node.run(weights, [make_image("one")], ["probabilities"], seconds=0.01)
    assert time.monotonic() - began < 10


@needs_node
def test_a_check_in_the_browser_s_engine_compares_all_cases(tmp_path, capsys):
    assert cli.main(["check", str(good().write(tmp_path / "tiny.zip")), "--in", "browser"]) == 0
    assert "Equal to the stored outputs in 5 cases" in " ".join(capsys.readouterr().out.split())


def test_without_node_or_the_engine_the_cure_is_said(weights, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ConsumerMissing, match="run `zooready engines install --browser`"):
        node.run(weights, [make_image("one")], ["probabilities"])
    monkeypatch.setattr(runtime, "missing", lambda: None)
    monkeypatch.setenv("PATH", "")
    assert node.missing() == "Node.js is not here: install it, so that node is on the path."
