from dataclasses import replace

import numpy as np
import pytest
import torch

from zooready.evaluation import deconvolution, deconvolution_cards
from zooready.evaluation import superres as evaluation
from zooready.families import superres
from zooready.families.superres import CONFOCAL_TO_STED

torch.set_num_threads(1)
OWN, INPUT = evaluation.NETWORK, deconvolution.INPUT


@pytest.fixture(scope="module")
def untrained():
    """Weights of a network that returns its input: its numbers must be those of the input itself."""
    return superres.STED_FAMILY.network.architecture.build().state_dict()


@pytest.fixture
def few(monkeypatch):
    """One field of each kind instead of several."""
    for name, value in {"LUCY_ITERATIONS": (30, 100), "WIENER_NOISE": (0.01,)}.items():
        monkeypatch.setattr(deconvolution, name, value)
    settings = {"PER_KIND": 1, "UNSEEN_PER_KIND": 1, "ROBUST_FIELDS": 1, "POINT_FIELDS": 1, "EMPTY_FIELDS": 1}
    for name, value in settings.items():
        monkeypatch.setattr(evaluation, name, value)


def test_a_network_that_does_nothing_scores_as_the_input(untrained, few):
    family = replace(superres.STED_FAMILY, network=replace(superres.STED_FAMILY.network, head=None))  # its own sharpens
    measured = evaluation.measure(family, CONFOCAL_TO_STED, (150.0,), untrained)
    for title in ("held-out", "unseen", "resolution", "nothing"):
        rows = {row["method"]: row for row in measured["tables"][title]}
        same = {key: value for key, value in rows[INPUT].items() if key not in ("method", "worst field minus input, dB")}
        assert {key: rows[OWN][key] for key in same} == pytest.approx(same, abs=0.001)
    assert measured["tables"]["held-out"][-1]["worst field minus input, dB"] == pytest.approx(0, abs=0.001)
    assert measured["metrics"]["worst_gain"] == pytest.approx(0, abs=0.001)
    assert measured["metrics"]["psnr_unseen"] == measured["metrics"]["psnr_unseen_input"]
    for title in ("specimens", "microscope and light"):
        assert all(row[f"{OWN}, dB"] == pytest.approx(row[f"{INPUT}, dB"], abs=0.01) for row in measured["tables"][title])
    assert set(measured["measured_on"]) == set(measured["tables"])


def test_nrmse_and_the_worst_field_are_those_of_their_formulas():
    scores = [{INPUT: (20.0, 0.5), OWN: (30.0, 0.9)}, {INPUT: (26.0, 0.5), OWN: (25.0, 0.9)}]
    row = evaluation.averaged(scores)[1]
    assert (row["method"], row["psnr"], row["worst field minus input, dB"]) == (OWN, 27.5, -1.0)
    assert row["NRMSE"] == pytest.approx((10**-1.5 + 10**-1.25) / 2)


def test_rows_of_kinds_take_turns_as_the_fields_do():
    kinds = evaluation.KNOWN[:2]
    fields = [{INPUT: (10.0, 0), deconvolution.LUCY_BEST: (10.0, 0), OWN: (10.0 + index, 0)} for index in range(4)]
    rows = evaluation.by_kind(fields, kinds)
    assert [row[f"{OWN}, dB"] for row in rows] == [11.0, 12.0]
    assert [row["worst field minus input, dB"] for row in rows] == [0.0, 1.0]
    assert rows[0]["method"] == f"{kinds[0].__name__} (structure)"


def test_fields_have_widths_of_training_and_no_seed_of_it():
    fields = evaluation.fields(CONFOCAL_TO_STED, evaluation.KNOWN, deconvolution.HELD_OUT_SEED, 12)
    nominal = CONFOCAL_TO_STED.seen.optics.wavelength_nm
    widths = {round(field.optics.wavelength_nm / nominal, 6) for field in fields}
    assert widths <= set(superres.WIDTHS)
    assert len(widths) > 2
    assert not np.array_equal(fields[0].image, fields[10].image), "the same kind again, another field"


def test_the_spot_check_uses_the_first_fields_of_each_set():
    spot = evaluation.sets(CONFOCAL_TO_STED, deconvolution_cards.SPOT)
    assert {name: len(fields) for name, fields in spot.items()} == {"held-out": 3, "unseen": 3}
    again = evaluation.fields(CONFOCAL_TO_STED, evaluation.UNSEEN, deconvolution.UNSEEN_SEED, 2)
    assert np.array_equal(spot["unseen"][1].image, again[1].image)
