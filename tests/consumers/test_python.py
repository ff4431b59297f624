"""The consumers that run here in Python: children with limits, whose every end is a verdict."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from foreign import good, make_image, network, onnx_model, torchscript

from zooready.bundle.reading import opened
from zooready.comparison import compare
from zooready.consumers import CONSUMERS, bioimageio, consumer, onnxruntime, pytorch, sandbox
from zooready.consumers.onnx_rules import onnx_objections
from zooready.errors import BundleInvalid, ConsumerFailed, InputInvalid
from zooready.processes import templates

IMAGE = [make_image("odd")]


@pytest.fixture
def tiny(tmp_path):
    with opened(good().write(tmp_path / "tiny.zip")) as bundle:
        yield bundle


def script(tmp_path, monkeypatch, text):
    """Let the child run this script in place of the worker; its argument is the job's folder."""
    (tmp_path / "stand_in.py").write_text("import json, pathlib, sys\nfolder = pathlib.Path(sys.argv[1])\n" + text)
    monkeypatch.setattr(templates, "is_possible", lambda: False)
    real = subprocess.Popen

    def popen(command, **kwargs):
        return real([sys.executable, str(tmp_path / "stand_in.py"), command[-1]], **kwargs)

    monkeypatch.setattr(subprocess, "Popen", popen)


def test_accounts_of_people_are_not_looked_up_since_a_check_uses_no_network(tmp_path):
    draft = good()
    draft.rdf["maintainers"] = [{"github_user": "Nobody-Is-Called-So"}]
    draft.rdf["authors"] = [{"name": "Ada Example", "github_user": "nobody-either"}]
    with opened(draft.write(tmp_path / "people.zip")) as bundle:
        (outputs,) = bioimageio.run(bundle, "torchscript", IMAGE)
    assert outputs[0].shape[2:] == IMAGE[0].shape[2:]


def test_consumers_are_modules_of_one_form():
    for name in CONSUMERS:
        module = consumer(name)
        assert name == module.NAME
        assert module.READS
        assert module.LEVEL in ("ran", "engine", "rules")
        assert module.missing() is None or isinstance(module.missing(), str)
        assert isinstance(module.versions(), dict)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputInvalid, match="no consumer is called 'icy': choose from bioimageio, torch, onnxruntime"):
        consumer("icy")


def test_importing_the_room_is_light():
    heavy = "{'torch', 'onnx', 'onnxruntime', 'bioimageio', 'rich', 'PIL'}"
    code = f"import sys, zooready.consumers, zooready.comparison, zooready.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_state_dict_without_trust_is_not_run(tiny):
    for module in (pytorch, bioimageio):
        with pytest.raises(BundleInvalid, match="tiny.zip: a state dict runs the bundle's own Python. Read it, then use trust_code=True"):
            module.run(tiny, "state_dict", IMAGE)


def test_a_state_dict_without_architecture_is_refused(tmp_path):
    draft = good()
    del draft.rdf["weights"]["pytorch_state_dict"]["architecture"]
    with opened(draft.write(tmp_path / "a.zip"), trust_code=True) as bundle:
        (one,) = pytorch.objections(bundle, "state_dict")
    assert "the state dict names no architecture to load it into" in one


