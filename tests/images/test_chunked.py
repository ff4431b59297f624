"""Pixels in chunks are those of an array, and only what is looked at is unpacked."""

import numpy as np
import pytest

from zooready.images import mapped
from zooready.images.chunked import Chunked

ARRAY = np.random.default_rng(0).integers(0, 60000, (2, 3, 1, 31, 47), dtype=np.uint16)


class Store:
    """An array that remembers what was read of it."""

    def __init__(self, array, chunks):
        self.array, self.regions = array, []
        seen, order = tuple((0, length) for length in array.shape), tuple(range(array.ndim))
        self.chunked = Chunked(read=self.read, dtype=array.dtype, chunks=chunks, seen=seen, order=order)

    def read(self, region):
        self.regions.append(region)
        return self.array[region]


@pytest.fixture
def store():
    return Store(ARRAY, (1, 1, 1, 16, 8))


@pytest.mark.parametrize(
    "key",
    [
        (), ..., None, 1, -1, np.int64(1), slice(1, None), slice(5, 2), (0, slice(None), 0), (..., None), (None, ..., 3),
        (..., slice(3, 20), slice(-7, None)),
        (1, 2, 0, 30, 46), (slice(0, 1), ..., slice(2, 9)), (..., slice(None, None, 2)), (..., [3, 1]), ARRAY > 50000,
    ],
    ids=lambda key: str(key)[:30],
)  # fmt: skip
def test_any_part_is_that_of_the_array(store, key):
    part, expected = store.chunked[key], ARRAY[key]
    assert (part.shape, part.ndim, part.size, part.nbytes) == (expected.shape, expected.ndim, expected.size, expected.nbytes)
    np.testing.assert_array_equal(np.asarray(part), expected)


def test_parts_of_parts_in_another_order_are_those_of_the_array(store):
    found, expected = (
        np.moveaxis(array.squeeze((2,)).transpose([1, 0, 3, 2])[1:, ..., 4:30], -1, 0)[3:, 1, 0, None][..., 2:5]
        for array in (store.chunked, ARRAY)
    )
    assert not store.regions
    assert (found.shape, len(found), found.itemsize) == (expected.shape, len(expected), 2)
    np.testing.assert_array_equal(np.asarray(found, np.float32), expected)
    assert store.regions == [(slice(0, 1), slice(2, 3), slice(0, 1), slice(7, 30), slice(2, 5))]


def test_parts_along_the_first_axis_follow_one_another(store):
    assert [np.asarray(part).tolist() for part in store.chunked[0, :, 0]] == ARRAY[0, :, 0].tolist()
    with pytest.raises(IndexError, match="index 2 is out of bounds for an axis of length 2"):
        store.chunked[2]
    with pytest.raises(ValueError, match="always copied"):
        np.array(store.chunked, copy=False)


@pytest.mark.parametrize("most", [1, 100, 300, 2000, 10**6])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[:, 1, None, 0, 5:, 9:40]])
def test_blocks_are_whole_chunks_that_cover_the_array_once(store, monkeypatch, most, part):
    monkeypatch.setattr(mapped, "BLOCK", most)
    seen, count = np.zeros(ARRAY[part].shape, int), 0
    for block in mapped.blocks(store.chunked[part]):
        seen[block] += 1
        count += 1
        assert seen[block].size <= max(most, 16 * 8)
        np.testing.assert_array_equal(store.chunked[part][block], ARRAY[part][block])
    assert (seen == 1).all()
    chunks = 2 * 2 * 6 if seen.ndim == 5 else 2 * 2 * 4
    assert count == {5: chunks * 3, 4: chunks}[ARRAY[part].ndim] if most == 1 else count
    for region in store.regions:
        assert all(ends.start in (0, 5) or ends.start % 16 == 0 for ends in region[3:4])
