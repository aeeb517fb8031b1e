"""The cells are the figures of the text, and one of each kind gives what its tables promise."""

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments import hidden_units, students
from hdnotes.experiments.hidden_units import RUNS, Parameters, cells
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.reference import points

SMALL = Parameters(
    features=16,
    alphas=(2.0, 6.0),
    patient_alphas=(2.0,),
    data_sets=1,
    starts=2,
    epochs_factor=20,
    curve_features=12,
    units=(1, 2),
    curve_sets=1,
    curve_starts=2,
    curve_epochs_factor=40,
    rate_factors=(4.0,),
)


def paper() -> pd.DataFrame:
    return pd.DataFrame(cells(resolve(hidden_units, "paper", check_memory=False)))


def first(kind: str, **values) -> dict:
    return next(
        cell
        for cell in cells(SMALL)
        if cell["kind"] == kind and all(cell[name] == value for name, value in values.items())
    )


def test_the_paper_profile_has_the_alphas_units_and_epochs_of_the_text():
    table = paper()
    two = table[table.kind.eq("success") & table.hidden.eq(2)]
    source = points("hidden_units")
    for batches, name in students.BATCHES.items():
        theirs = set(source[source.method.eq(name)].alpha) - {1.0, 4.5}
        assert theirs <= set(two[two.batches.eq(batches)].alpha)
    assert set(two.learning_rate) == {0.005}
    assert set(two.epochs) == {20_002}
    curves = table[table.kind.eq("curve")]
    assert set(curves.epochs) == {100_014}
    assert set(zip(curves.hidden, curves.alpha, strict=True)) == {
        (hidden, alpha) for hidden in (1, 2, 5, 10) for alpha in (2.5, 5.0)
    }


def test_the_switch_rate_is_the_same_whatever_the_width_and_the_learning_rate():
    table = paper()
    way_down = table[table.kind.isin(["curve", "rate", "tail", "spectrum"])]
    rates = way_down.learning_rate / way_down.persistence
    np.testing.assert_allclose(rates, 0.005)
    scaled = way_down[way_down.kind.ne("rate")]
    np.testing.assert_allclose(scaled.learning_rate / scaled.hidden, 0.01)


def test_long_cells_are_split():
    table = paper()
    assert table[table.features > 256].sets.max() <= 2
    long = table[table.epochs > 50_000]
    assert long[long.kind.ne("patient")].sets.max() == 1
    assert long.momenta.map(len).max() == 1
    assert not table.astype(str).duplicated().any()


def test_parts_can_be_left_for_later():
    whole = [repr(cell) for cell in cells(SMALL)]
    some = Parameters(**{**vars(SMALL), "parts": ("spectra",)})
    assert {cell["kind"] for cell in cells(some)} == {"spectrum"}
    assert {repr(cell) for cell in cells(some)} < set(whole)


def test_a_curve_has_its_runs_ends_and_nothing_after_them():
    found = RUNS["curve"](first("curve", hidden=1, alpha=5.0), "cpu")
    runs, curves = found["runs"], found["curves"]
    assert runs.outcome.eq("stopped").any()
    ends = curves.merge(runs[["set", "start", "epochs"]], on=["set", "start"])
    assert (ends.epoch <= ends.epochs).all()
    stopped = runs[runs.outcome.eq("stopped")]
    assert ((stopped.test_error < 1e-3) | (stopped.training_error < 1e-8)).all()


def test_nothing_stops_a_tail():
    cell = first("tail", hidden=1)
    runs = RUNS["tail"](cell, "cpu")["runs"]
    assert runs.epochs.eq(cell["epochs"]).all()
    assert runs.test_error.min() < 1e-6


def test_the_last_batch_is_the_one_that_a_run_saw():
    cell = {**first("curve", hidden=2, alpha=2.5), "epochs": 300}
    seen: dict[int, torch.Tensor] = {}

    def look(visit):
        _, gradient = visit.problem.loss_and_gradient(visit.point)
        seen[visit.step] = visit.gradient - gradient
        return torch.zeros(len(visit.point), dtype=torch.bool)

    trials, run = students.train_students([cell], "cpu", stop=look)
    masks = students.last_batches(cell, "cpu", run.steps.tolist())
    assert masks is not None
    problem = students.draw_problem(cell, "cpu").take([0] * len(trials))
    _, there = problem.loss_and_gradient(run.point, masks)
    _, whole = problem.loss_and_gradient(run.point)
    torch.testing.assert_close(there - whole, seen[int(run.steps[0])])
    assert students.last_batches({**cell, "batches": "full"}, "cpu", [0, 0]) is None


def test_a_spectrum_is_looked_at_in_every_way():
    found = RUNS["spectrum"](first("spectrum", hidden=5, batches="persistent"), "cpu")
    table = found["hessians"]
    assert set(zip(table.samples, table["where"], table.how, strict=True)) == {
        (samples, where, how)
        for samples in ("all", "its half")
        for where, how in (
            ("everywhere", "exact"),
            ("everywhere", "Lanczos"),
            ("on the spheres", "exact"),
        )
    }
    half = table[table.samples.eq("its half")]
    assert half.counted.between(1, 29).all()
    curves = found["spectra"]
    assert len(curves) == len(table) * hidden_units.SHARES
    whole = curves[curves.how.eq("exact")].groupby(["samples", "where", "start"], sort=False)
    ends = whole.eigenvalue.agg(["min", "max"]).to_numpy()
    exact = table[table.how.eq("exact")]
    by = exact.set_index(["samples", "where", "start"])[["smallest", "largest"]]
    np.testing.assert_allclose(ends, by.loc[list(whole.groups)].to_numpy(), rtol=1e-5)


def test_the_teacher_stands_beside_gd():
    table = RUNS["spectrum"](first("spectrum", hidden=5, batches="full"), "cpu")["hessians"]
    teacher = table[table.method.eq("teacher") & table.how.eq("exact")]
    assert len(teacher) == 2
    everywhere = teacher[teacher["where"].eq("everywhere")]
    assert everywhere.near_zero.item() >= 0.8
    assert teacher.negative.eq(0).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"units": [0]}, "units = 0 is not allowed|units = .* is not allowed"),
        ({"parts": "4.4"}, "parts = '4.4' is not allowed"),
        ({"unit_rate": 0}, "unit_rate = 0.0 is not allowed; it must be a number, above 0"),
        ({"curve_features": 1_000_000}, "curve_features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(hidden_units, "quick", given)
