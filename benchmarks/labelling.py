"""What labels cost inside the graph: processor seconds with them and without, one thread, by family, program and size.

    python benchmarks/labelling.py [FAMILY ...] [--turns 3] [--small] [--java] [--bundles FOLDER]

prints the table and keeps it in benchmarks/labelling.json; rows of other families, sizes and programs stay as they were. The image is the
family's sample, repeated, so that there are objects everywhere. In ONNX Runtime the bundle's graph is cut behind the probabilities; in
PyTorch the network and its head are run one after the other. Java's seconds are those of the clock, so they count on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from zooready import export, java
from zooready.bundle.reading import opened
from zooready.commands.runs import sample_of
from zooready.families import FAMILIES, load_weights
from zooready.formats.onnx import cut
from zooready.images.whole_files import whole_file
from zooready.nets.wrapping import FijiSafe
from zooready.records import Array

RESULT = Path(__file__).with_suffix(".json")
LABELLED = ("segmentation", "spots", "segmentation3d")
SIZES = {4: ((512, 512), (2048, 2048)), 5: ((8, 128, 128), (32, 256, 256))}  # by the axes of the input
AIM = 0.25  # of the network's time


def image_of(family: str, size: tuple[int, ...]) -> Array:
    """The family's sample, repeated to a size: (1, 1, ...) float32."""
    sample = np.asarray(sample_of(FAMILIES[family], family).array, np.float32)
    sample = sample.reshape(sample.shape[-len(size) :])
    more = [-(-wanted // have) for wanted, have in zip(size, sample.shape, strict=True)]
    return np.ascontiguousarray(np.tile(sample, more)[tuple(map(slice, size))])[None, None]


def spent(call: Callable[[], Any], turns: int) -> float:
    """Processor seconds of a call, the median over turns."""
    taken = []
    for _ in range(turns):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def in_onnxruntime(bundle: Path, image: Array, turns: int) -> tuple[float, float]:
    """Seconds of the network alone, and with labels."""
    with opened(bundle) as read:
        content = read.formats["onnx"].read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    alone = cut(onnx.load_model_from_string(content), [], ["probabilities"])
    both = []
    for graph in (alone, content):
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        both.append(spent(lambda session=session: session.run(None, {session.get_inputs()[0].name: image}), turns))
    return both[0], both[1]


def in_pytorch(family: str, image: Array, turns: int) -> tuple[float, float]:
    """Seconds of the network alone, and with labels."""
    alone, head = parts(family)
    torch.set_num_threads(1)
    with torch.no_grad():
        tensor = torch.from_numpy(image)
        found = alone(tensor)
        probabilities = found if isinstance(found, torch.Tensor) else found[0]
        network, labels = spent(lambda: alone(tensor), turns), spent(lambda: head(probabilities), turns)
    return network, network + labels


def parts(family: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A shipped network behind its normalisation, and its head."""
    network = FAMILIES[family].network
    core = network.architecture.build().eval()
    core.load_state_dict(load_weights(family))
    normal, head = (part.build() for part in (network.normalization, network.head))
    return FijiSafe(core, normal, None, stride=16, minimum=16).eval(), head.eval()


def in_java(family: str, image: Array, turns: int) -> tuple[float, float]:
    """Seconds of the clock of the network alone, and with labels, in Fiji's PyTorch 2.0.0."""
    alone, head = parts(family)
    tensor = torch.from_numpy(image)
    with TemporaryDirectory() as folder, torch.no_grad():
        files = []
        for name, module in (("alone", alone), ("whole", torch.nn.Sequential(alone, head))):
            files.append(Path(folder) / f"{name}.pt")
            torch.jit.save(torch.jit.trace(module.eval(), tensor, check_trace=False), str(files[-1]))
        found = java.race("pytorch", files, [image], repeats=turns)
    first, second = (one.seconds[0] for one in found)
    return first, second


def rows(family: str, bundle: Path, turns: int, small: bool, with_java: bool) -> Iterator[dict[str, Any]]:
    """The table's rows of a family."""
    sizes = SIZES[len(FAMILIES[family].input.axes)]
    for size in sizes[:1] if small else sizes:
        image = image_of(family, size)
        programs: dict[str, Callable[[], tuple[float, float]]] = {
            "ONNX Runtime": lambda image=image: in_onnxruntime(bundle, image, turns),
            "PyTorch": lambda image=image: in_pytorch(family, image, turns),
            **({"Java, PyTorch 2.0.0": lambda image=image: in_java(family, image, turns)} if with_java else {}),
        }
        for program, measured in programs.items():
            network, whole = measured()
            yield {
                "method": f"{family}, {' x '.join(map(str, size))}, {program}",
                "network_s": round(network, 3),
                "with_labels_s": round(whole, 3),
                "labels / network": round(whole / network - 1, 3),
            }


def main() -> None:
    """Measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=LABELLED)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="the smaller size only")
    parser.add_argument("--java", action="store_true", help="Fiji's PyTorch 2.0.0 too")
    parser.add_argument("--bundles", type=Path, help="folder of exported bundles (default: they are exported)")
    given = parser.parse_args()
    kept = {row["method"]: row for row in json.loads(RESULT.read_text())["rows"]} if RESULT.is_file() else {}
    for family in given.families:
        with TemporaryDirectory() as folder:
            bundle = given.bundles / f"{family}.zip" if given.bundles else export(family, out=Path(folder) / "bundle.zip").path
            for row in rows(family, bundle, given.turns, given.small, given.java):
                kept[row["method"]] = row
                print(json.dumps(row), flush=True)  # noqa: T201
                with whole_file(RESULT) as file:
                    file.write((json.dumps({"aim": AIM, "rows": list(kept.values())}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
