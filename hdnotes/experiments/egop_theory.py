r"""Chapter `egop_theory`: the theorem and the lemmas of document 4 as numerical statements.

Five kinds of cells. *race*: Adagrad on least squares of dimension d and singular values k^-p, in
original and in exact EGOP coordinates, against the bound of Theorem 3 with its constants.
*inequalities*: random instances of Theorem 5, Lemmas 11, 18 and 19. *smooth*: the smoothness of the
logistic loss and of log-sum-exp, by sampling. *identities*: Lemmas 14 and 20, Corollary 15.
*characterization*: Lemma 10, both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.measures import egop, spectra
from hdnotes.optimizers import Lockstep, Method
from hdnotes.problems.convex import (
    Convex,
    decaying_matrix,
    least_squares,
    log_sum_exp,
    logistic,
    orthonormal,
)
from hdnotes.theory.adagrad_bound import adagrad_bound
from hdnotes.theory.egop import quadratic_root, rate_factor, smoothness_guides
from hdnotes.theory.kronecker import basis_distance, kronecker_distance
from hdnotes.theory.smoothness import Smoothness, coordinate_smoothness

NAME = "egop_theory"
VERSION = 1
TITLE = "The theory of EGOP reparameterization"

#: Coordinates of a race: the problem's own, and EGOP ones with rho = N(0, c^2 I).
COORDINATES = ("original", "c = 1", "c = |θ*|")
AXES = ("random", "aligned")
#: Ratios c / ||theta*|| of the quadratic instances; the last breaks Assumption 1.
REACHES = (2.0, 1.0, 0.5)
DECAYS = (0.0, 0.5, 1.0, 2.0)
#: Dimension of random instances, and of the sampled smoothness.
INSTANCE, SMOOTH = 8, 16
RADII = (1.0, 3.0, 10.0, 30.0)
DRAWS = 20_000
#: Of Lemma 10: pairs of points an instance, by how much a Hessian exceeds L, the length of a step.
PAIRS, EXCESS, STEP = 100, 1.01, 1e-4
FUNCTIONS = {"least squares": least_squares, "logistic": logistic, "log-sum-exp": log_sum_exp}


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    dimensions: tuple[int, ...] = parameter(
        (8, 32), at_least=4, unit="dimensions", help="d of the races; the largest runs all decays"
    )
    decays: tuple[float, ...] = parameter(
        (0.0, 0.25, 0.5, 1.0, 2.0),
        at_least=0,
        help="p of the singular values k^-p at the largest d; smaller d run the largest p",
    )
    trials: int = parameter(5, at_least=1, unit="trials", help="problems of each race")
    steps: int = parameter(1000, at_least=10, unit="updates", help="updates of every run")
    rates_per_decade: int = parameter(
        4, at_least=1, at_most=64, help="learning rates from 0.01 to 100"
    )
    instances: int = parameter(40, at_least=1, unit="trials", help="random instances of a lemma")
    samples: int = parameter(
        16, at_least=1, unit="points", help="points of a ball at which a Hessian is taken"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "dimensions": (8, 16),
        "decays": (0.0, 2.0),
        "trials": 2,
        "steps": 100,
        "rates_per_decade": 1,
        "instances": 4,
        "samples": 2,
    },
    "quick": {},
    "paper": {"dimensions": (8, 32, 128), "trials": 20, "instances": 1000, "samples": 100},
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the identities first and the largest race last."""
    top, steepest = max(p.dimensions), max(p.decays)
    race = {"kind": "race", "trials": p.trials, "steps": p.steps, "per_decade": p.rates_per_decade}
    problems = [(d, steepest) for d in sorted(p.dimensions) if d < top]
    problems += [(top, decay) for decay in p.decays]
    return [
        {"kind": "identities", "instances": p.instances},
        {"kind": "inequalities", "instances": p.instances},
        {"kind": "smooth", "trials": p.trials, "samples": p.samples},
        {"kind": "characterization", "instances": p.instances},
        *({**race, "d": d, "decay": decay, "axes": a} for d, decay in problems for a in AXES),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes of the largest cell: a race's data matrices, points and state."""
    d, systems = max(p.dimensions), len(COORDINATES) * p.trials
    runs = systems * len(rates(p.rates_per_decade))
    smooth = p.trials * p.samples * len(RADII) * 6 * SMOOTH**2
    instances = p.instances * 40 * INSTANCE**2
    return int(8 * max(systems * 6 * d**2 + runs * 12 * d, smooth, instances)) + 2**29


def rates(per_decade: int) -> list[float]:
    """Return the learning rates of a race, evenly spaced in the logarithm.

    Examples
    --------
    >>> rates(1)
    [0.01, 0.1, 1.0, 10.0, 100.0]
    """
    return [float(f"{rate:.3g}") for rate in np.logspace(-2, 2, 4 * per_decade + 1)]


# --- race: Adagrad against its bound ------------------------------------------------------------


@dataclass(frozen=True)
class _System:
    """A problem in one coordinate system: data (a, y), start, smoothness, and its table's row."""

    a: Tensor
    y: Tensor
    start: Tensor
    smoothness: Smoothness
    row: dict[str, Any]


def _race(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    systems = [one for t in range(cell["trials"]) for one in _draw_systems(cell, t, device)]
    grid = rates(cell["per_decade"])
    problem = Convex(
        least_squares,
        tuple(one.a for one in systems),
        tuple(one.y for one in systems),
        tuple(range(len(systems))),
    ).take(list(range(len(systems))) * len(grid))
    start = torch.stack([one.start for one in systems]).repeat(len(grid), 1)
    rate = torch.tensor(grid, dtype=start.dtype, device=device).repeat_interleave(len(systems))
    marks = sorted({int(m) for m in np.logspace(0, np.log10(cell["steps"]), 7)} | {cell["steps"]})
    constants = torch.stack([one.smoothness.constants for one in systems]).repeat(len(grid), 1)
    table = _paths(problem, start, rate, constants, marks)
    named = pd.DataFrame([one.row for one in systems])
    runs = named[["trial", "coordinates"]].loc[table.pop("run") % len(systems)]
    return {"paths": pd.concat([runs.reset_index(drop=True), table], axis=1), "problems": named}


def _draw_systems(cell: dict[str, Any], trial: int, device: str) -> list[_System]:
    """Draw a problem and put it into the three coordinate systems.

    A stands without its left singular vectors: they change neither the loss nor any gradient.
    """
    d, decay = cell["d"], cell["decay"]
    of = (NAME, "race", d, decay, trial)
    singular = torch.arange(1, d + 1, dtype=torch.float64) ** -decay
    turned = cell["axes"] == "random"
    axes = orthonormal(d, d, of=(*of, "axes")) if turned else torch.eye(d, dtype=torch.float64)
    a = (singular.unsqueeze(1) * axes.T).to(device)
    optimum = seeds.normal(d, of=(*of, "optimum")).to(device)
    start = seeds.normal(d, of=(*of, "start")).to(device)
    hessian, length = a.T @ a, float(optimum.norm())
    result = []
    for coordinates, scale in zip(COORDINATES, (length, 1.0, length), strict=True):
        root = quadratic_root(hessian, optimum, scale)
        basis = egop.eigenbasis(root * len(root) ** 0.5)
        v = torch.eye(d).to(a) if coordinates == "original" else basis.vectors
        smoothness = coordinate_smoothness(v.T @ hessian @ v)
        rank = float(spectra.stable_rank(basis.values))
        dense = float(spectra.density(basis.vectors[:, :1]))
        row = {
            "trial": trial,
            "coordinates": coordinates,
            "smoothness": float(smoothness.total),
            "smoothness_lower": float(smoothness.lower),
            "stable_rank": rank,
            "density": dense,
            "factor": rate_factor(rank, dense, d),
        }
        result.append(_System(a @ v, a @ optimum, v.T @ start, smoothness, row))
    return result


def _paths(
    problem: Convex, start: Tensor, rate: Tensor, constants: Tensor, marks: Sequence[int]
) -> pd.DataFrame:
    """Run torch's Adagrad and return, at each mark T, the mean l1 norm and its bound."""
    rows = Lockstep(start.clone(), [Method("Adagrad")(float(eta)) for eta in rate])
    total, squares, tables = start.new_zeros(len(start)), torch.zeros_like(start), []
    for step in range(1, marks[-1] + 1):
        loss, gradient = problem.loss_and_gradient(rows.point)
        total += gradient.abs().sum(1)
        squares += gradient.square()
        if step == 1:
            gap, first = loss, gradient.abs()
        if step in marks:
            bound = adagrad_bound(gap, rate, constants, first, squares.sqrt(), step)
            values = {"mean_l1": total / step, "bound": bound}
            columns = {name: value.float().numpy(force=True) for name, value in values.items()}
            columns["rate"] = rate.numpy(force=True)
            tables.append(pd.DataFrame({"run": range(len(start)), "step": step, **columns}))
        rows.step(gradient)
    return pd.concat(tables, ignore_index=True)


# --- inequalities: Theorem 5, Lemmas 11, 18, 19 --------------------------------------------------


def _inequalities(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    rows = [row for t in range(cell["instances"]) for row in (*_quadratic(t), *_data_driven(t))]
    columns = ["trial", "statement", "case", "low", "high"]
    return {"inequalities": pd.DataFrame(rows, columns=columns)}


def _quadratic(trial: int) -> list[tuple[int, str, str, float, float]]:
    """Return value over lower bound, and value over upper bound, on a random quadratic."""
    of, decay = (NAME, "quadratic", trial), DECAYS[trial % len(DECAYS)]
    spread = torch.exp(seeds.normal(INSTANCE, of=(*of, "spread")) / 2)
    curvature = spread * torch.arange(1, INSTANCE + 1) ** -(2 * decay)
    q = orthonormal(INSTANCE, INSTANCE, of=(*of, "axes"))
    hessian, optimum = (q * curvature) @ q.T, seeds.normal(INSTANCE, of=(*of, "optimum"))
    rows = []
    for reach in REACHES:
        scale, case = reach * float(optimum.norm()), f"c = {reach:g} |θ*|"
        root = quadratic_root(hessian, optimum, scale)
        # c^2 H^2 is I in the coordinates of (c H)^-1: EGOP's eigenvalues there are the ratios.
        ratio = torch.linalg.svdvals(torch.linalg.solve(scale * hessian, root, left=False)) ** 2
        rows.append((trial, "Lemma 11", case, float(ratio.min()), float(ratio.max()) / 2))
        basis = egop.eigenbasis(root * len(root) ** 0.5)
        v = basis.vectors
        original, turned = (coordinate_smoothness(h) for h in (hessian, v.T @ hessian @ v))
        least, most = (float(x) for x in smoothness_guides(basis.values, v, scale))
        # The sum's upper bound is that of these constants, if diag(L) >= V^T H V.
        root_l = (basis.values.sqrt() / scale).sqrt()
        upper = torch.linalg.eigvalsh(v.T @ hessian @ v / root_l.outer(root_l))[-1]
        rows.append((trial, "Theorem 5", case, float(original.lower) / least, float(upper)))
        gain = min(float(turned.total), most) / float(original.lower)
        rank, dense = spectra.stable_rank(basis.values), spectra.density(v[:, :1])
        factor = rate_factor(float(rank), float(dense), INSTANCE)
        rows.append((trial, "the ratio", case, np.nan, gain / (2 * factor)))
    return rows


def _data_driven(trial: int) -> list[tuple[int, str, str, float, float]]:
    """Return the same for Lemma 18 (every function, one set of draws) and Lemma 19 (exactly)."""
    of, decay = (NAME, "data", trial), DECAYS[trial % len(DECAYS)]
    singular = torch.arange(1, INSTANCE + 1, dtype=torch.float64) ** -decay
    a = decaying_matrix(INSTANCE, singular, of=of)
    points = seeds.normal(50 * INSTANCE, INSTANCE, of=(*of, "rho"))
    rows = []
    for name, outer in FUNCTIONS.items():
        y = _targets(a, name, of)
        slopes = outer(points @ a.T, y)[1]
        values = egop.eigenbasis(slopes @ a).values
        inner = egop.eigenbasis(slopes).values
        low = float((values / (singular**2 * inner[-1])).min())
        high = float((values / (singular**2 * inner[0])).max())
        rows.append((trial, "Lemma 18", name, low, high))
    y = _targets(a, "least squares", of) + seeds.normal(INSTANCE, of=(*of, "noise"))
    # A column of A^T A for each coordinate, and A^T y: the EGOP's root.
    root = torch.cat([a.T @ a, (y @ a).unsqueeze(0)])
    values = torch.linalg.svdvals(root) ** 2
    most = torch.cat([singular[:1] ** 4 + (y @ a).square().sum(), singular[:-1] ** 4])
    low, high = (values / singular**4).min(), (values / most).max()
    return [*rows, (trial, "Lemma 19", "least squares", float(low), float(high))]


def _targets(a: Tensor, name: str, of: tuple[object, ...]) -> Tensor:
    """Draw y: A theta* or, for the logistic loss, labels of that model."""
    z = a @ seeds.normal(a.shape[1], of=(*of, "optimum"))
    if name != "logistic":
        return z
    uniform = torch.rand(len(z), generator=seeds.generator(*of, "labels"), dtype=z.dtype)
    return (uniform < torch.sigmoid(z)).to(z)


# --- smooth: beyond quadratics -------------------------------------------------------------------


def _smooth(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Estimate the smoothness within balls: the largest L_f of the Hessians at random points."""
    rows = []
    for trial in range(cell["trials"]):
        of = (NAME, "smooth", trial)
        singular = torch.arange(1, SMOOTH + 1, dtype=torch.float64) ** -1.0
        a = decaying_matrix(2 * SMOOTH, singular, of=of)
        rho = seeds.normal(50 * SMOOTH, SMOOTH, of=(*of, "rho"))
        ball = _ball(cell["samples"], of)
        for name in ("logistic", "log-sum-exp"):
            y = _targets(a, name, of)
            basis = egop.eigenbasis(FUNCTIONS[name](rho @ a.T, y)[1] @ a)
            rank, dense = spectra.stable_rank(basis.values), spectra.density(basis.vectors[:, :1])
            factor = rate_factor(float(rank), float(dense), SMOOTH)
            for coordinates, v in (("original", torch.eye(SMOOTH).to(a)), ("EGOP", basis.vectors)):
                for radius in RADII:
                    curved = _hessians(name, a, y, radius * ball)
                    found = coordinate_smoothness(v.T @ curved @ v).lower.max()
                    rows.append((trial, name, coordinates, radius, float(found), factor))
                if name == "logistic":
                    # No Hessian exceeds that at 0, A^T A / 4: the exact value.
                    exact = coordinate_smoothness(v.T @ a.T @ a @ v / 4).total
                    rows.append((trial, name, coordinates, np.inf, float(exact), factor))
    columns = ["trial", "function", "coordinates", "radius", "smoothness", "factor"]
    return {"smooth": pd.DataFrame(rows, columns=columns)}


def _ball(count: int, of: tuple[object, ...]) -> Tensor:
    """Draw points uniformly from the unit ball."""
    points = torch.nn.functional.normalize(seeds.normal(count, SMOOTH, of=(*of, "ball")), dim=1)
    stream = seeds.generator(*of, "radius")
    return points * torch.rand(count, 1, generator=stream, dtype=points.dtype) ** (1 / SMOOTH)


def _hessians(name: str, a: Tensor, y: Tensor, points: Tensor) -> Tensor:
    """Return the Hessians (points, d, d)."""
    z = points @ a.T
    if name == "logistic":
        return a.T @ torch.diag_embed(torch.sigmoid(z) * torch.sigmoid(-z)) @ a
    weight, residual = torch.softmax((z - y).square(), -1), z - y
    pull = weight * residual
    inner = torch.diag_embed(weight * (2 + 4 * residual.square()))
    return a.T @ (inner - 4 * pull.unsqueeze(-1) * pull.unsqueeze(-2)) @ a


# --- identities: Lemmas 14 and 20, Corollary 15 ---------------------------------------------------


def _identities(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    trials = range(cell["instances"])
    turned = [row for t in trials for row in _equivariance(t, t < 10)]
    kronecker = [row for t in trials for row in _kronecker(t)]
    return {
        "equivariance": pd.DataFrame(turned, columns=["trial", "function", "what", "deviation"]),
        "kronecker": pd.DataFrame(kronecker, columns=["trial", "basis", "distance"]),
    }


def _equivariance(trial: int, fresh: bool) -> list[tuple[int, str, str, float]]:
    """Return how far EGOP(f o U) is from U^T EGOP(f) U, relative to its norm.

    With the same draws, turned, it is an identity; with draws of their own it needs rho isotropic.
    """
    of = (NAME, "equivariance", trial)
    a = decaying_matrix(INSTANCE, torch.arange(1, INSTANCE + 1) ** -0.5, of=of)
    u, rows = orthonormal(INSTANCE, INSTANCE, of=(*of, "U")), []
    widths = torch.linspace(0.2, 2, INSTANCE, dtype=torch.float64)
    points, others = (seeds.normal(DRAWS, INSTANCE, of=(*of, k)) for k in ("rho", "fresh"))
    for name, outer in FUNCTIONS.items():
        y = _targets(a, name, of)

        def estimate(
            v: Tensor, at: Tensor, outer: Any = outer, y: Tensor = y, a: Tensor = a
        ) -> Tensor:
            gradients = outer(at @ (a @ v).T, y)[1] @ (a @ v)
            return gradients.T @ gradients / len(at)

        few, eye = points[:200], torch.eye(INSTANCE).to(a)
        plain = estimate(eye, few)
        shared = estimate(u, few @ u) - u.T @ plain @ u
        rows.append((trial, name, "same draws, turned", float(shared.norm() / plain.norm())))
        v = egop.eigenbasis(outer(few @ a.T, y)[1] @ a).vectors
        diagonal = estimate(v, few @ v)
        rest = diagonal - diagonal.diag().diag()
        rows.append((trial, name, "off the diagonal", float(rest.norm() / diagonal.norm())))
        for what, scale in (("fresh, isotropic", 1.0), ("fresh, anisotropic", widths)):
            if fresh:
                plain, other = estimate(eye, points * scale), estimate(u, others * scale)
                gap = other - u.T @ plain @ u
                rows.append((trial, name, what, float(gap.norm() / plain.norm())))
    return rows


def _kronecker(trial: int) -> list[tuple[int, str, float]]:
    """Return distances from a Kronecker product of 2 x 2 rotations, and those of bases from any."""
    of = (NAME, "kronecker", trial)
    u, z = (orthonormal(2, 2, of=(*of, side)) for side in ("left", "right"))
    w = seeds.normal(2, 2, of=(*of, "W"))
    gap = (u @ w @ z.T).flatten() - torch.kron(u, z) @ w.flatten()
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]).to(w).T / 2
    mixed = signs.clone()
    mixed[:, 2:] = signs[:, 2:] @ u
    random = orthonormal(4, 4, of=(*of, "random"))
    found = {
        "two rotations, on vec W": gap.norm() / w.norm(),
        "two rotations": basis_distance(torch.kron(u, z), 2, 2),
        "two columns given, as they stand": kronecker_distance(signs, 2, 2),
        "the same, in any order": basis_distance(signs, 2, 2),
        "the other two turned, in any order": basis_distance(mixed, 2, 2),
        "random, in any order": basis_distance(random, 2, 2),
    }
    return [(trial, name, float(value)) for name, value in found.items()]


# --- characterization: Lemma 10 -------------------------------------------------------------------


def curve(name: str, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the phi of f(theta) = sum_i phi(<a_i, theta>), phi' and phi'', element by element.

    No |phi''| exceeds `CURVATURE`. Only the logistic loss is convex; its labels would add a linear
    term, which Eq. 1 does not see.

    Parameters
    ----------
    z : (..., n)

    Examples
    --------
    >>> [value.tolist() for value in curve("saddle", torch.tensor([2.0, 3.0]))]
    [[2.0, -4.5], [2.0, -3.0], [1.0, -1.0]]
    """
    if name == "logistic":
        p = torch.sigmoid(z)
        return torch.nn.functional.softplus(z), p, p * (1 - p)
    if name == "cosine":
        return z.cos(), -z.sin(), -z.cos()
    sign = (-1.0) ** torch.arange(z.shape[-1], dtype=z.dtype)  # a quadratic, up and down
    return sign * z.square() / 2, sign * z, sign.expand_as(z)


CURVATURE = {"logistic": 0.25, "cosine": 1.0, "saddle": 1.0}


def _characterization(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return the larger side of Eq. 1 over the smaller, at pairs of points (Lemma 10).

    "if": L bounds every Hessian; the largest ratio of pairs far and near. "only if": the Hessian at
    one point exceeds diag(L) by the factor `EXCESS`; the ratio of a small step from there.
    """
    rows = []
    for trial in range(cell["instances"]):
        of, decay = (NAME, "characterization", trial), DECAYS[trial % len(DECAYS)]
        a = decaying_matrix(INSTANCE, torch.arange(1, INSTANCE + 1) ** -decay, of=of)
        point, way = (seeds.normal(PAIRS, INSTANCE, of=(*of, k)) for k in ("point", "way"))
        reach = torch.logspace(-2, 2, PAIRS, dtype=a.dtype).unsqueeze(1)
        for name, most in CURVATURE.items():
            bound = most * a.T @ a
            constants = bound.abs().sum(0)  # a row's sum: diag(L) -+ H is diagonally dominant
            constants = constants * _excess(bound, constants)[0]
            ratio = _taylor(name, a, constants, point, reach * way)
            rows.append((trial, name, "if", float(ratio.max())))
            at = point[0]
            hessian = (a.T * curve(name, a @ at)[2]) @ a
            excess, along = _excess(hessian, constants)
            ratio = _taylor(name, a, constants * excess / EXCESS, at, STEP * along)
            rows.append((trial, name, "only if", float(ratio)))
    columns = ["trial", "function", "direction", "ratio"]
    return {"characterization": pd.DataFrame(rows, columns=columns)}


def _excess(hessian: Tensor, constants: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least factor m with -m diag(L) <= H <= m diag(L), and the unit vector it is at."""
    root = constants.sqrt()
    values, vectors = torch.linalg.eigh(hessian / root.outer(root))
    at = values.abs().argmax()
    return values[at].abs(), torch.nn.functional.normalize(vectors[:, at] / root, dim=0)


def _taylor(name: str, a: Tensor, constants: Tensor, point: Tensor, step: Tensor) -> Tensor:
    """Return |f(x) - f(y) - <grad f(y), x - y>| over half of sum_i L_i (x_i - y_i)^2 (Eq. 1).

    Parameters
    ----------
    point, step : y and x - y (..., d)
    """
    z, dz = point @ a.T, step @ a.T
    value, slope, _ = curve(name, z)
    rest = (curve(name, z + dz)[0] - value - slope * dz).sum(-1)
    return rest.abs() / (step.square() @ constants / 2)


RUNS = {
    "characterization": _characterization,
    "race": _race,
    "inequalities": _inequalities,
    "smooth": _smooth,
    "identities": _identities,
}
