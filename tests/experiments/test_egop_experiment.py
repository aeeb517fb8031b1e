"""The experiment of chapter `egop`: impossible sizes, its cells, its draws."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import egop
from hdnotes.experiments.parameters import ParameterError, resolve

HUGE = {
    "d": 10**6,
    "trials": 10**7,
    "gradients_per_dimension": 1e7,
    "digits_gradients_per_parameter": 1e6,
    "landscape_trials": 10**8,
    "steps": 10**9,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_size_that_cannot_fit_is_refused_whichever_parameter_asks_for_it(name):
    with pytest.raises(ParameterError, match=f"{name} = .* needs about .* of memory"):
        resolve(egop, "quick", {name: HUGE[name]})


@pytest.mark.parametrize("profile", egop.PROFILES)
def test_every_profile_fits_in_four_gigabytes_and_asks_for_each_cell_once(profile):
    p = resolve(egop, profile)
    assert egop.memory(p) < 4 << 30
    cells = [str(cell) for cell in egop.cells(p)]
    assert len(set(cells)) == len(cells)


def test_a_problem_is_the_same_whichever_trials_run_beside_it():
    p = resolve(egop, "smoke", {"d": 16})
    (cell,) = [c for c in egop.cells(p) if c["kind"] == "headline" and c["d"] == 16]
    two = egop.RUNS["headline"]({**cell, "trials": 2}, "cpu")["headline"]
    one = egop.RUNS["headline"]({**cell, "trials": 1}, "cpu")["headline"]
    first = two[two.trial == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, one, rtol=1e-6)


def test_curves_are_kept_at_the_best_rate_in_original_coordinates_and_at_the_largest():
    p = resolve(egop, "smoke", {"d": 16})
    (cell,) = [c for c in egop.cells(p) if c["kind"] == "headline" and c["d"] == 16]
    tables = egop.RUNS["headline"](cell, "cpu")
    runs = tables["headline"]
    kept = tables["headline_curves"].groupby("method").learning_rate.agg(set)
    for method, rows in runs.groupby("method"):
        medians = rows[rows.coordinates == "original"].groupby("learning_rate").final_loss.median()
        assert kept[method] == {medians.idxmin(), rows.learning_rate.max()}
    last = tables["headline_curves"].query(f"step == {cell['steps']}")
    key = ["trial", "method", "coordinates", "learning_rate"]
    both = last.merge(runs, on=key)
    assert len(both) == len(last)
    assert both.loss.tolist() == pytest.approx(torch.tensor(both.final_loss).float())


def test_the_preset_runs_are_the_race_s_from_another_start():
    p = resolve(egop, "smoke", {"d": 16})
    plain, preset = (
        next(c for c in egop.cells(p) if c["kind"] == kind and c["d"] == 16)
        for kind in ("headline", "preset")
    )
    expected = egop.RUNS["headline"]({**plain, "adagrad_start": 0.1}, "cpu")
    found = egop.RUNS["preset"](preset, "cpu")
    assert preset["adagrad_start"] == p.adagrad_preset == 0.1
    for name in ("headline", "headline_curves"):
        rows = expected[name].query("method == 'Adagrad'").drop(columns="method")
        assert set(found[name].method) == {"Adagrad, preset"}
        pd.testing.assert_frame_equal(
            found[name].drop(columns="method"), rows.reset_index(drop=True), rtol=1e-6
        )


def test_the_landscape_runs_both_starts_on_the_same_problems():
    cell = {"kind": "landscape", "steps": 20, "trials": 1, "adagrad_preset": 1e-300}
    tables = egop.RUNS["landscape"](cell, "cpu")
    for name in ("landscape", "landscape_path"):
        zero, preset = (
            tables[name].query(f"method == '{m}'").drop(columns="method").reset_index(drop=True)
            for m in egop.ADAGRADS
        )
        pd.testing.assert_frame_equal(zero, preset)
    other = egop.RUNS["landscape"]({**cell, "adagrad_preset": 0.1}, "cpu")["landscape"]
    ends = other.groupby("method").suboptimality.median()
    assert ends["Adagrad"] != ends["Adagrad, preset"]
