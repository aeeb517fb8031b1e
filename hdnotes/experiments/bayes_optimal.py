r"""Chapter `bayes_optimal`: what is possible in phase retrieval, beside document 2, Chapter 4.

A cell is one problem, one dimension and one sample complexity: every method on the same instances.
An instance is a teacher and an input matrix; ``signals`` teachers share a matrix, because then a
step of all of them is a matrix product. Given the matrix they are independent.

    recovery   GAMP, and for the absolute label three flows from one spectral start
    overlap    GAMP alone at a larger dimension, down to where little can be recovered
    budget     gradient descent again with four times the steps
    path       GAMP undamped, from a start that is a posterior mean: state evolution step by step
    start      the spectral start by itself, on the instances that all methods or GAMP saw
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.theory import gamp as message_passing
from hdnotes.theory.amplitude_flow import (
    reweighted_amplitude_flow,
    run,
    sphere_descent,
    truncated_amplitude_flow,
)
from hdnotes.theory.spectral import optimal_weight, spectral_start
from hdnotes.theory.state_evolution import DOOR

NAME = "bayes_optimal"
VERSION = 1
TITLE = "What is possible: message passing and spectral starts"

ABSOLUTE, SYMMETRIC_DOOR = "absolute", "symmetric door"
PROBLEMS: Mapping[str, message_passing.Model] = {
    ABSOLUTE: message_passing.ABSOLUTE,
    SYMMETRIC_DOOR: message_passing.SYMMETRIC_DOOR,
}
GAMP, DESCENT = "GAMP", "spectral start + GD"
FLOWS: Mapping[str, Any] = {
    "reweighted amplitude flow": reweighted_amplitude_flow,
    "truncated amplitude flow": truncated_amplitude_flow,
    DESCENT: sphere_descent,
}
METHODS = (GAMP, *FLOWS)
#: What all of them set out from, by itself.
START = "spectral start alone"
#: Overlap of a success: a test error 2 (1 - m^2) below 5e-3 (document 2).
RECOVERED = (1 - 5e-3 / 2) ** 0.5
#: Squared overlap that GAMP takes the spectral start to have, and the one that paths start with.
BEGINNING, PATH_BEGINNING = 0.05, 0.2
#: Sample complexities at which gradient descent gets a longer budget: around its 50 % point.
LONGER = (1.6, 1.9)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    sizes: tuple[int, ...] = parameter(
        (128, 256), at_least=16, help="dimensions p of the success curves"
    )
    alphas: tuple[float, ...] = parameter(
        (1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5),
        above=0.5,
        help="sample complexities n/p of all methods, absolute label",
    )
    gamp_alphas: tuple[float, ...] = parameter(
        (1.0, 1.1, 1.15, 1.25, 1.3), above=0.5, help="further ones, of GAMP alone"
    )
    door_alphas: tuple[float, ...] = parameter(
        (1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0, 2.3), above=0, help="the same, symmetric door"
    )
    overlap_size: int = parameter(
        512, at_least=16, help="p at which GAMP's overlaps are compared to theory"
    )
    overlap_alphas: tuple[float, ...] = parameter(
        (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4),
        above=0.5,
        help="sample complexities there, absolute label",
    )
    overlap_matrices: int = parameter(2, at_least=1, help="input matrices there")
    matrices: int = parameter(4, at_least=1, help="input matrices of each cell")
    signals: int = parameter(10, at_least=1, help="teachers that share an input matrix")
    gamp_steps: int = parameter(400, at_least=1, unit="iterations", help="budget of GAMP")
    damping: float = parameter(0.5, above=0, at_most=1, help="share of the new value in GAMP")
    flow_steps: int = parameter(1000, at_least=1, unit="steps", help="budget of the two flows")
    descent_steps: int = parameter(4000, at_least=1, unit="steps", help="budget of GD")
    learning_rate: float = parameter(0.005, above=0, help="of GD, on a sum of squares")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "sizes": (64,),
        "alphas": (1.2, 1.8, 2.5),
        "gamp_alphas": (1.0,),
        "door_alphas": (1.4, 2.3),
        "overlap_size": 64,
        "overlap_alphas": (0.8, 1.4),
        "matrices": 2,
        "signals": 5,
        "gamp_steps": 100,
        "flow_steps": 300,
        "descent_steps": 300,
    },
    "quick": {},
    "paper": {
        "sizes": (512, 1024),
        "alphas": (1.2, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.2, 2.5),
        "door_alphas": (1.3, 1.4, 1.5, 1.55, 1.6, 1.65, 1.7, 1.8, 1.9, 2.0, 2.3),
        "overlap_size": 2048,
        "overlap_alphas": (0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4),
    },
}
#: Where the paths are followed, for how many iterations, and on how many times ``matrices``.
PATHS = {ABSOLUTE: (1.0, 1.5), SYMMETRIC_DOOR: (1.5, 2.0)}
PATH_STEPS, PATH_REPEATS = 20, 4


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the smaller sizes first."""
    gamp = {"gamp_steps": p.gamp_steps, "damping": p.damping}
    descent = {"descent_steps": p.descent_steps, "learning_rate": p.learning_rate}
    every = {"methods": list(METHODS), **gamp, "flow_steps": p.flow_steps, **descent}
    alone = {"methods": [GAMP], **gamp}
    longer = {"methods": [DESCENT], **descent, "descent_steps": 4 * p.descent_steps}
    few = {"matrices": p.overlap_matrices}
    near = [alpha for alpha in p.alphas if LONGER[0] <= alpha <= LONGER[1]]
    wanted: list[tuple[str, str, int, Sequence[float], Mapping[str, Any]]] = []
    for size in p.sizes:
        further = sorted({*p.gamp_alphas} - {*p.alphas})
        wanted.append(("recovery", ABSOLUTE, size, p.alphas, every))
        wanted.append(("recovery", ABSOLUTE, size, further, alone))
        wanted.append(("recovery", SYMMETRIC_DOOR, size, p.door_alphas, alone))
    wanted.append(("overlap", ABSOLUTE, p.overlap_size, p.overlap_alphas, {**alone, **few}))
    wanted.append(("budget", ABSOLUTE, p.sizes[0], near, longer))
    many = {"matrices": PATH_REPEATS * p.matrices}
    wanted += [("path", name, p.overlap_size, PATHS[name], many) for name in PROBLEMS]
    wanted += [("start", ABSOLUTE, size, p.alphas, {}) for size in p.sizes]
    wanted.append(("start", ABSOLUTE, p.overlap_size, p.overlap_alphas, few))
    drawn = {"matrices": p.matrices, "signals": p.signals}
    found = [
        {"kind": kind, "problem": name, "p": size, "alpha": alpha, **drawn, **more}
        for kind, name, size, alphas, more in wanted
        for alpha in alphas
    ]
    return sorted(found, key=lambda cell: (cell["p"], cell["alpha"]))


