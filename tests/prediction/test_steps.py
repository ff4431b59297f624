"""Steps outside the network against bioimageio.core's own classes, closed forms, and float64."""

import warnings

import numpy as np
import pytest
import torch
import yaml
from bioimageio.core import Tensor as CoreTensor
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core import predict as core_predict
from bioimageio.core.proc_ops import get_proc
from bioimageio.core.sample import Sample
from bioimageio.core.stat_calculators import StatsCalculator
from bioimageio.spec.model import v0_5
from broken import good

import zooready
from zooready.errors import BundleInvalid
from zooready.prediction import predict
from zooready.prediction.steps import NamedArray, notes, processed, steps_of
from zooready.records import Image
from zooready.tensors import Axis, Operator, Tensor

AXES = (
    Axis(letter="b", type="batch"),
    Axis(letter="c", type="channel"),
    Axis(letter="y", id="y", type="space"),
    Axis(letter="x", id="x", type="space"),
)
IDS = ("batch", "channel", "y", "x")
SAMPLE, PLANES = {"axes": ["channel", "y", "x"]}, {"axes": ["y", "x"]}
STEPS = [
    ("binarize", {"threshold": 120.5}),
    ("clip", {"min": 20.0}),
    ("clip", {"max": 180}),
    ("clip", {"min": 20.0, "max": 180.0}),
    ("clip", {"min_percentile": 3.0, "max_percentile": 97.5}),
    ("clip", {"min_percentile": 3.0, "max_percentile": 97.5, **SAMPLE}),
    ("clip", {"min_percentile": 3.0, "max": 120.0, **PLANES}),
    ("clip", {"max_percentile": 99.0, "axes": ["batch", "y", "x"]}),
    *(("ensure_dtype", {"dtype": dtype}) for dtype in ("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool")),
    ("fixed_zero_mean_unit_variance", {"mean": 103.5, "std": 13.7}),
    ("fixed_zero_mean_unit_variance", {"axis": "channel", "mean": [101.5, 102.5, 103.5], "std": [11.7, 12.7, 13.7]}),
    ("scale_linear", {"gain": 2.0, "offset": 3.0}),
    ("scale_linear", {"gain": 0.25}),
    ("scale_linear", {"axis": "channel", "gain": [1.0, 2.0, 3.0]}),
    ("scale_linear", {"axis": "channel", "gain": [1.0, 2.0, 3.0], "offset": [-1.0, 0.5, 7.0]}),
    ("scale_linear", {"axis": "channel", "gain": 0.5, "offset": [-1.0, 0.5, 7.0]}),
    ("scale_range", {}),
    ("scale_range", {"min_percentile": 5.0, "max_percentile": 99.8}),
    ("scale_range", {"min_percentile": 5.0, "max_percentile": 99.8, **SAMPLE}),
    ("scale_range", {"min_percentile": 1.0, "max_percentile": 99.0, "eps": 0.01, **PLANES}),
    ("scale_range", {"min_percentile": 1.0, "max_percentile": 99.0, "axes": ["batch", "x", "y"]}),
    ("sigmoid", {}),
    ("softmax", {}),
    ("softmax", {"axis": "y"}),
    ("zero_mean_unit_variance", {}),
    ("zero_mean_unit_variance", SAMPLE),
    ("zero_mean_unit_variance", {"eps": 0.1, **PLANES}),
    ("zero_mean_unit_variance", {"axes": ["batch", "channel", "y", "x"]}),
    ("zero_mean_unit_variance", {"axes": ["channel", "x"]}),
]


def pixels(seed=0, shape=(1, 3, 23, 31)):
    """Values from 0 to 300.7, each channel brighter than the one before."""
    rng = np.random.default_rng(seed)
    array = rng.gamma(2.0, 15.0, shape).astype(np.float32) * np.float32([1, 2, 3])[:, None, None]
    array[0, 0, 0, 0] = 300.7
    return array


