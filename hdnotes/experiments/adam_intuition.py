r"""Chapter `adam_intuition`: the conjectures on why Adam and the ratio work (document 3).

The task is that of chapter `adam_ratio`. Cells of kind *path* follow a method under the penalty
alone, the data alone, both, or both with the observed entries held; *projections* alternates
between low rank and the observed entries; *window* looks at every step for a while; *start* at the
zero-filled matrix; *rotated* solves a rotated problem, all entries observed, beside the plain one.
"""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes.experiments import completion
from hdnotes.experiments.adam_ratio import unit
from hdnotes.experiments.completion import MEASURES, PENALTIES, Plan, Task, draw_task
from hdnotes.experiments.parameters import parameter
from hdnotes.long_training import Visit, train_long
from hdnotes.measures.subspaces import largest_angle, leading
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.matrix_completion import MatrixCompletion
from hdnotes.training import record_steps

NAME = "adam_intuition"
VERSION = 1
TITLE = "Adam and the ratio: the conjectures"

#: Power of ten of each method's rate, in the unit of `adam_ratio.unit`: among its best there.
EXPONENTS = {
    "GD": -0.5,
    "GD + momentum": -1.5,
    "GroupRMSprop": -2.0,
    "Adam": -2.0,
    "RMSprop": -2.5,
    "Adagrad": -1.0,
}
TERMS = ("penalty", "data", "both", "held")
#: Steps after which a term alone has nothing left to say.
SHORT = 500
#: Observed entries whose residuals a window records.
WATCHED = 60
#: Steps of a window.
WINDOW = 300


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    n: int = parameter(30, at_least=4, help="rows and columns of the matrix")
    rank: int = parameter(2, at_least=1, help="rank of the matrix")
    observed: int = parameter(300, at_least=8, unit="entries", help="entries observed")
    entries: tuple[int, ...] = parameter(
        (150, 225, 300, 450), at_least=8, unit="entries", help="numbers of entries of the start"
    )
    trials: int = parameter(5, at_least=1, unit="trials", help="matrices of every setting")
    steps: int = parameter(2500, at_least=20, unit="updates", help="updates of every run")
    weight: float = parameter(0.01, above=0, help="penalty weight lambda")
    methods: tuple[str, ...] = parameter(
        ("GD", "GroupRMSprop", "Adam"), choices=tuple(EXPONENTS), help="methods whose path is shown"
    )

    def __post_init__(self) -> None:
        top = max(self.observed, *self.entries)
        if top >= self.n**2:
            raise ValueError(
                f"observed = {top} is not allowed; a matrix of n = {self.n} has {self.n**2} "
                "entries, and some must be left to complete."
            )
        if self.rank > self.n:
            raise ValueError(f"rank = {self.rank} is not allowed; it is at most n = {self.n}.")
        if not {"GD", "Adam"} <= {*self.methods}:
            raise ValueError(
                f"methods = {self.methods} is not allowed; GD and Adam, which the claims compare, "
                "have to be among them."
            )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "n": 10,
        "rank": 1,
        "observed": 50,
        "entries": (40, 50),
        "trials": 2,
        "steps": 60,
        "methods": ("GD", "Adam"),
    },
    "quick": {},
    "paper": {
        "n": 100,
        "rank": 5,
        "observed": 2000,
        "entries": (1000, 1500, 2000, 3000, 4000, 5000),
        "steps": 3000,
        "methods": ("GD", "GD + momentum", "GroupRMSprop", "Adam"),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed."""
    shared = {
        "n": p.n,
        "rank": p.rank,
        "observed": p.observed,
        "trials": p.trials,
        "weight": p.weight,
    }
    run = {**shared, "steps": p.steps}
    terms = {term: min(p.steps, SHORT) if term in TERMS[:2] else p.steps for term in TERMS}
    return [
        *({"kind": "start", **shared, "observed": observed} for observed in p.entries),
        *({"kind": "rotated", **run, "steps": min(p.steps, 300), "method": m} for m in EXPONENTS),
        *(
            {"kind": "path", **run, "steps": steps, "method": method, "term": term}
            for term, steps in terms.items()
            for method in p.methods
        ),
        {"kind": "projections", **run, "steps": min(p.steps, 500)},
        *({"kind": "window", **run, "method": method} for method in p.methods),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: a few dozen matrices a trial, and the rotated problems."""
    return 60 * 8 * p.n**2 * p.trials + 2**29


def _task(cell: dict[str, Any]) -> Task:
    return draw_task(cell["n"], cell["rank"], cell["observed"], cell["trials"], of=NAME)


def _plan(cell: dict[str, Any]) -> Plan:
    """Return the plan of both terms, in float64: subspaces are compared down to rounding."""
    scale = unit(cell["method"], cell["n"], cell["rank"], cell["observed"], 1)
    rate = 10 ** EXPONENTS[cell["method"]] * scale
    return Plan(
        cell["method"], [rate], [cell["weight"]], cell["steps"], records=30, dtype=torch.float64
    )


def _path(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow a method under one term, both, or both with the observed entries held.

    The data term has nothing to do at the zero-filled start; alone, it starts from random entries.
    """
    task, plan = _task(cell), _plan(cell)
    if cell["term"] == "data":
        plan = replace(plan, start="random", penalty="none")
    start = [
        completion.draw_start(plan.start, task, t, 1, of=NAME).view(cell["n"], -1).to(device)
        for t in range(cell["trials"])
    ]
    first = leading(torch.stack(start), cell["rank"])[0]
    if cell["term"] == "penalty":
        task = replace(task, masks=tuple(torch.zeros_like(mask) for mask in task.masks))

    def turned(visit: Visit) -> Tensor:
        now = leading(visit.problem.product(visit.point), cell["rank"])[0]
        return largest_angle(first[list(visit.problem.data_of)], now)

    plan = replace(plan, exact=cell["term"] == "held", observe={"turned": turned})
    table, run = completion.train_plan(task, plan, device, of=NAME)
    path = completion.curves(table, run, *MEASURES)
    return {"path": path.assign(turned_deg=run.observed["turned"].flatten().numpy(force=True))}


def _projections(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Alternate: the nearest matrix of rank r, then the observed entries put back.

    A row a step: errors of the low-rank matrix, before its observed entries are put back.
    """
    task, r = _task(cell), cell["rank"]
    truth, target, seen = (
        torch.stack(x).to(device) for x in (task.truths, task.targets, task.masks)
    )
    recorded, rows, w = record_steps(cell["steps"], 30).tolist(), [], target
    for step in range(cell["steps"] + 1):
        if step:
            u, sigma, vh = torch.linalg.svd(w, full_matrices=False)
            low = (u[..., :r] * sigma[..., None, :r]) @ vh[..., :r, :]
            w = torch.where(seen, target, low)
        if step in recorded:
            found = completion.measured(low if step else w, truth, seen, r).tolist()
            rows += [(trial, step, *values) for trial, values in enumerate(found)]
    return {"projections": pd.DataFrame(rows, columns=["trial", "step", *MEASURES])}


def _window(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Record residuals of some observed entries at every step of a window, at half of the run."""
    task, plan = _task(cell), _plan(cell)
    data = task.to(device)
    half = cell["steps"] // 2
    last = min(half + WINDOW, cell["steps"])
    trials = range(cell["trials"])
    problem = MatrixCompletion(
        data.truths,
        data.targets,
        data.masks,
        tuple(trials),
        PENALTIES[plan.penalty],
        (cell["weight"],) * len(trials),
    )
    starts = [completion.draw_start(plan.start, task, t, 1, of=NAME) for t in trials]
    run = train_long(
        problem,
        torch.stack(starts).to(device),
        [completion.setting(plan.method, plan.rates[0]) for _ in trials],
        last,
        record=torch.arange(half, last + 1),
        observe={"residuals": _residuals},
    )
    found = run.observed["residuals"].float()
    rows = [
        (trial, entry, step, value)
        for trial in trials
        for entry in range(found.shape[2])
        for step, value in zip(run.recorded.tolist(), found[trial, :, entry].tolist(), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["trial", "entry", "step", "residual"])
    return {
        "crossings": _crossings(table),
        "residuals": table[(table.trial == 0) & (table.entry < 3)],
    }


def _residuals(visit: Visit) -> Tensor:
    """Return W - Y at the first `WATCHED` observed entries (trials, watched)."""
    problem = visit.problem
    gap = problem.product(visit.point) - problem.truth
    return torch.stack([g[s][:WATCHED] for g, s in zip(gap, problem.seen, strict=True)])


def _crossings(table: pd.DataFrame) -> pd.DataFrame:
    """Return how often each trial's residuals change sign, per entry and 100 steps, and their size.

    ``swing`` is the standard deviation of a residual over the window over its mean absolute value.
    """
    rows = []
    for trial, part in table.groupby("trial"):
        wide = part.pivot(index="step", columns="entry", values="residual").to_numpy()
        flips = (wide[1:] * wide[:-1] < 0).mean() * 100
        size = abs(wide).mean()
        rows.append((trial, flips, size, wide.std(0).mean() / size))
    return pd.DataFrame(rows, columns=["trial", "flips", "size", "swing"])


def _start(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure the zero-filled matrix."""
    task = _task(cell)
    truth, target, seen = (torch.stack(x) for x in (task.truths, task.targets, task.masks))
    found = completion.measured(target, truth, seen, cell["rank"]).numpy()
    table = pd.DataFrame(found, columns=list(MEASURES))
    return {"start": table.assign(trial=range(cell["trials"]))}


def _rotated(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Solve (Y, W_0) and (U Y V^T, U W_0 V^T) side by side, all entries observed.

    ``gap`` is ||U W V^T - W'||_F over the distance that W has travelled.
    """
    n, trials = cell["n"], cell["trials"]
    task = draw_task(n, cell["rank"], n * n, trials, of=NAME)
    cell = {**cell, "observed": n * n}
    u, v = (
        torch.stack([orthonormal(n, n, of=(NAME, n, t, side)) for t in range(trials)])
        for side in ("left", "right")
    )
    truth = torch.stack(task.truths)
    start = torch.stack(
        [completion.draw_start("random", task, t, 1, of=NAME) for t in range(trials)]
    )
    both = [torch.cat([x, u @ x @ v.mT]).to(device) for x in (truth, start.view(-1, n, n))]
    plan = _plan(cell)
    problem = MatrixCompletion(
        tuple(both[0]),
        tuple(both[0]),
        tuple(torch.ones(2 * trials, n, n, dtype=torch.bool, device=device)),
        tuple(range(2 * trials)),
        PENALTIES["ratio"],
        (cell["weight"],) * (2 * trials),
    )
    run = train_long(
        problem,
        both[1].flatten(1),
        [completion.setting(cell["method"], plan.rates[0]) for _ in range(2 * trials)],
        cell["steps"],
        record=record_steps(cell["steps"], 20),
        observe={"w": lambda visit: visit.problem.product(visit.point)},
    )
    plain, other = run.observed["w"].cpu().split(trials)
    gap = torch.linalg.matrix_norm(u[:, None] @ plain @ v.mT[:, None] - other)
    travelled = torch.linalg.matrix_norm(plain - plain[:, :1])
    rows = [
        (trial, step, float(gap[trial, k] / travelled[trial, k]))
        for trial in range(trials)
        for k, step in enumerate(run.recorded.tolist())
        if step
    ]
    return {"rotated": pd.DataFrame(rows, columns=["trial", "step", "gap"])}


RUNS = {
    "path": _path,
    "projections": _projections,
    "window": _window,
    "start": _start,
    "rotated": _rotated,
}
