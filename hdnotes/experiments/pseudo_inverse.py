r"""Chapter `pseudo_inverse`: which of all solutions a method ends at, and how fast (document 3).

*Picture* is one equation in two unknowns. *Ends* trains methods on underdetermined least squares
from zero and from elsewhere, for three kinds of truth. *Signs* is a problem on which adaptive
methods generalise badly for a reason that can be proved. *Rates* measures what the condition number
says of gradient descent, the heavy ball and preconditioned descent, *kaczmarz* what it says of one
row at a time, and *averaging* what the mean of the points of SGD gains where no solution fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.batches import Drawn
from hdnotes.experiments.parameters import parameter
from hdnotes.optimizers import Method
from hdnotes.problems import misleading_signs
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares
from hdnotes.scheduled_training import Arm, train_scheduled
from hdnotes.schedules import constant, linear_decay
from hdnotes.theory import least_squares as theory
from hdnotes.training import record_steps, train

NAME = "pseudo_inverse"
VERSION = 1
TITLE = "Pseudo-inverses and SGD"

#: Methods and three learning rates each; those that follow signs have rates that fall to zero.
PLAIN: Mapping[str, tuple[Method, tuple[float, ...]]] = {
    "GD": (Method("SGD"), (0.1, 0.3, 0.8)),
    "GD + momentum": (Method("SGD", {"momentum": 0.9}), (0.03, 0.1, 0.3)),
    "SGD": (Method("SGD"), (0.5, 0.7, 1.0)),
}
ADAPTIVE: Mapping[str, tuple[Method, tuple[float, ...]]] = {
    "Adam": (Method("Adam"), (0.003, 0.01, 0.03)),
    "RMSprop": (Method("RMSprop"), (0.003, 0.01, 0.03)),
    "Adagrad": (Method("Adagrad"), (0.1, 0.3, 1.0)),
    "sign descent": (Method("SignSGD", {"momentum": 0.0}), (0.003, 0.01, 0.03)),
}
METHODS = {**PLAIN, **ADAPTIVE}
TRUTHS = ("Gaussian", "signs", "sparse")
STARTS = ("zero", "random")
#: Share of the entries that a sparse truth has.
SPARSE = 0.05
#: Largest condition number at which Kaczmarz' method is run.
KACZMARZ = 8.0
#: Rates of SGD in *averaging*, over the inverse of a row's squared length.
AVERAGED = (0.1, 0.3)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    samples: int = parameter(20, at_least=2, unit="samples", help="equations, n")
    features: int = parameter(80, at_least=3, unit="dimensions", help="unknowns, d; more than n")
    trials: int = parameter(10, at_least=1, unit="trials", help="problems of each kind")
    steps: int = parameter(3000, at_least=10, unit="updates", help="updates of the runs to the end")
    labels: int = parameter(40, at_least=3, unit="samples", help="samples with misleading signs")
    positive: float = parameter(0.7, above=0.5, at_most=0.99, help="share of positive labels")
    conditions: tuple[float, ...] = parameter(
        (2.0, 4.0, 8.0, 16.0, 32.0), above=1, help="condition numbers whose rates are measured"
    )
    folds: float = parameter(12.0, above=1, help="their runs' length in e-foldings of the error")
    noisy_samples: int = parameter(100, at_least=4, unit="samples", help="equations that disagree")
    noisy_features: int = parameter(10, at_least=2, unit="dimensions", help="their unknowns")
    noisy_steps: int = parameter(10_000, at_least=100, unit="updates", help="updates of SGD there")

    def __post_init__(self) -> None:
        if self.samples >= self.features:
            raise ValueError(
                f"samples = {self.samples} is not allowed; it is below features, {self.features}."
            )
        if self.noisy_features >= self.noisy_samples:
            raise ValueError(
                f"noisy_features = {self.noisy_features} is not allowed; it is below "
                f"noisy_samples, {self.noisy_samples}."
            )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "samples": 5,
        "features": 20,
        "trials": 5,
        "steps": 300,
        "labels": 10,
        "conditions": (2.0, 4.0),
        "folds": 8.0,
        "noisy_samples": 20,
        "noisy_features": 4,
        "noisy_steps": 400,
    },
    "quick": {},
    "paper": {
        "samples": 100,
        "features": 400,
        "trials": 20,
        "steps": 15_000,
        "labels": 200,
        "conditions": (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
        "folds": 16.0,
        "noisy_samples": 400,
        "noisy_features": 40,
        "noisy_steps": 100_000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed."""
    shape = {"samples": p.samples, "features": p.features, "trials": p.trials}
    return [
        {"kind": "picture"},
        *(
            {"kind": "signs", "samples": p.labels, "positive": p.positive, "trials": p.trials}
            | {"steps": p.steps, "method": method}
            for method in METHODS
            if method != "SGD"
        ),
        *(
            {"kind": "ends", "method": method, "truth": truth, "steps": p.steps, **shape}
            for truth in TRUTHS
            for method in METHODS
        ),
        *(
            {"kind": "rates", "condition": condition, "folds": p.folds, **shape}
            for condition in p.conditions
        ),
        *(
            {"kind": "kaczmarz", "condition": condition, "folds": p.folds, **shape}
            for condition in p.conditions
            if condition <= KACZMARZ
        ),
        {
            "kind": "averaging",
            "samples": p.noisy_samples,
            "features": p.noisy_features,
            "steps": p.noisy_steps,
            "trials": p.trials,
        },
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: matrices and pseudo-inverses of all trials, points and their state."""
    wide = max(p.features, 3 + 5 * p.labels)
    matrices = 8 * p.trials * len(STARTS) * wide * max(p.samples, p.labels)
    return int(8 * (matrices + 60 * p.trials * wide) + 2**29)


# --- one equation, two unknowns -------------------------------------------------------------------

#: The equation x + 2 y = 2, two starts, and what is drawn of it: method and steps.
EQUATION, VALUE, CORNERS = (1.0, 2.0), 2.0, ((0.0, 0.0), (-1.0, 0.2))
DRAWN = {"GD": Method("SGD")(0.02), "Adam": Method("Adam")(0.01), "Adagrad": Method("Adagrad")(0.1)}
DRAWN_STEPS = 600


def _picture(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow three methods from two starts to the line of solutions."""
    a = torch.tensor([EQUATION], dtype=torch.float64, device=device)
    y = torch.tensor([VALUE], dtype=torch.float64, device=device)
    pairs = [(method, k) for method in DRAWN for k in range(len(CORNERS))]
    run = train(
        Convex(least_squares, (a,), (y,), (0,) * len(pairs)),
        torch.tensor([CORNERS[k] for _, k in pairs], dtype=torch.float64, device=device),
        [DRAWN[method] for method, _ in pairs],
        DRAWN_STEPS,
        record=torch.arange(0, DRAWN_STEPS + 1, 10),
        observe={"point": lambda point, loss, gradient: point},
    )
    parts = [
        pd.DataFrame({"method": method, "start": k, "x": path[:, 0], "y": path[:, 1]})
        for (method, k), path in zip(pairs, run.observed["point"].numpy(force=True), strict=True)
    ]
    return {"picture": pd.concat(parts, ignore_index=True)}


# --- where methods end ----------------------------------------------------------------------------


def draw_rows(samples: int, features: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw A (samples, features) with independent rows, uniform on the unit sphere."""
    rows = seeds.normal(samples, features, of=of)
    return rows / rows.norm(dim=1, keepdim=True)


def draw_truth(kind: str, features: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw theta* (features,) with mean square 1: Gaussian, +-1, or a few Gaussian entries."""
    values = seeds.normal(features, of=of)
    if kind == "signs":
        return values.sign()
    if kind == "sparse":
        kept = max(1, round(SPARSE * features))
        order = torch.randperm(features, generator=seeds.generator(*of, "support"))
        values = values * (order < kept)
    return values * (features / values.square().sum()).sqrt()


def _ends(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train one method at its three rates from both starts."""
    n, d, trials = cell["samples"], cell["features"], cell["trials"]
    names = [(NAME, "ends", n, d, trial) for trial in range(trials)]
    a = torch.stack([draw_rows(n, d, of=(*name, "A")) for name in names]).to(device)
    truth = torch.stack([draw_truth(cell["truth"], d, of=(*name, "truth")) for name in names])
    truth = truth.to(device)
    y = (a @ truth.unsqueeze(-1)).squeeze(-1)
    random = torch.stack([seeds.normal(d, of=(*name, "start")) for name in names]).to(device)
    start = torch.cat([torch.zeros_like(random), random])
    sets = tuple(range(trials)) * len(STARTS)
    problem = Convex(least_squares, tuple(a), tuple(y), sets)
    method, rates = METHODS[cell["method"]]
    batches = Drawn(n, 1, tuple(seeds.seed(*names[k], "rows") for k in sets))
    factor = linear_decay if cell["method"] in ADAPTIVE else constant
    both_a, both_y = a.repeat(2, 1, 1), y.repeat(2, 1)
    nearest = theory.projection(both_a, both_y, start)
    parts = []
    for rate in rates:
        end = train_scheduled(
            problem,
            [Arm(method, rate * factor(cell["steps"]), start)],
            batches=batches if cell["method"] == "SGD" else None,
        ).point
        residual = (both_a @ end.unsqueeze(-1)).squeeze(-1) - both_y
        values = {
            "residual": residual.norm(dim=1) / both_y.norm(dim=1),
            "distance": (end - nearest).norm(dim=1) / nearest.norm(dim=1),
            "off_rows": theory.off_rows(both_a, end - start).norm(dim=1) / nearest.norm(dim=1),
            "length": end.norm(dim=1) / nearest.norm(dim=1),
            "largest": end.abs().amax(1) / nearest.abs().amax(1),
            "test_error": (end - truth.repeat(2, 1)).square().mean(1),
            "nearest_error": (nearest - truth.repeat(2, 1)).square().mean(1),
        }
        table = pd.DataFrame({name: value.numpy(force=True) for name, value in values.items()})
        table.insert(0, "start", np.repeat(STARTS, trials))
        table.insert(0, "trial", sets)
        parts.append(table.assign(rate=rate))
    return {"ends": pd.concat(parts, ignore_index=True)}


def _signs(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train one method at its middle rate where the signs of the gradient mislead."""
    n, trials = cell["samples"], cell["trials"]
    positive = max(n // 2 + 1, min(round(cell["positive"] * n), n - 1))
    names = [(NAME, "signs", n, positive, trial) for trial in range(trials)]
    y = torch.stack([misleading_signs.draw_labels(n, positive, of=name) for name in names])
    y = y.to(device)
    a = torch.stack([misleading_signs.data(labels) for labels in y])
    problem = Convex(least_squares, tuple(a), tuple(y), tuple(range(trials)))
    method, rates = METHODS[cell["method"]]
    falling, rate = cell["method"] in ADAPTIVE, rates[1]
    if not falling:
        rate = float(1 / torch.linalg.matrix_norm(a[0], 2).square())
    start = torch.zeros(trials, a.shape[-1], dtype=a.dtype, device=device)
    factor = linear_decay if falling else constant
    end = train_scheduled(problem, [Arm(method, rate * factor(cell["steps"]), start)]).point
    signs = (a.mT @ y.unsqueeze(-1)).squeeze(-1).sign() / 4
    residual = (a @ end.unsqueeze(-1)).squeeze(-1) - y
    nearest = theory.projection(a, y, start)
    said = misleading_signs.answers(end).numpy(force=True)
    found = {
        "trial": range(trials),
        "residual": (residual.norm(dim=1) / y.norm(dim=1)).numpy(force=True),
        "to_signs": _relative(end, signs),
        "to_nearest": _relative(end, nearest),
        "of_positive": said[:, 0],
        "of_negative": said[:, 1],
    }
    return {"signs": pd.DataFrame(found)}


def _relative(end: Tensor, goal: Tensor) -> np.ndarray:
    return ((end - goal).norm(dim=1) / goal.norm(dim=1)).numpy(force=True)


# --- how fast -------------------------------------------------------------------------------------


def _conditioned(cell: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Draw A with singular values evenly from the condition number to 1 in log, y and theta+."""
    n, d, condition = cell["samples"], cell["features"], cell["condition"]
    values = torch.logspace(np.log10(condition), 0, n, dtype=torch.float64)
    matrices, ends = [], []
    for trial in range(cell["trials"]):
        name = (NAME, "rates", n, d, trial)
        matrices.append(decaying_matrix(d, values, of=(*name, "A")).T)
        ends.append(matrices[-1].T @ seeds.normal(n, of=(*name, "solution")) / n**0.5)
    a, end = torch.stack(matrices), torch.stack(ends)
    return a, (a @ end.unsqueeze(-1)).squeeze(-1), end


def _rates(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run GD at its best rate, the heavy ball, and GD preconditioned by the pseudo-inverse."""
    a, y, end = (drawn.to(device) for drawn in _conditioned(cell))
    condition, trials = cell["condition"], cell["trials"]
    ball, momentum = theory.heavy_ball(condition, 1.0)
    descent = Method("SGD")(theory.best_step(condition, 1.0))
    rolling = Method("SGD", {"momentum": momentum})(ball)
    # The heavy ball's error is t rho^t, so it is followed for longer.
    runs = {
        "GD": (descent, theory.gd_factor(condition), cell["folds"]),
        "heavy ball": (rolling, theory.heavy_ball_factor(condition), 2 * cell["folds"]),
    }
    problem = Convex(least_squares, tuple(a), tuple(y), tuple(range(trials)))
    start, parts = torch.zeros_like(end), []
    for method, (setting, factor, folds) in runs.items():
        steps = int(np.ceil(folds / -np.log(factor)))
        run = train(
            problem,
            start,
            [setting] * trials,
            steps,
            record=torch.linspace(0, steps, min(steps, 60) + 1).round().long().unique(),
            observe={"point": lambda point, loss, gradient: point},
        )
        error = _errors(run.observed["point"], end.unsqueeze(1)) / _errors(start, end).unsqueeze(1)
        parts.append(_rows(method, run.recorded, error, factor))
    # A^+ in place of A^T: the gradient of 1/2 ||theta - theta+||^2 on the row space
    moved = start - theory.projection(a, (a @ start.unsqueeze(-1)).squeeze(-1) - y, start)
    error = torch.stack([torch.ones(trials), _errors(moved, end).cpu() / _errors(start, end).cpu()])
    parts.append(_rows("pseudo-inverse", torch.tensor([0, 1]), error.T, 0.0))
    return {"rates": pd.concat(parts, ignore_index=True)}


def _errors(point: Tensor, end: Tensor) -> Tensor:
    return (point - end).norm(dim=-1)


def _rows(method: str, steps: Tensor, error: Tensor, factor: float) -> pd.DataFrame:
    """Return a row a trial and record."""
    trials = len(error)
    return pd.DataFrame(
        {
            "method": method,
            "trial": np.repeat(np.arange(trials), len(steps)),
            "step": np.tile(steps.numpy(), trials),
            "error": error.flatten().numpy(force=True),
            "factor": factor,
        }
    )


def _kaczmarz(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run Kaczmarz' method, which is SGD at rate 1 on unit rows, beside its exact mean square."""
    a = _conditioned(cell)[0][0]
    a = a / a.norm(dim=1, keepdim=True)
    name = (NAME, "kaczmarz", cell["samples"], cell["features"], cell["condition"])
    y = seeds.normal(len(a), of=(*name, "y"))
    bound = theory.kaczmarz_factor(a)
    steps = int(np.ceil(cell["folds"] / -np.log(bound)))
    record = record_steps(steps, 40)
    runs = _noisy_runs(a, y, 1.0, record, 10 * cell["trials"], device, of=name)
    exact = theory.sgd_mean_square(a, torch.zeros_like(y), runs.error, 1.0, steps)
    table = _summary(record, runs.last / exact[0], exact / exact[0])
    return {"kaczmarz": table.assign(bound=bound ** record.numpy().astype(float))}


def _averaging(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run SGD on equations that disagree; compare its last point with the mean of all so far."""
    n, d, steps = cell["samples"], cell["features"], cell["steps"]
    name = (NAME, "averaging", n, d)
    a = draw_rows(n, d, of=(*name, "A")) * d**0.5
    y = a @ seeds.normal(d, of=(*name, "truth")) + seeds.normal(n, of=(*name, "noise"))
    record, parts = record_steps(steps, 40), []
    for scale in AVERAGED:
        runs = _noisy_runs(a, y, scale / d, record, 10 * cell["trials"], device, of=name)
        residual = y - a @ runs.solution
        exact = theory.sgd_mean_square(a, residual, runs.error, scale / d, steps)
        said = theory.averaged_mean_square(a, residual, runs.error, scale / d, steps)
        for point, errors, predicted in (("last", runs.last, exact), ("mean", runs.mean, said)):
            table = _summary(record, errors / exact[0], predicted / exact[0])
            parts.append(table.assign(scale=scale, point=point))
    return {"averaging": pd.concat(parts, ignore_index=True)}


class _Runs(NamedTuple):
    """Squared errors of last points and running means (runs, records); the start's error."""

    last: np.ndarray
    mean: np.ndarray
    solution: Tensor
    error: Tensor


def _noisy_runs(
    a: Tensor,
    y: Tensor,
    rate: float,
    record: Tensor,
    runs: int,
    device: str,
    *,
    of: tuple[object, ...],
) -> _Runs:
    """Run SGD from zero, a row a step drawn with replacement, and record its squared errors."""
    start = torch.zeros(runs, a.shape[1], dtype=a.dtype)
    solution = theory.projection(a, y, start[0])
    rows = Drawn(len(a), 1, tuple(seeds.seed(*of, k) for k in range(runs)))
    goal, total = solution.to(device), torch.zeros_like(start, device=device)
    last, mean, wanted = [], [], set(record.tolist())
    points = theory.row_descent(
        a.to(device), y.to(device), start.to(device), rate, rows.at, int(record[-1])
    )
    for step, point in enumerate(points):
        total += point
        if step in wanted:
            last.append((point - goal).square().sum(1))
            mean.append((total / (step + 1) - goal).square().sum(1))
    errors = [torch.stack(found, 1).numpy(force=True) for found in (last, mean)]
    return _Runs(errors[0], errors[1], solution, -solution)


def _summary(record: Tensor, errors: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return the mean over runs (runs, records), its standard error, and what is predicted."""
    return pd.DataFrame(
        {
            "step": record.numpy(),
            "mean": errors.mean(0),
            "standard_error": errors.std(0, ddof=1) / len(errors) ** 0.5,
            "predicted": predicted[record.numpy()],
        }
    )


RUNS = {
    "picture": _picture,
    "ends": _ends,
    "signs": _signs,
    "rates": _rates,
    "kaczmarz": _kaczmarz,
    "averaging": _averaging,
}
