r"""What the chapters on matrix completion share: tasks, starts, and training with its measures.

A trial's matrix, observed entries and noise are drawn from its own name, not from the method's, so
that all methods, rates and penalties meet the same problems. A mask of fewer entries is part of the
mask of more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.long_training import Visit, train_long
from hdnotes.measures.effective_rank import effective_rank
from hdnotes.measures.subspaces import largest_angle
from hdnotes.optimizers import Alone, Method, Setting
from hdnotes.problems.matrix_completion import (
    MatrixCompletion,
    Penalty,
    draw_layers,
    draw_low_rank,
    draw_mask,
)
from hdnotes.problems.spectral_penalties import nuclear, ratio
from hdnotes.training import record_steps

PENALTIES: Mapping[str, Penalty | None] = {"ratio": ratio, "nuclear": nuclear, "none": None}
#: The product of the layers of a tiny start is about this large (document 3's experiments, Arora).
TINY = 1e-3
#: The methods; AdamW as torch has it, with weight decay 0.01. GroupRMSprop is NovoGrad without
#: momentum: one mean of squared gradient norms for the whole point.
METHODS: Mapping[str, Method] = {
    "GD": Method("SGD"),
    "GD + momentum": Method("SGD", {"momentum": 0.9}),
    "GroupRMSprop": Method("NovoGrad", {"betas": (0.0, 0.99), "eps": 1e-4}),
    "Adam": Method("Adam"),
    "AMSGrad": Method("Adam", {"amsgrad": True}),
    "AdamW": Method("AdamW"),
    "NAdam": Method("NAdam"),
    "RAdam": Method("RAdam"),
    "Adamax": Method("Adamax"),
    "RMSprop": Method("RMSprop"),
    "Adagrad": Method("Adagrad"),
    "Adadelta": Method("Adadelta"),
}
#: Methods that divide by a norm of the whole point.
COUPLED = ("GroupRMSprop",)
#: What is measured of W, in this order.
MEASURES = ("error", "observed_error", "effective_rank", "angle_deg", "ratio")


@dataclass(frozen=True)
class Task:
    """The data sets of a cell's trials: truths, what is observed of them, and where."""

    truths: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    rank: int

    def to(self, device: str, dtype: torch.dtype = torch.float64) -> "Task":
        """Return the same data sets on a device, in a precision."""
        truths, targets = (
            tuple(one.to(device, dtype) for one in part) for part in (self.truths, self.targets)
        )
        return Task(truths, targets, tuple(one.to(device) for one in self.masks), self.rank)


def draw_task(
    n: int, rank: int, observed: int, trials: int, noise: float = 0.0, *, of: str
) -> Task:
    """Draw the tasks of all trials, in float64; noise is Gaussian, its sd that of an entry."""
    truths, targets, masks = [], [], []
    for trial in range(trials):
        name = (of, n, rank, trial)
        truth = draw_low_rank(n, rank, of=(*name, "matrix"))
        mask = draw_mask(n, observed, of=(*name, "mask"))
        heard = truth + noise * seeds.normal(n, n, of=(*name, "noise"))
        truths.append(truth)
        targets.append(heard * mask)
        masks.append(mask)
    return Task(tuple(truths), tuple(targets), tuple(masks), rank)


def draw_start(kind: str, task: Task, trial: int, depth: int, *, of: str) -> Tensor:
    """Draw a first point: "zero-filled" (the observed entries) or "tiny", and two larger ones.

    "filled at random" has the observed entries and standard normal ones elsewhere, "random" is
    standard normal everywhere. All but "tiny" are starts of one layer.
    """
    n, name = len(task.truths[0]), (of, len(task.truths[0]), task.rank, trial, "start")
    if kind == "tiny":
        return draw_layers(n, depth, TINY, of=(*name, depth))
    if kind == "zero-filled":
        return task.targets[trial].flatten()
    noise = seeds.normal(n, n, of=name)
    if kind == "filled at random":
        noise = torch.where(task.masks[trial], task.targets[trial], noise)
    return noise.flatten()


