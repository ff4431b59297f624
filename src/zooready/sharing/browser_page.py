"""One HTML file that runs a bundle in a browser, offline: the network, its runtime, a sample, the README and the licence are inside.

The page may connect to nothing: its own policy forbids it, so that no image can leave the visitor's machine.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from zooready.bundle.specs import input_spec, output_specs
from zooready.consumers.onnx_rules import one_file, onnx_objections
from zooready.errors import BundleInvalid, ConsumerMissing, InputInvalid
from zooready.images.files import write_image
from zooready.images.whole_files import whole_file
from zooready.processes import scratch
from zooready.records import Bundle, Image
from zooready.tensors import TensorSpec
from zooready.wasm import runtime

LARGEST = 2048 * 2048  # pixels of all channels and planes of an input: more needs more memory than a tab reliably has


def write_page(bundle: Bundle, path: Path | str) -> Path:
    """Write the page; the file is complete or not written at all.

    Parameters
    ----------
    bundle
        An opened bundle with ONNX weights and nothing outside its network.
    path
        Target, ``.html``.

    Raises
    ------
    BundleInvalid
        It has no ONNX weights or such as cannot be read, several inputs, or steps outside the network.
    ConsumerMissing
        The runtime was not fetched yet.
    InputInvalid
        The file cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".html", ".htm"):
        raise InputInvalid(f"out={str(path)!r}: a page is one HTML file, so let its name end in .html.")
    if "onnx" not in bundle.formats:
        raise BundleInvalid(
            f"{bundle.path.name} has no ONNX weights, which are what a browser runs: export it with onnx among its formats."
        )
    if faults := list(onnx_objections(bundle.formats["onnx"], (one_file,))):
        raise BundleInvalid(f"A page would not run {bundle.path.name}: {' '.join(faults)}")
    try:
        input, outputs = input_spec(bundle), output_specs(bundle)
    except BundleInvalid as error:
        raise BundleInvalid(f"{error} For a bundle of somebody else's, make one with zooready adopt first.") from None
    if why := runtime.missing():
        raise ConsumerMissing(why)
    parts = {
        "title": escape(bundle.name or bundle.path.stem),
        "style": _text("page.css"),
        "facts": json.dumps(_facts(bundle, input, outputs)).replace("<", "\\u003c"),
        "blobs": "\n".join(_blobs(bundle)),
        "libraries": "".join(
            f"<script>{_script((runtime.folder() / name).read_text('utf-8'))}</script>\n" for name in ("pako.js", "utif.js")
        ),
        "worker": _script(_text("worker.js")),
        "script": _script(_text("page.js")),
    }
    page = _text("page.html")
    for name, content in parts.items():
        page = page.replace(f"<!--{name}-->", content)
    with whole_file(target) as file:
        file.write(page.encode())
    return target


def _text(name: str) -> str:
    return resources.files("zooready.sharing").joinpath(f"web/{name}").read_text(encoding="utf-8")


def _script(text: str) -> str:
    """JavaScript that can stand inside a script element."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _blobs(bundle: Bundle) -> Iterator[str]:
    """Each embedded file as a script element that no browser runs: base64 of gzip."""
    files = {"network": bundle.formats["onnx"].read_bytes(), "sample": _sample(bundle)}
    files |= {name: (runtime.folder() / f"ort.{end}").read_bytes() for name, end in (("ort", "js"), ("module", "mjs"), ("wasm", "wasm"))}
    for name, content in files.items():
        packed = base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
        yield f'<script type="application/octet-stream" id="blob-{name}">{packed}</script>'


def _sample(bundle: Bundle) -> bytes:
    """The sample image as a TIFF; the test input where there is none."""
    named = bundle.folder / bundle.inputs[0].sample if bundle.inputs[0].sample else None
    if named and named.suffix.lower() in (".tif", ".tiff") and named.is_file():
        return named.read_bytes()
    if not bundle.cases:
        raise BundleInvalid(f"{bundle.path.name} has neither a sample nor a test input, which the page shows first. Export it again.")
    axes = bundle.inputs[0].axes
    with scratch() as folder:
        image = Image(array=bundle.cases[0].input[0], axes=axes.replace("b", ""))
        write_image(image, folder / "sample.tif")
        return (folder / "sample.tif").read_bytes()


def _facts(bundle: Bundle, input: TensorSpec, outputs: tuple[TensorSpec, ...]) -> dict[str, Any]:
    """What the page's script reads."""
    readme = bundle.folder / "README.md"
    notices = [f"{package.name} {package.version}: {package.license}" for package in runtime.PACKAGES]
    return {
        "name": bundle.name or bundle.path.stem,
        "description": str(bundle.texts.get("description", "")),
        "license": str(bundle.texts.get("license", "not stated")),
        "authors": [str(author.get("name", "")) for author in _listed(bundle.credits.get("authors")) if isinstance(author, dict)],
        "readme": readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else "",
        "notices": notices,
        "licenses": _text("licenses.txt"),
        "pixel_size_um": bundle.pixel_size_um,
        "blur_px": bundle.blur.trained_px if bundle.blur else None,
        "restores": bundle.restores,
        "z_um": bundle.plane_distance_um,
        "largest": LARGEST,
        "input": _spec(input),
        "outputs": [_spec(spec) for spec in outputs],
    }


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "axes": spec.axes, "channels": spec.channels, "kind": spec.kind, "sizes": dict(spec.sizes)}
