"""``about.yaml``: what it may hold, and that every fault of a file is told at once."""

from dataclasses import replace

import pytest

from zooready.bundle import about
from zooready.errors import InputInvalid
from zooready.records import About

GOOD = About(name="Good name", description="What it does.", authors=({"name": "A. Person"},), license="MIT")


def written(folder, text):
    (folder / "about.yaml").write_text(text, encoding="utf-8")
    return folder / "about.yaml"


def test_the_template_is_a_good_file(tmp_path):
    facts = about.read(written(tmp_path, about.TEMPLATE))
    assert facts.name == "Nuclei of my cells"
    assert facts.authors == ({"name": "Your Name", "affiliation": "Your Institute"},)
    assert facts.cite == (("Your Name et al., a title, 2026", "10.5281/zenodo.1234567"),)
    assert facts.tags == ("nuclei", "segmentation", "fluorescence")
    assert facts.pixel_size_um == (0.2, 0.5)
    assert facts.documentation.startswith("What it is for")
    about.demand(facts)


def test_four_keys_are_enough(tmp_path):
    facts = about.read(written(tmp_path, "name: Good name\ndescription: What it does.\nauthors: [{name: A. Person}]\nlicense: MIT\n"))
    assert facts == GOOD


def test_a_missing_file_is_named_with_a_template(tmp_path):
    with pytest.raises(InputInvalid, match=r"cannot read .*about\.yaml: No such file or directory\. Start from this:\nname: "):
        about.read(tmp_path / "about.yaml")


@pytest.mark.parametrize("text", ["name: [", "\x00"])
def test_what_is_no_yaml_is_told(tmp_path, text):
    with pytest.raises(InputInvalid, match=r"cannot read .*about\.yaml"):
        about.read(written(tmp_path, text))


@pytest.mark.parametrize("text", ["", "just words", "- 1"])
def test_a_file_without_keys_is_told(tmp_path, text):
    with pytest.raises(InputInvalid, match=r"about\.yaml holds no keys\. Start from this"):
        about.read(written(tmp_path, text))


def test_all_faults_come_in_one_message(tmp_path):
    text = "name: ab\nlicence: MIT\nauthors: nobody\ntags: nuclei\npixel_size_um: [0.5, 0.2]\ncite: [{text: a}]\ndescription: 3\n"
    with pytest.raises(InputInvalid) as caught:
        about.read(written(tmp_path, text))
    for fault in (
        "'license' is missing",
        "'licence' is not a known key",
        "'name': at least 5 characters",
        "'authors' must be a list of entries with a name, got 'nobody'",
        "'tags' must be a list of words, got 'nuclei'",
        r"'pixel_size_um' must be positive and in order, got [0.5, 0.2]",
        "'cite' must be a list of entries with text and doi, got [{'text': 'a'}]",
        "'description' must be text, got 3",
        "A complete example:",
    ):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ab"}, r"'name': at least 5 characters of A-Z, a-z, 0-9, .*, got 'ab'"),
        ({"name": "Zellkerne für alle"}, r"'name': at least 5 characters of A-Z"),
        ({"name": 7}, "'name' must be text, got 7"),
        ({"description": " "}, "'description' must be text, got ' '"),
        ({"description": "x" * 2000}, "'description': String should have at most 1024 characters"),
        ({"license": "BSD"}, r"'license': an SPDX identifier, e\.g\. CC-BY-4\.0, MIT or BSD-3-Clause, got 'BSD'"),
        ({"authors": ()}, r"'authors' must be a list of entries with a name, got \[\]"),
        ({"authors": ({"name": "A", "orcid": "1"},)}, r"'authors\.0\.orcid': .*is not a valid ORCID iD"),
        ({"authors": ({"name": "A", "mail": "a@b.c"},)}, r"'authors\.0\.mail': Extra inputs are not permitted"),
        ({"cite": (("A paper", "https://doi.org/10.5281/1"),)}, r"'cite\.0\.doi': String should match pattern"),
        ({"tags": (1,)}, r"'tags' must be a list of words, got \[1\]"),
        ({"documentation": None}, "'documentation' must be text, got None"),
        ({"pixel_size_um": (0, 1)}, r"'pixel_size_um' must be positive and in order, got \[0, 1\]"),
        ({"pixel_size_um": (1.0, float("inf"))}, r"'pixel_size_um' must be positive and in order, got \[1\.0, inf\]"),
        ({"blur_px": (16, 4)}, r"'blur_px' must be positive and in order, got \[16, 4\]"),
        ({"blur_px": (4,)}, r"'blur_px' must be \[smallest, largest\] in pixels, got \[4\]"),
        ({"pixel_size_um": (1.0,)}, r"'pixel_size_um' must be \[smallest, largest\] in micrometres, got \[1\.0\]"),
        ({"pixel_size_um": (True, 2)}, r"'pixel_size_um' must be \[smallest, largest\] in micrometres"),
    ],
)
def test_each_fact_is_looked_at(changes, message):
    with pytest.raises(InputInvalid, match=message):
        about.demand(replace(GOOD, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"authors": ("Ada",)}, r"'authors' must be a list of entries with a name, got \['Ada'\]"),
        ({"authors": {"name": "Ada"}}, "'authors' must be a list of entries with a name, got {'name': 'Ada'}"),
        ({"cite": ({"text": "a paper", "doi": "10.1234/x"},)}, r"'cite' must be pairs \(text, DOI\), got \[{'doi'"),
        ({"cite": ("a paper", "10.1234/x")}, r"'cite' must be pairs \(text, DOI\), got \['a paper'"),
        ({"tags": "nuclei"}, "'tags' must be a list of words, got 'nuclei'"),
        ({"pixel_size_um": 0.1}, r"'pixel_size_um' must be \[smallest, largest\] in micrometres, got 0.1"),
    ],
)
def test_facts_of_another_shape_are_told_in_words(changes, message):
    """Before, they ended in a traceback, became other facts (a tag for each letter), or were told as facts that nobody gave."""
    with pytest.raises(InputInvalid, match=message):
        about.demand(replace(GOOD, **changes))


