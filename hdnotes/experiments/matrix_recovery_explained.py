r"""Chapter `matrix_recovery_explained`: why the layer learns as it does, and how well it can.

Cells of kind *measured* train real layers as chapter `matrix_recovery` does, and each has a twin of
kind *model* that trains the crowd of independent weights of `problems.mean_field` in their place.
*Ablation* takes away what the document's code adds, at the text's rates and at the best of a grid.
*SGD* scans its step without bias and clipping, *floors* runs what knows more than a gradient, and
*race* gives every method the same samples and the same search, with modern methods beside the old.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.batches import InOrder
from hdnotes.experiments import matrix_recovery as text
from hdnotes.experiments.matrix_recovery import FIGURES, METHODS, NEVER_DECAYED
from hdnotes.experiments.parameters import NONE, parameter
from hdnotes.optimizers import Method, Setting
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.matrix_recovery import (
    MatrixRecovery,
    draw_inputs,
    draw_matrix,
    draw_start,
    target_scale,
)
from hdnotes.problems.mean_field import draw_mean_field
from hdnotes.theory import matrix_recovery as theory
from hdnotes.training import train, train_alone

NAME = "matrix_recovery_explained"
VERSION = 1
TITLE = "Recovering a matrix, explained"

#: Methods of the race: the middle of the rates tried, class and settings; no weight decay.
RACE: Mapping[str, tuple[float, str, Mapping[str, Any]]] = {
    "SGD": (0.3, "SGD", {}),
    "Nesterov": (0.03, "SGD", {"momentum": 0.9, "nesterov": True}),
    "ASGD": (0.3, "ASGD", {}),
    "Adagrad": (0.3, "Adagrad", {}),
    "Adadelta": (3.0, "Adadelta", {}),
    "RMSprop": (0.003, "RMSprop", {"alpha": 0.90}),
    "Adam": (0.01, "Adam", {}),
    "Adam, short memory": (0.01, "Adam", {"betas": (0.9, 0.95)}),
    "NAdam": (0.01, "NAdam", {}),
    "RAdam": (0.01, "RAdam", {}),
    "Adamax": (0.03, "Adamax", {}),
    "Rprop": (0.1, "Rprop", {}),
    "Lion": (0.003, "Lion", {"betas": (0.9, 0.99)}),
    "ADOPT": (0.03, "ADOPT", {}),
    "Prodigy": (0.1, "Prodigy", {}),
    "schedule-free SGD": (1.0, "ScheduleFreeSGD", {}),
    "schedule-free AdamW": (0.03, "ScheduleFreeAdamW", {}),
    "Sophia": (0.1, "SophiaH", {}),
    "Muon": (0.03, "Muon", {"weight_decay": 0.0}),
    "SOAP": (0.01, "SOAP", {"weight_decay": 0.0}),
    "SOAP, long memory": (0.01, "SOAP", {"weight_decay": 0.0, "betas": (0.9, 0.999)}),
    "Shampoo": (1.0, "Shampoo", {"preconditioning_compute_steps": 10}),
    "PSGD-Kron": (0.003, "Kron", {}),
    "L-BFGS": (
        1.0,
        "LBFGS",
        {"max_iter": 1, "history_size": 20, "tolerance_grad": 0.0, "tolerance_change": 0.0},
    ),
}
#: Rates of every search, as multiples of the middle one.
GRID = tuple(10 ** (k / 2) for k in range(-3, 4))
SCHEDULES = ("constant", "linear decay")
#: Steps of SGD, as multiples of the best; at 2 it stops being stable.
STEPS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 1.9)
#: SGD is run for as many batches as the best step needs to this SNR, in dB.
REACH = 60.0
#: SNRs in float64 are cut here, in dB.
CAP = 300.0
#: Passes of L-BFGS over the samples that the others see once.
PASSES = 60


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    sizes: tuple[int, ...] = parameter(
        (64,), at_least=2, help="sizes of ablation, race, and scans of a learning rate"
    )
    model_sizes: tuple[int, ...] = parameter(
        (16, 32, 64), at_least=2, help="sizes at which the mean-field model meets the layer"
    )
    fixed_size: int = parameter(256, at_least=2, help="the other side of fat and skinny matrices")
    spectrum_size: int = parameter(
        16, at_least=4, help="size of the race on inputs of lower rank and on uneven spectra"
    )
    rprop_outputs: int = parameter(32, at_least=2, help="N where Rprop's break is looked for")
    repeats: int = parameter(2, at_least=1, unit="trials", help="matrices of the race")
    ablation_repeats: int = parameter(
        1, at_least=1, unit="trials", help="matrices of ablation, scans and model"
    )
    batches: int = parameter(500, at_least=20, unit="updates", help="updates of every run")
    batch_size: int = parameter(32, at_least=2, unit="samples", help="samples of each update")
    race: tuple[str, ...] = parameter(tuple(RACE), choices=tuple(RACE), help="methods of the race")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "sizes": (8,),
        "model_sizes": (8, 16),
        "fixed_size": 16,
        "spectrum_size": 8,
        "rprop_outputs": 8,
        "batches": 40,
        "batch_size": 8,
        "race": ("SGD", "Adam", "Rprop", "Muon", "SOAP", "schedule-free SGD", "Sophia", "L-BFGS"),
    },
    "quick": {},
    "paper": {
        "sizes": (64, 256, 1024),
        "model_sizes": (8, 16, 32, 64, 128, 256, 512, 1008),
        "fixed_size": 1024,
        "spectrum_size": 256,
        "rprop_outputs": 64,
        "repeats": 5,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the smaller sizes first."""
    trained = _trained(p)
    shared = {"batches": p.batches, "batch_size": p.batch_size}
    result = [
        *({"kind": "measured", **cell} for cell in trained),
        *({"kind": "model", **cell} for cell in trained),
        *(
            {
                "kind": "sgd",
                "size": m,
                "rank": rank,
                "repeats": p.repeats,
                "batch_size": p.batch_size,
            }
            for m in p.sizes
            for rank in ((m, m // 4) if m == max(p.sizes) else (m,))
        ),
        *(
            {"kind": "floors", "size": m, "repeats": p.ablation_repeats, **shared}
            for m in p.model_sizes
        ),
        *_ablations(p),
        *(
            {"kind": "race", "method": method, "repeats": p.repeats, **shared, **task}
            for task in _tasks(p)
            for method in p.race
        ),
    ]
    return sorted(result, key=lambda cell: cell.get("m", cell["size"]) * cell["size"])


def _trained(p: Parameters) -> list[dict[str, Any]]:
    """Return the settings that are both measured and modelled, as cells of `matrix_recovery`."""
    square: dict[str, Any] = {
        "repeats": p.ablation_repeats,
        "batches": p.batches,
        "batch_size": p.batch_size,
        "clip": 1.0,
        "weight_decay": 0.01,
        "bias": True,
        "judged_on": "fresh samples",
        "methods": list(METHODS),
        "learning_rates": [],
    }
    result = [
        {"part": "sizes", "sweep": sweep, "size": size, "m": m, "n": n, **square, **change}
        for sweep, change in FIGURES.items()
        for size in p.model_sizes
        for m, n in [text.shape(sweep, size, p.fixed_size)]
    ]

    def scan(part: str, method: str, size: int, m: int, **change: Any) -> dict[str, Any]:
        own = {"part": part, "sweep": part, "size": size, "m": m, "n": size}
        return {**own, **square, "methods": [method], **change}

    result += [
        scan("lion", "Lion", size, size, rate=rate, learning_rates=[f"Lion={rate:g}"])
        for size in p.sizes
        for rate in (0.001, 0.00316, 0.01, 0.0316, 0.1)
    ]
    result += [
        scan("bias", "SGD", size, size, rate=rate, learning_rates=[f"SGD={rate:g}"], **change)
        for size in p.sizes[:1]
        for change in ({"weight_decay": 0.0, "bias": True}, {"weight_decay": 0.0, "bias": False})
        for rate in (0.0125, 0.025, 0.03, 0.035, 0.05, 0.1, 0.2, 0.4)
    ]
    result += [
        scan(
            "rprop",
            "Rprop",
            p.rprop_outputs,
            round(ratio * batch),
            batch_size=batch,
            bias=False,
            batches=times * p.batches,
        )
        for batch, times in (
            (p.batch_size // 2, 1),
            (p.batch_size, 1),
            (2 * p.batch_size, 1),
            (p.batch_size, 4),
        )
        for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
    ]
    return result


def _ablations(p: Parameters) -> list[dict[str, Any]]:
    return [
        {
            "kind": "ablation",
            "size": size,
            "m": size,
            "n": size,
            "repeats": p.ablation_repeats,
            "batches": p.batches,
            "batch_size": p.batch_size,
            "clip": clip,
            "weight_decay": decay,
            "bias": bias,
            "judged_on": "fresh samples",
        }
        for size in p.sizes
        for clip in (1.0, NONE)
        for decay in (0.01, 0.0)
        for bias in (True, False)
    ]


def _tasks(p: Parameters) -> list[dict[str, Any]]:
    """Return the problems of the race: square ones, then inputs of lower rank, then a spectrum."""
    size = p.spectrum_size
    ranks = {max(2, size // part): None for part in (4, 16)}
    tasks = {(size, size, "flat"): None for size in (*p.sizes, size)}
    tasks |= {(size, rank, "flat"): None for rank in ranks} | {(size, size, "1 to 5"): None}
    return [{"size": m, "rank": rank, "spectrum": spectrum} for m, rank, spectrum in tasks]


def memory(p: Parameters) -> int:
    """Return the peak bytes: streams in float64, and a dozen tensors of each trial's size."""
    top = max(*p.sizes, *p.model_sizes, p.fixed_size, p.spectrum_size)
    stream = 2 * p.batches * p.batch_size * top * 2 * 8
    return p.ablation_repeats * stream + 12 * 8 * top**2 * len(METHODS) + 2**29


# --- layers, and the crowd in their place ---------------------------------------------------------


def _measured(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train real layers, exactly as `matrix_recovery` does."""
    return text.RUNS["check"](cell, device)


def _model(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train the crowd with the same methods, in float32 on the CPU."""
    m, n, steps = cell["m"], cell["n"], cell["batches"]
    rates = text.overrides(tuple(cell["learning_rates"]))
    methods = [text.setting(name, cell["weight_decay"], rates) for name in cell["methods"]]
    problem, start = draw_mean_field(
        m,
        n,
        scale=target_scale(m, n, of=(text.NAME, m, n, "scale")),
        batch=cell["batch_size"],
        steps=steps,
        clip=None if cell["clip"] == NONE else cell["clip"],
        bias=cell["bias"],
        trials=len(methods),
        of=(NAME, "mean field", m, n),
    )
    ends = torch.tensor([*range(1, text.ENDS + 1), *range(steps - text.ENDS + 1, steps + 1)])
    result = train(
        problem,
        start.repeat(len(methods), 1),
        methods,
        steps,
        batches=InOrder(steps + 1, 1, (0,) * len(methods)),
        record=ends,
    )
    first, last = result.loss.double().split(text.ENDS, 1)
    table = pd.DataFrame({"method": cell["methods"]}).assign(
        snr_db=_db(first.mean(1) / last.mean(1)),
        true_snr_db=_db(cell["batch_size"] / last.mean(1)),  # E||y||^2 is 1 a sample
    )
    return {"model": table}


def _db(ratio: Tensor) -> np.ndarray:
    return (10 * ratio.log10()).float().numpy(force=True)


# --- ablation -------------------------------------------------------------------------------------


def _ablation(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run every method at every rate of the grid; then the text's and the best four times longer.

    The best rate is the best in hindsight: of the grid, on the matrices that it is judged on.
    """
    names = [name for name in METHODS if cell["weight_decay"] == 0 or name not in NEVER_DECAYED]
    middle = {name: METHODS[name][0] for name in names}
    tried = pd.concat(
        [
            _run_at({name: factor * rate for name, rate in middle.items()}, cell, device)
            for factor in GRID
        ]
    )
    score = tried.true_snr_db.fillna(-np.inf)
    mean = score.groupby([tried.method, tried.rate], sort=False).mean()
    best = {name: mean[name].idxmax() for name in names}
    longer = {**cell, "batches": 4 * cell["batches"]}
    long = [_run_at(rates, longer, device) for rates in (middle, best)]
    columns = ["method", "rate", "repeat", "batches", "snr_db", "true_snr_db"]
    table = pd.concat([tried, *long]).drop_duplicates(["method", "rate", "repeat", "batches"])
    return {"ablation": table[columns].reset_index(drop=True)}


def _run_at(rates: Mapping[str, float], cell: Mapping[str, Any], device: str) -> pd.DataFrame:
    chosen = {
        "methods": list(rates),
        "learning_rates": [f"{name}={rate}" for name, rate in rates.items()],
    }
    table = text.RUNS["check"]({**cell, **chosen}, device)["snr"]
    return table.assign(rate=table.method.map(dict(rates)), batches=cell["batches"])


# --- SGD's step, and what knows more than a gradient ----------------------------------------------


def _sgd(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run SGD from zero at steps around the best one, in float64; return true SNRs.

    The closed forms take the inputs' rank in place of M.
    """
    m, rank, size = cell["size"], cell["rank"], cell["batch_size"]
    batches = max(1, round(REACH / theory.sgd_db(rank, size, 1)))
    best = theory.best_step(rank, size)
    kind = {"dtype": torch.float64, "device": device, "rank": rank}
    rows = []
    for repeat in range(cell["repeats"]):
        task = draw_task(m, batches + 1, size, of=(NAME, "sgd", m, rank, repeat), **kind)
        settings = [Method("SGD")(step * best / 2) for step in STEPS]
        result = train(
            task.problem.take([0] * len(STEPS)),
            torch.zeros(len(STEPS), m * m, dtype=torch.float64, device=device),
            settings,
            batches,
            batches=InOrder(batches * size, size, (0,) * len(STEPS)),
            record=torch.tensor([batches]),
        )
        ends = result.point.unflatten(1, (m, m))
        rows += [(step, repeat, task.snr_db(end)) for step, end in zip(STEPS, ends, strict=True)]
    table = pd.DataFrame(rows, columns=["step", "repeat", "true_snr_db"])
    predicted = {step: theory.sgd_db(rank, size, batches, step * best) for step in STEPS}
    return {"sgd": table.assign(batches=batches, predicted_db=table.step.map(predicted))}


def _floors(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run SGD at its best step, Kaczmarz one by one and in blocks, and least squares, from zero.

    The first three run on the error itself, which they multiply by a matrix that knows no Phi:
    nothing is rounded there, and their SNRs are cut at `CAP`.
    """
    m, size, steps = cell["size"], cell["batch_size"], cell["batches"]
    solved = {f"least squares, {name} samples": n for name, n in _sample_numbers(m).items()}
    predicted = {
        "SGD": theory.sgd_db(m, size, steps),
        "block Kaczmarz": theory.kaczmarz_db(m, size, steps),
        "Kaczmarz": theory.kaczmarz_db(m, 1, steps * size),
        **{method: theory.least_squares_db(m, n) for method, n in solved.items()},
    }
    rows = []
    for repeat in range(cell["repeats"]):
        name = (NAME, "floors", m, repeat)
        phi = draw_matrix(m, m, of=(*name, "Phi")).to(device)
        x = draw_inputs(steps * size, m, torch.float64, of=(*name, "x")).to(device)
        blocks = x.unflatten(0, (steps, size))
        left = {
            "SGD": _reduce(phi, blocks, partial(_descend, step=theory.best_step(m, size))),
            "block Kaczmarz": _reduce(phi, blocks, _project),
            "Kaczmarz": _reduce(phi, x.unsqueeze(1), _project),
            **{method: phi - _solve(x[:n], x[:n] @ phi) for method, n in solved.items()},
        }
        rows += [
            (method, repeat, float(_db(m / error.square().sum())), predicted[method])
            for method, error in left.items()
        ]
    table = pd.DataFrame(rows, columns=["method", "repeat", "true_snr_db", "predicted_db"])
    both = ["true_snr_db", "predicted_db"]
    return {"floors": table.assign(**table[both].clip(upper=CAP))}


def _sample_numbers(m: int) -> dict[str, int]:
    return {"M/2": m // 2, "M − 1": m - 1, "M": m, "2M": 2 * m}


def _solve(x: Tensor, y: Tensor) -> Tensor:
    """Return the least-squares solution (M, N) of least norm."""
    return torch.from_numpy(np.linalg.lstsq(x.numpy(force=True), y.numpy(force=True))[0]).to(x)


def _reduce(error: Tensor, batches: Tensor, update: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Apply an update to the error (M, N) batch by batch, until it is beyond `CAP`."""
    start = error.square().sum()
    for step, rows in enumerate(batches):
        error = update(error, rows)
        if step % 10 == 0 and error.square().sum() < start * 10 ** (-CAP / 10):
            break
    return error


def _descend(error: Tensor, rows: Tensor, step: float) -> Tensor:
    """Take SGD's step a (twice the learning rate) on the error (M, N)."""
    return error - step * (rows.T @ (rows @ error))


def _project(error: Tensor, rows: Tensor) -> Tensor:
    """Take from the error its part in the span of the inputs ``rows`` (samples, M)."""
    basis = torch.linalg.qr(rows.T)[0]
    return error - basis @ (basis.T @ error)


# --- the race -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One trial of the race: a stream without bias, and what is to be learned from it.

    Attributes
    ----------
    problem : one trial; every step has samples of its own
    phi : (M, M)
    basis : (M, rank), orthonormal: the inputs' subspace, in which E[x x^T] is I/rank
    """

    problem: MatrixRecovery
    phi: Tensor
    basis: Tensor

    def snr_db(self, found: Tensor) -> float:
        """Return E||y||^2 over E||y - p||^2 in dB for weights ``found`` (M, M), in float64."""
        phi, basis = self.phi.double(), self.basis.double()
        left = (basis.T @ (found.T.double() - phi)).square().sum()
        return float(_db((basis.T @ phi).square().sum() / left))


def draw_task(
    m: int,
    batches: int,
    size: int,
    *,
    of: tuple[object, ...],
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    rank: int | None = None,
    spectrum: str = "flat",
) -> Task:
    """Draw inputs in a subspace of ``rank``, all by default, and a square Phi.

    The spectrum "1 to 5" spaces Phi's singular values evenly, their mean square still 1.
    """
    x = draw_inputs(batches * size, rank or m, torch.float64, of=(*of, "x"))
    phi = draw_matrix(m, m, of=(*of, "Phi"))
    if spectrum != "flat":
        values = torch.linspace(1, 5, m, dtype=torch.float64)
        phi = phi * (values / values.square().mean().sqrt()) @ orthonormal(m, m, of=(*of, "right"))
    basis = torch.eye(m, dtype=torch.float64)
    if rank and rank < m:
        basis = orthonormal(m, rank, of=(*of, "inputs"))
        x = x @ basis.T
    x, phi, basis = (tensor.to(device, dtype) for tensor in (x, phi, basis))
    inputs = x.unflatten(0, (batches, size))
    targets = (inputs @ phi).mT.contiguous()
    return Task(MatrixRecovery((inputs,), (targets,), (0,), size), phi, basis)


def _race(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Search on one matrix, judge on others: the true SNR after one pass over the samples."""
    middle, optimizer, settings = RACE[cell["method"]]
    schedules = SCHEDULES[:1] if optimizer == "LBFGS" else SCHEDULES
    combinations = [(schedule, factor * middle) for schedule in schedules for factor in GRID]
    tried = pd.DataFrame(combinations, columns=["schedule", "rate"])
    method = Method(optimizer, settings)
    tried["true_snr_db"] = _finish(cell, method, combinations, "search", device)
    best = tried.loc[tried.true_snr_db.fillna(-np.inf).idxmax()]
    at_edge = bool(best.rate in (tried.rate.min(), tried.rate.max()))
    final = [
        (repeat, *_finish(cell, method, [(best.schedule, best.rate)], repeat, device))
        for repeat in range(cell["repeats"])
    ]
    table = pd.DataFrame(final, columns=["repeat", "true_snr_db"])
    return {
        "search": tried,
        "race": table.assign(schedule=best.schedule, rate=best.rate, at_edge=at_edge),
    }


def _finish(
    cell: Mapping[str, Any],
    method: Method,
    combinations: Sequence[tuple[str, float]],
    repeat: int | str,
    device: str,
) -> list[float]:
    """Return the true SNRs in dB of a method at schedules and rates, all on one matrix."""
    m, rank, size, steps = cell["size"], cell["rank"], cell["batch_size"], cell["batches"]
    name = (NAME, "race", m, rank, repeat)  # the same samples for every spectrum
    kind = {"rank": rank, "spectrum": cell["spectrum"]}
    task = draw_task(m, steps, size, of=name, device=device, **kind)
    start = draw_start(m, m, False, of=(*name, "start")).float().to(device)
    found = []
    for schedule, rate in combinations:
        with torch.random.fork_rng():
            torch.manual_seed(seeds.seed(*name, "optimizer"))
            if method.optimizer == "LBFGS":
                end = _stored(task.problem, start, method(rate))
            else:
                end = train_alone(
                    task.problem,
                    start,
                    method(rate),
                    steps,
                    shape=(m, m),
                    batches=InOrder(steps * size, size, (0,)),
                    decay=schedule != SCHEDULES[0],
                    curvature=_curvature(task.problem) if method.optimizer == "SophiaH" else None,
                )
        found.append(task.snr_db(end.view(m, m)))
    return found


def _curvature(problem: MatrixRecovery) -> Any:
    """Return step -> the diagonal of that batch's Hessian, 2 sum_i x_ij^2 for every output."""
    inputs = problem.inputs[0]
    return lambda step: 2 * inputs[step].square().sum(0).expand(problem.targets[0].shape[1], -1)


def _stored(problem: MatrixRecovery, start: Tensor, setting: Setting) -> Tensor:
    """Run L-BFGS on all samples at once, through their second moments, in float64."""
    x = problem.inputs[0].flatten(0, 1).double()
    y = problem.targets[0].mT.flatten(0, 1).double()
    gram, cross = x.T @ x / len(x), y.T @ x / len(x)
    point = torch.nn.Parameter(start.double().view(cross.shape).clone())
    optimizer = torch.optim.LBFGS([point], lr=setting.learning_rate, **setting.method.settings)

    def loss() -> Tensor:
        with torch.no_grad():
            half = point @ gram
            point.grad = 2 * (half - cross)
            return ((half - 2 * cross) * point).sum()

    for _ in range(PASSES):
        optimizer.step(loss)
    return point.detach().float().flatten()


RUNS = {
    "measured": _measured,
    "model": _model,
    "ablation": _ablation,
    "sgd": _sgd,
    "floors": _floors,
    "race": _race,
}
