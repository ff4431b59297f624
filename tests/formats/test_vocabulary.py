import re
import zipfile

import pytest
import torch
import torch.nn.functional as F

from zooready.errors import InputInvalid
from zooready.formats import unsafe, unsupported
from zooready.formats.torchscript import container, operators
from zooready.formats.torchscript.vocabulary import known


def written(tmp_path, code, names=("weights/code/__torch__.py",)):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, code)
    return path


def forward(line):
    return f"class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    {line}\n    return x\n"


def scripted(tmp_path, function):
    path = tmp_path / "weights.pt"
    torch.jit.save(torch.jit.script(function), str(path))
    return path


def test_the_list_is_that_of_libtorch_2_0_0():
    assert len(known()) > 1500
    assert "aten::rms_norm" not in known()
    assert {"aten::scaled_dot_product_attention", "aten::relu", "prim::NumToTensor"} <= known().keys()


def test_operators_of_a_trace_are_found(traced):
    found = operators(traced["plain"].path)
    assert {"aten::_convolution", "aten::batch_norm", "aten::pad", "aten::relu_", "prim::NumToTensor"} <= found
    assert not [name for name in found if name.startswith("unknown")]


def test_what_our_networks_use_is_supported_and_safe(traced):
    for weights in traced.values():
        assert unsupported(weights.path) == ()
        assert unsafe(weights.path) == ()


def test_new_operators_and_new_arguments_are_unsupported_but_safe(modern):
    assert unsupported(modern.path) == ("aten::rms_norm", "aten::scaled_dot_product_attention(6 by position, scale)")
    assert unsafe(modern.path) == ()


class Scripted(torch.nn.Module):
    """Both parts call functions of PyTorch's own, which a script names ``_0`` first."""

    def __init__(self):
        super().__init__()
        self.pool = torch.nn.MaxPool2d(2)

    def forward(self, x):
        return F.max_pool2d(self.pool(x), 2)


def test_a_function_that_a_script_calls_by_a_short_name_is_no_unknown_operator(tmp_path):
    path = scripted(tmp_path, Scripted())
    assert "_0 = __torch__" in "".join(container.code(path).values())
    assert unsafe(path) == ()
    assert unsupported(path) == ()


@pytest.mark.parametrize(
    "lines",
    [
        "_0 = torch.from_file\n    y = _0('a', True, 4)",
        "_0 = __torch__.M\n    _0 = torch.from_file\n    y = _0('a', True, 4)",
        "_0 = __torch__.M\n    _0, _1 = (torch.from_file, 1)\n    y = _0('a', True, 4)",
        "for _0 in [torch.from_file]:\n      y = _0('a', True, 4)",
        "_0 = __torch__.torch.classes.a.M\n    y = _0('a')",
        "_0 = __torch__.undeclared\n    y = _0('a')",
        "y = x('a')",
    ],
)
def test_a_short_name_of_anything_else_stays_unknown(tmp_path, lines):
    assert any(name.startswith("unknown::") or name == "aten::from_file" for name in unsafe(written(tmp_path, forward(lines))))
    assert any(re.fullmatch(r"unknown::(_0|x)", name) for name in unsafe(written(tmp_path, forward(lines))))


def test_a_short_name_is_one_in_its_own_function_only(tmp_path):
    other = "def f(x: Tensor) -> Tensor:\n  return _0(x)\n"
    assert "unknown::_0" in unsafe(written(tmp_path, forward("_0 = __torch__.f\n    y = _0(x)") + other))


