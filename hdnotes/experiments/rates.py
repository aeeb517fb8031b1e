"""Learning rates as document 4 tries them: {1, 2, 4, 8} times the powers of ten (D.2)."""

#: Factors of a decade, by how many of them there are.
FACTORS = {1: (1,), 2: (1, 4), 4: (1, 2, 4, 8)}


def decades(low: int, high: int, per_decade: int) -> list[float]:
    """Return the rates from 10^low to 10^high, both included.

    Examples
    --------
    >>> decades(-3, -1, 2)
    [0.001, 0.004, 0.01, 0.04, 0.1]
    """
    grid = [factor * 10.0**k for k in range(low, high) for factor in FACTORS[per_decade]]
    return [float(f"{rate:.1g}") for rate in [*grid, 10.0**high]]
