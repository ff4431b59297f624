"""The child process: one JVM, one engine, one weight file or several of one network, several images.

Run as ``python -m zooready.java.worker JOB.json``; reads the job, writes ``result.json`` and ``output_<image>_<n>.npy`` beside it, of
several files ``output_<file>_<image>_<n>.npy``.
It must never import torch: Python's libtorch and DJL's cannot share a process.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooready.processes import end_with_parent

Array = NDArray[Any]
Network = Callable[[Array], list[Array]]
WARM_UP = 2  # DJL's profiling executor settles after two runs


class Refused(Exception):
    """An input or output that cannot be used; the parent process shows the message unchanged."""


def work(job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run the job; the returned record becomes ``result.json``.

    Raises
    ------
    Refused
        An image that ImageJ cannot read, or an input or output that bundles cannot have.
    """
    import jpype

    stage = folder / "at.txt"  # for the parent process's message if this one dies
    stage.write_text("the start of the JVM")
    jpype.startJVM(job["jvm"], *job["options"], classpath=job["class_path"], convertStrings=False)
    here = {"java": str(jpype.JClass("java.lang.System").getProperty("java.version")), "imagej": str(jpype.JClass("ij.IJ").getVersion())}
    if isinstance(job["weights"], list):
        return _race(job, folder, stage, here)
    stage.write_text(f"the loading of {Path(job['weights'] or 'nothing').name}")
    network, versions = _started(job)
    sizes, seconds = [], []
    is_script = job["engine"].startswith("pytorch")
    for index, name in enumerate(job["inputs"]):
        path = Path(name)
        stage.write_text(f"input {index + 1} of {len(job['inputs'])}, {path.name}")
        array = np.load(path, allow_pickle=False) if path.suffix == ".npy" else image(path)
        stage.write_text(f"input {index + 1} of {len(job['inputs'])}, {'x'.join(map(str, array.shape))}")
        runs = WARM_UP if is_script and not index else 1
        outputs, duration = _timed(network, np.ascontiguousarray(array, dtype=np.float32), job["repeats"], runs)
        sizes.append(_saved(outputs, folder / f"output_{index}"))
        seconds.append(duration)
    return {"versions": {**versions, **here}, "seconds": seconds, "shapes": sizes}


def _race(job: Mapping[str, Any], folder: Path, stage: Path, here: Mapping[str, str]) -> dict[str, Any]:
    """Run every file of the job on every input, and time them by turns on the first."""
    arrays = [np.ascontiguousarray(np.load(name, allow_pickle=False), dtype=np.float32) for name in job["inputs"]]
    networks: dict[int, Network] = {}
    files: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    for place, weights in enumerate(job["weights"]):
        name = f"file {place + 1} of {len(job['weights'])}"
        try:
            stage.write_text(f"the loading of {name}")
            networks[place], versions = _started({**job, "weights": weights})
            shapes: list[list[list[int]]] = []
            for index, array in enumerate(arrays):
                stage.write_text(f"input {index + 1} of {len(arrays)}, {'x'.join(map(str, array.shape))}, {name}")
                for _ in range(1 if index else WARM_UP):
                    outputs = networks[place](array)
                shapes.append(_saved(outputs, folder / f"output_{place}_{index}"))
            files.append({"shapes": shapes})
        except Exception as error:  # of this file only: the others go on
            networks.pop(place, None)
            files.append({"error": f"at {stage.read_text()}: {explained(error)}"})
    stage.write_text("the timing")
    durations: dict[int, list[float]] = {place: [] for place in networks}
    for _ in range(job["repeats"]):
        for place, network in networks.items():
            started = time.perf_counter()
            network(arrays[0])
            durations[place].append(time.perf_counter() - started)
    for place, taken in durations.items():
        files[place]["seconds"] = [statistics.median(taken)]
    return {"versions": {**versions, **here}, "files": files}


def _started(job: Mapping[str, Any]) -> tuple[Network, dict[str, str]]:
    return torchscript(job) if job["engine"].startswith("pytorch") else _onnx(job)


