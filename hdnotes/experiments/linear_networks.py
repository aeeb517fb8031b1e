r"""Chapter `linear_networks`: gradient descent on a product of matrices (document 3).

*Instant* compares, at one point, how the product moves with what the preconditioner says, for
several losses, from balanced starts and others; *descent* does the same along whole runs.
*Spectrum* holds the preconditioner's eigenvalues against their formula, *field* asks whether the
flow is a gradient's. *Scalar* and *minimum* look for starts that miss the minimum, *rate* measures
the rate near it, and *paths* follows singular values through full and partial observation.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.flow import gradient_flow
from hdnotes.measures.vector_fields import asymmetry, keyhole
from hdnotes.optimizers import Method
from hdnotes.problems import linear_network as network
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.linear_network import LinearNetwork
from hdnotes.theory import linear_networks as theory
from hdnotes.training import Run, train

NAME = "linear_networks"
VERSION = 1
TITLE = "Linear networks"

LOSSES = {
    "squared": network.mean_squares,
    "matrix completion": network.observed_squares,
    "logistic": network.logistic,
    "pseudo-Huber": network.pseudo_huber,
    "linear": network.linear,
    "1 − cosine (not convex)": network.cosines,
}
#: Samples of the data that losses are judged on at one point.
SAMPLES = 12
#: W_1 times this and W_N divided by it: the same product, out of balance.
STRETCHES = (1.0, 1 + 1e-6, 1 + 1e-4, 1 + 1e-2, 1.1, 1.5, 2.0, 4.0)
#: Time that the discrete runs are followed for, and their stretched start.
HORIZON, STRETCH = 1.0, 1.5
#: Radii of the loop, and depths of the networks that are taken along it.
INNER, OUTER, LOOP_DEPTHS = 0.1, 1.0, (1, 2, 3, 4, 5, 6)
JACOBIAN_DEPTHS = (1, 2, 3, 4)
#: The scalar counterexample: start, target, end.
SCALAR_START, SCALAR_TARGET, SCALAR_TIME = 0.5, -1.0, 20.0
STARTS = ("balanced, same sign", "balanced, opposite sign", "Gaussian")
#: Learning rates that look for the minimum: the steps of the second are nearer to the flow.
MINIMUM_RATES = (0.02, 0.005)
#: Singular values of the targets of *minimum* and *rate*: from, to.
SPREAD = (1.5, 0.5)
#: How far runs near the minimum are followed: the loss falls by exp(-this) at the guaranteed rate.
FOLDS = 20.0
#: Records of a run; of the paths, half as many or a few more.
RECORDS = 400


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    size: int = parameter(4, at_least=2, help="sides of the products whose identities are checked")
    trials: int = parameter(5, at_least=1, unit="trials", help="draws of every check")
    depths: tuple[int, ...] = parameter((2, 3, 5), at_least=2, help="depths of the checks")
    rates: tuple[float, ...] = parameter(
        (1e-2, 3e-3, 1e-3, 3e-4, 1e-4), above=0, help="learning rates of the discrete runs"
    )
    minimum_trials: int = parameter(
        10, at_least=1, unit="trials", help="starts of each kind that look for the minimum"
    )
    minimum_time: float = parameter(60.0, above=0, help="time that they are followed for")
    path_trials: int = parameter(5, at_least=1, unit="trials", help="matrices that are learned")
    path_size: int = parameter(30, at_least=4, help="sides of the matrix that is learned")
    path_rank: int = parameter(3, at_least=2, help="its rank; its singular values are rank ... 1")
    path_depths: tuple[int, ...] = parameter((1, 2, 3, 4), at_least=1, help="depths that learn it")
    observed: float = parameter(
        0.7, above=0, at_most=1, help="share of its entries that are seen; a second run sees all"
    )
    start_scale: float = parameter(1e-3, above=0, help="scale of the start's singular values")
    path_step: float = parameter(0.02, above=0, help="time step in which the flow is followed")

    def __post_init__(self) -> None:
        if self.path_rank >= self.path_size:
            raise ValueError(
                f"path_rank = {self.path_rank} is not allowed; it is at most "
                f"{self.path_size - 1}, below path_size."
            )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "size": 3,
        "depths": (2, 3),
        "rates": (1e-1, 1e-2),
        "minimum_trials": 3,
        "minimum_time": 8.0,
        "path_size": 8,
        "path_rank": 2,
        "path_depths": (1, 2, 3),
        "path_step": 0.05,
        "observed": 0.9,
        "start_scale": 1e-2,
    },
    "quick": {},
    "paper": {
        "size": 8,
        "trials": 20,
        "minimum_trials": 50,
        "minimum_time": 100.0,
        "path_trials": 10,
        "path_size": 100,
        "path_rank": 5,
        "observed": 0.5,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, identities first."""
    shared = {"size": p.size, "trials": p.trials}
    paths = {
        "size": p.path_size,
        "rank": p.path_rank,
        "scale": p.start_scale,
        "step": p.path_step,
        "trials": p.path_trials,
    }
    return [
        *({"kind": "instant", "depth": depth, **shared} for depth in p.depths),
        *({"kind": "spectrum", "depth": depth, **shared} for depth in (1, *p.depths)),
        {"kind": "field", **shared},
        {"kind": "scalar"},
        *({"kind": "rate", "depth": depth, **shared} for depth in (1, 2, 3)),
        *(
            {"kind": "descent", "depth": depth, "rate": rate, **shared}
            for rate in p.rates
            for depth in p.depths
        ),
        *(
            {
                "kind": "minimum",
                "depth": depth,
                "size": p.size,
                "trials": p.minimum_trials,
                "time": p.minimum_time,
                "rate": rate,
            }
            for rate in MINIMUM_RATES
            for depth in (1, 2, 3)
        ),
        *(
            {"kind": "paths", "depth": depth, "observed": share, **paths}
            for share in dict.fromkeys((p.observed, 1.0))
            for depth in p.path_depths
        ),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: the points of the paths, and what a step makes of them."""
    points = 40 * p.path_trials * p.path_size**2
    kernels = 4 * (p.size * (p.size + 1)) ** 2
    return int(8 * (points + kernels) + 2**29)


# --- at one point ---------------------------------------------------------------------------------


def widths(size: int, depth: int) -> tuple[int, ...]:
    """Return the widths of the networks that are checked: one input more, wider in between."""
    return (size + 1, *(size + 2 for _ in range(depth - 1)), size)


def _data(size: int, loss: str, *, of: tuple[object, ...]) -> LinearNetwork:
    """Draw data for one loss, as a network of depth 1; completion sees about half the entries."""
    completion = loss == "matrix completion"
    columns = size + 1 if completion else SAMPLES
    a = seeds.normal(size + 1, columns, of=(*of, "inputs"))
    y = seeds.normal(size, columns, of=(*of, "targets"))
    if completion:
        a = torch.eye(size + 1, dtype=a.dtype)
        y = torch.where(seeds.normal(size, columns, of=(*of, "mask")) > 0, math.nan, y)
    return LinearNetwork((size + 1, size), LOSSES[loss], (a,), (y,), (0,))


def _balanced(size: int, depth: int, *, of: tuple[object, ...]) -> tuple[Tensor, list[Tensor]]:
    """Draw a product with entries of variance 1/size, and balanced factors of it."""
    product = seeds.normal(size, size + 1, of=(*of, "product")) / size**0.5
    return product, network.balanced_factors(product, widths(size, depth), of=(*of, "factors"))


def stretched(factors: list[Tensor], by: float) -> list[Tensor]:
    """Return factors of the same product, the first times ``by`` and the last divided by it."""
    return [factors[0] * by, *factors[1:-1], factors[-1] / by]


def _gaps(factors: list[Tensor], data: LinearNetwork) -> tuple[float, float]:
    """Return how far the product's motion is from what is said of it, relative to the motion.

    The motion is taken from the factors themselves: each moves down its own gradient. First its
    gap to the preconditioned gradient, then the gap of its part along each u_r v_r^T to N
    sigma_r^(2-2/N) times the gradient's.
    """
    product = network.end_to_end(factors)
    gradient = data.of_product(product.unsqueeze(0))[1][0]
    moves = network.factor_gradients(factors, gradient)
    terms = [[*factors[:j], move, *factors[j + 1 :]] for j, move in enumerate(moves)]
    motion = torch.stack([network.end_to_end(term) for term in terms]).sum(0)
    said = theory.preconditioned(product, gradient, len(factors))
    u, values, vh = torch.linalg.svd(product, full_matrices=False)
    power = 2 - 2 / len(factors)
    along = [torch.einsum("ir,ij,rj->r", u, matrix, vh) for matrix in (motion, gradient)]
    values_gap = (along[0] - len(factors) * values**power * along[1]).norm() / motion.norm()
    return float((motion - said).norm() / motion.norm()), float(values_gap)


def _instant(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    size, depth = cell["size"], cell["depth"]
    rows = []
    for trial in range(cell["trials"]):
        name = (NAME, "instant", size, depth, trial)
        _, balanced = _balanced(size, depth, of=name)
        of = widths(size, depth)
        scales = [width**-0.5 for width in of[:-1]]
        starts = [("stretched", by, stretched(balanced, by)) for by in STRETCHES]
        starts.append(("Gaussian", math.nan, network.gaussian_factors(of, scales, of=name)))
        for loss in LOSSES:
            data = _data(size, loss, of=(*name, loss))
            rows += [
                (trial, loss, start, by, float(network.imbalance(factors)), *_gaps(factors, data))
                for start, by, factors in starts
            ]
    columns = ["trial", "loss", "start", "stretch", "imbalance", "gap", "values_gap"]
    return {"instant": pd.DataFrame(rows, columns=columns)}


def _spectrum(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Hold the eigenvalues of J J^T, J the Jacobian of the product, against their formula."""
    size, depth = cell["size"], cell["depth"]
    parts, definite = [], []
    for trial in range(cell["trials"]):
        product, factors = _balanced(size, depth, of=(NAME, "spectrum", size, depth, trial))
        kernel = theory.kernel(factors)
        u, values, vh = torch.linalg.svd(product)
        said = theory.eigenvalues(values, (size, size + 1), depth)
        vectors = torch.einsum("ir,qj->rqij", u, vh).flatten(0, 1).flatten(1)
        residual = (vectors @ kernel - said.flatten().unsqueeze(1) * vectors).norm(dim=1).max()
        found = torch.linalg.eigvalsh(kernel).flip(0)
        of = (NAME, "spectrum", size, depth, trial, "deficient")
        flat = (u[:, :-1] * values[:-1]) @ vh[: size - 1]
        lower = theory.kernel(network.balanced_factors(flat, widths(size, depth), of=of))
        smallest = torch.linalg.eigvalsh(lower)[0] / found[0]
        definite.append((trial, float(found[-1] / found[0]), float(smallest)))
        parts.append(
            pd.DataFrame(
                {
                    "trial": trial,
                    "k": range(1, len(found) + 1),
                    "eigenvalue": found.numpy(),
                    "predicted": said.flatten().sort(descending=True).values.numpy(),
                    "residual": float(residual / found[0]),
                }
            )
        )
    return {
        "spectrum": pd.concat(parts, ignore_index=True),
        "definite": pd.DataFrame(definite, columns=["trial", "full_rank", "deficient_rank"]),
    }


# --- along runs -----------------------------------------------------------------------------------


def _descent(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run GD on the factors and preconditioned GD on the product, side by side."""
    size, depth, rate = cell["size"], cell["depth"], cell["rate"]
    steps = round(HORIZON / rate)
    names = [(NAME, "descent", size, depth, trial) for trial in range(cell["trials"])]
    drawn = [_balanced(size, depth, of=name) for name in names]
    single = [_data(size, "squared", of=name) for name in names]
    trials = tuple(range(len(names)))
    data = LinearNetwork(
        widths(size, depth),
        network.mean_squares,
        tuple(one.inputs[0].to(device) for one in single),
        tuple(one.targets[0].to(device) for one in single),
        trials,
    )
    matrix = torch.stack([product for product, _ in drawn]).to(device)
    first = matrix
    for _ in range(steps):
        gradient = data.of_product(matrix)[1]
        matrix = matrix - rate * theory.preconditioned(matrix, gradient, depth)
    parts = []
    for start, by in (("balanced", 1.0), ("stretched", STRETCH)):
        point = torch.stack([network.pack(stretched(factors, by)) for _, factors in drawn])
        run = train(data, point.to(device), [Method("SGD")(rate)] * len(names), steps)
        factors = network.unpack(run.point, data.widths)
        gap = _norm(network.end_to_end(factors) - matrix) / _norm(matrix - first)
        found = {"gap": gap.numpy(force=True), "imbalance": network.imbalance(factors).tolist()}
        parts.append(pd.DataFrame({"trial": trials, "start": start, **found}))
    return {"descent": pd.concat(parts, ignore_index=True)}


def _norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix)


# --- is it a gradient? ----------------------------------------------------------------------------


def _field(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    size = cell["size"]
    loops, jacobians = [], []
    for trial in range(cell["trials"]):
        name = (NAME, "field", size, trial)
        direction = seeds.normal(size, of=(*name, "G"))
        direction = direction / direction.norm()
        loop = keyhole(direction, INNER, OUTER)
        for depth in LOOP_DEPTHS:

            def along(points: Tensor, depth: int = depth, g: Tensor = direction) -> Tensor:
                rows = points.unsqueeze(1)
                return theory.preconditioned(rows, g.expand_as(rows), depth).squeeze(1)

            said = theory.loop_integral(depth, INNER, OUTER)
            mean = (along(loop.places).norm(dim=1) * loop.steps.norm(dim=1)).sum() / loop.length
            found = float(loop.circulation(along))
            loops.append((trial, depth, found, said, float(loop.length), float(mean)))
        for depth in JACOBIAN_DEPTHS:
            jacobians += [
                (trial, depth, loss, shape[0], _asymmetry(loss, shape, depth, of=name))
                for shape in ((size, size), (1, size))
                for loss in FIELDS
            ]
    columns = ["trial", "depth", "integral", "predicted", "length", "mean_norm"]
    return {
        "loop": pd.DataFrame(loops, columns=columns),
        "asymmetry": pd.DataFrame(
            jacobians, columns=["trial", "depth", "loss", "outputs", "asymmetry"]
        ),
    }


#: Losses whose fields are asked for their symmetry.
FIELDS = ("matrix completion", "squared, even inputs", "squared, uneven inputs", "linear")


def _asymmetry(loss: str, shape: tuple[int, int], depth: int, *, of: tuple[object, ...]) -> float:
    point, target = (seeds.normal(*shape, of=(*of, shape, x)) for x in ("point", "target"))
    scales = torch.linspace(0.5, 1.5, shape[1], dtype=point.dtype)
    seen = seeds.normal(*shape, of=(*of, shape, "seen")) < 0.25
    seen[0, 0], seen[0, 1] = True, False  # at least one of each

    def field(matrix: Tensor) -> Tensor:
        gradient = {
            "matrix completion": (matrix - target) * seen,
            "squared, even inputs": matrix - target,
            "squared, uneven inputs": (matrix - target) * scales,
            "linear": target.expand_as(matrix),
        }[loss]
        return theory.preconditioned(matrix, gradient, depth)

    return asymmetry(field, point)


# --- where it ends --------------------------------------------------------------------------------


def _square(depth: int, size: int, targets: Tensor) -> LinearNetwork:
    """Return 1/2 ||W - Phi||^2 for a product of square factors, a target (size, size) a trial."""
    eye = torch.eye(size, dtype=targets.dtype, device=targets.device)
    count = len(targets)
    return LinearNetwork(
        (size,) * (depth + 1),
        network.observed_squares,
        (eye,) * count,
        tuple(targets),
        tuple(range(count)),
    )


def _follow(
    problem: LinearNetwork, start: Tensor, rate: float, steps: int, records: int = RECORDS
) -> tuple[Run, Tensor]:
    """Train by GD; return the run and the products (trials, records, out, in) along it."""
    every = torch.linspace(0, steps, min(records, steps) + 1).round().long().unique()
    run = train(
        problem,
        start,
        [Method("SGD")(rate)] * len(start),
        steps,
        record=every,
        observe={
            "product": lambda point, loss, gradient: network.end_to_end(
                network.unpack(point, problem.widths)
            )
        },
    )
    return run, run.observed["product"]


def _scalar(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow a product of N numbers, all equal at the start, from +0.5 towards -1."""
    rate, parts = 0.02, []
    for depth in JACOBIAN_DEPTHS:
        target = torch.full((1, 1, 1), SCALAR_TARGET, dtype=torch.float64, device=device)
        start = torch.full((1, depth), SCALAR_START ** (1 / depth), dtype=torch.float64)
        problem = _square(depth, 1, target)
        run, product = _follow(problem, start.to(device), rate, round(SCALAR_TIME / rate))
        found = {"time": (rate * run.recorded).numpy(), "w": product.flatten().numpy(force=True)}
        parts.append(pd.DataFrame({"depth": depth, **found}))
    return {"scalar": pd.concat(parts, ignore_index=True)}


def _minimum(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Start with the determinant's sign right, wrong, and from Gaussian factors."""
    size, depth, rate = cell["size"], cell["depth"], cell["rate"]
    targets, points, rows = [], [], []
    for trial in range(cell["trials"]):
        name = (NAME, "minimum", size, depth, trial)
        target = spread_matrix(size, of=(*name, "target"))
        start = spread_matrix(size, of=(*name, "start")) / 2
        if torch.det(start @ target) < 0:
            start[0] *= -1
        other = start.clone()
        other[0] *= -1
        shape = (size,) * (depth + 1)
        choices = [network.balanced_factors(one, shape, of=name) for one in (start, other)]
        choices.append(network.gaussian_factors(shape, [size**-0.5] * depth, of=name))
        for start_name, factors in zip(STARTS, choices, strict=True):
            targets.append(target)
            points.append(network.pack(factors))
            smallest = float(torch.linalg.svdvals(target)[-1])
            right = float(torch.det(network.end_to_end(factors) @ target)) > 0
            rows.append((trial, start_name, right, smallest**2 / 2))
    problem = _square(depth, size, torch.stack(targets).to(device))
    run, _ = _follow(problem, torch.stack(points).to(device), rate, round(cell["time"] / rate), 60)
    table = pd.DataFrame(rows, columns=["trial", "start", "right_sign", "stuck_loss"])
    long = table.loc[table.index.repeat(len(run.recorded))].reset_index(drop=True)
    return {
        "minimum": long.assign(
            at=np.tile((rate * run.recorded).numpy(), len(table)),
            loss=run.loss.flatten().numpy(force=True),
        )
    }


def spread_matrix(size: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw a square matrix with singular values evenly from the first of `SPREAD` to the last."""
    values = torch.linspace(*SPREAD, size, dtype=torch.float64)
    left, right = (orthonormal(size, size, of=(*of, side)) for side in ("left", "right"))
    return (left * values) @ right.T


def _rate(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Start within the margin c = sigma_min / 2 of the target and measure the fall of the loss."""
    size, depth, rate = cell["size"], cell["depth"], 0.02
    margin = SPREAD[1] / 2
    targets, points = [], []
    for trial in range(cell["trials"]):
        name = (NAME, "rate", size, depth, trial)
        target = spread_matrix(size, of=(*name, "target"))
        off = seeds.normal(size, size, of=(*name, "off"))
        start = target + (SPREAD[1] - margin) * off / off.norm()
        factors = network.balanced_factors(start, (size,) * (depth + 1), of=name)
        targets.append(target)
        points.append(network.pack(factors))
    problem = _square(depth, size, torch.stack(targets).to(device))
    steps = round(FOLDS / theory.linear_rate(margin, depth) / rate)
    run, product = _follow(problem, torch.stack(points).to(device), rate, steps, 100)
    trials = np.repeat(np.arange(cell["trials"]), len(run.recorded))
    table = {
        "trial": trials,
        "time": np.tile((rate * run.recorded).numpy(), cell["trials"]),
        "loss": run.loss.flatten().numpy(force=True),
        "smallest": torch.linalg.svdvals(product)[..., -1].flatten().numpy(force=True),
        "guaranteed": theory.linear_rate(margin, depth),
        "at_the_end": theory.linear_rate(SPREAD[1], depth),
    }
    return {"rate": pd.DataFrame(table)}


# --- singular values along the way ----------------------------------------------------------------


def path_time(cell: dict[str, Any]) -> float:
    """Return how long to follow a network: half as long again as the last singular value takes.

    It is 1, the start along it about scale / sqrt(size), and a share of the entries slows all.
    """
    depth, share = cell["depth"], cell["observed"]
    first = cell["scale"] / cell["size"] ** 0.5
    if depth == 1:
        return 8 / share
    if depth == 2:
        return 0.75 * math.log(1 / first) / share
    return 1.5 * first ** -(1 - 2 / depth) / (depth - 2) / share


def _draw_paths(cell: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Draw targets and masks (trials, size, size), and the balanced points that learn them."""
    size, depth, rank = cell["size"], cell["depth"], cell["rank"]
    targets, seen, points = [], [], []
    for trial in range(cell["trials"]):
        name = (NAME, "paths", size, rank, trial)
        values = torch.arange(rank, 0, -1, dtype=torch.float64)
        left, right = (orthonormal(size, rank, of=(*name, side)) for side in ("left", "right"))
        targets.append((left * values) @ right.T)
        order = torch.randperm(size**2, generator=seeds.generator(*name, "seen"))
        seen.append((order < round(cell["observed"] * size**2)).view(size, size))
        start = cell["scale"] / size**0.5 * seeds.normal(size, size, of=(*name, "start"))
        factors = network.balanced_factors(start, (size,) * (depth + 1), of=(*name, "factors"))
        points.append(network.pack(factors))
    return torch.stack(targets), torch.stack(seen), torch.stack(points)


def _paths(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow the flow that learns matrices with singular values rank, ..., 1 from some entries."""
    depth, rank, step = cell["depth"], cell["rank"], cell["step"]
    target, mask, point = (drawn.to(device) for drawn in _draw_paths(cell))
    problem = _square(depth, cell["size"], target.where(mask, math.nan))
    steps = round(path_time(cell) / step)
    found, drives = point.new_empty(2, cell["trials"], rank + 1, steps + 1)
    for k, at_time in enumerate(gradient_flow(problem, point, step, steps)):
        product = network.end_to_end(network.unpack(at_time, problem.widths))
        u, values, vh = torch.linalg.svd(product)
        error = product - target
        drive = -torch.einsum("tir,tij,trj->tr", u, error * mask, vh)
        found[..., k], drives[..., k] = values[:, : rank + 1], drive[:, : rank + 1]
    times = step * torch.arange(steps + 1, dtype=target.dtype, device=device)
    said = theory.singular_value_path(times, drives, found[..., 0], depth)
    at, kept = times.numpy(force=True), slice(None, None, max(1, 2 * steps // RECORDS))
    first = {
        "k": np.repeat(np.arange(1, rank + 2), len(at[kept])),
        "time": np.tile(at[kept], rank + 1),
        "singular_value": found[0, :, kept].flatten().float().numpy(force=True),
        "predicted": said[0, :, kept].flatten().float().numpy(force=True),
    }
    unseen = _norm(error * ~mask) / _norm(target * ~mask)
    ends = {"trial": range(cell["trials"]), "unseen_error": unseen.numpy(force=True)}
    ends["loss"] = problem.of_product(product)[0].numpy(force=True)
    return {
        "paths": pd.DataFrame(first),
        "learned": _learned(at, found.numpy(force=True), said.numpy(force=True)),
        "path_ends": pd.DataFrame(ends),
    }


def _learned(times: np.ndarray, found: np.ndarray, said: np.ndarray) -> pd.DataFrame:
    """Return when each singular value is half its last, in truth and as said, and what is next.

    ``next_share`` is how much of the next one's target is there when this one is half its own.
    """
    rank, rows = found.shape[1] - 1, []
    for trial, (measured, predicted) in enumerate(zip(found, said, strict=True)):
        for k in range(rank):
            half = [_passes(times, path[k], measured[k, -1] / 2) for path in (measured, predicted)]
            learned, share = _passes(times, measured[k], (rank - k) / 2), math.nan
            if k < rank - 1:
                share = float(np.interp(learned, times, measured[k + 1])) / (rank - k - 1)
            rows.append((trial, k + 1, *half, share))
    columns = ["trial", "k", "half_time", "half_time_predicted", "next_share"]
    return pd.DataFrame(rows, columns=columns)


def _passes(times: np.ndarray, path: np.ndarray, level: float) -> float:
    """Return when a path first reaches a level, between records by a straight line; or NaN."""
    above = np.flatnonzero(path >= level)
    if not len(above):
        return math.nan
    k = above[0]
    if k == 0:
        return float(times[0])
    return float(np.interp(level, path[k - 1 : k + 1], times[k - 1 : k + 1]))


RUNS = {
    "instant": _instant,
    "spectrum": _spectrum,
    "descent": _descent,
    "field": _field,
    "scalar": _scalar,
    "minimum": _minimum,
    "rate": _rate,
    "paths": _paths,
}
