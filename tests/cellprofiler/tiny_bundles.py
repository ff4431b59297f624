"""Bundles whose right answer is known by arithmetic, or is that of a small network with random weights."""

import hashlib
import io
import zipfile

import networks
import numpy as np
import onnx
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

CONSTANTS = {
    "two": np.float32(2),
    "hundred": np.float32(100),
    "one": np.float32(1),
    "zero": np.float32(0),
    "axis1": np.array([1]),
    "axis2": np.array([2]),
    "first": np.array([0]),
    "along": np.array(1),
    "tenth": np.float32(0.1),
}
LABELS = [("Div", ["image", "hundred"], ["hundreds"], {}), ("Floor", ["hundreds"], ["labels"], {})]  # 100…199 is object 1, and so on
DOUBLE = [("Mul", ["image", "two"], ["restored"], {})]
PROBABILITIES = [
    ("Div", ["image", "hundred"], ["share"], {}),
    ("Clip", ["share", "zero", "one"], ["inside"], {}),
    ("Sub", ["one", "inside"], ["outside"], {}),
    ("Concat", ["inside", "outside"], ["probabilities"], {"axis": 1}),
]
SCORES = [
    ("ReduceMax", ["image"], ["highest"], {"axes": [2, 3], "keepdims": 0}),
    ("ReduceMean", ["image"], ["middle"], {"axes": [2, 3], "keepdims": 0}),
    ("Concat", ["highest", "middle"], ["scores"], {"axis": 1}),
]
CENTRED = [("ReduceMean", ["image"], ["level"], {"axes": [2, 3], "keepdims": 1}), ("Sub", ["image", "level"], ["restored"], {})]
BROKEN = [("Div", ["image", "zero"], ["restored"], {})]
STACK = [("Unsqueeze", ["image", "axis2"], ["plane"], {}), ("Concat", ["plane", "plane", "plane"], ["stack"], {"axis": 2})]
SUMMED = [("ReduceSum", ["image", "axis1"], ["restored"], {"keepdims": 1})]
NORMALISED = [
    ("ReduceMean", ["image"], ["level"], {"axes": [2, 3], "keepdims": 1}),
    ("ReduceMax", ["image"], ["spread"], {"axes": [2, 3], "keepdims": 1}),
    ("Sub", ["image", "level"], ["centred"], {}),
    ("Div", ["centred", "spread"], ["seen"], {}),
    ("AveragePool", ["seen"], ["smooth"], {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}),
]
RESTORED = [("Mul", ["smooth", "spread"], ["bright"], {}), ("Add", ["bright", "level"], ["restored"], {})]
NUMBERED = [  # every bright pixel is an object, numbered in the order of pixels, which no tile knows
    ("Clip", ["smooth", "zero", "one"], ["inside"], {}),
    ("Sub", ["one", "inside"], ["outside"], {}),
    ("Concat", ["inside", "outside"], ["probabilities"], {"axis": 1}),
    ("Slice", ["probabilities", "first", "axis1", "axis1"], ["of"], {}),
    ("Greater", ["of", "tenth"], ["is_bright"], {}),
    ("Cast", ["is_bright"], ["bright"], {"to": TensorProto.FLOAT}),
    ("Flatten", ["bright"], ["flat"], {}),
    ("CumSum", ["flat", "along"], ["counted"], {}),
    ("Shape", ["bright"], ["shape"], {}),
    ("Reshape", ["counted", "shape"], ["count"], {}),
    ("Mul", ["count", "bright"], ["labels"], {}),
]
CLASSED = [("Mul", ["bright", "two"], ["classes"], {})]
KINDS = {"labels": "labels", "classes": "labels", "scores": "scores"}
CHANNELS = {"probabilities": ["inside", "out side"], "scores": ["highest", "mid dle"]}


