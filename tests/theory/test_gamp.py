"""GAMP: its output functions, its step-by-step prediction, and the thresholds it brackets."""

from itertools import islice

import numpy as np
import pytest
import torch

from hdnotes.experiments.bayes_optimal import ABSOLUTE, PROBLEMS, RECOVERED, SYMMETRIC_DOOR, draw
from hdnotes.findings.bayes_optimal import THEORY
from hdnotes.theory import gamp, spectral, state_evolution
from hdnotes.theory.amplitude_flow import run


def log_likelihood(problem: str, y: torch.Tensor, omega: torch.Tensor, v: torch.Tensor):
    """Return log P(y | omega, V), up to a constant for the absolute label."""
    normal = torch.distributions.Normal(omega, v.sqrt())
    if problem == ABSOLUTE:
        return torch.logaddexp(normal.log_prob(y), normal.log_prob(-y))
    edge = torch.tensor(state_evolution.DOOR)
    inside = normal.cdf(edge) - normal.cdf(-edge)
    return torch.where(y > 0, 1 - inside, inside).log()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_output_is_the_derivative_of_the_log_likelihood(problem):
    omega = torch.linspace(-2, 2, 9, requires_grad=True)
    y = torch.tensor([0.3, 1.2, 2.0] * 3)
    y = y if problem == ABSOLUTE else (y - 1).sign()
    v = torch.tensor(0.4)
    (g,) = torch.autograd.grad(log_likelihood(problem, y, omega, v).sum(), omega, create_graph=True)
    (slope,) = torch.autograd.grad(g.sum(), omega)
    found = PROBLEMS[problem].output(y, omega.detach(), v)
    assert torch.allclose(found[0], g.detach(), atol=1e-10)
    assert torch.allclose(found[1], -slope, atol=1e-10)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_output_averages_to_the_information_of_state_evolution(problem):
    torch.manual_seed(0)
    q = torch.tensor(0.6)
    omega = q.sqrt() * torch.randn(400_000)
    h = (omega + (1 - q).sqrt() * torch.randn(400_000)).abs()
    y = h if problem == ABSOLUTE else (h - state_evolution.DOOR).sign()
    g, slope = PROBLEMS[problem].output(y, omega, 1 - q)
    expected = THEORY[problem].information(0.6)
    assert g.square().mean().item() == pytest.approx(expected, rel=0.02)
    assert slope.mean().item() == pytest.approx(expected, rel=0.02)


def plain_loop(x: np.ndarray, y: np.ndarray, a: np.ndarray, steps: int) -> np.ndarray:
    """Return one trial of undamped GAMP for |h|, written as in the module's docstring."""
    n, p = x.shape
    v, g = 1 - (a**2).mean(), np.zeros(n)
    for _ in range(steps):
        omega = x @ a - v * g
        sign = np.tanh(y * omega / v)
        g = (y * sign - omega) / v
        precision = n / p * ((1 - y**2 * (1 - sign**2) / v) / v).mean()
        r = a + x.T @ g / precision
        a, v = precision * r / (1 + precision), 1 / (1 + precision)
    return a


def test_trials_together_are_the_plain_loop():
    x, teacher, y = draw(ABSOLUTE, 60, 2.0, 0, 3)
    start = 0.3 * teacher + 0.1
    *_, found = islice(gamp.gamp(x, y, gamp.ABSOLUTE, start), 6)
    for k in range(3):
        alone = plain_loop(x.numpy(), y[k].numpy(), start[k].numpy(), 6)
        assert np.allclose(found[k], alone, atol=1e-10)


@pytest.mark.parametrize(("problem", "alpha"), [(ABSOLUTE, 1.5), (SYMMETRIC_DOOR, 2.0)])
def test_overlap_follows_state_evolution_step_by_step(problem, alpha):
    x, teacher, y = draw(problem, 2000, alpha, 0, 10)
    q = 0.2
    torch.manual_seed(1)
    start = q * teacher + (q * (1 - q)) ** 0.5 * torch.randn_like(teacher)
    steps = islice(gamp.gamp(x, y, PROBLEMS[problem], start), 8)
    found = [(mean * teacher).mean().item() for mean in steps]
    predicted = state_evolution.path(THEORY[problem], alpha, 8, q)[1:]
    assert found == pytest.approx(predicted, abs=0.04)
    assert found[-1] > found[0] + 0.3  # it does go somewhere


def shares(problem: str, alpha: float) -> float:
    """Return the share of 20 teachers that damped GAMP recovers at p = 256."""
    found = []
    for matrix in range(2):
        x, teacher, y = draw(problem, 256, alpha, matrix, 10)
        weight = spectral.optimal_weight(y.square(), alpha) if problem == ABSOLUTE else y
        torch.manual_seed(matrix)
        start = spectral.spectral_start(x, weight, torch.randn_like(teacher))
        points = gamp.gamp(x, y, PROBLEMS[problem], 0.05**0.5 * start, damping=0.5)
        mean = run(points, 200)
        found.append(torch.cosine_similarity(mean, teacher, dim=-1).abs() > RECOVERED)
    return torch.cat(found).double().mean().item()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_transition_brackets_state_evolutions_threshold(problem):
    threshold = state_evolution.full_recovery(THEORY[problem]).alpha
    assert shares(problem, 0.85 * threshold) <= 0.1
    assert shares(problem, 1.7 * threshold) >= 0.9


@pytest.mark.parametrize("damping", [0, 1.5])
def test_damping_is_a_share(damping):
    x = torch.ones(2, 2)
    points = gamp.gamp(x, torch.ones(1, 2), gamp.ABSOLUTE, torch.zeros(1, 2), damping)
    with pytest.raises(ValueError, match=f"damping = {damping} is not allowed"):
        next(points)
