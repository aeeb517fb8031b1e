r"""Chapter `egop_related`: EGOP coordinates beside SOAP, GaLore, Shampoo and Muon (document 4, E).

Two problems of the earlier chapters, a linear network and a network on the digits, and on each the
same start, batches and grid of learning rates for every arm: Adam and Adagrad in original, EGOP,
Kronecker-factored and random coordinates, the EGOP re-estimated on the way, and the libraries'
methods that see weight matrices. An arm is tuned on trials set aside. Every gradient spent on an
estimate is counted. *bases* asks how near the other bases are to the EGOP's, *exact* checks
Lemma 20 and what follows from it to rounding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes.experiments.network_arms import NEVER, TURNING, Arm, parts_of
from hdnotes.experiments.network_bases import bases
from hdnotes.experiments.network_rotations import exact
from hdnotes.experiments.network_tasks import (
    PROBLEMS,
    Task,
    block_bases,
    draw_task,
    estimate_size,
    fixed_bases,
    sample,
)
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.rates import FACTORS, decades
from hdnotes.matrix_training import Turning, train_parts
from hdnotes.problems.linear_network import shapes
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.schedules import constant, cosine_annealing

NAME = "egop_related"
VERSION = 1
TITLE = "EGOP coordinates and their relatives"

#: First and last power of ten of the learning rates, the same for every arm.
RATES = {"linear network": (-3, 1), "digits": (-3, 0)}
#: Share of an estimate's gradients that the Kronecker basis of few is content with.
FEW = 0.125
#: Intervals between the recorded epochs of a curve.
KEPT = 24
#: The most runs of a search side by side, and the most steps of an epoch: what a path may keep.
RUNS_AT_ONCE, MOST_STEPS = 6, 20


ARMS: Mapping[str, Arm] = {
    "Adam": Arm("Adam"),
    "Adam, EGOP": Arm("Adam", "EGOP"),
    "SOAP": Arm("SOAP", refresh=10),
    "Adagrad": Arm("Adagrad"),
    "Adagrad, EGOP": Arm("Adagrad", "EGOP"),
    "Muon": Arm("Muon"),
    "Shampoo": Arm("Shampoo"),
    "GaLore": Arm("GaLore", refresh=10),
    "Adam, Kronecker": Arm("Adam", "Kronecker"),
    "Adam, Kronecker of few": Arm("Adam", "Kronecker", share=FEW),
    "Adam, random": Arm("Adam", "random"),
    "Adam, longer": Arm("Adam", longer=True),
    "SOAP, longer": Arm("SOAP", refresh=10, longer=True),
    "SOAP, every 100": Arm("SOAP", refresh=100),
    "SOAP, once": Arm("SOAP", refresh=NEVER),
    "GaLore, every 100": Arm("GaLore", refresh=100),
    "GaLore, once": Arm("GaLore", refresh=NEVER),
    "Adam, EGOP re-estimated": Arm("Adam", "re-estimated"),
    "Adam, EGOP from the path": Arm("Adam", "path"),
    "Adam, EGOP carried": Arm("Adam", "carried"),
    "Adam, EGOP restarted": Arm("Adam", "restarted"),
    "Adagrad, EGOP re-estimated": Arm("Adagrad", "re-estimated"),
    "short Adam": Arm("short Adam"),
    "short Adam, Kronecker": Arm("short Adam", "Kronecker"),
}


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    problems: tuple[str, ...] = parameter(PROBLEMS, choices=PROBLEMS, help="problems")
    arms: tuple[str, ...] = parameter(tuple(ARMS), choices=tuple(ARMS), help="ways to train")
    linear_hidden: tuple[int, ...] = parameter(
        (20, 12), at_least=2, help="hidden widths of the linear network"
    )
    digits_hidden: int = parameter(8, at_least=2, help="hidden units on the digits")
    linear_epochs: int = parameter(20, at_least=2, unit="epochs", help="of training")
    digits_epochs: int = parameter(20, at_least=2, unit="epochs", help="of training")
    trials: int = parameter(5, at_least=1, unit="trials", help="of an arm at its rate")
    search_trials: int = parameter(
        1, at_least=1, unit="trials", help="set aside to find each arm's rate"
    )
    rates_per_decade: int = parameter(
        2, choices=tuple(FACTORS), help="rates a decade, in the decades around the best power of 10"
    )
    gradients_per_weight: float = parameter(
        0.5, above=0, help="gradients of an EGOP estimate, 1 being document 4's number"
    )
    refreshes: tuple[int, ...] = parameter(
        (3,), at_least=1, help="how often a re-estimated EGOP is estimated anew in a run"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "linear_hidden": (6, 4),
        "digits_hidden": 2,
        "linear_epochs": 2,
        "digits_epochs": 4,
        "trials": 1,
        "rates_per_decade": 1,
        "gradients_per_weight": 0.2,
        "digits_file": "tes",
        "arms": (
            *("Adam", "Adam, EGOP", "SOAP", "Adagrad", "Adagrad, EGOP", "Muon", "Shampoo"),
            *("GaLore", "Adam, Kronecker", "Adam, random", "Adam, longer", "SOAP, once"),
            *("Adam, EGOP re-estimated", "Adam, EGOP from the path", "short Adam"),
        ),
    },
    "quick": {},
    "paper": {
        "linear_hidden": (50, 30),
        "digits_hidden": 32,
        "linear_epochs": 1000,
        "digits_epochs": 200,
        "rates_per_decade": 4,
        "gradients_per_weight": 1.0,
        "refreshes": (1, 3, 9),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: an arm on a problem a cell, the main ones first."""
    sizes = {
        "linear network": {
            "widths": [10, *p.linear_hidden, 10],
            "epochs": p.linear_epochs,
            "batch_size": 500,
        },
        "digits": {
            "widths": [64, p.digits_hidden, 10],
            "epochs": p.digits_epochs,
            "batch_size": 300,
            "file": p.digits_file,
        },
    }
    shared = {"gradients_per_weight": p.gradients_per_weight, "trials": p.trials}
    tuning = {"search_trials": p.search_trials, "rates_per_decade": p.rates_per_decade}
    both = {name: {"problem": name, **sizes[name], **shared} for name in p.problems}
    race = [
        {"kind": "race", **task, **tuning, "arm": name, "refreshes": times}
        for name in p.arms
        for times in (p.refreshes if ARMS[name].coordinates in TURNING else (0,))
        for task in both.values()
    ]
    return [
        {"kind": "exact", "widths": sizes["linear network"]["widths"], "instances": 2 * p.trials},
        *({"kind": "bases", **task} for task in both.values()),
        *race,
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: an EGOP's gradients, decomposed, and the gradients kept of a path."""
    linear, digits = (10, *p.linear_hidden, 10), (64, p.digits_hidden, 10)
    sides = {
        PROBLEMS[0]: [math.prod(shape) for shape in shapes(linear)],
        PROBLEMS[1]: [math.prod(shape) for shape in shapes(digits)],
    }
    largest = max(max(sides[name]) for name in p.problems)
    estimate = largest**2 * (4 * max(p.gradients_per_weight, 1) + 8)
    epochs = dict(zip(PROBLEMS, (p.linear_epochs, p.digits_epochs), strict=True))
    path = max(RUNS_AT_ONCE * MOST_STEPS * epochs[name] * sum(sides[name]) for name in p.problems)
    return int(8 * (estimate + path / (min(p.refreshes) + 1))) + 2**29


# --- the race -----------------------------------------------------------------------------------


def turning(
    task: Task, arm: Arm, blocks: tuple[Block, ...], at: Sequence[int], count: int
) -> Turning | None:
    """Return how the coordinates of an arm turn before the updates ``at``.

    Anew from ``count`` gradients near the point; "path" takes those that training has computed
    since the last time, for nothing; "restarted" keeps the first ``blocks``.
    """

    def fresh(step: int, point: Tensor, _: Tensor) -> tuple[Block, ...]:
        return block_bases(task, sample(task, count, point, ("anew", step)))

    def path(step: int, point: Tensor, gradients: Tensor) -> tuple[Block, ...]:
        return block_bases(task, gradients)

    kinds = {
        "re-estimated": Turning(at, fresh),
        "carried": Turning(at, fresh, carry=True),
        "path": Turning(at, path, keeps=True),
        "restarted": Turning(at, lambda *_: blocks),
    }
    return kinds.get(arm.coordinates)


def turns(steps: int, times: int) -> list[int]:
    """Return the steps before which a basis is estimated anew.

    Examples
    --------
    >>> turns(100, 3)
    [25, 50, 75]
    """
    return [steps * k // (times + 1) for k in range(1, times + 1)]


def train_arm(
    cell: Mapping[str, Any],
    task: Task,
    arm: Arm,
    blocks: tuple[Block, ...],
    rates: Sequence[float],
) -> pd.DataFrame:
    """Train a task by an arm at some rates; return a row a rate and epoch, all gradients counted.

    Parameters
    ----------
    cell, task, arm
        What is trained.
    blocks
        The arm's coordinates at the start.
    rates
        Learning rates; each falls along a cosine on the linear network and stays on the digits.
    """
    count, epochs = estimate_size(cell, task, arm.share), cell["epochs"]
    if arm.longer:
        epochs += math.ceil(count / task.an_epoch)
    steps = epochs * task.an_epoch
    annealed = cell["problem"] == PROBLEMS[0]
    factor = cosine_annealing(epochs, task.an_epoch) if annealed else constant(steps)
    kept = sorted({round(epochs * k / KEPT) for k in range(KEPT + 1)})
    at = turns(steps, cell["refreshes"])
    runs = len(rates)
    trained = train_parts(
        Rotated(task.network.take([0] * runs), (blocks,), (0,) * runs),
        task.start,
        parts_of(task, arm),
        torch.tensor(rates, dtype=torch.float64).outer(factor),
        batches=task.batches(),
        record=[epoch * task.an_epoch for epoch in kept],
        look=task.look,
        turning=turning(task, arm, blocks, at, count),
    )
    anew = at if arm.coordinates in ("re-estimated", "carried") else []
    first = count * (arm.coordinates not in ("original", "random"))
    taken = [
        epoch * task.an_epoch + first + count * sum(turn < epoch * task.an_epoch for turn in anew)
        for epoch in kept
    ]
    loss, validation = trained.seen.cpu().nan_to_num(math.inf).unbind(-1)
    return pd.DataFrame(
        {
            "rate": [rate for rate in rates for _ in kept],
            "epoch": kept * runs,
            "gradient_epochs": [number / task.an_epoch for number in taken] * runs,
            "loss": loss.T.flatten().numpy(),
            "validation": validation.T.flatten().numpy(),
        }
    )


def _race(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Find an arm's rate on trials set aside, then train the others at it."""
    arm = ARMS[cell["arm"]]
    prepared = [_prepared(cell, f"search {k}", arm, device) for k in range(cell["search_trials"])]

    def tried(rates: Sequence[float]) -> pd.DataFrame:
        tables = [train_arm(cell, task, arm, blocks, rates) for task, blocks in prepared]
        ends = pd.concat(
            [
                table.groupby("rate", as_index=False).last().assign(search_trial=k)
                for k, table in enumerate(tables)
            ]
        )
        return ends[["rate", "search_trial", "loss"]]

    span = RATES[cell["problem"]]
    search = tried(decades(*span, 1))
    if finer := between(best(search), span, cell["rates_per_decade"]):
        search = pd.concat([search, tried(finer)], ignore_index=True)
    rate = best(search)
    runs = []
    for trial in range(cell["trials"]):
        task, blocks = _prepared(cell, trial, arm, device)
        runs.append(train_arm(cell, task, arm, blocks, [rate]).assign(trial=trial))
    at_edge = rate in (search.rate.min(), search.rate.max())
    return {"search": search, "race": pd.concat(runs, ignore_index=True).assign(at_edge=at_edge)}


def _prepared(
    cell: Mapping[str, Any], trial: int | str, arm: Arm, device: str
) -> tuple[Task, tuple[Block, ...]]:
    task = draw_task(cell, trial, device)
    begins = "EGOP" if arm.coordinates in TURNING else arm.coordinates
    return task, fixed_bases(task, begins, estimate_size(cell, task, arm.share))


def best(search: pd.DataFrame) -> float:
    """Return the rate of the lowest median final loss; of equal ones the smallest."""
    return float(search.groupby("rate").loss.median().idxmin())


def between(rate: float, span: tuple[int, int], per_decade: int) -> list[float]:
    """Return the rates of the two decades around a power of ten that are not powers of ten.

    Document 4 brackets by powers of ten, then tries {2, 4, 8} times those inside (D.2).

    Examples
    --------
    >>> between(0.01, (-3, 0), 2), between(0.001, (-3, 0), 2)
    ([0.004, 0.04], [0.004])
    """
    low, high = (10.0**k for k in span)
    grid = decades(*span, per_decade)
    powers = decades(*span, 1)
    inside = [r for r in grid if rate / 10 < r < 10 * rate and r not in powers]
    return [r for r in inside if low <= r <= high]


RUNS = {"race": _race, "bases": bases, "exact": exact}
