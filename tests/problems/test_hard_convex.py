"""Hard convex problems: minima, curvatures, bounds; gradients that are multiplied."""

import pytest
import torch
from torch.autograd.functional import hessian

from hdnotes.problems.hard_convex import log_spaced, log_sum_exp_of, worst
from hdnotes.problems.scaled import Scaled
from hdnotes.theory.convex_rates import accelerated_bound, lower_bound, nesterov_momentum

HARD = {
    "quadratic": log_spaced(2, 12, 4, of=("hard",)),
    "log-sum-exp": log_sum_exp_of(2, 20, 10, 4, of=("hard",)),
    "worst": worst(21),
}


@pytest.mark.parametrize("name", HARD)
def test_newtons_method_finds_the_minimum_and_the_largest_curvature(name):
    hard = HARD[name]

    def loss(theta: torch.Tensor) -> torch.Tensor:
        return hard.problem.take([0]).loss_and_gradient(theta.unsqueeze(0))[0].squeeze(0)

    def plain(theta: torch.Tensor) -> torch.Tensor:
        z = hard.problem.inputs[0] @ theta
        return hard.problem.outer(z, hard.problem.targets[0])[0]

    theta = hard.start[0]
    for _ in range(60):
        _, gradient = hard.problem.take([0]).loss_and_gradient(theta.unsqueeze(0))
        theta = theta - 0.7 * torch.linalg.solve(hessian(plain, theta), gradient[0])
    assert loss(theta).item() == pytest.approx(hard.minimum[0].item(), abs=1e-12)
    top = torch.linalg.eigvalsh(hessian(plain, theta))[-1].item()
    assert top == pytest.approx(hard.smoothness, rel=1e-2)
    assert (theta - hard.start[0]).norm().item() == pytest.approx(hard.distance[0].item(), rel=1e-5)


def test_nesterovs_method_stays_between_its_bounds_and_descent_obeys_the_lower_one():
    hard = worst(61)
    size, radius = hard.smoothness, hard.distance.item()
    x = y = plain = hard.start
    for step in range(1, 31):
        new = y - hard.problem.loss_and_gradient(y)[1]
        x, y = new, new + nesterov_momentum(step) * (new - x)
        plain = plain - hard.problem.loss_and_gradient(plain)[1]
        fast, slow = (
            (hard.problem.loss_and_gradient(p)[0] - hard.minimum).item() for p in (x, plain)
        )
        assert lower_bound(61, step) <= fast <= accelerated_bound(size, radius, step)
        assert slow >= lower_bound(61, step)


def test_gradients_are_multiplied_row_by_row():
    hard = HARD["quadratic"]
    problem = Scaled(hard.problem, torch.tensor([[2.0], [5.0]]))
    loss, gradient = hard.problem.loss_and_gradient(hard.start)
    same, scaled = problem.loss_and_gradient(hard.start)
    assert torch.equal(loss, same)
    torch.testing.assert_close(scaled, gradient * torch.tensor([[2.0], [5.0]]))
    one = problem.take([1])
    torch.testing.assert_close(one.loss_and_gradient(hard.start[1:])[1], scaled[1:])
    assert (one.samples, one.parameters, list(one.data_of)) == (12, 12, [0])
