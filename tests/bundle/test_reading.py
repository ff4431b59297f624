"""A stranger's bundle is data: what is read, and what is refused before anything is used."""

import stat
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from foreign import SIZES, good, make_image, npy

from zooready.bundle import unpacking
from zooready.bundle.parsing import dump, parse
from zooready.bundle.rdf import read
from zooready.bundle.reading import opened, read_array
from zooready.errors import BundleInvalid
from zooready.records import TOLERANCE


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Every temporary folder of the test lies here, and none may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def refused(path, match):
    with pytest.raises(BundleInvalid, match=match), opened(path):
        pass


def zipped(tmp_path, files, **kwargs):
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **kwargs)
    return path


def test_a_good_bundle_is_read_whole(tmp_path):
    with opened(good().write(tmp_path / "tiny.zip")) as bundle:
        assert bundle.path == tmp_path / "tiny.zip"
        assert {format: file.name for format, file in bundle.formats.items()} == {
            "state_dict": "weights_state_dict.pt",
            "torchscript": "weights.pt",
            "onnx": "weights.onnx",
        }
        assert all(file.is_file() and file.is_relative_to(bundle.folder) for file in bundle.formats.values())
        assert bundle.kinds == (("probabilities", "image"),)
        assert [case.name for case in bundle.cases] == list(SIZES)
        np.testing.assert_array_equal(bundle.cases[1].input, make_image("odd"))
        assert bundle.cases[2].outputs[0].shape == (2, 2, 9, 11)
        assert bundle.tolerance == TOLERANCE
        assert not bundle.trusted
    assert not bundle.folder.exists()


def test_a_folder_reads_like_its_zip(tmp_path):
    path = good().write(tmp_path / "tiny.zip")
    folder = tmp_path / "tiny mit Ümlaut"
    zipfile.ZipFile(path).extractall(folder)
    with opened(folder, trust_code=True) as bundle, opened(path) as same:
        assert bundle.trusted
        assert bundle.folder != folder
        assert (bundle.inputs, bundle.outputs, bundle.weights) == (same.inputs, same.outputs, same.weights)


def test_outputs_have_the_kind_that_the_bundle_says_or_that_their_axes_tell(tmp_path):
    draft = good()
    draft.rdf["config"]["zooready"]["outputs"][0]["kind"] = "labels"
    with opened(draft.write(tmp_path / "a.zip")) as bundle:
        assert bundle.kinds == (("probabilities", "labels"),)
    draft.rdf["config"]["zooready"]["outputs"] = []
    draft.rdf["outputs"][0]["axes"] = draft.rdf["outputs"][0]["axes"][:2]
    with opened(draft.write(tmp_path / "b.zip")) as bundle:
        assert bundle.kinds == (("probabilities", "scores"),)
    draft.rdf["config"]["zooready"]["outputs"] = [{"id": "probabilities", "kind": "sound"}]
    refused(draft.write(tmp_path / "c.zip"), r"knows kinds \['sound'\]: use image, labels, scores")


def test_format_0_4_is_read(tmp_path):
    draft = good()
    free = {"min": [1, 1, 1, 1], "step": [0, 0, 1, 1]}
    draft.rdf |= {
        "format_version": "0.4.10",
        "test_inputs": ["test_image.npy"],
        "test_outputs": ["test_probabilities.npy"],
        "inputs": [{"name": "image", "axes": "bcyx", "shape": free, "data_type": "float32"}],
        "outputs": [{"name": "probabilities", "axes": "bcyx", "shape": [1, 2, 16, 20], "data_type": "float32"}],
    }
    with opened(draft.write(tmp_path / "old.zip")) as bundle:
        assert bundle.kinds == (("probabilities", "image"),)
        assert len(bundle.cases) == len(SIZES)


def test_two_inputs_leave_nothing_to_compare(tmp_path):
    draft = good()
    draft.rdf["inputs"].append({**draft.rdf["inputs"][0], "id": "second"})
    with opened(draft.write(tmp_path / "two.zip")) as bundle:
        assert bundle.cases == ()


