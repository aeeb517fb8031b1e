r"""Chapter `threshold`: how few samples P-SGD with momentum needs, given time (document 2, 4.3.1).

A cell is a point of a success curve: a method, a size p, alpha = n/p and a learning rate, on one
group of data sets (see `students`). The loss here is sum (y^ - y)^2, twice that of the other
chapters: a step is 2 eta times their gradient, while P-SGD's switches go by eta itself.

    success    Figure 4.7 and Table 4.1: eta larger where samples are fewer
    times      P-SGD with momentum again at one eta and several p: how its time grows
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    alike,
    curve_point,
    final_errors,
    grouped,
    held_bytes,
    require_batches,
    setting,
    trials_of,
)
from hdnotes.store.sweep import Joint

NAME = "threshold"
VERSION = 1
TITLE = "How few samples, given time"

#: Table 4.1: eta is the large one up to the first alpha, the middle one up to the second.
LARGE_UP_TO, MIDDLE_UP_TO = 1.5, 2.0
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((256, 100),)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    features: int = parameter(128, at_least=8, help="p of Figure 4.7 and Table 4.1")
    sizes: tuple[int, ...] = parameter(
        (64, 128), at_least=8, help="every p at which the time is measured"
    )
    alphas: tuple[float, ...] = parameter(
        (3.0, 2.5, 2.0, 1.8, 1.7, 1.6, 1.5, 1.4),
        above=0,
        unit="samples per p",
        help="P-SGD + momentum",
    )
    time_alphas: tuple[float, ...] = parameter(
        (4.0, 3.0, 2.5, 2.0, 1.8, 1.6), above=0, unit="samples per p", help="of the times"
    )
    persistent_alphas: tuple[float, ...] = parameter(
        (3.0, 2.5, 2.0), above=0, unit="samples per p", help="of P-SGD without momentum"
    )
    descent_alphas: tuple[float, ...] = parameter(
        (6.0, 5.0, 4.0, 3.0), above=0, unit="samples per p", help="of SGD + momentum and of GD"
    )
    data_sets: int = parameter(4, at_least=1, at_most=1000, help="data sets of each point")
    starts: int = parameter(5, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        2000, above=0, unit="epochs", help="a run's budget over log2(p + 1)"
    )
    small_rate: float = parameter(
        0.005, above=0, help="eta of P-SGD + momentum above alpha = 2, and of SGD + momentum"
    )
    middle_rate: float = parameter(
        0.01, above=0, help="eta of P-SGD + momentum up to alpha = 2, of P-SGD and of GD"
    )
    large_rate: float = parameter(0.012, above=0, help="eta of P-SGD + momentum up to alpha = 1.5")
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of SGD and P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas", "persistent_alphas", "descent_alphas")
        require_batches(self, "sizes", "time_alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 24,
        "sizes": (16, 24),
        "alphas": (4.0, 3.0, 2.0),
        "time_alphas": (5.0, 4.0, 3.0),
        "persistent_alphas": (4.0, 3.0),
        "descent_alphas": (8.0, 4.0),
        "data_sets": 2,
        "starts": 3,
        "epochs_factor": 100,
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "sizes": (512, 1024),
        "alphas": (4.0, 3.0, 2.5, 2.0, 1.8, 1.7, 1.6, 1.5, 1.4, 1.0),
        "time_alphas": (4.0, 3.0, 2.5, 2.2, 2.0, 1.8, 1.7, 1.6, 1.5),
        "persistent_alphas": (4.0, 3.0, 2.5, 2.2, 2.0),
        "descent_alphas": (7.0, 6.0, 5.0, 4.0),
        "epochs_factor": 20_000,
    },
}


def learning_rate(p: Parameters, alpha: float) -> float:
    """Return eta of P-SGD with momentum in Figure 4.7, by Table 4.1.

    Examples
    --------
    >>> [learning_rate(Parameters(), alpha) for alpha in (1.5, 1.6, 2.0, 2.5)]
    [0.012, 0.01, 0.01, 0.005]
    """
    if alpha <= LARGE_UP_TO:
        return p.large_rate
    return p.middle_rate if alpha <= MIDDLE_UP_TO else p.small_rate


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, from easy to hard; a point that two uses share comes once."""
    wanted = [*_times(p), *_others(p), *_momentum(p)]  # the last one of two that are equal stays
    unique = {repr([(k, v) for k, v in cell.items() if k != "kind"]): cell for cell in wanted}
    return sorted(
        unique.values(), key=lambda cell: (-cell["alpha"], cell["features"] != p.features)
    )


def _momentum(p: Parameters) -> Iterator[dict[str, Any]]:
    """P-SGD with momentum as in Table 4.1, which has alpha = 2 at two learning rates."""
    for alpha in p.alphas:
        rates = [learning_rate(p, alpha)] + [p.small_rate] * (alpha == MIDDLE_UP_TO)
        for rate in dict.fromkeys(rates):
            yield from _point(p, p.features, "persistent", "Nesterov", alpha, rate)


def _others(p: Parameters) -> Iterator[dict[str, Any]]:
    """Yield the other curves of Figure 4.7."""
    for alpha in p.persistent_alphas:
        yield from _point(p, p.features, "persistent", "none", alpha, p.middle_rate)
    for alpha in p.descent_alphas:
        yield from _point(p, p.features, "full", "none", alpha, p.middle_rate)
        yield from _point(p, p.features, "shuffled", "Nesterov", alpha, p.small_rate)


def _times(p: Parameters) -> Iterator[dict[str, Any]]:
    """P-SGD with momentum at the middle learning rate, at every size."""
    for size in p.sizes:
        for alpha in p.time_alphas:
            for cell in _point(p, size, "persistent", "Nesterov", alpha, p.middle_rate):
                yield {**cell, "kind": "times"}


def _point(
    p: Parameters, features: int, batches: str, momentum: str, alpha: float, rate: float
) -> Iterator[dict[str, Any]]:
    """Yield a point's cells."""
    change: dict[str, Any] = {"momenta": [momentum], "learning_rate": rate}
    yield from grouped(curve_point(p, features, alpha, batches, **change), p.data_sets, SETS_A_CELL)


def memory(p: Parameters) -> int:
    """Return the peak bytes of the students that are trained together."""
    return held_bytes(cells(p))


def doubled(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Return each cell's table ``runs``, trained on sum (y^ - y)^2: steps of 2 eta on its half."""
    trials = trials_of(*cells)
    settings = [
        setting(momentum, cells[number]["momentum"], 2 * cells[number]["learning_rate"])
        for number, momentum in zip(trials["cell"], trials["momentum"], strict=True)
    ]
    return final_errors(cells, device, settings)


RUNS = dict.fromkeys(("success", "times"), Joint(doubled, alike))
