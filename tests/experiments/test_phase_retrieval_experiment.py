"""The cells are the figures of the text, and one point run small gives what its table promises."""

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments import phase_retrieval, students
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.experiments.phase_retrieval import RUNS, Parameters, cells
from hdnotes.reference import points

SMALL = Parameters(
    features=24,
    sizes=(16, 24),
    persistent_alphas=(2.0, 8.0),
    alphas=(2.0, 8.0),
    rate_alphas=(8.0,),
    data_sets=2,
    near_data_sets=2,
    starts=3,
    epochs_factor=60,
)


def paper() -> pd.DataFrame:
    table = pd.DataFrame(cells(resolve(phase_retrieval, "paper", check_memory=False)))
    table["runs"] = table.sets * table.starts
    return table


def small(batches: str, alpha: float, **change) -> pd.DataFrame:
    found = [
        cell
        for cell in cells(SMALL)
        if (cell["batches"], cell["alpha"], cell["features"]) == (batches, alpha, 24)
        and "Nesterov" in cell["momenta"]
        and cell["kind"] == "success"
    ]
    (cell,) = found
    return RUNS["success"]({**cell, **change}, "cpu")["runs"]


def test_the_paper_profile_begins_with_figure_4_1_at_every_alpha_of_the_text():
    table = paper()
    first = table[table.momenta.map(lambda words: words == ["none", "Nesterov"])]
    assert first.index.max() == len(first) - 1
    source = points("phase_retrieval").query("figure == 4.1")
    for batches, name in students.BATCHES.items():
        theirs = set(source[source.method.str.fullmatch(name.replace("-", "."))].alpha)
        assert theirs <= set(first[first.batches.eq(batches)].alpha)
    assert set(first.epochs) == {20_002}


def test_forty_runs_stand_near_every_crossing_and_ten_or_more_elsewhere():
    table = paper()
    first = table[
        table.momenta.map(lambda words: words == ["none", "Nesterov"]) & table.kind.eq("success")
    ]
    runs = first.groupby(["batches", "alpha"]).runs.sum()
    assert runs.min() >= 10
    for (batches, _), crossing in phase_retrieval.CROSSINGS.items():
        alphas = np.array(sorted(runs[batches].index))
        around = alphas[np.abs(np.log(alphas / crossing)) < np.log(1.15)]
        assert runs[batches][around].min() >= 40


def test_the_sources_ways_are_tried_where_they_can_show():
    checks = paper().query("kind == 'check'")
    points = checks[checks.judged_on.eq("100 points")].explode("momenta")
    near = points[points.alpha.ne(4.0)].groupby("momenta")
    assert near.alpha.unique().map(list).to_dict() == {"Nesterov": [2.3], "none": [3.0]}
    assert near.runs.sum().eq(20).all()
    ways = checks[checks.judged_on.eq("overlap")].groupby("teacher")
    assert ways.sets.sum().to_dict() == {"as drawn": 12, "sphere": 12}
    assert set(checks[checks.judged_on.eq("overlap")].starts) == {2}


def test_cells_are_small_and_no_run_is_computed_twice():
    table = paper()
    assert table[table.features > 256].sets.max() <= 2
    runs = table[table.kind.eq("success")].explode("momenta")
    keys = [*runs.columns.drop(["runs", "sets"])]
    assert not runs[keys].astype(str).duplicated().any()


def test_parts_can_be_left_for_later():
    whole = [repr(cell) for cell in cells(SMALL)]
    part = [repr(cell) for cell in cells(Parameters(**{**vars(SMALL), "parts": ("methods",)}))]
    assert part == whole[: len(part)]
    assert len(part) < len(whole)


@pytest.mark.parametrize("batches", students.BATCHES)
def test_a_point_holds_every_run_with_its_errors(batches):
    table = small(batches, 8.0)
    assert set(table.method) == {
        students.BATCHES[batches],
        f"{students.BATCHES[batches]} + momentum",
    }
    assert table.groupby("method").size().tolist() == [6, 6]
    assert np.allclose(table.test_error, 2 * (1 - table.overlap**2), atol=1e-5)
    assert (table.test_error < 1e-3).sum() >= 3
    assert set(table.outcome) <= {"stopped", "budget"}
    hopeless = small(batches, 2.0)
    assert (hopeless.test_error > 5e-3).mean() > 0.5


def test_methods_share_data_and_starts():
    budget = {"epochs": 0}
    first, other = (small(batches, 8.0, **budget) for batches in ("full", "persistent"))
    assert first.test_error.tolist() == other.test_error.tolist()
    pairs = first.groupby(["set", "start"]).test_error.nunique()
    assert pairs.tolist() == [1] * 6


def test_a_teacher_as_drawn_keeps_its_error():
    table = small("full", 8.0, teacher="as drawn")
    best = table.groupby("set").test_error.min()
    for number, error in best.items():
        name = ("phase retrieval", "quadratic", 24, 192, number, "teacher")
        norm = students.seeds.normal(24, of=name).square().sum().item() / 24
        assert error == pytest.approx(1.5 * (norm - 1) ** 2, abs=0.02)


def test_momentum_is_torchs():
    assert students.setting("none", 0.9, 0.1).method.settings == {}
    assert students.setting("standard", 0.9, 0.1).method.settings == {"momentum": 0.9}
    nesterov = students.setting("Nesterov", 0.9, 0.1).method.settings
    assert nesterov == {"momentum": 0.9, "nesterov": True}


def test_an_epoch_has_the_sources_steps():
    steps = {name: students.steps_an_epoch(name, 0.5) for name in students.BATCHES}
    assert steps == {"full": 1, "shuffled": 2, "persistent": 2}
    assert students.steps_an_epoch("persistent", 0.3) == 4
    assert students.steps_an_epoch("shuffled", 0.3) == 3


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning_rate": 0}, "learning_rate = 0.0 is not allowed; it must be a number, above 0"),
        ({"parts": "4.1"}, "parts = '4.1' is not allowed"),
        ({"batch_fraction": 1.0}, "batch_fraction = 1.0 is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(phase_retrieval, "quick", given)
