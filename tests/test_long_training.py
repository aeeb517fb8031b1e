"""Long runs equal the plain loop, whatever stands beside them and wherever they are interrupted."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from reference import plain_phase_loss, plain_sphere_train

from hdnotes import checkpoints, long_training, seeds
from hdnotes.batches import Persistent, Shuffled
from hdnotes.long_training import by_data_set, train_long
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import (
    PhaseRetrieval,
    draw_data,
    draw_inputs,
    draw_start,
    project,
)

P, N, STEPS = 10, 24, 40
METHODS = {
    "SGD": Method("SGD")(0.01),
    "momentum": Method("SGD", {"momentum": 0.9})(0.005),
    "Nesterov": Method("SGD", {"momentum": 0.9, "nesterov": True})(0.005),
    "Adam": Method("Adam")(0.01),
}
DATA_OF = (0, 1, 1, 0)
BATCHES = {
    "full": None,
    "shuffled": Shuffled(N, N // 2, (1, 2, 3, 4)),
    "persistent": Persistent(N, 0.5, (0.2, 0.2, 0.1, 0.3), (1, 2, 3, 4)),
}


def make(channel="quadratic", hidden=1, data_of=DATA_OF, tests=0) -> PhaseRetrieval:
    drawn = [draw_data(channel, N, P, of=("test", k), dtype=torch.float64) for k in range(2)]
    x, y, w = (tuple(parts) for parts in zip(*drawn, strict=True))
    fresh = draw_inputs(tests, P, of=("test", "fresh"), dtype=torch.float64)
    return PhaseRetrieval(channel, x, y, w, data_of, hidden, (fresh, fresh) if tests else ())


def starts(trials=4, hidden=1) -> torch.Tensor:
    return torch.stack([seeds.normal(hidden * P, of=("test", "start", t)) for t in range(trials)])


def mask_of(batches, step: int, trial: int) -> torch.Tensor:
    if batches is None:
        return torch.ones(N)
    batch = batches.at(step)[trial]
    if batch.is_floating_point():
        return batch.double()
    return torch.zeros(N).index_fill(0, batch, 1.0)


@pytest.mark.parametrize("channel", ["quadratic", "absolute", "door, square", "door, logistic"])
@pytest.mark.parametrize("hidden", [1, 2])
@pytest.mark.parametrize("kind", BATCHES)
def test_lockstep_equals_the_plain_loop(kind, hidden, channel):
    problem, batches = make(channel, hidden, tests=50), BATCHES[kind]
    settings = list(METHODS.values())
    run = train_long(
        problem,
        starts(4, hidden),
        settings,
        STEPS,
        batches=batches,
        project=partial(project, features=P),
    )
    for trial, setting in enumerate(settings):
        x, y = (parts[DATA_OF[trial]] for parts in (problem.inputs, problem.targets))

        def loss(w, step, trial=trial, x=x, y=y):
            each = plain_phase_loss(channel, hidden, x, y, w)
            return (mask_of(batches, step, trial) * each).sum()

        point = plain_sphere_train(loss, starts(4, hidden)[trial], setting, STEPS, hidden)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("order", [[3, 0, 2, 1], [1, 3], [2]])
def test_numbers_do_not_depend_on_companions_order_or_chunks(order, kind):
    batches, settings = BATCHES[kind], list(METHODS.values())
    sphere = partial(project, features=P)
    whole = train_long(make(), starts(), settings, STEPS, batches=batches, project=sphere)
    part = train_long(
        make().take(order),
        starts()[order],
        [settings[t] for t in order],
        STEPS,
        batches=batches and batches.take(order),
        project=sphere,
        chunk_bytes=1,
    )
    torch.testing.assert_close(part.point, whole.point[order], rtol=1e-10, atol=1e-10)


def test_trials_leave_at_their_own_step_and_the_others_do_not_notice():
    batches, setting = BATCHES["persistent"], METHODS["Nesterov"]
    record = torch.arange(0, STEPS + 1, 5)
    look = {"start": lambda visit: visit.point[:, 0]}
    options = {"batches": batches, "project": partial(project, features=P), "record": record}
    free = train_long(make(), starts(), [setting] * 4, STEPS, observe=look, **options)
    marked = free.observed["start"][1, 2]  # after 10 steps

    def stop(visit):
        return (visit.point[:, 0] - marked).abs() < 1e-12

    run = train_long(
        make(), starts(), [setting] * 4, STEPS, observe=look, stop=stop, every=5, **options
    )
    assert run.outcome == ["budget", "stopped", "budget", "budget"]
    assert run.steps.tolist() == [STEPS, 10, STEPS, STEPS]
    others = [0, 2, 3]
    torch.testing.assert_close(run.point[others], free.point[others], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(run.observed["start"][others], free.observed["start"][others])
    assert bool((run.observed["start"][1, 2:] - marked).abs().max() < 1e-12)


def test_divergence_is_an_outcome():
    settings = [Method("SGD")(0.01), Method("SGD")(1e200), *[Method("SGD")(0.01)] * 2]
    run = train_long(make(), starts(), settings, 20, every=3)
    assert run.outcome == ["budget", "diverged", "budget", "budget"]
    assert run.steps[1] < 20


def test_noise_is_added_after_the_update_and_before_the_sphere():
    class Push:
        def __init__(self, trials):
            self.trials = trials

        def at(self, step):
            return torch.stack([seeds.normal(P, of=("push", t, step)) for t in self.trials])

        def take(self, trials):
            return Push([self.trials[t] for t in trials])

    sphere, setting = partial(project, features=P), METHODS["SGD"]
    run = train_long(make(), starts(), [setting] * 4, 3, noise=Push([0, 1, 2, 3]), project=sphere)
    w = starts()
    for step in range(3):
        w = w - 0.01 * make().loss_and_gradient(w)[1] + Push([0, 1, 2, 3]).at(step)
        sphere(w)
    torch.testing.assert_close(run.point, w, rtol=1e-10, atol=1e-10)


def test_a_visit_holds_the_gradient_of_the_step_before():
    look = {
        "now": lambda visit: visit.gradient.clone(),
        "before": lambda visit: visit.before.clone(),
    }
    run = train_long(
        make(), starts(), [METHODS["SGD"]] * 4, 5, record=torch.arange(6), observe=look
    )
    torch.testing.assert_close(run.observed["before"][:, 1:], run.observed["now"][:, :-1])
    assert not run.observed["before"][:, 0].any()


class Killed(Exception):
    """What stops a run in these tests."""


@pytest.mark.parametrize("name", [*METHODS, "ADOPT"])
@pytest.mark.parametrize("kind", BATCHES)
def test_an_interrupted_run_goes_on_bit_by_bit(kind, name, tmp_path, monkeypatch):
    monkeypatch.setattr(long_training, "PAUSE_S", -1.0)
    method = {**METHODS, "ADOPT": Method("ADOPT")(0.01)}[name]
    settings = [method, method, METHODS["SGD"], method]
    asked: list[int] = []

    def stop(visit, kill_at=None):
        if visit.step == kill_at:
            raise Killed
        asked.append(visit.step)
        first = torch.arange(len(visit.point)) == 0
        return first & (visit.step == 12) & (visit.problem.data_of[0] == 0)

    def run(rule):
        return train_long(
            make(),
            starts(),
            settings,
            STEPS,
            batches=BATCHES[kind] and BATCHES[kind].take(range(4)),
            project=partial(project, features=P),
            stop=rule,
            record=torch.arange(0, STEPS + 1, 4),
            observe={"error": lambda visit: visit.problem.test_error(visit.point)},
            chunk_bytes=1,
        )

    whole = run(stop)
    folder = tmp_path / "cell"
    with pytest.raises(Killed), checkpoints.kept(folder):
        run(partial(stop, kill_at=25))
    assert checkpoints.load(folder / "1.pt")["step"] == 25
    asked.clear()
    with checkpoints.kept(folder):
        again = run(stop)
    assert asked[0] == 25
    assert not folder.exists()
    assert torch.equal(again.point, whole.point)
    assert torch.equal(again.steps, whole.steps)
    assert torch.equal(again.observed["error"], whole.observed["error"])
    assert again.outcome == whole.outcome


def test_finished_data_sets_are_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(long_training, "PAUSE_S", -1.0)
    steps: list[tuple[int, int]] = []

    def stop(visit, kill=False):
        steps.append((visit.problem.data_of[0], visit.step))
        if kill and visit.problem.data_of[0] == 1 and visit.step == 7:
            raise Killed
        return torch.zeros(len(visit.point), dtype=torch.bool)

    def run(rule):
        return train_long(make(), starts(), [METHODS["SGD"]] * 4, 10, stop=rule, chunk_bytes=1)

    with pytest.raises(Killed), checkpoints.kept(tmp_path / "cell"):
        run(partial(stop, kill=True))
    steps.clear()
    with checkpoints.kept(tmp_path / "cell"):
        again = run(stop)
    assert steps[0] == (1, 7)
    assert torch.equal(again.point, run(stop).point)


def test_a_damaged_checkpoint_is_not_read(tmp_path):
    path = tmp_path / "1.pt"
    checkpoints.save(path, {"point": torch.arange(3.0), "step": 5})
    assert checkpoints.load(path)["step"] == 5
    content = path.read_bytes()
    path.write_bytes(content[:-20] + b"x" * 20)
    assert checkpoints.load(path) is None
    path.write_bytes(content[: len(content) // 2])
    assert checkpoints.load(path) is None
    assert checkpoints.load(tmp_path / "2.pt") is None


SCRIPT = """
import sys, time, types
from pathlib import Path
import pandas as pd, torch
from hdnotes import long_training
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, draw_start
from hdnotes.store.store import Store
from hdnotes.store.sweep import sweep

