"""Networks that keep something from one image to the next, mix images, or see further than a NaN does."""

import pytest
import torch
from networks import ABOUT, cells, conv
from torch import nn
from torch.nn import functional

import zooready
from zooready.bundle.reading import opened
from zooready.errors import InputInvalid
from zooready.exporting import cases
from zooready.exporting.probing import measure, prepared
from zooready.exporting.reach import reads_anywhere
from zooready.exporting.trying import Trial
from zooready.formats.torchscript import tracing

EXAMPLE = torch.rand(1, 1, 50, 61, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    def refuse(job):
        raise TypeError("not in this test")

    monkeypatch.setattr(tracing, "_pickled", refuse)


def of(forward):
    class Of(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.kept = conv(1, 1), None
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x):
            return forward(self, x)

    return Of()


def averaging(self, x):
    self.count.mul_(0.9).add_(0.1 * x.mean())
    return x - self.count


def first_only(self, x):
    self.kept = self.inner(x) if self.kept is None or self.kept.shape != x.shape else self.kept
    return self.kept


@pytest.mark.parametrize(("forward", "name"), [(averaging, "count"), (first_only, "kept")], ids=["buffer", "attribute"])
def test_an_output_that_depends_on_earlier_images_is_refused_with_the_name(forward, name):
    with pytest.raises(InputInvalid, match=f"depends on the images that it saw before: it keeps {name} from one image"):
        measure(prepared(of(forward)), EXAMPLE)


def counting(self, x):
    self.count += 1
    return self.inner(x)


def test_a_count_of_images_is_in_the_bundle_as_it_was_given(tmp_path):
    network = of(counting)
    made = zooready.export(network, cells(40, 52), ABOUT, tmp_path / "a.zip", torchscript="plain", formats=("torchscript",))
    assert float(network.count) == 0
    with opened(made.path) as bundle:
        loaded = torch.jit.load(str(bundle.formats["torchscript"]))
    assert float(loaded.network.count) == 0


def test_two_images_with_one_score_are_refused():
    with pytest.raises(InputInvalid, match=r"output of shape \(1,\) instead of \(2,\): the network mixes the images of a batch"):
        measure(prepared(of(lambda self, x: x.mean().reshape(1))), EXAMPLE)


@pytest.mark.parametrize("of_all", [torch.mean, torch.max, torch.min])
def test_a_network_that_mixes_the_images_of_a_batch_says_so(of_all):
    found = measure(prepared(of(lambda self, x: x / (1 + of_all(x)))), EXAMPLE)
    assert "the images of a batch influence each other" in found.notes[0]


@pytest.mark.parametrize(
    ("forward", "halo"),
    [
        (lambda self, x: (functional.avg_pool2d(x, 9, 1, 4) > 0.5).float() * x, 4),
        (lambda self, x: functional.avg_pool2d(x, 9, 1, 4).nan_to_num(), 4),
        (lambda self, x: (x >= x.flatten(1).topk(9, 1).values[:, -1].view(-1, 1, 1, 1)).float() * x, None),
        (lambda self, x: functional.avg_pool2d(x, 9, 1, 4), 4),
    ],
    ids=["comparison", "nan_to_num", "top nine", "plain"],
)
def test_the_reach_is_seen_where_a_nan_dies(forward, halo):
    assert measure(prepared(of(forward)), EXAMPLE).halo == halo


def displaced(x):
    """An image whose pixels are read from where its values say."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
    grid = torch.stack([2 * (columns + x[:, 0]) / x.shape[3] - 1, 2 * (rows + x[:, 0]) / x.shape[2] - 1], -1)
    return functional.grid_sample(x, grid, align_corners=False)


@pytest.mark.parametrize(
    ("forward", "is_anywhere"),
    [
        (displaced, True),
        (lambda x: x.flatten(2).gather(2, x.flatten(2).long() % x.shape[2]).view(x.shape), True),
        (lambda x: x[:, :, (x.mean((0, 1, 3)) * 9).long() % x.shape[2]], True),
        (lambda x: torch.cat([x, 2 * x], 1).gather(1, (x > 0.5).long()), False),
        (lambda x: torch.arange(9.0)[(8 * x.sigmoid()).long()], False),
        (lambda x: functional.grid_sample(x, torch.rand(1, *x.shape[2:], 2), align_corners=False), False),
    ],
    ids=["displacement", "gather", "index", "channel", "table", "grid of its own"],
)
def test_places_that_pixels_decide_on_are_seen(forward, is_anywhere):
    assert reads_anywhere(Trial(network=of(lambda self, x: forward(x)), example=EXAMPLE)) is is_anywhere


def test_a_network_that_asserts_finite_pixels_has_a_reach():
    def asserting(self, x):
        assert torch.isfinite(x).all()
        return functional.avg_pool2d(x, 5, 1, 2)

    assert measure(prepared(of(asserting)), EXAMPLE).halo == 2


class Rough(nn.Module):
    """On a black image, float32 is 1 away from float64."""

    def forward(self, x):
        return x + (x.amax() == 0).to(x.dtype) * (x.dtype == torch.float32)


def test_a_black_image_on_which_float32_is_far_from_float64_is_left_out_and_told():
    image = cells(64, 80)[None, None].astype("float32")
    known = cases.cases(Rough(), image, {})
    kept, notes = cases.steady(Rough(), known, 1e-5)
    assert [case.name for case in kept] == ["test", "odd", "batch", "pixel", "offset"]
    assert (
        f"on the image 'black' the rounding of float32 moves the outputs by {1 / (image.max() - image.min()):.1g} of the range" in notes[0]
    )
    assert cases.steady(Rough(), known, 1.0) == (known, ())
