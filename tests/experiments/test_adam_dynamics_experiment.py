"""The cells are the source's figure and a fair search; small ones give what they promise."""

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments import adam_dynamics, students
from hdnotes.experiments.adam_dynamics import CURVES, RUNS, Parameters, cells
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import project

SMALL = Parameters(
    dynamics_features=16,
    hidden=(1, 3),
    dynamics_sets=2,
    dynamics_epochs=20,
    features=12,
    methods=("Adam", "momentum"),
    full_methods=("Adam",),
    alphas=(8.0,),
    rates=3,
    search_sets=2,
    search_starts=2,
    judge_sets=2,
    judge_starts=1,
    epochs_factor=10,
    motion_sets=3,
    lags=4,
)


def paper() -> pd.DataFrame:
    return pd.DataFrame(cells(resolve(adam_dynamics, "paper", check_memory=False)))


def small(kind: str, **values) -> dict[str, pd.DataFrame]:
    wanted = {"kind": kind, **values}
    cell = next(c for c in cells(SMALL) if wanted.items() <= c.items())
    return RUNS[kind](cell, "cpu")


def test_the_paper_profile_has_the_sources_sizes_and_the_telling_cells_first():
    table = paper()
    curves = table[table.kind.eq("dynamics")]
    assert set(curves.features) == {1024}
    assert set(curves.epochs) == {100_014}
    assert set(curves.hidden) == {1, 2, 5, 10}
    assert curves.sets.max() == 1
    assert table.hidden.iloc[: table.kind.ne("dynamics").idxmax()].max() == 2
    race = table[table.kind.eq("race") & table.alpha.eq(2.5)]
    first = list(zip(race.method, race.batches, strict=True))[: len(CURVES)]
    assert set(first) == set(CURVES)
    assert not table.duplicated().any()


def test_every_method_gets_the_same_search():
    race = paper().query("kind == 'race'")
    same = ["rates", "search_sets", "search_starts", "judge_sets", "judge_starts", "epochs"]
    assert (race[same].nunique() == 1).all()
    for name, (middle, *_) in adam_dynamics.RACE.items():
        rates = adam_dynamics.tried_rates(name, 5)
        assert rates[2] == middle
        np.testing.assert_allclose(np.diff(np.log10(rates)), 0.5)


@pytest.mark.parametrize("hidden", [1, 2, 10])
def test_samples_switch_equally_often_at_every_width_and_as_in_the_source(hidden):
    cell = {"hidden": hidden, "redraws": 0.005, "batch_fraction": 0.5}
    whole = adam_dynamics.student(cell, ["none"])
    rate = students.redraw_rate(
        whole["learning_rate"], whole["batch_fraction"], whole["persistence"]
    )
    assert rate == pytest.approx(0.005)
    assert whole["learning_rate"] == pytest.approx(0.01 * hidden)
    assert whole["persistence"] == pytest.approx(4.0 * hidden)


def test_learning_curves_hold_all_methods_on_the_same_starts():
    tables = [small("dynamics", hidden=3, method=m)["curves"] for m in ("Adam", "SGD")]
    table = pd.concat(tables)
    assert set(table.method) == {"Adam", "P-SGD", "P-SGD + momentum"}
    assert table.groupby(["method", "set", "start"]).epoch.min().eq(1).all()
    last = table[table.epoch.eq(20)]
    assert last.groupby(["set", "start"]).test_error.nunique().tolist() == [3, 3]


def test_the_best_rate_of_the_search_is_judged_on_other_data():
    found = small("race", method="Adam", batches="persistent", alpha=8.0)
    search, judged = found["search"], found["race"]
    assert search.groupby("rate").size().tolist() == [4, 4, 4]
    assert set(search["set"]) == {1000, 1001}
    assert set(judged["set"]) == {0, 1}
    (rate,) = judged.rate.unique()
    mean = search.groupby("rate").test_error.mean()
    assert mean[rate] == mean.min()
    assert judged.at_edge.iloc[0] == (rate in (min(mean.index), max(mean.index)))


@pytest.mark.parametrize("batches", adam_dynamics.BATCHES)
def test_motion_is_measured_over_every_span(batches):
    table = small("motion", batches=batches)["motion"]
    assert table.groupby("method")["lag"].unique().map(list).tolist() == [[1, 2, 4, 8]] * 3
    assert table.groupby(["method", "set"]).radial.nunique().eq(1).all()
    assert table.radial.abs().max() <= 1 + 1e-9
    assert (table.angle > 0).all()


def test_angles_are_those_of_the_points():
    turn = torch.tensor([0.0, 0.3, 1.0, 3.0])
    points = 5 * torch.stack([turn.cos(), turn.sin()], 1).unsqueeze(0)
    np.testing.assert_allclose(adam_dynamics._angles(points), [[0.3, 1.0, 3.0]])


def test_runs_of_the_explanation_see_the_batches_of_all_other_runs():
    for batches in adam_dynamics.BATCHES:
        cell = next(c for c in cells(SMALL) if (c["kind"], c["batches"]) == ("motion", batches))
        problem, start, options = adam_dynamics._drawn(cell, "cpu")
        whole = adam_dynamics.student(cell, ["none"])
        _, run = students.train_students([whole], "cpu", [Method("Adam")(0.01)] * 3)
        steps = cell["epochs"] * students.steps_an_epoch(batches, 0.5)
        again = adam_dynamics.train_long(
            problem, start, [Method("Adam")(0.01)] * 3, steps, **options
        )
        torch.testing.assert_close(again.point, run.point)


def test_a_run_beside_the_teacher_begins_there():
    table = small("floor", batches="persistent")["floor"]
    assert table.groupby("rate").size().tolist() == [3] * len(adam_dynamics.FLOOR_RATES)
    assert (table.test_error <= table.largest).all()
    slow = table[table.rate.eq(0.001)]
    assert slow.largest.max() < 4 * (1 - adam_dynamics.NEAR**2)


def test_decoupled_weight_decay_is_a_learning_rate_on_the_sphere():
    """AdamW at eta with decay lambda is Adam at eta / (1 - eta lambda) after the projection."""
    paths = []
    for name, rate, settings in (
        ("AdamW", 0.1, {"weight_decay": 0.5}),
        ("Adam", 0.1 / (1 - 0.05), {}),
    ):
        w = torch.nn.Parameter(torch.linspace(-1, 2, 8).unsqueeze(0))
        optimizer = getattr(torch.optim, name)([w], lr=rate, **settings)
        for step in range(20):
            w.grad = torch.sin(3 * w.detach() + step)
            optimizer.step()
            with torch.no_grad():
                project(w, 8)
        paths.append(w.detach())
    torch.testing.assert_close(*paths, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"batch_fraction": 0.7}, "batch_fraction = 0.7 is not allowed"),
        ({"methods": "Sophia"}, "methods = 'Sophia' is not allowed"),
        ({"redraws": 0}, "redraws = 0.0 is not allowed; it must be a number, above 0"),
        ({"hidden": 0}, "hidden = 0 is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(adam_dynamics, "quick", given)
