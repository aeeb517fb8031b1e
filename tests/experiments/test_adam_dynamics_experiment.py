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
    wide=(3,),
    wide_methods=("Adam", "momentum"),
    rates=3,
    betas=2,
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
    race = table[table.kind.eq("race") & table.alpha.eq(2.5) & table.hidden.eq(1)]
    first = list(zip(race.method, race.batches, strict=True))[: len(CURVES)]
    assert set(first) == set(CURVES)
    assert not table.duplicated().any()


def test_every_method_gets_the_same_search():
    race = paper().query("kind == 'race'")
    same = ["rates", "search_sets", "search_starts", "judge_sets", "judge_starts", "epochs"]
    assert (race[same].nunique() == 1).all()
    assert race.groupby("alpha").betas.unique().map(list)[2.5] == [3]
    for name, (middle, *_) in adam_dynamics.RACE.items():
        rates = adam_dynamics.tried_rates(name, 5)
        assert rates[2] == middle
        np.testing.assert_allclose(np.diff(np.log10(rates)), 0.5)


def test_samples_switch_as_often_as_in_the_sources_figures():
    """Figure 4.5 has eta = 0.01 d and tau = 2 d, Figure 4.1 eta = 0.005 and tau = 2."""
    for cell in cells(Parameters()):
        whole = adam_dynamics.student(cell, ["none"])
        rate = students.redraw_rate(
            whole["learning_rate"], whole["batch_fraction"], whole["persistence"]
        )
        assert whole["learning_rate"] == pytest.approx(0.01 * cell["hidden"])
        if cell["kind"] == "dynamics" or cell["hidden"] > 1:
            assert whole["persistence"] == pytest.approx(2 * cell["hidden"])
            assert rate == pytest.approx(students.redraw_rate(0.01, 0.5, 2))
        else:
            assert rate == pytest.approx(students.redraw_rate(0.005, 0.5, 2))


def test_learning_curves_hold_all_methods_on_the_same_starts():
    tables = [small("dynamics", hidden=3, method=m)["curves"] for m in ("Adam", "SGD")]
    table = pd.concat(tables)
    assert set(table.method) == {"Adam", "P-SGD", "P-SGD + momentum"}
    assert table.groupby(["method", "set", "start"]).epoch.min().eq(1).all()
    last = table[table.epoch.eq(20)]
    assert last.groupby(["set", "start"]).test_error.nunique().tolist() == [3, 3]


def test_the_best_of_the_search_is_judged_on_other_data():
    found = small("race", method="Adam", batches="persistent", alpha=2.5)
    search, judged = found["search"], found["race"]
    assert search.groupby(["rate", "betas"]).size().tolist() == [4] * 6
    assert set(search.betas) == {"(0.9, 0.999)", "(0.9, 0.95)"}
    assert set(search["set"]) == {1000, 1001}
    assert set(judged["set"]) == {0, 1}
    ((rate, betas),) = set(zip(judged.rate, judged.betas, strict=True))
    mean = search.groupby(["rate", "betas"]).test_error.mean()
    assert mean[rate, betas] == mean.min()
    assert judged.at_edge.iloc[0] == (rate in (min(search.rate), max(search.rate)))


def test_betas_are_searched_for_adam_and_at_alpha_only():
    def betas(method, alpha):
        wanted = {"kind": "race", "method": method, "alpha": alpha, "hidden": 1}
        cell = next(c for c in cells(SMALL) if wanted.items() <= c.items())
        return [one.method.settings.get("betas") for one in adam_dynamics.tried(cell)]

    assert betas("Adam", 2.5) == [(0.9, 0.999)] * 3 + [(0.9, 0.95)] * 3
    assert betas("Adam", 8.0) == [(0.9, 0.999)] * 3
    assert betas("momentum", 2.5) == [None] * 3
    assert "paths" not in small("race", method="Adam", alpha=8.0)


def test_wide_students_are_tuned_too_and_their_judged_runs_keep_their_paths():
    found = {m: small("race", method=m, hidden=3) for m in ("Adam", "momentum")}
    rates = {m: sorted(set(tables["search"].rate)) for m, tables in found.items()}
    assert rates["Adam"] == pytest.approx(adam_dynamics.tried_rates("Adam", 3))
    middle = adam_dynamics.RACE["momentum"][0]
    assert rates["momentum"][1] == pytest.approx(3 * middle)
    for tables in found.values():
        last = tables["paths"].sort_values("epoch").groupby(["set", "start"]).test_error.last()
        ends = tables["race"].set_index(["set", "start"]).test_error
        np.testing.assert_allclose(last, ends.loc[last.index], rtol=1e-6)


def test_the_sources_adam_is_judged_on_the_same_data_and_starts():
    untuned, tuned = small("untuned", hidden=3), small("race", method="Adam", hidden=3)
    assert set(untuned["race"].rate) == {0.003}
    assert set(untuned["race"].betas) == {""}
    keys = ["set", "start"]
    assert untuned["race"][keys].equals(tuned["race"][keys])
    first = [one["paths"].query("epoch == 1").test_error for one in (untuned, tuned)]
    assert np.abs(np.log(first[0].to_numpy() / first[1].to_numpy())).max() < 1


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
        ({"betas": 4}, "betas = 4 is not allowed"),
        ({"methods": "Sophia"}, "methods = 'Sophia' is not allowed"),
        ({"redraws": 0}, "redraws = 0.0 is not allowed; it must be a number, above 0"),
        ({"hidden": 0}, "hidden = 0 is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(adam_dynamics, "quick", given)
