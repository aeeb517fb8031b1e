"""Convex completion: the minimum's own conditions, and two solvers that agree."""

import pytest
import torch

from hdnotes.problems.matrix_completion import draw_low_rank, draw_mask
from hdnotes.theory.nuclear_norm import least_nuclear, shrink, soft_impute


def task(n=12, observed=90):
    truth = draw_low_rank(n, 1, of=("t",))
    seen = draw_mask(n, observed, of=("m",))
    return truth, truth * seen, seen


def test_soft_impute_meets_the_conditions_of_a_minimum():
    """-grad of the data term is lambda (U V^T + M) with M across the spans and at most 1 large."""
    _, target, seen = task()
    w = soft_impute(target, seen, 0.02, torch.zeros_like(target), 1e-12, 20_000)
    slope = -2 / seen.sum() * (w - target) * seen / 0.02
    u, sigma, vh = torch.linalg.svd(w)
    rank = int((sigma > 1e-8).sum())
    u, vh = u[:, :rank], vh[:rank]
    torch.testing.assert_close(u.T @ slope, vh, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(slope @ vh.T, u, rtol=1e-6, atol=1e-6)
    assert torch.linalg.matrix_norm(slope, 2) < 1 + 1e-6


def test_a_small_weight_gives_the_least_nuclear_norm():
    truth, target, seen = task()
    w = torch.zeros_like(target)
    for weight in (1e-1, 1e-2, 1e-3, 1e-4):
        w = soft_impute(target, seen, weight, w, 1e-9, 20_000)
    exact = least_nuclear(target, seen)
    assert (exact - target)[seen].abs().max() < 1e-3
    assert torch.linalg.matrix_norm(exact - w) < 1e-2 * torch.linalg.matrix_norm(truth)
    assert torch.linalg.matrix_norm(exact, "nuc").item() == pytest.approx(
        torch.linalg.matrix_norm(w, "nuc").item(), rel=1e-3
    )


def test_a_stack_is_solved_as_its_matrices_are():
    _, target, seen = task()
    other = torch.stack([target, target.T]), torch.stack([seen, seen.T])
    both = soft_impute(*other, 0.02, torch.zeros(2, 12, 12))
    one = soft_impute(target, seen, 0.02, torch.zeros(12, 12))
    torch.testing.assert_close(both[0], one, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(both[1], one.T, rtol=1e-3, atol=1e-3)


def test_a_value_below_the_threshold_is_gone():
    w = shrink(torch.diag(torch.tensor([3.0, 0.5])), 1.0)
    torch.testing.assert_close(w, torch.diag(torch.tensor([2.0, 0.0])))
