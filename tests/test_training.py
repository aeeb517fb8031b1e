"""Lockstep equals the plain loop, whatever stands beside a trial."""

import pytest
import torch
from reference import plain_loss, plain_network, plain_train

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method
from hdnotes.problems import convex
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import Convex
from hdnotes.training import record_steps, train

D, N, STEPS = 12, 30, 40
METHODS = {
    "SGD": (Method("SGD"), 0.02),
    "momentum": (Method("SGD", {"momentum": 0.9}), 0.02),
    "Nesterov": (Method("SGD", {"momentum": 0.9, "nesterov": True}), 0.02),
    "Adagrad": (Method("Adagrad", {"lr_decay": 1e-3}), 0.1),
    "Adam": (Method("Adam"), 0.05),
    "AdamW": (Method("AdamW"), 0.05),
    "RMSprop": (Method("RMSprop", {"alpha": 0.9}), 0.01),
    "Rprop": (Method("Rprop"), 0.01),
    "Adadelta": (Method("Adadelta"), 0.5),
    "NAdam": (Method("NAdam"), 0.05),
    "RAdam": (Method("RAdam"), 0.05),
    "Adamax": (Method("Adamax"), 0.05),
    "ASGD": (Method("ASGD"), 0.02),
    "Lion": (Method("Lion"), 0.01),
}


def make(kind: str, sets: int, data_of: tuple[int, ...]) -> Convex:
    spectrum = torch.linspace(1, 0.2, D, dtype=torch.float64)
    a = [convex.decaying_matrix(N, spectrum, of=("test", k)) for k in range(sets)]
    y = [x @ seeds.normal(D, of=("test", "optimum", k)) for k, x in enumerate(a)]
    if kind == "logistic":
        y = [(target > 0).double() for target in y]
    return Convex(getattr(convex, kind), tuple(a), tuple(y), data_of)


def starts(trials: int) -> torch.Tensor:
    return torch.stack([seeds.normal(D, of=("test", "start", t)) for t in range(trials)])


def plain(problem: Convex, kind: str, trial: int, start, setting, steps=STEPS):
    data = problem.data_of[trial]
    a, y = problem.inputs[data], problem.targets[data]
    return plain_train(lambda theta, step: plain_loss(kind, a, y, theta), start, setting, steps)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["least_squares", "logistic", "log_sum_exp"])
def test_lockstep_equals_the_plain_loop(name, kind):
    method, rate = METHODS[name]
    problem = make(kind, 2, (0, 1, 0, 1))
    settings = [method(rate), method(rate), method(rate / 2), method(rate)]
    run = train(problem, starts(4), settings, STEPS, record=torch.arange(STEPS + 1))
    for trial, setting in enumerate(settings):
        point, losses = plain(problem, kind, trial, starts(4)[trial], setting)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(
            run.loss[trial, :-1], torch.tensor(losses), rtol=1e-10, atol=1e-10
        )


