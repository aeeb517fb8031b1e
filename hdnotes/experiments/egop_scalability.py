r"""Chapter `egop_scalability`: EGOP coordinates without a d x d matrix (document 4, 5, B).

A cell of kind *digits* is one draw of gradients on the digits' network: every basis that they give,
from the full one down to k leading vectors, and the same starts trained in all of them in lockstep.
*Fashion* does so on a network whose full basis would not fit, with gradients that stream by.
*cost* measures, for one width, what a basis keeps, what it takes to make, and what a step takes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.basis_races import (
    MEASURED,
    Task,
    kept_epochs,
    race,
    race_renewed,
    race_within,
)
from hdnotes.experiments.coordinate_systems import (
    TOGETHER,
    Estimate,
    System,
    batches_of,
    estimated,
    gradient_parts,
    in_precision,
    matrices,
    nbytes,
    of_inputs,
    streamed_systems,
    systems,
    timed,
)
from hdnotes.experiments.egop_images import images
from hdnotes.experiments.parameters import parameter
from hdnotes.long_training import LongRun
from hdnotes.measures import egop, sides
from hdnotes.measures.randomized import leading_eigenvectors
from hdnotes.optimizers import BASIC, Lockstep
from hdnotes.problems.classifier import Classifier, draw_points, draw_uniform_points, layers
from hdnotes.problems.rotated import Rotated
from hdnotes.problems.subspace import Subspace
from hdnotes.theory.kronecker_columns import rank_one_share
from hdnotes.wording import in_bytes

NAME = "egop_scalability"
VERSION = 1
TITLE = "Scalability"

#: Bases that always run, beside original coordinates and a random rotation; and those asked for.
ALWAYS = ("first layer", "folded", "leading")
ASKED = ("full", "block", "Kronecker", "partial")
#: All of them, in the order in which they are made; the second layer comes with the blocks.
BASES = (
    "full",
    "block",
    "first layer",
    "second layer",
    "Kronecker",
    "folded",
    "leading",
    "partial",
)
#: Splits of the gradients into halves that are compared.
SPLITS = 5
#: Steps that are timed together, and those before that are not timed.
TIMED, WARM = 3, 2


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    methods: tuple[str, ...] = parameter(
        ("Adam", "Adagrad"), choices=("Adam", "Adagrad"), help="methods trained on the digits"
    )
    bases: tuple[str, ...] = parameter(
        ASKED, choices=ASKED, help="bases beside the cheap ones that always run"
    )
    digits_hidden: int = parameter(32, at_least=2, help="hidden units of the digits' network")
    draws: int = parameter(1, at_least=1, help="independent estimates of the EGOP")
    starts: int = parameter(5, at_least=1, unit="trials", help="initializations for each of them")
    epochs: int = parameter(40, at_least=2, unit="epochs", help="of training on the digits")
    batch_size: int = parameter(
        300, at_least=1, at_most=1797, unit="samples", help="minibatch of training and EGOP"
    )
    gradients_per_parameter: float = parameter(
        1.0, above=0, help="gradients that estimate the digits' EGOP over parameters, M/d"
    )
    ranks: tuple[int, ...] = parameter(
        (3, 10, 32, 100, 320), at_least=1, help="leading vectors k of the sweep"
    )
    rank: int = parameter(100, at_least=1, help="leading vectors k of everything else")
    gradient_shares: tuple[float, ...] = parameter(
        (0.05, 0.15, 0.5), above=0, at_most=1, help="shares of the gradients that are tried"
    )
    renewal: int = parameter(
        10, at_least=1, unit="epochs", help="after which a partial basis is computed anew"
    )
    adam_rate: float = parameter(0.02, above=0, help="Adam's learning rate on the digits")
    adagrad_rate: float = parameter(0.04, above=0, help="Adagrad's learning rate on the digits")
    fashion_hidden: int = parameter(
        100, at_least=1, help="hidden units of the Fashion-MNIST network that is trained"
    )
    hidden: tuple[int, ...] = parameter(
        (1, 2, 10, 30, 100), at_least=1, help="hidden units of those that are timed"
    )
    fashion_rank: int = parameter(200, at_least=1, help="leading vectors k on Fashion-MNIST")
    fashion_gradients: int = parameter(640, at_least=1, help="gradients that stream by, M")
    fashion_images: int = parameter(
        4500, at_least=300, at_most=60_000, unit="samples", help="of Fashion-MNIST to train on"
    )
    fashion_epochs: int = parameter(5, at_least=1, unit="epochs", help="on Fashion-MNIST")
    fashion_rates: tuple[float, ...] = parameter(
        (0.001, 0.004, 0.016, 0.064), above=0, help="Adam's learning rates on Fashion-MNIST"
    )
    rounds: int = parameter(21, at_least=1, help="rounds of timing")
    basis_limit: float = parameter(
        0.25, above=0, unit="GiB", help="what one basis may take; a larger one is refused"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "digits_hidden": 4,
        "starts": 2,
        "epochs": 4,
        "gradients_per_parameter": 0.5,
        "ranks": (5, 20),
        "rank": 10,
        "renewal": 2,
        "hidden": (1, 100),
        "fashion_rank": 8,
        "fashion_gradients": 64,
        "fashion_images": 600,
        "fashion_epochs": 1,
        "rounds": 2,
        "digits_file": "tes",
    },
    "quick": {},
    "paper": {
        "draws": 5,
        "epochs": 200,
        "gradient_shares": (0.05, 0.1, 0.2, 0.5),
        "ranks": (3, 10, 32, 64, 100, 200, 320, 640, 1000),
        "hidden": (1, 3, 10, 30, 100, 300),
        "fashion_gradients": 6400,
        "fashion_images": 30_000,
        "fashion_epochs": 10,
        "fashion_rates": (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: timings, then a draw of each network a cell."""
    wanted = {*ALWAYS, *p.bases, *["second layer"] * ("block" in p.bases)}
    chosen = [name for name in BASES if name in wanted]
    fashion = {
        "rank": p.fashion_rank,
        "gradients": p.fashion_gradients,
        "images": p.fashion_images,
        "batch_size": min(p.batch_size, p.fashion_images),
        "bases": chosen,
    }
    cost = [
        {"kind": "cost", "hidden": h, **fashion, "rounds": p.rounds, "basis_limit": p.basis_limit}
        for h in p.hidden
    ]
    digits = {
        "kind": "digits",
        "methods": list(p.methods),
        "rates": [{"Adam": p.adam_rate, "Adagrad": p.adagrad_rate}[name] for name in p.methods],
        "bases": chosen,
        "hidden": p.digits_hidden,
        "starts": p.starts,
        "epochs": p.epochs,
        "batch_size": p.batch_size,
        "gradients_per_parameter": p.gradients_per_parameter,
        "ranks": list(p.ranks),
        "rank": p.rank,
        "shares": list(p.gradient_shares),
        "renewal": p.renewal,
        "file": p.digits_file,
    }
    large = {
        "kind": "Fashion",
        "hidden": p.fashion_hidden,
        **fashion,
        "starts": p.starts,
        "epochs": p.fashion_epochs,
        "rates": list(p.fashion_rates),
    }
    return [*cost, *({**one, "draw": draw} for draw in range(p.draws) for one in (digits, large))]


