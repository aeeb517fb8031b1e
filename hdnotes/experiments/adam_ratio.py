r"""Chapter `adam_ratio`: completing a matrix with Adam and a ratio of norms (document 3).

W* is n x n of low rank with entries of root mean square 1, of which m are observed. Cells of kind
*train* run one method over a grid of rates and penalty weights: the map, the other methods, starts
near zero, the nuclear norm, and depth 1 to 4 over m. *lbfgs* runs the one method that calls back,
*convex* solves the convex problem, *landscape* looks at the ratio itself, *certificate* asks
whether W* is a local minimum of it.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from hdnotes import seeds
from hdnotes.experiments import completion
from hdnotes.experiments.completion import METHODS, Plan, Task, draw_task
from hdnotes.experiments.parameters import parameter
from hdnotes.problems.matrix_completion import MatrixCompletion
from hdnotes.problems.spectral_penalties import ratio
from hdnotes.theory.nuclear_norm import least_nuclear, soft_impute
from hdnotes.theory.ratio_certificate import Certificate, ratio_certificate

NAME = "adam_ratio"
VERSION = 1
TITLE = "Adam and a ratio of norms"

#: Powers of ten of the learning rates, in the unit that `unit` gives.
EXPONENTS: dict[str, tuple[float, ...]] = {
    "GD": (-2, -1.5, -1, -0.5),
    "GD + momentum": (-3, -2.5, -2, -1.5),
    "GroupRMSprop": (-3, -2.5, -2, -1.5),
    "Adagrad": (-1.5, -1, -0.5, 0),
    "Adadelta": (0, 0.5, 1, 1.5),
}
ADAPTIVE = (-3.0, -2.5, -2.0, -1.5)
#: Penalty weights of the map, and the one at which all methods meet.
WEIGHTS = tuple(10**k for k in (-2.5, -2.0, -1.5, -1.0, -0.5))
WEIGHT = 0.01
#: Weights of the nuclear norm, from large to small.
CONVEX_WEIGHTS = tuple(10 ** (-k / 2) for k in range(2, 10))
#: Lines over the number of entries: method, penalty, depth, start, power of ten of the rate. The
#: first four are also run at further ranks.
LINES = (
    ("Adam", "ratio", 1, "zero-filled", -2.0),
    ("GD", "ratio", 1, "zero-filled", -0.5),
    ("GD", "none", 2, "tiny", -0.5),
    ("GD", "none", 3, "tiny", -0.5),
    ("GD", "none", 4, "tiny", -0.5),
    ("Adam", "none", 2, "tiny", -2.5),
    ("Adam", "none", 3, "tiny", -2.5),
    ("Adam", "none", 4, "tiny", -2.5),
    ("Adam", "ratio", 2, "tiny", -2.5),
    ("Adam", "ratio", 3, "tiny", -2.5),
    ("Adam", "ratio", 4, "tiny", -2.5),
)
#: What a start near zero is tried with, and how many times longer than the others.
TINY_EXPONENTS, TINY_WEIGHTS, LONGER = (-3.0, -2.5, -2.0), (0.01, 0.1), 4
#: How far an unobserved entry, or a direction, is followed in the landscape of R.
REACHES = tuple(10 ** (k / 8) for k in range(-16, 41))
DIRECTIONS = 20
SCALES = (1e-3, 1e-2, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    n: int = parameter(30, at_least=4, help="rows and columns of the matrix")
    ranks: tuple[int, ...] = parameter(
        (2,), at_least=1, help="ranks; all but the first only over the number of entries"
    )
    observed: int = parameter(300, at_least=8, unit="entries", help="entries observed")
    entries: tuple[int, ...] = parameter(
        (150, 225, 300, 450), at_least=8, unit="entries", help="numbers of entries compared"
    )
    trials: int = parameter(5, at_least=1, unit="trials", help="matrices of every setting")
    steps: int = parameter(2000, at_least=20, unit="updates", help="updates of every run")
    depths: tuple[int, ...] = parameter(
        (1, 2, 3), at_least=1, at_most=4, unit="layers", help="depths compared"
    )
    methods: tuple[str, ...] = parameter(
        ("GroupRMSprop", "RMSprop", "Adagrad", "Adadelta"),
        choices=[name for name in METHODS if name not in ("GD", "GD + momentum", "Adam")],
        help="methods beside GD, momentum and Adam",
    )

    def __post_init__(self) -> None:
        top = max(self.observed, *self.entries)
        if top >= self.n**2:
            raise ValueError(
                f"observed = {top} is not allowed; a matrix of n = {self.n} has {self.n**2} "
                "entries, and some must be left to complete."
            )
        if max(self.ranks) > self.n:
            raise ValueError(f"ranks = {self.ranks} is not allowed; none exceeds n = {self.n}.")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "n": 10,
        "ranks": (1,),
        "observed": 50,
        "entries": (40, 50),
        "trials": 2,
        "steps": 60,
        "depths": (1, 2),
        "methods": ("GroupRMSprop", "RMSprop"),
    },
    "quick": {},
    "paper": {
        "n": 100,
        "ranks": (5, 10),
        "observed": 2000,
        "entries": (1000, 1500, 2000, 3000, 5000),
        "steps": 3000,
        "depths": (1, 2, 3, 4),
        "methods": tuple(name for name in METHODS if name not in ("GD", "GD + momentum", "Adam")),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the claims' cells first."""
    shared = {"n": p.n, "rank": p.ranks[0], "observed": p.observed, "trials": p.trials}
    train = {
        "kind": "train",
        **shared,
        "steps": p.steps,
        "penalty": "ratio",
        "start": "zero-filled",
        "depth": 1,
    }
    one = [WEIGHT]
    tried = {
        "Adam": list(WEIGHTS),
        "GD": list(WEIGHTS),
        "GD + momentum": one,
        **dict.fromkeys(p.methods, one),
    }
    maps = [
        {**train, "part": "map", "method": name, "exponents": _exponents(name), "weights": weights}
        for name, weights in tried.items()
    ]
    lines = [
        {
            **train,
            "part": "entries",
            "method": method,
            "rank": rank,
            "observed": observed,
            "penalty": penalty,
            "depth": depth,
            "start": start,
            "exponents": [exponent],
            "weights": [WEIGHT if penalty == "ratio" else 0.0],
        }
        for rank in p.ranks
        for method, penalty, depth, start, exponent in (LINES if rank == p.ranks[0] else LINES[:4])
        if depth in p.depths
        for observed in p.entries
    ]
    start = {
        "start": "tiny",
        "exponents": list(TINY_EXPONENTS),
        "weights": list(TINY_WEIGHTS),
        "steps": LONGER * p.steps,
    }
    nuclear = {"penalty": "nuclear", "exponents": [-2.0], "weights": [0.01, 0.001]}
    return [
        {"kind": "landscape", **shared},
        *(
            {"kind": "certificate", **shared, "observed": observed}
            for observed in sorted({p.observed, *p.entries})
        ),
        *(
            {"kind": "convex", **shared, "rank": rank, "observed": observed}
            for rank in p.ranks
            for observed in p.entries
        ),
        *maps[:3],
        *lines,
        {**train, "part": "start", "method": "Adam", **start},
        {**train, "part": "nuclear", "method": "Adam", **nuclear},
        *maps[3:],
        {"kind": "lbfgs", **shared, "steps": min(p.steps, 500), "weights": one},
    ]