def test_interpolate_in_scripted_code_is_unsupported(tmp_path):
    def twice(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear")

    assert "aten::_upsample_lanczos2d_aa" in " ".join(unsupported(scripted(tmp_path, twice)))


def test_a_file_that_maps_another_file_is_unsafe(tmp_path):
    def mapped(x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("created.bin", True, 4)

    path = scripted(tmp_path, mapped)
    assert unsafe(path) == ("aten::from_file",)
    assert not (tmp_path / "created.bin").exists()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("y = torch.from_file('a', True, 4)", "aten::from_file"),
        ("f = torch.from_file", "aten::from_file"),
        ("t = torch", "unknown::torch under another name"),
        ("x.save('a')", "aten::save"),
        ("getattr(x, 'from_file')('a')", "aten::from_file"),
        ("getattr(x, 'from' + '_file')('a')", "unknown::getattr"),
        ("ops.caffe2.open(x)", "caffe2::open"),
        ("ops.prim.rpc_sync(x)", "prim::rpc_sync"),
        ("y = fork(x)", "unknown::fork"),
        ("y = __torch__.torch.classes.dist.Store('a')", "unknown::__torch__.torch.classes.dist.Store"),
        ("y = __torch__.other.function(x)", "unknown::__torch__.other.function"),
        ("y = torch.autograd.grad(x)", "unknown::torch.autograd.grad"),
        ("print(x)", "unknown::print"),
        ("import os", "unknown::import os"),
        ("y = torch.random_(x, from=1)", "unknown::unparsable code/__torch__.py"),
        ("y = torch.not_an_operator(x)", "aten::not_an_operator"),
    ],
)
def test_what_is_on_no_list_is_unsafe(tmp_path, line, found):
    assert found in unsafe(written(tmp_path, forward(line)))


@pytest.mark.parametrize(
    "line", ["y = (getattr(self, '0')).forward(x, )", "y = torch.add(x, CONSTANTS.c0)", "y = ops.prim.device(x)", "y = float(x)"]
)
def test_what_exporters_write_is_safe(tmp_path, line):
    assert unsafe(written(tmp_path, forward(line))) == ()


def test_a_method_named_save_does_not_hide_the_operator(tmp_path):
    code = forward("x.save('a')") + "  def save(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return x\n"
    assert unsafe(written(tmp_path, code)) == ("aten::save",)


def test_wrong_number_of_arguments_is_unsupported(tmp_path):
    assert unsupported(written(tmp_path, forward("y = torch.relu(x, 3)"))) == ("aten::relu(2 by position)",)


@pytest.mark.parametrize("names", [["weights/code/a.py", "other/code/b.py"], ["code.py"]])
def test_a_zip_that_readers_could_understand_differently_is_refused(tmp_path, names):
    path = written(tmp_path, "x = 1\n", names)
    with pytest.raises(InputInvalid, match="as no exporter writes"):
        operators(path)
    assert unsafe(path)[0].startswith("unknown::file")


def test_doubled_entries_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = written(tmp_path, "x = 1\n", ["w/code/a.py", "w/code/a.py"])
    with pytest.raises(InputInvalid, match="doubled entries"):
        container.code(path)


def test_entries_that_no_exporter_writes_are_unsafe(tmp_path):
    assert unsafe(written(tmp_path, "x = 1\n", ["w/code/a.py", "w/evil.so"])) == ("unknown::evil.so",)


def test_what_is_no_zip_is_refused_and_unsafe(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputInvalid, match="weights.pt is no TorchScript zip"):
        unsupported(path)
    assert unsafe(path)


def test_enormous_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "LARGEST_CODE", 10)
    with pytest.raises(InputInvalid, match="more than 10 bytes in files that end in .py"):
        container.code(written(tmp_path, forward("y = x")))
    assert unsafe(tmp_path / "weights.pt")


def test_code_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match="its code cannot be read"):
        container.code(written(tmp_path, b"\xff\xfe"))


def test_a_device_in_the_code_is_replaced_by_the_inputs():
    line = "y = torch.arange(5, dtype=None, layout=None, device=torch.device('cpu'), pin_memory=False)"
    text, changed = container.follow_input_device(forward(line))
    assert changed == ["arange"]
    assert "device=ops.prim.device(x)" in text
    assert container.devices(text) == []


def test_a_device_where_no_tensor_is_stays_and_is_named():
    text = "class M(Module):\n  def forward(self: __torch__.M) -> Tensor:\n    return torch.zeros([2], device=torch.device('cpu'))\n"
    assert container.follow_input_device(text) == (text, [])
    assert container.devices(text) == ["zeros"]
