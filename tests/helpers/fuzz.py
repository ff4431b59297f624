"""Seeded fuzzing of everything that looks at a description: ``python tests/helpers/fuzz.py [SECONDS] [SEED]``.

Each case is the description of the tiny bundle with one to three things changed; it goes through the reader, every rule and remark of
every program, and the specs of prediction, the macro and the plugin. An error of ``zooready.errors`` is an answer; anything else is a hit.
"""

import copy
import json
import random
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from foreign import good

from zooready.bundle import specs
from zooready.bundle.fitting import misfits
from zooready.bundle.rdf import not_understood
from zooready.bundle.reading import opened
from zooready.comparison.comparing import _channel_names
from zooready.consumers import CONSUMERS, consumer
from zooready.consumers.cellprofiler import headless
from zooready.consumers.deepimagej import fiji, in_fiji
from zooready.errors import ZooreadyError
from zooready.prediction import as_input
from zooready.prediction.whole import margins
from zooready.records import Image

SLOW_S = 20.0
NASTY = [
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, 0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), 2**31, 2**70, 10**400, 1000000),
    *("", "a", "wide", "zero", "0", "1e-05", "yes", "b", "yx", "bcyx", "é\u00ff", "\ud7ff", "\x00".replace("\x00", "\u2028"), "x" * 300),
    *("../x", "/etc/passwd", "weights.pt", "rdf.yaml", "README.md", "http://a/b", "image", "probabilities", "y"),
    *([], {}, [None], [[]], [{}], [1, 2], ["a", "a"], [0.5], {"a": 1}, {"min": 1.5, "step": 0.5}, {"min": 1, "step": 0}, {"step": 16}),
    *(
        {"min": 1000000, "step": 1},
        {"min": -5, "step": -1},
        {"tensor_id": "image"},
        {"tensor_id": None, "axis_id": []},
        {"source": "weights.pt"},
    ),
    *(
        {"min": float("inf"), "step": 1},
        {"tensor_id": "image", "axis_id": "y", "offset": "far"},
        {"source": 3},
        {"id": "clip", "kwargs": 3},
    ),
    *(
        [{"id": "clip", "kwargs": {"min": None}}],
        [{"id": None}],
        [{"name": ["a"]}],
        [{"id": {}, "kwargs": {}}],
        [None, "zero"],
        {"id": "zero"},
    ),
    *([{"id": "scale_linear", "kwargs": {"gain": [1, "a"], "offset": {}}}], [{"id": "binarize", "kwargs": {"threshold": None}}]),
    *(
        [{"id": "scale_range", "kwargs": {"min_percentile": "low", "axes": 3}}],
        [{"id": "zero_mean_unit_variance", "kwargs": {"axes": None}}],
    ),
]
KEYS = [
    *("size", "halo", "scale", "channel_names", "preprocessing", "postprocessing", "data", "offset", "axes", "id", "type", "name", "unit"),
    *("kwargs", "min", "step", "test_tensor", "sample_tensor", "source", "sha256", "config", "weights", "tolerance", "outputs", "cases"),
    *("test_inputs", "test_outputs", "format_version", "documentation", "architecture", "callable", "opset_version", "pytorch_version"),
    *(
        "deepimagej",
        "allow_tiling",
        "zooready",
        "pixel_size_um",
        "z_um",
        "crop_px",
        "objects",
        "diameter_px",
        "background",
        "measured",
        "kind",
        "shape",
        "data_type",
        "attachments",
    ),
]


