"""A small bundle in the zoo's form, exported once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import ABOUT

import zooready
from zooready import Part
from zooready.records import Image

DOCUMENTATION = "\n\n".join(
    f"## {heading}\n\nWords on it." for heading in ("Intended Use", "Validation", "Limitations and biases", "Training data")
)
PEOPLE = replace(
    ABOUT,
    documentation=DOCUMENTATION,
    authors=({"name": "Ada Example", "orcid": "0000-0001-2345-6789"},),
    maintainers=({"github_user": "ada-example"},),
    cite=(("Example et al., 2026", "10.5281/zenodo.1234567"),),
    tags=("nuclei", "2d"),
)
UNET = Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 1, "base": 4, "levels": 2})


@pytest.fixture(scope="session")
def for_zoo(tmp_path_factory):
    """The zip."""
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 4000, (90, 120)).astype(np.uint16)
    path = tmp_path_factory.mktemp("zoo") / "nuclei.zip"
    facts = {"architecture": UNET, "normalization": "percentiles", "torchscript": "plain", "form": "zoo"}
    zooready.export(UNET.build(), Image(array=pixels, axes="yx", pixel_size_um=0.2), PEOPLE, path, **facts)
    return path