def tensor(*steps, name="image"):
    return Tensor(name=name, axes="bcyx", details=AXES, operators=tuple(Operator(name=name, kwargs=kwargs) for name, kwargs in steps))


def described(kind, name, steps):
    """The same as bioimageio.spec describes it."""
    channels = {"type": "channel", "channel_names": ["a", "b", "c"]}
    space = [{"type": "space", "id": axis, "size": {"min": 1, "step": 1}} for axis in "yx"]
    if kind is v0_5.OutputTensorDescr:
        space = [{**axis, "size": {"tensor_id": "image", "axis_id": axis["id"]}} for axis in space]
    key = "preprocessing" if kind is v0_5.InputTensorDescr else "postprocessing"
    text = {"id": name, "axes": [{"type": "batch"}, channels, *space], key: [{"id": step, "kwargs": kwargs} for step, kwargs in steps]}
    return kind.model_construct(**text | {key: [step_of(step, kwargs) for step, kwargs in steps]})


def step_of(name, kwargs):
    (kind,) = (each for each in vars(v0_5).values() if getattr(each, "implemented_id", None) == name)
    return kind(id=name, **({"kwargs": kwargs} if kwargs else {}))


def in_core(array, steps, kind=v0_5.InputTensorDescr, name="image", **others):
    """What bioimageio.core's classes make of an array, as its pipeline calls them: statistics first, then one step after the other."""
    members = {key: CoreTensor.from_numpy(value, dims=IDS) for key, value in {name: array, **others}.items()}
    sample = Sample(members=members, stat={}, id=0)
    description = described(kind, name, steps)
    operators = [get_proc(step_of(step, kwargs), description) for step, kwargs in steps]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample.stat.update(StatsCalculator({m for each in operators for m in each.required_measures}).update_and_get_all(sample))
        for operator in operators:
            operator(sample)
        return np.asarray(sample.members[name].data)


def assert_equal(ours, theirs):
    expected = np.asarray(theirs, np.float64)
    assert ours.shape == expected.shape
    spread = max(1.0, float(expected.max() - expected.min()))
    assert np.abs(np.asarray(ours, np.float64) - expected).max() <= 1e-6 * spread


@pytest.mark.parametrize(("step", "kwargs"), STEPS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(STEPS)])
def test_a_step_gives_what_bioimageio_gives(step, kwargs):
    array = pixels()
    ours = processed(array, tensor((step, kwargs)), {}, is_input=True)
    theirs = in_core(array, [(step, kwargs)])
    assert_equal(ours, theirs)
    if step == "ensure_dtype":
        assert ours.dtype == kwargs["dtype"] == theirs.dtype
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("step", "kwargs"), STEPS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(STEPS)])
def test_a_step_recorded_at_one_size_is_right_for_each_image_of_another(step, kwargs):
    steps = steps_of(tensor((step, kwargs)), {}, lengths={"channel": 3}, is_input=True)
    recorded = torch.jit.trace(lambda image: steps(image, {}).to(torch.float32), (torch.from_numpy(pixels()),), check_trace=False)
    images = np.concatenate([pixels(1, (1, 3, 40, 17)), 2 * pixels(2, (1, 3, 40, 17))])
    ours = recorded(torch.from_numpy(images)).numpy()
    for image, output in zip(images, ours, strict=True):
        alone = processed(image[None], tensor((step, kwargs)), {}, is_input=True)
        assert_equal(output[None], alone.astype(np.float32))


CHAINS = [
    [("scale_linear", {"gain": 2.0, "offset": -50.0}), ("zero_mean_unit_variance", SAMPLE), ("clip", {"min": -1.0, "max": 2.0})],
    [("clip", {"min": 10.0, "max": 90.0}), ("scale_range", {"min_percentile": 1.0, "max_percentile": 99.8, **PLANES})],
    [
        ("scale_range", {**PLANES}),
        ("clip", {"min": 0.0, "max": 1.0}),
        ("scale_linear", {"gain": 255.0}),
        ("ensure_dtype", {"dtype": "uint8"}),
    ],
    [("ensure_dtype", {"dtype": "uint8"}), ("ensure_dtype", {"dtype": "float32"}), ("zero_mean_unit_variance", {})],
]


