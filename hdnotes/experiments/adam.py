r"""Chapter `adam`: the history of Adam in five steps, each with its test (document 3).

Cells of kind *rates* minimise convex functions with and without momentum, *streams* feed the real
classes of torch.optim with given gradients and set their moves beside formulas, *noise* and
*spikes* look at the size of a move, *scale* multiplies all gradients of a training run, and
*ablation* trains a network with each part of Adam taken away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.parameters import parameter
from hdnotes.gradient_streams import moves
from hdnotes.optimizers import Method
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.hard_convex import Hard, log_spaced, log_sum_exp_of, worst
from hdnotes.problems.scaled import Scaled
from hdnotes.scheduled_training import Arm, train_scheduled
from hdnotes.theory import adam as theory
from hdnotes.theory.convex_rates import nesterov_momentum
from hdnotes.training import record_steps

NAME = "adam"
VERSION = 1
TITLE = "Adam, part by part"

WIDTHS = (64, 32, 10)
#: eps where it is to be 0: pixels that are always white have a gradient of exactly 0.
NO_EPS = 1e-150
#: Factors of all gradients.
FACTORS = tuple(10.0**k for k in (-10, -8, -7, -6, -4, -2, 1, 3))
#: Noise of a gradient over its mean.
NOISES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, math.inf)
#: Bias correction matters while a move without it is more than this many times as long.
CORRECTED = 1.5
#: Streams after a long silence.
ONE, STEADY, GROWING = "one gradient", "the same gradient from now on", "gradients that grow"
#: Entries of a stream of gradients.
ENTRIES = 400
FULL, NO_MOMENTUM, NO_CORRECTION, NO_ADAPTATION = (
    "Adam",
    "without momentum",
    "without bias correction",
    "without adaptive steps",
)
#: Learning rates of the ablation: for Adam and, without adaptive steps, for SGD with momentum.
RATES = tuple(10 ** (k / 2) for k in range(-8, 0))
SGD_RATES = tuple(100 * rate for rate in RATES)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    trials: int = parameter(5, at_least=1, unit="trials", help="repetitions of every experiment")
    rate_steps: int = parameter(
        1000, at_least=100, unit="updates", help="updates on the convex problems"
    )
    d: int = parameter(200, at_least=10, unit="dimensions", help="dimension of the quadratics")
    train_steps: int = parameter(
        400, at_least=50, unit="updates", help="updates of the network on the digits"
    )
    batch_size: int = parameter(32, at_least=1, unit="samples", help="samples of each update")
    stream_steps: int = parameter(
        4000, at_least=100, unit="gradients", help="length of the noisy streams"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"trials": 2, "rate_steps": 200, "d": 50, "train_steps": 60, "stream_steps": 1000},
    "quick": {},
    "paper": {
        "trials": 20,
        "rate_steps": 10_000,
        "d": 400,
        "train_steps": 5000,
        "stream_steps": 10_000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed."""
    network = {"trials": p.trials, "steps": p.train_steps, "batch_size": p.batch_size}
    return [
        *(
            {"kind": "rates", "problem": name, "d": p.d, "steps": p.rate_steps, "trials": p.trials}
            for name in ("quadratic", "log-sum-exp")
        ),
        {"kind": "rates", "problem": "worst", "d": 2 * p.d + 1, "steps": p.d, "trials": 1},
        {"kind": "streams", "trials": p.trials},
        {"kind": "correction", "trials": p.trials},
        {"kind": "noise", "trials": p.trials, "steps": p.stream_steps},
        {"kind": "spikes"},
        {"kind": "scale", **network},
        {"kind": "ablation", **network},
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: matrices and points, streams, and what every update leaves."""
    convex = 8 * (p.trials * 8 * p.d**2 + 12 * (2 * p.d + 1) ** 2 + 64 * p.trials * p.d)
    streams = 3 * 8 * p.stream_steps * len(NOISES) * ENTRIES
    rows = max(len(FACTORS) * 6, len(RATES) * 4) * p.trials
    inside = 8 * rows * (12 * 2410 + p.batch_size * 4 * sum(WIDTHS))
    paths = 4 * 8 * (rows * p.train_steps + 4 * p.trials * p.rate_steps)
    return convex + streams + inside + paths + 2**28


# --- rates on convex problems ---------------------------------------------------------------------


def _rates(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Minimise a convex problem with plain gradients and three kinds of momentum."""
    hard, share = _hard(cell)
    steps = cell["steps"]
    rates = torch.full((steps,), share / hard.smoothness, dtype=torch.float64)
    growing = torch.tensor([nesterov_momentum(step) for step in range(steps)])
    start = hard.start.to(device)
    nesterov = {"momentum": 0.5, "nesterov": True}
    arms = {
        "GD": Arm(Method("SGD"), rates, start),
        "GD + momentum": Arm(Method("SGD", {"momentum": 0.9}), rates, start),
        "Nesterov, constant": Arm(Method("SGD", {**nesterov, "momentum": 0.9}), rates, start),
        "Nesterov": Arm(Method("SGD", nesterov), rates, start, momenta=growing),
    }
    problem = hard.problem.take([*range(len(start))] * len(arms))
    run = train_scheduled(
        _to(problem, device), list(arms.values()), batches=None, record=torch.tensor([]), observe={}
    )
    record = record_steps(steps, 80)
    above = run.loss.cpu()[:, record] - hard.minimum.repeat(len(arms)).unsqueeze(1)
    table = _long(above, record, "suboptimality", arms, len(start))
    distance = hard.distance[table.trial.tolist()].numpy()
    return {"rates": table.assign(smoothness=hard.smoothness, distance=distance)}


def _hard(cell: Mapping[str, Any]) -> tuple[Hard, float]:
    """Return a problem and its learning rate over 1/L; log-sum-exp is steeper away from its end."""
    if cell["problem"] == "worst":
        return worst(cell["d"]), 1.0
    if cell["problem"] == "quadratic":
        return log_spaced(cell["trials"], cell["d"], 10, of=(NAME, "quadratic")), 1.0
    samples, d = cell["d"], cell["d"] // 2
    return log_sum_exp_of(cell["trials"], samples, d, 8, of=(NAME, "log-sum-exp", d)), 0.5


def _to(problem: Any, device: str) -> Any:
    """Return a convex problem with its data on a device."""
    inputs, targets = (
        tuple(t.to(device) for t in part) for part in (problem.inputs, problem.targets)
    )
    return type(problem)(problem.outer, inputs, targets, problem.data_of)


def _long(
    values: Tensor, record: Tensor, name: str, arms: Sequence[str] | Mapping[str, Any], trials: int
) -> pd.DataFrame:
    """Return values (arms x trials, records) as one row an arm, trial and record."""
    index = pd.MultiIndex.from_product(
        [list(arms), range(trials), record.tolist()], names=["method", "trial", "step"]
    )
    return pd.DataFrame({name: values.flatten().numpy(force=True)}, index=index).reset_index()


# --- streams of given gradients -------------------------------------------------------------------


def _streams(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Set the moves of Adagrad, RMSprop and Adam beside formulas, on random gradients."""
    rows = []
    for trial in range(cell["trials"]):
        g = seeds.normal(50, 20, of=(NAME, "streams", trial))
        rows += [(trial, formula, gap) for formula, gap in _gaps(g.to(device)).items()]
    return {"streams": pd.DataFrame(rows, columns=["trial", "formula", "gap"])}


def _gaps(g: Tensor) -> dict[str, float]:
    """Return the largest relative gap between a method's moves and each formula."""
    count = torch.arange(1, len(g) + 1, dtype=g.dtype, device=g.device).unsqueeze(1)
    total = g.square().cumsum(0)
    adagrad = moves(Method("Adagrad", {"eps": NO_EPS}), g)
    mixed = torch.cat([g[:-1].flip(0), g[-1:]])
    alpha, betas = 0.9, (0.9, 0.99)
    first, second = (_average(x, beta) for x, beta in zip((g, g.square()), betas, strict=True))
    hats = (first / (1 - betas[0] ** count), second / (1 - betas[1] ** count))
    rms = moves(Method("RMSprop", {"alpha": alpha, "eps": NO_EPS}), g)
    adam = moves(Method("Adam", {"betas": betas, "eps": NO_EPS}), g)
    pairs = {
        "Adagrad, inverse mean of squares": (adagrad, g / (total / count)),
        "Adagrad, inverse root of the mean": (adagrad, g / (total / count).sqrt()),
        "Adagrad, inverse root of the sum": (adagrad, g / total.sqrt()),
        "Adagrad, past in another order": (
            adagrad[-1:],
            moves(Method("Adagrad", {"eps": NO_EPS}), mixed)[-1:],
        ),
        "RMSprop, weights alpha^k": (rms, g / _average(g.square(), alpha).sqrt()),
        "RMSprop, past in another order": (
            rms[-1:],
            moves(Method("RMSprop", {"alpha": alpha, "eps": NO_EPS}), mixed)[-1:],
        ),
        "Adam, its three parts": (adam, hats[0] / hats[1].sqrt()),
        "Adam, no correction": (adam, first / second.sqrt()),
    }
    return {name: float(((a - b).abs() / b.abs()).max()) for name, (a, b) in pairs.items()}


def _average(values: Tensor, beta: float) -> Tensor:
    """Return (1 - beta) sum_k beta^k of the values k steps ago, at every step, from zero."""
    result, now = torch.empty_like(values), torch.zeros_like(values[0])
    for step, value in enumerate(values):
        now = beta * now + (1 - beta) * value
        result[step] = now
    return result


def _correction(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure what bias correction does to the first moves: Adam without momentum over RMSprop."""
    tables = []
    for beta in (0.9, 0.99, 0.999):
        steps, trials = round(5 / (1 - beta)), range(cell["trials"])
        record = record_steps(steps - 1, 60)
        draws = [seeds.normal(steps, 20, of=(NAME, "correction", beta, trial)) for trial in trials]
        g = torch.stack(draws, 1).to(device)
        adam = moves(Method("Adam", {"betas": (0.0, beta), "eps": NO_EPS}), g)
        plain = moves(Method("RMSprop", {"alpha": beta, "eps": NO_EPS}), g)
        ratio = (plain / adam).abs().mean(2).T
        matters = (ratio < CORRECTED).int().argmax(1) + 1
        for trial in trials:
            path = {"step": record.numpy() + 1, "ratio": ratio[trial, record].numpy(force=True)}
            named = {"beta": beta, "trial": trial, "matters": int(matters[trial])}
            tables.append(pd.DataFrame(path).assign(**named))
    return {"correction": pd.concat(tables, ignore_index=True)}


def _noise(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure Adam's moves on gradients 1 + noise z, or z alone."""
    rows = []
    for trial in range(cell["trials"]):
        z = seeds.normal(cell["steps"], ENTRIES, of=(NAME, "noise", trial)).to(device)
        g = torch.stack([z if math.isinf(noise) else 1 + noise * z for noise in NOISES], 1)
        late = moves(Method("Adam", {"eps": NO_EPS}), g)[cell["steps"] // 2 :]
        sizes, progress = (x.mean((0, 2)).tolist() for x in (late.abs(), late))
        rows += [(trial, *row) for row in zip(NOISES, sizes, progress, strict=True)]
    table = pd.DataFrame(rows, columns=["trial", "noise", "size", "progress"])
    return {"noise": table}


def _spikes(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure Adam's move at one gradient after silence, and on gradients that grow."""
    quiet, length, betas = 10_000, 200, (0.9, 0.999)
    time = torch.arange(length, dtype=torch.float64, device=device)
    streams = {ONE: (time == 0).double(), STEADY: time**0, GROWING: (betas[1] / betas[0]) ** time}
    silence = torch.zeros(quiet, len(streams), dtype=torch.float64, device=device)
    stream = torch.cat([silence, torch.stack(list(streams.values()), 1)])
    found = moves(Method("Adam", {"betas": betas, "eps": NO_EPS}), stream)[quiet:]
    table = _long(found.T, time.long() + 1, "move", list(streams), 1)
    return {"spikes": table.rename(columns={"method": "stream"}).drop(columns="trial")}


# --- training the network on the digits -----------------------------------------------------------


def _network(rows: int, device: str) -> Classifier:
    data = datasets.digits(dtype=torch.float64).train
    inputs, labels = data.inputs.to(device) / 16, data.labels.to(device)
    return Classifier(WIDTHS, inputs, labels, (0,) * rows)


def _starts(trials: int, device: str) -> Tensor:
    return torch.cat(
        [draw_points(WIDTHS, 1, "xavier", of=(NAME, "start", trial)) for trial in range(trials)]
    ).to(device)


def _batches(cell: Mapping[str, Any], arms: int, samples: int) -> Shuffled:
    streams = tuple(seeds.seed(NAME, trial, "batches") % 2**40 for trial in range(cell["trials"]))
    return Shuffled(samples, cell["batch_size"], streams * arms)


#: Methods whose gradients are multiplied: class and settings, learning rate.
SCALED: Mapping[str, tuple[Method, float]] = {
    "Adam, eps = 0": (Method("Adam", {"eps": NO_EPS}), 0.003),
    "Adam": (Method("Adam"), 0.003),
    "RMSprop, eps = 0": (Method("RMSprop", {"eps": NO_EPS}), 0.001),
    "Adagrad, eps = 0": (Method("Adagrad", {"eps": NO_EPS}), 0.01),
}
#: What multiplies gradients beside a number: a factor between about 10^-4 and 10^4 for each weight.
EACH = "each parameter its own"


def _scale(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train with all gradients multiplied, and compare the ends with those of factor 1."""
    start, trials = _starts(cell["trials"], device), cell["trials"]
    rows = []
    for name, (method, rate) in SCALED.items():
        rates = torch.full((cell["steps"],), rate, dtype=torch.float64)
        arms = [Arm(method, rates, start) for _ in (1.0, *FACTORS)]
        factors = torch.tensor((1.0, *FACTORS), dtype=torch.float64, device=device)
        run = _train_scaled(cell, arms, factors.repeat_interleave(trials).unsqueeze(1), device)
        gap = _gap(run, trials)
        rows += [
            (name, f"{factor:g}", factor, trial, float(gap[arm + 1, trial]))
            for arm, factor in enumerate(FACTORS)
            for trial in range(trials)
        ]
    method, rate = SCALED["Adam, eps = 0"]
    rates = torch.full((cell["steps"],), rate, dtype=torch.float64)
    own = 10 ** (2 * seeds.normal(start.shape[1], of=(NAME, "each"))).to(device)
    both = torch.stack([torch.ones_like(own), own]).repeat_interleave(trials, 0)
    gap = _gap(_train_scaled(cell, [Arm(method, rates, start)] * 2, both, device), trials)
    rows += [("Adam, eps = 0", EACH, math.nan, t, float(gap[1, t])) for t in range(trials)]
    columns = ["method", "change", "factor", "trial", "gap"]
    return {"scale": pd.DataFrame(rows, columns=columns)}


def _train_scaled(
    cell: Mapping[str, Any], arms: Sequence[Arm], factors: Tensor, device: str
) -> Tensor:
    """Return where the rows of all arms end with their gradients multiplied."""
    problem = Scaled(_network(len(factors), device), factors)
    batches = _batches(cell, len(arms), problem.samples)
    return train_scheduled(
        problem, arms, batches=batches, record=torch.tensor([]), observe={}
    ).point


def _gap(points: Tensor, trials: int) -> Tensor:
    """Return ||theta - theta_first|| / ||theta_first|| of each arm and trial."""
    ends = points.unflatten(0, (-1, trials))
    return (ends - ends[0]).norm(dim=2) / ends[0].norm(dim=1)


def _ablation(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train with Adam, and with each of its parts taken away, over a grid of learning rates."""
    start, steps = _starts(cell["trials"], device), cell["steps"]
    one = torch.ones(steps, dtype=torch.float64)
    ratio = torch.tensor([theory.correction(step + 1, 0.9, 0.999) for step in range(steps)])
    variants = {
        FULL: (Method("Adam"), RATES, one),
        NO_MOMENTUM: (Method("Adam", {"betas": (0.0, 0.999)}), RATES, one),
        NO_CORRECTION: (Method("Adam"), RATES, ratio.double()),
        NO_ADAPTATION: (Method("SGD", {"momentum": 0.9, "dampening": 0.9}), SGD_RATES, one),
    }
    keys = [(name, rate) for name, (_, rates, _) in variants.items() for rate in rates]
    arms = [Arm(variants[name][0], rate * variants[name][2], start) for name, rate in keys]
    problem = _network(len(arms) * cell["trials"], device)
    run = train_scheduled(
        problem,
        arms,
        batches=_batches(cell, len(arms), problem.samples),
        record=torch.tensor([]),
        observe={},
    )
    loss = run.loss.nan_to_num(torch.inf).unflatten(0, (len(arms), -1))
    early, late = loss[..., : steps // 10].mean(2), loss[..., -steps // 4 :].mean(2)
    rows = [
        (name, rate, trial, float(early[arm, trial]), float(late[arm, trial]))
        for arm, (name, rate) in enumerate(keys)
        for trial in range(cell["trials"])
    ]
    return {"ablation": pd.DataFrame(rows, columns=["variant", "lr", "trial", "early", "late"])}


RUNS = {
    "rates": _rates,
    "streams": _streams,
    "correction": _correction,
    "noise": _noise,
    "spikes": _spikes,
    "scale": _scale,
    "ablation": _ablation,
}
