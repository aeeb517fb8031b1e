"""The cells are the figures of the text, the control does what theory says, rotations nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Persistent
from hdnotes.experiments import symmetric_door
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.experiments.symmetric_door import RUNS, Parameters, cells
from hdnotes.long_training import train_long
from hdnotes.optimizers import Method
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, project

SMALL = Parameters(
    features=20,
    alphas=(8.0,),
    hidden_alphas=(8.0,),
    check_alpha=8.0,
    data_sets=2,
    starts=2,
    epochs_factor=20,
    hidden_epochs_factor=10,
)


def paper() -> pd.DataFrame:
    return pd.DataFrame(cells(resolve(symmetric_door, "paper", check_memory=False)))


def test_the_paper_profile_has_the_sources_settings():
    table = paper()
    losses, hidden = (table[table.kind.eq(kind)] for kind in ("losses", "hidden"))
    assert set(losses.alpha) == {0.1, 1, 2, 3, 4, 5, 6, 7, 8, 12}
    assert set(hidden.alpha) == {0.1, 1, 2, 3, 4, 5, 6, 7, 8}
    assert (set(losses.epochs), set(hidden.epochs)) == ({20_002}, {15_002})
    assert set(zip(losses.learning_rate, losses.momentum_rate, strict=True)) == {(0.01, 0.005)}
    assert set(zip(hidden.learning_rate, hidden.momentum_rate, strict=True)) == {(0.005, 0.005)}
    assert (set(losses.hidden), set(hidden.hidden)) == ({1}, {1, 2})
    runs = losses.assign(runs=losses.sets * losses.starts)
    assert set(runs.groupby(["channel", "batches", "alpha"]).runs.sum()) == {10}
    assert table.kind.iloc[0] == "losses"


def test_parts_can_be_left_for_later():
    whole = [repr(cell) for cell in cells(SMALL)]
    part = [repr(cell) for cell in cells(replace(SMALL, parts=("losses",)))]
    assert part == whole[: len(part)]
    assert len(part) < len(whole)


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_cell_runs(kind):
    cell = next(cell for cell in cells(SMALL) if cell["kind"] == kind)
    for table in RUNS[kind](cell, "cpu").values():
        assert table.test_error.between(0, 1).all()
        assert set(table["set"]) == {0, 1}
        assert set(table.start) == {0, 1}


def test_what_gamp_is_told_decides_whether_it_is_exact():
    wide = replace(SMALL, features=64, data_sets=4)
    cell = next(cell for cell in cells(wide) if cell["kind"] == "control")
    found = RUNS["control"](cell, "cpu")["control"].groupby("prior").test_error.median()
    assert found["±1"] < 1e-3
    assert found["norm"] == pytest.approx(0.055, abs=0.02)  # state evolution: 5.5 % at 8


@pytest.mark.parametrize("hidden", [1, 2])
def test_a_rotation_of_the_teacher_turns_the_path_and_changes_no_label(hidden):
    """So a normal teacher of norm sqrt(p) and one of entries +-1 are equally hard to a student."""
    p, n = 12, 40
    x, y, w = draw_data("door, logistic", n, p, of=("test", "turn"), dtype=torch.float64)
    turn = orthonormal(p, p, of=("test", "rotation"))
    start = seeds.normal(3, hidden * p, of=("test", "start"))
    units = start.view(3, hidden, p)
    ends = []
    for problem, first in [
        (PhaseRetrieval("door, logistic", (x,), (y,), (w,), (0, 0, 0), hidden), start),
        (
            PhaseRetrieval("door, logistic", (x @ turn,), (y,), (w @ turn,), (0, 0, 0), hidden),
            (units @ turn).reshape(3, -1),
        ),
    ]:
        run = train_long(
            problem,
            first,
            [Method("SGD", {"momentum": 0.9, "nesterov": True})(0.02)] * 3,
            30,
            batches=Persistent(n, 0.5, (0.1,) * 3, (1, 2, 3)),
            project=lambda point: project(point, p),
        )
        ends.append(run.point.view(3, hidden, p))
    torch.testing.assert_close(ends[1], ends[0] @ turn, rtol=0, atol=1e-10)
    assert not np.allclose((w @ turn).abs(), w.abs())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"small_rate": 0}, "small_rate = 0.0 is not allowed; it must be a number, above 0"),
        ({"parts": "4.10"}, "parts = '4.10' is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(symmetric_door, "quick", given)
