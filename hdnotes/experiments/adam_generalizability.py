r"""Chapter `adam_generalizability`: other starts, noise, depth and a nonlinearity (document 3).

The task is that of chapter `adam_ratio`. Cells of kind *start* begin elsewhere, *noise* observes
with an error, beside *soft*, the convex control; *deep* trains products of layers, *network* a ReLU
network that completes rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from hdnotes.experiments import completion
from hdnotes.experiments.adam_ratio import CONVEX_WEIGHTS, unit
from hdnotes.experiments.completion import PENALTIES, Plan, Task, draw_task
from hdnotes.experiments.parameters import parameter
from hdnotes.long_training import train_long
from hdnotes.problems.autoencoder_completion import AutoencoderCompletion, draw_network
from hdnotes.problems.matrix_completion import MatrixCompletion
from hdnotes.theory.nuclear_norm import soft_impute

NAME = "adam_generalizability"
VERSION = 1
TITLE = "Beyond the test bed"

METHODS = ("Adam", "GD")
STARTS = ("zero-filled", "filled at random", "random", "tiny")
#: Powers of ten of the rates, in the unit of `adam_ratio.unit`.
START_RATES = {"Adam": (-2.5, -2.0, -1.5), "GD": (-1.5, -1.0, -0.5)}
NOISE_RATES = {"Adam": (-2.5, -2.0), "GD": (-1.5, -0.5)}
DEEP_RATES = {
    "Adam": (-4.5, -4.0, -3.5, -3.0, -2.5, -2.0),
    "GD": (-1.5, -1.0, -0.5, -0.25, 0.0),
}
NETWORK_RATES = {
    "Adam": (-5.0, -4.5, -4.0, -3.5, -3.0, -2.5),
    "GD": (-1.75, -1.25, -0.75, -0.5, -0.25),
}
#: The penalty weight, and Adam's learning rate, where there is no noise.
WEIGHT = 0.01
RATE = 0.01
#: How many times longer what starts near zero is trained.
LONGER = 4


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    n: int = parameter(30, at_least=4, help="rows and columns of the matrix")
    rank: int = parameter(2, at_least=1, help="rank of the matrix")
    observed: int = parameter(300, at_least=8, unit="entries", help="entries observed")
    trials: int = parameter(5, at_least=1, unit="trials", help="matrices of every setting")
    steps: int = parameter(1500, at_least=20, unit="updates", help="updates of every run")
    noises: tuple[float, ...] = parameter(
        (0.01, 0.1, 0.3), above=0, help="standard deviations of the noise, that of an entry being 1"
    )
    weights: tuple[float, ...] = parameter(
        (0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0),
        above=0,
        help=f"penalty weights lambda under noise, {WEIGHT} among them",
    )
    depths: tuple[int, ...] = parameter(
        (2, 3), at_least=2, at_most=4, unit="layers", help="depths of linear networks"
    )

    def __post_init__(self) -> None:
        if WEIGHT not in self.weights:
            raise ValueError(
                f"weights = {self.weights} is not allowed; {WEIGHT}, the weight without noise, has "
                "to be among them."
            )
        if self.observed >= self.n**2:
            raise ValueError(
                f"observed = {self.observed} is not allowed; a matrix of n = {self.n} has "
                f"{self.n**2} entries, and some must be left to complete."
            )
        if self.rank > self.n:
            raise ValueError(f"rank = {self.rank} is not allowed; it is at most n = {self.n}.")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "n": 10,
        "rank": 1,
        "observed": 50,
        "trials": 2,
        "steps": 60,
        "noises": (0.1,),
        "weights": (0.01, 0.1),
        "depths": (2,),
    },
    "quick": {},
    "paper": {
        "n": 100,
        "rank": 5,
        "observed": 2000,
        "steps": 2500,
        "depths": (2, 3, 4),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed."""
    shared = {
        "n": p.n,
        "rank": p.rank,
        "observed": p.observed,
        "trials": p.trials,
        "steps": p.steps,
    }
    noisy = [{**shared, "noise": noise} for noise in p.noises]
    longer = {**shared, "steps": 2 * p.steps}  # what has more than one layer starts slowly
    return [
        *(
            {"kind": "start", **shared, "method": m, "start": s}
            | ({"steps": LONGER * p.steps} if s == "tiny" else {})
            for m in METHODS
            for s in STARTS
        ),
        *({"kind": "soft", **cell} for cell in noisy),
        *(
            {"kind": "noise", **cell, "method": method, "weights": list(p.weights)}
            for method in METHODS
            for cell in noisy
        ),
        *(
            {"kind": "deep", **longer, "method": method, "depth": depth, "penalty": penalty}
            for penalty in ("none", "ratio")
            for depth in p.depths
            for method in METHODS
        ),
        *(
            {"kind": "network", **longer, "method": method, "penalty": penalty}
            for penalty in ("none", "ratio")
            for method in METHODS
        ),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: points, products and factors of the largest cell's trials."""
    rates = max(len(DEEP_RATES["Adam"]) * max(p.depths), len(NETWORK_RATES["Adam"]))
    runs = p.trials * max(2 * len(p.weights), rates)
    return 20 * 4 * p.n**2 * runs + 2**29


def _task(cell: dict[str, Any]) -> Task:
    noise = cell.get("noise", 0.0)
    return draw_task(cell["n"], cell["rank"], cell["observed"], cell["trials"], noise, of=NAME)


def _rates(cell: dict[str, Any], exponents: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the rates of a cell's method."""
    method, depth = cell["method"], cell.get("depth", 1)
    scale = unit(method, cell["n"], cell["rank"], cell["observed"], depth)
    return [10**k * scale for k in exponents[method]]


def _start(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train one layer with the ratio from another start."""
    rates = _rates(cell, START_RATES)
    plan = Plan(cell["method"], rates, [WEIGHT], cell["steps"], start=cell["start"])
    table, run = completion.train_plan(_task(cell), plan, device, of=NAME)
    return {
        "start": completion.finals(table, run),
        "start_paths": completion.curves(table, run, "error", "observed_error"),
    }


def _noise(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train one layer with the ratio on noisy entries, at several weights."""
    plan = Plan(cell["method"], _rates(cell, NOISE_RATES), cell["weights"], cell["steps"])
    table, run = completion.train_plan(_task(cell), plan, device, of=NAME)
    return {"noise": completion.curves(table, run, "error", "effective_rank")}


def _soft(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Complete the same noisy entries by the nuclear norm, at all its weights."""
    task = _task(cell)
    truth, target, seen = (
        torch.stack(x).to(device) for x in (task.truths, task.targets, task.masks)
    )
    rows, w = [], torch.zeros_like(target)
    for weight in CONVEX_WEIGHTS:
        w = soft_impute(target, seen, weight, w)
        error = completion.mean_square(w - truth, ~seen).tolist()
        rows += [(weight, trial, value) for trial, value in enumerate(error)]
    return {"soft": pd.DataFrame(rows, columns=["weight", "trial", "error"])}


def _deep(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train a product of layers from near zero, at all rates."""
    plan = Plan(
        cell["method"],
        _rates(cell, DEEP_RATES),
        [WEIGHT if cell["penalty"] == "ratio" else 0.0],
        cell["steps"],
        penalty=cell["penalty"],
        start="tiny",
        depth=cell["depth"],
    )
    table, run = completion.train_plan(_task(cell), plan, device, of=NAME)
    return {"deep": completion.finals(table, run)}


def _network(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train a ReLU network with n hidden units, at all rates; GD's rates are in units of m / n."""
    task, n, trials = _task(cell), cell["n"], range(cell["trials"])
    scale = cell["observed"] / n if cell["method"] == "GD" else 1.0
    grid = [(10**k * scale, t) for k in NETWORK_RATES[cell["method"]] for t in trials]
    weight = WEIGHT if cell["penalty"] == "ratio" else 0.0
    data = task.to(device, torch.float32)
    inner = MatrixCompletion(
        data.truths,
        data.targets,
        data.masks,
        tuple(t for _, t in grid),
        PENALTIES[cell["penalty"]],
        (weight,) * len(grid),
    )
    starts = [draw_network(n, n, of=(NAME, n, t, "network")) for t in trials]
    run = train_long(
        AutoencoderCompletion(inner, n),
        torch.stack([starts[t] for _, t in grid]).to(device, torch.float32),
        [completion.setting(cell["method"], rate) for rate, _ in grid],
        cell["steps"],
        observe={"measures": completion.measures(cell["rank"])},
    )
    table = pd.DataFrame(grid, columns=["rate", "trial"]).assign(weight=weight)
    table = table.assign(outcome=run.outcome, steps=cell["steps"])
    return {"network": completion.finals(table, run)}


RUNS = {"start": _start, "noise": _noise, "soft": _soft, "deep": _deep, "network": _network}