def memory(p: Parameters) -> int:
    """Return the peak bytes: the inputs in both precisions, beliefs and Krylov spaces."""
    size = max(*p.sizes, p.overlap_size)
    samples = int(size * max(*p.alphas, *p.gamp_alphas, *p.door_alphas, *p.overlap_alphas, 2))
    return 12 * samples * size + 8 * p.signals * (20 * samples + 140 * size) + 2**29


def draw(
    problem: str, p: int, alpha: float, matrix: int, signals: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw inputs (n, p) of variance 1/p, teachers (signals, p) of norm sqrt(p), and labels.

    n = int(alpha p). Labels are those of `hdnotes.theory.state_evolution`, (signals, n).
    """
    samples = int(alpha * p + 1e-9)  # 1.1 * 10 is less than 11
    name = (NAME, problem, p, samples, matrix)
    x = seeds.normal(samples, p, of=(*name, "inputs")) / p**0.5
    teacher = torch.stack([seeds.normal(p, of=(*name, k, "teacher")) for k in range(signals)])
    if problem == SYMMETRIC_DOOR:
        teacher = teacher.sign()
    teacher *= p**0.5 / teacher.norm(dim=1, keepdim=True)
    amplitude = (teacher @ x.T).abs()
    return x, teacher, amplitude if problem == ABSOLUTE else (amplitude - DOOR).sign()


def _recovery(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    tables = []
    for matrix in range(cell["matrices"]):
        where = (cell["problem"], cell["p"], cell["alpha"], matrix, cell["signals"])
        x, teacher, y = (one.to(device) for one in draw(*where))
        start = _start(cell["problem"], cell["alpha"], x, y, (*where, "guess"))
        for method in cell["methods"]:
            found = run(*_points(method, cell, x, y, start))
            tables.append(_scores(found.double(), teacher).assign(method=method, matrix=matrix))
    return {"recovery": pd.concat(tables, ignore_index=True)}


def _start(problem: str, alpha: float, x: Tensor, y: Tensor, name: tuple[object, ...]) -> Tensor:
    """Return the spectral start that all methods share, of norm sqrt(p)."""
    weight = y if problem == SYMMETRIC_DOOR else optimal_weight(y.square(), alpha)
    guess = seeds.normal(len(y), x.shape[1], of=(NAME, *name)).to(x.device)
    return spectral_start(x, weight, guess)


def _points(
    method: str, cell: dict[str, Any], x: Tensor, y: Tensor, start: Tensor
) -> tuple[Iterator[Tensor], int]:
    """Return a method's iteration, and its budget; the flows compute in float32, as the source."""
    if method == GAMP:
        model, mean = PROBLEMS[cell["problem"]], BEGINNING**0.5 * start
        return message_passing.gamp(x, y, model, mean, cell["damping"]), cell["gamp_steps"]
    data = (x.float(), y.float(), start.float())
    if method == DESCENT:
        return sphere_descent(*data, cell["learning_rate"]), cell["descent_steps"]
    return FLOWS[method](*data), cell["flow_steps"]


def _scores(found: Tensor, teacher: Tensor) -> pd.DataFrame:
    """Return each signal's overlap (NaN if it diverged), and the share of wrong signs."""
    cosine = cosine_similarity(found, teacher, dim=-1)
    wrong = (found.sign() != teacher.sign() * cosine.sign().unsqueeze(-1)).double().mean(-1)
    columns = {"signal": torch.arange(len(found)), "overlap": cosine.abs(), "wrong_signs": wrong}
    return pd.DataFrame({name: value.numpy(force=True) for name, value in columns.items()})


def _path(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return a . w* / p along undamped GAMP: the start is w* in noise, as a posterior mean is."""
    q, rows = PATH_BEGINNING, []
    for matrix in range(cell["matrices"]):
        where = (cell["problem"], cell["p"], cell["alpha"], matrix, cell["signals"])
        x, teacher, y = (one.to(device) for one in draw(*where))
        noise = seeds.normal(*teacher.shape, of=(NAME, *where, "noise")).to(device)
        mean = q * teacher + (q * (1 - q)) ** 0.5 * noise
        points = message_passing.gamp(x, y, PROBLEMS[cell["problem"]], mean)
        path = torch.stack([mean, *islice(points, PATH_STEPS)])
        overlap = (path * teacher).mean(-1).numpy(force=True)
        rows += [
            (matrix, signal, step, overlap[step, signal])
            for signal in range(len(teacher))
            for step in range(PATH_STEPS + 1)
        ]
    return {"path": pd.DataFrame(rows, columns=["matrix", "signal", "step", "q"])}


def _started(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return the overlap of the start from which the methods of `_recovery` set out."""
    tables = []
    for matrix in range(cell["matrices"]):
        where = (cell["problem"], cell["p"], cell["alpha"], matrix, cell["signals"])
        x, teacher, y = (one.to(device) for one in draw(*where))
        start = _start(cell["problem"], cell["alpha"], x, y, (*where, "guess"))
        tables.append(_scores(start, teacher).assign(method=START, matrix=matrix))
    return {"start": pd.concat(tables, ignore_index=True)}


RUNS = {
    "recovery": _recovery,
    "overlap": _recovery,
    "budget": _recovery,
    "path": _path,
    "start": _started,
}
