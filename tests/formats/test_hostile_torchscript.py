"""Files that PyTorch would load otherwise than we read them: each is shown to fool PyTorch, and what we leave of it does not."""

import io
import struct
import time
import unicodedata
import warnings
import zipfile

import pytest
import torch

from zooready.consumers.torchscript_rules import no_device
from zooready.errors import InputInvalid
from zooready.formats import unsafe
from zooready.formats.torchscript import container, load


class Plus(torch.nn.Module):
    def __init__(self, number):
        super().__init__()
        self.register_buffer("number", torch.tensor(float(number)))

    def forward(self, x):
        return x + self.number


def saved(module, example=None, scripted=False):
    """Name below the root to content of a TorchScript file."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module) if scripted else torch.jit.trace(module.eval(), torch.zeros(1) if example is None else example)
        torch.jit.save(made, stream)
    with zipfile.ZipFile(stream) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def code_of(members):
    """The one code file; its name has a number when a class is saved more than once."""
    (name,) = (name for name in members if name.startswith("code/") and name.endswith(".py"))
    return name


def zipped(path, members, root="weights"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{root}/{name}", content)
    return path


def given(path):
    """What PyTorch makes of a file, asked for 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(torch.jit.load(str(path))(torch.zeros(1)))


def cleaned(path):
    target = path.with_name("clean.pt")
    container.strip(path, target, {})
    return target


def test_code_in_upper_case_runs_in_pytorch_and_is_refused(tmp_path):
    members = saved(Plus(3))
    code = code_of(members)
    members[f"{code[:-3]}.PY"] = members.pop(code)
    path = zipped(tmp_path / "upper.pt", members)
    assert given(path) == 3, "PyTorch opens names without regard to case"
    assert f"unknown::{code[:-3]}.PY" in unsafe(path)
    with pytest.raises(InputInvalid, match="upper.pt holds .*.PY, as no exporter writes: export it again"):
        cleaned(path)


@pytest.mark.parametrize("change", [str.upper, str.title])
def test_names_equal_but_for_case_are_refused(tmp_path, change):
    members = saved(Plus(3))
    path = zipped(tmp_path / "twice.pt", {**members, change(code_of(members)): b"x = 1\n"})
    assert unsafe(path)[0].startswith("unknown::file (twice.pt: its zip has doubled entries")
    with pytest.raises(InputInvalid, match="doubled entries"):
        cleaned(path)


def two_in_one(path, shown, hidden):
    """A file whose end leads Python to ``shown`` and PyTorch, which takes the directory's offset as it stands, to ``hidden``."""
    first, second = (zipped(path.with_suffix(f".{n}"), members).read_bytes() for n, members in enumerate((hidden, shown)))
    ends = [content.rindex(b"PK\x05\x06") for content in (first, second)]
    size, offset = struct.unpack("<II", second[ends[1] + 12 : ends[1] + 20])
    assert (size, offset) == struct.unpack("<II", first[ends[0] + 12 : ends[0] + 20]), "the two need directories of the same size and place"
    path.write_bytes(first[: ends[0]] + second)
    return path


def test_of_two_zips_in_one_file_only_the_scanned_one_is_left(tmp_path):
    shown = saved(Plus(3))
    path = two_in_one(tmp_path / "two.pt", shown=shown, hidden={**shown, "data/0": struct.pack("<f", 666)})
    assert given(path) == 666, "PyTorch must see the hidden one, else this test shows nothing"
    assert unsafe(path) == ()
    assert given(cleaned(path)) == 3


def test_what_lies_before_between_or_behind_the_entries_is_left_out(tmp_path):
    path = zipped(tmp_path / "plain.pt", saved(Plus(3)))
    clean = cleaned(path).read_bytes()
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert cleaned(path).read_bytes() == clean


@pytest.mark.parametrize("name", ["bytecode.pkl", "model.json", "attributes.pkl", "code/evil.so", "extras/a", "data/../code", "xl/0"])
def test_members_of_other_formats_are_refused(tmp_path, name):
    path = zipped(tmp_path / "more.pt", {**saved(Plus(3)), name: b"x"})
    assert f"unknown::{name}" in unsafe(path)
    with pytest.raises(InputInvalid, match="as no exporter writes"):
        cleaned(path)


def test_notes_of_an_author_in_folders_and_in_any_letters_are_left_out(tmp_path):
    stream = io.BytesIO()
    notes = {"a/b/c.json": "{}", "größe.txt": "x", "b": "3"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(Plus(3), torch.zeros(1)), stream, _extra_files=notes)
    path = tmp_path / "notes.pt"
    path.write_bytes(stream.getvalue())
    assert unsafe(path) == ()
    with zipfile.ZipFile(cleaned(path)) as archive:
        assert not [name for name in archive.namelist() if "extra" in name]
    assert given(cleaned(path)) == 3


def test_native_classes_in_the_pickle_are_refused(tmp_path):
    members = saved(Plus(3))
    module = code_of(members)[len("code/") : -len(".py")].replace("/", ".")
    asked = b"c__torch__.torch.classes.dist_c10d\nStore\n"
    members["data.pkl"] = members["data.pkl"].replace(f"c{module}\nPlus\n".encode(), asked)
    path = zipped(tmp_path / "native.pt", members)
    assert unsafe(path) == ("unknown::__torch__.torch.classes.dist_c10d.Store",)


