"""The chapters on matrix completion: tasks shared, cells named once, bad sizes refused."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import adam_generalizability, adam_intuition, adam_ratio, completion
from hdnotes.experiments.completion import MEASURES, Plan, draw_start, draw_task, train_plan
from hdnotes.experiments.parameters import ParameterError, resolve

CHAPTERS = (adam_ratio, adam_intuition, adam_generalizability)


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("profile", ["smoke", "quick", "paper"])
def test_every_profile_fits_in_four_gigabytes_and_asks_for_each_cell_once(chapter, profile):
    p = resolve(chapter, profile)
    assert chapter.memory(p) < 4 << 30
    found = [repr(sorted(cell.items())) for cell in chapter.cells(p)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_matrix_with_nothing_left_to_complete_is_refused(chapter):
    with pytest.raises(ParameterError, match="observed = 900 is not allowed"):
        resolve(chapter, "quick", {"observed": 900})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_rank_above_the_size_is_refused(chapter):
    name = "ranks" if chapter is adam_ratio else "rank"
    with pytest.raises(ParameterError, match="rank.* is not allowed"):
        resolve(chapter, "quick", {name: 40})


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_size_that_cannot_fit_is_refused(chapter):
    with pytest.raises(ParameterError, match="needs about .* of memory"):
        resolve(chapter, "quick", {"n": 10**6})


def test_noise_and_numbers_of_entries_leave_the_matrix_alone():
    few, many = (draw_task(8, 2, m, 2, of="x") for m in (20, 40))
    noisy = draw_task(8, 2, 40, 2, 0.1, of="x")
    assert torch.equal(few.truths[1], many.truths[1])
    assert bool((many.masks[1] | ~few.masks[1]).all())
    gap = (noisy.targets[0] - many.targets[0])[many.masks[0]]
    assert 0.05 < gap.std() < 0.2
    assert bool((noisy.targets[0][~many.masks[0]] == 0).all())


def test_starts_fit_the_data_where_they_say_so():
    task = draw_task(8, 2, 40, 1, of="x")
    seen, target = task.masks[0], task.targets[0]
    starts = {kind: draw_start(kind, task, 0, 1, of="x") for kind in adam_generalizability.STARTS}
    for kind, point in starts.items():
        fits = torch.equal(point.view(8, 8)[seen], target[seen])
        assert fits == (kind in ("zero-filled", "filled at random"))
    assert starts["tiny"].abs().max() < 0.01
    assert draw_start("tiny", task, 0, 3, of="x").shape == (192,)


def test_a_run_does_not_know_which_rates_run_beside_it():
    task = draw_task(6, 1, 20, 2, of="x")
    plans = [
        Plan("Adam", rates, [0.01, 0.1], 30, dtype=torch.float64) for rates in ([0.01], [0.01, 0.1])
    ]
    tables = [completion.finals(*train_plan(task, plan, "cpu", of="x")) for plan in plans]
    both = tables[1][tables[1].rate == 0.01].reset_index(drop=True)
    pd.testing.assert_frame_equal(tables[0], both, rtol=1e-7)


def test_the_truth_measures_as_itself():
    task = draw_task(7, 2, 30, 1, of="x")
    found = completion.measured(task.truths[0], task.truths[0], task.masks[0], 2)
    values = dict(zip(MEASURES, found.tolist(), strict=True))
    sigma = torch.linalg.svdvals(task.truths[0])[:2]
    assert values["error"] == values["observed_error"] == 0
    assert values["angle_deg"] < 1e-5
    assert values["ratio"] == pytest.approx(float(sigma.sum() / sigma.norm()))
    assert 1 < values["effective_rank"] < 2 + 1e-9


def test_a_run_that_diverges_is_a_row_without_measures():
    task = draw_task(6, 1, 20, 1, of="x")
    table, run = train_plan(task, Plan("GD", [1e4], [0.01], 200), "cpu", of="x")
    end = completion.finals(table, run)
    assert end.outcome.tolist() == ["diverged"]
    assert end.error.isna().all()


def test_lbfgs_lowers_what_it_minimises():
    cell = {"n": 8, "rank": 1, "observed": 40, "trials": 2, "steps": 40, "weights": [0.01]}
    table = adam_ratio.RUNS["lbfgs"](cell, "cpu")["lbfgs"]
    assert (table.error < 0.9).all()
    assert (table.calls > 1).all()


def test_the_unit_of_gd_is_where_a_step_stops_being_stable():
    task = draw_task(6, 1, 20, 1, of="x")
    for factor, stable in ((0.9, True), (1.1, False)):
        rate = factor * adam_ratio.unit("GD", 6, 1, 20, 1)
        plan = Plan("GD", [rate], [0.0], 400, penalty="none", start="random", dtype=torch.float64)
        observed = completion.finals(*train_plan(task, plan, "cpu", of="x")).observed_error
        assert (observed.iloc[0] < 1e-6) == stable


def test_a_rotated_problem_shows_who_works_with_matrices():
    cell = {"n": 8, "rank": 1, "trials": 2, "weight": 0.01, "steps": 20, "observed": 40}
    gaps = {
        method: adam_intuition.RUNS["rotated"]({**cell, "method": method}, "cpu")[
            "rotated"
        ].gap.max()
        for method in ("GD", "GroupRMSprop", "Adam")
    }
    assert max(gaps["GD"], gaps["GroupRMSprop"]) < 1e-9 < 0.01 < gaps["Adam"]


def test_projections_find_what_they_alternate_for():
    cell = {"n": 8, "rank": 1, "observed": 50, "trials": 2, "steps": 200}
    table = adam_intuition.RUNS["projections"](cell, "cpu")["projections"]
    assert table[table.step == 200].error.max() < 1e-6


def test_noise_is_tried_at_the_weight_of_exact_entries():
    with pytest.raises(ParameterError, match="0.01, the weight without noise"):
        resolve(adam_generalizability, "quick", {"weights": (0.1, 1.0)})


def test_a_certificate_is_looked_for_on_every_matrix():
    cell = {"n": 12, "rank": 1, "observed": 100, "trials": 2}
    table = adam_ratio.RUNS["certificate"](cell, "cpu")["certificate"]
    assert table.trial.tolist() == [0, 1]
    assert (table.low <= table.high).all()
    assert (table.high < 1).all()
