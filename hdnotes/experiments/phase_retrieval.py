r"""Chapter `phase_retrieval`: who recovers the teacher, from how many samples (document 2, 4.1).

A cell is one point of a success curve: a kind of batch, its settings, a size p and a sample
complexity alpha = n/p, with and without momentum, on one group of data sets (see `students`).
Figures share cells: each draws the runs that fit it. Near the source's 50 % points there are
more data sets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    alike,
    curve_point,
    final_errors,
    grouped,
    held_bytes,
    require_batches,
)
from hdnotes.store.sweep import Joint

NAME = "phase_retrieval"
VERSION = 1
TITLE = "Phase retrieval"

#: Figures 4.1, 4.2 and 4.3.
PARTS = ("methods", "sizes", "rates")
#: The source's 50 % points, by batches and whether there is momentum (Figures 4.1 and 4.2).
CROSSINGS = {
    ("persistent", True): 2.2,
    ("persistent", False): 3.0,
    ("shuffled", True): 5.2,
    ("shuffled", False): 5.2,
    ("full", True): 5.2,
    ("full", False): 5.2,
}
#: How far, as a factor, "near" a crossing reaches.
NEAR = 1.2
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((256, 100), (1024, 2))
#: Starts on each at most where many teachers are tried: the least error is the teacher's own.
TEACHER_STARTS = 2
#: The kinds of momentum in each curve of Figure 4.1, and of the others.
NESTEROV, STANDARD = ("none", "Nesterov"), ("none", "standard")


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    parts: tuple[str, ...] = parameter(
        PARTS, choices=PARTS, help="Figures 4.1 (always computed), 4.2 and 4.3"
    )
    features: int = parameter(128, at_least=8, help="p of Figures 4.1 and 4.3")
    sizes: tuple[int, ...] = parameter((64, 128), at_least=8, help="every p of Figure 4.2")
    persistent_alphas: tuple[float, ...] = parameter(
        (2.0, 2.5, 3.0, 3.5, 4.0), above=0, unit="samples per p", help="of P-SGD"
    )
    alphas: tuple[float, ...] = parameter(
        (3.0, 4.0, 5.0, 6.0, 8.0), above=0, unit="samples per p", help="of SGD and GD"
    )
    rate_alphas: tuple[float, ...] = parameter(
        (2.0, 2.5, 3.0, 4.0), above=0, unit="samples per p", help="of Figure 4.3"
    )
    data_sets: int = parameter(4, at_least=1, at_most=1000, help="data sets of each point")
    near_data_sets: int = parameter(
        8, at_least=1, at_most=1000, help="the same in Figure 4.1 near the source's 50 % points"
    )
    starts: int = parameter(5, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        500, above=0, unit="epochs", help="a run's budget over log2(p + 1)"
    )
    learning_rate: float = parameter(0.005, above=0, help="eta")
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of SGD and P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")
    learning_rates: tuple[float, ...] = parameter(
        (0.002, 0.01), above=0, help="the other eta of Figure 4.3"
    )
    batch_fractions: tuple[float, ...] = parameter(
        (0.25,), above=0, at_most=0.9, help="the other b of Figure 4.3"
    )
    check_alpha: float = parameter(
        4.0, above=0, unit="samples per p", help="where the source's own ways are tried"
    )
    teachers: int = parameter(
        12, at_least=1, at_most=1000, help="data sets there whose teacher is tried as drawn"
    )

    def __post_init__(self) -> None:
        require_batches(
            self, "features", "persistent_alphas", "alphas", "rate_alphas", "check_alpha"
        )
        require_batches(self, "sizes", "persistent_alphas", "alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 32,
        "sizes": (16, 32),
        "persistent_alphas": (2.0, 5.0),
        "rate_alphas": (5.0,),
        "alphas": (2.0, 6.0),
        "data_sets": 2,
        "near_data_sets": 2,
        "teachers": 3,
        "starts": 2,
        "epochs_factor": 30,
        "learning_rates": (0.01,),
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "sizes": (512, 1024),
        "persistent_alphas": (1.0, 1.5, 1.7, 2.0, 2.3, 2.5, 2.7, 3.0, 3.3, 3.5, 4.0, 4.5),
        "alphas": (1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0),
        "rate_alphas": (1.5, 2.0, 2.3, 2.7, 3.0, 3.5, 4.0),
        "epochs_factor": 2000,
        "learning_rates": (0.002, 0.01, 0.02),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, figure by figure; a point that two share comes once."""
    figures = {"methods": _methods, "sizes": _sizes, "rates": _rates}
    parts = [part for part in PARTS if part in ("methods", *p.parts)]
    wanted = [cell for part in parts for cell in figures[part](p)]
    return list({repr(sorted(cell.items())): cell for cell in wanted}.values())


