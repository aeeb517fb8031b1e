"""Arms of trials with a rate for each update: equal to a loop written out by hand."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Drawn, Shuffled
from hdnotes.optimizers import Method, find
from hdnotes.problems.convex import Convex, least_squares
from hdnotes.problems.rayleigh import Rayleigh
from hdnotes.scheduled_training import Arm, train_scheduled
from hdnotes.schedules import constant, linear_decay
from hdnotes.training import train

X = seeds.normal(20, 4, of=("scheduled",))
START = seeds.normal(2, 4, of=("scheduled", "start"))
RATES = torch.tensor([0.3, 0.1, 0.2, 0.05, 0.4])
BATCHES = Shuffled(20, 5, (1, 2))
BUFFER = seeds.normal(2, 4, of=("scheduled", "buffer"))


def run(arms: list[Arm], **looks):
    batches = Shuffled(20, 5, (1, 2) * len(arms))
    problem = Rayleigh(X, (0,) * 2 * len(arms))
    record = torch.tensor([0, 2, 5])
    return train_scheduled(problem, arms, batches=batches, record=record, observe=looks)


@pytest.mark.parametrize("buffer", [None, BUFFER])
def test_sgd_follows_the_convention_of_the_theorems(buffer):
    method = Method("SGD", {"momentum": 0.9, "weight_decay": 0.1})
    other = Arm(Method("Adam"), RATES, 3 * START)
    found = run([other, Arm(method, RATES, START, buffer)], point=lambda point: point.clone())
    theta, v = START, torch.zeros(2, 4) if buffer is None else buffer
    problem = Rayleigh(X, (0, 0))
    for step, rate in enumerate(RATES.tolist()):
        loss, gradient = problem.loss_and_gradient(theta, BATCHES.at(step))
        torch.testing.assert_close(found.loss[2:, step], loss)
        torch.testing.assert_close(found.squared_gradient[2:, step], gradient.square().sum(1))
        v = 0.9 * v + gradient + 0.1 * theta
        before, theta = theta, theta - rate * v
        turn = theta / theta.norm(dim=1, keepdim=True) - before / before.norm(dim=1, keepdim=True)
        torch.testing.assert_close(found.rotation[2:, step], turn.norm(dim=1))
        if step == 1:
            torch.testing.assert_close(found.observed["point"][2:, 1], theta, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.point[2:], theta, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.squared_norm[2:, -1], theta.square().sum(1))


def test_an_arm_does_not_depend_on_the_others():
    sgd, adam = Arm(Method("SGD"), RATES, START), Arm(Method("Adam"), RATES, START)
    both = run([sgd, adam])
    torch.testing.assert_close(both.point[:2], run([sgd]).point, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(both.point[2:], run([adam]).point, rtol=1e-12, atol=1e-14)
    assert torch.equal(START, seeds.normal(2, 4, of=("scheduled", "start")))


def test_arms_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"arms have \[3, 5\] rates"):
        run([Arm(Method("SGD"), RATES, START), Arm(Method("SGD"), RATES[:3], START)])


def least_squares_trials() -> tuple[Convex, torch.Tensor]:
    matrices = tuple(seeds.normal(4, 6, of=("schedule", "A", k)) for k in range(2))
    targets = tuple(seeds.normal(4, of=("schedule", "y", k)) for k in range(2))
    return Convex(least_squares, matrices, targets, (0, 1, 1)), seeds.normal(3, 6, of=("start",))


@pytest.mark.parametrize(
    ("method", "rate"),
    [
        (Method("SGD", {"momentum": 0.9}), 0.05),
        (Method("Adam"), 0.1),
        (Method("SignSGD", {"momentum": 0.0}), 0.1),
    ],
)
def test_every_method_equals_the_plain_loop(method, rate):
    convex, start = least_squares_trials()
    rows, rates = Drawn(4, 2, (1, 2, 3)), rate * linear_decay(25)
    end = train_scheduled(convex, [Arm(method, rates, start)], batches=rows).point
    for trial, data in enumerate(convex.data_of):
        theta = start[trial].clone().requires_grad_()
        optimizer = find(method.optimizer)([theta], lr=1.0, **method.settings)
        for step in range(25):
            chosen = rows.at(step)[trial]
            optimizer.param_groups[0]["lr"] = rate * (1 - step / 25)
            optimizer.zero_grad()
            residual = convex.inputs[data][chosen] @ theta - convex.targets[data][chosen]
            (residual.square().sum() / 2).backward()
            optimizer.step()
        torch.testing.assert_close(end[trial], theta.detach(), rtol=1e-10, atol=1e-10)


def test_a_constant_rate_is_what_train_does():
    convex, start = least_squares_trials()
    end = train_scheduled(convex, [Arm(Method("Adam"), 0.1 * constant(25), start)]).point
    run = train(convex, start, [Method("Adam")(0.1)] * 3, 25)
    torch.testing.assert_close(end, run.point, rtol=1e-10, atol=1e-10)
