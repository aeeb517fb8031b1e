"""Verdicts: intervals that cover, and words that follow from them."""

import numpy as np
import pytest

from hdnotes.claims import below, median_interval, mostly, quoted, together, within


@pytest.mark.parametrize("n", [5, 8, 20, 41])
def test_the_interval_covers_the_median_at_its_level(n):
    draws = np.random.default_rng(n).exponential(size=(800, n))
    intervals = [median_interval(row, 0.9) for row in draws]
    covered = np.mean([i.low <= np.log(2) <= i.high for i in intervals])
    assert covered > 0.87


@pytest.mark.parametrize("n", [1, 4])
def test_too_few_trials_decide_nothing(n):
    assert below([0.0] * n, 1) == within([0.0] * n, -1, 1) == "undecided"


def test_no_trials_decide_nothing():
    assert below([], 1) == "undecided"


def test_what_is_not_a_number_counts_as_a_run_that_diverged():
    values = [1.0] * 5 + [float("nan")] * 6
    assert median_interval(values).median == float("inf")
    assert below(values, 2) == "undecided"
    assert quoted([1.0] * 38 + [float("nan")] * 2) == "1.0 (1.0 to 1.0)"


def test_nothing_at_all_is_undecided():
    assert mostly([]) == together() == "undecided"


def test_words_follow_from_the_interval():
    assert below([1] * 9, 2) == "holds"
    assert below([3] * 9, 2) == "fails"
    assert below([1, 3] * 9, 2) == "undecided"
    assert within([1] * 9, 0, 2) == "holds"
    assert within([3] * 9, 0, 2) == "fails"
    assert within([-3] * 9, 0, 2) == "fails"
    assert within([1, 3] * 9, 0, 2) == "undecided"


def test_a_claim_of_parts():
    assert together("fails", "fails") == "fails"
    assert together("holds", "fails", "holds") == "partly"
    assert together("holds", "undecided") == "undecided"
    assert together("undecided", "fails") == together("fails", "undecided") == "fails"
    assert together("holds", "undecided", "fails") == "partly"
    assert together("partly", "undecided") == "partly"