def memory(p: Parameters) -> int:
    """Return the peak bytes: the largest matrix and its making, and what streams by."""
    formed = [64 * p.digits_hidden]  # the first layer's basis
    if {"full", "block"} & {*p.bases}:
        every = [size((784, h, 10)) for h in p.hidden]
        formed += [size((64, p.digits_hidden, 10))]
        formed += [d for d in every if dense_bytes(d) <= limit_bytes(p.basis_limit)]
    d = size((784, max(p.fashion_hidden, *p.hidden), 10))
    sketch = 4 * d * 6 * (2 * p.fashion_rank + TOGETHER)
    rows = 4 * d * 9 * 5 * p.starts * len(p.fashion_rates)
    return 5 * dense_bytes(max(formed)) + sketch + rows + 2**30


def size(widths: Sequence[int]) -> int:
    """Return a network's number of parameters, d.

    Examples
    --------
    >>> size((784, 100, 10))
    79510
    """
    return layers(widths)[-1].bias.stop


def dense_bytes(d: int) -> int:
    """Return the bytes of a d x d basis in the double precision in which it is computed.

    Examples
    --------
    >>> round(dense_bytes(79_510) / 1e9)
    51
    """
    return 8 * d**2


def limit_bytes(gibibytes: float) -> int:
    """Return a limit in bytes."""
    return int(gibibytes * 2**30)


