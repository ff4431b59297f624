"""Which weights JDLL, the library inside DeepImageJ, takes from a bundle that holds several.

JDLL 0.6 keeps weights in a Java HashMap under ``<format>_v<version>``, and runs the first whose engine is installed. That order
depends on the hash of the names, not on ``rdf.yaml``, and there is no fall-back when the first one fails.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

FORMATS = ("torchscript", "onnx", "tensorflow_saved_model_bundle")  # state dicts have no engine in Java, so JDLL passes them over
BUCKETS = 16  # a HashMap's table until it holds more than twelve names
TIE = "tie"


def picks(versions: Mapping[str, object]) -> str | None:
    """The weights that JDLL takes first.

    Parameters
    ----------
    versions
        What the description states for each kind of weights inside, by its key: pytorch_version, opset_version, tensorflow_version;
        None where it states nothing.

    Returns
    -------
    str or None
        ``"torchscript"``, ``"onnx"``, ``"tensorflow_saved_model_bundle"``; ``"tie"`` when two names share a bucket, so that the
        order of the YAML decides; None when nothing inside has an engine in Java.

    Examples
    --------
    >>> picks({"torchscript": "2.0.0", "onnx": 17})
    'torchscript'
    >>> picks({"torchscript": "2.8.0", "onnx": 17})
    'onnx'
    """
    buckets = {format: bucket(_name(format, versions[format])) for format in FORMATS if format in versions}
    if not buckets:
        return None
    first = [format for format, number in buckets.items() if number == min(buckets.values())]
    return first[0] if len(first) == 1 else TIE


def bucket(name: str) -> int:
    """Index of a name in a HashMap's table of 16: the order in which Java walks through it.

    >>> bucket("onnx_v17")
    10
    """
    code = 0
    for (unit,) in struct.iter_unpack("<H", name.encode("utf-16-le")):
        code = (31 * code + unit) & 0xFFFFFFFF
    return (code ^ code >> 16) & (BUCKETS - 1)


def _name(format: str, version: object) -> str:
    """JDLL's name of these weights: local suffixes such as ``+cu121`` are cut off, and 1.13.1 stands in for no version of PyTorch."""
    if version is None:
        return f"{format}_v{'1.13.1' if format == 'torchscript' else 'Unknown0'}"
    return f"{format}_v{str(version).split('+')[0].split('cu')[0].strip()}"
