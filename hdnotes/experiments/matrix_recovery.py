r"""Chapter `matrix_recovery`: one linear layer learns Phi from fresh samples (document 1).

A cell is one size of one sweep: every method and repeat in lockstep, and every method on the same
matrices, starts and samples. Four sweeps are the document's figures; four short *checks* change one
thing each, at ``checked_sizes``: no bias, no clipping, four times the batches, and the loss on the
samples that are learned from in place of fresh ones. A *movie* keeps frames of one size of a sweep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from hdnotes.batches import InOrder
from hdnotes.experiments.parameters import NONE, parameter
from hdnotes.optimizers import Method, Setting
from hdnotes.problems.clipped import Clipped
from hdnotes.problems.matrix_recovery import (
    MatrixRecovery,
    draw_inputs,
    draw_matrix,
    draw_start,
    target_scale,
    with_ones,
)
from hdnotes.problems.problem import Problem
from hdnotes.training import Measure, Run, record_steps, train

NAME = "matrix_recovery"
VERSION = 1
TITLE = "Recovering a matrix"

#: Learning rate, class and settings of each method (document 1 and the code of its figures).
METHODS: Mapping[str, tuple[float, str, Mapping[str, Any]]] = {
    "Adadelta": (0.5, "Adadelta", {}),
    "Adagrad": (0.1, "Adagrad", {"lr_decay": 1e-3}),
    "Adam": (0.01, "Adam", {}),
    "AdamW": (0.01, "AdamW", {}),
    "Adamax": (0.01, "Adamax", {}),
    "ASGD": (0.01, "ASGD", {}),
    "NAdam": (0.01, "NAdam", {}),
    "RAdam": (0.01, "RAdam", {}),
    "RMSprop": (0.01, "RMSprop", {"alpha": 0.90}),
    "Rprop": (0.01, "Rprop", {}),
    "SGD": (0.1, "SGD", {}),
    "Lion": (0.01, "Lion", {"betas": (0.9, 0.99)}),
}
#: Methods that run without weight decay in every sweep.
NEVER_DECAYED = ("Adam", "Rprop")
CONTROL = "least squares"
#: The document's figures, and what each changes.
FIGURES: Mapping[str, Mapping[str, Any]] = {
    "square": {},
    "fat": {},
    "skinny": {},
    "square, no weight decay": {"weight_decay": 0.0},
}
#: Steps that an SNR averages over, at either end.
ENDS = 4


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    sizes: tuple[int, ...] = parameter((4, 16, 256), at_least=2, help="sizes of every sweep")
    fixed_size: int = parameter(1024, at_least=2, help="the other side of fat and skinny matrices")
    checked_sizes: tuple[int, ...] = parameter(
        (16,), at_least=2, help="sizes of the sweeps that change one thing"
    )
    movie_size: int = parameter(32, at_least=2, help="size of the movie of each sweep")
    repeats: int = parameter(2, at_least=1, unit="trials", help="matrices of each size")
    batches: int = parameter(500, at_least=8, unit="updates", help="updates of every run")
    batch_size: int = parameter(32, at_least=1, unit="samples", help="samples of each update")
    clip: float | None = parameter(
        1.0, above=0, help="norm to which each trial's gradient is clipped, or none"
    )
    weight_decay: float = parameter(0.01, at_least=0, help="of the methods that the text gives it")
    bias: bool = parameter(True, help="whether the layer has a bias")
    methods: tuple[str, ...] = parameter(
        tuple(METHODS), choices=tuple(METHODS), help="methods that run"
    )
    learning_rates: tuple[str, ...] = parameter(
        ("text",), help="learning rates in place of the text's, each as in SGD=0.05"
    )

    def __post_init__(self) -> None:
        overrides(self.learning_rates)


def text_sizes(count: int) -> tuple[int, ...]:
    """Return about ``count`` of the text's 188 sizes from 4 to 1008, evenly spaced in log.

    Examples
    --------
    >>> text_sizes(8)
    (4, 9, 19, 43, 94, 208, 456, 1008)
    """
    steps = [(4, 1), (64, 2), (128, 4), (256, 8), (512, 16)]
    ends = [64, 128, 256, 512, 1024]
    grid = [s for (first, by), end in zip(steps, ends, strict=True) for s in range(first, end, by)]
    wanted = np.geomspace(grid[0], grid[-1], count)
    return tuple(sorted({min(grid, key=lambda size: abs(size / w - 1)) for w in wanted}))


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "sizes": (4, 16),
        "fixed_size": 32,
        "checked_sizes": (8,),
        "movie_size": 8,
        "batches": 60,
        "repeats": 2,
    },
    "quick": {},
    "paper": {"sizes": text_sizes(42), "checked_sizes": (16, 64, 256), "repeats": 5},
}


def overrides(texts: tuple[str, ...]) -> dict[str, float]:
    """Read learning rates given as method=rate; the word "text" changes nothing.

    Raises
    ------
    ValueError
        If one is not of this form.

    Examples
    --------
    >>> overrides(("text", "SGD=0.05"))
    {'SGD': 0.05}
    """
    result = {}
    for text in texts:
        name, equals, rate = text.partition("=")
        if text == "text":
            continue
        try:
            result[name] = float(rate)
        except ValueError:
            equals = ""
        if not equals or name not in METHODS or not 0 < result[name] < float("inf"):
            raise ValueError(
                f"learning_rates = {text!r} is not allowed; it must be method=rate with a rate "
                f"above 0 and a method of {', '.join(METHODS)}."
            )
    return result


def setting(
    name: str, weight_decay: float, learning_rates: Mapping[str, float] | None = None
) -> Setting:
    """Return a method as document 1 runs it."""
    rate, optimizer, settings = METHODS[name]
    decay = 0.0 if name in NEVER_DECAYED else weight_decay
    method = Method(optimizer, {**settings, "weight_decay": decay})
    if name == "Rprop":  # it has no such setting
        method = Method(optimizer, settings)
    return method((learning_rates or {}).get(name, rate))


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the smaller sizes first."""
    shared = {
        "repeats": p.repeats,
        "batches": p.batches,
        "batch_size": p.batch_size,
        "clip": NONE if p.clip is None else p.clip,
        "weight_decay": p.weight_decay,
        "bias": p.bias,
        "judged_on": "fresh samples",
        "methods": list(p.methods),
        "learning_rates": [f"{name}={rate}" for name, rate in overrides(p.learning_rates).items()],
    }
    small = p.checked_sizes
    compared = tuple({*small} - {*p.sizes})
    sweeps: list[tuple[str, str, tuple[int, ...], Mapping[str, Any]]] = [
        *(("sweep", sweep, p.sizes, change) for sweep, change in FIGURES.items()),
        ("sweep", "square", compared, {}),
        ("sweep", "square, no weight decay", compared, FIGURES["square, no weight decay"]),
        ("check", "square, no bias", small, {"bias": False}),
        ("check", "square, no clipping", small, {"clip": NONE}),
        ("check", "square, 4 x batches", small, {"batches": 4 * p.batches}),
        ("check", "square, training loss", small, {"judged_on": "training samples"}),
        *(
            ("movie", sweep, (p.movie_size,), {**change, "repeats": 1})
            for sweep, change in FIGURES.items()
        ),
    ]
    result = [
        {"kind": kind, "sweep": sweep, "size": size, "m": m, "n": n, **shared, **change}
        for kind, sweep, sizes, change in sweeps
        for size in sizes
        for m, n in [shape(sweep, size, p.fixed_size)]
    ]
    return sorted(result, key=lambda cell: (cell["m"] * cell["n"], cell["size"]))


