"""The source that travels with a state dict, and the environment that runs it."""

import ast
import sys

import pytest
import torch

from zooready.bundle.describing import BUILDER
from zooready.errors import InputInvalid
from zooready.exporting import architecture
from zooready.families import FAMILIES, shipped
from zooready.nets.labelling import Instances
from zooready.nets.wrapping import FijiSafe
from zooready.records import Part

UNET = Part(path="zooready.nets.unet.UNet", kwargs={"channels_in": 1, "channels_out": 2, "base": 4, "levels": 2})
PERCENTILES = Part(path="zooready.nets.normalization.Percentiles", kwargs={"low": 2.0, "high": 98.0})
EXTRA = Part(path="torch.nn.Softmax", kwargs={"dim": 1})


def built(text):
    namespace = {"__name__": "architecture"}
    exec(compile(text, "architecture.py", "exec"), namespace)
    return namespace[BUILDER]()


def wrapped(*parts, **settings):
    return FijiSafe(*(part.build() if part else None for part in parts), **settings).eval()


@pytest.mark.parametrize("parts", [(UNET, PERCENTILES, EXTRA), (UNET, PERCENTILES, None), (UNET, None, None)])
def test_the_source_builds_the_same_network(parts):
    safe = wrapped(*parts, stride=2, minimum=4)
    again = built(architecture.source("Some name", parts, safe)).eval()
    again.load_state_dict(safe.state_dict())
    image = torch.rand(2, 1, 7, 9)
    with torch.no_grad():
        assert torch.equal(again(image), safe(image))


@pytest.mark.parametrize("settings", [{"stride": 4, "minimum": 8}, {"restores": True}, {"keep": (0,)}, {"stride": 0, "minimum": 0}])
def test_every_setting_of_the_wrapper_is_written(settings):
    safe = wrapped(UNET, PERCENTILES, None, **settings)
    again = built(architecture.source("Some name", (UNET, PERCENTILES, None), safe))
    assert all(getattr(again, name) == value for name, value in settings.items())
    assert again.axes == safe.axes


def test_the_source_says_what_it_is_and_imports_nothing_of_ours():
    text = architecture.source("Some name", (UNET, PERCENTILES, None), wrapped(UNET, PERCENTILES, None))
    assert text.startswith('"""Architecture of Some name: build() returns')
    assert "zooready" not in "".join(line for line in text.splitlines() if "import" in line)
    assert "May import" not in text
    assert text.count("from __future__") == 1


@pytest.mark.parametrize("family", shipped())
def test_the_source_of_every_shipped_network_imports_pytorch_alone(family):
    network = FAMILIES[family].network
    parts = (network.architecture, network.normalization, network.head)
    tree = ast.parse(architecture.source("Some name", parts, wrapped(*parts)))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in imported} <= {"torch", *sys.stdlib_module_names}


def test_none_stays_none():
    part = Part(path="torch.nn.Upsample", kwargs={"size": None, "scale_factor": 1})
    assert "size=None" in architecture.source("Some name", (part, None, None), wrapped(part))


def test_an_argument_that_is_no_plain_value_is_refused():
    part = Part(path="torch.nn.Conv2d", kwargs={"in_channels": 1, "out_channels": 1, "kernel_size": 1, "dtype": torch.float32})
    with pytest.raises(InputInvalid, match=r"argument dtype=torch\.float32 of 'torch\.nn\.Conv2d' is no plain value: give num"):
        architecture.source("Some name", (part, None, None), wrapped(part))


def test_the_environment_names_pytorch_and_foreign_packages_with_versions():
    text = architecture.environment((UNET, PERCENTILES, EXTRA), "2.15.0")
    assert "- pytorch ==2.15.0" in text
    assert "pip" not in text
    text = architecture.environment((Part(path="scipy.ndimage.Nothing"), None, Part(path="torch.nn.ReLU")), "2.15.0")
    assert "- pip:\n  - scipy==" in text


def test_a_class_that_nobody_can_import_is_refused():
    with pytest.raises(InputInvalid, match=r"'my_script\.Net' is in no installed package, so nobody else can import it: install it"):
        architecture.environment((Part(path="my_script.Net"), None, None), "2.15.0")


def test_a_head_of_ours_travels_as_source():
    head = Part(path=f"{Instances.__module__}.{Instances.__name__}")
    text = architecture.source("Some name", (UNET, PERCENTILES, head), wrapped(UNET, PERCENTILES, None))
    assert f"class {Instances.__name__}" in text
    assert f"head = {Instances.__name__}()" in text
