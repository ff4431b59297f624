"""Things that can be wrong with any bundle, registered beside those of ``broken.py``: each changes a draft, or the zip once it is written.

``python tests/helpers/caught.py`` applies them to the tiny bundle and to every shipped one.
"""

import stat
import zipfile
from io import BytesIO

import numpy as np
from broken import broken
from foreign import dated, npy

UNDERSTOOD = "description cannot be understood .*"
ODD_VALUES = {  # name -> (what is wrong, side, key of the axis or tensor, value, what the message says)
    "min_fractional": ("min 1.5, step 0.5", "y", "size", {"min": 1.5, "step": 0.5}, "1.5 is no whole number from 0"),
    "step_zero": ("step 0", "y", "size", {"min": 1, "step": 0}, "0 is no whole number from 1"),
    "step_a_word": ("a step that is a word", "y", "size", {"min": 1, "step": "all"}, "'all' is no whole number"),
    "min_infinite": ("min .inf", "y", "size", {"min": float("inf"), "step": 1}, "inf is no whole number"),
    "min_enormous": ("min 1000000", "y", "size", {"min": 1000000, "step": 1}, "1000000 is no whole number from 0 to 65536"),
    "min_negative": ("min -5", "y", "size", {"min": -5, "step": 1}, "-5 is no whole number from 0"),
    "size_a_word": ("a size that is a word", "y", "size", "large", "'large' is no whole number"),
    "size_true": ("a size that is true", "y", "size", True, "True is no whole number"),
    "scale_infinite": ("scale .inf", "y", "scale", float("inf"), "inf is no positive number"),
    "scale_zero": ("scale 0", "y", "scale", 0, "0 is no positive number"),
    "channel_names_number": ("channel_names 0.5", "c", "channel_names", 0.5, "channel_names is 0.5"),
    "channel_names_empty": ("channel_names without a name", "c", "channel_names", [], r"channel_names is \[\]"),
    "channel_names_mixed": ("a channel named by a number", "c", "channel_names", [1], r"channel_names is \[1\]"),
    "halo_a_word": ("halo: wide", "output", "halo", "wide", "'wide' is no whole number"),
    "halo_negative": ("halo -4", "output", "halo", -4, "-4 is no whole number"),
    "axes_null": ("axes: null", "tensor", "axes", None, "axes are ''"),
    "axes_a_word": ("axes: wide", "tensor", "axes", "wide", r"axes are \['w', 'i', 'd', 'e'\]"),
    "axes_a_number": ("axes: 0.5", "tensor", "axes", 0.5, "axes are ''"),
    "preprocessing_a_word": ("preprocessing: zero", "tensor", "preprocessing", "zero", "preprocessing has 'zero'"),
    "data_a_list_of_null": ("data: [null]", "tensor", "data", [None], r"data is \[None\]"),
}


def axis_of(tensor, letter):
    return next(axis for axis in tensor["axes"] if axis.get("id", axis["type"])[0] == letter or axis["type"][0] == letter != "t")


def changed(side, key, value):
    """A change of the first input's axis, of the first input, or of the last axis of the first output."""

    def change(draft):
        tensor = draft.rdf["inputs"][0]
        home = {"tensor": tensor, "output": draft.rdf["outputs"][0]["axes"][-1]}.get(side) or axis_of(tensor, side)
        home[key] = value

    return change


for name, (what, side, key, value, message) in ODD_VALUES.items():
    odd = changed(side, key, value)
    odd.__name__ = name
    broken(what, UNDERSTOOD + message, anywhere=True)(odd)

AT_THE_TOP = {  # name -> (what is wrong, key, value, message): refused by the reader
    "version_0_50": ("format_version 0.50", "format_version", "0.50", "of format '0.50'.* written in full as in '0.5.4'"),
    "version_a_number": ("format_version without quotes, 0.5", "format_version", 0.5, "of format 0.5.* written in full"),
    "version_0_6": ("format_version 0.6.0", "format_version", "0.6.0", "reads models of format 0.4 and 0.5"),
    "version_null": ("no format_version", "format_version", None, "of format None"),
    "type_dataset": ("type: dataset", "type", "dataset", "is a 'dataset'"),
    "readme_outside": ("a README that points out of the bundle", "documentation", "../../secret.md", "leads out of the bundle"),
    "cover_outside": ("a cover that points out of the bundle", "covers", ["/etc/passwd.png"], "leads out of the bundle"),
    "weights_a_number": ("weights: 3", "weights", 3, "weights is 3, and must be a mapping"),
    "weights_of_keras": (
        "only weights that nobody here runs",
        "weights",
        {"keras_hdf5": {"source": "rdf.yaml"}},
        "of which zooready runs none",
    ),
    "outputs_null": ("outputs: null", "outputs", None, "outputs is None, and must be a list"),
    "outputs_a_word": ("outputs: all", "outputs", "all", "outputs is 'all', and must be a list"),
    "config_a_word": ("config: none", "config", "none", "config is 'none', and must be a mapping"),
    "test_inputs_a_number": ("test_inputs: 3", "test_inputs", 3, "rdf.yaml cannot be understood"),
}
for name, (what, key, value, message) in AT_THE_TOP.items():

    def at_the_top(draft, key=key, value=value):
        draft.rdf[key] = value

    at_the_top.__name__ = name
    broken(what, message, None, anywhere=True)(at_the_top)