def _methods(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.1: three kinds of batch, each with and without momentum; and the checks."""
    for batches in ("persistent", "shuffled", "full"):
        crossings = [CROSSINGS[batches, momentum] for momentum in (True, False)]
        for alpha in p.persistent_alphas if batches == "persistent" else p.alphas:
            near = min(crossings) / NEAR <= alpha <= max(crossings) * NEAR
            shared = curve_point(p, p.features, alpha, batches, momenta=list(NESTEROV))
            yield from grouped(shared, p.near_data_sets if near else p.data_sets, SETS_A_CELL)
    shared = curve_point(
        p, p.features, p.check_alpha, "persistent", momenta=list(NESTEROV), kind="check"
    )
    yield from grouped({**shared, "judged_on": "100 points"}, p.data_sets, SETS_A_CELL)
    few = {**shared, "starts": min(p.starts, TEACHER_STARTS)}
    for way in ({"teacher": "as drawn"}, {}):
        yield from grouped({**few, **way}, p.teachers, SETS_A_CELL)
    yield from _near(p, shared)


def _near(p: Parameters, shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Judge on 100 points where each curve of P-SGD crosses 50 %: there a verdict could turn.

    The same runs judged by their exact error are those of Figure 4.1.
    """
    for momentum in NESTEROV:
        at = CROSSINGS["persistent", momentum != "none"]
        alpha = min(p.persistent_alphas, key=lambda alpha: abs(log(alpha / at)))
        way = {"alpha": alpha, "momenta": [momentum], "judged_on": "100 points"}
        yield from grouped({**shared, **way}, p.data_sets, SETS_A_CELL)


def _sizes(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.2: other sizes, standard momentum; what Figure 4.1 has already is left to it."""
    for size in sorted(p.sizes, key=lambda size: (size != p.features, size)):
        again = size == p.features
        yield from _persistent(p, size, p.persistent_alphas, STANDARD[again:])
        for alpha in () if again else p.alphas:
            shared = curve_point(p, size, alpha, "full", momenta=["none"])
            yield from grouped(shared, p.data_sets, SETS_A_CELL)


def _rates(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.3: learning rates and batch fractions; then both factors of eta by themselves.

    eta sets the step and, divided by tau, the switch rate: the *steps* change with eta/tau held,
    the *switches* with eta held.
    """
    if p.features not in p.sizes or "sizes" not in p.parts:
        yield from _persistent(p, p.features, p.persistent_alphas, ["standard"])
    changes: list[dict[str, float]] = [
        {"learning_rate": rate, "batch_fraction": fraction}
        for fraction in (p.batch_fraction, *p.batch_fractions)
        for rate in (p.learning_rate, *p.learning_rates)
    ]
    for rate in p.learning_rates:
        factor = rate / p.learning_rate
        changes.append({"learning_rate": rate, "persistence": round(p.persistence * factor, 9)})
        changes.append({"persistence": round(p.persistence / factor, 9)})
    for change in changes[1:]:  # the first is that of Figure 4.1
        yield from _persistent(p, p.features, p.rate_alphas, STANDARD, **change)


def _persistent(
    p: Parameters, features: int, alphas: Sequence[float], momenta: Sequence[str], **change: Any
) -> Iterator[dict[str, Any]]:
    """Yield the cells of a curve of P-SGD, with and without momentum."""
    for alpha in alphas:
        shared = curve_point(p, features, alpha, "persistent", momenta=list(momenta), **change)
        yield from grouped(shared, p.data_sets, SETS_A_CELL)


def memory(p: Parameters) -> int:
    """Return the peak bytes of the students that are trained together."""
    return held_bytes(cells(p))


RUNS = dict.fromkeys(("success", "check"), Joint(final_errors, alike))
