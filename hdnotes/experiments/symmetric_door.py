r"""Chapter `symmetric_door`: a teacher seen through one bit a sample (document 2, Section 4.3.4).

The label is sign(|w* . x| - K). A cell is one point of two curves, without and with momentum: a
loss, a width, a kind of batch and a sample complexity alpha = n/p, on one group of data sets that
all methods share (see `students`).

    losses     Figure 4.10: square and logistic loss, one hidden unit
    hidden     Figure 4.11: logistic loss, one and two hidden units
    control    GAMP on the same data from the same starts, told that the teacher's entries are +-1
               or only its norm
    time       errors along the way, for several times the budget of Figure 4.10
    teacher    the same inputs under a normal teacher, of norm sqrt(p) or as drawn
    rate       two hidden units with twice the learning rate, as their gradient is halved
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    alike,
    alike_in_time,
    curve_point,
    draw_problem,
    epochs,
    final_errors,
    grouped,
    held_bytes,
    learning_curves,
    require_batches,
    start_names,
    trials_of,
)
from hdnotes.problems.phase_retrieval import door_error, draw_start, project
from hdnotes.store.sweep import Joint
from hdnotes.theory import gamp as message_passing
from hdnotes.theory.amplitude_flow import run as last_of

NAME = "symmetric_door"
VERSION = 1
TITLE = "The symmetric door"

PARTS = ("losses", "hidden", "time", "teacher", "rate")
LOGISTIC, SQUARE = "door, logistic", "door, square"
#: The channel under whose name the chapter's data are drawn, and the one with a normal teacher.
INSTANCES, NORMAL = LOGISTIC, "quadratic"
#: What GAMP is told of the teacher.
PRIORS: Mapping[str, message_passing.Model] = {
    "±1": message_passing.SYMMETRIC_DOOR,
    "norm": message_passing.Model(message_passing.door_output, message_passing.gaussian_denoiser),
}
#: Squared overlap that GAMP takes a start to have; it is damped as in `bayes_optimal`.
BEGINNING, DAMPING = 0.05, 0.5
#: Kinds of batch, the ones of which most is said first; and of momentum.
BATCHES, MOMENTA = ("persistent", "full", "shuffled"), ("none", "Nesterov")
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((512, 5),)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    parts: tuple[str, ...] = parameter(
        PARTS, choices=PARTS, help="which figures; Figure 4.10 and GAMP are always computed"
    )
    features: int = parameter(64, at_least=8, help="p")
    alphas: tuple[float, ...] = parameter(
        (2.0, 3.5, 5.0, 6.5, 8.0), above=0, unit="samples per p", help="of Figure 4.10"
    )
    hidden_alphas: tuple[float, ...] = parameter(
        (5.0,), above=0, unit="samples per p", help="of Figure 4.11"
    )
    check_alpha: float = parameter(
        5.0, above=0, unit="samples per p", help="of the curves in time and the checks"
    )
    data_sets: int = parameter(10, at_least=1, at_most=1000, help="data sets of each point")
    starts: int = parameter(2, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        200, above=0, unit="epochs", help="budget of Figure 4.10 over log2(p + 1)"
    )
    hidden_epochs_factor: float = parameter(
        200, above=0, unit="epochs", help="the same of Figure 4.11"
    )
    longer: int = parameter(4, at_least=2, unit="budgets", help="length of the curves in time")
    learning_rate: float = parameter(0.01, above=0, help="eta of Figure 4.10 without momentum")
    small_rate: float = parameter(
        0.005, above=0, help="eta of Figure 4.10 with momentum, and of Figure 4.11"
    )
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of SGD and P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")
    gamp_steps: int = parameter(200, at_least=1, unit="iterations", help="budget of GAMP")

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas", "hidden_alphas", "check_alpha")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 24,
        "alphas": (2.0, 8.0),
        "hidden_alphas": (8.0,),
        "check_alpha": 8.0,
        "data_sets": 2,
        "starts": 1,
        "epochs_factor": 20,
        "hidden_epochs_factor": 20,
        "gamp_steps": 50,
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "alphas": (0.1, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0),
        "data_sets": 5,
        "hidden_alphas": (0.1, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0),
        "epochs_factor": 2000,
        "hidden_epochs_factor": 1500,
        "gamp_steps": 1000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, Figure 4.10 and its control first."""
    figures = {"hidden": _hidden, "time": _time, "teacher": _teacher, "rate": _rate}
    wanted = [*_losses(p), *_control(p)]
    for part in PARTS[1:]:
        wanted += figures[part](p) if part in p.parts else []
    return wanted