@pytest.mark.parametrize("chain", range(len(CHAINS)))
def test_steps_one_after_the_other_give_what_bioimageio_gives(chain):
    array = pixels(chain)
    ours, theirs = processed(array, tensor(*CHAINS[chain]), {}, is_input=True), in_core(array, CHAINS[chain])
    assert_equal(ours, theirs)
    if theirs.dtype == np.uint8:
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    "kwargs", [{}, {"eps": 0.01, **PLANES}, SAMPLE, {"axes": ["batch", "y", "x"]}], ids=["all", "planes", "sample", "batch"]
)
@pytest.mark.parametrize("step", ["scale_mean_variance", "scale_range"])
def test_steps_with_a_reference_tensor_give_what_bioimageio_gives(step, kwargs):
    image, output = pixels(1), pixels(2) / 100 - 1
    asked = [(step, {"reference_tensor": "image", **kwargs})]
    inputs = {"image": NamedArray(array=image, axes=IDS)}
    ours = processed(output, tensor(*asked, name="restored"), inputs)
    assert_equal(ours, in_core(output, asked, v0_5.OutputTensorDescr, "restored", image=image))
    assert not np.allclose(ours, processed(output, tensor(*asked, name="restored"), {"image": NamedArray(array=image * 2, axes=IDS)}))


def test_the_axes_of_a_reference_tensor_are_matched_by_name():
    image, output = pixels(1), pixels(2)
    asked = [("scale_mean_variance", {"reference_tensor": "image", **PLANES})]
    turned = NamedArray(array=np.ascontiguousarray(image.transpose(0, 3, 2, 1)), axes=("batch", "x", "y", "channel"))
    straight = processed(output, tensor(*asked), {"image": NamedArray(array=image, axes=IDS)})
    assert np.allclose(processed(output, tensor(*asked), {"image": turned}), straight)
    mean, deviation = (getattr(image.astype(np.float64), kind)((2, 3), keepdims=True) for kind in ("mean", "std"))
    own_mean, own_deviation = (getattr(output.astype(np.float64), kind)((2, 3), keepdims=True) for kind in ("mean", "std"))
    assert np.allclose(straight, (output - own_mean) / (own_deviation + 1e-6) * (deviation + 1e-6) + mean, atol=1e-4)


def test_a_threshold_for_each_channel_lies_along_its_axis():  # bioimageio.core 0.11 lays it along x
    array = pixels()
    ours = processed(array, tensor(("binarize", {"axis": "channel", "threshold": [20.0, 40.0, 60.0]})), {})
    assert ours.dtype == np.float32
    assert np.array_equal(ours, array > np.array([20.0, 40.0, 60.0]).reshape(1, 3, 1, 1))


def test_a_threshold_gives_numbers_that_further_steps_take():
    array = pixels()
    ours = processed(array, tensor(("binarize", {"threshold": 60.0}), ("sigmoid", {})), {})
    assert_equal(ours, 1 / (1 + np.exp(-(array > 60.0).astype(np.float64))))


def test_a_bright_image_with_little_spread_is_normalised_as_in_float64():
    array = (60000 + 20 * np.random.default_rng(3).standard_normal((1, 1, 512, 512))).astype(np.float32)
    ours = processed(array, tensor(("zero_mean_unit_variance", {})), {}, is_input=True)
    exact = (array - array.mean(dtype=np.float64)) / (array.std(dtype=np.float64) + 1e-6)
    assert np.abs(ours - exact).max() < 1e-6