def _exponents(method: str) -> list[float]:
    return [float(k) for k in EXPONENTS.get(method, ADAPTIVE)]


def unit(method: str, n: int, rank: int, observed: int, depth: int) -> float:
    """Return the unit of a method's learning rate.

    GD: the step at which the loss stops being stable, m over s^(2 - 2/N), where 2/m is the
    curvature of an entry and s = n / sqrt(rank) about the largest singular value of W*, which the
    layers share. GroupRMSprop, whose steps have the length lr: the norm n of W*. Others: 1, the
    root mean square of an entry.

    Examples
    --------
    >>> unit("GD", 30, 2, 300, 1), unit("Adam", 30, 2, 300, 1)
    (300.0, 1.0)
    """
    if method in ("GD", "GD + momentum"):
        return observed / (n / rank**0.5) ** (2 - 2 / depth)
    return float(n) if method == "GroupRMSprop" else 1.0


def memory(p: Parameters) -> int:
    """Return the peak bytes: points, products and factors of the largest cell's trials."""
    runs = p.trials * len(WEIGHTS) * len(ADAPTIVE)
    deep = max(runs, p.trials * max(p.depths) * 2)
    return 20 * 4 * p.n**2 * deep + 2**29


def _task(cell: dict[str, Any]) -> Task:
    return draw_task(cell["n"], cell["rank"], cell["observed"], cell["trials"], of=NAME)


