"""What runs inside the child that adopts a bundle: ``main(FOLDER)``, as for any consumer's job.

The job holds ``bundle`` (a path), ``format``, ``trusted`` and ``folder``, where ``adopted.zip`` and ``facts.json`` come to lie.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooready.bundle.reading import opened
from zooready.bundle.renewing import renewed
from zooready.consumers import sandbox_worker
from zooready.consumers.sandbox_worker import LOADERS, Network
from zooready.exporting import Exported, export, probing
from zooready.nets.adopted import Adopted, Grid, arranged
from zooready.nets.wrapping import flat
from zooready.records import Array, Bundle, Format, Image
from zooready.sharing.crediting import cautions, credited
from zooready.sharing.foreign_networks import network_of
from zooready.sharing.joining import example_of
from zooready.sharing.surrounding import Surroundings, surroundings


def adopt(job: dict[str, Any]) -> Network:
    """Write the adopted bundle and what is to be said of it; there is nothing to run afterwards."""
    folder = Path(job["folder"])
    with opened(job["bundle"], trust_code=job["trusted"]) as original:
        result, notes = adopted(renewed(original), original, job["format"], folder / "adopted.zip", job["provenance"])
    facts = {"notes": [*notes, *result.measured.notes], "unavailable": dict(result.unavailable), "formats": list(result.formats)}
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return lambda *arrays: ()


def adopted(bundle: Bundle, original: Bundle, format: Format, out: Path, provenance: Mapping[str, Any]) -> tuple[Exported, tuple[str, ...]]:
    """Export the network of one format of a bundle, in its newest form, with all that its description asks for inside; and notes.

    Raises
    ------
    InputInvalid, BundleInvalid
        It cannot be had; the message says why.
    """
    warned = cautions(bundle)
    about, around, network = credited(original, warned), surroundings(bundle), network_of(bundle, format)
    plain = around.around(network, {})
    example = arranged(torch.from_numpy(example_of(bundle, around.input)), around.input.axes, plain.order)
    grids, notes = _grids(around, network, example)
    module = around.around(network, grids).eval()
    with torch.no_grad():
        outputs = flat(module(example))
    input, specs = around.specs([example.shape[1], *(output.shape[1] for output in outputs)])
    image = Image(array=_counted(example[0].numpy()), axes=plain.order[1:])
    result = export(
        module, image, about, out, input=input, outputs=specs, torchscript="plain", formats=("torchscript", "onnx"), provenance=provenance
    )
    return result, (*warned, *notes)


def _grids(around: Surroundings, network: torch.nn.Module, example: torch.Tensor) -> tuple[Mapping[str, Grid], tuple[str, ...]]:
    """Lengths that the network takes: those stated, or those measured where the description states one length only."""
    if not around.fixed:
        return around.grids, ()
    bare: Adopted = around.around(network, {}, bare=True)
    plain: Adopted = around.around(network, {})
    with torch.no_grad():
        seen = torch.cat([tensor.to(torch.float32) for tensor in plain.processed(plain.raw(example), torch.float32)], 1)
        measured = probing.measure(probing.prepared(bare), seen)
    if not measured.stride:
        return around.grids, ()
    spatial = bare.order[2:]
    strides = measured.strides or (measured.stride,) * len(spatial)
    minimums = measured.minimums or (measured.minimum,) * len(spatial)
    found = {axis: Grid(least, step) for axis, step, least in zip(spatial, strides, minimums, strict=True) if step and axis in around.fixed}
    sizes = ", ".join(f"{axis} {size}" for axis, size in around.fixed.items())
    note = f"the description states one size ({sizes} px); the network was measured to take others, which nobody described"
    return {**around.grids, **found}, (note,) if found else ()


def _counted(array: Array) -> Array:
    """The pixels as whole numbers of 8 or 16 bits where they are such, as a camera's file holds them."""
    if np.array_equal(array, np.rint(array)) and array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max:
        return array.astype(np.uint8 if array.max() <= np.iinfo(np.uint8).max else np.uint16)
    return array


def main(folder: Path) -> None:
    """Do the job that lies in ``folder``, an adoption among the kinds of jobs."""
    LOADERS["adopt"] = adopt
    sandbox_worker.main(folder)