@pytest.mark.parametrize(
    ("step", "kwargs", "message"),
    [
        ("scale_linear", {"gain": "2"}, "scale_linear of 'image' with gain '2', and it must be a number"),
        ("scale_linear", {"gain": [1.0, 2.0], "axis": "channel"}, "must be a list of 3 numbers, one for each along channel"),
        ("scale_linear", {"gain": [1.0, 2.0, 3.0]}, "axis None, and it must be one of batch, channel, y, x"),
        ("scale_linear", {"gain": [1.0, None, 3.0], "axis": "channel"}, "must be a list of numbers"),
        ("scale_linear", {"gain": float("nan")}, "with gain nan, and it must be a number"),
        ("scale_linear", {"gain": 1e300}, r"with gain 1e\+300, and it must be a number"),
        ("scale_linear", {"offset": 10**400}, "and it must be a number"),
        ("scale_range", {"axes": ["z"]}, r"axes \['z'\], and it must be some of batch, channel, y, x"),
        ("scale_range", {"axes": "xy"}, "axes 'xy', and it must be some of batch"),
        ("scale_range", {"min_percentile": 60, "max_percentile": 40}, "min_percentile 60, and it must be below max_percentile"),
        ("scale_range", {"max_percentile": 101}, "a percentile from 0 to 100"),
        ("scale_range", {"reference_tensor": "mask"}, r"reference_tensor 'mask', and it must be an input \(image\)"),
        ("scale_mean_variance", {}, "reference_tensor None, and it must be an input"),
        ("scale_mean_variance", {"reference_tensor": ["image"]}, r"reference_tensor \['image'\]"),
        ("clip", {"min": 1.0, "min_percentile": 2.0}, "min 1.0, and it must be left out, or min_percentile"),
        ("softmax", {"axis": "z"}, "axis 'z', and it must be one of batch"),
        ("softmax", {"axis": ""}, "axis '', and it must be one of batch"),
        ("scale_linear", {"gain": [1.0, 2.0, 3.0], "axis": "z"}, "axis 'z', and it must be one of batch"),
        ("softmax", {"axis": ["y"]}, r"axis \['y'\], and it must be one of batch"),
        ("ensure_dtype", {"dtype": "object"}, "dtype 'object', and it must be one of float32"),
        ("ensure_dtype", {}, "dtype None"),
        ("fixed_zero_mean_unit_variance", {"mean": 1.0, "std": 0.0}, "std 0.0, and it must be above 0"),
        ("custom", {}, "'image' asks for custom, which is not known here: use bioimageio.core"),
    ],
)
def test_values_that_a_step_cannot_have_are_refused(step, kwargs, message):
    with pytest.raises(BundleInvalid, match=message):
        processed(pixels(), tensor((step, kwargs)), {"image": NamedArray(array=pixels(), axes=IDS)}, is_input=True)


def test_predict_runs_the_steps_before_and_behind_the_network(tiny):
    bundle = tiny("restored")
    folder = bundle.folder
    rdf = yaml.safe_load((folder / "rdf.yaml").read_text())
    rdf["inputs"][0]["preprocessing"] = [
        {"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}},
        {"id": "scale_linear", "kwargs": {"gain": 0.5}},
    ]
    rdf["outputs"][0]["postprocessing"] = [{"id": "binarize", "kwargs": {"threshold": 50.0}}]
    bundle = tiny("restored", inputs=rdf["inputs"], outputs=rdf["outputs"])
    image = np.array([[300.7, 10.2, 51.0]], np.float32)
    result = predict(bundle, Image(array=image, axes="yx")).images["restored"]
    assert result.array.tolist() == [[0.0, 0.0, 1.0]]  # 300.7 becomes 44 as uint8, times 0.5, times 2 in the network
    plain = tiny("restored", inputs=rdf["inputs"], outputs=[{**rdf["outputs"][0], "postprocessing": []}])
    assert predict(plain, Image(array=image, axes="yx")).images["restored"].array.tolist() == [[44.0, 10.0, 51.0]]


def test_statistics_are_those_of_the_image_and_not_of_what_is_added_to_its_edges(tiny):
    axes = [{"id": "batch", "type": "batch"}, {"id": "channel", "type": "channel", "channel_names": ["a"]}]
    axes += [{"id": axis, "type": "space", "size": {"min": 8, "step": 8}} for axis in "yx"]
    steps = [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}]
    array = np.random.default_rng(1).gamma(2, 50, (21, 13)).astype(np.float32)
    bundle = tiny("restored", inputs=[{"id": "image", "axes": axes, "preprocessing": steps}])
    result = predict(bundle, Image(array=array, axes="yx")).images["restored"].array
    exact = array.astype(np.float64)
    assert np.allclose(result, 2 * (exact - exact.mean()) / (exact.std() + 1e-6), atol=1e-5)


