"""The formulas for one move of Adam, against torch's class and against plain sums."""

import math

import numpy as np
import pytest
import torch

from hdnotes import seeds
from hdnotes.gradient_streams import moves
from hdnotes.optimizers import Method
from hdnotes.theory import adam as theory

BETAS = (0.8, 0.95)
ADAM = Method("Adam", {"betas": BETAS, "eps": 1e-150})


def stream_after_silence(stream: torch.Tensor) -> torch.Tensor:
    return moves(ADAM, torch.cat([torch.zeros(1000), stream])[:, None])[1000:, 0]


def test_moves_are_those_of_a_plain_loop():
    g = seeds.normal(30, 3, of=("moves",))
    m = v = torch.zeros(3)
    for step, (gradient, move) in enumerate(zip(g, moves(ADAM, g, rate=0.3), strict=True), 1):
        m = BETAS[0] * m + (1 - BETAS[0]) * gradient
        v = BETAS[1] * v + (1 - BETAS[1]) * gradient**2
        hats = m / (1 - BETAS[0] ** step), v / (1 - BETAS[1] ** step)
        torch.testing.assert_close(move, hats[0] / hats[1].sqrt(), rtol=1e-12, atol=1e-14)


def test_a_spike_moves_as_far_as_the_formula_and_growing_gradients_further():
    assert stream_after_silence(torch.ones(1)).item() == pytest.approx(theory.spike(*BETAS))
    growing = (BETAS[1] / BETAS[0]) ** torch.arange(150)
    top = stream_after_silence(growing).max().item()
    assert top == pytest.approx(theory.largest_move(*BETAS), rel=1e-6)


def test_no_stream_passes_the_largest_move():
    streams = seeds.normal(300, 500, of=("largest",)).exp()
    quiet = torch.zeros(1000, 500)
    found = moves(ADAM, torch.cat([quiet, streams]))[1000:]
    assert theory.spike(*BETAS) < found.max() <= theory.largest_move(*BETAS)


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0, math.inf])
def test_the_move_under_noise_is_the_mean_of_a_folded_normal(noise):
    z = seeds.normal(200_000, of=("folded",)).numpy()
    spread = math.sqrt((1 - 0.9) / (1 + 0.9))
    if math.isinf(noise):
        expected = np.abs(spread * z).mean()
    else:
        expected = np.abs(1 + noise * spread * z).mean() / math.hypot(1, noise)
    assert theory.noisy_move(noise, 0.9) == pytest.approx(expected, rel=0.01)


def test_without_noise_a_move_is_the_learning_rate():
    assert theory.noisy_move(0.0, 0.9) == 1
    assert theory.noisy_move(1e-6, 0.9) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("beta", [0.9, 0.999])
def test_the_correction_is_the_ratio_of_rmsprop_and_adam(beta):
    g = seeds.normal(40, 5, of=("correction",))
    plain = moves(Method("RMSprop", {"alpha": beta, "eps": 1e-150}), g)
    adam = moves(Method("Adam", {"betas": (0.0, beta), "eps": 1e-150}), g)
    for step in (1, 7, 40):
        ratio = (plain / adam)[step - 1]
        expected = torch.full_like(ratio, theory.correction(step, 0.0, beta))
        torch.testing.assert_close(ratio, expected, rtol=1e-9, atol=0)
    at = theory.correction_matters(beta)
    assert theory.correction(math.ceil(at) + 1, 0.0, beta) < 1.5
    assert theory.correction(max(math.floor(at) - 1, 1), 0.0, beta) > 1.5
