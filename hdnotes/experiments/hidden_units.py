r"""Chapter `hidden_units`: a student with more units than its teacher (document 2, Section 4.2).

Kinds of cells, all of them students of `students`:

    success     one point of a success curve with two hidden units, or with one (Figure 4.4)
    patient     one of GD with ten times the epochs
    curve       learning curves of one width d, sample complexity and momentum (Figure 4.5)
    tail        the same without a stop: how the last of the error goes
    spectrum    eigenvalues of the Hessian where a run ended, and at the teacher (Figure 4.6)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    ERRORS,
    alike,
    alike_in_time,
    curve_point,
    draw_problem,
    epochs,
    final_errors,
    grouped,
    held_bytes,
    last_batches,
    learning_curves,
    require_batches,
    train_students,
)
from hdnotes.long_training import Visit
from hdnotes.measures import lanczos
from hdnotes.measures.hessian import Hessian, hessian
from hdnotes.store.sweep import Joint

NAME = "hidden_units"
VERSION = 1
TITLE = "Hidden units"

#: Figures 4.4, 4.5 and 4.6.
PARTS = ("success", "curves", "spectra")
#: Hidden units of Figure 4.4, and of Figure 4.6.
TWO, SPECTRA = 2, (1, 5)
#: How many times as many epochs make up for no momentum: 1 / (1 - 0.9).
PATIENCE = 10
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((256, 100), (1024, 2))
#: Epochs kept of a learning curve, and shares of the eigenvalues kept of a spectrum.
RECORDS, SHARES = 150, 101
#: Parameters up to which a spectrum is exact; Lanczos' steps and random vectors.
EXACT, STEPS, PROBES = 6000, 80, 8
#: What is near zero, against the largest eigenvalue.
NEAR_ZERO = 0.01
#: What is negative, against the largest eigenvalue: below it is rounding.
ROUNDING = 1e-6
#: The exact solution, as a method of Figure 4.6.
TEACHER = "teacher"
#: What a spectrum is told by.
KEYS = {"method", "samples", "where", "how", "set", "start"}


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    parts: tuple[str, ...] = parameter(PARTS, choices=PARTS, help="Figures 4.4, 4.5 and 4.6")
    features: int = parameter(64, at_least=8, help="p of Figure 4.4")
    alphas: tuple[float, ...] = parameter(
        (2.0, 2.5, 3.0, 3.5, 4.5), above=0, unit="samples per p", help="of Figure 4.4"
    )
    patient_alphas: tuple[float, ...] = parameter(
        (2.0, 2.5, 3.0), above=0, unit="samples per p", help="of GD with ten times the epochs"
    )
    data_sets: int = parameter(
        4, at_least=1, at_most=1000, help="data sets of each point of Figure 4.4"
    )
    starts: int = parameter(5, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        500, above=0, unit="epochs", help="budget of Figure 4.4 over log2(p + 1)"
    )
    learning_rate: float = parameter(0.005, above=0, help="eta of Figure 4.4, for any d")
    curve_features: int = parameter(64, at_least=8, help="p of Figures 4.5 and 4.6")
    units: tuple[int, ...] = parameter(
        (1, 2, 5, 10), at_least=1, unit="hidden units", help="every d of Figure 4.5"
    )
    curve_alphas: tuple[float, ...] = parameter(
        (2.5, 5.0), above=0, unit="samples per p", help="of Figure 4.5; the first one's is 4.6"
    )
    curve_sets: int = parameter(
        5, at_least=1, at_most=1000, help="data sets of Figures 4.5 and 4.6"
    )
    curve_starts: int = parameter(3, at_least=1, unit="trials", help="starts on each of them")
    curve_epochs_factor: float = parameter(
        600, above=0, unit="epochs", help="budget of Figures 4.5 and 4.6 over log2(p + 1)"
    )
    unit_rate: float = parameter(0.01, above=0, help="eta of Figures 4.5 and 4.6, over d")
    rate_factors: tuple[float, ...] = parameter(
        (3.0, 10.0), above=0, help="larger learning rates tried with five units"
    )
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of SGD and P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD; times d in Figure 4.5")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas", "patient_alphas")
        require_batches(self, "curve_features", "curve_alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 24,
        "alphas": (2.0, 6.0),
        "patient_alphas": (2.0,),
        "data_sets": 2,
        "starts": 2,
        "epochs_factor": 20,
        "curve_features": 16,
        "units": (1, 2, 5),
        "curve_sets": 1,
        "curve_starts": 2,
        "curve_epochs_factor": 50,
        "rate_factors": (2.0,),
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "alphas": (1.5, 1.7, 2.0, 2.3, 2.5, 2.7, 3.0, 3.3, 3.5, 4.0),
        "patient_alphas": (2.0, 2.3, 2.5),
        "epochs_factor": 2000,
        "curve_features": 1024,
        "curve_sets": 2,
        "units": (1, 2, 5, 10),
        "curve_epochs_factor": 10_000,
        "rate_factors": (2.0, 4.0, 8.0),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, figure by figure."""
    figures = {"success": _success, "curves": _curves, "spectra": _spectra}
    return [cell for part in PARTS if part in p.parts for cell in figures[part](p)]


