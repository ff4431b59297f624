"""A stranger's TorchScript computes in a child process only: equal numbers, equal gradients, and its crash, hang or greed is a sentence."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import eager, good, make_image, network, torchscript

from zooready import prediction
from zooready.bundle.reading import opened
from zooready.consumers import sandbox
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.formats import unsafe


class Crash(torch.nn.Module):
    """Indices far outside a sparse tensor, unchecked: the process dies where its values are used."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        where = torch.full([1, 1], 9007199254740991, dtype=torch.long)
        sparse = torch.ops.aten._sparse_coo_tensor_unsafe(where, torch.ones(1), [4])
        return torch.cat([x, x], 1) + sparse.to_dense().sum()


class Forever(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = 1
        while n > 0:
            n = n % 7 + 1
        return torch.cat([x, x], 1) * n


class Greedy(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x], 1) + torch.ones([17592186044416]).sum()


def bundle_with(tmp_path, module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), str(tmp_path / "w.pt"))
    draft = good()
    draft.files["weights.pt"] = (tmp_path / "w.pt").read_bytes()
    return draft.write(tmp_path / "stranger.zip")


def test_outputs_and_gradients_are_those_of_the_network_itself(tmp_path):
    image = make_image("odd")
    given = torch.from_numpy(image.copy()).requires_grad_()
    expected = network()(given)
    (gradient,) = torch.autograd.grad((expected * torch.arange(expected.numel()).reshape(expected.shape)).sum(), given)
    with opened(good().write(tmp_path / "tiny.zip")) as bundle:
        (output,) = prediction.engine(bundle, "torchscript", "cpu")(image)
        np.testing.assert_allclose(output, eager(network(), image), atol=1e-6)
        apart = prediction.network(bundle, "torchscript")
        assert list(apart.parameters()) == []
        again = torch.from_numpy(image.copy()).requires_grad_()
        (outputs,) = apart(again)
        (outputs * torch.arange(outputs.numel()).reshape(outputs.shape)).sum().backward()
    np.testing.assert_allclose(again.grad.numpy(), gradient.numpy(), rtol=1e-5, atol=1e-5)


def test_operators_that_crash_are_a_sentence_and_the_next_image_is_tried(tmp_path):
    with opened(bundle_with(tmp_path, Crash())) as bundle:
        assert unsafe(bundle.formats["torchscript"]) == (), "a listed operator: only the child protects from it"
        run = prediction.engine(bundle, "torchscript", "cpu")
        for _ in range(2):
            with pytest.raises(
                ConsumerFailed, match="the torchscript network of stranger.zip failed on an image of shape .*SIG(SEGV|ABRT|BUS)"
            ):
                run(make_image("odd"))


def test_a_network_without_end_is_stopped(tmp_path):
    started = time.monotonic()
    with opened(bundle_with(tmp_path, Forever()), time_limit_s=20) as bundle:
        run = prediction.engine(bundle, "torchscript", "cpu")
        with pytest.raises(ConsumerFailed, match="was stopped after 20 s. .* or a longer time limit"):
            run(make_image("odd"))
    assert time.monotonic() - started < 90


def test_more_memory_than_the_machine_has_is_a_sentence(tmp_path):
    with opened(bundle_with(tmp_path, Greedy())) as bundle:
        run = prediction.engine(bundle, "torchscript", "cpu")
        with pytest.raises(InputInvalid, match="not enough memory for an image of 1 x 1 x 13 x 7"):
            run(make_image("odd"))


def test_weights_that_do_not_load_are_refused_at_once(tmp_path):
    draft = good()
    draft.files["weights.pt"] = torchscript(network())[:-2000]
    with (
        opened(draft.write(tmp_path / "cut.zip")) as bundle,
        pytest.raises(BundleInvalid, match="cut.zip: its TorchScript is not run here"),
    ):
        prediction.engine(bundle, "torchscript", "cpu")


PARENT = """
import sys, pathlib, time
from zooready.consumers import sandbox
session = sandbox.Session({"kind": "torchscript", "path": sys.argv[1]}, who="the test")
session.load()
print(session._child.process.pid, session._child.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_parent_takes_its_child_along_and_its_folder_is_swept(tmp_path, monkeypatch):
    import tempfile

    from zooready.processes import scratch

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "weights.pt").write_bytes(torchscript(network()))
    command = [sys.executable, "-c", PARENT, str(tmp_path / "weights.pt")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    pid, folder = parent.stdout.readline().split()
    assert Path(folder).is_dir()
    with scratch():
        assert Path(folder).is_dir(), "a folder in use is left alone"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 30
    status = Path("/proc") / pid / "stat"
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < until, "the child still lives"
        time.sleep(0.1)
    with scratch() as fresh:
        assert not Path(folder).parent.exists()
        assert fresh.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_the_memory_of_a_child_follows_the_machine(monkeypatch):
    from zooready.processes import limits

    monkeypatch.setattr(limits, "machine_bytes", lambda: 100 * 2**30)
    assert sandbox.memory_bytes() == 80 * 2**30
    monkeypatch.setattr(limits, "machine_bytes", lambda: 2**30)
    assert sandbox.memory_bytes() == limits.LEAST


def test_a_container_s_limit_counts(tmp_path, monkeypatch):
    from zooready.processes import limits

    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(limits, "GROUPS", (str(tmp_path / "none"), str(tmp_path / "memory.max"), str(tmp_path / "absent")))
    assert limits.machine_bytes() == 1_000_000


def test_onnx_that_takes_too_long_is_stopped(tmp_path):
    """A loop of 10^12 turns in the graph itself."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sigmoid", ["state"], ["next"])],
        "body",
        [helper.make_tensor_value_info(*one) for one in (("n", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("state", 1, None))],
        [helper.make_tensor_value_info(*one) for one in (("go_on", TensorProto.BOOL, []), ("next", 1, None))],
    )
    nodes = [
        helper.make_node("Concat", ["image", "image"], ["two"], axis=1),
        helper.make_node("Loop", ["turns", "", "two"], ["probabilities"], body=body),
    ]
    sides = [helper.make_tensor_value_info(name, 1, ["b", channels, "y", "x"]) for name, channels in (("image", 1), ("probabilities", 2))]
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [10**12])
    graph = helper.make_graph(nodes, "endless", sides[:1], sides[1:], [turns])
    draft = good()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    draft.files["weights.onnx"] = model.SerializeToString()
    with opened(draft.write(tmp_path / "endless.zip"), time_limit_s=2) as bundle:
        run = prediction.engine(bundle, "onnx", "cpu")
        with pytest.raises(ConsumerFailed, match="the onnx network of endless.zip failed .* stopped after 2 s"):
            run(make_image("odd"))


@pytest.mark.parametrize("command", ["check", "predict", "explain", "measure", "demo", "evaluate"])
def test_every_command_that_runs_a_bundle_takes_a_time_limit(command, capsys):
    from zooready.cli import main

    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--time-limit S" in " ".join(capsys.readouterr().out.split())