def test_a_bundle_may_claim_a_tolerance_within_bounds(tmp_path):
    draft = good()
    draft.rdf["config"]["zooready"]["tolerance"] = {"onnx": 5e-3}
    with opened(draft.write(tmp_path / "a.zip")) as bundle:
        assert bundle.tolerance == {**TOLERANCE, "onnx": 5e-3}
    draft.rdf["config"]["zooready"]["tolerance"] = {"onnx": 0.02}
    refused(draft.write(tmp_path / "b.zip"), "claims a tolerance of 0.02 for onnx: a bundle may claim up to 0.01, 100 times the default")
    draft.rdf["config"]["zooready"]["tolerance"] = {"onnx": float("nan")}
    refused(draft.write(tmp_path / "c.zip"), "claims a tolerance of nan")


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nothing.zip", "no bundle .*nothing.zip: there is no such file")


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("text.zip", "give the file that was downloaded or exported as a bundle"),
        ("weights.onnx", "give the bundle that they belong to, or export the network"),
        ("rdf.yaml", "give the folder that it lies in"),
    ],
)
def test_what_is_no_zip_is_named_with_what_to_give_instead(name, cure, tmp_path):
    (tmp_path / name).write_text("hello")
    refused(tmp_path / name, f"{name} is no zip, and a bundle is one, or a folder, with an rdf.yaml: .*{cure}")


def test_weights_that_are_a_zip_are_no_bundle(tmp_path):
    zipped(tmp_path, {"weights/data.pkl": ""}).rename(tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", "this is no BioImage.IO bundle: weights alone do not say")


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_zip_is_refused(tmp_path, share):
    whole = good().write(tmp_path / "tiny.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "cut.zip", "cut.zip is not a readable zip .* cut off or damaged")


def test_a_changed_byte_is_caught_by_the_crc(tmp_path):
    path = zipped(tmp_path, {"rdf.yaml": "a" * 100})
    content = bytearray(path.read_bytes())
    content[content.index(b"rdf.yaml") + 9] ^= 1
    path.write_bytes(content)
    refused(path, "is not a readable zip")


def lzma_damaged(content):
    content[50:56] = b"\xff" * 6  # of the compressed description


def name_that_is_no_text(content):
    for start, flags in ((b"PK\x01\x02", 9), (b"PK\x03\x04", 7)):
        content[content.rindex(start) + flags] |= 8  # the name is UTF-8, it says
    content[:] = content.replace(b"zz", b"\xff\xfe")


def name_without_letters(content):
    start = content.rindex(b"PK\x01\x02")
    content[start + 28 : start + 32] = b"\0\0\2\0"  # its letters are something else, it says


@pytest.mark.parametrize("damage", [lzma_damaged, name_that_is_no_text, name_without_letters])
def test_whatever_a_damaged_zip_raises_is_told_in_words(tmp_path, damage):
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("rdf.yaml", "a: 1\n" * 400)
        archive.writestr("zz", "")
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    refused(path, "is not a readable zip .* cut off or damaged")


def test_a_name_of_two_thousand_folders_is_refused(tmp_path):
    path = zipped(tmp_path, {"rdf.yaml": "{}", "/".join("d" * 2000): "x"})
    refused(path, "names a file 2000 folders deep, and at most 50 are made")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../b", "C:\\windows", "a\\b", "con:trol"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    refused(zipped(tmp_path, {"rdf.yaml": "{}", name: "x"}), "which leads out of the bundle")


def test_links_are_refused(tmp_path):
    info = zipfile.ZipInfo("link.npy")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "link.zip", "'link.npy', which is a link or a device")


def test_links_in_a_folder_are_refused(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "rdf.yaml").write_text("{}")
    (folder / "secret.txt").symlink_to("/etc/passwd")
    refused(folder, "holds secret.txt, which is a link or a device: copy the file itself")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("rdf.yaml", "{}")
        archive.writestr("RDF.yaml", "{}")
    refused(tmp_path / "twice.zip", "holds 'RDF.yaml' twice")


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path):
    members = {"rdf.yaml": "{}", "cover.png": "x", "Cover.png/inner.txt": "x"}
    refused(zipped(tmp_path, members), "holds 'cover.png' as a file and as a folder, and no disk holds both")


@pytest.mark.parametrize("twins", [("\u00e9.txt", "e\u0301.txt"), ("x.txt", "x.txt."), ("a/b", "a /b"), ("straße", "STRASSE")])
def test_names_that_some_system_takes_as_one_file_are_refused(tmp_path, twins):
    refused(zipped(tmp_path, {"rdf.yaml": "{}", **dict.fromkeys(twins, "x")}), "twice: readers would disagree on which one counts")


@pytest.mark.parametrize("name", ["CON", "aux/x.txt", "lpt1.txt", "a?b", "readme.", "readme ", "a\x1b[31mb"])
def test_names_that_windows_cannot_write_are_refused_there_and_there_only(tmp_path, monkeypatch, name):
    draft = good()
    draft.files[name] = b"needless"
    path = draft.write(tmp_path / "odd.zip")
    with opened(path) as bundle:
        assert (bundle.folder / name).read_bytes() == b"needless"
    monkeypatch.setattr(unpacking, "IS_WINDOWS", True)
    refused(path, "which Windows cannot write: rename that file in the bundle, on another system")


