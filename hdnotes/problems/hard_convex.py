r"""Convex problems on which plain gradient descent is as slow as it can be (chapter adam)."""

from typing import NamedTuple

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares, log_sum_exp


class Hard(NamedTuple):
    """A problem with what its bounds need.

    Attributes
    ----------
    problem : trials, one each data set
    start : (trials, d)
    minimum : the least value of each trial (trials,)
    smoothness : largest curvature (at the minimiser)
    distance : from start to the nearest minimiser (trials,)
    """

    problem: Convex
    start: Tensor
    minimum: Tensor
    smoothness: float
    distance: Tensor


def log_spaced(trials: int, d: int, decades: float, *, of: tuple[object, ...]) -> Hard:
    r"""Return 1/2 sum_k lambda_k theta_k^2 with curvatures evenly spaced in their logarithm.

    From 1 down by ``decades``; starts are N(0, I). After t updates of gradient descent the
    curvatures above 1/t are done with, and as many are left in every decade: f falls like 1/t.
    """
    curvature = torch.logspace(0, -decades, d, dtype=torch.float64)
    start = _draws(trials, d, of=(*of, "start"))
    problem = Convex(
        least_squares, (curvature.sqrt().diag(),), (torch.zeros(d).double(),), (0,) * trials
    )
    return Hard(problem, start, start.new_zeros(trials), 1.0, start.norm(dim=1))


def log_sum_exp_of(
    trials: int, samples: int, d: int, decades: float, *, of: tuple[object, ...]
) -> Hard:
    r"""Return log sum_i exp((A (theta - theta*))_i^2) with A^T A of log-spaced curvatures.

    Its minimum is log n, where its Hessian is (2/n) A^T A.
    """
    singular = torch.logspace(0, -decades / 2, d, dtype=torch.float64)
    matrices = [decaying_matrix(samples, singular, of=(*of, trial)) for trial in range(trials)]
    optima = _draws(trials, d, of=(*of, "optimum"))
    away = 2 * _draws(trials, d, of=(*of, "start"))
    targets = tuple(a @ theta for a, theta in zip(matrices, optima, strict=True))
    minimum = torch.full((trials,), float(samples), dtype=torch.float64).log()
    problem = Convex(log_sum_exp, tuple(matrices), targets, tuple(range(trials)))
    return Hard(problem, optima + away, minimum, 2 / samples, away.norm(dim=1))


def _draws(trials: int, d: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw a point of each trial's own stream, (trials, d)."""
    return torch.stack([seeds.normal(d, of=(*of, trial)) for trial in range(trials)])


def worst(d: int) -> Hard:
    r"""Return Nesterov's worst function, up to a constant; its largest curvature is 1.

    (theta_1^2 + sum_k (theta_{k+1} - theta_k)^2 + theta_d^2 - 2 theta_1) / 8. From zero, t
    gradients reach t coordinates only, whatever the method makes of them.
    """
    rows = torch.zeros(d + 1, d, dtype=torch.float64)
    rows[:-1] += torch.eye(d, dtype=torch.float64)
    rows[1:] -= torch.eye(d, dtype=torch.float64)
    target = torch.zeros(d + 1, dtype=torch.float64)
    target[0] = 1
    a, y = rows / 2, target / 2  # 1/2 ||A theta - y||^2 is the function
    optimum = torch.linalg.lstsq(a, y.unsqueeze(1)).solution.squeeze(1)
    least = (a @ optimum - y).square().sum().reshape(1) / 2
    problem = Convex(least_squares, (a,), (y,), (0,))
    return Hard(problem, torch.zeros(1, d).double(), least, 1.0, optimum.norm().reshape(1))