def require_room(name: str, d: int, needed: int, limit: float) -> None:
    """Refuse a basis of more than ``limit`` GiB, before it is allocated.

    Raises
    ------
    ValueError
        With the estimate, and what helps.

    Examples
    --------
    >>> require_room("full", 79_510, dense_bytes(79_510), 0.25)
    Traceback (most recent call last):
    ValueError: a full basis of d = 79,510 parameters takes 47.1 GiB and basis_limit = 0.25 GiB; ...
    """
    if needed > limit_bytes(limit):
        raise ValueError(
            f"a {name} basis of d = {d:,} parameters takes {in_bytes(needed)} and basis_limit = "
            f"{limit:g} GiB; use an implicit one, or raise the limit."
        )


# --- the digits ---------------------------------------------------------------------------------


def digits_task(cell: Mapping[str, Any], device: str) -> Task:
    """Return the digits' network and its starts (document 4, D.5)."""
    widths, of = (64, cell["hidden"], 10), (NAME, "digits", cell["draw"])
    parts = images("digits", cell["file"])
    train, test = (datasets.Part(*(x.to(device) for x in parts[k])) for k in ("train", "test"))
    starts = draw_points(widths, cell["starts"], "xavier", of=(*of, "starts"))
    return Task(
        Classifier(widths, train.inputs, train.labels, (0,)),
        test,
        starts.to(device, torch.float32),
        tuple(seeds.seed(*of, "shuffles", k) % 2**40 for k in range(cell["starts"])),
        cell["epochs"],
        cell["batch_size"],
    )


def digits_gradients(task: Task, cell: Mapping[str, Any]) -> Tensor:
    """Return minibatch gradients (M, d) at draws of the law of initializations, in float64."""
    network, of = task.network, (NAME, "digits", cell["draw"], "rho")
    exact = replace(network, inputs=network.inputs.double())
    count = math.ceil(cell["gradients_per_parameter"] * network.parameters)
    points = draw_points(network.widths, count, "xavier", of=of).to(network.inputs.device)
    rows = batches_of(count, network.samples, cell["batch_size"], of).to(points.device)
    return egop.sample_gradients(exact, points, rows)


