"""``predict`` runs and refuses the same images as the macro in Fiji, by the table of docs/fiji.md."""

import re
from pathlib import Path

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.prediction import predict
from zooready.records import Image

TABLE = (Path(__file__).parents[2] / "docs" / "fiji.md").read_text(encoding="utf-8")
IMAGES = {"a single plane": "yx", "z-stack |": "zyx", "time series |": "tyx", "z-stack over time |": "tzyx"}
NETWORKS = ({"outputs": ("restored",)}, {"outputs": ("scores",)}, {"outputs": ("stack",)}, {"outputs": ("restored",), "axes": "bczyx"})
LENGTHS = {"t": 2, "z": 3, "y": 5, "x": 7}


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("row", IMAGES)
def test_an_image_runs_or_is_refused_as_the_table_says(tiny, row, column):
    (line,) = re.findall(rf"^\| {re.escape(row)}.*$", TABLE, re.MULTILINE)
    refused = line.split("|")[2 + column].strip().startswith("refused")
    axes = IMAGES[row]
    array = np.random.default_rng(0).integers(0, 250, [LENGTHS[axis] for axis in axes]).astype(np.uint16)
    settings = dict(NETWORKS[column])
    bundle = tiny(*settings.pop("outputs"), **settings)
    if refused:
        with pytest.raises(InputInvalid):
            predict(bundle, Image(array=array, axes=axes))
        return
    result = predict(bundle, Image(array=array, axes=axes))
    if column == 1:
        assert len(result.scores["scores"].rows) == array.size // 35
    else:
        found = next(iter(result.images.values())).array
        doubled = array.astype(np.float32) * (2 if column != 2 else 1)
        assert np.array_equal(found, np.repeat(doubled[..., None, :, :], 3, axis=-3) if column == 2 else doubled)
