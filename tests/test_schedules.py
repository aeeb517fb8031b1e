"""Scheduled training equals a plain loop, and equals `train` where the rate stays."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Drawn
from hdnotes.optimizers import Method, find
from hdnotes.problems.convex import Convex, least_squares
from hdnotes.schedules import constant, cosine_annealing, linear_decay, train_scheduled
from hdnotes.training import train

STEPS = 25
SETTINGS = [
    Method("SGD", {"momentum": 0.9})(0.05),
    Method("Adam")(0.1),
    Method("SignSGD", {"momentum": 0.0})(0.1),
]


def problem() -> tuple[Convex, torch.Tensor]:
    matrices = tuple(seeds.normal(4, 6, of=("schedule", "A", k)) for k in range(2))
    targets = tuple(seeds.normal(4, of=("schedule", "y", k)) for k in range(2))
    return Convex(least_squares, matrices, targets, (0, 1, 1)), seeds.normal(3, 6, of=("start",))


@pytest.mark.parametrize("setting", SETTINGS)
def test_lockstep_equals_the_plain_loop(setting) -> None:
    convex, start = problem()
    rows = Drawn(4, 2, (1, 2, 3))
    end = train_scheduled(convex, start, setting, STEPS, linear_decay(STEPS), batches=rows)
    for trial, data in enumerate(convex.data_of):
        theta = start[trial].clone().requires_grad_()
        optimizer = find(setting.method.optimizer)([theta], lr=1.0, **setting.method.settings)
        for step in range(STEPS):
            chosen = rows.at(step)[trial]
            optimizer.param_groups[0]["lr"] = setting.learning_rate * (1 - step / STEPS)
            optimizer.zero_grad()
            residual = convex.inputs[data][chosen] @ theta - convex.targets[data][chosen]
            (residual.square().sum() / 2).backward()
            optimizer.step()
        torch.testing.assert_close(end[trial], theta.detach(), rtol=1e-10, atol=1e-10)


def test_a_constant_rate_is_what_train_does() -> None:
    convex, start = problem()
    end = train_scheduled(convex, start, SETTINGS[1], STEPS, constant)
    run = train(convex, start, [SETTINGS[1]] * 3, STEPS)
    torch.testing.assert_close(end, run.point, rtol=1e-10, atol=1e-10)
    assert constant(7) == 1


def test_drawn_rows_come_with_replacement_and_from_the_trial_alone() -> None:
    rows = Drawn(5, 1, (3, 4, 3))
    steps = torch.stack([rows.at(step) for step in range(600)])
    assert torch.equal(steps[:, 0], steps[:, 2])
    assert not torch.equal(steps[:, 0], steps[:, 1])
    counts = steps[:, 1].flatten().bincount(minlength=5)
    assert counts.min() > 80  # 120 each, give or take 10
    assert (steps[1:, 1] == steps[:-1, 1]).float().mean() > 0.1  # the same twice in a row
    assert torch.equal(rows.take([1]).at(599), steps[599, [1]])


def test_cosine_annealing_is_torchs_stepped_once_an_epoch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    expected = []
    for _ in range(5):
        expected += [optimizer.param_groups[0]["lr"]] * 3
        optimizer.step()
        theirs.step()
    assert cosine_annealing(5, 3).tolist() == pytest.approx(expected, rel=1e-12)