def write_all(folder):
    """Every bundle, by the name of its file."""
    image = tensor("image", "bcyx", ["grey"])
    labels, doubled = tensor("labels", "bcyx", ["cells"]), tensor("restored", "bcyx", ["grey"])
    chances, scores = tensor("probabilities", "bcyx", CHANNELS["probabilities"]), tensor("scores", "bc", CHANNELS["scores"])
    size = np.arange(1 * 1 * 6 * 8, dtype=np.float32).reshape(1, 1, 6, 8) * 12
    write(
        folder / "segmentation.zip",
        graph(PROBABILITIES + LABELS, chances, labels),
        image,
        [chances, labels],
        size,
        pixel_size_um=[0.2, 0.4],
        objects={"diameter_px": [10, 40], "foreground": 1.0, "background": [0.0, 1.0]},
    )
    write(folder / "mrbcr.zip", graph(DOUBLE, doubled), image, [doubled], size, halo=0)
    write(folder / "blurred.zip", graph(DOUBLE, doubled), image, [doubled], size, halo=0, blur_px=[4, 16], blur_shown_px=[[3, 6], [12, 9]])
    write(folder / "silent.zip", graph(DOUBLE, doubled), image, [doubled], size, halo=0, blur_px=[4, 16])
    write(folder / "classifier.zip", graph(SCORES, scores), image, [scores], size)
    write(folder / "centred.zip", graph(CENTRED, doubled), image, [doubled], size, halo=0)
    write(folder / "broken.zip", graph(BROKEN, doubled), image, [doubled], size, halo=0, expected=[size])
    stack = tensor("stack", "bczyx", ["grey"], sizes={"z": 3})
    write(folder / "stack.zip", graph(STACK, stack), image, [stack], size)
    known = {"normalization": {"name": "MeanStd"}, "head": {"name": "none"}}
    write(folder / "levelled.zip", graph(NORMALISED + RESTORED, doubled), image, [doubled], size, halo=2, stride=4, inside=known)
    weights, unknown = graph(NORMALISED + RESTORED, doubled), known | {"normalization": {"name": "none"}}
    write(folder / "mute.zip", graph(NORMALISED + NUMBERED, chances), image, [chances], size, halo=2, stride=4, inside=unknown)
    write(folder / "narrow.zip", weights, image, [doubled], size, halo=0, stride=4, inside=known)
    known = known | {"head": {"name": "Peaks", "core": 0.4}}
    weights = graph(NORMALISED + NUMBERED, chances, labels)
    write(folder / "numbered.zip", weights, image, [chances, labels], size, halo=2, stride=4, inside=known)
    known, classes = known | {"head": {"name": "ClassedInstances", "core": 0.4}}, tensor("classes", "bcyx", ["class"])
    weights = graph(NORMALISED + NUMBERED + CLASSED, chances, labels, classes)
    write(folder / "classed.zip", weights, image, [chances, labels, classes], size, halo=2, stride=4, inside=known)
    known, weights = known | {"head": {"name": "Unheard"}}, graph(NORMALISED + NUMBERED, chances, labels)
    write(folder / "unheard.zip", weights, image, [chances, labels], size, halo=2, stride=4, inside=known)
    two = tensor("image", "bcyx", ["red", "green"])
    write(folder / "two.zip", graph(SUMMED, doubled, channels=2), two, [doubled], np.concatenate([size, size[..., ::-1] / 3], 1))
    write(
        folder / "limited.zip",
        graph(SUMMED, doubled, channels=2),
        two,
        [doubled],
        np.concatenate([size, size], 1),
        limits={"green": [-5, 5]},
    )
    every = graph(
        SUMMED + [("Div", ["restored", "hundred"], ["hundreds"], {}), *LABELS[1:], *SCORES[:2], *_together()],
        doubled,
        labels,
        scores,
        channels=2,
    )
    cases = [
        np.random.default_rng(n).uniform(0, 300, shape).astype(np.float32)
        for n, shape in enumerate([(1, 2, 7, 9), (2, 2, 4, 5), (1, 2, 1, 1)])
    ]
    write(folder / "every.zip", every, two, [doubled, labels, scores], np.concatenate([size, size], 1), cases=cases)
    deep = np.random.default_rng(5).integers(0, 400, (1, 1, 4, 6, 8)).astype(np.float32)
    volume, bright = tensor("image", "bczyx", ["grey"]), tensor("restored", "bczyx", ["grey"])
    cells = tensor("labels", "bczyx", ["cells"])
    write(folder / "volume.zip", graph(DOUBLE + LABELS, bright, cells, axes=5), volume, [bright, cells], deep)
    write(folder / "planes.zip", graph(DOUBLE + LABELS, bright, cells, axes=5), volume, [bright, cells], deep, z_um=0.6)
    write(folder / "unet.zip", unet(), image, [chances | {"id": "probabilities"}], size, halo=16, stride=4, steps=(4, 4))
    write(folder / "moved.zip", unet(), image, [chances | {"id": "probabilities"}], size, halo=16, stride=1, steps=(4, 4))