def test_names_that_only_resemble_those_are_read_on_windows_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "IS_WINDOWS", True)
    draft = good()
    draft.files |= dict.fromkeys(("console.txt", "com10", "nullify/a.b", ".hidden", "é ß"), b"needless")
    with opened(draft.write(tmp_path / "odd.zip")) as bundle:
        assert bundle.name == "tiny network"


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path, {"rdf.yaml": "{}"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, "'rdf.yaml', which is encrypted")


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path, {"rdf.yaml": "{}", "zeros.npy": bytes(300_000)})
    monkeypatch.setattr(unpacking, "SMALL", 100_000)
    refused(path, "'zeros.npy', which unpacks to .* times its size .limit 200.: this is how zip bombs look")
    monkeypatch.setattr(unpacking, "BYTES", 200_000)
    refused(path, "unpacks to 0.0 GiB, and at most 0 GiB are unpacked")
    monkeypatch.setattr(unpacking, "MEMBERS", 1)
    refused(path, "holds 2 files, and at most 1 are unpacked")


def test_a_folder_inside_the_zip_is_explained(tmp_path):
    refused(zipped(tmp_path, {"tiny/rdf.yaml": "{}"}), "no rdf.yaml at its root; it lies at tiny/rdf.yaml: zip the files")
    refused(zipped(tmp_path, {"image.png": ""}), "no rdf.yaml at its root; this is no BioImage.IO bundle")


def test_a_text_that_moves_the_cursor_of_a_terminal_is_refused(tmp_path):
    refused(zipped(tmp_path, {"rdf.yaml": b'type: model\nid: "a\\e[2Jb"\n'}), r"rdf.yaml holds the control character '\\x1b' in 'a\\x1b")


def test_an_alias_bomb_is_refused_at_once(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20))
    refused(zipped(tmp_path, {"rdf.yaml": bomb}), r"rdf.yaml uses the alias \*a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 60 + "]" * 60, "nests deeper than 50 levels"),
        ("a: [", "rdf.yaml is not readable YAML"),
        ("- a", "holds a list instead of a mapping"),
        ("a: !!python/object/apply:os.system [ls]", "not readable YAML .*python"),
        ("a: " + "x" * 2_000_000, "has 2000003 bytes, and at most 1048576 are read"),
        ("type: dataset\nformat_version: 0.3.0", "is a 'dataset' of format '0.3.0': zooready reads models"),
        ("type: model\nformat_version: 0.5.0\nweights: 3", "weights is 3, and must be a mapping"),
        (
            "type: model\nformat_version: 0.5.0\nweights: {keras_hdf5: {source: rdf.yaml}}",
            r"holds weights \['keras_hdf5'\], of which zooready",
        ),
        ("type: model\nformat_version: 0.5.0\nweights: {onnx: {}}", "refers to None outside itself"),
    ],
)
def test_descriptions_that_cannot_be_used_are_explained(tmp_path, text, message):
    refused(zipped(tmp_path, {"rdf.yaml": text}), message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("../../../secret.txt", "which leads out of the bundle"),
        ("/etc/passwd", "which leads out of the bundle"),
        ("https://example.com/weights.pt", "refers to 'https://example.com/weights.pt' outside itself, and nothing is fetched"),
        ("nothing.pt", "names 'nothing.pt' but does not hold it"),
    ],
)
def test_sources_stay_inside(tmp_path, source, message):
    draft = good()
    draft.rdf["weights"]["torchscript"]["source"] = source
    refused(draft.write(tmp_path / "out.zip"), message)


def test_a_wrong_hash_of_any_file_is_refused(tmp_path):
    draft = good()
    draft.write(tmp_path / "hashed.zip")
    draft.files["tiny.py"] += b"import os\n"
    draft.hashed = False
    refused(draft.write(tmp_path / "changed.zip"), "tiny.py was changed after the bundle was made: its sha256 is .* rdf.yaml says")


def test_stored_cases_need_every_output(tmp_path):
    draft = good()
    draft.rdf["config"]["zooready"]["cases"][0]["outputs"] = []
    refused(draft.write(tmp_path / "a.zip"), r"cases\[0\] needs a name, an input and 1 outputs")
    draft.rdf["config"]["zooready"]["cases"] = "all"
    refused(draft.write(tmp_path / "b.zip"), "config.zooready.cases is 'all', and must be a list")