def shape(sweep: str, size: int, fixed: int) -> tuple[int, int]:
    """Return M and N: fat has N fixed, skinny has M fixed."""
    return {"fat": (size, fixed), "skinny": (fixed, size)}.get(sweep, (size, size))


def memory(p: Parameters) -> int:
    """Return the peak bytes: the streams and, for every trial, point, gradient and state."""
    needed = 0
    for cell in cells(p):
        m, n, trials = cell["m"], cell["n"], p.repeats * len(p.methods)
        streams = p.repeats * (cell["batches"] + 1) * 2 * p.batch_size * (m + n + 1)
        needed = max(needed, 4 * (streams + 8 * trials * n * (m + 1)) + 64 * max(m, n) ** 2)
    return needed + 2**29


def _sweep(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    names = [(NAME, cell["m"], cell["n"], repeat) for repeat in range(cell["repeats"])]
    problem, energy = _draw_problem(cell, names, device)
    result = _train(cell, problem, names, device)
    rows = [(method, repeat) for method in cell["methods"] for repeat in range(len(names))]
    runs = pd.DataFrame(rows, columns=["method", "repeat"])
    snr = _snr(runs, result, energy)
    if cell["kind"] == "sweep":
        snr = pd.concat([snr, _control(cell, names)], ignore_index=True)
    return {"snr": snr, "curves": _curves(runs, result)}


def _train(
    cell: dict[str, Any],
    problem: Problem,
    names: Sequence[tuple[object, ...]],
    device: str,
    observe: Mapping[str, Measure] | None = None,
) -> Run:
    """Train every method on every repeat, from the repeat's one start."""
    rates = overrides(tuple(cell["learning_rates"]))
    settings = [setting(method, cell["weight_decay"], rates) for method in cell["methods"]]
    start = torch.stack(
        [draw_start(cell["m"], cell["n"], cell["bias"], of=(*name, "start")) for name in names]
    )
    trials = len(names) * len(settings)
    return train(
        problem.take(list(range(len(names))) * len(settings)),
        start.float().repeat(len(settings), 1).to(device),
        [one for one in settings for _ in names],
        cell["batches"],
        batches=InOrder(cell["batches"] * cell["batch_size"], cell["batch_size"], (0,) * trials),
        record=_record(cell["batches"]),
        observe=observe,
    )


def _draw_problem(
    cell: dict[str, Any], names: Sequence[tuple[object, ...]], device: str
) -> tuple[Problem, float]:
    """Draw every repeat's stream; return the problem, and the mean of ||y||^2 over a batch."""
    fresh = cell["judged_on"] == "fresh samples"
    steps = cell["batches"] + 1  # the last one only judges
    inputs, targets = [], []
    for name in names:
        parts = [
            draw_inputs(steps * cell["batch_size"], cell["m"], torch.float32, of=(*name, purpose))
            for purpose in (("train", "test") if fresh else ("train",))
        ]
        x = torch.cat([part.unflatten(0, (steps, -1)) for part in parts], 1).to(device)
        targets.append((x @ _scaled_matrix(cell, name).to(device)).mT.contiguous())
        inputs.append(with_ones(x) if cell["bias"] else x)
    streams = tuple(range(len(names)))
    problem: Problem = MatrixRecovery(tuple(inputs), tuple(targets), streams, cell["batch_size"])
    if cell["clip"] != NONE:
        problem = Clipped(problem, cell["clip"])
    energy = torch.stack([y.square().sum(1).mean() for y in targets]).mean()
    return problem, float(energy) * cell["batch_size"]


def _scaled_matrix(cell: dict[str, Any], name: tuple[object, ...]) -> Tensor:
    """Return s Phi in float32."""
    m, n = cell["m"], cell["n"]
    scale = target_scale(m, n, of=(NAME, m, n, "scale"))
    return (scale * draw_matrix(m, n, of=(*name, "Phi"))).float()


def _record(steps: int) -> Tensor:
    """Return the steps to record: both ends, which the SNR needs, and some 30 between."""
    ends = [*range(ENDS + 1), *range(steps - ENDS + 1, steps + 1)]
    return torch.cat([record_steps(steps, 30), torch.tensor(ends)]).unique()


def _snr(runs: pd.DataFrame, result: Run, energy: float) -> pd.DataFrame:
    """Return both SNRs in dB: over the loss of steps 1-4 (the text's), and over ||y||^2."""
    loss = result.loss.double().cpu()
    first, last = loss[:, 1 : ENDS + 1].mean(1), loss[:, -ENDS:].mean(1)
    return runs.assign(
        snr_db=_db(first / last),
        true_snr_db=_db(energy / last),
        updates=result.steps.numpy(),
        outcome=result.outcome,
    )


def _db(ratio: Tensor) -> np.ndarray:
    return (10 * ratio.log10()).float().numpy()


def _curves(runs: pd.DataFrame, result: Run) -> pd.DataFrame:
    """Return the loss along each run, the mean of its logarithm over the repeats."""
    long = runs.loc[runs.index.repeat(len(result.recorded))].reset_index(drop=True)
    long["step"] = result.recorded.repeat(len(runs)).numpy()
    long["log10_loss"] = result.loss.flatten().cpu().log10().numpy()
    mean = long.groupby(["method", "step"], sort=False, as_index=False).log10_loss.mean()
    return mean.astype({"log10_loss": np.float32, "step": np.int32})


def _control(cell: dict[str, Any], names: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return least squares on 2M samples, judged on 2M others: ||y||^2 over what is left of it."""
    rows = []
    for repeat, name in enumerate(names):
        phi, m = _scaled_matrix(cell, name), cell["m"]
        x, fresh = (
            draw_inputs(2 * m, m, torch.float32, of=(*name, "least squares", purpose))
            for purpose in ("train", "test")
        )
        found = np.linalg.lstsq(x.numpy(), (x @ phi).numpy())[0]
        y = fresh @ phi
        left = (y - fresh @ torch.from_numpy(found)).square().sum()
        snr = float(10 * (y.square().sum() / left).log10())
        rows.append((CONTROL, repeat, snr, snr, 0, "budget"))
    columns = ["method", "repeat", "snr_db", "true_snr_db", "updates", "outcome"]
    return pd.DataFrame(rows, columns=columns)


# --- movie: frames of one run ------------------------------------------------------------------

#: Rows and columns of a frame's picture, at most.
PIXELS = 32


def _movie(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return, for every method and recorded step, W's singular values and where its error lies."""
    names = [(NAME, cell["m"], cell["n"], 0)]
    problem, _ = _draw_problem(cell, names, device)
    phi = _scaled_matrix(cell, names[0]).to(device)

    def weights(point: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        return point.unflatten(1, (cell["n"], -1))[..., : cell["m"]]

    result = _train(cell, problem, names, device, {"weights": weights})
    found = result.observed["weights"]
    frames = pd.DataFrame(
        [(method, int(step)) for method in cell["methods"] for step in result.recorded],
        columns=["method", "step"],
    )
    return {
        "movie": frames.assign(
            log10_loss=result.loss.log10().flatten().numpy(force=True),
            singular_values=list(torch.linalg.svdvals(found).flatten(0, 1).numpy(force=True)),
            log10_error=list(_picture(found - phi.T).flatten(0, 1).numpy(force=True)),
        ),
        "movie_matrix": pd.DataFrame(
            {"singular_value": torch.linalg.svdvals(phi).numpy(force=True)}
        ),
    }


def _picture(error: Tensor) -> Tensor:
    """Return log10 of the error's rms over blocks (..., pixels), rounded to 0.1, in tenths."""
    rows, columns = (min(size, PIXELS) for size in error.shape[-2:])
    power = adaptive_avg_pool2d(error.square().flatten(0, 1), (rows, columns))
    tenths = (5 * power.clamp(min=1e-24).log10()).round().to(torch.int8)
    return tenths.flatten(1).unflatten(0, error.shape[:2])


RUNS = {"sweep": _sweep, "check": _sweep, "movie": _movie}