def test_faults_of_facts_come_in_one_message_too():
    with pytest.raises(InputInvalid, match=r"about: 'name'.*; 'license'.*"):
        about.demand(replace(GOOD, name="", license=""))


def test_a_parent_and_a_cover_may_be_named(tmp_path):
    facts = about.read(written(tmp_path, f"{about.TEMPLATE}parent: brave-otter\ncover: drawn.png\n"))
    assert (facts.parent, facts.cover) == ("brave-otter", tmp_path / "drawn.png")
    about.demand(facts)
    with pytest.raises(InputInvalid, match="'parent' must be text, got 3"):
        about.read(written(tmp_path, f"{about.TEMPLATE}parent: 3\n"))


@pytest.mark.parametrize("text", ["[" * 20000, "tags: " + "[" * 20000])
def test_a_file_that_nests_without_end_is_told(tmp_path, text):
    (tmp_path / "about.yaml").write_text(text)
    with pytest.raises(InputInvalid, match="cannot read .*about.yaml: about.yaml nests deeper than 50 levels"):
        about.read(tmp_path / "about.yaml")


def test_a_few_aliases_do_not_fill_the_memory(tmp_path):
    lines = ["n0: &n0 [x, x, x, x, x, x, x, x, x]", *(f"n{n}: &n{n} [{', '.join([f'*n{n - 1}'] * 9)}]" for n in range(1, 12)), "tags: *n11"]
    (tmp_path / "about.yaml").write_text("\n".join(lines))
    with pytest.raises(InputInvalid, match=r"about.yaml uses the alias \*n0") as error:
        about.read(tmp_path / "about.yaml")
    assert len(str(error.value)) < 2_000


def test_words_and_numbers_are_those_of_yaml_1_2(tmp_path):
    text = "name: 2026-11-27\ndescription: 12:30\nauthors: [{name: no}]\nlicense: MIT\ntags: [on, 1_000]\npixel_size_um: [1e-1, 010]\n"
    facts = about.read(written(tmp_path, text))
    assert (facts.name, facts.description, facts.authors) == ("2026-11-27", "12:30", ({"name": "no"},))
    assert (facts.tags, facts.pixel_size_um) == (("on", "1_000"), (0.1, 10))


def test_a_key_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"cannot read .*about.yaml: .*the key 'license' stands there twice in .*line 11"):
        about.read(written(tmp_path, f"{about.TEMPLATE.split('documentation')[0]}tags2: 1\nlicense: MIT\n"))