def test_the_architecture_of_format_0_4_is_understood(tmp_path):
    draft = good()
    entry = draft.rdf["weights"]["pytorch_state_dict"]
    entry |= {"architecture": "tiny.py:Tiny", "kwargs": {"channels": 2}}
    with opened(draft.write(tmp_path / "a.zip"), trust_code=True) as bundle:
        (outputs,) = pytorch.run(bundle, "state_dict", IMAGE)
        np.testing.assert_allclose(outputs[0], bundle.cases[1].outputs[0], atol=1e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:.torch.jit:DeprecationWarning")
def test_torchscript_that_writes_files_is_not_loaded(tmp_path):
    import torch

    class Writer(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("written-by-the-network", True, 4).sum()

    stream = tmp_path / "writer.pt"
    torch.jit.save(torch.jit.script(Writer()), str(stream))
    draft = good()
    draft.files["weights.pt"] = stream.read_bytes()
    verdicts = compare(draft.write(tmp_path / "writer.zip"), consumers=["torch", "bioimageio", "java-pytorch"]).verdicts
    found = [one for one in verdicts if one.format == "torchscript"]
    assert [one.status for one in found] == ["refused"] * 3
    assert "aten::from_file, on no list of operators that only compute, so it is not loaded" in found[0].why
    assert not list(tmp_path.rglob("written-by-the-network"))


def test_a_damaged_onnx_file_is_a_verdict(tmp_path):
    draft = good()
    draft.files["weights.onnx"] = onnx_model(network()).SerializeToString()[:-200]
    (one,) = compare(draft.write(tmp_path / "cut.zip"), consumers=["onnxruntime"]).verdicts
    assert one.status == "refused"
    assert "weights.onnx is no readable ONNX file" in one.why


def test_an_onnx_file_with_two_inputs_is_refused(tmp_path):
    from onnx import helper

    model = onnx_model(network())
    model.graph.input.append(helper.make_tensor_value_info("second", 1, [1]))
    draft = good()
    draft.files["weights.onnx"] = model.SerializeToString()
    (one,) = compare(draft.write(tmp_path / "two.zip"), consumers=["onnxruntime"]).verdicts
    assert one.status == "refused"
    assert "the ONNX graph takes 2 inputs ['image', 'second']: export it with one" in one.why


def test_all_faults_of_an_onnx_file_are_told_at_once(tmp_path):
    path = tmp_path / "weights.onnx"
    for version, why in ((0, "operators' version"), (2, "operators' version"), (3, "weights that are no inputs")):
        path.write_bytes(onnx_model(network(), ir=version).SerializeToString())
        (told,) = onnx_objections(path)
        assert f"says that it has IR {version}" in told
        assert why in told
    for version in (4, 7, 8):
        path.write_bytes(onnx_model(network(), ir=version).SerializeToString())
        assert list(onnx_objections(path)) == []
    path.write_bytes(onnx_model(network(), opset=19, ir=10).SerializeToString())
    opset, ir = onnx_objections(path)
    assert opset.startswith("weights.onnx has opset 19")
    assert ir.startswith("weights.onnx has IR 10")


@pytest.mark.slow
def test_core_runs_a_good_bundle_at_every_stored_size(tmp_path):
    (one,) = [v for v in compare(good().write(tmp_path / "t.zip"), consumers=["bioimageio"]).verdicts if v.format == "onnx"]
    assert (one.status, one.level, len(one.cases)) == ("passed", "ran", 5)


@pytest.mark.slow
def test_core_s_valid_format_is_no_pass(tmp_path):
    draft = good()
    wrong = network(seed=3)
    draft.files["weights.onnx"] = onnx_model(wrong).SerializeToString()
    verdicts = compare(draft.write(tmp_path / "wrong.zip"), consumers=["bioimageio"]).verdicts
    (one,) = [verdict for verdict in verdicts if verdict.format == "onnx"]
    assert one.status == "differs"
    assert "its own test says 'valid-format'" in one.why
    (torch,) = [verdict for verdict in verdicts if verdict.format == "torchscript"]
    assert torch.status == "passed"


def test_a_hanging_child_is_stopped_with_its_children(tmp_path, monkeypatch):
    pid = tmp_path / "pid"
    text = f"import subprocess\np = subprocess.Popen(['sleep', '60'])\npathlib.Path({str(pid)!r}).write_text(str(p.pid))\n"
    script(tmp_path, monkeypatch, text + "print('still here', flush=True)\np.wait()")
    started = time.monotonic()
    with pytest.raises(ConsumerFailed, match="the test was stopped after 4 s. Last lines: still here Try a smaller image"):
        sandbox.ask({"kind": "onnx"}, IMAGE, who="the test", seconds=4)
    assert time.monotonic() - started < 40
    status = Path("/proc") / pid.read_text() / "stat"
    while status.exists() and status.read_text().split()[2] not in "ZX":  # killed, and on a busy machine not yet gone
        assert time.monotonic() - started < 40
        time.sleep(0.1)


def test_a_crash_is_told_with_its_signal_and_last_lines(tmp_path, monkeypatch):
    script(tmp_path, monkeypatch, "import os, signal\nprint('about to fall', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ConsumerFailed, match="the test crashed with signal SIGSEGV. Last lines: about to fall"):
        sandbox.ask({"kind": "onnx"}, IMAGE, who="the test")


def test_a_child_that_says_nothing_is_a_failure(tmp_path, monkeypatch):
    script(tmp_path, monkeypatch, "")
    with pytest.raises(ConsumerFailed, match="the test ended without a result. Last lines: .none."):
        sandbox.ask({"kind": "onnx"}, IMAGE, who="the test")


def test_secrets_of_the_environment_stay_here(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_TOKEN", "secret")
    script(
        tmp_path,
        monkeypatch,
        "import os\n(folder / 'partial').write_text(json.dumps({'error': 'x', 'why': ' '.join(sorted(os.environ))}))\n"
        "(folder / 'partial').replace(folder / 'failure.json')",
    )
    with pytest.raises(ConsumerFailed) as told:
        sandbox.ask({"kind": "onnx"}, IMAGE, who="the test")
    assert "ZOO_TOKEN" not in str(told.value)
    assert "HOME" in str(told.value)


@pytest.mark.parametrize("text", ["", "[]", '{"error": "x"}', '{"error": {}, "why"'])
def test_a_reason_that_cannot_be_read_is_a_failure_in_words(tmp_path, monkeypatch, text):
    script(tmp_path, monkeypatch, f"print('odd')\nsys.stdout.flush()\n(folder / 'failure.json').write_text({text!r})")
    with pytest.raises(ConsumerFailed, match="the test left a reason that cannot be read. Last lines: odd Check the file"):
        sandbox.ask({"kind": "onnx"}, IMAGE, who="the test")


def test_a_child_has_no_network_and_bounded_files(tmp_path):
    code = (
        "import resource, socket, sys, zooready.consumers.sandbox_worker as w\n"
        "w.limit(2**34); w.no_network()\n"
        "soft = [resource.getrlimit(what)[0] for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_DATA)]\n"
        "print(soft == [0, w.FILE_BYTES, 2**34])\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.splitlines() == ["True", "a check uses no network (socket.getaddrinfo)"]


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:.torch.jit:DeprecationWarning")
def test_a_network_that_returns_no_tensor_is_refused(tmp_path):
    import torch

    class Texts(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"probabilities": x}

    draft = good()
    draft.files["weights.pt"] = torchscript(torch.jit.script(Texts()))
    *_, one = compare(draft.write(tmp_path / "texts.zip"), consumers=["torch"]).verdicts
    assert one.status == "refused"
    assert "the network returns dict, not a tensor or a tuple of tensors: wrap it so that it does" in one.why


def test_versions_name_what_runs():
    assert set(pytorch.versions()) == {"torch"}
    assert set(onnxruntime.versions()) == {"onnxruntime"}
    assert set(bioimageio.versions()) == {"bioimageio.core", "bioimageio.spec"}
