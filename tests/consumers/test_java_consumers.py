"""java-pytorch and java-onnx: what they object to, what they return, and that images reach them through ImageJ."""

import warnings
import zipfile

import numpy as np
import onnx
import pytest
import tifffile
import torch
from torch import nn

from zooready import java
from zooready.consumers import java_onnx, java_pytorch
from zooready.errors import ConsumerFailed, InputInvalid
from zooready.records import Bundle

CONSUMERS = {"torchscript": java_pytorch, "onnx": java_onnx}


def bundle_of(path, format):
    return Bundle(path=path.with_suffix(".zip"), folder=path.parent, formats={format: path}, outputs=(), cases=(), tolerance={})


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1)).eval()


@pytest.fixture(scope="module")
def bundles(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, torch.rand(1, 2, 8, 8)), folder / "weights.pt")
        free = {"image": {0: "b", 2: "y", 3: "x"}}
        torch.onnx.export(
            network,
            (torch.rand(1, 2, 8, 8),),
            folder / "weights.onnx",
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            dynamic_axes=free,
        )
    return {"torchscript": bundle_of(folder / "weights.pt", "torchscript"), "onnx": bundle_of(folder / "weights.onnx", "onnx")}


@pytest.mark.parametrize("format", CONSUMERS)
def test_good_files_meet_no_objection(format, bundles):
    assert list(CONSUMERS[format].objections(bundles[format], format)) == []
    assert list(CONSUMERS[format].objections(bundles[format], None)) == []


@pytest.mark.java
@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize(("format", "variant"), [("torchscript", None), ("onnx", "1.12.1"), ("onnx", "1.13.1")])
def test_outputs_equal_eager_for_every_variant(format, variant, bundles, network):
    rng = np.random.default_rng(1)
    images = [rng.normal(0, 100, shape).astype(np.float32) for shape in [(1, 2, 31, 17), (1, 2, 1, 1), (2, 2, 5, 6)]]
    chosen = {} if variant is None else {"variant": variant}
    found = CONSUMERS[format].run(bundles[format], format, images, **chosen)
    for image, (output,) in zip(images, found, strict=True):
        expected = network(torch.from_numpy(image)).detach().numpy()
        assert np.abs(output - expected).max() <= 1e-5 * np.ptp(expected) + 1e-6


@pytest.mark.parametrize("format", CONSUMERS)
def test_images_go_through_imagej_and_other_types_become_float32(format, bundles, monkeypatch):
    asked = {}

    def run(engine, weights, inputs, **options):
        asked.update(options, engine=engine, dtypes=[str(array.dtype) for array in inputs])
        return java.JavaResult(outputs=(), seconds=(), versions={})

    monkeypatch.setattr("zooready.java.run", run)
    CONSUMERS[format].run(bundles[format], format, [np.zeros((1, 2, 4, 4), np.uint8)])
    assert asked["through_imagej"] is True
    assert asked["dtypes"] == ["float32"]
    assert asked["engine"] == {"torchscript": "pytorch", "onnx": "onnx-1.13.1"}[format]


def test_an_unknown_variant_is_refused(bundles):
    with pytest.raises(InputInvalid, match=r"variant '1.14' of java-onnx is not known: use one of 1.12.1, 1.13.1"):
        java_onnx.run(bundles["onnx"], "onnx", [], variant="1.14")


def test_what_java_onnx_would_refuse_at_load_is_known_before(bundles, tmp_path):
    model = onnx.load(bundles["onnx"].formats["onnx"])
    model.opset_import[0].version, model.ir_version = 18, 9
    onnx.save(model, tmp_path / "weights.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    found = "\n".join(java_onnx.objections(bundle_of(tmp_path / "weights.onnx", "onnx"), "onnx"))
    assert "weights.onnx has opset 18" in found
    assert "weights.onnx has IR 9" in found
    assert "weights.onnx keeps tensors outside itself (weights.bin)" in found


@pytest.mark.java
@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("variant", java_onnx.VARIANTS)
@pytest.mark.parametrize(("opset", "ir"), [(18, 8), (17, 9)])
def test_the_objections_are_true(opset, ir, variant, bundles, tmp_path):
    model = onnx.load(bundles["onnx"].formats["onnx"])
    model.opset_import[0].version, model.ir_version = opset, ir
    onnx.save(model, tmp_path / "weights.onnx")
    with pytest.raises(ConsumerFailed, match="at the loading of weights.onnx"):
        java_onnx.run(bundle_of(tmp_path / "weights.onnx", "onnx"), "onnx", [np.zeros((1, 2, 4, 4), np.float32)], variant=variant)


def test_torchscript_that_is_more_than_arithmetic_is_not_run(tmp_path):
    class Reads(nn.Module):
        def forward(self, image):
            return image + torch.from_file("secret", size=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Reads()), tmp_path / "weights.pt")
    assert zipfile.is_zipfile(tmp_path / "weights.pt")
    (objection,) = java_pytorch.objections(bundle_of(tmp_path / "weights.pt", "torchscript"), "torchscript")
    assert objection.startswith("weights.pt is not run. It uses what is on no list of operators that only compute: aten::from_file. ")


@pytest.mark.parametrize("consumer", CONSUMERS.values(), ids=lambda consumer: consumer.NAME)
def test_missing_engines_are_told_with_the_cure(consumer, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path))
    assert f"no Java engines in {tmp_path / 'java'}: run `zooready engines install`" in consumer.missing()


def test_versions_name_what_runs():
    assert java_pytorch.versions() == {"pytorch": "2.0.0", "djl": "0.22.1", "imagej": "1.54p"}
    assert java_onnx.versions() == {"onnxruntime": "1.12.1, 1.13.1", "imagej": "1.54p"}


def test_the_level_is_engine():
    assert java_pytorch.LEVEL == java_onnx.LEVEL == "engine"
    assert (java_pytorch.READS, java_onnx.READS) == (("torchscript",), ("onnx",))


@pytest.mark.java
@pytest.mark.usefixtures("engines")
def test_a_file_of_a_person_is_opened_by_imagej_itself(bundles, network, tmp_path):
    """Eight bits, as no file of ours is: what ImageJ reads of it must be what eager PyTorch gets."""
    pixels = np.random.default_rng(3).integers(0, 256, (2, 9, 14), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "Zellen 1.tif", pixels, imagej=True, metadata={"axes": "CYX"})
    array = pixels[None].astype(np.float32)
    outputs = java_pytorch.run(bundles["torchscript"], "torchscript", [array, tmp_path / "Zellen 1.tif"])
    with torch.no_grad():
        expected = network(torch.from_numpy(array)).numpy()
    for (output,) in outputs:
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * float(np.ptp(expected)))
