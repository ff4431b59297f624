"""Which weights JDLL, the library inside DeepImageJ, takes from a bundle that holds several.

JDLL 0.6 keeps weights in a Java HashMap under ``<format>_v<version>``, and runs the first whose engine is installed. That order
depends on the hash of the names, not on ``rdf.yaml``, and there is no fall-back when the first one fails.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

VERSION_KEYS = {  # state dicts have no engine in Java, so JDLL passes them over
    "torchscript": "pytorch_version",
    "onnx": "opset_version",
    "tensorflow_saved_model_bundle": "tensorflow_version",
}
BUCKETS = 16  # a HashMap's table until it holds more than twelve names
TIE = "tie"


def picks(rdf: Mapping[str, Any]) -> str | None:
    """The weights that JDLL takes first.

    Parameters
    ----------
    rdf
        The parsed description, spec 0.4 or 0.5.

    Returns
    -------
    str or None
        ``"torchscript"``, ``"onnx"``, ``"tensorflow_saved_model_bundle"``; ``"tie"`` when two names share a bucket, so that the
        order of the YAML decides; None when nothing inside has an engine in Java.

    Examples
    --------
    >>> picks({"weights": {"torchscript": {"pytorch_version": "2.0.0"}, "onnx": {"opset_version": 17}}})
    'torchscript'
    >>> picks({"weights": {"torchscript": {"pytorch_version": "2.8.0"}, "onnx": {"opset_version": 17}}})
    'onnx'
    """
    weights = rdf.get("weights") or {}
    buckets = {format: bucket(_name(format, weights[format])) for format in VERSION_KEYS if isinstance(weights.get(format), Mapping)}
    if not buckets:
        return None
    first = [format for format, place in buckets.items() if place == min(buckets.values())]
    return first[0] if len(first) == 1 else TIE


def bucket(name: str) -> int:
    """Place of a name in a HashMap's table of 16: the order in which Java walks through it.

    >>> bucket("onnx_v17")
    10
    """
    code = 0
    for (unit,) in struct.iter_unpack("<H", name.encode("utf-16-le")):
        code = (31 * code + unit) & 0xFFFFFFFF
    return (code ^ code >> 16) & (BUCKETS - 1)


def _name(format: str, entry: Mapping[str, Any]) -> str:
    """JDLL's name of these weights: local suffixes such as ``+cu121`` are cut off, and 1.13.1 stands in for no version of PyTorch."""
    version = entry.get(VERSION_KEYS[format])
    if version is None:
        return f"{format}_v{'1.13.1' if format == 'torchscript' else 'Unknown0'}"
    return f"{format}_v{str(version).split('+')[0].split('cu')[0].strip()}"