def test_all_methods_in_one_batch_equal_each_alone():
    problem = make("least_squares", 3, tuple(t % 3 for t in range(len(METHODS))))
    settings = [method(rate) for method, rate in METHODS.values()]
    together = train(problem, starts(len(settings)), settings, STEPS)
    for trial, setting in enumerate(settings):
        start = starts(len(settings))[trial : trial + 1]
        alone = train(problem.take([trial]), start, [setting], STEPS)
        torch.testing.assert_close(together.point[trial], alone.point[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", [[3, 0, 2, 1], [1, 3], [2, 2, 0]])
def test_numbers_do_not_depend_on_companions_or_order(order):
    problem = make("log_sum_exp", 2, (0, 1, 0, 1))
    settings = [METHODS[n][0](METHODS[n][1]) for n in ("Adam", "SGD", "Adagrad", "Adam")]
    whole = train(problem, starts(4), settings, STEPS)
    part = train(problem.take(order), starts(4)[order], [settings[t] for t in order], STEPS)
    torch.testing.assert_close(part.point, whole.point[order], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(part.loss, whole.loss[order], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("chunk_bytes", [1, 10_000, 1 << 40])
def test_numbers_do_not_depend_on_chunks(chunk_bytes):
    problem = make("least_squares", 4, (3, 0, 1, 1, 2, 0, 3))
    settings = [Method("Adam")(0.05)] * 4 + [Method("Adagrad")(0.1)] * 3
    one = train(problem, starts(7), settings, STEPS)
    other = train(problem, starts(7), settings, STEPS, chunk_bytes=chunk_bytes)
    torch.testing.assert_close(one.point, other.point, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam", "Lion"])
def test_minibatches_equal_the_plain_loop(name):
    method, rate = METHODS[name]
    widths = (6, 5, 3)
    inputs = seeds.normal(20, 6, of=("test", "inputs"))
    labels = torch.arange(20) % 3
    points = draw_points(widths, 3, "xavier", of=("test", "points"))
    batches = Shuffled(samples=20, size=6, streams=(7, 7, 8))
    problem = Classifier(widths, inputs, labels, (0, 0, 0))
    run = train(problem, points, [method(rate)] * 3, STEPS, batches=batches)
    for trial in range(3):

        def loss(theta, step, trial=trial):
            rows = batches.at(step)[trial]
            return plain_network(widths, theta, inputs[rows], labels[rows])

        point, _ = plain_train(loss, points[trial], method(rate), STEPS)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)


def test_convex_minibatch_equals_the_plain_loop():
    problem = make("logistic", 2, (0, 1))
    batches = Shuffled(samples=N, size=7, streams=(1, 2))
    run = train(problem, starts(2), [Method("Adam")(0.05)] * 2, STEPS, batches=batches)
    for trial in range(2):
        a, y = problem.inputs[trial], problem.targets[trial]

        def loss(theta, step, trial=trial, a=a, y=y):
            rows = batches.at(step)[trial]
            return plain_loss("logistic", a[rows], y[rows], theta)

        point, _ = plain_train(loss, starts(2)[trial], Method("Adam")(0.05), STEPS)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)


def test_a_shuffled_epoch_sees_every_sample_once():
    batches = Shuffled(samples=12, size=4, streams=(1, 2))
    for epoch in range(3):
        seen = torch.cat([batches.at(3 * epoch + step) for step in range(3)], dim=1)
        assert seen.sort(dim=1).values.tolist() == [list(range(12))] * 2
    assert not torch.equal(batches.at(0), batches.at(3))


def test_diverged_and_stopped_trials_leave_and_the_others_do_not_notice():
    problem = make("least_squares", 2, (0, 1, 0, 1))
    method = Method("SGD", {"momentum": 0.9})
    settings = [method(0.05), method(1e150), method(1.0), method(0.02)]

    def small(point, loss, gradient):
        return gradient.norm(dim=1) < 0.05

    run = train(problem, starts(4), settings, 200, stop=small)
    assert run.outcome[1] == "diverged"
    assert run.loss[1, -1] == torch.inf
    assert run.outcome[2] == "stopped"
    assert run.steps[2] < 200
    assert bool((run.loss[2, run.recorded >= run.steps[2]] == run.loss[2, -1]).all())
    kept = [t for t in range(4) if run.outcome[t] == "budget"]
    for trial in kept:
        point, _ = plain(problem, "least_squares", trial, starts(4)[trial], settings[trial], 200)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)
    stopped = int(run.steps[2])
    point, _ = plain(problem, "least_squares", 2, starts(4)[2], settings[2], stopped)
    torch.testing.assert_close(run.point[2], point, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_state_goes_with_the_rows_that_stay(name):
    method, rate = METHODS[name]
    problem = make("least_squares", 2, (0, 1, 0))

    def second_leaves(point, loss, gradient):
        return (
            point[:, 0] == marked if len(point) == 3 else torch.zeros(len(point), dtype=torch.bool)
        )

    marked = train(problem, starts(3), [method(rate)] * 3, 5).point[1, 0]
    run = train(problem, starts(3), [method(rate)] * 3, STEPS, stop=second_leaves)
    assert run.outcome == ["budget", "stopped", "budget"]
    for trial in (0, 2):
        point, _ = plain(problem, "least_squares", trial, starts(3)[trial], method(rate))
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)


def test_measures_are_recorded_and_averaged():
    problem = make("least_squares", 1, (0, 0))
    steps = torch.arange(STEPS + 1)
    run = train(
        problem,
        starts(2),
        [Method("SGD")(0.05)] * 2,
        STEPS,
        record=steps,
        observe={"point": lambda point, loss, gradient: point},
        average={"loss": lambda point, loss, gradient: loss},
    )
    assert run.observed["point"].shape == (2, STEPS + 1, D)
    torch.testing.assert_close(run.observed["point"][:, -1], run.point)
    torch.testing.assert_close(run.average["loss"], run.loss.mean(1))


def test_a_rule_met_at_the_last_step_counts_as_stopped():
    problem = make("least_squares", 1, (0, 0))
    settings = [Method("SGD")(0.1), Method("SGD")(1e150)]
    run = train(
        problem,
        starts(2),
        settings,
        1,
        stop=lambda p, loss, g: loss < 1e300,
        record=torch.arange(2),
    )
    assert run.outcome == ["stopped", "stopped"]
    late = train(problem, starts(2), settings, 5, stop=lambda p, loss, g: p[:, 0] != p[:, 0])
    assert late.outcome == ["budget", "diverged"]
    settled = train(problem, starts(2), settings[:1] * 2, 4, stop=_rule_at(4))
    assert settled.outcome == ["stopped", "stopped"]
    assert settled.steps.tolist() == [4, 4]


def _rule_at(step):
    """Return a rule that is met at its ``step``-th question."""
    asked = []

    def rule(point, loss, gradient):
        asked.append(len(asked))
        return torch.full((len(loss),), asked[-1] == step)

    return rule


def test_the_start_is_not_changed():
    start = starts(2)
    train(make("least_squares", 1, (0, 0)), start, [Method("Adam")(0.1)] * 2, 3)
    assert torch.equal(start, starts(2))


def test_record_steps_hold_both_ends():
    for steps in (1, 2, 10, 1000):
        record = record_steps(steps, 20)
        assert record[0] == 0
        assert record[-1] == steps
        assert bool((record.diff() > 0).all())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start": torch.zeros(2, 3)}, r"start has shape \(2, 3\); the problem needs \(2, 12\)"),
        ({"settings": [Method("SGD")(0.1)]}, "settings has length 1; it is one a trial, 2"),
        ({"steps": -1}, "steps = -1 is not allowed; it is at least 0"),
        ({"settings": [Method("Nope")(0.1)] * 2}, "optimizer = 'Nope' is not known"),
    ],
)
def test_bad_arguments_are_refused(change, sentence):
    given = {"start": starts(2), "settings": [Method("SGD")(0.1)] * 2, "steps": 3, **change}
    with pytest.raises(ValueError, match=sentence):
        train(make("least_squares", 1, (0, 0)), **given)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="size = 9 is not allowed; it is 1 to 8"):
        Shuffled(samples=8, size=9, streams=(1,))
