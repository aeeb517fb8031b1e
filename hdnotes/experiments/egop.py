r"""Chapter `egop`: EGOP reparameterization on the smallest problems that show it (document 4, 1-2).

Four kinds of cells. *landscape*: Adagrad on two-dimensional log-sum-exp problems, in original and
EGOP coordinates (Fig. 1 left), its accumulator from 0 and preset. *headline*: one least-squares
problem of dimension d in original, EGOP and randomly rotated coordinates, four methods, a grid of
learning rates. *preset*: Adagrad with a preset accumulator on the same problems. *digits*: the EGOP
spectrum of the 64-32-10 network on the UCI digits.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.measures import egop, spectra
from hdnotes.optimizers import BASIC, Method
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares, log_sum_exp, orthonormal
from hdnotes.theory.egop import least_squares_egop
from hdnotes.training import Run, train

NAME = "egop"
VERSION = 1
TITLE = "EGOP reparameterization"

LANDSCAPE_RATES = (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)  # D.3: 30 to 90
LANDSCAPE_SAMPLES = 100  # n, calibrated
LANDSCAPE_SINGULAR_VALUES = (1.0, 0.1)  # calibrated
LANDSCAPE_GRADIENTS = 200  # M
CANDIDATES = 100
#: First and last power of ten of each method's learning rates; calibrated to bracket the best.
RATES = {"GD": (-1, 1), "GD + momentum": (-1, 1), "Adagrad": (-2, 1), "Adam": (-3, 0)}
#: Adagrad whose accumulator starts from 0, as in PyTorch, and from a preset value, as in Optax.
ADAGRADS = ("Adagrad", "Adagrad, preset")
COORDINATES = ("original", "EGOP", "random")
DECAY_DIMENSION = 64
WIDTHS = (64, 32, 10)  # D.4
DIGITS_PARAMETERS = 2410


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    d: int = parameter(256, at_least=4, unit="dimensions", help="dimension of the headline problem")
    trials: int = parameter(5, at_least=1, unit="trials", help="problems drawn at each dimension")
    steps: int = parameter(1000, at_least=10, unit="updates", help="updates of every run")
    decay: float = parameter(2.0, at_least=0, help="p of the singular values k^-p of A")
    decays: tuple[float, ...] = parameter(
        (0.0, 0.25, 0.5, 1.0, 1.5), at_least=0, help="further p, at dimension 64"
    )
    sweep_factor: int = parameter(
        4, at_least=2, help="ratio of neighbouring dimensions in the sweep that ends at d"
    )
    gradients_per_dimension: float = parameter(
        2.0, above=0, help="gradients that estimate the EGOP over d, M/d"
    )
    rates_per_decade: int = parameter(
        1, choices=(1, 2, 4), help="learning rates a decade: {1}, {1, 4} or {1, 2, 4, 8} x 10^k"
    )
    adagrad_preset: float = parameter(
        0.1, above=0, help="first accumulator of 'Adagrad, preset': Optax's; Adagrad's is torch's 0"
    )
    landscape_trials: int = parameter(
        20, at_least=1, unit="trials", help="two-dimensional log-sum-exp problems"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )
    digits_trials: int = parameter(
        5, at_least=1, unit="trials", help="independent estimates of the network's EGOP"
    )
    digits_gradients_per_parameter: float = parameter(
        0.2, above=0, help="gradients of each estimate over the network's 2410 parameters"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "d": 32,
        "trials": 2,
        "steps": 100,
        "landscape_trials": 3,
        "decays": (0.0, 1.0),
        "digits_file": "tes",
        "digits_trials": 2,
        "digits_gradients_per_parameter": 0.05,
    },
    "quick": {},
    "paper": {
        "d": 1024,
        "trials": 10,
        "landscape_trials": 100,
        "sweep_factor": 2,
        "rates_per_decade": 4,
        "digits_gradients_per_parameter": 5.0,
    },
}


def dimensions(d: int, factor: int) -> list[int]:
    """Return the dimensions of the sweep: d divided by the factor down to 16, ascending.

    Examples
    --------
    >>> dimensions(1024, 4)
    [16, 64, 256, 1024]
    """
    result = [d]
    while result[0] // factor >= 16:
        result.insert(0, result[0] // factor)
    return result


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: all trials of a problem in one cell, in lockstep."""
    shared = {
        "kind": "headline",
        "steps": p.steps,
        "gradients_per_dimension": p.gradients_per_dimension,
        "rates_per_decade": p.rates_per_decade,
        "adagrad_start": 0.0,
    }
    problems = [{"d": d, "decay": p.decay} for d in dimensions(p.d, p.sweep_factor)]
    problems += [{"d": DECAY_DIMENSION, "decay": q} for q in p.decays if q != p.decay]
    preset = {"kind": "preset", "adagrad_start": p.adagrad_preset}
    digits = {"file": p.digits_file, "gradients_per_parameter": p.digits_gradients_per_parameter}
    landscape = {"trials": p.landscape_trials, "adagrad_preset": p.adagrad_preset}
    return [
        {"kind": "landscape", "steps": p.steps, **landscape},
        *({"kind": "digits", **digits, "trial": t} for t in range(p.digits_trials)),
        *({**shared, **one, "trials": p.trials} for one in problems),
        *({**shared, **preset, **one, "trials": p.trials} for one in problems),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes of the largest cell, of whichever kind."""
    settings = sum(len(rates(method, p.rates_per_decade)) for method in RATES)
    one = (4 * p.gradients_per_dimension + 12) * p.d**2  # gradients and their decomposition
    kept = p.trials * (10 * p.d**2 + 3 * settings * 8 * p.d)  # A and bases; points, state
    count = p.digits_gradients_per_parameter * DIGITS_PARAMETERS
    digits = 3 * count * DIGITS_PARAMETERS + 6 * DIGITS_PARAMETERS**2  # points, gradients, SVD
    paths = p.landscape_trials * len(LANDSCAPE_RATES) * 2 * len(ADAGRADS) * (p.steps + 1) * 10
    return int(8 * max(one + kept, digits, paths)) + 2**29


# --- landscape: Fig. 1 left -------------------------------------------------------------------


@dataclass(frozen=True)
class _Landscape:
    """A two-dimensional problem: A, theta*, the start, and V of its EGOP."""

    a: Tensor
    optimum: Tensor
    start: Tensor
    basis: Tensor


def _landscape(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    problems = [_draw_landscape(trial) for trial in range(cell["trials"])]
    table = pd.DataFrame(
        [
            (trial, name, rate, coordinates)
            for trial in range(len(problems))
            for name in ADAGRADS
            for rate in LANDSCAPE_RATES
            for coordinates in COORDINATES[:2]
        ],
        columns=["trial", "method", "learning_rate", "coordinates"],
    )
    made = dict(zip(ADAGRADS, map(_adagrad, (0.0, cell["adagrad_preset"])), strict=True))
    bases = [[torch.eye(2, dtype=torch.float64), p.basis] for p in problems]
    in_egop = table.coordinates.eq("EGOP").astype(int)
    chosen = [bases[trial][k] for trial, k in zip(table.trial, in_egop, strict=True)]
    starts = [problems[t].start @ v for t, v in zip(table.trial, chosen, strict=True)]
    result = train(
        Convex(
            log_sum_exp,
            tuple(
                (p.a @ v).to(device) for p, pair in zip(problems, bases, strict=True) for v in pair
            ),
            tuple((p.a @ p.optimum).to(device) for p in problems for _ in range(2)),
            tuple(2 * table.trial + in_egop),
        ),
        torch.stack(starts).to(device),
        [made[name](rate) for name, rate in zip(table.method, table.learning_rate, strict=True)],
        cell["steps"],
        record=torch.arange(cell["steps"] + 1),
        observe={"point": lambda point, loss, gradient: point},
    )
    points = result.observed["point"].cpu() @ torch.stack(chosen).mT
    floor = math.log(LANDSCAPE_SAMPLES)  # f at theta*, where every exponent is 0
    suboptimality = result.loss.cpu() - floor
    table["suboptimality"] = suboptimality[:, -1].clamp(min=0).numpy()
    table["start_suboptimality"] = suboptimality[:, 0].numpy()
    table["axis_angle_deg"] = [
        _axis_angle(path, problems[t]) for path, t in zip(points, table.trial, strict=True)
    ]
    return {
        "landscape": table,
        "landscape_path": _featured_paths(table, points, suboptimality),
        "landscape_contour": _contour(problems[0]),
    }


def _adagrad(start: float) -> Method:
    """Return Adagrad with the value that every entry of its accumulator starts from."""
    return Method("Adagrad", {"initial_accumulator_value": start})


def _draw_landscape(trial: int) -> _Landscape:
    """Draw a problem; trial 0 is the featured one.

    The featured problem is the one of 100 whose steep axis is nearest to 22.5 degrees below the
    first coordinate axis, half-way between aligned and diagonal, so that a start at theta* +
    (10, 10) lies off both axes. The other starts add N(0, I) (document 4, D.3).
    """
    singular = torch.tensor(LANDSCAPE_SINGULAR_VALUES, dtype=torch.float64)
    name = (NAME, "landscape", trial)
    draws = [(*name, candidate) for candidate in range(CANDIDATES if trial == 0 else 1)]
    matrices = [decaying_matrix(LANDSCAPE_SAMPLES, singular, of=draw) for draw in draws]
    a = min(matrices, key=lambda matrix: abs(_steep_angle(matrix) + 22.5))
    optimum = seeds.normal(2, of=(*name, "optimum"))
    start = optimum + 10
    if trial:
        start = start + seeds.normal(2, of=(*name, "start"))
    problem = Convex(log_sum_exp, (a,), (a @ optimum,), (0,))
    rho = seeds.normal(LANDSCAPE_GRADIENTS, 2, of=(*name, "rho"))
    basis = egop.eigenbasis(egop.sample_gradients(problem, rho)).vectors
    return _Landscape(a, optimum, start, basis)


def _steep_angle(a: Tensor) -> float:
    """Return the angle of the leading right singular vector, in degrees from -90 to 90."""
    x, y = torch.linalg.svd(a, full_matrices=False)[2][0].tolist()
    return math.degrees(math.atan(y / x))


def _axis_angle(path: Tensor, problem: _Landscape) -> float:
    """Return the mean angle between a path and the nearer axis of the ellipse, by path length.

    From the third update on: the first is as long as the learning rate in every coordinate, and the
    second comes back from there. In degrees: 0 is along an axis, 45 diagonal, a random direction
    has 22.5 on average.
    """
    axes = torch.linalg.svd(problem.a, full_matrices=False)[2]
    moves = (path[3:] - path[2:-1]) @ axes.T
    length = moves.norm(dim=1)
    angle = torch.atan2(moves.abs().amin(1), moves.abs().amax(1)).rad2deg()
    return float((angle * length).sum() / length.sum())


def _featured_paths(table: pd.DataFrame, points: Tensor, suboptimality: Tensor) -> pd.DataFrame:
    featured = table[table.trial.eq(0) & table.learning_rate.eq(LANDSCAPE_RATES[0])]
    parts = []
    for row, one in featured[["method", "coordinates"]].iterrows():
        x, y = points[row].T.numpy()
        values = {"step": range(len(x)), "theta_1": x, "theta_2": y}
        parts.append(
            pd.DataFrame({**one, **values}).assign(
                suboptimality=suboptimality[row].clamp(min=0).numpy()
            )
        )
    return pd.concat(parts, ignore_index=True)


def _contour(problem: _Landscape, half_width: float = 16.0, points: int = 81) -> pd.DataFrame:
    """Return f - f* of the featured problem on a grid around theta*."""
    line = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line) + problem.optimum
    loss, _ = log_sum_exp(grid @ problem.a.T, problem.a @ problem.optimum)
    x, y = grid.T.numpy()
    above = (loss - math.log(LANDSCAPE_SAMPLES)).numpy()
    return pd.DataFrame({"theta_1": x, "theta_2": y, "suboptimality": above})


# --- headline: least squares in three coordinate systems ---------------------------------------


def rates(method: str, per_decade: int) -> list[float]:
    """Return the learning rates of a method's grid (document 4, D.2).

    Examples
    --------
    >>> rates("Adam", 2)
    [0.001, 0.004, 0.01, 0.04, 0.1, 0.4, 1.0]
    """
    low, high = RATES[method]
    factors = {1: (1,), 2: (1, 4), 4: (1, 2, 4, 8)}[per_decade]
    grid = [factor * 10.0**k for k in range(low, high) for factor in factors]
    return [float(f"{rate:.1g}") for rate in [*grid, 10.0**high]]


@dataclass(frozen=True)
class _Headline:
    """A least-squares problem in three coordinate systems: the data (a, y), start and V of each."""

    a: Tensor
    y: Tensor
    start: Tensor
    bases: tuple[Tensor, ...]


def _headline(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    drawn = [_draw_headline(cell, trial, device) for trial in range(cell["trials"])]
    runs, result = _race(cell, [problem for problem, _ in drawn])
    finals = _finals(runs, result)
    return {
        "headline": finals,
        "headline_curves": _curves(runs[_told(finals)], result),
        "headline_spectrum": pd.concat([table for _, table in drawn], ignore_index=True),
    }


def _draw_headline(cell: dict[str, Any], trial: int, device: str) -> tuple[_Headline, pd.DataFrame]:
    """Draw a problem, estimate its EGOP, and return it with the table of its spectrum."""
    d = cell["d"]
    name = (NAME, "headline", d, cell["decay"], trial)
    singular = torch.arange(1, d + 1, dtype=torch.float64) ** -cell["decay"]
    # A without its left singular vectors: they change neither the loss nor any gradient.
    a = (singular.unsqueeze(1) * orthonormal(d, d, of=(*name, "A"))).to(device)
    y = a @ seeds.normal(d, of=(*name, "optimum")).to(device)
    problem = Convex(least_squares, (a,), (y,), (0,))
    count = math.ceil(cell["gradients_per_dimension"] * d)
    draws = [seeds.normal(count, d, of=(*name, purpose)).to(device) for purpose in ("rho", "fresh")]
    gradients, fresh = (egop.sample_gradients(problem, points) for points in draws)
    basis = egop.eigenbasis(gradients)
    identity = torch.eye(d, dtype=a.dtype, device=device)
    control = egop.random_basis(d, of=(*name, "control")).to(device)
    start = seeds.normal(d, of=(*name, "start")).to(device)
    spectrum = _spectrum(basis, fresh, least_squares_egop(a, y))
    spectrum.insert(0, "trial", trial)
    return _Headline(a, y, start, (identity, basis.vectors, control)), spectrum


def _race(cell: dict[str, Any], problems: list[_Headline]) -> tuple[pd.DataFrame, Run]:
    """Run every method at every rate in the three coordinate systems, from paired starts."""
    adagrad = Method("Adagrad", {"initial_accumulator_value": cell["adagrad_start"]})
    settings = [
        (name, method(rate))
        for name, method in {**BASIC, "Adagrad": adagrad}.items()
        for rate in rates(name, cell["rates_per_decade"])
    ]
    systems = [(problem, v) for problem in problems for v in problem.bases]
    convex = Convex(
        least_squares,
        tuple(problem.a @ v for problem, v in systems),
        tuple(problem.y for problem, _ in systems),
        tuple(range(len(systems))),
    )
    result = train(
        convex.take(list(range(len(systems))) * len(settings)),
        torch.stack([v.T @ problem.start for problem, v in systems]).repeat(len(settings), 1),
        [setting for _, setting in settings for _ in systems],
        cell["steps"],
        observe={"gradient_l1": _gradient_l1},
        average={"gradient_l1": _gradient_l1},
    )
    rows = [
        (trial, name, coordinates, setting.learning_rate)
        for name, setting in settings
        for trial in range(len(problems))
        for coordinates in COORDINATES
    ]
    return pd.DataFrame(rows, columns=["trial", "method", "coordinates", "learning_rate"]), result


def _gradient_l1(point: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
    """Return the l1 norm of each trial's gradient, the measure of Theorem 3."""
    return gradient.abs().sum(1)


def _finals(runs: pd.DataFrame, result: Run) -> pd.DataFrame:
    return runs.assign(
        start_loss=result.loss[:, 0].numpy(force=True),
        final_loss=result.loss[:, -1].numpy(force=True),
        mean_gradient_l1=result.average["gradient_l1"].numpy(force=True),
        updates=result.steps.numpy(),
        outcome=result.outcome,
    )


def _told(finals: pd.DataFrame) -> pd.Series:
    """Return which runs' curves are kept: at the rates that the page draws or speaks of.

    These are a method's largest rate and the best one in original coordinates.
    """
    original = finals[finals.coordinates == "original"]
    medians = original.groupby(["method", "learning_rate"]).final_loss.median()
    best = medians.groupby("method").idxmin().str[1]
    largest = finals.groupby("method").learning_rate.transform("max")
    rate = finals.learning_rate
    return rate.eq(largest) | rate.eq(finals.method.map(best))


def _curves(kept: pd.DataFrame, result: Run) -> pd.DataFrame:
    long = kept.loc[kept.index.repeat(len(result.recorded))].reset_index(drop=True)
    rows = torch.tensor(kept.index)
    return long.assign(
        step=result.recorded.repeat(len(kept)).numpy(),
        loss=result.loss[rows].float().flatten().numpy(force=True),
        gradient_l1=result.observed["gradient_l1"][rows].float().flatten().numpy(force=True),
    )


def _spectrum(basis: egop.Eigenbasis, fresh: Tensor, exact: Tensor) -> pd.DataFrame:
    """Return lambda_k, its exact value, beta_k, and E<grad f, v_k>^2 on fresh draws (Eq. 2)."""
    values = torch.linalg.eigvalsh(exact).flip(0).clamp(min=0)
    return pd.DataFrame(
        {
            "k": np.arange(1, len(basis.values) + 1),
            "eigenvalue": basis.values.numpy(force=True),
            "exact_eigenvalue": values.numpy(force=True),
            "fresh_variance": (fresh @ basis.vectors).square().mean(0).numpy(force=True),
            "density": spectra.density(basis.vectors).numpy(force=True),
        }
    )


def _preset(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run Adagrad from a preset accumulator on the headline's problems, as `_race` runs it from 0.

    A copy of its loop for one method: a race with all of them would run three once more.
    """
    drawn = [_draw_headline(cell, trial, device)[0] for trial in range(cell["trials"])]
    grid = rates("Adagrad", cell["rates_per_decade"])
    systems = [(problem, v) for problem in drawn for v in problem.bases]
    convex = Convex(
        least_squares,
        tuple(problem.a @ v for problem, v in systems),
        tuple(problem.y for problem, _ in systems),
        tuple(range(len(systems))),
    )
    result = train(
        convex.take(list(range(len(systems))) * len(grid)),
        torch.stack([v.T @ problem.start for problem, v in systems]).repeat(len(grid), 1),
        [setting for setting in map(_adagrad(cell["adagrad_start"]), grid) for _ in systems],
        cell["steps"],
        observe={"gradient_l1": _gradient_l1},
        average={"gradient_l1": _gradient_l1},
    )
    rows = [
        (trial, ADAGRADS[1], coordinates, rate)
        for rate in grid
        for trial in range(len(drawn))
        for coordinates in COORDINATES
    ]
    runs = pd.DataFrame(rows, columns=["trial", "method", "coordinates", "learning_rate"])
    finals = _finals(runs, result)
    return {"headline": finals, "headline_curves": _curves(runs[_told(finals)], result)}


# --- digits: the spectrum of a real network ------------------------------------------------------


def _digits(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    part = datasets.digits_rows(cell["file"], dtype=torch.float64)
    inputs, labels = part.inputs.to(device), part.labels.to(device)
    count = math.ceil(cell["gradients_per_parameter"] * DIGITS_PARAMETERS)
    points = draw_points(WIDTHS, count, "xavier", of=(NAME, "digits", cell["trial"])).to(device)
    gradients = egop.sample_gradients(Classifier(WIDTHS, inputs, labels, (0,)), points)
    basis = egop.eigenbasis(gradients)
    return {
        "digits": pd.DataFrame(
            {
                "k": np.arange(1, len(basis.values) + 1),
                "eigenvalue": basis.values.numpy(force=True),
                "density": spectra.density(basis.vectors).numpy(force=True),
            }
        )
    }


RUNS = {"landscape": _landscape, "headline": _headline, "preset": _preset, "digits": _digits}
