"""The closed forms equal what a running mean keeps of noises with just these correlations."""

import numpy as np
import pytest
import torch

from hdnotes.batches import Persistent, Shuffled
from hdnotes.theory.batch_noise import carried_fresh, carried_persistent, carried_shuffled

SAMPLES, STEPS = 64, 20_000


def kept(noise: np.ndarray, beta: float) -> float:
    mean, total = np.zeros(noise.shape[1]), 0.0
    for one in noise:
        mean = beta * mean + (1 - beta) * one
        total += (mean**2).sum()
    return total / (noise**2).sum()


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_fresh_noise(beta):
    noise = np.random.default_rng(0).normal(size=(STEPS, 4))
    assert kept(noise, beta) == pytest.approx(carried_fresh(beta), rel=0.05)


@pytest.mark.parametrize("batches", [2, 4])
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_shuffled_batches(batches, beta):
    source = Shuffled(SAMPLES, SAMPLES // batches, (3,))
    masks = torch.zeros(STEPS // 4, SAMPLES)
    for step in range(len(masks)):
        masks[step, source.at(step)[0]] = 1
    noise = masks.numpy() - 1 / batches
    assert kept(noise, beta) == pytest.approx(carried_shuffled(beta, batches), rel=0.05)


@pytest.mark.parametrize("redraws", [0.02, 0.2])
def test_persistent_batches(redraws):
    source = Persistent(SAMPLES, 0.5, (redraws,), (4,))
    masks = torch.stack([source.at(step)[0].clone() for step in range(STEPS // 4)])
    noise = masks.numpy() - 0.5
    assert kept(noise, 0.9) == pytest.approx(carried_persistent(0.9, redraws), rel=0.1)


def test_a_sample_redrawn_at_every_step_is_fresh_noise():
    assert carried_persistent(0.9, 1.0) == pytest.approx(carried_fresh(0.9))
    assert carried_persistent(0.9, 0.0) == pytest.approx(1.0)


def test_halves_cancel():
    assert carried_shuffled(0.9, 2) == pytest.approx(carried_fresh(0.9) * 0.1)
