"""The predicted overlap of a spectral start is that of large ones, and leaves 0 at 1/2."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from hdnotes.theory import state_evolution
from hdnotes.theory.spectral import optimal_weight, predicted_overlap, spectral_start


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_the_prediction_is_what_large_spectral_starts_have(alpha):
    numbers = torch.Generator().manual_seed(0)
    p, trials = 600, 8
    x = torch.randn(int(alpha * p), p, generator=numbers, dtype=torch.float64) / p**0.5
    teacher = torch.randn(trials, p, generator=numbers, dtype=torch.float64)
    teacher *= p**0.5 / teacher.norm(dim=1, keepdim=True)
    weight = optimal_weight((teacher @ x.T).square(), alpha)
    overlap = cosine_similarity(spectral_start(x, weight, torch.ones_like(teacher)), teacher)
    assert overlap.abs().mean().item() == pytest.approx(predicted_overlap(alpha), abs=0.03)


def test_it_leaves_zero_like_a_root_where_state_evolution_does():
    weak = state_evolution.weak_recovery(state_evolution.ABSOLUTE)
    assert weak == pytest.approx(0.5, abs=1e-3)
    assert predicted_overlap(0.3) == predicted_overlap(0.5) == 0
    near, far = (predicted_overlap(0.5 + gap) for gap in (1e-4, 4e-4))
    assert 0 < near < 0.02
    assert far / near == pytest.approx(2, rel=0.02)


def test_no_spectral_start_knows_more_than_message_passing_reaches():
    for alpha in (0.6, 0.8, 1.0, 1.2):
        best = state_evolution.fixed_point(state_evolution.ABSOLUTE, alpha) ** 0.5
        assert predicted_overlap(alpha) < best
