r"""Chapter `egop_linear_networks`: linear networks in EGOP coordinates (document 4, 6, C.2, D.5).

A trial is one data matrix with decaying singular values, one matrix M to learn, one initialization,
and the coordinates that minibatch gradients at the law of initializations give: of all parameters,
of each factor, of the first one only, and a random rotation as a control. A cell trains it by every
method at every rate in every coordinate system, in lockstep on the same batches, so that all share
each product with a basis, with a rate that falls along a cosine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.rates import decades
from hdnotes.measures import egop
from hdnotes.optimizers import BASIC
from hdnotes.problems.convex import decaying_matrix
from hdnotes.problems.linear_network import (
    CondensedNetwork,
    LinearNetwork,
    condensed,
    mean_squares,
    shapes,
    xavier_points,
)
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.scheduled_training import Arm, train_scheduled
from hdnotes.schedules import cosine_annealing

NAME = "egop_linear_networks"
VERSION = 1
TITLE = "Linear networks in EGOP coordinates"

METHODS = {
    "Adam": BASIC["Adam"],
    "Adagrad": BASIC["Adagrad"],
    "SGD": BASIC["GD"],
    "SGD + momentum": BASIC["GD + momentum"],
}
#: First and last power of ten of each method's rates: calibrated, the text prints none.
RATES = {"Adam": (-3, 0), "Adagrad": (-2, 1), "SGD": (0, 4), "SGD + momentum": (0, 3)}
COORDINATES = ("original", "EGOP", "block", "first layer", "random")
#: Gradient descent does not see the coordinates: one rotation shows it.
SEEN = {
    "Adam": COORDINATES,
    "Adagrad": COORDINATES,
    "SGD": COORDINATES[:2],
    "SGD + momentum": COORDINATES[:2],
}
#: Methods and rates that are run in single precision as well, and in which coordinates.
SINGLE = {"Adam": 0.1, "Adagrad": 0.1}
SINGLE_IN = ("original", "EGOP", "first layer")
#: Intervals between the epochs of a curve that are kept.
KEPT = 40


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    hidden: tuple[int, ...] = parameter((20, 12), at_least=1, help="hidden widths of the network")
    features: int = parameter(10, at_least=2, help="inputs, and as many outputs")
    samples: int = parameter(
        10_000, at_least=50, unit="samples", help="of training; a fifth more each to validate, test"
    )
    decay: float = parameter(2.0, at_least=0, help="singular values of the data are k^-decay")
    trials: int = parameter(5, at_least=1, unit="trials", help="data, targets and starts")
    epochs: int = parameter(60, at_least=2, unit="epochs", help="of training")
    batch_size: int = parameter(
        500, at_least=1, unit="samples", help="minibatch of training and EGOP, at most samples"
    )
    gradients_per_parameter: float = parameter(
        2.0, above=0, help="gradients that estimate the EGOP over parameters, M/p"
    )
    rates_per_decade: int = parameter(
        1, choices=(1, 2, 4), help="learning rates a decade: {1}, {1, 4} or {1, 2, 4, 8} x 10^k"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "hidden": (8, 6),
        "features": 5,
        "samples": 500,
        "trials": 2,
        "epochs": 8,
        "batch_size": 50,
    },
    "quick": {},
    "paper": {"hidden": (50, 30), "trials": 10, "epochs": 1000, "rates_per_decade": 4},
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, a cell a trial."""
    size = min(p.batch_size, p.samples)
    return [
        {
            "widths": [p.features, *p.hidden, p.features],
            "samples": p.samples,
            "decay": p.decay,
            "batch_size": size,
            "gradients_per_parameter": p.gradients_per_parameter,
            "epochs": p.epochs,
            "rates_per_decade": p.rates_per_decade,
            "trial": trial,
        }
        for trial in range(p.trials)
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: the gradients' decomposition and the bases."""
    weights = sum(math.prod(shape) for shape in shapes((p.features, *p.hidden, p.features)))
    basis = 8 * weights**2 * (3 * max(p.gradients_per_parameter, 1) + 8)
    return int(basis) + 2**29


# --- a trial ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One problem, one initialization, and the coordinates in which it is trained.

    Attributes
    ----------
    network : on the training part, one trial
    parts : condensed, for looking: the mean loss over each part, name -> network
    start : (1, parameters)
    bases : coordinates -> blocks
    stream : seed of the batches
    """

    network: LinearNetwork
    parts: Mapping[str, LinearNetwork]
    start: Tensor
    bases: Mapping[str, tuple[Block, ...]]
    stream: int


def draw_trial(cell: Mapping[str, Any], device: str) -> Trial:
    """Draw a problem and estimate its EGOP, of all parameters and of each factor, in float64."""
    widths, samples, size = tuple(cell["widths"]), cell["samples"], cell["batch_size"]
    of = (NAME, cell["trial"])
    held = samples // 5
    sigma = torch.arange(1, widths[0] + 1, dtype=torch.float64) ** -cell["decay"]
    whole = decaying_matrix(samples + 2 * held, sigma, of=(*of, "A")).to(device)
    truth = seeds.normal(widths[-1], widths[0], of=(*of, "M")).to(device)
    train, *others = (part.T for part in whole.split([samples, held, held]))

    def network(inputs: Tensor) -> LinearNetwork:
        return LinearNetwork(widths, mean_squares, (inputs,), (truth @ inputs,), (0,))

    problem = network(train)
    count = math.ceil(cell["gradients_per_parameter"] * problem.parameters)
    points = xavier_points(widths, count, of=(*of, "rho")).to(device)
    gradients = egop.sample_gradients(problem, points, _batches(samples, size, count, of, device))
    control = egop.random_basis(problem.parameters, of=(*of, "control")).to(device)
    parts = zip(("loss", "validation", "test"), (train, *others), strict=True)
    return Trial(
        problem,
        {name: network(condensed(inputs)) for name, inputs in parts},
        xavier_points(widths, 1, of=(*of, "start")).to(device),
        _bases(gradients, widths, control),
        seeds.seed(*of, "shuffles") % 2**40,
    )


def _batches(samples: int, size: int, count: int, of: tuple[object, ...], device: str) -> Tensor:
    """Draw the minibatch of each gradient, (count, size), without replacement."""
    chosen = seeds.generator(*of, "rho", "batches")
    rows = [torch.randperm(samples, generator=chosen)[:size] for _ in range(count)]
    return torch.stack(rows).to(device)


def _bases(
    gradients: Tensor, widths: tuple[int, ...], control: Tensor
) -> dict[str, tuple[Block, ...]]:
    """Return the basis of each coordinate system, all from the same gradients."""
    factors = [math.prod(shape) for shape in shapes(widths)]
    ends = torch.tensor(factors).cumsum(0).tolist()
    layers = [slice(end - size, end) for end, size in zip(ends, factors, strict=True)]
    everything = slice(0, ends[-1])
    block = tuple(Block(at, egop.eigenbasis(gradients[:, at]).vectors) for at in layers)
    return {
        "original": (),
        "EGOP": (Block(everything, egop.eigenbasis(gradients).vectors),),
        "block": block,
        "first layer": block[:1],
        "random": (Block(everything, control),),
    }


# --- training -----------------------------------------------------------------------------------


class Tried(NamedTuple):
    """One run of a start: its labels."""

    method: str
    learning_rate: float
    coordinates: str


def race(
    trial: Trial,
    tried: Sequence[Tried],
    cell: Mapping[str, Any],
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Train the start by each method at each rate in each coordinate system.

    Returns
    -------
    Tensor
        Mean loss on the training, validation and test part before the first and after each epoch,
        (runs, epochs + 1, 3).
    """
    an_epoch = trial.network.samples // cell["batch_size"]
    problem = _in(trial, [one.coordinates for one in tried], dtype)
    start = problem.coordinates(trial.start.to(dtype).expand(len(tried), -1))
    factor = cosine_annealing(cell["epochs"], an_epoch)
    settings = [(setting, len([*runs])) for setting, runs in groupby(tried, lambda one: one[:2])]
    starts = start.split([count for _, count in settings])
    arms = [
        Arm(METHODS[name], rate * factor, own)
        for ((name, rate), _), own in zip(settings, starts, strict=True)
    ]
    looks = [part.take([0] * len(tried)) for part in trial.parts.values()]

    def losses(point: Tensor) -> Tensor:
        at = problem.original(point).double()
        return torch.stack([part.loss_and_gradient(at)[0] for part in looks], 1)

    run = train_scheduled(
        problem,
        arms,
        batches=Shuffled(trial.network.samples, cell["batch_size"], (trial.stream,) * len(tried)),
        record=torch.arange(cell["epochs"] + 1) * an_epoch,
        observe={"losses": losses},
    )
    return run.observed["losses"].cpu()


def _in(trial: Trial, coordinates: Sequence[str], dtype: torch.dtype) -> Rotated:
    """Return the training problem, a row for each of the coordinate systems named."""
    network = trial.network
    inputs, targets = (tuple(x.to(dtype) for x in xs) for xs in (network.inputs, network.targets))
    used = {name: number for number, name in enumerate(dict.fromkeys(coordinates))}
    bases = tuple(
        tuple(Block(at, vectors.to(dtype)) for at, vectors in trial.bases[name]) for name in used
    )
    rows = (0,) * len(coordinates)
    cast = CondensedNetwork(network.widths, network.outer, inputs, targets, rows)
    return Rotated(cast, bases, tuple(used[name] for name in coordinates))


def run(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train a trial in every way; adaptive methods at one rate in single precision, too."""
    trial = draw_trial(cell, device)
    tried = [
        Tried(name, rate, coordinates)
        for name, powers in RATES.items()
        for rate in decades(*powers, cell["rates_per_decade"])
        for coordinates in SEEN[name]
    ]
    once = [Tried(*one, coordinates) for one in SINGLE.items() for coordinates in SINGLE_IN]
    tables = [
        _tables(tried, "float64", race(trial, tried, cell)),
        _tables(once, "float32", race(trial, once, cell, torch.float32)),
    ]
    return {name: pd.concat([t[name] for t in tables], ignore_index=True) for name in tables[0]}


def _tables(tried: Sequence[Tried], precision: str, losses: Tensor) -> dict[str, pd.DataFrame]:
    """Return each run's end, and its training loss at some epochs."""
    labels = pd.DataFrame(tried, columns=Tried._fields).assign(precision=precision)
    best = losses[:, :, 1].nan_to_num(math.inf).amin(1)
    ends = labels.assign(
        final_loss=losses[:, -1, 0].numpy(),
        best_validation=best.numpy(),
        validation_loss=losses[:, -1, 1].numpy(),
        test_loss=losses[:, -1, 2].numpy(),
    )
    epochs = losses.shape[1] - 1
    kept = sorted({round(epochs * k / KEPT) for k in range(KEPT + 1)})
    long = labels.loc[labels.index.repeat(len(kept))].reset_index(drop=True)
    values = losses[:, kept, 0].float().flatten().numpy()
    return {"ends": ends, "curves": long.assign(epoch=kept * len(labels), loss=values)}