SOURCES = {
    "source_climbs": ("a weight file outside the bundle", "../../weights.pt", "leads out of the bundle"),
    "source_absolute": ("a weight file by its place on a disk", "/etc/passwd", "leads out of the bundle"),
    "source_url": ("a weight file by its address", "https://example.com/weights.pt", "outside itself, and nothing is fetched"),
    "source_absent": ("a weight file that is not there", "nothing.pt", "names 'nothing.pt' but does not hold it"),
    "source_a_number": ("a weight file that is a number", 3, "refers to 3 outside itself"),
}
for name, (what, value, message) in SOURCES.items():

    def with_source(draft, value=value):
        draft.rdf["weights"]["torchscript"]["source"] = value

    with_source.__name__ = name
    broken(what, message, None, anywhere=True)(with_source)

TEXTS = {  # name -> (what is wrong, bytes of the text to bytes, message)
    "key_twice": ("a key that stands there twice", lambda text: text + b"\ntype: dataset\n", "the key 'type' stands there twice"),
    "alias": ("an alias", lambda text: text + b"\nx: &a [1]\ny: *a\n", r"uses the alias \*a"),
    "merge_key": ("a merge key", lambda text: text + b"\nx: {<<: {a: 1}}\n", "joins mappings in some programs only"),
    "no_utf8": ("a name with the byte 0xff", lambda text: text + b"\nx: \xff\n", "not readable YAML"),
    "no_yaml": ("no YAML", lambda text: b"a: [", "not readable YAML"),
    "python_tag": (
        "a tag that makes Python objects",
        lambda text: text + b"\nx: !!python/object/apply:os.getcwd []\n",
        "not readable YAML",
    ),
    "a_list": ("a list", lambda text: b"- a", "holds a list instead of a mapping"),
    "deep": ("nesting of 60 levels", lambda text: text + b"\nx: " + b"[" * 60 + b"]" * 60, "nests deeper than 50 levels"),
    "large": ("a description of 2 MB", lambda text: text + b"\nx: " + b"y" * 2_000_000, "at most 1048576 are read"),
}


