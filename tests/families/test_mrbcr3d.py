from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from zooready.commands.data import data
from zooready.errors import InputInvalid
from zooready.families import FAMILIES, mrbcr, mrbcr3d
from zooready.training.loop import train

torch.set_num_threads(1)
FAMILY = mrbcr3d.FAMILY


def test_a_pair_is_made_again_from_seed_and_index():
    first, again, other = mrbcr3d.pair(1, 7), mrbcr3d.pair(1, 7), mrbcr3d.pair(1, 8)
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.input, other.input)
    assert not np.array_equal(first.input, mrbcr3d.pair(2, 7).input)


def test_no_stack_is_empty():
    def shy(rng, shape):
        return np.zeros(shape) if rng.random() < 0.8 else np.pad(np.ones((1, 1, 1)), [(side // 2, side - side // 2 - 1) for side in shape])

    fields = [mrbcr3d.scene(np.random.default_rng(seed), (4, 8, 8), shy) for seed in range(4)]
    assert all(np.ptp(field.truth) > 0 for field in fields)


def test_pairs_are_raw_counts_of_one_unit():
    pairs = [mrbcr3d.pair(0, index) for index in range(6)]
    assert {pair.input.shape for pair in pairs} == {pair.target.shape for pair in pairs} == {(1, *mrbcr3d.SHAPE)}
    assert np.median([pair.target.mean() / pair.input.mean() for pair in pairs]) == pytest.approx(1, abs=0.1)


def test_the_loss_of_a_perfect_stack_is_the_lowest_and_axes_count_alike():
    target = torch.randn(2, 1, 4, 6, 8)
    assert float(FAMILY.training.loss(target, target)) == pytest.approx(np.log(mrbcr.FLOOR), abs=1e-5)
    moved = float(FAMILY.training.loss(target + 0.5, target))
    assert moved > np.log(mrbcr.FLOOR) + 1
    assert float(FAMILY.training.loss((target + 0.5).transpose(2, 3), target.transpose(2, 3))) == pytest.approx(moved, rel=1e-3)


def test_metrics_do_not_depend_on_units_and_name_the_input_itself():
    pair = mrbcr3d.pair(0, 3)
    metrics = FAMILY.training.metrics(torch.from_numpy((pair.target[None] - 7) / 3), pair)
    assert metrics["psnr"] > 80
    same = FAMILY.training.metrics(torch.from_numpy(pair.input[None] / 50), pair)
    assert same["psnr"] == pytest.approx(same["psnr_input"], abs=1e-3)


def test_the_sample_is_a_calibrated_stack_and_always_the_same():
    first, again = mrbcr3d.sample(), mrbcr3d.sample()
    assert (first.array.shape, first.axes, first.pixel_size_um, first.z_um) == ((16, 96, 96), "zyx", 0.05, 0.15)
    assert np.array_equal(first.array, again.array)


def test_stacks_train_in_the_ordinary_loop(tmp_path):
    architecture = replace(FAMILY.network.architecture, kwargs={"width": 2, "dimensions": 3})
    network, training = replace(FAMILY.network, architecture=architecture), replace(FAMILY.training, metrics=None)
    small = replace(FAMILIES["mrbcr3d"], network=network, training=training)
    run = train(small, tmp_path, steps=2, batch=1, is_quiet=True)
    assert run.is_finished
    assert run.weights.exists()


@pytest.fixture
def stacks(tmp_path):
    """A person's folder: three small stacks with their truth."""
    for kind in ("images", "truth"):
        (tmp_path / kind).mkdir()
    for number in range(3):
        scene = mrbcr3d.scene(np.random.default_rng(number), (6, 32, 40), mrbcr3d.SPECIMENS[0])
        for kind, array in (("images", scene.image), ("truth", scene.truth.astype(np.float32))):
            tifffile.imwrite(tmp_path / kind / f"s{number}.tif", array, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path


def test_a_persons_stacks_train(stacks, tmp_path):
    architecture = replace(FAMILY.network.architecture, kwargs={**FAMILY.network.architecture.kwargs, "width": 2})
    small = replace(FAMILY, network=replace(FAMILY.network, architecture=architecture))
    run = train(small, tmp_path / "run", data=stacks, steps=2, batch=2, is_quiet=True)
    assert run.data == f"2 images of the folder {stacks.name!r}, 1 held out"
    assert np.isfinite(run.metrics["psnr"])


def test_a_folder_of_stacks_is_told_from_one_of_images(stacks):
    assert data(str(stacks)).title == "images/ and truth/, for mrbcr3d, mrbcr3d-confocal"
    for path in [*(stacks / "images").iterdir(), *(stacks / "truth").iterdir()]:
        tifffile.imwrite(path, tifffile.imread(path)[0])
    pictures = "mrbcr, mrbcr-released, mrbcr-told, superres-sted, superres-tirfsim, superres-widefield"
    assert data(str(stacks)).title == f"images/ and truth/, for {pictures}"


def test_npz_files_hold_no_stacks(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.zeros((2, 32, 32)), gt=np.zeros((2, 32, 32)))
    with pytest.raises(InputInvalid, match="npz pairs are blurred and sharp single planes.*Train mrbcr on them"):
        train(FAMILY, tmp_path / "run", data=tmp_path, steps=2)