def _saved(outputs: list[Array], path: Path) -> list[list[int]]:
    """Save outputs as ``<path>_<number>.npy``, and give their shapes."""
    for number, output in enumerate(outputs):
        np.save(path.with_name(f"{path.name}_{number}.npy"), output)
    return [list(output.shape) for output in outputs]


def image(path: Path) -> Array:
    """Pixels of a TIFF as ImageJ's own opener reads them.

    Returns
    -------
    ndarray
        (t, c, y, x) float32, or (t, c, z, y, x) when there are several slices. Values are those that ImageJ shows: what the file stores,
        calibrated where the image has a function for it, as every signed 16-bit image has. RGB gives three channels.

    Raises
    ------
    Refused
        ImageJ cannot open the file.
    """
    import jpype

    image_plus = jpype.JClass("ij.IJ").openImage(str(path))
    if image_plus is None:
        raise Refused(f"ImageJ cannot open {path.name}: save it as an ImageJ TIFF.")
    shown = image_plus.getCalibration().getCTable()  # the value shown for each one stored; null without a calibration function
    shown = None if shown is None else np.array(memoryview(shown))
    frames, slices, channels = int(image_plus.getNFrames()), int(image_plus.getNSlices()), int(image_plus.getNChannels())
    stack = image_plus.getStack()

    def plane(t: int, c: int, z: int) -> Array:
        return _plane(stack.getProcessor(image_plus.getStackIndex(c + 1, z + 1, t + 1)), shown)  # (y, x) or (3, y, x)

    pixels = np.stack([np.stack([np.stack([plane(t, c, z) for z in range(slices)]) for c in range(channels)]) for t in range(frames)])
    if pixels.ndim == 6:  # (t, c, z, 3, y, x) of RGB
        pixels = np.moveaxis(pixels, 3, 2).reshape(frames, channels * 3, slices, *pixels.shape[-2:])
    return pixels if slices > 1 else pixels[:, :, 0]


def _plane(processor: Any, shown: Array | None) -> Array:
    pixels = np.array(memoryview(processor.getPixels()))
    shape = (int(processor.getHeight()), int(processor.getWidth()))
    if pixels.dtype == np.int32:  # 0x00RRGGBB
        return np.stack([(pixels >> shift & 255).reshape(shape) for shift in (16, 8, 0)]).astype(np.float32)
    if unsigned := {"int8": np.uint8, "int16": np.uint16}.get(pixels.dtype.name):
        pixels = pixels.view(unsigned)
        pixels = pixels if shown is None else shown[pixels]
    return pixels.reshape(shape).astype(np.float32)


def _timed(network: Network, array: Array, repeats: int, runs: int) -> tuple[list[Array], float]:
    """Outputs of the last of ``runs`` runs; seconds of the first, or the median of ``repeats`` runs after a warm-up.

    Outputs of a second run are those of what the optimiser of TorchScript made of the network.
    """
    durations = []
    for _ in range(runs):
        started = time.perf_counter()
        outputs = network(array)
        durations.append(time.perf_counter() - started)
    if not repeats:
        return outputs, durations[0]
    for _ in range(WARM_UP - runs):
        network(array)
    durations = []
    for _ in range(repeats):
        started = time.perf_counter()
        network(array)
        durations.append(time.perf_counter() - started)
    return outputs, statistics.median(durations)


def torchscript(job: Mapping[str, Any]) -> tuple[Network, dict[str, str]]:
    """A TorchScript file as a function that runs in DJL in the running JVM, and versions; without ``weights`` only libtorch is unpacked.

    The network takes contiguous float32 and raises :class:`Refused` for outputs that are not float32.
    """
    from jpype import JClass, JLong

    engine = JClass("ai.djl.engine.Engine").getEngine("PyTorch")
    versions = {"pytorch": str(engine.getVersion()), "djl": str(engine.getDjlVersion())}
    model = JClass("ai.djl.Model").newInstance("weights", JClass("ai.djl.Device").cpu(), "PyTorch")
    if job["weights"] is None:  # the first start after an installation: only unpacks libtorch
        return lambda array: [], versions
    path = JClass("java.nio.file.Paths").get(job["weights"])
    model.load(path.getParent(), path.getFileName().toString())
    predictor = model.newPredictor(JClass("ai.djl.translate.NoopTranslator")())
    shape_class, list_class = JClass("ai.djl.ndarray.types.Shape"), JClass("ai.djl.ndarray.NDList")

    def network(array: Array) -> list[Array]:
        with model.getNDManager().newSubManager() as manager:
            tensor = manager.create(_buffer(array), shape_class(JLong[:](array.shape)))
            results = predictor.predict(list_class(tensor))
            results.attach(manager)
            for number, result in enumerate(results):
                _check_float32(result.getDataType(), number)
            return [_array(result.toFloatArray(), result.getShape().getShape()) for result in results]

    return network, versions