def _digits(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train the same starts in every coordinate system that one draw of gradients gives."""
    task = digits_task(cell, device)
    gradients, sampling = timed(device, digits_gradients, task, cell)
    widths = task.network.widths
    found = systems(gradients, widths, cell, (NAME, "digits", cell["draw"]))
    if "folded" in cell["bases"]:
        found += of_inputs(task.network.inputs, widths)
    tried = list(zip(cell["methods"], cell["rates"], strict=True))
    run = race(task, [in_precision(one.blocks, torch.float32) for one in found], tried)
    tables = [tables_of(_labels(tried, cell["starts"], found), run, kept_epochs(task.epochs))]
    if "partial" in cell["bases"]:
        tables += _partial(task, gradients, cell, tried)
    made = {name: pd.concat([one[name] for one in tables]) for name in tables[0]}
    return {
        **{name: table.reset_index(drop=True) for name, table in made.items()},
        "setup": pd.DataFrame(
            [
                (
                    *one[:4],
                    nbytes(one.blocks),
                    sampling * one.gradients / len(gradients),
                    one.seconds,
                )
                for one in found
            ],
            columns=[*System._fields[:4], "basis_bytes", "sampling_s", "forming_s"],
        ),
        **_estimates(gradients, found, cell, task.network.inputs.mean(0).double()),
    }


def _partial(
    task: Task, gradients: Tensor, cell: Mapping[str, Any], tried: Sequence[tuple[str, float]]
) -> list[dict[str, pd.DataFrame]]:
    """Train on the subspace of the leading vectors, kept or renewed."""
    rank, of = min(cell["rank"], *gradients.shape), (NAME, cell["draw"], "probes")
    vectors = leading_eigenvectors(gradients, rank, of=of).vectors.to(task.starts)
    kept = System("partial", rank, "none", len(gradients), ())
    new = System("partial, renewed", rank, "none", 2 * rank, ())
    pieces = race_renewed(task, rank, tried, cell["renewal"])
    ends = [*range(cell["renewal"], task.epochs, cell["renewal"]), task.epochs]
    seen = {k: torch.stack([run.observed[k][:, -1] for run in pieces], 1) for k in MEASURED}
    joined = replace(pieces[-1], observed=seen)
    labels = [_labels(tried, len(task.starts), [one]) for one in (kept, new)]
    return [
        tables_of(labels[0], race_within(task, vectors, tried), kept_epochs(task.epochs)),
        tables_of(labels[1], joined, ends),
    ]


def _labels(
    tried: Sequence[tuple[str, float]], starts: int, found: Sequence[System]
) -> pd.DataFrame:
    """Return a row a run: its method, rate, start and coordinate system."""
    rows = [(*one, k, *s[:4]) for one in tried for k in range(starts) for s in found]
    return pd.DataFrame(rows, columns=["method", "learning_rate", "start", *System._fields[:4]])


def tables_of(labels: pd.DataFrame, run: LongRun, epochs: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Return each run's end, and its training loss at some epochs."""
    seen = {name: run.observed[name].float().cpu() for name in MEASURED}
    ends = labels.assign(
        final_loss=seen["loss"][:, -1].numpy(),
        accuracy=seen["accuracy"][:, -1].numpy(),
        outcome=run.outcome,
    )
    long = labels.loc[labels.index.repeat(len(epochs))].reset_index(drop=True)
    values = seen["loss"].flatten().numpy()
    return {"ends": ends, "curves": long.assign(epoch=[*epochs] * len(labels), loss=values)}


# --- what the gradients say ---------------------------------------------------------------------


def _estimates(
    gradients: Tensor, found: Sequence[System], cell: Mapping[str, Any], mean: Tensor
) -> dict[str, pd.DataFrame]:
    """Return the spectrum, how halves of the gradients agree, and how near products come."""
    of, rank = (NAME, cell["draw"]), min(max(*cell["ranks"], cell["rank"]), *gradients.shape)
    values = leading_eigenvectors(gradients, rank, of=(*of, "spectrum")).values.cpu()
    total = gradients.square().sum().cpu() / len(gradients)
    k = torch.arange(1, rank + 1)
    spectrum = {"k": k, "eigenvalue": values, "captured": values.cumsum(0) / total}
    tables = {"spectrum": pd.DataFrame({name: x.numpy() for name, x in spectrum.items()})}
    halves = [_agreement(gradients, cell, split) for split in range(SPLITS)]
    tables["agreement"] = pd.concat(halves, ignore_index=True)
    first = {one.basis: one.blocks[0].vectors for one in found if one.basis in FIRST}
    if first:
        tables |= _products(gradients, first, cell, mean)
    return tables


#: Systems that are made once, on the inputs.
ON_INPUTS = ("folded", "input SVD")
#: Systems whose first block is a basis of the first layer.
FIRST = ("first layer", "Kronecker", "folded")


def _agreement(gradients: Tensor, cell: Mapping[str, Any], split: int) -> pd.DataFrame:
    """Compare the leading subspaces of two halves of the gradients.

    ``overlap`` is the mean squared cosine between the first k vectors of both, ``gap`` the
    relative distance of eigenvalue k to the next one.
    """
    of = (NAME, cell["draw"], "split", split)
    order = torch.randperm(len(gradients), generator=seeds.generator(*of)).to(gradients.device)
    rank = min(cell["rank"] + 1, len(gradients) // 2, gradients.shape[1])
    one, other = (
        leading_eigenvectors(gradients[rows], rank, of=(*of, k))
        for k, rows in enumerate(order.tensor_split(2))
    )
    k = torch.arange(1, rank)
    inner = (one.vectors.T @ other.vectors).square().cumsum(0).cumsum(1).diagonal()[:-1].cpu() / k
    values = (one.values + other.values).cpu() / 2
    gap = (values[:-1] - values[1:]) / values[:-1]
    table = {"k": k, "overlap": inner, "gap": gap}
    return pd.DataFrame({name: x.numpy() for name, x in table.items()}).assign(split=split)


def _products(
    gradients: Tensor, first: Mapping[str, Tensor], cell: Mapping[str, Any], mean: Tensor
) -> dict[str, pd.DataFrame]:
    """Ask whether a product of rotations could be the eigenbasis of the first layer's EGOP.

    And whether its leading vectors are the mean input, once for each hidden unit.
    """
    own = gradients[:, layers((64, cell["hidden"], 10))[0].weight]
    off = {name: float(sides.off_diagonal_share(own @ basis)) for name, basis in first.items()}
    off["original"] = float(sides.off_diagonal_share(own))
    diagonal = pd.DataFrame({"basis": list(off), "off_diagonal": list(off.values())})
    if "first layer" not in first:
        return {"diagonal": diagonal}
    vectors = first["first layer"][:, : cell["rank"]]
    shares = {
        "single_row": sides.single_row_share(vectors, cell["hidden"]),
        "rank_one": rank_one_share(vectors, (cell["hidden"], -1)),
        "mean_input": sides.input_share(vectors, cell["hidden"], mean / mean.norm()),
    }
    products = pd.DataFrame({name: x.cpu().numpy() for name, x in shares.items()})
    return {"diagonal": diagonal, "products": products.assign(k=range(1, len(products) + 1))}


# --- Fashion-MNIST ------------------------------------------------------------------------------


@cache
def _fashion_parts(count: int) -> tuple[datasets.Part, datasets.Part]:
    """Return the first ``count`` training images of all ten classes, and held-out ones."""
    whole = datasets.fashion_mnist(None)
    return datasets.Part(*(x[:count] for x in whole.train)), whole.validation


def fashion_network(cell: Mapping[str, Any], device: str) -> tuple[Classifier, datasets.Part]:
    """Return the network 784-h-10 and held-out images."""
    train, test = (
        datasets.Part(part.inputs.to(device), part.labels.to(device))
        for part in _fashion_parts(cell["images"])
    )
    return Classifier((784, cell["hidden"], 10), train.inputs, train.labels, (0,)), test


def _fashion(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Train the same starts of the largest network in every basis that it has room for."""
    network, test = fashion_network(cell, device)
    of = (NAME, "Fashion", cell["draw"])
    starts = draw_uniform_points(network.widths, cell["starts"], of=(*of, "starts"))
    task = Task(
        network,
        test,
        starts.to(network.inputs),
        tuple(seeds.seed(*of, "shuffles", k) % 2**40 for k in range(cell["starts"])),
        cell["epochs"],
        cell["batch_size"],
    )
    estimate = estimated(network, cell, of)
    found = streamed_systems(estimate, cell, network.widths, of)
    if "folded" in cell["bases"]:
        found += [
            one._replace(blocks=in_precision(one.blocks, torch.float32))
            for one in of_inputs(network.inputs, network.widths)
        ]
    tried = [("Adam", rate) for rate in cell["rates"]]
    kept = kept_epochs(task.epochs)
    run = race(task, [one.blocks for one in found], tried)
    tables = [tables_of(_labels(tried, cell["starts"], found), run, kept)]
    if "partial" in cell["bases"]:
        labels = _labels(tried, cell["starts"], [_partial_system(estimate)])
        tables.append(tables_of(labels, race_within(task, estimate.vectors, tried), kept))
    return {
        "large_" + name: pd.concat([one[name] for one in tables], ignore_index=True)
        for name in tables[0]
    }


# --- costs --------------------------------------------------------------------------------------


def _cost(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure what each basis of one network keeps, takes to make and takes a step."""
    network, _ = fashion_network(cell, device)
    of = (NAME, "cost", cell["hidden"])
    estimate = estimated(network, cell, of)
    found = streamed_systems(estimate, cell, network.widths, of)
    if "partial" in cell["bases"]:
        found.append(_partial_system(estimate))
    if "folded" in cell["bases"]:
        turns = of_inputs(network.inputs, network.widths)
        found += [one for one in turns if one.basis == "input SVD"]
    allowed, refused = _room(network.widths, cell)
    sampling = 0.0
    if allowed:
        dense, sampling = timed(device, _dense_gradients, network, cell, of)
        found += matrices(dense, network.widths, allowed)
    sizes = [
        (
            *one[:4],
            (sampling if one.basis in allowed else estimate.sampling_s) * (one.gradients > 0),
            one.seconds,
            *_bytes(one, network.parameters, estimate.vectors),
            "formed",
            "",
        )
        for one in found
    ]
    seconds = _rounds([_step(network, one, estimate.vectors) for one in found], cell, device)
    labels = pd.DataFrame([one[:4] for one in found], columns=System._fields[:4])
    long = labels.loc[labels.index.repeat(cell["rounds"])].reset_index(drop=True)
    pairs = pd.DataFrame(seconds, columns=["seconds", "plain_seconds"])
    steps = pd.concat([long.assign(round=[*range(cell["rounds"])] * len(labels)), pairs], axis=1)
    tables = {"sizes": pd.DataFrame([*sizes, *refused], columns=SIZES), "steps": steps}
    return {name: table.assign(parameters=network.parameters) for name, table in tables.items()}


#: Columns of the table of what is kept and what making it takes.
SIZES = [*System._fields[:4], "sampling_s", "forming_s", "basis_bytes", "held_bytes", "outcome"]
SIZES.append("words")


def _room(widths: Sequence[int], cell: Mapping[str, Any]) -> tuple[list[str], list[tuple]]:
    """Return the matrices that may be formed, and a row for each that is refused."""
    d, allowed, refused = size(widths), [], []
    weights = [layer.inputs * layer.outputs for layer in layers(widths)]
    needed = {"full": dense_bytes(d), "block": sum(map(dense_bytes, weights))}
    for name in [name for name in needed if name in cell["bases"]]:
        try:
            require_room(name, d, needed[name], cell["basis_limit"])
        except ValueError as error:
            held = needed[name] + 24 * d
            row = (name, d, "none", d, 0.0, 0.0, needed[name], held, "refused", str(error))
            refused.append(row)
        else:
            allowed.append(name)
    return allowed, refused


def _dense_gradients(
    network: Classifier, cell: Mapping[str, Any], of: tuple[object, ...]
) -> Tensor:
    """Return as many gradients as there are parameters, in float64, as a full basis wants them."""
    exact = replace(network, inputs=network.inputs.double())
    count = network.parameters
    return torch.cat([*gradient_parts(exact, count, cell["batch_size"], (*of, "dense"))])


def _partial_system(found: Estimate) -> System:
    k = found.vectors.shape[1]
    return System("partial", k, "none", found.gradients, (), found.sketching_s)


def _bytes(one: System, d: int, vectors: Tensor) -> tuple[int, int]:
    """Return the bytes of a basis and all that a step of Adam holds, in single precision.

    Counted: the coordinates with their gradient and Adam's two averages; where the coordinates are
    not the network's own, its parameters and their gradient as well; the basis; and the origin of
    a partial one.
    """
    if one.basis == "partial":
        return vectors.nbytes, 16 * vectors.shape[1] + 12 * d + vectors.nbytes
    kept = nbytes(in_precision(one.blocks, torch.float32))
    own = one.basis in ("original", *ON_INPUTS)
    return kept, 16 * d + (0 if own else 8 * d) + kept


def _step(network: Classifier, one: System, vectors: Tensor) -> Callable[[], None]:
    """Return a function that does one step of Adam on one trial."""
    start = draw_uniform_points(network.widths, 1, of=(NAME, "cost", "start")).to(network.inputs)
    problem: Any = network
    if one.basis == "partial":
        problem = Subspace(network, start, (vectors,), (0,))
        start = start.new_zeros(1, vectors.shape[1])
    elif one.basis in ON_INPUTS:
        turn = cast(Any, one.blocks[0].vectors).right.to(network.inputs)
        problem = replace(network, inputs=network.inputs @ turn)
    elif one.blocks:
        problem = Rotated(network, (in_precision(one.blocks, torch.float32),), (0,))
        start = problem.coordinates(start)
    rows = Lockstep(start, [BASIC["Adam"](1e-3)])
    batches = Shuffled(network.samples, min(300, network.samples), (0,))
    counter = count()

    def step() -> None:
        _, gradient = problem.loss_and_gradient(rows.point, batches.at(next(counter)))
        rows.step(gradient)

    return step


def _repeat(step: Callable[[], None]) -> None:
    for _ in range(TIMED):
        step()


def _rounds(
    steps: Sequence[Callable[[], None]], cell: Mapping[str, Any], device: str
) -> list[tuple[float, float]]:
    """Return seconds a step, each with those of the first function, the plain one, just before.

    All rounds of the first function come first, then those of the second, ... They were run in
    turns, so that what slows the machine down slows all of them.
    """
    found: list[list[tuple[float, float]]] = [[] for _ in steps]
    for step in steps:
        for _ in range(WARM):
            step()
    for _ in range(cell["rounds"]):
        for step, own in zip(steps, found, strict=True):
            plain, seconds = (timed(device, _repeat, one)[1] for one in (steps[0], step))
            own.append((seconds / TIMED, plain / TIMED))
    return [one for own in found for one in own]


RUNS = {"cost": _cost, "digits": _digits, "Fashion": _fashion}
