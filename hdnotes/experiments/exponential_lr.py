r"""Chapter `exponential_lr`: weight decay as an exponentially growing learning rate (document 3).

Cells of kind *lemma* look at gradients of scale-invariant losses at single points, *norms* at how
the length of the weights changes, *twins* train a network with weight decay beside the run without
it that should compute the same functions, *reordered* beside the same run whose batches are summed
in another order, *adam* does so for AdamW, *overflow* trains the growing rate to the end of
float32, and *equilibrium* times how fast the effective rate settles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.parameters import parameter
from hdnotes.optimizers import Method
from hdnotes.problems.normalized import Normalized, Perceptron, ResNet, draw_weights
from hdnotes.problems.rayleigh import Rayleigh
from hdnotes.scheduled_training import Arm, ScheduledRun, train_scheduled
from hdnotes.theory import scale_invariance as theory

NAME = "exponential_lr"
VERSION = 1
TITLE = "Exponential learning rates"

#: What Li and Arora train with on CIFAR-10; an epoch in updates.
PUBLISHED = {"rate": 0.1, "weight_decay": 0.0005, "momentum": 0.9, "epoch": 391}
#: The growth of the learning rate that they give: it is an epoch's.
PUBLISHED_GROWTH = 1.481
#: Factors that weights are multiplied with to test the scale law.
SCALES = tuple(10.0**k for k in (-6, -3, -1, 1, 3, 6))
#: eps of torch's batch normalization, unless told otherwise.
TORCH_EPS = 1e-5
#: Adam's eps here: 0 but where a gradient is exactly 0, as at pixels that are always white.
ADAM_EPS = 1e-150
#: Records of a run, and trials whose records are kept.
RECORDS, KEPT = 40, 5
#: Trials in float32, where what separates two runs is a rare event.
RARE = 15
#: Trials of the residual network.
RESIDUAL_TRIALS = 5
#: Images that outputs are compared on, at most.
JUDGED = 1200

DECAY, GROWTH, NEITHER = "weight decay", "growing rate", "neither"
ZERO_BUFFER, EVERY_STEP = "growing rate, buffer zero", "1.481 an update"
SAME_BETAS = "growing rate, betas unchanged"
REORDERED = "weight decay, other order"
#: Pairs that are held against a run beside itself: those long enough for rounding to grow.
LONG = (
    "theorem",
    "steps",
    "cosine",
    "tanh",
    "float32",
    "float32, tanh",
    "resnet",
    "resnet, cosine",
)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    steps: int = parameter(3000, at_least=50, unit="updates", help="updates of every pair of runs")
    trials: int = parameter(5, at_least=1, unit="trials", help="starts, each with its own batches")
    width: int = parameter(32, at_least=2, unit="units", help="width of two hidden layers")
    batch_size: int = parameter(  # in float32 batches are twice as large, of 3,823 digits
        32, at_least=4, at_most=1911, unit="samples", help="samples of each update"
    )
    rate: float = parameter(0.1, above=0, help="learning rate, eta")
    weight_decay: float = parameter(0.005, above=0, help="weight decay, lambda")
    momentum: float = parameter(0.9, at_least=0, at_most=0.99, help="momentum, g")
    residual_steps: int = parameter(
        0, at_least=0, unit="updates", help="updates of the residual network; 0 leaves it out"
    )
    channels: int = parameter(8, at_least=1, help="channels of the residual network")

    def __post_init__(self) -> None:
        try:
            theory.growth(self.momentum, self.weight_decay * self.rate)  # refuses what has no twin
        except ValueError as error:
            limit = (1 - self.momentum**0.5) ** 2 / self.rate
            raise ValueError(
                f"weight_decay = {self.weight_decay:g} is above {limit:.3g}, its limit at rate = "
                f"{self.rate:g}: {error}."
            ) from error


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 60, "trials": 2, "width": 8, "batch_size": 16},
    "quick": {},
    "paper": {
        "steps": 6000,
        "trials": 10,
        "width": 128,
        "batch_size": 128,
        "residual_steps": 3000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the theorem first."""
    shared = {"trials": p.trials, "batch_size": p.batch_size, "width": p.width}
    twins = {
        "kind": "twins",
        "network": "relu",
        "schedule": "constant",
        "momentum": p.momentum,
        "rate": p.rate,
        "weight_decay": p.weight_decay,
        "dtype": "float64",
        "eps": 0.0,
        "controls": [],
        "steps": p.steps,
        **shared,
    }
    published = {name: PUBLISHED[name] for name in ("rate", "weight_decay", "momentum")}
    half = {"steps": p.steps // 2}
    single = {"dtype": "float32", "trials": RARE, "batch_size": 2 * p.batch_size}
    long, short = (min(p.steps, most) for most in (1500, 400))
    parts: dict[str, dict[str, Any]] = {
        "theorem": {"controls": [ZERO_BUFFER, NEITHER]},
        "no momentum": {"momentum": 0.0},
        "steps": {"schedule": "steps"},
        "cosine": {"schedule": "cosine"},
        "rayleigh": {"network": "rayleigh", **half},
        "tanh": {"network": "tanh", **half},
        "eps": {"eps": TORCH_EPS, **half},
        "float32": single,
        "float32, tanh": {**single, "network": "tanh"},
        "published": {**published, "controls": [EVERY_STEP], "steps": short},
    }
    if p.residual_steps:
        residual = {"network": "resnet", "steps": p.residual_steps, "width": p.channels}
        residual |= {"trials": RESIDUAL_TRIALS, "batch_size": 64}
        parts |= {"resnet": residual, "resnet, cosine": {**residual, "schedule": "cosine"}}
    return [
        {"kind": "lemma", "network": "relu", "dtype": "float64", "eps": 0.0, **shared},
        {"kind": "lemma", "network": "relu", "dtype": "float64", "eps": TORCH_EPS, **shared},
        {"kind": "lemma", "network": "relu", "dtype": "float32", "eps": 0.0, **shared},
        {"kind": "lemma", "network": "rayleigh", "dtype": "float64", "eps": 0.0, **shared},
        {"kind": "norms", "rate": p.rate, "weight_decay": p.weight_decay, "steps": short, **shared},
        *({**twins, "part": part, **change} for part, change in parts.items()),
        *(
            {**twins, "part": part, **parts[part], **beside}
            for part in LONG
            if part in parts
            for beside in [{"kind": "reordered", "controls": [], "trials": min(p.trials, KEPT)}]
        ),
        {"kind": "adam", "rate": 0.01, "weight_decay": 0.2, "steps": long, **shared},
        *(
            {"kind": "overflow", "momentum": g, "rate": 0.1, "weight_decay": decay, **shared}
            for g, decay in ((0.0, 0.4), (0.0, 0.8), (0.8, 0.08))
        ),
        *(
            {"kind": "equilibrium", "method": method, "momentum": g, "rate": rate, **more, **shared}
            for method, g, rate, decays in (
                ("SGD", 0.0, 0.1, (0.04, 0.16)),
                ("SGD", 0.9, 0.1, (0.004, 0.016)),
                ("AdamW", 0.9, 0.01, (0.8, 3.2)),
            )
            for decay in decays
            for more in [{"weight_decay": decay, "steps": long}]
        ),
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: data, activations of a test set, and what every update leaves."""
    rows = 4 * p.trials
    inside = 8 * max(p.batch_size, JUDGED) * rows * 3 * (64 + 2 * p.width)
    point = 8 * 8 * rows * (64 * p.width + p.width**2)
    images = 2 * 8 * 70_000 * 784 + 8 * 10 * 500 * 8 * p.channels * 200 if p.residual_steps else 0
    return inside + point + images + 5 * 8 * rows * p.steps + 2**28


# --- problems, starts and batches -----------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """A problem of one row, with what is judged and where its trials start."""

    problem: Any
    inputs: Tensor
    labels: Tensor
    start: Tensor


def _task(cell: Mapping[str, Any], device: str) -> _Task:
    """Build a cell's problem and draw the starts of its trials."""
    dtype, network = getattr(torch, cell.get("dtype", "float64")), cell.get("network", "relu")
    if network == "resnet":
        data, scale = datasets.fashion_mnist(None, dtype=dtype), 1.0
    else:
        data, scale = datasets.digits(dtype=dtype), 16.0
    inputs, test = (part.inputs.to(device) / scale for part in (data.train, data.test))
    keep = slice(500) if network == "resnet" else slice(JUDGED)
    seen, labels = test[keep], data.test.labels[keep].to(device)
    if network == "rayleigh":
        problem: Any = Rayleigh(inputs - inputs.mean(0), (0,))
        shapes: list[tuple[int, ...]] = [(1, problem.parameters)]
    else:
        architecture = _architecture(network, cell["width"], cell.get("eps", 0.0), dtype, device)
        problem = Normalized(architecture, inputs, data.train.labels.to(device), (0,))
        shapes = architecture.shapes()
    starts = [
        draw_weights(shapes, of=(NAME, network, cell["width"], trial, "start"))
        for trial in range(cell["trials"])
    ]
    return _Task(problem, seen, labels, torch.stack(starts).to(device, dtype))


def _architecture(
    network: str, width: int, eps: float, dtype: torch.dtype, device: str
) -> Perceptron | ResNet:
    top = 2 * width if network == "resnet" else width
    head = seeds.normal(10, top, of=(NAME, network, width, "head")) / top**0.5
    head = head.to(device, dtype)
    if network == "resnet":
        return ResNet(width, head, eps)
    return Perceptron((64, width, width), head, eps, getattr(torch, network))


def _train(
    task: _Task, cell: Mapping[str, Any], arms: Sequence[Arm], records: int, **looks: Any
) -> tuple[Tensor, ScheduledRun]:
    """Train arms of the cell's trials, every arm on the same batches; return the records' steps."""
    steps = len(arms[0].rates)
    record = torch.linspace(0, steps, min(records, steps) + 1).round().long()
    streams = _streams(cell, "batches") * len(arms)
    batches = Shuffled(task.problem.samples, cell["batch_size"], streams)
    rows = task.problem.take([0] * len(arms) * cell["trials"])
    return record, train_scheduled(rows, arms, batches=batches, record=record, observe=looks)


def _streams(cell: Mapping[str, Any], purpose: str) -> tuple[int, ...]:
    """Return a seed for each trial's batches, small enough for an epoch's number beside it."""
    return tuple(seeds.seed(NAME, trial, purpose) % 2**40 for trial in range(cell["trials"]))


# --- lemma ----------------------------------------------------------------------------------------


def _lemma(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Test both parts of the lemma at random points, and map the loss round one of them."""
    task = _task(cell, device)
    streams = _streams(cell, "lemma")
    batch = Shuffled(task.problem.samples, cell["batch_size"], streams).at(0)
    problem = task.problem.take([0] * cell["trials"])
    theta = task.start
    _, gradient = problem.loss_and_gradient(theta, batch)
    product = (gradient * theta).sum(1).abs() / (gradient.norm(dim=1) * theta.norm(dim=1))
    tables = []
    for scale in SCALES:
        _, scaled = problem.loss_and_gradient(scale * theta, batch)
        gap = (scale * scaled - gradient).norm(dim=1) / gradient.norm(dim=1)
        values = {"orthogonality": product, "scale_gap": gap}
        tables.append(_rows(values).assign(scale=scale))
    exact = cell["network"] == "relu" and cell["dtype"] == "float64" and cell["eps"] == 0
    plane = {"plane": _plane(problem, theta, gradient, batch)} if exact else {}
    return {"lemma": pd.concat(tables, ignore_index=True), **plane}


def _plane(problem: Any, theta: Tensor, gradient: Tensor, batch: Tensor) -> pd.DataFrame:
    """Return the loss of trial 0 on the plane of its point and gradient, in units of its length.

    The point is (1, 0) and the gradient points along the second axis.
    """
    along = torch.linspace(0.05, 2.55, 41, dtype=theta.dtype, device=theta.device)
    x, y = torch.cartesian_prod(along, along - 1.3).T
    across = gradient[0] / gradient[0].norm() * theta[0].norm()
    points = x.unsqueeze(1) * theta[0] + y.unsqueeze(1) * across
    loss, _ = problem.take([0] * len(points)).loss_and_gradient(
        points, batch[:1].expand(len(points), -1)
    )
    lengths = gradient[0].norm() / theta[0].norm()
    return _rows({"x": x, "y": y, "loss": loss}).drop(columns="trial").assign(slope=lengths.item())


def _rows(values: Mapping[str, Tensor]) -> pd.DataFrame:
    """Return one row a trial."""
    table = pd.DataFrame({name: value.double().numpy(force=True) for name, value in values.items()})
    return table.rename_axis("trial").reset_index()


# --- norms ----------------------------------------------------------------------------------------


def _norms(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow the length of the weights with and without momentum and weight decay."""
    task = _task(cell, device)
    rates = torch.full((cell["steps"],), cell["rate"], dtype=torch.float64)
    grid = [(g, decay) for g in (0.0, 0.9) for decay in (0.0, cell["weight_decay"])]
    arms = [
        Arm(Method("SGD", {"momentum": g, "weight_decay": decay}), rates, task.start)
        for g, decay in grid
    ]
    record, run = _train(task, cell, arms, 100)
    before, after = run.squared_norm[:, :-1], run.squared_norm[:, 1:]
    right = before + cell["rate"] ** 2 * run.squared_gradient[:, :-1]
    ends = _rows(
        {
            "identity_gap": ((after - right) / right).abs().amax(1),
            "falling": (after < before).double().mean(1),
        }
    )
    path = _rows({str(int(step)): run.squared_norm[:, step].sqrt() for step in record})
    path = path.melt("trial", var_name="step", value_name="norm").astype({"step": int})
    return {
        name: table.assign(
            momentum=[grid[row // cell["trials"]][0] for row in table.trial],
            decay=[grid[row // cell["trials"]][1] for row in table.trial],
            trial=table.trial % cell["trials"],
        )
        for name, table in (("norms", ends), ("norm_path", path))
    }


# --- twins ----------------------------------------------------------------------------------------


def schedule(name: str, rate: float, steps: int) -> Tensor:
    """Return the learning rates (steps,) of a schedule: constant, steps or cosine.

    Examples
    --------
    >>> schedule("steps", 1.0, 4).tolist()
    [1.0, 1.0, 0.1, 0.010000000000000002]
    """
    time = torch.arange(steps, dtype=torch.float64)
    if name == "cosine":
        return rate * (1 + torch.cos(torch.pi * time / steps)) / 2
    falls = (time >= steps / 2).double() + (time >= 3 * steps / 4).double()
    return rate * (0.1**falls if name == "steps" else torch.ones_like(time))


def _twins(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train with weight decay and with the growing rate that should do the same."""
    task = _task(cell, device)
    rate, decay, g = cell["rate"], cell["weight_decay"], cell["momentum"]
    rates = schedule(cell["schedule"], rate, cell["steps"])
    plain = Method("SGD", {"momentum": g})
    if cell["schedule"] == "constant":
        grown = theory.constant_twin(rate, decay, g, cell["steps"])
        first = theory.first_buffer(task.start, rate, decay, g) if g else None
    else:
        grown, first = theory.twin(rates, decay, g).rates, None
    every = rate * PUBLISHED_GROWTH ** torch.arange(cell["steps"], dtype=torch.float64)
    arms = {
        DECAY: Arm(Method("SGD", {"momentum": g, "weight_decay": decay}), rates, task.start),
        GROWTH: Arm(plain, grown, task.start, first),
        ZERO_BUFFER: Arm(plain, grown, task.start),
        NEITHER: Arm(plain, rates, task.start),
        EVERY_STEP: Arm(plain, every, task.start),
    }
    chosen = [DECAY, GROWTH, *cell["controls"]]
    return _compare(task, cell, {name: arms[name] for name in chosen})


@dataclass(frozen=True)
class Reordered(Normalized):
    """Trials whose second half adds up every batch in reverse order; parameters are the same."""

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d) on batches of samples' numbers."""
        assert batch is not None
        first, second = batch.tensor_split(2)
        return super().loss_and_gradient(point, torch.cat([first, second.flip(1)]))


def _reordered(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train with weight decay twice: rounding alone, and what training makes of it, differs."""
    task = _task(cell, device)
    problem = Reordered(**{one.name: getattr(task.problem, one.name) for one in fields(Normalized)})
    rates = schedule(cell["schedule"], cell["rate"], cell["steps"])
    decayed = Method("SGD", {"momentum": cell["momentum"], "weight_decay": cell["weight_decay"]})
    arms = dict.fromkeys((DECAY, REORDERED), Arm(decayed, rates, task.start))
    return _compare(replace(task, problem=problem), cell, arms)


def _adam(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train AdamW beside the Adam with a growing rate that should do the same."""
    task = _task(cell, device)
    betas = (0.9, 0.999)
    rates = torch.full((cell["steps"],), cell["rate"], dtype=torch.float64)
    twin = theory.adam_twin(cell["rate"], cell["weight_decay"], betas, cell["steps"])
    still = Method("Adam", {"betas": betas, "eps": ADAM_EPS})
    decayed = Method(
        "AdamW", {"betas": betas, "eps": ADAM_EPS, "weight_decay": cell["weight_decay"]}
    )
    arms = {
        DECAY: Arm(decayed, rates, task.start),
        GROWTH: Arm(Method("Adam", {"betas": twin.betas, "eps": ADAM_EPS}), twin.rates, task.start),
        SAME_BETAS: Arm(still, twin.rates, task.start),
        NEITHER: Arm(still, rates, task.start),
    }
    return _compare(task, cell, arms)


def _compare(task: _Task, cell: Mapping[str, Any], arms: Mapping[str, Arm]) -> dict[str, Any]:
    """Train the arms and compare each with the first, trial by trial.

    Tables: *curve*, a row an arm, trial and record, with means and largest gaps since the record
    before; *twin*, a row an arm and trial, over the whole run.
    """
    trials = cell["trials"]
    record, run = _train(task, cell, list(arms.values()), RECORDS, judged=_judge(task, len(arms)))
    first = run.loss[:trials].repeat(len(arms), 1)
    loss_gap = (run.loss - first).abs()
    output_gap, error = run.observed["judged"].double().unbind(2)
    rates = torch.stack([arm.rates for arm in arms.values()]).to(run.loss.device)
    rates = torch.cat([rates, rates[:, -1:]], 1).repeat_interleave(trials, 0)
    effective = rates / run.squared_norm
    values = {
        "loss": _since(run.loss, record, torch.mean),
        "loss_gap": _since(loss_gap, record, torch.amax),
        "output_gap": output_gap,
        "error": error,
        "rate": rates[:, record],
        "effective_rate": effective[:, record],
        "squared_norm": run.squared_norm[:, record],
        "squared_gradient": _since(run.squared_gradient, record, torch.mean),
    }
    names = np.repeat(list(arms), trials)
    index = {"arm": np.repeat(names, len(record)), "trial": np.tile(range(trials), len(arms))}
    index["trial"] = np.repeat(index["trial"], len(record))
    curve = pd.DataFrame(index | {"step": np.tile(record.numpy(), len(names))})
    curve = curve.assign(**{k: v.flatten().numpy(force=True) for k, v in values.items()})
    half = cell["steps"] // 2
    ends = _rows(
        {
            "loss_gap": loss_gap.amax(1),
            "output_gap": output_gap.amax(1),
            "error": error[:, -1],
            "last_loss": run.loss[:, half:].mean(1),
            "growth": rates[:, -1] / rates[:, 0],
            "effective_growth": effective[:, -2] / effective[:, 0],
        }
    )
    ends = ends.assign(arm=names, trial=ends.trial % trials)
    small = ["loss", "loss_gap", "output_gap", "error", "effective_rate"]
    kept = curve[curve.trial < KEPT].reset_index(drop=True)
    return {"curve": kept.astype(dict.fromkeys(small, "float32")), "twin": ends}


def _judge(task: _Task, arms: int) -> Callable[[Tensor], Tensor]:
    """Return a look: the largest gap of outputs to the first arm, and the share of errors."""

    @torch.no_grad()
    def look(point: Tensor) -> Tensor:
        out = task.problem.outputs(point, task.inputs.expand(len(point), -1, -1)).unflatten(
            0, (arms, -1)
        )
        gap = (out - out[:1]).abs().flatten(2).amax(2).flatten()
        if out.dim() == 3:  # no classes
            return torch.stack([gap, torch.full_like(gap, torch.nan)], 1)
        wrong = out.argmax(-1).ne(task.labels).to(gap).mean(-1).flatten()
        return torch.stack([gap, wrong], 1)

    return look


def _since(path: Tensor, record: Tensor, gather: Callable[..., Tensor]) -> Tensor:
    """Gather a path (rows, steps + 1) over the steps since the record before, that one excluded."""
    ends = (record + 1).tolist()
    begins = [0, *ends[:-1]]
    return torch.stack([gather(path[:, a:b], 1) for a, b in zip(begins, ends, strict=True)], 1)


# --- overflow -------------------------------------------------------------------------------------


def _overflow(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train the growing rate in float32 until the rate itself is too large for it."""
    cell = {**cell, "dtype": "float32"}
    task = _task(cell, device)
    rate, decay, g = cell["rate"], cell["weight_decay"], cell["momentum"]
    predicted = theory.overflow_step(rate, decay, g, torch.finfo(torch.float32).max)
    grown = theory.constant_twin(rate, decay, g, int(predicted))
    first = theory.first_buffer(task.start, rate, decay, g) if g else None
    _, run = _train(task, cell, [Arm(Method("SGD", {"momentum": g}), grown, task.start, first)], 1)
    over = ~run.squared_gradient.isfinite() | run.squared_gradient.eq(0)
    stop = torch.where(over.any(1), over.int().argmax(1), torch.tensor(torch.nan))
    before = torch.where(over.cummax(1).values, torch.nan, run.loss)[:, -400:].nanmean(1)
    values = {"stop": stop, "loss_before": before, "loss_after": run.loss[:, -1]}
    return {"overflow": _rows(values).assign(predicted=predicted)}


# --- equilibrium ----------------------------------------------------------------------------------


def _equilibrium(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Time how fast a start of twice the length is forgotten; measure the angle of an update."""
    task = _task(cell, device)
    rates = torch.full((cell["steps"],), cell["rate"], dtype=torch.float64)
    settings: dict[str, Any] = {"weight_decay": cell["weight_decay"]}
    adam = cell["method"] == "AdamW"
    settings |= {"eps": ADAM_EPS} if adam else {"momentum": cell["momentum"]}
    method = Method(cell["method"], settings)
    arms = [Arm(method, rates, factor * task.start) for factor in (1, 2)]
    record, run = _train(task, cell, arms, 60)
    power = 1 if adam else 2  # of the squared norm: what decays exponentially
    one, two = (run.squared_norm**power).split(cell["trials"])
    half = cell["steps"] // 2
    ends = _rows(
        {
            "rotation": run.rotation[: cell["trials"], half:].square().mean(1).sqrt(),
            "settled": _fall_time(two / one - 1),
        }
    )
    path = _rows({str(int(step)): rates[0] / run.squared_norm[:, step] for step in record})
    path = path.melt("trial", var_name="step", value_name="effective_rate").astype({"step": int})
    start = np.where(path.trial < cell["trials"], "start", "twice the start")
    path = path.assign(start=start, trial=path.trial % cell["trials"])
    return {"equilibrium": ends, "settling": path}


def _fall_time(excess: Tensor) -> Tensor:
    """Return the steps an e-fold takes, from where (rows, steps) is first below 1 to below 0.1."""
    times = []
    for row in excess:
        first, last = (int((row < level).int().argmax()) for level in (1.0, 0.1))
        fall = float((row[first] / row[last]).log())
        times.append((last - first) / fall if last > first else np.nan)
    return torch.tensor(times, dtype=torch.float64)


RUNS = {
    "lemma": _lemma,
    "norms": _norms,
    "twins": _twins,
    "reordered": _reordered,
    "adam": _adam,
    "overflow": _overflow,
    "equilibrium": _equilibrium,
}