def test_what_differs_between_programs_or_planes_is_noted():
    chain = tensor(("scale_linear", {"gain": 2.0}), ("zero_mean_unit_variance", SAMPLE))
    (note,) = notes(chain, is_many=True, is_input=True)
    assert "zero_mean_unit_variance of 'image' uses statistics of the image before scale_linear, as bioimageio does" in note
    assert notes(chain, is_many=True) == []
    assert notes(tensor(("zero_mean_unit_variance", {})), is_many=False) == []
    (note,) = notes(tensor(("zero_mean_unit_variance", {})), is_many=True)
    assert "asks for statistics of a whole data set: each plane or time point was taken by itself" in note
    (note,) = notes(tensor(("scale_range", {"eps": 0.01, **PLANES})), is_many=True)
    assert "scale_range of 'image' asks for eps 0.01, and 1e-06 was used, as bioimageio.core does" in note
    usual = tensor(("ensure_dtype", {"dtype": "float32"}), ("scale_range", PLANES), ("clip", {"min": 0.0}))
    assert notes(usual, is_many=True, is_input=True) == []


FOREIGN = [
    (
        [("clip", {"min_percentile": 1.0, "max_percentile": 99.0, **SAMPLE}), ("zero_mean_unit_variance", SAMPLE)],
        [("scale_linear", {"axis": "channel", "gain": [2.0, 3.0], "offset": [0.5, -1.0]}), ("clip", {"min": 0.0, "max": 2.0})],
    ),
    ([("scale_range", {"min_percentile": 5.0, "max_percentile": 99.8, "axes": ["c", "y", "x"]})], [("softmax", {"axis": "c"})]),
    ([("fixed_zero_mean_unit_variance", {"mean": 60.0, "std": 20.0}), ("sigmoid", {})], [("binarize", {"threshold": 0.9})]),
    ([("ensure_dtype", {"dtype": "uint8"}), ("ensure_dtype", {"dtype": "float32"}), ("zero_mean_unit_variance", {})], [("sigmoid", {})]),
]


@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_a_whole_bundle_gives_what_bioimageio_predicts(number, tmp_path):
    before, behind = FOREIGN[number]
    draft = good()
    for tensor, key, steps in ((draft.rdf["inputs"][0], "preprocessing", before), (draft.rdf["outputs"][0], "postprocessing", behind)):
        tensor[key] = [{"id": name, **({"kwargs": kwargs} if kwargs else {})} for name, kwargs in steps]
    path = draft.write(tmp_path / "foreign.zip")
    array = pixels(number, (1, 3, 33, 27))[:, :1]
    ours = zooready.predict(path, array[0, 0]).images["probabilities"].array
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        description = load_model_description(path, perform_io_checks=False)
        pipeline = create_prediction_pipeline(description, weights_format="onnx")
        (theirs,) = core_predict(model=pipeline, inputs={"image": array}).members.values()
    assert_equal(ours[None], np.asarray(theirs.data, np.float64))