def _together():
    """Scores of an image with two channels: the largest value of any, and the mean of all."""
    return [
        ("ReduceMax", ["highest"], ["top"], {"axes": [1], "keepdims": 1}),
        ("ReduceMean", ["middle"], ["average"], {"axes": [1], "keepdims": 1}),
        ("Concat", ["top", "average"], ["scores"], {"axis": 1}),
    ]


def tensor(name, axes, channels, sizes=None):
    """An entry of a description without its test."""
    return {"id": name, "axes": [_axis(letter, channels, (sizes or {}).get(letter)) for letter in axes]}


def _axis(letter, channels, size):
    if letter == "b":
        return {"type": "batch"}
    if letter == "c":
        return {"type": "channel", "channel_names": list(channels)}
    return {"type": "space", "id": letter, "size": size or {"min": 1, "step": 1}}


def graph(nodes, *outputs, channels=1, axes=4):
    """Bytes of an ONNX file."""
    shape = [None, channels, *[None] * (axes - 2)]
    model = helper.make_graph(
        [helper.make_node(kind, ins, outs, **how) for kind, ins, outs, how in nodes],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output["id"], TensorProto.FLOAT, None) for output in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items()],
    )
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def unet():
    """A U-Net with random weights, for sizes that are multiples of 4."""
    network, file = networks.seeded(networks.SmallUNet).eval(), io.BytesIO()
    free = {"image": {0: "b", 2: "y", 3: "x"}}
    how = {"input_names": ["image"], "output_names": ["probabilities"], "dynamic_axes": free, "opset_version": 17, "dynamo": False}
    torch.onnx.export(network, (torch.rand(1, 1, 16, 16),), file, **how)
    model = onnx.load_from_string(file.getvalue())
    model.ir_version = 8
    return model.SerializeToString()


def write(path, weights, taken, outputs, image, *, halo="whole image", stride=1, steps=(1, 1), cases=(), expected=None, **own):
    """The zip, with a test pair and cases that ONNX Runtime computes here."""
    files = {"weights.onnx": weights}

    def stored(name, array):
        file = io.BytesIO()
        np.save(file, array)
        files[name] = file.getvalue()
        return {"source": name, "sha256": hashlib.sha256(file.getvalue()).hexdigest()}

    def computed(array):
        import onnxruntime

        session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
        return session.run([output["id"] for output in outputs], {"image": array})

    if steps != (1, 1):
        taken = taken | {
            "axes": [axis | {"size": dict(zip(("min", "step"), steps, strict=True))} if "size" in axis else axis for axis in taken["axes"]]
        }
        image = np.pad(image, [(0, 0), (0, 0), (0, -image.shape[2] % 4), (0, -image.shape[3] % 4)])
    results = expected or computed(image)
    listed = []
    for number, case in enumerate(cases):
        arrays = [stored(f"case{number}-{k}.npy", array)["source"] for k, array in enumerate(computed(case))]
        listed.append({"name": f"case{number}", "input": stored(f"case{number}.npy", case)["source"], "outputs": arrays})
    rdf = {
        "format_version": "0.5.10",
        "type": "model",
        "id": "tiny",
        "name": f"tiny {path.stem}",
        "inputs": [taken | {"test_tensor": stored("test-image.npy", image)}],
        "outputs": [one | {"test_tensor": stored(f"test-{one['id']}.npy", array)} for one, array in zip(outputs, results, strict=True)],
        "weights": {"onnx": {"source": "weights.onnx", "sha256": hashlib.sha256(weights).hexdigest(), "opset_version": 17}},
        "config": {
            "zooready": {
                "outputs": [{"id": output["id"], "kind": KINDS.get(output["id"], "image")} for output in outputs],
                "cases": listed,
                "measured": {"halo": halo, "stride": stride, "minimum": stride},
            }
            | own
        },
    }
    files["rdf.yaml"] = yaml.safe_dump(rdf).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
