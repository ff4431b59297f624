"""npz files of pairs, as m-rBCR and DeBCR publish them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from zooready.data import examine_npz, npz_files, read_npz
from zooready.errors import InputInvalid
from zooready.families.mrbcr import pair_of

RNG = np.random.default_rng(0)


def arrays(count=4, size=48, dtype="float64", last=()):
    blurred = RNG.random((count, size, size, *last)).astype(dtype)
    return blurred, blurred**2


def test_a_file_of_w_and_gt_becomes_pairs(tmp_path):
    w, gt = arrays()
    np.savez(tmp_path / "one.npz", w=w, gt=gt, psf=np.ones((9, 9)))
    pairs = read_npz(tmp_path / "one.npz", pair_of)
    assert pairs.names == ("one.npz[0]", "one.npz[1]", "one.npz[2]", "one.npz[3]")
    for number, pair in enumerate(pairs.pairs):
        assert pair.input.shape == pair.target.shape == (1, 48, 48)
        np.testing.assert_array_equal(pair.input[0], w[number].astype(np.float32))
        np.testing.assert_array_equal(pair.target[0], gt[number].astype(np.float32))
    training, held_out = pairs.split(0)
    assert (len(training), len(held_out)) == (4, 4) if len(pairs.pairs) == 1 else (3, 1)


@pytest.mark.parametrize(("blurred", "sharp"), [("w", "gt"), ("w", "o"), ("low", "gt")])
@pytest.mark.parametrize("last", [(), (1,)], ids=["nyx", "nyx1"])
def test_every_published_pair_of_names_and_shapes_is_understood(tmp_path, blurred, sharp, last):
    w, gt = arrays(last=last)
    np.savez_compressed(tmp_path / "a.npz", **{blurred: w, sharp: gt})
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", pair_of).pairs[2].target[0], gt[2].reshape(48, 48).astype(np.float32))


@pytest.mark.parametrize("pattern", ["LM_2D_CARE_{part}.npz", "{part}/data.npz"])
def test_published_parts_decide_what_is_trained_on(tmp_path, pattern):
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        path = tmp_path / pattern.format(part=part)
        path.parent.mkdir(exist_ok=True)
        w, gt = arrays(count)
        np.savez(path, low=w, gt=gt)
    pairs = read_npz(tmp_path, pair_of)
    training, held_out = pairs.split(7)
    assert {pairs.names[n].split("[")[0] for n in training} == {pattern.format(part="train")}
    assert {pairs.names[n].split("[")[0] for n in held_out} == {pattern.format(part="val")}
    assert (len(training), len(held_out), len(pairs.pairs)) == (5, 2, 10)
    (tmp_path / pattern.format(part="val")).unlink()
    pairs = read_npz(tmp_path, pair_of)
    assert {pairs.names[n].split("[")[0] for n in pairs.split(7)[1]} == {pattern.format(part="test")}


def test_the_hash_is_of_names_and_bytes(tmp_path):
    w, gt = arrays()
    np.savez(tmp_path / "a.npz", w=w, gt=gt)
    before = read_npz(tmp_path, pair_of).sha256
    assert read_npz(tmp_path, pair_of).sha256 == before
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    renamed = read_npz(tmp_path, pair_of).sha256
    w[0, 0, 0] += 1
    np.savez(tmp_path / "b.npz", w=w, gt=gt)
    assert len({before, renamed, read_npz(tmp_path, pair_of).sha256}) == 3


def test_images_that_are_no_numbers_are_named_and_the_rest_goes_on(tmp_path):
    w, gt = arrays()
    w[1, 3, 5] = np.nan
    gt[2, 0, 7] = np.inf
    np.savez(tmp_path / "a.npz", w=w, gt=gt)
    pairs = examine_npz(tmp_path, pair_of)
    assert pairs.names == ("a.npz[0]", "a.npz[3]")
    assert pairs.faults == (
        "a.npz[1]: the blurred image has 1 pixel of NaN or infinity, the first at y 3, x 5",
        "a.npz[2]: the sharp image has 1 pixel of NaN or infinity, the first at y 0, x 7",
    )
    with pytest.raises(InputInvalid, match=r"(?s)Repair or remove these files.*a\.npz\[1\].*a\.npz\[2\]"):
        read_npz(tmp_path, pair_of)


def test_saturated_and_blank_images_are_noted(tmp_path):
    w = RNG.integers(0, 900, (2, 48, 48)).astype(np.uint16)
    w[1, :12] = 4095
    np.savez(tmp_path / "a.npz", w=w, gt=np.where(np.arange(2)[:, None, None] > 0, w, 7))
    pairs = read_npz(tmp_path, pair_of)
    assert [note.split(" of its")[0] for note in pairs.notes] == [
        "the target of a.npz[0] is blank: every pixel is 7.",
        "a.npz[1] is saturated: 25.0 %",
        "the target of a.npz[1] is saturated: 25.0 %",
    ]
    assert len(pairs.pairs) == 2


class Bomb:
    def __reduce__(self):
        return (Path("opened").touch, ())


def pickled_array(path):
    np.savez(path, w=np.array([Bomb(), Bomb()], dtype=object), gt=np.zeros((2, 48, 48)))


def pickled_file(path):
    path.write_bytes(pickle.dumps(Bomb()))


def without_truth(path):
    np.savez(path, w=np.zeros((2, 48, 48)), mask=np.zeros((2, 48, 48)))


def other_number(path):
    np.savez(path, w=np.zeros((2, 48, 48)), gt=np.zeros((3, 48, 48)))


def other_size(path):
    np.savez(path, w=np.zeros((2, 48, 48)), gt=np.zeros((2, 96, 96)))


def volumes(path):
    np.savez(path, w=np.zeros((2, 8, 48, 48)), gt=np.zeros((2, 8, 48, 48)))


def words(path):
    np.savez(path, w=np.array([["a"]]), gt=np.zeros((2, 48, 48)))


def cut_off(path):
    np.savez(path, w=np.zeros((2, 48, 48)), gt=np.zeros((2, 48, 48)))
    path.write_bytes(path.read_bytes()[:900])


def flipped(path):
    np.savez_compressed(path, w=RNG.random((2, 48, 48)), gt=RNG.random((2, 48, 48)))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(bytes(content))


def single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 48, 48)))


def make_image(path):
    path.write_bytes(b"II*\0 an image")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (pickled_array, "holds pickled objects, which could run code when opened, so it was not opened: save plain numbers"),
        (pickled_file, "holds pickled objects"),
        (without_truth, "holds mask, w, but no gt or o: name the arrays w and gt"),
        (other_number, r"\(2, 48, 48\) blurred and \(3, 48, 48\) sharp images differ"),
        (other_size, r"\(2, 48, 48\) blurred and \(2, 96, 96\) sharp images differ"),
        (volumes, r"w has the shape \(2, 8, 48, 48\): give \(n, y, x\) or \(n, y, x, 1\), single planes"),
        (words, "w holds <U1, not numbers of images"),
        (cut_off, "damaged"),
        (flipped, "damaged"),
        (single_array, r"holds a single array: save two"),
        (make_image, "damaged|pickled"),
    ],
)
def test_files_that_are_no_pairs_are_refused_and_never_run(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.npz")
    with pytest.raises(InputInvalid, match=message):
        read_npz(tmp_path / "a.npz", pair_of)
    assert not Path("opened").exists()


def test_good_files_beside_bad_ones_are_read(tmp_path):
    w, gt = arrays()
    np.savez(tmp_path / "a.npz", w=w, gt=gt)
    without_truth(tmp_path / "b.npz")
    pairs = examine_npz(tmp_path, pair_of)
    assert len(pairs.pairs) == 4
    assert len(pairs.faults) == 1


def test_a_place_without_npz_files_is_refused(tmp_path):
    assert npz_files(tmp_path) == []
    with pytest.raises(InputInvalid, match=r"holds no npz files: give a file, or a folder with train.npz and val.npz"):
        read_npz(tmp_path, pair_of)
    with pytest.raises(InputInvalid, match=r"there is no .*none.npz: check the name. `zooready data` lists the public data sets"):
        read_npz(tmp_path / "none.npz", pair_of)
