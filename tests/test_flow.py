"""The flow of least squares is an exponential; the error falls as the fourth power of the step."""

import torch

from hdnotes import seeds
from hdnotes.flow import gradient_flow
from hdnotes.problems.convex import Convex, least_squares


def test_the_flow_of_least_squares_is_an_exponential() -> None:
    matrices = tuple(seeds.normal(4, 3, of=("flow", "A", k)) for k in range(2))
    targets = tuple(seeds.normal(4, of=("flow", "y", k)) for k in range(2))
    problem, start = Convex(least_squares, matrices, targets, (1, 0)), torch.ones(2, 3)
    errors = []
    for steps in (20, 40):
        *_, end = gradient_flow(problem, start, 1 / steps, steps)
        expected = []
        for data in (1, 0):
            gram = matrices[data].T @ matrices[data]
            goal = torch.linalg.lstsq(matrices[data], targets[data]).solution
            expected.append(goal + torch.linalg.matrix_exp(-gram) @ (torch.ones(3) - goal))
        errors.append(float((end - torch.stack(expected)).abs().max()))
    assert errors[1] < 1e-4
    assert 12 < errors[0] / errors[1] < 24
    assert torch.equal(start, torch.ones(2, 3))
