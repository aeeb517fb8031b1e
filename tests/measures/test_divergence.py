"""The law is found where it is, whatever the budget; intervals hold it; few alphas are refused."""

import numpy as np
import pandas as pd
import pytest

from hdnotes.measures.divergence import Divergence, bootstrap, fit, interval

ALPHAS = (1.5, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0)


def drawn(budget: float, seed: int = 0, between: float = 0.2) -> pd.DataFrame:
    """Draw runs of T = 500 (alpha - 1.3)^-1.8, spread within data sets and between them."""
    rng, rows = np.random.default_rng(seed), []
    for alpha in ALPHAS:
        for number in range(8):
            shift = between * rng.standard_normal()
            log_time = np.log(500) - 1.8 * np.log(alpha - 1.3) + shift
            rows += [(alpha, number, log_time + 0.4 * e) for e in rng.standard_normal(5)]
    table = pd.DataFrame(rows, columns=["alpha", "set", "time"])
    table["time"] = np.exp(table.time)
    return table.assign(converged=table.time < budget, time=table.time.clip(upper=budget))


@pytest.mark.parametrize("budget", [1e9, 3e4, 5e3])
def test_runs_that_never_ended_do_not_move_the_law(budget):
    law = fit(drawn(budget))
    assert law.threshold == pytest.approx(1.3, abs=0.12)
    assert law.exponent == pytest.approx(1.8, abs=0.5)
    assert law.spread == pytest.approx(0.45, abs=0.06)


def test_leaving_them_out_would():
    table = drawn(5e3)
    kept = fit(table[table.converged])
    assert kept.at(np.array([1.5]))[0] < 0.6 * fit(table).at(np.array([1.5]))[0]


def test_intervals_hold_the_law_and_widen_with_the_spread_of_data_sets():
    widths = []
    for between in (0.1, 0.8):
        table = drawn(3e4, seed=1, between=between)
        low, high = interval(bootstrap(table, repeats=20).threshold)
        assert low < 1.3 < high
        widths.append(high - low)
    assert widths[1] > widths[0]


def test_the_budget_that_half_need_is_the_median_time_there():
    law = Divergence(1.3, 1.8, 500, 0.4)
    np.testing.assert_allclose(law.needed(law.at(np.array([1.5, 2.0]))), [1.5, 2.0])
    assert law.at(np.array([1.2])) == np.inf


def test_two_sample_complexities_are_too_few():
    table = drawn(3e4)
    with pytest.raises(ValueError, match="converged at 2 sample complexities; a fit needs 3"):
        fit(table[table.alpha >= 3])
