"""Values that Python takes from pixels: which of them decide on the outputs, and which are only looked at."""

import numpy as np
import pytest
import torch
from torch import nn

from zooready.formats import branches
from zooready.formats.branches import DataBranch

EXAMPLE = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))


def network(forward, **buffers):
    class Of(nn.Module):
        def __init__(self):
            super().__init__()
            for name, value in buffers.items():
                self.register_buffer(name, value)

        def forward(self, x):
            return forward(self, x)

    return Of()


def exported(of):
    """Ask `torch.export`, at one size, which takes less time."""
    return lambda: torch.export.export(of, (EXAMPLE,), strict=False)


IF = r"an 'if' hangs on pixel values \(test_branches.py:\d+\).*one of its branches.*use torch.where"
LEAVES = r"pixels leave PyTorch \(test_branches.py:\d+\).*the example's numbers.*without numpy\(\) and tolist\(\)"
NUMBER = r"Python takes a number from pixels \(test_branches.py:\d+\).*the example's number.*leave out float\(\), int\(\) and item\(\)"
LENGTH = r"a length hangs on pixel values \(test_branches.py:\d+\).*the example's length.*sums over a mask"
DECIDING = {
    "allclose": (lambda self, x: x * 2 if torch.allclose(x, x.flip(-1)) else x, IF),
    "equal": (lambda self, x: x * 2 if torch.equal(x, x.flip(-1)) else x, IF),
    "is_nonzero": (lambda self, x: x * 2 if torch.is_nonzero(x.sum()) else x, NUMBER),
    "numpy": (lambda self, x: x * float(x.max().numpy()), LEAVES),
    "asarray": (lambda self, x: x * float(np.asarray(x).max()), LEAVES),
    "tolist": (lambda self, x: x * x.flatten().tolist()[3], LEAVES),
    "list index": (lambda self, x: x * [1.0, 2.0, 3.0][(x.mean() > 0).long()], NUMBER),
    "rare": (lambda self, x: x * 2 if x.mean() < -1e6 else x, IF),
    "number": (lambda self, x: x * 2 if x.max().item() > 300 else x, NUMBER),
    "padding": (lambda self, x: nn.functional.pad(x, (1, 1), value=float(x.min())), NUMBER),
    "numel": (lambda self, x: x if x[x > 2].numel() == 0 else x * 2, LENGTH),
    "shape": (lambda self, x: x * 2 if (x > 2).nonzero().shape[0] > 20 else x, LENGTH),
    "len": (lambda self, x: x * 2 if len(torch.unique(x.round())) > 2 else x, LENGTH),
    "loop": (lambda self, x: sum((x[:, :, row, column].sum() for _, _, row, column in (x > 0.99).nonzero()), x), LENGTH),
}


@pytest.mark.parametrize("name", DECIDING)
@pytest.mark.filterwarnings("ignore")
def test_a_value_that_decides_is_refused_with_its_place(name):
    forward, message = DECIDING[name]
    of = network(forward)
    with pytest.raises(DataBranch, match=message):
        branches.refuse(of, EXAMPLE, exported(of))


def test_a_selection_whose_length_decides_on_nothing_is_no_branch():
    of = network(lambda self, x: x / (1 + x[x > x.mean()].mean()) + x.flatten(1)[:, torch.arange(20)].shape[1])
    assert branches.refuse(of, EXAMPLE, exported(of)) == ()


def asserting(self, x):
    assert torch.isfinite(x).all()
    return x * 2


def test_an_assertion_on_pixels_is_told_and_no_branch():
    of = network(asserting)
    (line,) = branches.refuse(of, EXAMPLE, exported(of))
    assert line.startswith("test_branches.py:")
    assert line.endswith("a check of pixel values is not in the file")


@pytest.mark.parametrize(
    "forward",
    [lambda self, x: x * 2 if self.flag else x, lambda self, x: x * 2 if x.shape[-1] > 5 else x, lambda self, x: x[x > 0.5].sum() * x],
    ids=["a buffer", "a size", "a mask"],
)
def test_what_hangs_on_no_pixel_is_no_branch(forward):
    assert branches.taken(network(forward, flag=torch.tensor(True)), EXAMPLE) == ()


def test_a_tensor_that_was_filled_with_pixels_is_watched_too():
    def filling(self, x):
        held = torch.zeros_like(x)
        held.copy_(x)
        return x * 2 if held.mean() > 0 else x

    with pytest.raises(DataBranch):
        branches.refuse(network(filling), EXAMPLE, exported(network(filling)))
