r"""Chapter `absolute_loss`: the same instances under two losses (document 2, Section 4.3.3).

A cell is one point of a success curve of Figure 4.9: a loss, a width, a kind of batch and a sample
complexity alpha = n/p, on one group of data sets. Inputs, teachers, starts and batches are those of
the chapter `phase_retrieval`, whatever the loss (see `students`).

    loss    Figure 4.9 and, beside it, the quadratic loss; one and two hidden units
    rate    the absolute loss with four times the learning rate: at the teacher its Hessian is
            sum x x^T, that of the quadratic loss 4 sum (w* . x)^2 x x^T
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from torch import Tensor

from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    alike,
    curve_point,
    final_errors,
    grouped,
    held_bytes,
    require_batches,
)
from hdnotes.long_training import Visit
from hdnotes.store.sweep import Joint

NAME = "absolute_loss"
VERSION = 1
TITLE = "Phase retrieval with the absolute loss"

PARTS = ("loss", "rate")
ABSOLUTE, QUADRATIC = "absolute", "quadratic"
#: The methods of Figure 4.9: a kind of batch, and its kinds of momentum.
METHODS = {"persistent": ["none", "Nesterov"], "full": ["none"], "shuffled": ["Nesterov"]}
#: How much flatter the absolute loss is at the teacher.
FLATTER = 4
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((256, 5),)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    parts: tuple[str, ...] = parameter(
        PARTS, choices=PARTS, help="Figure 4.9 (always computed), and the learning rate"
    )
    features: int = parameter(64, at_least=8, help="p")
    alphas: tuple[float, ...] = parameter(
        (2.0, 3.0, 4.0, 5.0, 8.0, 10.0), above=0, unit="samples per p", help="of every curve"
    )
    data_sets: int = parameter(
        10, at_least=1, at_most=1000, help="data sets of each point; the source had 1"
    )
    starts: int = parameter(2, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        400, above=0, unit="epochs", help="a run's budget over log2(p + 1)"
    )
    learning_rate: float = parameter(0.005, above=0, help="eta")
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of SGD and P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 24,
        "alphas": (2.0, 10.0),
        "data_sets": 2,
        "starts": 2,
        "epochs_factor": 30,
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "alphas": (0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0),
        "data_sets": 5,
        "starts": 4,
        "epochs_factor": 2000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: one hidden unit first, the absolute loss first."""
    wanted = [
        cell
        for hidden in (1, 2)
        for alpha in reversed(p.alphas)
        for batches in METHODS
        for channel in (ABSOLUTE, QUADRATIC)
        for cell in _point(p, alpha, batches, hidden=hidden, channel=channel)
    ]
    if "rate" in p.parts:
        rate = FLATTER * p.learning_rate
        change = {"kind": "rate", "learning_rate": rate, "momentum_rate": rate}
        # eta/tau is held: samples switch as often as before.
        change["persistence"] = FLATTER * p.persistence
        for alpha in reversed(p.alphas):
            for batches in ("persistent", "full"):
                wanted += _point(p, alpha, batches, **change)
    return wanted


def _point(p: Parameters, alpha: float, batches: str, **change: Any) -> Iterator[dict[str, Any]]:
    """Yield the cells of one point."""
    shared: dict[str, Any] = {
        "kind": "loss",
        "channel": ABSOLUTE,
        "instances": QUADRATIC,
        "momenta": METHODS[batches],
        "momentum_rate": p.learning_rate,
    }
    cell = curve_point(p, p.features, alpha, batches, **shared | change)
    yield from grouped(cell, p.data_sets, SETS_A_CELL)


def memory(p: Parameters) -> int:
    """Return the peak bytes of the students that are trained together."""
    return held_bytes(cells(p))


def quadratic_error(visit: Visit) -> Tensor:
    """Return the error that the students' weights have under the quadratic loss (trials,)."""
    return replace(visit.problem, channel=QUADRATIC).test_error(visit.point)


def _students(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    return final_errors(cells, device, observe={"quadratic_error": quadratic_error})


RUNS = dict.fromkeys(PARTS, Joint(_students, alike))
