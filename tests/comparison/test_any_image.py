"""The page of images names everything that is shipped and everything that ran, and its script tells a right program from a wrong one."""

import re

import any_image
import numpy as np
import pytest
from foreign import good

from zooready.consumers import CONSUMERS
from zooready.families import FAMILIES, shipped
from zooready.images.agreement import label_fault

PAGE = any_image.TARGET


def test_the_page_has_a_section_for_every_shipped_bundle_that_takes_planes_of_one_channel_and_makes_no_stack_of_them():
    sections = set(re.findall(r"^## (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    tensors = {name: (FAMILIES[name].input, *FAMILIES[name].outputs) for name in shipped()}
    one_channel = {name for name in tensors if len(FAMILIES[name].input.channels) == 1}
    assert sections == {name for name in one_channel if not any("z" in spec.axes for spec in tensors[name])}


def test_every_program_ran_for_every_bundle_or_is_said_not_to_have_run():
    text = PAGE.read_text(encoding="utf-8")
    absent = re.search(r"^Not run there: (.+)\.$", text, re.MULTILINE)
    not_run = set(re.findall(r"`([\w-]+)`", absent[1])) if absent else set()
    foot = text.split("## Where the numbers are from")[1]
    for section in text.split("\n## ")[1:-1]:
        ran = set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE))
        assert ran - {"predict"} == set(CONSUMERS) - not_run
        assert "predict" in ran
        assert {name for name in ran - {"predict"} if f"`{name}`: " not in foot} == set()


def test_every_kind_of_image_has_a_number_and_what_is_bold_has_a_cause():
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `[\w-]+` \| .+ \|$", text, re.MULTILINE)
    assert rows
    assert {row.count("|") for row in rows} == {len(any_image.KINDS) + 3}
    for section in text.split("\n## ")[1:-1]:
        assert ("**" in "".join(re.findall(r"^\|.+\|$", section, re.MULTILINE))) != ("Nothing disagrees." in section)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Exit code and page of a run for a draft, by ONNX Runtime and ``predict``."""
    monkeypatch.setattr(any_image, "SIDE", 14)
    monkeypatch.setattr(any_image, "ODD", (7, 5))

    def run(draft):
        page = tmp_path / "page.md"
        code = any_image.main([str(draft.write(tmp_path / "tiny.zip")), "--in", "onnxruntime", "--out", str(page)])
        return code, page.read_text(encoding="utf-8") if page.exists() else ""

    return run


def test_sections_of_bundles_that_are_not_given_stay(written, tmp_path):
    before = any_image.sections_of(PAGE.read_text(encoding="utf-8"))
    (tmp_path / "page.md").write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    code, text = written(good())
    after = any_image.sections_of(text)
    assert code == 0
    assert after.pop("tiny")
    assert after == before


def test_a_good_bundle_agrees_on_every_kind_of_image(written):
    code, text = written(good())
    assert code == 0
    assert "Nothing disagrees." in text
    assert "**" not in "".join(re.findall(r"^\|.+\|$", text, re.MULTILINE))
    assert 'A whole RGB image is refused. `zooready check --image`, for all programs: "RGB.tif has axes' in text
    assert "`onnxruntime`: onnxruntime " in text


def test_changed_weights_disagree_and_no_page_is_written_without_a_cause(written, capsys, monkeypatch):
    import onnx
    from onnx import numpy_helper

    draft = good()
    model = onnx.load_model_from_string(draft.files["weights.onnx"])
    kernel = next(one for one in model.graph.initializer if len(one.dims) == 4)
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(1.05), kernel.name))
    draft.files["weights.onnx"] = model.SerializeToString()
    assert written(draft) == (1, "")
    assert "tiny, onnxruntime onnx: sample: " in capsys.readouterr().err
    causes = {("tiny", "onnxruntime"): "weights were changed: export again.", ("tiny", "predict onnx"): "the same."}
    monkeypatch.setattr(any_image, "CAUSES", causes)
    code, text = written(draft)
    assert code == 0
    assert re.search(r"^- \*\*onnxruntime onnx\*\* \(sample: .+\): weights were changed: export again\.$", text, re.MULTILINE)


def test_labels_are_compared_by_objects_as_in_a_check():
    expected = np.zeros((1, 1, 60, 60), np.float32)
    expected[..., 5:40, 5:40] = 1
    renumbered, cut = expected * 7, expected.copy()
    cut[..., 5, 5:15] = 0
    assert any_image.compared("labels", [expected], [renumbered], 0) == ("1 of 1, 0 px", True)
    assert any_image.compared("labels", [expected], [cut], 0) == ("1 of 1, 10 px", False)
    assert any_image.compared("labels", [expected], [expected * 0], 0) == ("0 of 1, 1225 px", False)
    assert label_fault(expected, cut)


def test_values_are_compared_by_their_range_and_never_pass_when_not_finite():
    expected = np.linspace(0, 50, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert any_image.compared("image", [expected], [expected + np.float32(0.5)], 1e-4) == ("1.0e-02", False)
    assert any_image.compared("image", [expected], [expected * np.float32(np.nan)], 1e-4) == ("nan", False)
    assert any_image.compared("image", [expected], [expected[..., :3]], 1e-4) == ("shape (1, 1, 4, 3)", False)