def test_arrays_are_plain_numbers(tmp_path):
    file = tmp_path / "array.npy"
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BundleInvalid, match="array.npy is not a .npy of plain numbers .object of shape"):
        read_array(file)
    file.write_bytes(npy(np.zeros(10))[:-3])
    with pytest.raises(BundleInvalid, match="not a .npy of plain numbers .float64 of shape"):
        read_array(file)
    file.write_bytes(npy(np.zeros((0, 1, 16, 20), np.float32)))
    with pytest.raises(BundleInvalid, match=r"not a .npy of plain numbers .float32 of shape \(0, 1, 16, 20\)"):
        read_array(file)
    file.write_bytes(b"hello")
    with pytest.raises(BundleInvalid, match="not a .npy of plain numbers"):
        read_array(file)
    huge = npy(np.zeros(1)).replace(b"(1,), }   ", b"(9999999999,), }"[:10])
    file.write_bytes(huge)
    with pytest.raises(BundleInvalid, match="not a .npy of plain numbers"):
        read_array(file)


def test_the_block_s_own_error_leaves_no_folder(tmp_path):
    path = good().write(tmp_path / "tiny.zip")
    with pytest.raises(KeyboardInterrupt), opened(path):
        raise KeyboardInterrupt
    assert Path(path).is_file()


def test_the_description_is_what_yaml_says(tmp_path):
    draft = good()
    with opened(draft.write(tmp_path / "tiny.zip")) as bundle:
        described = yaml.safe_load(zipfile.ZipFile(tmp_path / "tiny.zip").read("rdf.yaml"))
        again = read(described, path=bundle.path, folder=bundle.folder, formats=bundle.formats)
        assert replace(bundle, cases=()) == again


def test_a_description_of_odd_values_is_refused(tmp_path):
    draft = good()
    draft.rdf["test_inputs"] = 3
    refused(draft.write(tmp_path / "odd.zip"), r"odd.zip: rdf.yaml cannot be understood \(TypeError: ")


# --- one description, read as YAML 1.2 -------------------------------------------------------------------------------------


