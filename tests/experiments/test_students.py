"""Students learn as a cell says: along their way, with a chapter's own steps, and to their ends."""

import numpy as np
import pytest
import torch

from hdnotes.experiments import students
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import DOOR

CELL = {
    "channel": "quadratic",
    "features": 16,
    "alpha": 8.0,
    "hidden": 1,
    "batches": "persistent",
    "momenta": ["none", "Nesterov"],
    "learning_rate": 0.005,
    "momentum": 0.9,
    "batch_fraction": 0.5,
    "persistence": 2.0,
    "epochs": 150,
    "first_set": 0,
    "sets": 2,
    "starts": 3,
    "teacher": "sphere",
    "judged_on": "overlap",
}


def test_a_curve_begins_at_chance_and_ends_where_its_run_ended():
    curves = students.learning_curves(CELL, "cpu", records=20)["curves"]
    runs = students.final_errors(CELL, "cpu")["runs"]
    by = ["momentum", "set", "start"]
    first = curves[curves.epoch.eq(0)]
    assert len(first) == len(runs)
    later = curves[curves.epoch.gt(0)]  # the start is not on the sphere
    np.testing.assert_allclose(later.test_error, 2 * (1 - later.overlap**2), atol=1e-5)
    assert (curves.epoch <= curves["last"]).all()
    assert runs.outcome.eq("stopped").any()
    whole = curves[curves.epoch.eq(150)].merge(runs, on=by, suffixes=("", "_end"))
    assert len(whole) == runs.outcome.eq("budget").sum()
    np.testing.assert_array_equal(whole.test_error, whole.test_error_end)


def test_a_chapter_brings_its_own_steps_and_its_own_end():
    trials = students.trials_of(CELL)
    adam = [Method("Adam")(0.05)] * len(trials)
    never = students.final_errors(
        CELL, "cpu", adam, stop=lambda visit: torch.zeros(len(visit.point), dtype=torch.bool)
    )["runs"]
    assert never.epochs.eq(150).all()
    assert never.outcome.eq("budget").all()
    plain = students.final_errors(CELL, "cpu")["runs"]
    assert not np.allclose(never.test_error, plain.test_error)


@pytest.mark.parametrize("channel", ["quadratic", "door, logistic"])
def test_a_student_at_its_teacher_stops_at_once(channel):
    cell = {**CELL, "channel": channel, "sets": 1, "momenta": ["none"]}
    problem = students.draw_problem(cell, "cpu")
    point = problem.teachers[0].unsqueeze(0)
    loss, gradient = problem.loss_and_gradient(point)
    visit = students.Visit(0, problem, point, loss, gradient, gradient)
    assert students.settled(visit).tolist() == [True]
    away = students.draw_start(1, 16, of=("elsewhere",)).unsqueeze(0)
    loss, gradient = problem.loss_and_gradient(away)
    visit = students.Visit(0, problem, away, loss, gradient, gradient)
    assert students.settled(visit).tolist() == [False]


#: One instance under several losses: the same data, starts and batches, other labels.
SEEN = {**CELL, "instances": "quadratic", "momentum_rate": 0.005, "alpha": 6.0, "epochs": 60}
SEEN |= {"starts": 2}


@pytest.mark.parametrize(
    ("channel", "label"),
    [
        ("absolute", lambda y: y.sqrt()),
        ("door, logistic", lambda y: (y.sqrt() - DOOR).sign()),
    ],
)
def test_other_channels_see_the_same_data_with_their_own_labels(channel, label):
    plain = students.draw_problem(SEEN, "cpu")
    seen = students.draw_problem({**SEEN, "channel": channel}, "cpu")
    assert seen.channel == channel
    for k in range(2):
        assert torch.equal(seen.inputs[k], plain.inputs[k])
        assert torch.equal(seen.teachers[k], plain.teachers[k])
        torch.testing.assert_close(seen.targets[k], label(plain.targets[k]))


def test_momentum_has_its_own_learning_rate():
    both = students.final_errors({**SEEN, "momentum_rate": 0.002}, "cpu")["runs"]
    without = students.final_errors({**SEEN, "momenta": ["none"]}, "cpu")["runs"]
    slow = {**SEEN, "momenta": ["Nesterov"], "learning_rate": 1.0, "momentum_rate": 0.002}
    apart = [*without.overlap, *students.final_errors(slow, "cpu")["runs"].overlap]
    np.testing.assert_allclose(both.overlap, apart, rtol=1e-4)
    assert both.momentum.tolist() == ["none"] * 4 + ["Nesterov"] * 4


def test_more_can_be_measured_at_the_end():
    table = students.final_errors(
        SEEN, "cpu", observe={"twice": lambda visit: 2 * visit.point[:, 0]}
    )["runs"]
    assert table.twice.abs().gt(0).all()