long_training.PAUSE_S = 0.05
begun = Path(sys.argv[2])


def run(cell, device):
    x, y, w = draw_data("quadratic", 20, 8, of=("kill",))
    problem = PhaseRetrieval("quadratic", (x,), (y,), (w,), (0,))
    seen = []

    def stop(visit):
        seen.append(visit.step)
        if visit.step > 30 and not begun.exists():
            begun.write_text(str(visit.step))
        time.sleep(0.005)
        return torch.zeros(1, dtype=torch.bool)

    start = draw_start(1, 8, of=("kill", "start")).unsqueeze(0)
    out = long_training.train_long(problem, start, [Method("SGD")(0.01)], 150, stop=stop)
    rows = {"first": [seen[0]], "norm": [float(out.point.double().norm())]}
    return {"rows": pd.DataFrame(rows)}


toy = types.SimpleNamespace(NAME="toy", VERSION=1, run=run)
run.__module__ = "hdnotes"
results = sweep(toy, [{"a": 1}], Store(sys.argv[1]), progress=False)
table = results.table("rows")
print(table["first"].item(), table.norm.item(), results.wall_time_s)
"""


def test_a_killed_process_goes_on_inside_its_cell(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def command(name: str) -> list[str]:
        return [sys.executable, str(script), str(tmp_path / name), str(tmp_path / f"{name}.begun")]

    undisturbed = subprocess.check_output(command("whole"), text=True).split()
    victim = subprocess.Popen(command("killed"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed.begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert list((tmp_path / "killed" / ".runs").iterdir())
    resumed = subprocess.check_output(command("killed"), text=True).split()
    assert undisturbed[0] == "0"
    assert int(resumed[0]) > 10
    assert resumed[1] == undisturbed[1]
    assert float(resumed[2]) > 0.5 * float(undisturbed[2])
    assert not list((tmp_path / "killed" / ".runs").iterdir())


def test_small_data_sets_are_taken_together_and_large_ones_one_by_one():
    problem = make()
    assert by_data_set(problem, 1) == [[0, 3], [1, 2]]
    assert by_data_set(problem, 2 * problem.data_bytes) == [[0, 3, 1, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": torch.zeros(3, P)}, r"the problem needs \(4, 10\) and 4"),
        ({"settings": [METHODS["SGD"]]}, r"the problem needs \(4, 10\) and 4"),
        ({"every": 0}, "every at least 1"),
        ({"steps": [3, 3]}, "one number, or 4, one a trial"),
    ],
)
def test_arguments_that_disagree_are_refused(change, message):
    given = {"start": starts(), "settings": [METHODS["SGD"]] * 4, "steps": 3, **change}
    with pytest.raises(ValueError, match=message):
        train_long(make(), **given)


def test_the_document_settings_recover_the_teacher():
    # Without the factor 1/2, eta = 0.01 and alpha = 6: GD converges within 10^2 to 10^3 epochs.
    p = 1024
    x, y, w = draw_data("quadratic", 6 * p, p, of=("test", "easy"))
    problem = PhaseRetrieval("quadratic", (x,), (y,), (w,), (0, 0, 0))
    run = train_long(
        problem,
        torch.stack([draw_start(1, p, of=("test", "easy", t)) for t in (0, 2, 3)]),
        [Method("SGD")(2 * 0.01)] * 3,
        500,
        project=partial(project, features=p),
        stop=lambda visit: visit.problem.test_error(visit.point) < 1e-3,
        every=10,
    )
    assert run.outcome == ["stopped"] * 3
    assert int(run.steps.median()) in range(100, 1001)


def test_trials_have_their_own_budgets_and_looks():
    budgets, pauses = [7, 12, 12, 30], [3, 4, 5, 10]
    looked = []

    def never(visit):
        looked.append(visit.step)
        return torch.zeros(len(visit.point), dtype=torch.bool)

    settings = [METHODS["SGD"]] * 4
    together = train_long(make(), starts(), settings, budgets, stop=never, every=pauses)
    assert together.steps.tolist() == budgets
    assert together.outcome == ["budget"] * 4
    assert looked == [*range(13), 20, 30]  # every step may be somebody's until one trial is left
    for trial, budget in enumerate(budgets):
        alone = train_long(make().take([trial]), starts()[[trial]], settings[:1], budget)
        torch.testing.assert_close(together.point[trial], alone.point[0], rtol=1e-5, atol=1e-6)


def test_a_trial_is_stopped_at_its_own_looks_only():
    run = train_long(
        make(),
        starts(),
        [METHODS["SGD"]] * 4,
        20,
        stop=lambda visit: torch.full((len(visit.point),), visit.step > 0),
        every=[2, 3, 5, 30],
    )
    assert run.steps.tolist() == [2, 3, 5, 20]
    assert run.outcome == ["stopped"] * 4
