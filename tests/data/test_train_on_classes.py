"""Training on a person's own classes and on npz pairs: what the run records, and that its bundle is for those classes."""

import json
import logging

import numpy as np
import pytest
import tifffile
import torch

import zooready
from zooready.commands import runs
from zooready.data import read_classes, share
from zooready.errors import InputInvalid
from zooready.exporting import exported
from zooready.families import for_classes, mrbcr, plcnn, segmentation
from zooready.training import checkpoint
from zooready.training.loop import train
from zooready.training.pairs import pairs_of

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def trained(data, out, **settings):
    return zooready.train("plcnn", out, data=data, **{"steps": 2, "batch": 2, "device": "cpu", **settings})


def calibrated(folder, sides):
    """The same images with pixels of these sides in turn, micrometres."""
    for number, path in enumerate(sorted(folder.rglob("*.tif"))):
        side = sides[number % len(sides)]
        tifffile.imwrite(path, tifffile.imread(path), imagej=True, resolution=(1 / side, 1 / side), metadata={"unit": "um"})


def test_a_run_keeps_its_classes_channels_and_pixel_sizes(labelled_folder, tmp_path):
    calibrated(labelled_folder, (0.1, 0.25))
    run = trained(labelled_folder, tmp_path / "run")
    assert (run.classes, run.channels) == (("actin", "er", "nucleus"), ("protein",))
    assert run.pixel_size_um == pytest.approx((0.1, 0.25))
    assert run.data == "12 images of the folder 'own', 3 held out"
    assert checkpoint.read(run.folder) == run
    assert json.loads((run.folder / "run.json").read_text())["classes"] == ["actin", "er", "nucleus"]


def test_the_metrics_are_those_of_every_held_out_image_whole(labelled_folder, tmp_path):
    run = trained(labelled_folder, tmp_path / "run", seed=4)
    data = read_classes(labelled_folder)
    family = plcnn.family(data.classes)
    network = family.network.architecture.build().eval()
    network.load_state_dict(run.state_dict())
    right = []
    for member in share(data.labels, 0.8, 4).held_out:
        image = torch.as_tensor(data.arrays[member].astype(np.float32))[None]
        with torch.no_grad():
            logits, _ = network((image - image.mean()) / image.std(correction=0))
        right.append(int(logits.argmax()) == data.labels[member])
    assert run.metrics["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)


def test_the_bundle_of_a_run_is_for_its_classes(labelled_folder, tmp_path):
    trained(labelled_folder, tmp_path / "run")
    bundle = zooready.export(tmp_path / "run", out=tmp_path / "own.zip", torchscript="plain")
    held_out = share(read_classes(labelled_folder).labels, 0.8, 0).held_out[0]
    prediction = zooready.predict(bundle.path, tmp_path / "run" / "sample.tif")
    assert prediction.scores["scores"].columns == ("actin", "er", "nucleus")
    assert sum(prediction.scores["scores"].rows[0]) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "run" / "sample.tif"), read_classes(labelled_folder).arrays[held_out][0])


@pytest.mark.parametrize(("sides", "stated"), [((0.1, 0.25), (0.1, 0.25)), ((), None)])
def test_a_bundle_states_the_pixel_sizes_of_the_files_or_none(labelled_folder, tmp_path, monkeypatch, sides, stated):
    if sides:
        calibrated(labelled_folder, sides)
    trained(labelled_folder, tmp_path / "run")
    monkeypatch.setattr(exported, "export", lambda network, sample, about, *rest, **options: about)
    about = zooready.export(tmp_path / "run")
    assert about.pixel_size_um == (pytest.approx(stated) if stated else None)


def test_two_channels_are_trained_on_and_exported_by_name(tmp_path, save, monkeypatch):
    for name in ("a", "b"):
        for number in range(3):
            path = tmp_path / "two" / name / f"{number}.tif"
            save(path, (2, 40, 40))
            labels = {"axes": "CYX", "Labels": ["membrane", "protein"]}
            tifffile.imwrite(path, tifffile.imread(path), imagej=True, metadata=labels)
    run = trained(tmp_path / "two", tmp_path / "run")
    assert run.channels == ("membrane", "protein")
    monkeypatch.setattr(exported, "export", lambda network, sample, *rest, **options: (sample, options))
    sample, options = zooready.export(run.folder)
    assert options["input"].channels == sample.channels == ("membrane", "protein")
    assert options["outputs"][0].channels == ("a", "b")
    assert sample.array.shape == (2, 40, 40)


def test_a_run_on_other_images_or_another_split_is_not_gone_on_with(labelled_folder, tmp_path, save):
    trained(labelled_folder, tmp_path / "run")
    with pytest.raises(InputInvalid, match="holds a run with seed = 0, not 1"):
        trained(labelled_folder, tmp_path / "run", seed=1)
    save(labelled_folder / "er" / "99.tif")
    with pytest.raises(InputInvalid, match="holds a run with data_sha256"):
        trained(labelled_folder, tmp_path / "run")


