"""ilastik's Neural Network Classification, by written rules alone: it is never run here.

Its server tiktorch runs bundles with bioimageio.core, block by block. The rules were read in 2026-11, not run, in

- ``lazyflow/operators/tiktorch/classifier.py`` (ilastik/ilastik), which asks the server;
- pull requests 2480 and 2732 (ilastik/ilastik): one input and one output, in 2021 and in 2023; tiktorch's issue 153 is open;
- tiktorch's issue 210, "Pytorch StateDict Weights not working", and bioimage-io/spec-bioimage-io, pull request 549, "prefer torchscript";
- issue 2701 and pull request 2891 (ilastik/ilastik): seams between blocks where a network normalises its input.
"""

from __future__ import annotations

from collections.abc import Iterator

from zooready.consumers.description_rules import Rule, operators, understood
from zooready.consumers.qupath import kept
from zooready.consumers.tile_rules import no_halo, numbers_restart, whole_image
from zooready.records import Bundle, Format, Level

NAME = "ilastik"
READS: tuple[Format, ...] = ("torchscript",)
LEVEL: Level = "rules"
ASKED_ONLY = True
APPLIES_OPERATORS = True
BLOCK = 512  # px; ``enforce_min_shape`` of the classifier, in two dimensions


def missing() -> str | None:
    """How its user runs a bundle: ilastik is not among the programs that the check starts."""
    return (
        "open a project Neural Network Classification (Local) in ilastik, load the zip, and compare with zooready predict; its library "
        "bioimageio.core can be run here (consumers=['bioimageio'])."
    )


def objections(bundle: Bundle, format: Format | None) -> Iterator[str]:
    """Every rule that the bundle breaks, in words."""
    for rule in RULES:
        yield from rule(bundle)


def remarks(bundle: Bundle) -> Iterator[str]:
    """What a user will notice although nothing is refused."""
    named = sorted({step.name for step in operators(bundle) if step.name in ("scale_range", "zero_mean_unit_variance")})
    what = f"{' and '.join(named)} and whatever" if named else "whatever"
    yield (
        f"ilastik works in blocks ({BLOCK} px where the bundle leaves the size open), and {what} the network computes from its whole "
        "input, as a normalisation, is computed of each block, so that numbers equal those of Python only in images of one block"
    )
    yield from no_halo(bundle, "ilastik")
    yield from numbers_restart(bundle, "ilastik")
    yield from one_channel(bundle)


def versions() -> dict[str, str]:
    """When the rules were read."""
    return {"rules of ilastik": "read 2026-11"}


def has_torchscript(bundle: Bundle) -> Iterator[str]:
    """State dicts alone have failed (tiktorch's issue 210); TorchScript is what ilastik prefers."""
    if "torchscript" not in bundle.formats:
        yield (
            f"only {', '.join(bundle.formats)} inside, and ilastik prefers TorchScript (a state dict alone has failed there): add "
            "TorchScript."
        )


def one_input(bundle: Bundle) -> Iterator[str]:
    """The classifier asserts it: ``len(input_axes) == 1``."""
    inputs = [tensor.name for tensor in bundle.inputs]
    if len(inputs) != 1:
        yield f"{len(inputs)} inputs ({', '.join(inputs)}), and ilastik takes networks of exactly one: join them as channels of one input."


def one_output(bundle: Bundle) -> Iterator[str]:
    """The classifier asserts it: "Currently only single output shapes are supported"."""
    if len(bundle.outputs) != 1:
        yield (
            f"{len(bundle.outputs)} outputs ({', '.join(output.name for output in bundle.outputs)}), and ilastik takes networks of exactly "
            f"one: export a bundle for it that keeps a single output, e.g. keep=['{kept(bundle)}']."
        )


def has_channels(bundle: Bundle) -> Iterator[str]:
    """``known_classes`` of the classifier: "Channel Axis needed in output shape"; what has no y and x is no image to show."""
    for tensor in bundle.outputs:
        if not {"c", "y", "x"} <= set(tensor.axes):
            yield f"'{tensor.name}' has axes {tensor.axes!r}, and ilastik needs c, y and x: export another output."


def depends_on_the_block(bundle: Bundle) -> Iterator[str]:
    """Issue 2701: blocks come out wrong where values depend on more than the block."""
    yield from whole_image(bundle, "ilastik")


def one_channel(bundle: Bundle) -> Iterator[str]:
    """``predict`` of the classifier joins 1 - p to an output p of one channel, which is meant for a probability."""
    for output, array in zip(bundle.outputs, (bundle.cases[0].outputs if bundle.cases else ()), strict=False):
        if "c" in output.axes and array.ndim == len(output.axes) and array.shape[output.axes.index("c")] == 1:
            yield f"'{output.name}' has one channel p, to which ilastik adds a second, 1 - p"


RULES: tuple[Rule, ...] = (understood, has_torchscript, one_input, one_output, has_channels, depends_on_the_block)
