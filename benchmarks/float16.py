"""What float16 weights save and change, for every bundle of a folder: the ONNX file, and its outputs beside the float32 network's.

    python benchmarks/float16.py [export/bundles]

prints the table and keeps it in benchmarks/float16.json. Images are those of the bundle and one that is larger: its test image repeated
to 512 x 512 px, of networks for stacks 16 x 128 x 128 voxels, to which the float32 ONNX file gives the expected outputs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from zooready.bundle.reading import opened
from zooready.exporting import halves
from zooready.formats import onnx
from zooready.images.whole_files import whole_file
from zooready.records import Array, Case

RESULT = Path(__file__).with_suffix(".json")
SIZES = {4: (512, 512), 5: (16, 128, 128)}  # by the axes of the input
MB = 1e6


def repeated(image: Array) -> Array:
    """An image, (b, c, ...), repeated to a larger one of the sizes above."""
    lengths = SIZES[image.ndim]
    more = [-(-wanted // have) for wanted, have in zip(lengths, image.shape[2:], strict=True)]
    return np.ascontiguousarray(np.tile(image, (1, 1, *more))[(slice(None), slice(None), *map(slice, lengths))])


def row(path: Path) -> dict[str, Any]:
    """One bundle's files and differences."""
    with opened(path) as bundle:
        whole = bundle.formats["onnx"].read_bytes()
        content, _ = onnx.halved(whole)
        names = [tensor.name for tensor in bundle.outputs]
        before, after = (onnx.start(one, outputs=names) for one in (whole, content))
        image = repeated(bundle.cases[0].input.astype(np.float32))
        cases = (*bundle.cases, Case(name="large", input=image, outputs=before(image)))
        off = halves.differences([(one.name, one.kind) for one in bundle.outputs], cases, [after(case.input) for case in cases])
    return {
        "bundle": path.stem,
        "zip_mb": round(path.stat().st_size / MB, 2),
        "onnx_mb": round(len(whole) / MB, 2),
        "float16_mb": round(len(content) / MB, 2),
        "differences": [halves.told(one) for one in off],
    }


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("export/bundles"))
    rows = []
    for path in sorted(parser.parse_args().folder.glob("*.zip")):
        if path.stem.endswith("-float16"):
            continue
        rows.append(row(path))
        print(json.dumps(rows[-1]), flush=True)  # noqa: T201
    with whole_file(RESULT) as file:
        file.write((json.dumps({"rows": rows}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
