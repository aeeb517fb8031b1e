"""Learning rates that are chosen from those that were tried."""

from collections.abc import Mapping

import pandas as pd


def at_an_edge(table: pd.DataFrame, rates: Mapping[str, float]) -> list[str]:
    """List the methods whose rate is the smallest or the largest that they tried.

    A rate that was not tried might suit these better.

    Parameters
    ----------
    table : one row a run, columns ``method`` and ``learning_rate``
    rates : method -> the rate that was chosen

    Examples
    --------
    >>> tried = pd.DataFrame({"method": ["Adam"] * 3, "learning_rate": [0.01, 0.1, 1.0]})
    >>> at_an_edge(tried, {"Adam": 0.1}), at_an_edge(tried, {"Adam": 1.0})
    ([], ['Adam'])
    """
    tried = table.groupby("method", sort=False).learning_rate.agg(["min", "max"])
    return [name for name, rate in rates.items() if rate in set(tried.loc[name])]
