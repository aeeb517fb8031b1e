"""Arms of trials with a rate for each update: equal to a loop written out by hand."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method
from hdnotes.problems.rayleigh import Rayleigh
from hdnotes.scheduled_training import Arm, train_scheduled

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
