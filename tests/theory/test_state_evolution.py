"""State evolution hits the constants of the literature and agrees with direct integration."""

import numpy as np
import pytest

from hdnotes.theory import state_evolution
from hdnotes.theory.state_evolution import (
    ABSOLUTE,
    DOOR,
    SYMMETRIC_DOOR,
    absolute_information,
    door_information,
    fixed_point,
    full_recovery,
    information_theoretic,
    path,
    rademacher_overlap,
    weak_recovery,
)


@pytest.mark.parametrize(
    ("problem", "weak", "full", "best", "exact"),
    [(ABSOLUTE, 0.5, 1.1285, 0.847, 1.0), (SYMMETRIC_DOOR, 1.3605, 1.5664, 0.348, 1.0)],
    ids=["absolute", "door"],
)
def test_thresholds(problem, weak, full, best, exact):
    assert weak_recovery(problem) == pytest.approx(weak, abs=5e-5)
    assert full_recovery(problem) == pytest.approx((full, best), abs=1e-3)
    assert full_recovery(problem).alpha == pytest.approx(full, abs=5e-5)
    assert information_theoretic(problem) == pytest.approx(exact, abs=1e-4)


def sampled(q: float, label: str) -> float:
    """Return E[g^2] by brute force on a grid of omega and of the noise around it."""
    noise = np.linspace(-8, 8, 1601)
    weight = np.exp(-(noise**2) / 2)
    weight /= weight.sum()
    omega, variance = np.sqrt(q) * noise[:, None], 1 - q
    h = omega + np.sqrt(variance) * noise
    if label == "absolute":
        y = abs(h)
        g = (y * np.tanh(y * omega / variance) - omega) / variance
        return weight @ g**2 @ weight
    inside = (weight * (abs(h) < DOOR)).sum(1)  # P, and its derivative E[(h - omega) / V; inside]
    slope = (weight * (abs(h) < DOOR) * (h - omega)).sum(1) / variance
    product = inside * (1 - inside)
    told = product > 1e-9  # where the label is certain it tells nothing
    return weight[told] @ (slope[told] ** 2 / product[told])


@pytest.mark.parametrize("q", [0.05, 0.4, 0.85])
def test_information_is_that_of_direct_integration(q):
    assert absolute_information(q) == pytest.approx(sampled(q, "absolute"), rel=1e-6)
    assert door_information(q) == pytest.approx(sampled(q, "door"), rel=2e-2)  # a jump on a grid


def test_rademacher_overlap_is_that_of_a_sample():
    noise = np.random.default_rng(0).standard_normal(200_000)
    found = np.tanh(0.7 + np.sqrt(0.7) * noise)
    assert rademacher_overlap(0.7) == pytest.approx(found.mean(), abs=4 * found.std() / 447)
    # The posterior mean of entries +-1 has the same mean and mean square.
    assert found.mean() == pytest.approx((found**2).mean(), abs=5e-3)


@pytest.mark.parametrize(
    ("problem", "alpha", "reached"),
    [(ABSOLUTE, 0.45, 0), (ABSOLUTE, 1.15, 1), (SYMMETRIC_DOOR, 1.3, 0), (SYMMETRIC_DOOR, 1.6, 1)],
)
def test_below_weak_recovery_nothing_is_reached_and_above_full_recovery_all(
    problem, alpha, reached
):
    assert fixed_point(problem, alpha) == pytest.approx(reached, abs=1e-6)


def test_a_fixed_point_has_the_sample_complexity_it_was_found_at():
    q = fixed_point(ABSOLUTE, 1.0)
    assert 0.4 < q < 0.6
    assert ABSOLUTE.sample_complexity(q) == pytest.approx(1.0, abs=1e-6)


def test_a_path_moves_towards_the_fixed_point():
    found = path(SYMMETRIC_DOOR, 1.5, 200, start=0.3)
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(fixed_point(SYMMETRIC_DOOR, 1.5), abs=1e-3)


def test_sample_complexities_are_positive():
    with pytest.raises(ValueError, match="alpha = 0 is not allowed"):
        state_evolution.fixed_point(ABSOLUTE, 0)
