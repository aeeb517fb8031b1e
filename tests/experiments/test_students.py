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


def ends(cell, **options):
    return students.final_errors([cell], "cpu", **options)[0]["runs"]


def test_a_curve_begins_at_chance_and_ends_where_its_run_ended():
    curves = students.learning_curves([CELL], "cpu", records=20)[0]["curves"]
    runs = ends(CELL)
    by = ["momentum", "set", "start"]
    first = curves[curves.epoch.eq(1)]
    assert len(first) == len(runs)
    assert first.test_error.median() > 1
    last = curves.merge(runs, on=by, suffixes=("", "_end"))
    assert (last.epoch <= last.epochs).all()
    assert runs.outcome.eq("stopped").any()
    whole = curves[curves.epoch.eq(150)].merge(runs, on=by, suffixes=("", "_end"))
    assert len(whole) == runs.outcome.eq("budget").sum()
    np.testing.assert_allclose(whole.test_error, whole.test_error_end, rtol=1e-6)


def test_a_chapter_brings_its_own_steps_and_its_own_end():
    trials = students.trials_of(CELL)
    adam = [Method("Adam")(0.05)] * len(trials)
    never = ends(
        CELL, settings=adam, stop=lambda visit: torch.zeros(len(visit.point), dtype=torch.bool)
    )
    assert never.epochs.eq(150).all()
    assert never.outcome.eq("budget").all()
    plain = ends(CELL)
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


def test_a_student_in_a_trap_stops_and_would_have_stayed_there():
    cell = {**CELL, "features": 32, "alpha": 2.5, "batches": "full", "starts": 8, "epochs": 2000}
    stopped = ends({**cell, "momenta": ["Nesterov"]})
    whole = ends({**cell, "momenta": ["Nesterov"]}, stop=None)
    trapped = stopped[stopped.outcome.eq("stopped") & stopped.test_error.gt(0.1)]
    assert len(trapped) >= 4
    assert trapped.epochs.median() < 1000
    np.testing.assert_allclose(trapped.test_error, whole.test_error[trapped.index], atol=1e-4)


def test_a_student_whose_batch_changes_does_not_stand_still():
    cell = {**CELL, "features": 32, "alpha": 2.5, "momenta": ["Nesterov"], "epochs": 400}
    for batches in ("persistent", "shuffled"):
        runs = ends({**cell, "batches": batches})
        failed = runs[runs.test_error.gt(0.1)]
        assert len(failed)
        assert failed.outcome.eq("budget").all()


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
    both = ends({**SEEN, "momentum_rate": 0.002})
    without = ends({**SEEN, "momenta": ["none"]})
    slow = {**SEEN, "momenta": ["Nesterov"], "learning_rate": 1.0, "momentum_rate": 0.002}
    apart = [*without.overlap, *ends(slow).overlap]
    np.testing.assert_allclose(both.overlap, apart, rtol=1e-4)
    assert both.momentum.tolist() == ["none"] * 4 + ["Nesterov"] * 4


def test_more_can_be_measured_at_the_end():
    table = ends(SEEN, observe={"twice": lambda visit: 2 * visit.point[:, 0]})
    assert table.twice.abs().gt(0).all()


def test_cells_give_together_what_each_gives_alone():
    kinds = [
        {"batches": "full", "epochs": 40},
        {"batches": "shuffled", "batch_fraction": 0.25, "momenta": ["standard"]},
        {"persistence": 1.0, "starts": 2},
        {"learning_rate": 0.01, "momentum_rate": 0.002, "epochs": 90},
    ]
    cells = [{**CELL, "epochs": 120, **change} for change in kinds]
    assert len({students.alike(cell) for cell in cells}) == 1
    for found, cell in zip(students.final_errors(cells, "cpu"), cells, strict=True):
        together, alone = found["runs"], ends(cell)
        assert list(together.columns) == list(alone.columns)
        same = ["method", "momentum", "set", "start", "epochs", "outcome"]
        assert together[same].equals(alone[same])
        np.testing.assert_allclose(together.overlap, alone.overlap, rtol=1e-3)


def test_curves_recorded_together_are_those_of_each_cell():
    cells = [CELL, {**CELL, "learning_rate": 0.002, "momenta": ["standard"]}]
    assert students.alike_in_time(cells[0]) == students.alike_in_time(cells[1])
    assert students.alike_in_time({**CELL, "epochs": 9}) != students.alike_in_time(CELL)
    together = students.learning_curves(cells, "cpu", records=10)
    for found, cell in zip(together, cells, strict=True):
        alone = students.learning_curves([cell], "cpu", records=10)[0]["curves"]
        same = ["method", "set", "start", "epoch"]
        assert found["curves"][same].equals(alone[same])
        early = found["curves"].epoch.le(20)
        errors = found["curves"].test_error[early], alone.test_error[early]
        np.testing.assert_allclose(*errors, rtol=1e-3)


@pytest.mark.parametrize("change", [{"alpha": 9.0}, {"first_set": 1}, {"judged_on": "100 points"}])
def test_cells_on_other_data_or_with_another_end_are_not_alike(change):
    assert students.alike({**CELL, **change}) != students.alike(CELL)


def test_memory_grows_with_what_is_trained_together():
    wide = {**CELL, "features": 512, "starts": 100}
    one, three = (students.held_bytes([wide] * count) for count in (1, 3))
    apart = students.held_bytes([wide, {**wide, "first_set": 2}])
    assert one == apart < three
