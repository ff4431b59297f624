import numpy as np
import pytest
import torch

from zooready.nets.bcr import BCR, analysis, enlarged, synthesis

torch.set_num_threads(1)
TINY = {"width": 2, "levels": 2, "depth": 1, "inverse": 1}


def count(**settings):
    return sum(weights.numel() for weights in BCR(**settings).parameters())


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (1, 2, 5, 4, 6)], ids=["image", "stack"])
def test_synthesis_undoes_analysis(shape):
    image = torch.randn(shape)
    assert torch.allclose(synthesis(analysis(image)), image, atol=1e-6)


def test_analysis_keeps_the_energy_and_puts_means_first():
    image = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    bands = analysis(image)
    assert float(bands.square().sum()) == pytest.approx(float(image.square().sum()))
    assert torch.allclose(bands[:, :2], 2 * torch.nn.functional.avg_pool2d(image, 2))


def test_detail_bands_see_the_direction_of_an_edge():
    columns = torch.zeros(1, 1, 4, 4)
    columns[..., ::2] = 1  # changes along x only
    _, across, down, diagonal = analysis(columns)[0]
    assert across.abs().min() > 0.9
    assert down.abs().max() == diagonal.abs().max() == 0
    _, across, down, _ = analysis(columns.mT)[0]
    assert down.abs().min() > 0.9
    assert across.abs().max() == 0


def test_the_shipped_sizes_have_the_stated_numbers_of_parameters():
    assert count(width=8, levels=3, depth=3, inverse=8) == 270_532
    assert count(width=8, levels=2, depth=1, inverse=3, dimensions=3) == 256_068
    assert 20 * 270_532 < 7_762_465  # of the U-Net that it is compared with


def test_each_level_may_have_a_depth_of_its_own():
    assert count(width=8, levels=3, depth=(3, 8), inverse=8) == 363_012
    assert count(levels=3, depth=(3, 3)) == count(levels=3, depth=3)
    assert [len(block) for block in BCR(levels=3, depth=[1, 2]).stages[0].bands] == [1, 2]
    with pytest.raises(ValueError, match=r"depth=\(3, 8\): give one number, or one for each of the 1 levels after the first"):
        BCR(levels=2, depth=(3, 8))
    with pytest.raises(ValueError, match="depth=0: use 1 or more"):
        BCR(levels=3, depth=(3, 0))


@pytest.mark.parametrize("change", [{"width": 3}, {"levels": 3}, {"depth": 2}, {"inverse": 2}, {"resolutions": 2}, {"dimensions": 3}])
def test_every_parameter_changes_the_network(change):
    assert count(**{**TINY, **change}) != count(**TINY)


def test_an_untrained_network_returns_the_image():
    image = torch.randn(2, 1, 8, 12)
    assert torch.equal(BCR(**TINY)(image), image)


def test_planes_of_a_stack_are_free_and_neighbours_are_seen():
    torch.manual_seed(0)
    network = BCR(**TINY, dimensions=3).eval()
    torch.nn.init.normal_(network.stages[0].last.weight)
    stack = torch.randn(1, 1, 5, 8, 12)
    changed = stack.clone()
    changed[:, :, 2] += 1
    with torch.no_grad():
        difference = (network(changed) - network(stack)).abs().amax((0, 1, 3, 4))
    assert (difference[[1, 3]] > 1e-4).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_scales_are_halves_and_the_finest_is_what_forward_gives(dimensions):
    torch.manual_seed(0)
    network = BCR(**TINY, resolutions=3, dimensions=dimensions).eval()
    for stage in network.stages:
        torch.nn.init.normal_(stage.last.weight)
    image = torch.randn((1, 1, 3, 16, 32)[:5] if dimensions == 3 else (1, 1, 16, 32))
    with torch.no_grad():
        fine, half, quarter = network.scales(image)
        assert torch.equal(network(image), fine)
    assert [tuple(scale.shape[-2:]) for scale in (fine, half, quarter)] == [(16, 32), (8, 16), (4, 8)]


def test_the_finest_resolution_sees_the_coarser_ones():
    torch.manual_seed(0)
    network = BCR(**TINY, resolutions=2).eval()
    for stage in network.stages:
        torch.nn.init.normal_(stage.last.weight)
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        before = network(image)
        network.stages[1].last.bias += 5
        assert not torch.allclose(network(image), before, atol=1e-3)


def test_enlarging_keeps_a_ramp():
    ramp = torch.arange(8.0).expand(1, 1, 2, 8)
    assert np.allclose(enlarged(ramp)[0, 0, 0, 1:-1], np.arange(0.25, 7, 0.5))
    assert enlarged(ramp[:, :, None]).shape == (1, 1, 1, 4, 16)


def test_the_last_layer_stays_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert BCR(**TINY)(torch.randn(1, 1, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width=0: use 1 or more"),
        ({"levels": 0}, "levels=0: use 1 or more"),
        ({"resolutions": 4}, "resolutions=4: use 1, 2 or 3"),
        ({"dimensions": 4}, "dimensions=4: use 2 or 3"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        BCR(**wrong)
