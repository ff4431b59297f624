from dataclasses import replace

import numpy as np
import pytest

from zooready.errors import InputInvalid
from zooready.simulate.emission import Dye, Light

DYE = Dye(photons_per_s=2000.0, background_per_s=30.0, exposure_ms=200.0, bleaching_s=1.5)
SPECIMEN = Light(array=np.array([[0.0, 0.25, 1.0]]), axes="yx", unit="dye", pixel_size_um=0.1)


def test_photons_are_rate_times_time_while_nothing_bleaches():
    steady = replace(DYE, bleaching_s=np.inf)
    assert steady.photons() == pytest.approx(400)
    assert steady.photons(9) == pytest.approx(400)
    assert steady.background == pytest.approx(6)


def test_bleaching_is_exponential_within_and_between_exposures():
    t = np.linspace(0, 0.2, 20001)
    assert DYE.photons() == pytest.approx(np.trapezoid(2000 * np.exp(-t / 1.5), t))
    assert DYE.photons(5) == pytest.approx(DYE.photons() * np.exp(-5 * 0.2 / 1.5))
    assert sum(DYE.photons(frame) for frame in range(200)) == pytest.approx(2000 * 1.5)  # all that the dye has


def test_emission_is_dye_times_photons_with_its_unit():
    light = DYE.emission(SPECIMEN, frame=2)
    assert light.array == pytest.approx(SPECIMEN.array * DYE.photons(2))
    assert (light.unit, light.axes, light.pixel_size_um, light.z_step_um) == ("photons", "yx", 0.1, None)


@pytest.mark.parametrize("change", [{"photons_per_s": 100.0}, {"exposure_ms": 10.0}, {"bleaching_s": 0.1}])
def test_every_parameter_changes_the_photons(change):
    assert abs(replace(DYE, **change).photons() / DYE.photons() - 1) > 0.1


def test_the_background_follows_its_rate_and_the_exposure():
    assert replace(DYE, background_per_s=60.0).background == 2 * DYE.background == replace(DYE, exposure_ms=400.0).background


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photons_per_s": -5.0}, r"photons_per_s=-5\.0: it must be a positive number"),
        ({"exposure_ms": np.inf}, r"exposure_ms=inf: it must be a positive number"),
        ({"bleaching_s": np.nan}, r"bleaching_s=nan: it must be a positive number"),
        ({"background_per_s": -1.0}, r"background_per_s=-1\.0: it must be zero or more"),
        ({"background_per_s": np.nan}, r"background_per_s=nan: it must be zero or more"),
    ],
)
def test_impossible_dyes_are_refused(change, message):
    with pytest.raises(InputInvalid, match=message):
        replace(DYE, **change)
