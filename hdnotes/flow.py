r"""Gradient flow, d theta/dt = -grad f: gradient descent with infinitely small steps.

Statements about the flow are compared with the flow, not with descent at some learning rate
(chapter linear_networks).
"""

from collections.abc import Iterator

from torch import Tensor

from hdnotes.problems.problem import Problem


def gradient_flow(problem: Problem, start: Tensor, step: float, steps: int) -> Iterator[Tensor]:
    """Yield the points (trials, parameters) at times 0, h, 2h, ..., by Runge and Kutta's method.

    The classical one of fourth order: four gradients a step, an error of order h^4.

    Parameters
    ----------
    problem : T trials, all samples
    start : first points (trials, parameters); not changed
    step : h
    steps : how many
    """

    def slope(point: Tensor) -> Tensor:
        return -problem.loss_and_gradient(point)[1]

    point = start
    yield point
    for _ in range(steps):
        first = slope(point)
        second = slope(point + step / 2 * first)
        third = slope(point + step / 2 * second)
        fourth = slope(point + step * third)
        point = point + step / 6 * (first + 2 * second + 2 * third + fourth)
        yield point
