"""Recipe files, the number of steps that suits a folder, and the sheet of what training sees."""

import numpy as np
import PIL.Image
import pytest
import torch
from test_train import TINY, run
from test_warm_start import folder

from zooready.cli import main
from zooready.errors import InputInvalid
from zooready.families import FAMILIES
from zooready.records import Augmentation, Recipe
from zooready.training import checkpoint, loop
from zooready.training.contact_sheet import SHEET
from zooready.training.loop import suited_steps
from zooready.training.recipes import EXAMPLE, read_recipe, with_recipe

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_a_recipe_and_every_key_of_it_counts(tmp_path):
    stated = read_recipe(recipe(tmp_path, EXAMPLE))
    changed = with_recipe(TINY, stated).training.recipe
    assert (changed.steps, changed.batch, changed.optimizer, changed.learning_rate) == (1200, 4, "Muon", 0.001)
    assert changed.augmentation == Augmentation(zoom=(0.7, 1.4), blur_px=1.5, noise=0.1, light=0.5, gamma=0.3, share=0.5)
    assert changed.weight_decay == TINY.training.recipe.weight_decay
    assert read_recipe(recipe(tmp_path, "learning_rate: 1e-3\nsteps: 010")) == {"learning_rate": 0.001, "steps": 10}  # YAML 1.2
    assert with_recipe(TINY, read_recipe(recipe(tmp_path, "clip: 2\nweight_decay: 0.1"))).training.recipe.clip == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step: 10", "step: a recipe has no such key. Did you mean 'steps'\\?"),
        ("augmentation: {blur: 2}", "augmentation.blur: a recipe has no such key. Did you mean 'blur_px'\\?"),
        ("augmentation: {zoom: [2, 0.5]}", r"augmentation.zoom: .*give the smaller factor first"),
        ("augmentation: {share: 3}", "augmentation.share: Input should be less than or equal to 1, got 3"),
        ("optimizer: SGD", "optimizer: Input should be 'AdamW' or 'Muon', got 'SGD'"),
        ("steps: 0\nbatch: many", "steps: .*; batch: "),
        ("- steps", "the file: "),
        ("steps: true", "steps: .*a number is needed, got True"),
        ("steps: yes", "steps: Input should be a valid integer, .*, got 'yes'"),
        ("steps: 1:30", "steps: Input should be a valid integer, .*, got '1:30'"),
        ("augmentation: {zoom: [true, 2]}", "augmentation.zoom: .*a number is needed"),
        ("steps: 10\nbatch: 2\nsteps: 20", "(?s)cannot read .*the key 'steps' stands there twice in .*line 3"),
        ("steps: [", "cannot read .*: correct that line. A complete one:"),
        ("learning_rate: .inf", "learning_rate: Input should be a finite number, got inf"),
        ("clip: .inf", "clip: Input should be a finite number, got inf"),
        ("weight_decay: .nan", "weight_decay: "),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_with_all_faults_and_an_example(tmp_path, text, message):
    with pytest.raises(InputInvalid, match=message) as caught:
        read_recipe(recipe(tmp_path, text))
    assert str(caught.value).endswith(EXAMPLE)
    with pytest.raises(InputInvalid, match="cannot read"):
        read_recipe(tmp_path / "missing.yaml")


def test_few_images_get_fewer_steps_unless_steps_are_given(tmp_path, monkeypatch):
    many = Recipe(steps=2400, batch=4)
    assert [suited_steps(crops, many) for crops in (0, 1, 20, 500)] == [2400, 200, 500, 2400]
    assert suited_steps(1, Recipe(steps=8, batch=2)) == 8
    monkeypatch.setattr(loop, "FEWEST", 2)
    monkeypatch.setattr(loop, "SEEN", 0)
    data = folder(tmp_path / "data")
    assert run(tmp_path / "few", with_recipe(TINY, {"steps": 400}), data=data).steps == 2
    assert run(tmp_path / "given", with_recipe(TINY, {"steps": 400}), data=data, steps=4).steps == 4


def test_a_run_on_files_shows_what_it_sees_and_remembers_how_it_was_varied(tmp_path):
    data = folder(tmp_path / "data")
    varied = with_recipe(TINY, {"augmentation": Augmentation(noise=0.5, share=1.0)})
    plain, noisy = (run(tmp_path / name, family, data=data) for name, family in (("plain", TINY), ("noisy", varied)))
    assert (plain.augmentation, noisy.augmentation) == ({}, {"noise": 0.5, "share": 1.0})
    sheets = [np.asarray(PIL.Image.open(finished.folder / SHEET)) for finished in (plain, noisy)]
    assert sheets[0].shape[2] == 3
    assert sheets[0].shape[1] > 6 * 32
    assert not np.array_equal(*sheets)
    assert checkpoint.read(noisy.folder).augmentation == {"noise": 0.5, "share": 1.0}
    with pytest.raises(InputInvalid, match="holds a run with augmentation = "):
        run(tmp_path / "noisy", TINY, data=data)
    assert not (run(tmp_path / "simulated").folder / SHEET).exists()


def test_the_command_line_takes_a_recipe(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "tiny", TINY)
    path = recipe(tmp_path, "steps: 4\nbatch: 2\naugmentation: {zoom: [0.5, 2]}")
    given = ["train", "tiny", "--data", str(folder(tmp_path / "data")), "--recipe", str(path), "--device", "cpu"]
    assert main([*given, "--out", str(tmp_path / "run")]) == 0
    finished = checkpoint.read(tmp_path / "run")
    assert (finished.steps, finished.batch, finished.augmentation) == (4, 2, {"zoom": [0.5, 2.0]})
    assert main([*given, "--out", str(tmp_path / "other"), "--steps", "8"]) == 0
    assert checkpoint.read(tmp_path / "other").steps == 8


@pytest.mark.parametrize("is_deep", [True, False])
def test_a_recipe_that_would_fill_a_message_or_never_ends_is_refused(tmp_path, is_deep):
    aliases = [*(f"n{n}: &n{n} [{', '.join([f'*n{n - 1}'] * 9)}]" for n in range(1, 12)), "steps: *n11"]
    text = "[" * 20000 if is_deep else "\n".join(["n0: &n0 [x, x, x, x, x, x, x, x, x]", *aliases])
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InputInvalid) as error:
        read_recipe(tmp_path / "recipe.yaml")
    assert len(str(error.value)) < 1_000_000
