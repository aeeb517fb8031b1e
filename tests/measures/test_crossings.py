"""The 50 % point of a success curve: unbiased, covered by its interval, infinite at the edges."""

import numpy as np
import pytest
from scipy.special import expit

from hdnotes.measures.crossings import crossing

ALPHA = np.arange(1, 2.01, 0.1)


def test_without_noise_the_crossing_is_found():
    runs = np.full(len(ALPHA), 10_000)
    successes = np.round(runs * expit((ALPHA - 1.47) / 0.05))
    found = crossing(ALPHA, successes, runs)
    assert found.at == pytest.approx(1.47, abs=2e-3)
    assert found.low < 1.47 < found.high
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("width", [0.03, 0.1])
def test_the_interval_covers_about_as_often_as_it_says(width):
    random = np.random.default_rng(0)
    share = expit((ALPHA - 1.47) / width)
    found = [crossing(ALPHA, random.binomial(20, share), [20] * len(ALPHA)) for _ in range(200)]
    assert np.mean([one.at for one in found]) == pytest.approx(1.47, abs=0.01)
    assert 0.82 <= np.mean([one.low <= 1.47 <= one.high for one in found]) <= 0.98


def test_the_interval_shrinks_with_the_runs():
    few, many = (crossing([1, 2, 3], [0, n // 2, n], [n] * 3) for n in (10, 100))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_jump_between_two_neighbours_lies_between_them():
    found = crossing([1, 1.5, 2, 3], [0, 0, 20, 20], [20] * 4)
    assert found.at == pytest.approx(1.75, abs=0.01)
    assert 1.45 < found.low < 1.55
    assert 1.95 < found.high < 2.05


@pytest.mark.parametrize(("successes", "end"), [(0, np.inf), (10, -np.inf)])
def test_without_a_change_the_crossing_lies_outside(successes, end):
    found = crossing([1, 2], [successes] * 2, [10] * 2)
    assert found.at == end
    assert end in (found.low, found.high)
    assert np.isfinite(found.low) != np.isfinite(found.high)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1, 1], [0, 1], [2, 2]), "a crossing needs two values"),
        (([1, 2], [0, 3], [2, 2]), "are not counts at alpha"),
        (([1, 2], [0], [2, 2]), "are not counts at alpha"),
    ],
)
def test_what_is_no_success_curve_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        crossing(*arguments)
