r"""Chapter `egop_images`: EGOP coordinates for networks that classify images (document 4, 6, C.2).

A cell of kind *digits* or *Fashion* is one trial: one initialization, the basis that minibatch
gradients at the law of initializations give each weight matrix, and every method at every rate in
original, EGOP and randomly rotated coordinates, in lockstep on the same batches. *rounding* follows
gradient descent, which should not see the coordinates, in two precisions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from hdnotes import datasets, seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.rates import decades
from hdnotes.long_training import Look, Visit, train_long
from hdnotes.measures import egop
from hdnotes.optimizers import BASIC, Method, Setting
from hdnotes.problems.classifier import (
    Classifier,
    draw_points,
    draw_uniform_points,
    layers,
    log_probabilities,
)
from hdnotes.problems.rotated import Block, Rotated

NAME = "egop_images"
VERSION = 1
TITLE = "Images"

#: Input, hidden and output widths (D.4); Fashion-MNIST is pooled to 14 x 14 pixels first.
WIDTHS = {"digits": (64, 32, 10), "Fashion": (196, 20, 4)}
#: First and last power of ten of each method's rates: around the best of the authors' code
#: (digits), calibrated (Fashion).
RATES = {
    "digits": {
        "Adam": (-3, -1),
        "Adagrad": (-3, -1),
        "SGD": (-3, -1),
        "SGD + momentum": (-4, -2),
    },
    "Fashion": {
        "Adam": (-4, -1),
        "Adagrad": (-3, 0),
        "SGD": (-2, 0),
        "SGD + momentum": (-3, -1),
    },
}
COORDINATES = ("original", "EGOP", "random")
#: Where gradient descent is followed in two precisions: the best rates of the authors' code.
ROUNDING = {"SGD": 0.04, "SGD + momentum": 0.004}
#: Epochs of a curve that are kept.
KEPT = 25
#: Networks evaluated together.
TOGETHER = 12


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    data: tuple[str, ...] = parameter(("digits",), choices=tuple(WIDTHS), help="data sets")
    digits_trials: int = parameter(
        5, at_least=1, unit="trials", help="initializations on the digits"
    )
    fashion_trials: int = parameter(
        5, at_least=1, unit="trials", help="initializations on Fashion-MNIST"
    )
    digits_epochs: int = parameter(40, at_least=2, unit="epochs", help="of training")
    fashion_epochs: int = parameter(5, at_least=2, unit="epochs", help="of training")
    rounding_epochs: int = parameter(
        10, at_least=1, unit="epochs", help="of gradient descent in two precisions"
    )
    batch_size: int = parameter(
        300, at_least=1, at_most=1797, unit="samples", help="minibatch of training and EGOP"
    )
    gradients_per_weight: float = parameter(
        1.0, above=0, help="gradients that estimate the EGOP over weights, M/p"
    )
    rates_per_decade: int = parameter(
        1, choices=(1, 2, 4), help="learning rates a decade: {1}, {1, 4} or {1, 2, 4, 8} x 10^k"
    )
    adagrad_start: float = parameter(
        0.0, at_least=0, help="Adagrad's first accumulator: 0 in torch, 0.1 in Optax"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "digits_trials": 2,
        "digits_epochs": 3,
        "rounding_epochs": 2,
        "gradients_per_weight": 0.05,
        "digits_file": "tes",
    },
    "quick": {},
    "paper": {
        "data": ("digits", "Fashion"),
        "digits_trials": 50,
        "fashion_trials": 10,
        "digits_epochs": 200,
        "fashion_epochs": 40,
        "rates_per_decade": 4,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: a trial a cell, the first of each data set first."""
    trials = {"digits": p.digits_trials, "Fashion": p.fashion_trials}
    epochs = {"digits": p.digits_epochs, "Fashion": p.fashion_epochs}
    shared = {
        "file": p.digits_file,
        "batch_size": p.batch_size,
        "gradients_per_weight": p.gradients_per_weight,
    }
    race = {"rates_per_decade": p.rates_per_decade, "adagrad_start": p.adagrad_start}
    result = [
        {"kind": name, "data": name, "epochs": epochs[name], **shared, **race, "trial": trial}
        for trial in range(max(trials.values()))
        for name in p.data
        if trial < trials[name]
    ]
    exact = {"kind": "rounding", "data": p.data[0], "epochs": p.rounding_epochs}
    return [{**exact, **shared, "trial": 0}, *result]