def places(node, path=()):
    """Every path of keys and indices in a tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(rdf, rng):
    """A copy with one to three things changed, and what was changed, in words."""
    rdf, done = copy.deepcopy(rdf), []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(list(places(rdf)) or [()])
        if not path:
            break
        parent = rdf
        for key in path[:-1]:
            parent = parent[key]
        what = rng.choice(("replace", "replace", "replace", "delete", "double", "add", "move"))
        value = copy.deepcopy(rng.choice(NASTY))
        if what == "replace":
            parent[path[-1]] = value
        elif what == "delete":
            del parent[path[-1]]
        elif what == "double" and isinstance(parent, list):
            parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
        elif what == "add" and isinstance(parent[path[-1]], dict):
            parent[path[-1]][rng.choice(KEYS)] = value
        elif what == "move":
            other = rng.choice(list(places(rdf)))
            home = rdf
            for key in other:
                home = home[key]
            parent[path[-1]] = copy.deepcopy(home)
        done.append(f"{what} {'.'.join(map(str, path))} {value!r}"[:200])
    return rdf, "; ".join(done)


def unpacked(folder):
    """The files of the tiny bundle in a folder; the description without hashes."""
    path = good().write(folder / "tiny.zip")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "bundle")
    path.unlink()
    return folder / "bundle"


def tried(bundle_folder):
    """Look at a bundle as every command does; returns nothing, and raises what one of them would."""
    image = Image(array=np.zeros((1, 20, 24), np.uint16), axes="cyx")
    with opened(bundle_folder) as bundle:
        for name in CONSUMERS:
            module = consumer(name)
            for format in (*[one for one in module.READS if one in bundle.formats], None):
                answered(lambda module=module, format=format: list(module.objections(bundle, format)))
            if hasattr(module, "remarks"):
                answered(lambda module=module: list(module.remarks(bundle)))
        for look in (
            specs.input_spec,
            specs.output_specs,
            specs.size_steps,
            specs.pixel_range_um,
            specs.plane_distance_um,
            specs.trained_objects,
            specs.known_kind,
        ):
            answered(lambda look=look: look(bundle))
        for look in (specs.stated_crop_px, not_understood, _channel_names, headless.specs):
            answered(lambda look=look: list(look(bundle) or ()) if look is not specs.stated_crop_px else look(bundle))
        answered(lambda: [*in_fiji.objections(bundle, "torchscript"), *misfits(bundle)] or fiji.facts(bundle, "name"))  # as install does
        answered(lambda: list(zip(range(2), as_input(image, specs.input_spec(bundle)), strict=False)))
        answered(lambda: specs.input_spec(bundle) and margins((1, 1, 20, 24), bundle))
        answered(lambda: bundle.kinds)


def answered(look):
    """Let one look happen; a refusal is an answer."""
    try:
        look()
    except ZooreadyError:
        return


def attempt(folder, content):
    """None, or the traceback of what is no answer."""
    (folder / "rdf.yaml").write_bytes(content)
    started = time.monotonic()
    try:
        tried(folder)
    except ZooreadyError as error:
        return None if str(error) else "an error without words"
    except BaseException:
        return traceback.format_exc()
    return f"took {time.monotonic() - started:.0f} s" if time.monotonic() - started > SLOW_S else None


def text(rdf):
    return yaml.safe_dump(json.loads(json.dumps(rdf)), sort_keys=False, allow_unicode=True)


def damaged(content, rng):
    """The same with a few bytes changed, doubled or lost."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        new = rng.choice((b"", b"\xff", b"\0", b"\t", b": ", b"- ", b"\n", b"'", b"{", b"!!", b"&a ", b"*a ", content[at : at + 40]))
        content = content[:at] + new + content[at + rng.choice((0, 1, 1, 20)) :]
    return content


def main(seconds=60.0, seed=0):
    rng, hits, count = random.Random(seed), Counter(), 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = unpacked(Path(temporary))
        base = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
        for entry in list(places(base)):
            if entry[-1] == "sha256":
                parent = base
                for key in entry[:-1]:
                    parent = parent[key]
                del parent["sha256"]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rdf, what = mutated(base, rng)
            content = text(rdf).encode()
            if rng.random() < 0.1:
                what, content = "bytes", damaged(content, rng)
            count += 1
            if why := attempt(folder, content):
                where = "\n".join(why.strip().splitlines()[-5:])
                hits[where] += 1
                if hits[where] == 1:
                    sys.stdout.write(f"--- case {count}: {what}\n{where}\n\n")
    sys.stdout.write(f"{count} cases, {sum(hits.values())} hits, {len(hits)} different, seed {seed}\n")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3])))
