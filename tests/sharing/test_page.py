"""The page that runs a bundle in a browser: what is inside it, and, where Chromium or Firefox is, what it shows and computes."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
import tifffile
from broken import BROKEN
from browser import CHROMIUM, browser
from firefox import FIREFOX, firefox
from foreign import Draft, axis, eager, good, make_image, network, npy
from onnx import TensorProto, helper, numpy_helper

from zooready.bundle.reading import opened
from zooready.cli import main
from zooready.errors import BundleInvalid, ConsumerMissing, InputInvalid
from zooready.images.files import read_image
from zooready.sharing.browser_page import write_page
from zooready.wasm import runtime


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A cache with files of the runtime's names."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ZOOREADY_CACHE", str(cache))
    (cache / "browser").mkdir(parents=True)
    for package in runtime.PACKAGES:
        for name in package.files.values():
            (cache / "browser" / name).write_text(f"/* {name} </script> <!-- */")
    return cache / "browser"


def page_of(draft, tmp_path):
    with opened(draft.write(tmp_path / "tiny.zip")) as bundle:
        return write_page(bundle, tmp_path / "model.html").read_text(encoding="utf-8")


def show(page, draft, tmp_path, *, figures):
    """Open the page of a bundle, and wait for the figures of its sample."""
    page_of(draft, tmp_path)
    page.open(tmp_path / "model.html")
    page.wait(f"document.querySelectorAll('figure').length === {figures}")


def test_the_page_holds_everything_and_may_connect_to_nothing(fetched, tmp_path):
    draft = good()
    draft.rdf |= {"name": "tiny <b>network</b> </script>", "description": "<script>alert(1)</script> <!--script-->"}
    page = page_of(draft, tmp_path)
    assert page == page_of(draft, tmp_path), "equal bundles are equal bytes"
    assert "default-src 'none'" in page
    assert "connect-src blob:;" in page
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
    assert "<b>network" not in page
    assert "alert(1)</script>" not in page
    assert page.count("<script") == page.count("</script>") == 1 + 5 + 2 + 2
    names = set(re.findall(r'id="blob-(\w+)"', page))
    assert names == {"network", "sample", "ort", "module", "wasm"}
    assert "tiny network" in page, "the README"
    assert "BSD-3-Clause" in page
    assert "onnxruntime-web 1.30.0: MIT" in page
    assert "this permission notice shall be included in all copies" in page


@pytest.mark.parametrize(("stated", "told"), [({"blur_px": [8.3, 10.2]}, [8.3, 10.2]), ({}, None)], ids=["blur", "none"])
def test_the_page_is_told_which_blur_its_network_knows(fetched, tmp_path, stated, told):
    draft = good()
    draft.rdf["config"] = {"zooready": stated}
    facts = re.search(r'<script[^>]*id="facts"[^>]*>(.*?)</script>', page_of(draft, tmp_path), re.DOTALL)[1]
    assert json.loads(facts)["blur_px"] == told


def test_without_the_runtime_the_cure_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOOREADY_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ConsumerMissing, match=r"\(ort.js, ort.mjs, ort.wasm, utif.js, pako.js\): run `zooready engines install --browser`"):
        page_of(good(), tmp_path)
    assert main(["engines", "verify", "--browser"]) == 3
    assert "engines install --browser" in capsys.readouterr().err


def test_what_a_page_cannot_run_is_refused(fetched, tmp_path):
    without = good()
    del without.rdf["weights"]["onnx"]
    with pytest.raises(BundleInvalid, match="has no ONNX weights, which are what a browser runs"):
        page_of(without, tmp_path)
    outside = good()
    outside.rdf["outputs"][0]["postprocessing"] = [{"id": "sigmoid"}]
    with pytest.raises(BundleInvalid, match="asks for sigmoid outside its network.*make one with zooready adopt first"):
        page_of(outside, tmp_path)
    torn = good()
    torn.files["weights.onnx"] = torn.files["weights.onnx"][:-300]
    with pytest.raises(BundleInvalid, match="weights.onnx is no readable ONNX file"):
        page_of(torn, tmp_path)
    parted = good()
    BROKEN["external_data"].change(parted)
    with pytest.raises(BundleInvalid, match=r"keeps tensors outside itself \(weights.onnx.data\)"):
        page_of(parted, tmp_path)
    assert not (tmp_path / "model.html").exists()
    with opened(good().write(tmp_path / "tiny.zip")) as bundle, pytest.raises(InputInvalid, match="a page is one HTML file"):
        write_page(bundle, tmp_path / "model.txt")


def npm(folder, monkeypatch, script):
    """An npm that does what the script says."""
    (folder / "bin").mkdir()
    (folder / "bin" / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("ZOOREADY_CACHE", str(folder / "cache"))


def test_a_package_that_is_not_the_known_one_is_not_kept(tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, "echo other > onnxruntime-web-1.30.0.tgz")
    with pytest.raises(ConsumerMissing, match=r"onnxruntime-web-1.30.0.tgz arrived with SHA-256 \w{64}, expected d2228df7"):
        runtime.install(lambda line: None)
    assert runtime.missing() is not None


def test_an_npm_that_fails_or_is_missing_is_said(tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, "echo no such host >&2; exit 1")
    with pytest.raises(ConsumerMissing, match=r"npm could not fetch onnxruntime-web 1.30.0 \(no such host\)"):
        runtime.install(lambda line: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConsumerMissing, match="npm is not here, which fetches onnxruntime-web: install Node.js"):
        runtime.install(lambda line: None)


needs_browser = pytest.mark.skipif(
    runtime.missing() is not None, reason="needs what zooready engines install --browser fetches, and Chromium or Firefox"
)
KEEP = "(() => { const old = show; window.show = (...given) => { window.kept = given; return old(...given); }; window.kept = null; })()"
BASE64 = "((bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join('')))"


def counted() -> Draft:
    """Labels (1 where the image is above 100) and two scores (largest value, and twice that)."""
    draft = good()
    nodes = [
        helper.make_node("Greater", ["image", "hundred"], ["over"]),
        helper.make_node("Cast", ["over"], ["labels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["image"], ["highest"], axes=[2, 3], keepdims=0),
        helper.make_node("Concat", ["highest", "highest"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "ratio"], ["scores"]),
    ]
    stored = [numpy_helper.from_array(np.float32(100), "hundred"), numpy_helper.from_array(np.float32([1, 2]), "ratio")]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 1, "y", "x"])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("labels", "scores")]
    graph = helper.make_graph(nodes, "counted", [image], results, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    draft.files["weights.onnx"] = model.SerializeToString()
    draft.rdf["weights"] = {"onnx": draft.rdf["weights"]["onnx"]}
    sizes = {name: {"tensor_id": "image", "axis_id": name} for name in "yx"}
    labels = [axis("b"), axis("c", channel_names=["label"]), *(axis(name, size=size) for name, size in sizes.items())]
    scores = [axis("b"), axis("c", channel_names=["healthy", "sick"])]
    draft.rdf["outputs"] = [
        {"id": name, "axes": axes, "data": {"type": "float32"}, "test_tensor": {"source": f"test_{name}.npy"}}
        for name, axes in (("labels", labels), ("scores", scores))
    ]
    draft.files |= {"test_labels.npy": npy(np.ones((1, 1, 16, 20), np.float32)), "test_scores.npy": npy(np.ones((1, 2), np.float32))}
    draft.rdf["config"] = {"zooready": {"outputs": [{"id": "labels", "kind": "labels"}, {"id": "scores", "kind": "scores"}]}}
    return draft


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def page(request):
    found, start = {"chromium": (CHROMIUM, browser), "firefox": (FIREFOX, firefox)}[request.param]
    if found is None:
        pytest.skip(f"{request.param} is not here: install it (Debian: apt install chromium firefox-esr)")
    with start() as opened_page:
        yield opened_page


def wait_for_result(page):
    page.wait("window.kept && document.getElementById('progress').hidden")


@needs_browser
@pytest.mark.slow
def test_a_browser_computes_the_numbers_of_the_network_and_asks_nobody(page, tmp_path):
    page_of(good(), tmp_path)
    page.open(tmp_path / "model.html", 375, 800, dark=True)
    page.wait("document.querySelectorAll('figure').length === 2")
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth && window.innerWidth <= 500")  # no Firefox is narrower
    page.value(KEEP)
    image = make_image("odd")[0, 0]
    tifffile.imwrite(tmp_path / "image.tif", image, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    page.choose("#file", tmp_path / "image.tif")
    wait_for_result(page)
    output = np.array(page.value("Array.from(window.kept[2][0].data)"), np.float32).reshape(1, 2, *image.shape)
    assert np.abs(output - eager(network(), image[None, None])).max() < 1e-6
    saved = base64.b64decode(page.value(f"{BASE64}(tiff(Float32Array.from(window.kept[2][0].data), window.kept[2][0].shape))"))
    with tifffile.TiffFile(BytesIO(saved)) as file:
        assert np.array_equal(file.asarray(), output[0])
        assert (file.imagej_metadata["channels"], file.imagej_metadata["unit"]) == (2, "micron")
        assert file.pages[0].tags["XResolution"].value == (4000000, 1000000)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "blob:"))] == []


def volumes() -> Draft:
    """Twice the stack."""
    draft = good()
    image, double = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 1, "z", "y", "x"]) for name in ("image", "double"))
    two = numpy_helper.from_array(np.float32(2), "two")
    graph = helper.make_graph([helper.make_node("Mul", ["image", "two"], ["double"])], "twice", [image], [double], [two])
    draft.files["weights.onnx"] = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    draft.rdf["weights"] = {"onnx": draft.rdf["weights"]["onnx"]}
    space = [axis(name, size={"min": 1, "step": 1}) for name in "zyx"]
    same = [axis(name, size={"tensor_id": "image", "axis_id": name}) for name in "zyx"]
    for tensor, axes, name in ((draft.rdf["inputs"][0], space, "image"), (draft.rdf["outputs"][0], same, "double")):
        tensor |= {"id": name, "axes": [axis("b"), axis("c", channel_names=["intensity"]), *axes], "test_tensor": {"source": f"{name}.npy"}}
    draft.rdf["outputs"] = draft.rdf["outputs"][:1]
    stack = np.ones((1, 1, 2, 8, 8), np.float32)
    draft.files |= {"image.npy": npy(stack), "double.npy": npy(2 * stack)}
    draft.rdf["config"] = {"zooready": {"outputs": [{"id": "double", "kind": "image"}], "z_um": 0.7}}
    return draft


@needs_browser
@pytest.mark.slow
def test_a_network_of_stacks_is_given_the_stack_of_one_channel_and_time(page, tmp_path):
    """Before, every plane of the file was a slice, whatever it stated, and a spacing in nanometres became micrometres."""
    show(page, volumes(), tmp_path, figures=2)
    page.value(KEEP)
    stack = np.random.default_rng(0).integers(0, 999, (2, 3, 2, 9, 8)).astype(np.uint16)  # t, z, c, y, x
    ome = {"axes": "TZCYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "\u00b5m", "PhysicalSizeZ": 300.0, "PhysicalSizeZUnit": "nm"}
    imagej = {"axes": "TZCYX", "unit": "nm", "spacing": 300.0}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=ome, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", stack, imagej=True, metadata=imagej, resolution=(0.01, 0.01))
    tifffile.imwrite(tmp_path / "c.tif", stack, imagej=True, metadata={"axes": "TZCYX", "unit": "pixel", "zunit": "um", "spacing": 0.3})
    for name in ("a.ome.tif", "b.tif", "c.tif"):
        page.value("window.kept = null")
        page.choose("#file", tmp_path / name)
        wait_for_result(page)
        page.value("window.kept = null, document.getElementById('channel').value = 1, document.getElementById('plane').value = 2, run()")
        wait_for_result(page)
        saved = base64.b64decode(page.value(f"{BASE64}(tiff(Float32Array.from(window.kept[2][0].data), window.kept[2][0].shape))"))
        (tmp_path / "saved.tif").write_bytes(saved)
        image = read_image(tmp_path / "saved.tif")
        assert np.array_equal(image.array, 2.0 * stack[1, :, 1]), name
        assert (image.axes, image.z_um) == ("zyx", pytest.approx(0.3)), name
        assert image.pixel_size_um == (None if name == "c.tif" else pytest.approx(0.1)), name
    assert page.errors == []
    for axes, words in (("TYX", "exchange slices and frames"), ("CYX", "is a single plane")):
        tifffile.imwrite(tmp_path / "d.tif", stack[0, :, 0], imagej=True, metadata={"axes": axes})
        page.choose("#file", tmp_path / "d.tif")
        page.wait(f"document.getElementById('status').textContent.includes({words!r})", 20)


@needs_browser
@pytest.mark.slow
def test_labels_are_counted_scores_are_bars_and_a_stack_is_run_by_planes(page, tmp_path):
    show(page, counted(), tmp_path, figures=3)
    page.value(KEEP)
    stack = np.zeros((5, 12, 17), np.uint16)
    stack[2, 3:5, 4:9] = 40000
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "ZYX"}, compression=None)
    page.choose("#file", tmp_path / "stack.tif")
    wait_for_result(page)
    assert page.value("Array.from(document.querySelectorAll('h2'), (one) => one.textContent)") == ["image", "labels: 1 object", "scores"]
    assert page.value("Array.from(document.querySelectorAll('.bars b'), (one) => one.textContent)") == ["healthy", "sick"]
    assert page.value("Array.from(window.kept[2][1].data)") == [40000, 80000]
    objects = page.value("measured(window.kept[2][0].data, 17, 12)")
    assert [(one["label"], one["pixels"]) for one in objects] == [(1, 10)]
    page.value("window.kept = null, document.getElementById('plane').value = 1, run()")
    wait_for_result(page)
    assert page.value("document.querySelectorAll('h2')[1].textContent") == "labels: 0 objects"


@needs_browser
@pytest.mark.slow
def test_what_cannot_be_used_is_said_in_words(page, tmp_path):
    show(page, good(), tmp_path, figures=2)
    tifffile.imwrite(tmp_path / "large.tif", np.zeros((2100, 2100), np.uint8))
    (tmp_path / "text.tif").write_text("no image")
    for name, words in (("large.tif", "too large for a browser (2100 × 2100): crop it to 2048 × 2048"), ("text.tif", "cannot be used")):
        page.choose("#file", tmp_path / name)
        page.wait(f"document.getElementById('status').textContent.includes({words!r})", 20)
        assert page.value("document.getElementById('status').classList.contains('bad')")


@needs_browser
@pytest.mark.slow
def test_a_restored_image_has_its_input_under_a_slider(page, tmp_path):
    draft = good()
    draft.rdf["config"]["zooready"]["restores"] = True
    show(page, draft, tmp_path, figures=2)
    assert page.value("document.querySelectorAll('canvas.before').length") == 1
    data = "Array.from({}.getContext('2d').getImageData(0, 0, 9, 9).data)"
    shown, over = (page.value(data.format(f"document.querySelector('{name}')")) for name in ("figure canvas", "canvas.before"))
    assert over == shown  # the input as its own figure shows it
    for share, clips in ((0, ["inset(0px 100% 0px 0px)"]), (100, ["inset(0px)", "inset(0px 0% 0px 0px)"])):
        page.value(f"[...document.querySelectorAll('label')].find((one) => one.textContent.includes('Input over')).control.value = {share}")
        page.value("[...document.querySelectorAll('label')].find((one) => one.textContent.includes('Input over')).control.oninput()")
        assert page.value("getComputedStyle(document.querySelector('canvas.before')).clipPath") in clips
