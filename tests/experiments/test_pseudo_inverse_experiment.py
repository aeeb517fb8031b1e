"""Cells are what they say: rows are unit vectors, truths have their kind, ends their places."""

import numpy as np
import pytest
import torch

from hdnotes import devices
from hdnotes.experiments import pseudo_inverse as experiment
from hdnotes.experiments.parameters import ParameterError, resolve


def test_cells_are_told_apart_at_every_profile() -> None:
    for profile in experiment.PROFILES:
        found = experiment.cells(resolve(experiment, profile, check_memory=False))
        assert len({repr(cell) for cell in found}) == len(found)
        assert {cell["kind"] for cell in found} == set(experiment.RUNS)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"samples": 40, "features": 40}, "samples = 40 is not allowed; it is below features"),
        ({"noisy_features": 90, "noisy_samples": 80}, "noisy_features = 90 is not allowed"),
        ({"conditions": [1.0]}, "conditions"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(given: dict, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        resolve(experiment, "smoke", given)


def test_rows_have_length_one_and_truths_mean_square_one() -> None:
    rows = experiment.draw_rows(5, 30, of=("rows",))
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(5))
    for kind in experiment.TRUTHS:
        truth = experiment.draw_truth(kind, 40, of=("truth",))
        assert float(truth.square().mean()) == pytest.approx(1)
        assert int((truth != 0).sum()) == (2 if kind == "sparse" else 40)
    signs = experiment.draw_truth("signs", 40, of=("truth",))
    assert signs.abs().unique().tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("method", ["SGD", "sign descent"])
def test_the_ends_are_measured_from_both_starts(method: str) -> None:
    cell = {"kind": "ends", "method": method, "truth": "Gaussian", "steps": 400}
    table = experiment.RUNS["ends"]({**cell, "samples": 3, "features": 12, "trials": 3}, "cpu")
    ends = table["ends"].query("residual < 0.001")
    assert set(ends.start) == set(experiment.STARTS)
    elsewhere = ends.distance > 0.05
    assert elsewhere.all() if method == "sign descent" else not elsewhere.any()
    np.testing.assert_allclose(ends.length**2, 1 + (ends.length**2 - 1), rtol=1e-12)
    assert (ends.query("start == 'zero'").length > 0.999).all()


def test_one_number_of_labels_is_enough_for_the_signs() -> None:
    cell = {"kind": "signs", "samples": 5, "positive": 0.6, "trials": 2, "steps": 500}
    adaptive = experiment.RUNS["signs"]({**cell, "method": "Adagrad"}, "cpu")["signs"]
    plain = experiment.RUNS["signs"]({**cell, "method": "GD"}, "cpu")["signs"]
    assert adaptive.to_signs.max() < 0.01 < 0.1 < adaptive.to_nearest.min()
    assert plain.to_nearest.max() < 0.01 < 0.1 < plain.to_signs.min()


@pytest.mark.parametrize("cache", [1 << 30, 1])  # all trials together, each alone
def test_the_pseudo_inverse_needs_one_step(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cache_bytes", lambda: cache)
    cell = {"kind": "rates", "condition": 3.0, "folds": 4.0, "samples": 4, "features": 8}
    table = experiment.RUNS["rates"]({**cell, "trials": 2}, "cpu")["rates"]
    last = table.groupby("method").error.last()
    assert last["pseudo-inverse"] < 1e-12
    assert 0.003 < last["GD"] < 0.03  # four e-foldings


def test_exact_means_are_met() -> None:
    cell = {"kind": "averaging", "samples": 12, "features": 3, "steps": 300, "trials": 20}
    table = experiment.RUNS["averaging"](cell, "cpu")["averaging"]
    last = table[table.point.eq("last")]
    far = (last["mean"] - last.predicted).abs() / (last.standard_error + 1e-12)
    assert far.max() < 5
    cell = {"kind": "kaczmarz", "condition": 3.0, "folds": 3.0, "samples": 4, "features": 8}
    table = experiment.RUNS["kaczmarz"]({**cell, "trials": 20}, "cpu")["kaczmarz"]
    assert (table.predicted <= table.bound * (1 + 1e-9)).all()
    assert ((table["mean"] / table.predicted)[table.predicted > 0.05]).between(0.7, 1.4).all()


def test_the_picture_ends_on_the_line_of_solutions() -> None:
    table = experiment.RUNS["picture"]({"kind": "picture"}, "cpu")["picture"]
    ends = table.groupby(["method", "start"]).last()
    np.testing.assert_allclose(ends.x + 2 * ends.y, experiment.VALUE, atol=0.02)
    np.testing.assert_allclose(ends.loc[("GD", 0)], (0.4, 0.8), atol=1e-3)