def _onnx(job: Mapping[str, Any]) -> tuple[Network, dict[str, str]]:
    from jpype import JClass, JLong

    environment = JClass("ai.onnxruntime.OrtEnvironment").getEnvironment()
    versions = {"onnxruntime": str(environment.getClass().getPackage().getImplementationVersion())}
    options = JClass("ai.onnxruntime.OrtSession$SessionOptions")()
    options.setIntraOpNumThreads(job["threads"])
    options.setInterOpNumThreads(1)
    session = environment.createSession(job["weights"], options)
    names = [str(name) for name in session.getInputNames()]
    if len(names) != 1:
        raise Refused(f"the ONNX file takes {len(names)} inputs ({', '.join(names)}): a bundle has exactly one.")
    tensor_class, maps = JClass("ai.onnxruntime.OnnxTensor"), JClass("java.util.Collections")

    def network(array: Array) -> list[Array]:
        tensor = tensor_class.createTensor(environment, _buffer(array), JLong[:](array.shape))
        with tensor, session.run(maps.singletonMap(names[0], tensor)) as results:
            arrays = []
            for number, entry in enumerate(results):
                info = entry.getValue().getInfo()
                _check_float32(getattr(info, "type", "no tensor"), number)
                arrays.append(_array(entry.getValue().getFloatBuffer().array(), info.getShape()))
            return arrays

    return network, versions


def _buffer(array: Array) -> Any:
    """A Java FloatBuffer over the memory of a contiguous float32 array, which must outlive it."""
    from jpype import JClass
    from jpype.nio import convertToDirectBuffer

    return convertToDirectBuffer(array).order(JClass("java.nio.ByteOrder").nativeOrder()).asFloatBuffer()


def _check_float32(dtype: Any, number: int) -> None:
    if str(dtype).upper() not in ("FLOAT32", "FLOAT"):  # DJL's name, ONNX Runtime's name
        raise Refused(
            f"output {number + 1} is {str(dtype).lower()}, not float32, the only type that a bundle may return: end it with `.float()`."
        )


def _array(values: Any, shape: Any) -> Array:
    """A copy of a Java float[] as an array of ``shape`` (a Java long[])."""
    return np.array(memoryview(values), dtype=np.float32).reshape([int(n) for n in shape])


def explained(error: BaseException) -> str:
    """An exception in one line: of a Java exception the innermost cause, of a TorchScript traceback only the error at its end."""
    cause = error
    while (inner := getattr(cause, "getCause", lambda: None)()) is not None:
        cause = inner
    line = re.sub(r"^(?:[a-z]\w*\.)+\w+: ", "", " ".join(str(cause).split()))  # without ai.djl.engine.EngineException and the like
    start = line.rfind("RuntimeError: ") if "TorchScript interpreter" in line else 0
    return line[max(start, 0) :]


def main(path: Path) -> None:
    """Read the job, run it, and exit without running the destructors of any engine."""
    end_with_parent()
    job = json.loads(path.read_text(encoding="utf-8"))
    try:
        result = work(job, path.parent)
    except Exception as error:  # any exception of the engine is a result, which the parent process reports
        traceback.print_exc()
        result = {"error": explained(error)}
    partial = path.with_name("result.partial")
    partial.write_text(json.dumps(result), encoding="utf-8")
    partial.replace(path.with_name("result.json"))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