def _success(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.4: two units, six methods; then GD and SGD with one, and a patient GD with two."""
    both = ["none", "Nesterov"]
    for batches in ("persistent", "full", "shuffled"):
        yield from _points(p, p.alphas, batches, momenta=both)
    for batches in ("full", "shuffled"):
        yield from _points(p, p.alphas, batches, hidden=1, momenta=["none"])
    budget = epochs(p.features, PATIENCE * p.epochs_factor)
    patient: dict[str, Any] = {"kind": "patient", "momenta": ["none"], "epochs": budget}
    yield from _points(p, p.patient_alphas, "full", **patient)


def _points(
    p: Parameters, alphas: Sequence[float], batches: str, **change: Any
) -> Iterator[dict[str, Any]]:
    """Yield a curve's cells."""
    for alpha in alphas:
        own: dict[str, Any] = {"hidden": TWO} | change
        cell = curve_point(p, p.features, alpha, batches, **own)
        yield from grouped(cell, p.data_sets, SETS_A_CELL)


def _curves(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.5, the smallest first; five units at larger rates; and the tails."""
    for hidden in sorted(p.units):
        for alpha in p.curve_alphas:
            for momentum in ("standard", "none"):
                yield from _by_set(p, hidden, momentum, kind="curve", alpha=alpha)
    for factor in p.rate_factors:
        yield from _by_set(
            p, max(SPECTRA), "none", kind="rate", alpha=p.curve_alphas[0], factor=factor
        )
    for hidden in (one for one in sorted(p.units) if one <= 10):
        yield from _by_set(p, hidden, "standard", kind="tail", alpha=p.curve_alphas[-1])


def _spectra(p: Parameters) -> Iterator[dict[str, Any]]:
    """Figure 4.6: P-SGD with momentum and GD, with one and with five units."""
    for hidden in SPECTRA:
        for batches, momentum in (("persistent", "standard"), ("full", "none")):
            yield from _by_set(
                p, hidden, momentum, kind="spectrum", alpha=p.curve_alphas[0], batches=batches
            )


def _by_set(
    p: Parameters,
    hidden: int,
    momentum: str,
    *,
    batches: str = "persistent",
    factor: float = 1.0,
    **change: Any,
) -> Iterator[dict[str, Any]]:
    """Yield cells where P-SGD switches at the same rate for every d and eta.

    A spectrum's holds one data set.
    """
    scale = hidden * factor
    shared: dict[str, Any] = {
        "hidden": hidden,
        "momenta": [momentum],
        "learning_rate": round(p.unit_rate * scale, 9),
        "persistence": p.persistence * scale,
        "epochs": epochs(p.curve_features, p.curve_epochs_factor),
        "starts": p.curve_starts,
        "factor": factor,
    }
    cell = curve_point(p, p.curve_features, batches=batches, **shared | change)
    yield from grouped(cell, p.curve_sets, () if cell["kind"] == "spectrum" else SETS_A_CELL[:1])


def memory(p: Parameters) -> int:
    """Return the peak bytes: students that are trained together, or the matrices of a spectrum."""
    wanted = cells(p)
    sizes = [cell["hidden"] * cell["features"] for cell in wanted if cell["kind"] == "spectrum"]
    matrices = [8 * (8 * size**2 if size <= EXACT else PROBES * STEPS * size) for size in sizes]
    return held_bytes(wanted) + max(matrices, default=0)


# --- Figure 4.5 ----------------------------------------------------------------------------------


def curves(
    cells: Sequence[dict[str, Any]], device: str, **options: Any
) -> list[dict[str, pd.DataFrame]]:
    """Return ``runs``, each student's end, and ``curves``, its errors at epochs even in log."""
    return learning_curves(cells, device, records=RECORDS, **options)


def tail(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Return the same of runs that nothing stops."""
    return curves(cells, device, stop=_never)


def _never(visit: Visit) -> Tensor:
    return torch.zeros(len(visit.point), dtype=torch.bool, device=visit.point.device)


# --- Figure 4.6 ----------------------------------------------------------------------------------


def spectra(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return ``hessians``, a row a Hessian, and ``spectra``, its eigenvalues at even shares."""
    trials, run = train_students([cell], device, observe=ERRORS)
    problem = draw_problem(cell, device)
    last = {name: value[:, -1].cpu().numpy() for name, value in run.observed.items()}
    halves = last_batches(cell, device, run.steps.tolist())
    found: list[tuple[dict[str, Any], pd.DataFrame]] = []
    for k, end in enumerate(trials.drop(columns="cell").assign(**last).to_dict("records")):
        whole = {"samples": "all", **end}
        found += _spectrum(whole, hessian(problem, run.point[k]), problem.samples)
        if halves is not None:
            half, count = hessian(problem, run.point[k], halves[k]), int(halves[k].sum())
            found += _spectrum(whole | {"samples": "its half"}, half, count)
    if halves is None:  # the exact solution, once a data set
        copies = hessian(problem, problem.teachers[0].repeat(problem.hidden))
        exact = {"method": TEACHER, "samples": "all", "set": cell["first_set"], "start": 0}
        found += _spectrum(exact, copies, problem.samples)
    rows, parts = zip(*found, strict=True)
    return {"hessians": pd.DataFrame(rows), "spectra": pd.concat(parts, ignore_index=True)}


def _spectrum(
    row: dict[str, Any], at: Hessian, count: int
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield, for each way to look at a Hessian, its row and its eigenvalues at even shares."""
    size = at.weights.numel()
    probes = seeds.normal(PROBES, size, of=(NAME, "probes", size)).to(at.weights.device)
    ways = {("everywhere", "Lanczos"): lanczos.quadrature(at.product, probes, STEPS)}
    if size <= EXACT:
        matrix = at.matrix()
        ways["everywhere", "exact"] = _even(torch.linalg.eigvalsh(matrix))
        ways["on the spheres", "exact"] = _even(torch.linalg.eigvalsh(at.on_spheres(matrix)))
    grid = torch.linspace(0, 1, SHARES, dtype=torch.float64)
    for (where, how), (values, weights) in ways.items():
        largest = values.abs().max()
        measured = {
            "counted": count,
            "negative": _share(values < -ROUNDING * largest, weights),
            "near_zero": _share(values.abs() < NEAR_ZERO * largest, weights),
            "smallest": float(values.min()),
            "largest": float(values.max()),
            "pull": float(at.multipliers.mean()),
            "slope": float(at.gradient.norm()),
        }
        row = row | {"where": where, "how": how}
        at_grid = lanczos.quantiles(values, weights, grid.to(values.device)).cpu().numpy()
        names = {name: row[name] for name in row.keys() & KEYS}
        curve = pd.DataFrame({"share": grid.numpy(), "eigenvalue": at_grid.astype(np.float32)})
        yield row | measured, curve.assign(**names)


def _even(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.unsqueeze(0), torch.full_like(values, 1 / len(values)).unsqueeze(0)


def _share(which: Tensor, weights: Tensor) -> float:
    return float((which * weights).sum() / len(weights))


RUNS = {
    **dict.fromkeys(("success", "patient"), Joint(final_errors, alike)),
    **dict.fromkeys(("curve", "rate"), Joint(curves, alike_in_time)),
    "tail": Joint(tail, alike_in_time),
    "spectrum": spectra,
}
