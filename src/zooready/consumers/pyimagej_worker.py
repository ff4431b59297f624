"""What runs inside the child: ``python -m zooready.consumers.pyimagej_worker JOB.json``, with ``input<i>.tif`` beside the job.

Writes ``output<i>_<k>.npy`` and ``result.json``. It must never import torch: two libtorch cannot share a process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zooready.java.worker import explained, torchscript
from zooready.processes import end_with_parent
from zooready.records import Array

NAMES = {"t": "t", "z": "pln", "c": "ch", "y": "row", "x": "col"}  # what pyimagej calls the axes of ImageJ


class Lost(Exception):
    """ImageJ or pyimagej gave back something else than it was handed: the message goes to the parent as it is."""


def main(path: Path) -> None:
    """Do the job."""
    end_with_parent()
    job = json.loads(path.read_text(encoding="utf-8"))
    folder = path.parent
    try:
        work(job, folder, lambda where: (folder / "at.txt").write_text(where, encoding="utf-8"))
        answer = {}
    except Lost as error:
        answer = {"error": str(error)}
    except Exception as error:  # whatever Java and pyimagej raise is what this process is for
        answer = {"error": f"{type(error).__name__}: {explained(error)}"}
    partial = path.with_name("result.partial")
    partial.write_text(json.dumps(answer), encoding="utf-8")
    partial.replace(path.with_name("result.json"))
    sys.stdout.flush()
    os._exit(0)  # threads of ImageJ would keep the JVM


def work(job: Mapping[str, Any], folder: Path, at: Callable[[str], object]) -> None:
    """Start ImageJ2, and run every image."""
    at("the start of ImageJ2")
    gateway = started(job)
    at(f"the loading of {Path(job['weights']).name}")
    network, _ = torchscript(job)
    for n, file in ((int(n), file) for n, file in job["images"].items()):
        at(f"image {n + 1}")
        opened = gateway.IJ.openImage(file)
        if opened is None:
            raise Lost(f"ImageJ cannot open {Path(file).name}: save it as an ImageJ TIFF.")
        calibration = opened.getCalibration()
        if n in job["calibrated"] and abs(float(calibration.pixelWidth) - job["pixel_um"]) > 1e-6:
            raise Lost(f"ImageJ reads pixels of {calibration.pixelWidth} {calibration.getUnit()}, {job['pixel_um']} um were written.")
        if calibration.calibrated():
            gateway.IJ.run(opened, "32-bit", "")  # pyimagej takes the stored values, e.g. 32768 too much of signed 16 bits
        array = by_name(gateway.py.from_java(opened), job["axes"])
        for k, (output, axes) in enumerate(zip(network(np.ascontiguousarray(array, np.float32)), job["outputs"], strict=True)):
            np.save(folder / f"output{n}_{k}.npy", through_imageplus(gateway, output, axes, calibration))


def started(job: Mapping[str, Any]) -> Any:
    """The gateway of an ImageJ2 whose JVM also holds DJL."""
    import imagej
    import scyjava

    scyjava.config.set_java_constraints(fetch="auto")  # "never" fails in scyjava itself; JAVA_HOME is set, so nothing is fetched
    if job["offline"]:
        scyjava.config.endpoints.clear()  # imglyb asks Maven for a jar that the folder holds
    for option in job["options"]:
        scyjava.config.add_option(option)
    scyjava.config.add_classpath(*job["class_path"])
    return imagej.init(job["imagej"] if job["offline"] else f"net.imagej:imagej:{job['imagej']}", mode="headless")


def by_name(data: Any, axes: str) -> Array:
    """An image from pyimagej with the axes that a network wants; those of length 1 do not come along, a batch comes as time."""
    letter = {name: axis for axis, name in NAMES.items()}
    here = "".join(letter.get(str(name), "?") for name in data.dims)
    wanted = axes.replace("b", "t") if "t" not in axes else axes.replace("b", "")
    array = np.asarray(data.values)
    if set(here) - set(wanted):
        raise Lost(f"pyimagej gives axes {data.dims} {array.shape}, and the network takes {axes!r}.")
    for axis in wanted:
        if axis not in here:
            array, here = array[None], axis + here
    array = array.transpose([here.index(axis) for axis in wanted])
    return array if len(wanted) == len(axes) else array[None]


def through_imageplus(gateway: Any, output: Array, axes: str, calibration: Any) -> Array:
    """An output as it is after a stay in ImageJ: to an ImagePlus with the image's calibration, and back; scores stay in Python."""
    import xarray

    if not {"y", "x"} <= set(axes):
        return output
    here = axes.replace("b", "t") if "t" not in axes else axes.replace("b", "")
    whole = output if len(here) == len(axes) else output[0]
    image = gateway.py.to_imageplus(xarray.DataArray(whole, dims=[NAMES[axis] for axis in here]))
    image.setCalibration(calibration.copy())
    sizes = dict(zip(here, whole.shape, strict=True))
    seen = dict(zip("xyczt", map(int, image.getDimensions()), strict=True))
    if any(seen[axis] != sizes.get(axis, 1) for axis in seen):
        raise Lost(f"an output {sizes} became an ImagePlus of {seen}.")
    if float(image.getCalibration().pixelWidth) != float(calibration.pixelWidth):
        raise Lost(f"the ImagePlus of an output has pixels of {image.getCalibration().pixelWidth}, the image {calibration.pixelWidth}.")
    return np.ascontiguousarray(by_name(gateway.py.from_java(image), axes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
