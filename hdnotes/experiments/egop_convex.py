r"""Chapter `egop_convex`: EGOP coordinates for convex objectives (document 4, Section 6, C.2).

A cell is one objective: log-sum-exp, logistic regression or least squares. All its trials run in
lockstep: a data matrix of decaying singular values, a start, the EGOP estimated from full-batch
gradients, and every method at every rate in original, EGOP and randomly rotated coordinates. A run
ends when its gradient norm falls below 1e-8. Everything is in float64.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.rates import decades
from hdnotes.measures import egop
from hdnotes.optimizers import BASIC, Method
from hdnotes.problems.convex import (
    Convex,
    Outer,
    decaying_matrix,
    least_squares,
    log_sum_exp,
    logistic,
)
from hdnotes.theory.logistic import logistic_minimum
from hdnotes.training import Run, record_steps, train

NAME = "egop_convex"
VERSION = 1
TITLE = "Convex objectives"

COORDINATES = ("original", "EGOP", "random")
#: A run ends below this gradient norm (document 4, D.5); 1e-5 is scipy's own default.
TOLERANCE = 1e-8
#: Gradient norms at which updates are counted: half decades down to the tolerance.
LEVELS = tuple(10 ** (-k / 2) for k in range(17))
#: Suboptimalities below this are rounding and count as equal.
TINY = 1e-12


@dataclass(frozen=True)
class Objective:
    """A family of objectives f(theta) = outer(A theta, y).

    Attributes
    ----------
    outer : its outer function
    decay : p of the singular values k^-p of A (calibrated: the text does not print it)
    rates : first and last power of ten of each method's learning rates (calibrated)
    """

    outer: Outer
    decay: float
    rates: Mapping[str, tuple[int, int]]


OBJECTIVES = {
    "log-sum-exp": Objective(
        log_sum_exp,
        2.0,
        {
            "Adam": (-2, 2),
            "Adagrad": (-1, 3),
            "Adagrad, preset": (-1, 3),
            "GD": (0, 3),
            "GD + momentum": (0, 3),
        },
    ),
    "logistic": Objective(
        logistic,
        1.0,
        {
            "Adam": (-1, 2),
            "Adagrad": (-1, 3),
            "Adagrad, preset": (-1, 3),
            "GD": (0, 2),
            "GD + momentum": (0, 2),
        },
    ),
    "least squares": Objective(
        least_squares,
        2.0,
        {
            "Adam": (-2, 2),
            "Adagrad": (-1, 4),
            "Adagrad, preset": (-1, 4),
            "GD": (-1, 1),
            "GD + momentum": (-1, 1),
        },
    ),
}


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    d: int = parameter(
        100, at_least=4, unit="dimensions", help="of log-sum-exp and least squares (calibrated)"
    )
    logistic_d: int = parameter(
        20, at_least=2, unit="dimensions", help="of logistic regression (calibrated)"
    )
    samples: int = parameter(200, at_least=40, unit="samples", help="rows of A (calibrated)")
    trials: int = parameter(10, at_least=1, unit="trials", help="problems drawn of each objective")
    steps: int = parameter(1000, at_least=10, unit="updates", help="of every run at most")
    gradients_per_dimension: float = parameter(
        5.0, above=0, help="gradients that estimate the EGOP over d, M/d"
    )
    rates_per_decade: int = parameter(
        4, choices=(1, 2, 4), help="learning rates a decade: {1}, {1, 4} or {1, 2, 4, 8} x 10^k"
    )
    adagrad_preset: float = parameter(
        0.1, above=0, help="first accumulator of 'Adagrad, preset': Optax's; Adagrad's is torch's 0"
    )

    def __post_init__(self) -> None:
        least = max(2 * self.d, 5 * self.logistic_d)
        if self.samples < least:
            raise ValueError(
                f"samples = {self.samples} is not allowed with d = {self.d} and logistic_d = "
                f"{self.logistic_d}; it must be at least {least}: twice d, and five times "
                "logistic_d, as fewer labels tend to have no logistic minimum."
            )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "d": 12,
        "logistic_d": 4,
        "samples": 60,
        "trials": 2,
        "steps": 60,
        "rates_per_decade": 1,
    },
    "quick": {},
    "paper": {"trials": 20},
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: all trials of an objective in one cell."""
    shared = {
        "samples": p.samples,
        "trials": p.trials,
        "steps": p.steps,
        "gradients_per_dimension": p.gradients_per_dimension,
        "rates_per_decade": p.rates_per_decade,
        "adagrad_preset": p.adagrad_preset,
    }
    return [
        {"objective": name, "d": p.logistic_d if name == "logistic" else p.d, **shared}
        for name in OBJECTIVES
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes of the largest cell: data, points and the record of every update."""
    d = max(p.d, p.logistic_d)
    systems = len(COORDINATES) * p.trials
    rates = max(
        sum(len(decades(*span, p.rates_per_decade)) for span in objective.rates.values())
        for objective in OBJECTIVES.values()
    )
    runs = systems * rates * (3 * p.steps + 3 * p.samples + 10 * d)
    basis = (3 * p.gradients_per_dimension + 10) * d**2
    return int(8 * (runs + 3 * systems * p.samples * d + basis)) + 2**29


@dataclass(frozen=True)
class Trial:
    """A problem, its minimum, a start and V of each coordinate system."""

    problem: Convex
    minimum: float
    start: Tensor
    bases: tuple[Tensor, ...]


def draw_trial(cell: Mapping[str, Any], trial: int, device: str) -> Trial:
    """Draw a problem and a start, and estimate the EGOP at rho = N(0, I) (document 4, D.5)."""
    name, d, samples = cell["objective"], cell["d"], cell["samples"]
    of, objective = (NAME, name, d, samples, trial), OBJECTIVES[name]
    singular = torch.arange(1, d + 1, dtype=torch.float64) ** -objective.decay
    a = decaying_matrix(samples, singular, of=(*of, "A")).to(device)
    y = a @ seeds.normal(d, of=(*of, "optimum")).to(device)
    minimum = math.log(samples) if name == "log-sum-exp" else 0.0  # where A theta = y
    if name == "logistic":
        noise = torch.rand(samples, dtype=y.dtype, generator=seeds.generator(*of, "labels"))
        y = (noise.to(device) < torch.sigmoid(y)).to(y.dtype)
        minimum = logistic_minimum(a, y)[1]
    problem = Convex(objective.outer, (a,), (y,), (0,))
    count = math.ceil(cell["gradients_per_dimension"] * d)
    gradients = egop.sample_gradients(problem, seeds.normal(count, d, of=(*of, "rho")).to(device))
    identity = torch.eye(d, dtype=a.dtype, device=device)
    control = egop.random_basis(d, of=(*of, "control")).to(device)
    start = seeds.normal(d, of=(*of, "start")).to(device)
    return Trial(problem, minimum, start, (identity, egop.eigenbasis(gradients).vectors, control))


def run(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run every method at every rate in the three coordinate systems, from paired starts."""
    trials = [draw_trial(cell, trial, device) for trial in range(cell["trials"])]
    runs, result = _race(cell, trials)
    minima = torch.tensor([trials[k].minimum for k in runs.trial], dtype=torch.float64)
    norms = result.observed["gradient_norm"].cpu()
    ends = runs.assign(
        suboptimality=(result.loss[:, -1].cpu() - minima).clamp(min=0).numpy(),
        gradient_norm=norms[:, -1].numpy(),
        updates=result.steps.numpy(),
        outcome=result.outcome,
    )
    kept = at_rates(ends, pd.concat([reused(ends), best_rates(ends)]).drop_duplicates())
    return {"ends": ends, "levels": _levels(kept, norms), "curves": _curves(kept, norms)}


def _race(cell: Mapping[str, Any], trials: list[Trial]) -> tuple[pd.DataFrame, Run]:
    """Train every trial by every setting; return what each run is, and the runs."""
    methods = {
        "Adam": BASIC["Adam"],
        "Adagrad": BASIC["Adagrad"],
        "Adagrad, preset": Method("Adagrad", {"initial_accumulator_value": cell["adagrad_preset"]}),
        "GD": BASIC["GD"],
        "GD + momentum": BASIC["GD + momentum"],
    }
    spans = OBJECTIVES[cell["objective"]].rates
    settings = [
        (name, methods[name](rate))
        for name, span in spans.items()
        for rate in decades(*span, cell["rates_per_decade"])
    ]
    systems = [(trial, v) for trial in trials for v in trial.bases]
    convex = Convex(
        trials[0].problem.outer,
        tuple(trial.problem.inputs[0] @ v for trial, v in systems),
        tuple(trial.problem.targets[0] for trial, _ in systems),
        tuple(range(len(systems))),
    )
    result = train(
        convex.take(list(range(len(systems))) * len(settings)),
        torch.stack([v.T @ trial.start for trial, v in systems]).repeat(len(settings), 1),
        [setting for _, setting in settings for _ in systems],
        cell["steps"],
        record=torch.arange(cell["steps"] + 1),
        observe={"gradient_norm": lambda point, loss, gradient: gradient.norm(dim=-1)},
        stop=lambda point, loss, gradient: gradient.norm(dim=-1) < TOLERANCE,
    )
    rows = [
        (name, setting.learning_rate, trial, coordinates)
        for name, setting in settings
        for trial in range(len(trials))
        for coordinates in COORDINATES
    ]
    return pd.DataFrame(rows, columns=["method", "learning_rate", "trial", "coordinates"]), result


def best_rates(ends: pd.DataFrame) -> pd.DataFrame:
    """Return each method's rate in each coordinate system (method, coordinates, learning_rate).

    Each is tuned separately (document 4, Fig. 12), by the lowest median of the final loss
    (D.5); where several are below `TINY`, and so equal, by the fewest updates.
    """
    group = ["method", "coordinates"]
    known = ends.assign(suboptimality=ends.suboptimality.fillna(math.inf).clip(lower=TINY))
    median = known.groupby([*group, "learning_rate"], sort=False)[["suboptimality", "updates"]]
    ranked = median.median().sort_values(["suboptimality", "updates"], kind="stable")
    return ranked.reset_index().drop_duplicates(group)[[*group, "learning_rate"]]


def reused(ends: pd.DataFrame) -> pd.DataFrame:
    """Return the rates where the original coordinates' serve all (document 4, Fig. 5)."""
    best = best_rates(ends[ends.coordinates.eq("original")]).drop(columns="coordinates")
    return best.merge(pd.DataFrame({"coordinates": COORDINATES}), how="cross")


def at_rates(table: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``table`` whose method, coordinates and rate are among ``rates``."""
    names = ["method", "coordinates", "learning_rate"]
    chosen = pd.MultiIndex.from_frame(rates[names])
    return table[pd.MultiIndex.from_frame(table[names]).isin(chosen)]


def _levels(kept: pd.DataFrame, norms: Tensor) -> pd.DataFrame:
    """Return after how many updates each run first had a gradient norm below each level."""
    rows = norms[kept.index.tolist()]
    parts = []
    for level in LEVELS:
        below = rows < level
        found = kept.assign(level=level, first=below.int().argmax(1).numpy())
        parts.append(found[below.any(1).numpy()])
    names = ["method", "learning_rate", "trial", "coordinates", "level", "first"]
    return pd.concat(parts, ignore_index=True)[names]


def _curves(kept: pd.DataFrame, norms: Tensor) -> pd.DataFrame:
    """Return the gradient norm at updates evenly spaced in log, without the control's."""
    shown = kept[kept.coordinates.ne("random")]
    at = record_steps(norms.shape[1] - 1)
    names = ["method", "learning_rate", "trial", "coordinates"]
    long = shown.loc[shown.index.repeat(len(at)), names].reset_index(drop=True)
    values = norms[shown.index.tolist()][:, at].float().flatten()
    return long.assign(update=at.repeat(len(shown)).numpy(), gradient_norm=values.numpy())