def rewritten(path, change):
    """Write a zip anew; ``change`` gives (name, content) for each member, and may give more."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in change(members):
            archive.writestr(dated(info) if isinstance(info, str) else info, content, zipfile.ZIP_DEFLATED, 1)


for name, (what, edit, message) in TEXTS.items():

    def with_text(path, edit=edit):
        rewritten(path, lambda members: [(n, edit(c) if n == "rdf.yaml" else c) for n, c in members.items()])

    broken(what, message, None, anywhere=True, after=with_text)(type(name, (), {"__name__": name, "__call__": lambda self, draft: None})())


def link(members):
    info = zipfile.ZipInfo("link.npy")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return [*members.items(), (info, "/etc/passwd")]


ZIPS = {  # name -> (what is wrong, members to pairs of name and content, message)
    "two_descriptions": (
        "a.rdf.yaml beside rdf.yaml",
        lambda members: [*members.items(), ("a.rdf.yaml", b"type: model")],
        "holds a.rdf.yaml beside rdf.yaml",
    ),
    "two_cases": ("RDF.yaml beside rdf.yaml", lambda members: [*members.items(), ("RDF.yaml", b"")], "'RDF.yaml' twice"),
    "climbing": ("a member that climbs out", lambda members: [*members.items(), ("../x", b"")], "leads out of the bundle"),
    "a_link": ("a link", link, "which is a link or a device"),
    "a_folder_around": (
        "a folder around the files",
        lambda members: [(f"tiny/{name}", content) for name, content in members.items()],
        "no rdf.yaml at its root; it lies at tiny/rdf.yaml",
    ),
    "a_bomb": ("a member that unpacks to a thousand times its size", lambda m: [*m.items(), ("x.npy", bytes(2**27))], "how zip bombs look"),
    "many_bombs": (
        "members that together unpack to a thousand times their size",
        lambda m: [*m.items(), *((f"{n}.npy", bytes(2**24)) for n in range(5))],
        r"how zip bombs look \(5 such files\)",
    ),
    "many_files": ("2,100 members", lambda m: [*m.items(), *((f"{n}.txt", b"") for n in range(2100))], "at most 2000 are unpacked"),
}
for name, (what, edit, message) in ZIPS.items():

    def zipped_so(path, edit=edit):
        rewritten(path, edit)

    broken(what, message, None, anywhere=True, after=zipped_so)(type(name, (), {"__name__": name, "__call__": lambda self, draft: None})())


def file_of(draft, format):
    return draft.rdf["weights"][format]["source"]


def torchscript_members(draft, change):
    """Write the TorchScript file anew with other members."""
    with zipfile.ZipFile(BytesIO(draft.files[file_of(draft, "torchscript")])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in change(members):
            archive.writestr(dated(name), content)
    draft.files[file_of(draft, "torchscript")] = stream.getvalue()


NOT_LOADED = "on no list of operators that only compute, so it is not loaded"


@broken("TorchScript with code in upper case", rf"unknown::code/.*\.PY.*{NOT_LOADED}", "torch", anywhere=True)
def torchscript_in_upper_case(draft):
    torchscript_members(draft, lambda members: [(f"{n[:-3]}.PY" if n.endswith(".py") else n, c) for n, c in members.items()])


@broken("TorchScript with a member that no exporter writes", f"unknown::evil.so, {NOT_LOADED}", "torch", anywhere=True)
def torchscript_with_a_library(draft):
    torchscript_members(draft, lambda members: [*members.items(), (f"{next(iter(members)).split('/')[0]}/evil.so", b"")])


@broken("TorchScript that maps a file", f"aten::from_file, {NOT_LOADED}", "torch", anywhere=True)
def torchscript_that_maps_a_file(draft):
    def more(members):
        for name, content in members.items():
            is_code = name.endswith(".py") and b"def forward" in content
            yield name, content + b"\ndef f(x: Tensor) -> Tensor:\n  return torch.from_file('a', True, 4)\n" if is_code else content

    torchscript_members(draft, more)


@broken("TorchScript that is none", f"is no TorchScript zip.*{NOT_LOADED}", "torch", anywhere=True)
def torchscript_of_garbage(draft):
    draft.files[file_of(draft, "torchscript")] = b"garbage" * 100


@broken("ONNX cut off", "weights.onnx is no readable ONNX file", "onnxruntime", anywhere=True)
def onnx_cut_off(draft):
    draft.files[file_of(draft, "onnx")] = draft.files[file_of(draft, "onnx")][:-300]


@broken(
    "a stated opset that is not the file's", "rdf.yaml says opset_version 16 and weights.onnx has opset 17", "onnxruntime", anywhere=True
)
def opset_that_lies(draft):
    draft.rdf["weights"]["onnx"]["opset_version"] = 16


@broken("an IR version that is not the file's", "says that it has IR 2, and names its operators' version", "onnxruntime", anywhere=True)
def ir_that_lies(draft):
    import onnx

    model = onnx.load_model_from_string(draft.files[file_of(draft, "onnx")])
    model.ir_version = 2
    draft.files[file_of(draft, "onnx")] = model.SerializeToString()


@broken("a test output of another network", "differs by .* of its range", "onnxruntime", "differs", anywhere=True)
def another_test_output(draft):
    name = draft.rdf["outputs"][0]["test_tensor"]["source"]
    array = np.load(BytesIO(draft.files[name]))
    draft.files[name] = npy(array + (np.arange(array.size).reshape(array.shape) % 7).astype(array.dtype))


@broken("a test output of objects", "is not a .npy of plain numbers", None, anywhere=True)
def test_output_of_objects(draft):
    draft.files[draft.rdf["outputs"][0]["test_tensor"]["source"]] = npy(np.array([{"a": 1}], dtype=object))


@broken("a test output cut off", "is not a .npy of plain numbers", None, anywhere=True)
def test_output_cut_off(draft):
    name = draft.rdf["outputs"][0]["test_tensor"]["source"]
    draft.files[name] = draft.files[name][:-3]


def swap(tensor):
    places = [n for n, axis in enumerate(tensor["axes"]) if axis.get("id") in ("y", "x")]
    tensor["axes"][places[0]], tensor["axes"][places[1]] = tensor["axes"][places[1]], tensor["axes"][places[0]]


@broken("y and x of the input have changed places", "has the shape .* where the description gives", anywhere=True)
def input_axes_swapped(draft):
    swap(draft.rdf["inputs"][0])


@broken("a channel too many", "has the shape .* where the description gives", anywhere=True)
def a_channel_too_many(draft):
    axis_of(draft.rdf["inputs"][0], "c")["channel_names"] = [f"channel{n}" for n in range(9)]


@broken("a tolerance without bounds", "claims a tolerance of 1e9 for onnx|claims a tolerance of 1000000000", None, anywhere=True)
def tolerance_without_bounds(draft):
    draft.rdf.setdefault("config", {}).setdefault("zooready", {})["tolerance"] = {"onnx": 1000000000}


@broken("a case without its outputs", r"cases\[0\] needs a name, an input and", None, anywhere=True)
def case_without_outputs(draft):
    draft.rdf["config"]["zooready"]["cases"][0]["outputs"] = []
