"""Measured and modelled cells are twins, tasks are what they say, and the floors are met."""

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments import matrix_recovery_explained as explained
from hdnotes.experiments.matrix_recovery import METHODS
from hdnotes.experiments.parameters import resolve
from hdnotes.optimizers import Method


def test_every_measured_cell_has_a_twin() -> None:
    found = explained.cells(resolve(explained, "paper", check_memory=False))
    of = {kind: [c for c in found if c["kind"] == kind] for kind in ("measured", "model")}
    plain = [[{**c, "kind": ""} for c in of[kind]] for kind in of]
    assert plain[0] == plain[1]
    assert {c["size"] for c in found if c["kind"] == "race"} == {64, 256, 1024}
    assert {c["size"] for c in found if c["kind"] == "ablation"} == {64, 256, 1024}
    keys = [repr(sorted(c.items())) for c in found]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("spectrum", ["flat", "1 to 5"])
def test_a_task_has_the_rank_and_the_spectrum_asked_for(spectrum: str) -> None:
    task = explained.draw_task(
        12, 20, 3, of=("task",), dtype=torch.float64, rank=5, spectrum=spectrum
    )
    inputs = task.problem.inputs[0].flatten(0, 1)
    assert torch.linalg.matrix_rank(inputs) == 5
    assert torch.allclose(inputs.norm(dim=1), torch.ones(60))
    assert torch.allclose(inputs @ task.basis @ task.basis.T, inputs)
    values = torch.linalg.svdvals(task.phi)
    assert values.square().mean().item() == pytest.approx(1)
    assert (values[0] / values[-1]).item() == pytest.approx(5 if spectrum != "flat" else 1)
    assert task.snr_db(torch.zeros(12, 12)) == pytest.approx(0)
    beyond = torch.eye(12) - task.basis @ task.basis.T  # no input sees an error there
    assert task.snr_db((task.phi + beyond).T) > 250


def test_all_spectra_share_their_samples() -> None:
    flat, spread = (
        explained.draw_task(8, 5, 2, of=("same",), spectrum=s).problem.inputs[0]
        for s in ("flat", "1 to 5")
    )
    assert torch.equal(flat, spread)


def test_the_floors_are_met() -> None:
    cell = {"size": 24, "repeats": 4, "batches": 30, "batch_size": 6}
    table = explained.RUNS["floors"](cell, "cpu")["floors"]
    few = table[table.predicted_db < 60]
    left = 10 ** (-few.true_snr_db / 10)
    mean = -10 * np.log10(left.groupby(few.method).mean())
    predicted = few.groupby("method").predicted_db.first()
    assert (mean - predicted).abs().max() < 3
    whole = table[table.method.str.contains(", M samples|2M")]
    assert whole.true_snr_db.min() > 150
    assert table.true_snr_db.max() <= explained.CAP


def test_the_ablation_runs_every_rate_and_goes_on_with_two() -> None:
    p = explained.Parameters(sizes=(6,), batches=20, batch_size=4)
    cell = next(c for c in explained.cells(p) if c["kind"] == "ablation" and c["weight_decay"])
    table = explained.RUNS["ablation"](cell, "cpu")["ablation"]
    short, long = table[table.batches == 20], table[table.batches == 80]
    assert set(short.groupby("method").rate.nunique()) == {len(explained.GRID)}
    assert set(short.method) == {*METHODS} - {"Adam", "Rprop"}
    assert long.groupby("method").rate.nunique().isin([1, 2]).all()
    assert pd.Series(METHODS).map(lambda m: m[0])[long.method].isin(long.rate.tolist()).all()


def test_the_race_searches_on_one_matrix_and_judges_on_others() -> None:
    cell = {"kind": "race", "method": "SGD", "size": 8, "rank": 8, "spectrum": "flat"}
    cell |= {"repeats": 3, "batches": 60, "batch_size": 6}
    tables = explained.RUNS["race"](cell, "cpu")
    assert len(tables["search"]) == len(explained.GRID) * len(explained.SCHEDULES)
    race = tables["race"]
    best = tables["search"].loc[tables["search"].true_snr_db.idxmax()]
    assert (race.rate.iloc[0], race.schedule.iloc[0]) == (best.rate, best.schedule)
    assert race.true_snr_db.nunique() == 3
    assert best.true_snr_db not in set(race.true_snr_db)


@pytest.mark.parametrize(("steps", "stable"), [(10, False), (40, True)])
def test_shampoo_diverges_if_its_first_roots_know_a_part_of_the_inputs(steps, stable) -> None:
    # 2 samples a batch: 20 of 64 directions after 10 batches, all of them after 40.
    cell = {"size": 64, "rank": 64, "batch_size": 2, "batches": 120, "spectrum": "flat"}
    method = Method("Shampoo", {"preconditioning_compute_steps": steps})
    rates = [("constant", rate) for rate in (0.01, 0.1, 1.0)]
    found = explained._finish(cell, method, rates, "search", "cpu")
    assert np.isfinite(found).tolist() == [stable] * 3