def memory(p: Parameters) -> int:
    """Return the peak bytes: the gradients' decomposition, and the data."""
    weights = max(sum(layer.inputs * layer.outputs for layer in layers(WIDTHS[d])) for d in p.data)
    basis = 8 * weights**2 * (2 * max(p.gradients_per_weight, 1) + 4)
    return int(basis) + (2**29 if p.data == ("digits",) else 2**30)


# --- a trial ------------------------------------------------------------------------------------


@cache
def images(name: str, file: str) -> dict[str, datasets.Part]:
    """Return the parts of a data set as the networks see them.

    The digits' file "tes", which needs no download, serves as all three parts: for trying only.
    """
    if name == "digits" and file == "tes":
        return dict.fromkeys(("train", "validation", "test"), datasets.digits_rows("tes"))
    whole = datasets.digits() if name == "digits" else datasets.fashion_mnist()
    parts = {part: getattr(whole, part) for part in ("train", "validation", "test")}
    if name == "digits":
        return parts
    return {
        part: datasets.Part(datasets.max_pooled(images.inputs), images.labels)
        for part, images in parts.items()
    }


def draw(name: str, count: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw initializations (count, d), rho's draws as well: Xavier or, on Fashion, torch's own."""
    if name == "digits":
        return draw_points(WIDTHS[name], count, "xavier", of=of)
    return draw_uniform_points(WIDTHS[name], count, of=of)


@dataclass(frozen=True)
class Trial:
    """One initialization and the coordinates in which it is trained.

    Attributes
    ----------
    parts : the data set
    network : on the training part, one trial
    start : (1, d), float64
    bases : of original, EGOP and random coordinates, each a tuple of blocks
    stream : seed of the batches
    """

    parts: Mapping[str, datasets.Part]
    network: Classifier
    start: Tensor
    bases: tuple[tuple[Block, ...], ...]
    stream: int


def draw_trial(cell: Mapping[str, Any], dtype: torch.dtype, device: str) -> Trial:
    """Draw an initialization and estimate the EGOP of each weight matrix (D.5), in float64."""
    name, of = cell["data"], (NAME, cell["data"], cell["trial"])
    parts = {
        part: datasets.Part(images.inputs.to(device, dtype), images.labels.to(device))
        for part, images in images(name, cell["file"]).items()
    }
    widths, train = WIDTHS[name], parts["train"]
    weights = [layer.weight for layer in layers(widths)]
    count = math.ceil(cell["gradients_per_weight"] * sum(at.stop - at.start for at in weights))
    points = draw(name, count, of=(*of, "rho")).to(device)
    chosen = seeds.generator(*of, "rho", "batches")
    batches = torch.stack(
        [torch.randperm(len(train.labels), generator=chosen)[: cell["batch_size"]] for _ in points]
    )
    exact = Classifier(widths, train.inputs.double(), train.labels, (0,))
    gradients = egop.sample_gradients(exact, points, batches.to(device))
    found = tuple(Block(at, egop.eigenbasis(gradients[:, at]).vectors.to(dtype)) for at in weights)
    turned = tuple(
        Block(
            at,
            egop.random_basis(at.stop - at.start, of=(*of, "control", at.start)).to(device, dtype),
        )
        for at in weights
    )
    return Trial(
        parts,
        Classifier(widths, train.inputs, train.labels, (0,)),
        draw(name, 1, of=(*of, "start")).to(device),
        ((), found, turned),
        seeds.seed(*of, "shuffles") % 2**40,
    )


def _train(
    trial: Trial,
    settings: Sequence[Setting],
    coordinates: Sequence[str],
    epochs: int,
    batch: int,
    observe: Mapping[str, Look],
) -> Any:
    """Train the same start by each setting in each coordinate system, on the same batches."""
    rows = len(settings) * len(coordinates)
    numbers = tuple(COORDINATES.index(name) for name in coordinates) * len(settings)
    problem = Rotated(trial.network.take([0] * rows), trial.bases, numbers)
    an_epoch = trial.network.samples // batch
    start = trial.start.to(trial.network.inputs.dtype).expand(rows, -1)
    return train_long(
        problem,
        problem.coordinates(start),
        [setting for setting in settings for _ in coordinates],
        epochs * an_epoch,
        batches=Shuffled(trial.network.samples, batch, (trial.stream,) * rows),
        every=an_epoch,
        record=torch.arange(epochs + 1) * an_epoch,
        observe=observe,
    )


def _images(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Run every method at every rate in the three coordinate systems."""
    trial = draw_trial(cell, torch.float32, device)
    adagrad = Method("Adagrad", {"initial_accumulator_value": cell["adagrad_start"]})
    methods = {
        "Adam": BASIC["Adam"],
        "Adagrad": adagrad,
        "SGD": BASIC["GD"],
        "SGD + momentum": BASIC["GD + momentum"],
    }
    tried = [
        (name, rate)
        for name, span in RATES[cell["data"]].items()
        for rate in decades(*span, cell["rates_per_decade"])
    ]
    observe = {
        "loss": lambda visit: scores(visit, trial.parts["train"])[0],
        "validation": lambda visit: scores(visit, trial.parts["validation"])[1],
        "test": lambda visit: scores(visit, trial.parts["test"])[1],
    }
    settings = [methods[name](rate) for name, rate in tried]
    run = _train(trial, settings, COORDINATES, cell["epochs"], cell["batch_size"], observe)
    labels = pd.DataFrame(
        [(*one, coordinates) for one in tried for coordinates in COORDINATES],
        columns=["method", "learning_rate", "coordinates"],
    )
    return _tables(labels, run, cell["epochs"])


def scores(visit: Visit, part: datasets.Part) -> tuple[Tensor, Tensor]:
    """Return the mean loss and the share of right answers of each trial on a part (trials,)."""
    points = visit.problem.original(visit.point)
    found = []
    for some in points.split(TOGETHER):
        answers = log_probabilities(visit.problem.problem.widths, some, part.inputs)
        loss = torch.stack([nll_loss(one, part.labels) for one in answers])
        found.append((loss, (answers.argmax(-1) == part.labels).double().mean(-1)))
    losses, rights = zip(*found, strict=True)
    return torch.cat(losses), torch.cat(rights)


def _tables(labels: pd.DataFrame, run: Any, epochs: int) -> dict[str, pd.DataFrame]:
    """Return each run's end, and the loss by epoch without the control's."""
    seen = {name: value.float().cpu() for name, value in run.observed.items()}
    validation = seen["validation"].nan_to_num(0)
    ends = labels.assign(
        final_loss=seen["loss"][:, -1].numpy(),
        best_validation=validation.amax(1).numpy(),
        test_accuracy=seen["test"][:, -1].numpy(),
        outcome=run.outcome,
    )
    kept = sorted({round(epochs ** (k / (KEPT - 1))) for k in range(KEPT)} | {0})
    long = labels.loc[labels.index.repeat(len(kept))].reset_index(drop=True)
    curves = long.assign(epoch=kept * len(labels), loss=seen["loss"][:, kept].flatten().numpy())
    return {"ends": ends, "curves": curves[curves.coordinates.ne("random")].reset_index(drop=True)}


# --- rounding -----------------------------------------------------------------------------------


def _rounding(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Follow gradient descent in original and EGOP coordinates; return how far the two part."""
    methods = {"SGD": BASIC["GD"], "SGD + momentum": BASIC["GD + momentum"]}
    settings = [methods[name](rate) for name, rate in ROUNDING.items()]
    tables = []
    for word, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        trial = draw_trial(cell, dtype, device)
        observe = {"point": lambda visit: visit.problem.original(visit.point).double()}
        run = _train(trial, settings, COORDINATES[:2], cell["epochs"], cell["batch_size"], observe)
        points = run.observed["point"].unflatten(0, (len(settings), 2))
        gap = (points[:, 1] - points[:, 0]).norm(dim=-1) / points[:, 0].norm(dim=-1)
        tables += [
            pd.DataFrame(
                {"method": name, "precision": word, "epoch": range(len(line)), "gap": line.cpu()}
            )
            for name, line in zip(ROUNDING, gap, strict=True)
        ]
    return {"rounding": pd.concat(tables, ignore_index=True)}


RUNS = {"digits": _images, "Fashion": _images, "rounding": _rounding}