def _train(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train a method at all rates and weights: where each run ends, and how the map's get there."""
    scale = unit(cell["method"], cell["n"], cell["rank"], cell["observed"], cell["depth"])
    plan = Plan(
        cell["method"],
        [10**k * scale for k in cell["exponents"]],
        cell["weights"],
        cell["steps"],
        penalty=cell["penalty"],
        start=cell["start"],
        depth=cell["depth"],
    )
    table, run = completion.train_plan(_task(cell), plan, device, of=NAME)
    tables = {"ends": completion.finals(table, run)}
    if cell["part"] == "map" and len(cell["weights"]) > 1:
        tables["paths"] = completion.curves(table, run, "error")
    return tables


def _lbfgs(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run torch's L-BFGS with its line search, one trial at a time, in float64."""
    task = _task(cell).to(device)
    rows = []
    for weight in cell["weights"]:
        for trial in range(cell["trials"]):
            truth, target, seen = task.truths[trial], task.targets[trial], task.masks[trial]
            problem = MatrixCompletion((truth,), (target,), (seen,), (0,), ratio, (weight,))
            start = completion.draw_start("zero-filled", task, trial, 1, of=NAME).to(device)
            w, calls = _minimise(problem, start, cell["steps"])
            found = completion.measured(w, truth, seen, task.rank)
            rows.append((weight, trial, calls, *found.tolist()))
    columns = ["weight", "trial", "calls", *completion.MEASURES]
    return {"lbfgs": pd.DataFrame(rows, columns=columns)}


def _minimise(problem: MatrixCompletion, start: torch.Tensor, steps: int) -> Any:
    """Return W (n, n) after at most ``steps`` updates of L-BFGS, and how often it asked."""
    point = torch.nn.Parameter(start.clone())
    settings: dict[str, Any] = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    optimizer = torch.optim.LBFGS(
        [point], max_iter=steps, history_size=20, line_search_fn="strong_wolfe", **settings
    )
    calls = 0

    def loss() -> torch.Tensor:
        nonlocal calls
        calls += 1
        value, gradient = problem.loss_and_gradient(point.detach().unsqueeze(0))
        point.grad = gradient[0]
        return value[0]

    optimizer.step(loss)
    return problem.product(point.detach().unsqueeze(0))[0], calls


def _convex(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Complete by the least nuclear norm, with every weight and with none."""
    task = _task(cell)
    truth, target, seen = (
        torch.stack(x).to(device) for x in (task.truths, task.targets, task.masks)
    )
    found, w = {}, torch.zeros_like(target)
    for weight in CONVEX_WEIGHTS:
        w = soft_impute(target, seen, weight, w)
        found["soft-impute", weight] = w
    exact = [least_nuclear(y, mask) for y, mask in zip(target, seen, strict=True)]
    found["least nuclear norm", 0.0] = torch.stack(exact)
    rows = [
        (method, weight, trial, *values)
        for (method, weight), w in found.items()
        for trial, values in enumerate(completion.measured(w, truth, seen, task.rank).tolist())
    ]
    columns = ["method", "weight", "trial", *completion.MEASURES]
    return {"convex": pd.DataFrame(rows, columns=columns)}


def _landscape(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow R from W* along unobserved entries, and the laws of its gradient."""
    task, rows, laws = _task(cell), [], []
    for trial in range(cell["trials"]):
        truth, seen = task.truths[trial].to(device), task.masks[trial].to(device)
        first = (~seen).flatten().int().argmax()
        entry = torch.zeros_like(truth).flatten().index_fill(0, first, 1.0).view_as(truth)
        lines = {"one entry": entry[None]}
        noise = seeds.normal(DIRECTIONS, *truth.shape, of=(NAME, "directions", trial)).to(device)
        noise = noise.masked_fill(seen, 0)
        lines["random direction"] = noise / mean_root(noise, ~seen)
        for line, along in lines.items():
            for reach in REACHES:
                value = ratio(truth + reach * along)[0]
                rows.append((line, trial, reach, float(value.min()), float(value.max())))
        own = float(ratio(truth)[0])
        rows.append(("truth", trial, 0.0, own, own))
        laws += [(trial, scale, *_law(task.targets[trial].to(device), scale)) for scale in SCALES]
    names = ["line", "trial", "reach", "least", "largest"]
    return {
        "landscape": pd.DataFrame(rows, columns=names),
        "laws": pd.DataFrame(laws, columns=["trial", "scale", "ratio", "gradient_norm", "cosine"]),
    }


def _certificate(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Bound the norm of a certificate that W* is a local minimum of R, a row a trial."""
    task = _task(cell).to(device)
    found = [
        ratio_certificate(truth, seen, cell["rank"])
        for truth, seen in zip(task.truths, task.masks, strict=True)
    ]
    table = pd.DataFrame(found, columns=list(Certificate._fields))
    return {"certificate": table.assign(trial=range(cell["trials"]))}


def mean_root(w: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return the root mean square of W over a mask, with the axes of a matrix (..., 1, 1)."""
    return completion.mean_square(w, where).sqrt()[..., None, None]


def _law(w: torch.Tensor, scale: float) -> tuple[float, float, float]:
    """Return R(cW), ||grad R(cW)||, and the cosine of grad R with W, of the zero-filled W."""
    value, gradient = ratio(scale * w)
    size = torch.linalg.matrix_norm(gradient)
    cosine = (gradient * w).sum() / (size * torch.linalg.matrix_norm(w))
    return float(value), float(size), float(cosine)


RUNS = {
    "train": _train,
    "lbfgs": _lbfgs,
    "convex": _convex,
    "landscape": _landscape,
    "certificate": _certificate,
}