def renamed(path, out, **names):
    """The same zip with members of other names beside or in place of its own; each new name has the content of an old one."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
        for new, content in names.items():
            copy.writestr(new, content)
    return out


@pytest.mark.parametrize("other", ["a.rdf.yaml", "deep/er/a.rdf.yaml"])
def test_a_description_that_bioimageio_would_prefer_is_refused(tmp_path, other):
    path = renamed(good().write(tmp_path / "tiny.zip"), tmp_path / "two.zip", **{other: b"type: model\n"})
    refused(path, f"holds {other} beside rdf.yaml: bioimageio reads the one, Fiji and zooready the other. Keep one description")


@pytest.mark.parametrize("other", ["z.rdf.yaml", "bioimageio.yaml", "model.yaml", "environment.yaml"])
def test_a_description_that_nobody_prefers_is_only_a_file(tmp_path, other):
    with opened(renamed(good().write(tmp_path / "tiny.zip"), tmp_path / "two.zip", **{other: b"type: model\n"})) as bundle:
        assert bundle.name == "tiny network"


def test_numbers_and_words_are_those_of_yaml_1_2(tmp_path):
    file = tmp_path / "rdf.yaml"
    file.write_text(
        "{float: [1e-05, 5e-4, .5, -1., 1.5e3, .inf, -.INF], int: [10, 010, -3, 0o17, 0x1F], bool: [true, False], none: [null, ~, ],\n"
        " text: [yes, No, on, off, y, 12:30, 2026-11-27, 1_000, 0b1, '1e-05', 1.2.3, a=b]}"
    )
    content = parse(file)
    assert content["float"] == [1e-05, 5e-4, 0.5, -1.0, 1500.0, float("inf"), -float("inf")]
    assert content["int"] == [10, 10, -3, 15, 31]
    assert content["bool"] == [True, False]
    assert content["none"] == [None, None]
    assert content["text"] == ["yes", "No", "on", "off", "y", "12:30", "2026-11-27", "1_000", "0b1", "1e-05", "1.2.3", "a=b"]
    assert all(type(value) is float for value in content["float"])
    from ruyaml import YAML  # what bioimageio reads with

    theirs = YAML(typ="safe").load(file.read_text())
    assert {key: theirs[key] for key in ("float", "int", "bool", "none")} == {key: content[key] for key in ("float", "int", "bool", "none")}


def test_what_is_written_reads_the_same_in_yaml_1_1_and_1_2(tmp_path):
    content = {"a": [1e-05, 1e20, 1.0, 7, True, None, "yes", "010", "12:30", "1e-05", "ä\nö", "", "~"], "yes": {"b": []}}
    dump(content, tmp_path / "out.yaml")
    assert yaml.safe_load((tmp_path / "out.yaml").read_text(encoding="utf-8")) == content
    assert parse(tmp_path / "out.yaml") == content


def test_a_bundle_that_bioimageio_saved_again_is_read(tmp_path):
    from bioimageio.spec import load_model_description, save_bioimageio_package

    draft = good()
    draft.rdf["outputs"][0]["axes"][3]["scale"] = 1.0
    draft.rdf["attachments"] = [{"source": name} for name in draft.files if name.startswith("cases/")]
    draft.rdf["config"]["zooready"] |= {"tolerance": {"torchscript": 1e-05}, "pixel_size_um": [1e-05, 0.5]}
    model = load_model_description(draft.write(tmp_path / "tiny.zip"), perform_io_checks=False)
    again = save_bioimageio_package(model, output_path=tmp_path / "again.zip")
    assert b"1e-05" in zipfile.ZipFile(again).read("rdf.yaml"), "without such a number this test shows nothing"
    with opened(again) as bundle:
        assert bundle.pixel_size_um == (1e-05, 0.5)
        assert bundle.tolerance["torchscript"] == 1e-05
        assert bundle.faults == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type: model\ntype: dataset", "the key 'type' stands there twice"),
        ("a: {b: 1, 'b': 2}", "the key 'b' stands there twice"),
        ("1: a", "the key 1 is no text, quote it"),
        ("null: a", "the key None is no text"),
        ("? [a]\n: b", "is no text, quote it"),
        ("a: {<<: {b: 1}, c: 2}", "'<<' joins mappings in some programs only"),
        ("a: !!set {b, c}", "not readable YAML"),
        ("a: !!binary aGk=", "not readable YAML"),
        ("a: !!int seven", "not readable YAML"),
        ("a: " + "9" * 5000, "not readable YAML"),
        ("!!map 3", "not readable YAML"),
        ("a: \x00", "not readable YAML"),
    ],
)
def test_what_programs_read_differently_is_refused(tmp_path, text, message):
    (tmp_path / "rdf.yaml").write_text(text)
    with pytest.raises(BundleInvalid, match=message):
        parse(tmp_path / "rdf.yaml")


def test_the_torchscript_of_an_opened_bundle_is_what_was_scanned_and_its_hash_follows(tmp_path):
    from zooready.consumers import bioimageio

    draft = good()
    original = draft.files["weights.pt"]
    draft.files["weights.pt"] = b"#!/bin/sh\n" + original
    draft.rdf["config"]["note"] = "yes"
    with opened(draft.write(tmp_path / "tiny.zip")) as bundle:
        file = bundle.formats["torchscript"]
        names = zipfile.ZipFile(file).namelist()
        assert file.read_bytes().startswith(b"PK")
        assert not [name for name in names if "debug" in name or "traced_inputs" in name]
        assert parse(bundle.folder / "rdf.yaml")["config"]["note"] == "yes"
        (outputs,) = bioimageio.run(bundle, "torchscript", [make_image("odd")])  # its own test compares hashes
        np.testing.assert_allclose(outputs[0], bundle.cases[1].outputs[0], atol=1e-5)
        assert sorted(path.name for path in bundle.folder.iterdir() if path.name.startswith("weights")) == [
            *("weights.onnx", "weights.pt", "weights_state_dict.pt"),
        ]


def test_the_torchscript_that_we_write_ourselves_is_left_byte_for_byte(tmp_path):
    from zooready.formats.torchscript import container

    draft = good()
    raw, clean = tmp_path / "raw.pt", tmp_path / "clean.pt"
    raw.write_bytes(draft.files["weights.pt"])
    container.strip(raw, clean, {})
    draft.files["weights.pt"] = clean.read_bytes()
    path = draft.write(tmp_path / "tiny.zip")
    with opened(path) as bundle:
        assert bundle.formats["torchscript"].read_bytes() == clean.read_bytes()
        assert (bundle.folder / "rdf.yaml").read_bytes() == zipfile.ZipFile(path).read("rdf.yaml")


def test_many_swollen_members_are_one_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "SMALL", 2_000_000)
    refused(zipped(tmp_path, {f"{n}.npy": bytes(100_000 * 10) for n in range(3)}), r"how zip bombs look \(3 such files\)")
