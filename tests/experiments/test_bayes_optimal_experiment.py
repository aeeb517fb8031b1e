"""The cells cover what the page shows, instances are what they should be, and one runs small."""

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments import bayes_optimal
from hdnotes.experiments.bayes_optimal import (
    ABSOLUTE,
    DESCENT,
    GAMP,
    METHODS,
    RUNS,
    START,
    SYMMETRIC_DOOR,
    Parameters,
    cells,
    draw,
)
from hdnotes.experiments.parameters import ParameterError, resolve

SMALL = Parameters(
    sizes=(32,),
    alphas=(1.6, 3.0),
    gamp_alphas=(1.2,),
    door_alphas=(2.5,),
    overlap_size=40,
    overlap_alphas=(0.8,),
    overlap_matrices=1,
    matrices=2,
    signals=3,
    gamp_steps=60,
    flow_steps=100,
    descent_steps=100,
)


def small(kind: str, problem: str, alpha: float) -> dict[str, pd.DataFrame]:
    wanted = (kind, problem, alpha)
    (cell,) = [c for c in cells(SMALL) if (c["kind"], c["problem"], c["alpha"]) == wanted]
    return RUNS[kind](cell, "cpu")


def test_the_paper_profile_compares_all_methods_at_512_and_1024():
    paper = resolve(bayes_optimal, "paper", check_memory=False)
    found = pd.DataFrame(cells(paper))
    all_methods = found[found.methods.map(lambda names: names == list(METHODS))]
    assert set(all_methods.p) == {512, 1024}
    assert all_methods.groupby("p").alpha.nunique().tolist() == [10, 10]
    assert not found.drop(columns="methods").duplicated().any()
    longer = found[found.kind == "budget"]
    assert set(longer.descent_steps) == {4 * paper.descent_steps}


def test_inputs_teachers_and_labels():
    x, teacher, y = draw(ABSOLUTE, 200, 1.1, 0, 4)
    assert x.shape == (220, 200)
    assert x.var().item() == pytest.approx(1 / 200, rel=0.05)
    assert torch.allclose(teacher.norm(dim=1), torch.full((4,), 200**0.5))
    assert torch.allclose(y, (teacher @ x.T).abs())
    assert y.square().mean().item() == pytest.approx(1, abs=0.1)


def test_the_doors_teacher_is_made_of_signs_and_half_of_its_labels_are_positive():
    _, teacher, y = draw(SYMMETRIC_DOOR, 200, 5.0, 0, 4)
    assert torch.allclose(teacher.abs(), torch.ones(()))
    assert set(y.unique().tolist()) == {-1.0, 1.0}
    assert y.mean().item() == pytest.approx(0, abs=0.1)


def test_a_teacher_does_not_depend_on_its_companions():
    _, few, _ = draw(ABSOLUTE, 32, 1.5, 1, 2)
    _, many, _ = draw(ABSOLUTE, 32, 1.5, 1, 5)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, draw(ABSOLUTE, 32, 1.5, 0, 2)[1])


def test_every_method_gets_a_row_for_every_instance():
    table = small("recovery", ABSOLUTE, 3.0)["recovery"]
    assert len(table) == len(table.drop_duplicates(["method", "matrix", "signal"])) == 4 * 2 * 3
    assert set(table.method) == set(METHODS)
    assert table.overlap.between(0, 1 + 1e-6).all()
    assert table[table.method == GAMP].overlap.median() > 0.99


def test_cells_of_gamp_alone_and_of_longer_descent():
    assert set(small("overlap", ABSOLUTE, 0.8)["recovery"].method) == {GAMP}
    assert set(small("budget", ABSOLUTE, 1.6)["recovery"].method) == {DESCENT}
    door = small("recovery", SYMMETRIC_DOOR, 2.5)["recovery"]
    assert door.wrong_signs.between(0, 1).all()


def test_the_start_alone_is_that_of_every_method_on_the_same_instances(monkeypatch):
    """A method that gives back what it sets out from has the overlaps of the start alone."""
    alone = small("start", ABSOLUTE, 3.0)["start"]
    assert set(alone.method) == {START}
    monkeypatch.setattr(bayes_optimal, "run", lambda steps, budget: steps)
    monkeypatch.setattr(bayes_optimal, "_points", lambda *asked: (asked[-1], 0))
    same = small("recovery", ABSOLUTE, 3.0)["recovery"]
    same = same[same.method == GAMP].reset_index(drop=True)
    keys = ["matrix", "signal", "overlap", "wrong_signs"]
    pd.testing.assert_frame_equal(alone[keys], same[keys])
    wanted = {(c["kind"], c["p"], c["alpha"]) for c in cells(SMALL) if c["problem"] == ABSOLUTE}
    assert {one[1:] for one in wanted if one[0] == "start"} == {(32, 1.6), (32, 3.0), (40, 0.8)}


def test_a_path_starts_at_the_overlap_it_says():
    path = small("path", ABSOLUTE, 1.5)["path"]
    start = path[path.step == 0].q
    assert start.mean() == pytest.approx(bayes_optimal.PATH_BEGINNING, abs=0.15)
    assert path.step.max() == bayes_optimal.PATH_STEPS
    assert np.isfinite(path.q).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"alphas": [0.5]}, "alphas = .* is not allowed; .* above 0.5"),
        ({"damping": 1.5}, "damping = 1.5 is not allowed"),
        ({"sizes": [100_000]}, "sizes = .* needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(bayes_optimal, "quick", given)
