"""Every closed form of the chapter against a simulation, or against the layer itself."""

import math

import numpy as np
import pytest
import torch

from hdnotes.batches import InOrder
from hdnotes.optimizers import Method
from hdnotes.problems.clipped import Clipped
from hdnotes.problems.matrix_recovery import (
    MatrixRecovery,
    draw_inputs,
    draw_matrix,
    draw_start,
    with_ones,
)
from hdnotes.theory import matrix_recovery as theory
from hdnotes.training import train

M, B = 24, 6


def inputs(count: int, m: int = M, name: str = "x") -> torch.Tensor:
    return draw_inputs(count, m, torch.float64, of=("theory", m, name))


def layer(m: int, steps: int, size: int, bias: bool) -> tuple[MatrixRecovery, torch.Tensor]:
    """Return a layer that learns a square matrix, and its default start."""
    x = inputs((steps + 1) * size, m).unflatten(0, (steps + 1, size))
    y = (x @ draw_matrix(m, m, of=("theory", m, "Phi"))).mT.contiguous()
    start = draw_start(m, m, bias, of=("theory", m, "start"))
    return MatrixRecovery((with_ones(x) if bias else x,), (y,), (0,), size), start


@pytest.mark.parametrize("a", [0.3, 0.8, 1.4])
def test_sgd_contracts_by_rho(a: float) -> None:
    x = inputs(20_000 * B).unflatten(0, (20_000, B))
    step = torch.eye(M) - a * x.mT @ x
    found = (step @ step).mean(0)
    assert found.trace().item() / M == pytest.approx(theory.contraction(a, M, B), rel=5e-3)
    assert (found - found.trace() / M * torch.eye(M)).abs().max() < 0.02  # whatever Phi


def test_the_best_step_is_the_least_of_rho_and_half_of_what_is_stable() -> None:
    best = theory.best_step(M, B)
    steps = np.linspace(0.1, 1.9, 19) * best
    factors = [theory.contraction(step, M, B) for step in steps]
    assert min(factors) == pytest.approx(theory.contraction(best, M, B))
    assert theory.contraction(2 * best, M, B) == pytest.approx(1)


@pytest.mark.parametrize(("size", "steps"), [(1, 40), (B, 8)])
def test_kaczmarz_leaves_its_floor(size: int, steps: int) -> None:
    left = []
    for trial in range(300):
        error = torch.eye(M)
        for x in inputs(steps * size, M, f"kaczmarz {trial}").split(size):
            basis = torch.linalg.qr(x.T)[0]
            error = error - basis @ (basis.T @ error)
        left.append(error.square().sum().item() / M)
    assert -10 * math.log10(np.mean(left)) == pytest.approx(
        theory.kaczmarz_db(M, size, steps), abs=0.1
    )


def test_a_batch_as_large_as_m_is_enough() -> None:
    assert theory.kaczmarz_db(M, M, 1) == theory.least_squares_db(M, M) == math.inf


def test_least_squares_leaves_the_share_of_samples_not_seen() -> None:
    left = []
    for trial in range(300):
        basis = torch.linalg.qr(inputs(9, M, f"least squares {trial}").T)[0]
        left.append(1 - (basis @ basis.T).trace().item() / M)
    assert -10 * math.log10(np.mean(left)) == pytest.approx(theory.least_squares_db(M, 9))


@pytest.mark.parametrize(("rate", "bias"), [(0.1, True), (0.02, True), (0.1, False)])
def test_the_two_moments_follow_clipped_descent(rate: float, bias: bool) -> None:
    m, steps, size = 64, 300, 32
    problem, start = layer(m, steps, size, bias)
    run = train(
        Clipped(problem, 1.0),
        start.unsqueeze(0),
        [Method("SGD")(rate)],
        steps,
        batches=InOrder(steps * size, size, (0,)),
        record=torch.arange(steps + 1),
    )
    predicted = theory.clipped_descent(
        m, m, batch=size, rates=np.full(steps, rate), clip=1.0, bias=bias
    )
    gap = 10 * np.log10(run.loss[0].numpy() / predicted)
    gap = gap[predicted > 1e-10]
    assert abs(np.median(gap)) < 0.3
    assert np.quantile(abs(gap), 0.9) < 1.5


@pytest.mark.parametrize(("times", "outcome"), [(0.9, "budget"), (1.1, "diverged")])
def test_the_bias_is_stable_below_its_limit(times: float, outcome: str) -> None:
    problem, start = layer(M, 4000, B, True)
    rate = times * theory.bias_limit(B)
    batches = InOrder(4000 * B, B, (0,))
    run = train(problem, start.unsqueeze(0), [Method("SGD")(rate)], 4000, batches=batches)
    assert run.outcome == [outcome]


def test_the_bias_cycle_is_where_a_clipped_bias_jumps_to_and_fro() -> None:
    rate, bias = 0.1, 0.05
    for _ in range(10):
        bias -= rate * math.copysign(1.0, bias)
    assert -10 * math.log10(bias**2) == pytest.approx(theory.bias_cycle_db(rate))


@pytest.mark.parametrize("bias", [True, False])
def test_every_parameter_off_by_the_smallest_step(bias: bool) -> None:
    n, x = 400, inputs(50)
    signs = torch.Generator().manual_seed(0)
    error = 1e-6 * torch.sign(torch.randn(M + bias, n, generator=signs))
    left = ((with_ones(x) if bias else x) @ error).square().sum(1).mean()
    assert -10 * math.log10(left) == pytest.approx(theory.smallest_step_db(n, bias=bias), abs=0.3)