@dataclass(frozen=True)
class Plan:
    """How the trials of a cell are trained: every rate with every weight, each on every task.

    Attributes
    ----------
    method : a name in `METHODS`
    rates, weights : learning rates, and lambdas
    steps : updates of every run
    penalty : a name in `PENALTIES`
    start : as in `draw_start`
    depth : layers
    exact : whether the observed entries are held
    records : about how many points of the path are measured
    """

    method: str
    rates: Sequence[float]
    weights: Sequence[float]
    steps: int
    penalty: str = "ratio"
    start: str = "zero-filled"
    depth: int = 1
    exact: bool = False
    records: int = 16
    dtype: torch.dtype = torch.float32
    observe: Mapping[str, Callable[[Visit], Tensor]] = field(default_factory=dict)
    record: Tensor | None = None


def setting(method: str, rate: float) -> Setting:
    """Return a trial's setting; one that couples elements stands alone."""
    if method in COUPLED:
        return Alone(METHODS[method], rate)
    return METHODS[method](rate)


def train_plan(task: Task, plan: Plan, device: str, *, of: str) -> tuple[pd.DataFrame, Any]:
    """Train the plan on the task; return the table of its runs, a row a trial, and the long run.

    The run's measures lie in ``observed["measures"]``, in the order of `MEASURES`.
    """
    trials = range(len(task.truths))
    grid = list(product(plan.rates, plan.weights, trials))
    starts = [draw_start(plan.start, task, t, plan.depth, of=of) for t in trials]
    data = task.to(device, plan.dtype)
    problem = MatrixCompletion(
        data.truths,
        data.targets,
        data.masks,
        tuple(t for _, _, t in grid),
        PENALTIES[plan.penalty],
        tuple(weight for _, weight, _ in grid),
        plan.depth,
        plan.exact,
    )
    run = train_long(
        problem,
        torch.stack([starts[t] for _, _, t in grid]).to(device, plan.dtype),
        [setting(plan.method, rate) for rate, _, _ in grid],
        plan.steps,
        record=record_steps(plan.steps, plan.records) if plan.record is None else plan.record,
        observe={"measures": measures(task.rank), **plan.observe},
    )
    table = pd.DataFrame(grid, columns=["rate", "weight", "trial"])
    return table.assign(outcome=run.outcome, steps=plan.steps), run


def finals(table: pd.DataFrame, run: Any) -> pd.DataFrame:
    """Return the table with the measures at the end."""
    last = run.observed["measures"][:, -1].numpy(force=True)
    return table.assign(**{name: last[:, k] for k, name in enumerate(MEASURES)})


def curves(table: pd.DataFrame, run: Any, *names: str) -> pd.DataFrame:
    """Return the named measures at every recorded step, a row a trial and step."""
    keys = table.drop(columns=["outcome", "steps"])
    long = keys.loc[keys.index.repeat(len(run.recorded))].reset_index(drop=True)
    values = run.observed["measures"].flatten(0, 1).numpy(force=True)
    found = {name: values[:, MEASURES.index(name)] for name in names}
    return long.assign(step=run.recorded.repeat(len(keys)).numpy(), **found)


def measures(rank: int) -> Callable[[Visit], Tensor]:
    """Return the measure (trials, 5) of W that `MEASURES` names.

    Mean squared errors on unobserved and on observed entries, against the truth; effective rank;
    largest angle between the leading ``rank`` left singular vectors and the truth's; R(W). A W that
    is not finite has none.
    """

    def measure(visit: Visit) -> Tensor:
        problem = visit.problem
        w = problem.product(visit.point)
        good = w.isfinite().all(-1).all(-1)
        safe = torch.where(good[:, None, None], w, torch.ones_like(w))
        return torch.where(
            good[:, None], measured(safe, problem.truth, problem.seen, rank), torch.nan
        )

    return measure


def measured(w: Tensor, truth: Tensor, seen: Tensor, rank: int) -> Tensor:
    """Return `MEASURES` (..., 5) of finite matrices W (..., n, n)."""
    u, sigma, _ = torch.linalg.svd(w, full_matrices=False)
    true = torch.linalg.svd(truth, full_matrices=False)[0][..., :rank]
    return torch.stack(
        [
            mean_square(w - truth, ~seen),
            mean_square(w - truth, seen),
            effective_rank(sigma),
            largest_angle(true, u[..., :rank]),
            sigma.sum(-1) / sigma.square().sum(-1).sqrt(),
        ],
        -1,
    )


def mean_square(w: Tensor, where: Tensor) -> Tensor:
    """Return the mean of W^2 over the entries in the mask ``where``."""
    return (w.square() * where).sum((-2, -1)) / where.sum((-2, -1)).clamp(min=1)