def test_channels_in_another_order_than_before_are_a_fault(tmp_path, save):
    for name in ("a", "b"):
        for number in range(2):
            save(tmp_path / "two" / name / f"{number}.tif", (2, 40, 40))
            array = tifffile.imread(tmp_path / "two" / name / f"{number}.tif")
            labels = ["protein", "dna"] if (name, number) == ("b", 1) else ["dna", "protein"]
            tifffile.imwrite(tmp_path / "two" / name / f"{number}.tif", array, imagej=True, metadata={"axes": "CYX", "Labels": labels})
    with pytest.raises(InputInvalid, match=r"b/1.tif has the channels protein, dna, and images before it dna, protein: give all the same"):
        read_classes(tmp_path / "two")


def test_an_image_held_out_that_is_trained_on_too_is_named(labelled_folder, caplog):
    data = read_classes(labelled_folder)
    split = share(data.labels, 0.8, 0)
    trained_on, held_out = (labelled_folder / data.names[side[0]] for side in (split.training, split.held_out))
    held_out.write_bytes(trained_on.read_bytes())
    pairs_of(plcnn.family(data.classes), labelled_folder, 0)
    assert f"metrics flatter the network: {data.names[split.held_out[0]]}. Keep one of each." in caplog.text


def test_a_record_for_other_classes_is_refused(labelled_folder, tmp_path):
    with pytest.raises(InputInvalid, match=r"has the classes actin, er, nucleus and 1 channel, but this family plcnn is for x, y and 1"):
        train(plcnn.family(("x", "y")), tmp_path / "run", data=labelled_folder, steps=2, device="cpu")
    with pytest.raises(InputInvalid, match="'mrbcr' has no classes of its own: choose from segmentation, plcnn"):
        for_classes("mrbcr", ("x", "y"), ("protein",))


def test_notes_on_images_are_logged_and_many_are_counted(labelled_folder, caplog):
    for path in labelled_folder.rglob("*.tif"):
        tifffile.imwrite(path, np.full((30, 30), 255, np.uint8))
    family = plcnn.family(("actin", "er", "nucleus"))
    with caplog.at_level(logging.WARNING, "zooready"):
        pairs_of(family, labelled_folder, 0)
    assert caplog.messages[0] == "actin/0.tif is blank: every pixel is 255."
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].startswith("and 5 more notes on images; `zooready data` shows all")


def test_npz_pairs_are_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2)):
        w = rng.random((count, 64, 64))
        np.savez(tmp_path / f"{part}.npz", low=w, gt=w**2)
    run = zooready.train("mrbcr", tmp_path / "run", data=tmp_path, steps=2, batch=2, device="cpu")
    assert run.data == f"4 images of the folder {tmp_path.name!r}, 2 held out"
    assert run.is_finished
    assert pairs_of(mrbcr.FAMILY, tmp_path / "val.npz", 0).words == "1 image of the file 'val.npz', 1 held out"


def test_npz_pairs_are_for_networks_that_restore_and_a_missing_file_is_told(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.zeros((1, 64, 64)), gt=np.zeros((1, 64, 64)))
    with pytest.raises(
        InputInvalid, match=r"a.npz': npz pairs are blurred and sharp single planes, and segmentation does not restore those. Train mrbcr"
    ):
        pairs_of(segmentation.FAMILY, tmp_path / "a.npz", 0)
    with pytest.raises(InputInvalid, match=r"there is no .*b.npz: check the name"):
        pairs_of(mrbcr.FAMILY, tmp_path / "b.npz", 0)


def test_a_single_image_is_not_said_to_be_held_out(tmp_path, save, caplog):
    """It is trained on and measured; the run, its card and the bundle said "1 held out"."""
    for kind in ("images", "truth"):
        save(tmp_path / kind / "0.tif", (64, 64))
    with caplog.at_level(logging.WARNING, "zooready"):
        words = pairs_of(mrbcr.FAMILY, tmp_path, 0).words
    assert words == f"1 image of the folder {tmp_path.name!r}, none held out: its metrics are of that image"
    assert "the one image is trained on and measured" in caplog.text
    settings = {"data": tmp_path, "steps": 2, "batch": 1, "device": "cpu"}
    run = zooready.train("mrbcr", tmp_path / "run", **settings)
    assert (run.best_step > 0, run.has_held_out, checkpoint.read(run.folder).has_held_out) == (True, False, False)
    words = runs.trained(run.folder).provenance["training"]
    assert words.endswith("which had the lowest loss on the one image that it was trained on.")
    assert "held-out" not in words


def test_npz_files_beside_a_folder_of_images_do_not_hide_it(tmp_path, save):
    np.savez(tmp_path / "notes.npz", w=np.zeros((1, 64, 64)), gt=np.zeros((1, 64, 64)))
    for kind in ("images", "truth"):
        for number in range(2):
            save(tmp_path / kind / f"{number}.tif", (64, 64))
    assert pairs_of(mrbcr.FAMILY, tmp_path, 0).words == f"1 image of the folder {tmp_path.name!r}, 1 held out"
