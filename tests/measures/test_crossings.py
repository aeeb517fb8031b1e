"""The 50 % point of a success curve: unbiased, covered by its interval, open at the edges."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hdnotes.measures.crossings import Crossing, crossing, ratio, shares

ALPHA = np.arange(1, 2.01, 0.1)


def test_without_noise_the_crossing_is_found():
    runs = np.full(len(ALPHA), 10_000)
    successes = np.round(runs * expit(np.log(ALPHA / 1.47) / 0.03))
    found = crossing(ALPHA, successes, runs)
    assert found.middle == pytest.approx(1.47, abs=2e-3)
    assert found.low < 1.47 < found.high
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("width", [0.02, 0.07])
def test_the_interval_covers_about_as_often_as_it_says(width):
    random = np.random.default_rng(0)
    share = expit(np.log(ALPHA / 1.47) / width)
    found = [crossing(ALPHA, random.binomial(20, share), [20] * len(ALPHA)) for _ in range(200)]
    # A sharp curve has few alphas with runs of both kinds, and then no point.
    assert np.nanmean([one.middle for one in found]) == pytest.approx(1.47, abs=0.01)
    assert 0.82 <= np.mean([one.low <= 1.47 <= one.high for one in found]) <= 0.98


def test_the_interval_shrinks_with_the_runs():
    few, many = (crossing([1, 2, 3], [0, n // 2, n], [n] * 3) for n in (10, 100))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_jump_between_two_neighbours_lies_between_them():
    found = crossing([1, 1.5, 2, 3], [0, 0, 20, 20], [20] * 4)
    assert np.isnan(found.middle)
    assert 1.45 < found.low <= 1.5
    assert 2.0 <= found.high < 2.05
    assert str(found) == "between 1.50 and 2.00"


@pytest.mark.parametrize("many", [14, 19])
def test_where_the_width_has_no_estimate_there_is_no_point(many):
    """The likelihood would put it beside the next alpha, and bound it tightly from below."""
    found = crossing([2.5, 3, 3.5, 4.5], [0, 0, 0, many], [20] * 4)
    assert np.isnan(found.middle)
    assert found.low == pytest.approx(3.5)
    assert 4.5 <= found.high < 4.6


def test_one_mixed_alpha_with_less_than_half_bounds_from_below():
    found = crossing([2, 3, 4], [0, 4, 20], [20] * 3)
    assert np.isnan(found.middle)
    assert 2.9 < found.low <= 3
    assert found.high == pytest.approx(4)


def test_a_ratio_without_a_point_compares_the_ends():
    found = ratio(Crossing(2.0, np.nan, 3.0), Crossing(4.0, 5.0, 6.0))
    assert (found.low, found.high) == (pytest.approx(1 / 3), 0.75)
    assert np.isnan(found.middle)
    assert str(found) == "between 0.33 and 0.75"


@pytest.mark.parametrize(("successes", "words"), [(0, "above 2.00"), (10, "below 1.00")])
def test_without_a_change_the_crossing_lies_outside(successes, words):
    found = crossing([1, 2], [successes] * 2, [10] * 2)
    assert found.middle == (0 if successes else np.inf)
    assert str(found) == words


@pytest.mark.parametrize("arguments", [([2, 2], [0, 1], [2, 2]), ([], [], [])])
def test_one_sample_complexity_tells_nothing(arguments):
    assert str(crossing(*arguments)) == "unknown"


def test_data_sets_that_differ_need_the_wider_interval():
    random, alpha = np.random.default_rng(1), np.repeat([2.0, 2.5, 3.0, 3.5, 4.0], 4)
    hits = {False: 0, True: 0}
    for _ in range(100):
        centre = 3 * np.exp(random.normal(0, 0.2, len(alpha)))
        successes = random.binomial(10, expit(12 * np.log(alpha / centre)))
        for by_data_set in hits:
            found = crossing(alpha, successes, [10] * len(alpha), by_data_set=by_data_set)
            hits[by_data_set] += found.low <= 3 <= found.high
    assert hits[False] < 70
    assert 82 <= hits[True] <= 97


def test_ratios_carry_both_intervals():
    found = ratio(Crossing(2.7, 3.0, 3.3), Crossing(0.9, 1.0, 1.1))
    assert found.middle == 3
    assert 2.4 < found.low < 2.7
    assert 3.3 < found.high < 3.6
    assert ratio(Crossing(3.0, 3.5, 4.0), Crossing(5.0, np.inf, np.inf)).high == pytest.approx(0.8)


def test_shares_are_exact_binomials_of_each_curve_by_alpha():
    table = pd.DataFrame({"alpha": [4.0] * 10 + [2.0] * 10, "method": "GD"})
    found = shares(table.assign(good=[True] * 9 + [False] * 11), success="good")
    assert found.alpha.tolist() == [2, 4]
    assert found.successes.tolist() == [0, 9]
    assert found.share.tolist() == [0, 0.9]
    np.testing.assert_allclose(found.low, [0, 0.606], atol=1e-3)
    np.testing.assert_allclose(found.high, [0.259, 0.995], atol=1e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        ([1, 2], [0, 3], [2, 2]),
        ([1, 2], [0], [2, 2]),
    ],
)
def test_what_is_no_success_curve_is_refused(arguments):
    with pytest.raises(ValueError, match="are not counts at alpha"):
        crossing(*arguments)