@pytest.mark.parametrize("pickled", [b"", b"\x80\x02c__torch__", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", b"(i__torch__\nPlus\n."])
def test_a_pickle_that_cannot_be_taken_apart_is_refused(tmp_path, pickled):
    path = zipped(tmp_path / "odd.pt", {**saved(Plus(3)), "data.pkl": pickled})
    assert unsafe(path)[0].startswith("unknown::file (odd.pt: its data.pkl")


class Modern(torch.nn.Module):
    """What transformers are made of; PyTorch marks such files by the member .data/version."""

    def forward(self, x):
        return torch.nn.functional.gelu(x) + torch.linspace(0.0, 1.0, x.shape[-1]) + torch.logspace(0.0, 1.0, x.shape[-1])


@pytest.mark.parametrize("scripted", [False, True])
def test_gelu_linspace_and_logspace_are_safe_and_survive(tmp_path, scripted):
    image = torch.rand(1, 1, 4, 5)
    path = zipped(tmp_path / "modern.pt", saved(Modern(), image, scripted))
    assert ".data/version" in container.members(path), "without that member this test shows nothing"
    assert unsafe(path) == ()
    assert ".data/version" in container.members(cleaned(path))
    torch.testing.assert_close(load(cleaned(path))(image), Modern()(image))


class Talking(torch.nn.Module):
    """Prints, and what it prints changes the image."""

    def forward(self, x):
        print("größe", x.shape, {"a": 1})  # noqa: T201
        print()  # noqa: T201
        if bool(x.sum() > 0):
            print(x.add_(1))  # noqa: T201
        else:
            print()  # noqa: T201
        for i in range(2):
            print(i)  # noqa: T201
        return x + 1


def test_what_a_network_prints_is_left_out_and_what_it_computes_meanwhile_is_not(tmp_path, capfd):
    path = zipped(tmp_path / "talking.pt", saved(Talking(), scripted=True))
    assert unsafe(path) == ("unknown::print",)
    clean = cleaned(path)
    assert unsafe(clean) == ()
    for value in (1.0, -2.0):
        capfd.readouterr()
        assert load(path)(torch.tensor(value)) == load(clean)(torch.tensor(value))
        heard = capfd.readouterr().out
        load(clean)(torch.tensor(value))
        assert (capfd.readouterr().out, "größe" in heard) == ("", True)


def test_a_print_that_is_no_statement_is_refused(tmp_path):
    members = saved(Plus(3))
    code = code_of(members)
    members[code] = members[code].replace(b"return ", b"y = print(x)\n    return ", 1)
    assert "unknown::print" in unsafe(cleaned(zipped(tmp_path / "odd.pt", members)))


@pytest.mark.parametrize("name", ["code", "data.pkl"])
def test_more_to_read_than_any_network_has_is_refused_at_once(tmp_path, name):
    """Each mebibyte of such text takes half a minute and a gigabyte to understand, each of such a pickle a second."""
    members = saved(Plus(3))
    code = code_of(members)
    members[code] += b"    a;a;a;a;a;a;a;a\n" * 2**18 if name == "code" else b""
    members["data.pkl"] = b"\x80\x02" + b"N0" * 2**22 + b"." if name == "data.pkl" else members["data.pkl"]
    path = zipped(tmp_path / "long.pt", members)
    started = time.process_time()
    assert "which no network needs" in unsafe(path)[0]
    assert time.process_time() - started < 5


def test_functions_in_functions_are_searched_for_devices_once():
    depth = 60
    text = (
        "".join(f"{' ' * level}def f{level}(x):\n" for level in range(depth))
        + " " * depth
        + 'torch.arange(3, device=torch.device("cpu"))\n'
    )
    assert container.devices(text) == ["arange"]


@pytest.mark.parametrize(
    "deep", ["x" + ".a" * 5000, "x" + ".a()" * 150, "-" * 5000 + "1", "1" + " + 1" * 5000], ids=["names", "calls", "signs", "sums"]
)
def test_code_that_is_nested_deeply_is_refused_or_read(tmp_path, deep):
    members = saved(Plus(3))
    code = code_of(members)
    more = f"y = {deep}\n    z = {deep}.b(device=torch.device('cpu'))\n    print({deep})\n    return ".encode()
    members[code] = members[code].replace(b"return ", more, 1)
    path = zipped(tmp_path / "deep.pt", members)
    assert unsafe(path)
    list(no_device(path))
    container.strip(path, tmp_path / "clean.pt", {})


@pytest.mark.parametrize("name", ["ſave", "from_fiℓe"])
def test_letters_of_another_form_name_the_same_operator(tmp_path, name):
    members = saved(Plus(3))
    code = code_of(members)
    members[code] = members[code].replace(b"return ", f"y = torch.{name}(x)\n    return ".encode(), 1)
    assert unsafe(zipped(tmp_path / "forms.pt", members)) == (f"aten::{unicodedata.normalize('NFKC', name)}",)


def test_a_comment_that_names_an_encoding_changes_nothing(tmp_path):
    members = saved(Talking(), scripted=True)
    code = code_of(members)
    (plain,) = container.code(cleaned(zipped(tmp_path / "plain.pt", members))).values()
    members[code] = b"# -*- coding: utf-16 -*-\n" + members[code]
    (other,) = container.code(cleaned(zipped(tmp_path / "odd.pt", members))).values()
    assert other.splitlines()[1:] == plain.splitlines()