def _losses(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.10: the alphas near the check first."""
    for alpha in sorted(p.alphas, key=lambda alpha: abs(alpha - p.check_alpha)):
        for batches in BATCHES:
            for channel in (LOGISTIC, SQUARE):
                yield from _cells(p, alpha, batches, channel=channel)


def _hidden(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.11: one learning rate, one and two hidden units."""
    budget = epochs(p.features, p.hidden_epochs_factor)
    same = {"kind": "hidden", "learning_rate": p.small_rate, "epochs": budget}
    for alpha in sorted(p.hidden_alphas, key=lambda alpha: abs(alpha - p.check_alpha)):
        for batches in BATCHES:
            for hidden in (1, 2):
                yield from _cells(p, alpha, batches, hidden=hidden, **same)


def _control(p: Parameters) -> Iterator[dict[str, Any]]:
    for alpha in sorted({*p.alphas, p.check_alpha}):
        cell = {
            "kind": "control",
            "channel": INSTANCES,
            "features": p.features,
            "alpha": alpha,
            "hidden": 1,
            "momenta": ["none"],
            "teacher": "sphere",
            "judged_on": "overlap",
            "starts": p.starts,
            "gamp_steps": p.gamp_steps,
        }
        yield from grouped(cell, p.data_sets, SETS_A_CELL)


def _time(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.10 at one alpha, for longer."""
    budget = p.longer * epochs(p.features, p.epochs_factor)
    for batches in ("persistent", "full"):
        for momentum in MOMENTA:
            rate = p.learning_rate if momentum == "none" else p.small_rate
            change = {"epochs": budget, "momenta": [momentum], "learning_rate": rate}
            yield from _cells(p, p.check_alpha, batches, kind="time", **change)


def _teacher(p: Parameters) -> Iterator[dict[str, Any]]:
    for batches in ("persistent", "full"):
        for teacher in ("sphere", "as drawn"):
            change = {"instances": NORMAL, "teacher": teacher, "momenta": ["none"]}
            yield from _cells(p, p.check_alpha, batches, kind="teacher", **change)


def _rate(p: Parameters) -> Iterator[dict[str, Any]]:
    """Two hidden units at twice the learning rate; the switch rate of P-SGD is held."""
    twice = {"learning_rate": 2 * p.small_rate, "momentum_rate": 2 * p.small_rate}
    twice |= {"persistence": 2 * p.persistence}
    budget = epochs(p.features, p.hidden_epochs_factor)
    for batches in ("persistent", "full"):
        change = {"kind": "rate", "hidden": 2, "epochs": budget, **twice}
        yield from _cells(p, p.check_alpha, batches, **change)


def _cells(p: Parameters, alpha: float, batches: str, **change: Any) -> Iterator[dict[str, Any]]:
    """Yield the cells of one point."""
    shared: dict[str, Any] = {
        "kind": "losses",
        "channel": LOGISTIC,
        "instances": INSTANCES,
        "momenta": list(MOMENTA),
        "momentum_rate": p.small_rate,
    }
    cell = curve_point(p, p.features, alpha, batches, **shared | change)
    yield from grouped(cell, p.data_sets, SETS_A_CELL)


def memory(p: Parameters) -> int:
    """Return the peak bytes of the students that are trained together; GAMP's doubles are less."""
    return held_bytes({"momenta": MOMENTA, **cell} for cell in cells(p))


def _beliefs(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return the table ``control``: GAMP's estimate put on the sphere, a row a start and prior."""
    problem, trials = draw_problem(cell, device), trials_of(cell)
    p, names = cell["features"], start_names(cell, trials)
    starts = torch.stack([draw_start(1, p, of=name) for name in names]).double().to(device)
    project(starts, p)
    data = zip(problem.inputs, problem.targets, problem.teachers, strict=True)
    tables = []
    for (_, rows), (x, y, w) in zip(trials.groupby("set"), data, strict=True):
        labels = y.double().expand(len(rows), -1)
        for prior in PRIORS:
            start = starts[rows.index.tolist()]
            found = _believed(prior, x.double(), labels, start, cell["gamp_steps"])
            overlap = cosine_similarity(found, w.double().unsqueeze(0), dim=-1).abs().cpu()
            error = {"overlap": overlap.numpy(), "test_error": door_error(overlap).numpy()}
            tables.append(rows.assign(prior=prior, **error))
    return {"control": pd.concat(tables, ignore_index=True)}


def _believed(prior: str, x: Tensor, y: Tensor, start: Tensor, steps: int) -> Tensor:
    mean = BEGINNING**0.5 * start
    return last_of(message_passing.gamp(x, y, PRIORS[prior], mean, DAMPING), steps)


def _curves(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    return learning_curves(cells, device, records=60)


RUNS = {
    **dict.fromkeys(("losses", "hidden", "teacher", "rate"), Joint(final_errors, alike)),
    "control": _beliefs,
    "time": Joint(_curves, alike_in_time),
}
