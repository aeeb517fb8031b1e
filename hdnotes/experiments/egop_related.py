r"""Chapter `egop_related`: EGOP coordinates beside SOAP, GaLore, Shampoo and Muon (document 4, E).

Two problems of the earlier chapters, a linear network and a network on the digits, and on each the
same start, batches and grid of learning rates for every arm: Adam and Adagrad in original, EGOP,
Kronecker-factored and random coordinates, the EGOP re-estimated on the way, and the libraries'
methods that see weight matrices. An arm is tuned on trials set aside. Every gradient spent on an
estimate is counted. *bases* asks how near the other bases are to the EGOP's, *exact* checks
Lemma 20 and what follows from it to rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.egop_images import images
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.rates import FACTORS, decades
from hdnotes.matrix_training import Part, Trained, Turn, train_parts
from hdnotes.measures import egop
from hdnotes.measures.kronecker_basis import (
    kronecker_basis,
    least_root_mean_squares,
    root_mean_squares,
)
from hdnotes.optimizers import BASIC, Method
from hdnotes.problems.classifier import Classifier, draw_points, layers, log_probabilities
from hdnotes.problems.convex import decaying_matrix
from hdnotes.problems.linear_network import (
    LinearNetwork,
    condensed,
    mean_squares,
    shapes,
    xavier_points,
)
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.schedules import constant, cosine_annealing
from hdnotes.theory.kronecker_columns import first_columns_distance, rank_one_share, text_columns

NAME = "egop_related"
VERSION = 1
TITLE = "EGOP coordinates and their relatives"

PROBLEMS = ("linear network", "digits")
#: First and last power of ten of the learning rates, the same for every arm.
RATES = {"linear network": (-3, 1), "digits": (-3, 0)}
#: Gradients of an estimate over weights, times `gradients_per_weight` (spec of both chapters).
SAMPLES_PER_WEIGHT = {"linear network": 2.0, "digits": 1.0}
#: Steps that never come: a basis that is computed once.
NEVER = 10**9
#: Deviations of rho around the point, over those of the initialization, in a re-estimate.
NEAR = 0.1
#: Share of a matrix's smaller side that GaLore keeps.
GALORE_SHARE = 0.25
#: Learning rate at which the path of *bases* is walked.
WALK = 0.01
#: Intervals between the recorded epochs of a curve.
KEPT = 24


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Parameters
    ----------
    method : name of the method
    coordinates : "original", "EGOP", "Kronecker", "random"; "re-estimated" and "path" begin as
        "EGOP" and turn
    refresh : steps after which SOAP and GaLore look for their basis again
    longer : whether it may train on with as many gradients as an estimate takes
    """

    method: str
    coordinates: str = "original"
    refresh: int = 0
    longer: bool = False


ARMS: Mapping[str, Arm] = {
    "Adam": Arm("Adam"),
    "Adam, EGOP": Arm("Adam", "EGOP"),
    "SOAP": Arm("SOAP", refresh=10),
    "Adagrad": Arm("Adagrad"),
    "Adagrad, EGOP": Arm("Adagrad", "EGOP"),
    "Muon": Arm("Muon"),
    "Shampoo": Arm("Shampoo"),
    "GaLore": Arm("GaLore", refresh=10),
    "Adam, Kronecker": Arm("Adam", "Kronecker"),
    "Adam, random": Arm("Adam", "random"),
    "Adam, longer": Arm("Adam", longer=True),
    "SOAP, longer": Arm("SOAP", refresh=10, longer=True),
    "SOAP, every 100": Arm("SOAP", refresh=100),
    "SOAP, once": Arm("SOAP", refresh=NEVER),
    "GaLore, every 100": Arm("GaLore", refresh=100),
    "GaLore, once": Arm("GaLore", refresh=NEVER),
    "Adam, EGOP re-estimated": Arm("Adam", "re-estimated"),
    "Adam, EGOP from the path": Arm("Adam", "path"),
    "Adagrad, EGOP re-estimated": Arm("Adagrad", "re-estimated"),
    "short Adam": Arm("short Adam"),
    "short Adam, EGOP": Arm("short Adam", "EGOP"),
    "short Adam, Kronecker": Arm("short Adam", "Kronecker"),
}
#: Methods that act element by element; "short Adam" has SOAP's memory.
ELEMENTWISE = {
    "Adam": BASIC["Adam"],
    "Adagrad": BASIC["Adagrad"],
    "short Adam": Method("Adam", {"betas": (0.95, 0.95)}),
}


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    problems: tuple[str, ...] = parameter(PROBLEMS, choices=PROBLEMS, help="problems")
    arms: tuple[str, ...] = parameter(tuple(ARMS), choices=tuple(ARMS), help="ways to train")
    linear_hidden: tuple[int, ...] = parameter(
        (20, 12), at_least=2, help="hidden widths of the linear network"
    )
    digits_hidden: int = parameter(8, at_least=2, help="hidden units on the digits")
    linear_epochs: int = parameter(25, at_least=4, unit="epochs", help="of training")
    digits_epochs: int = parameter(25, at_least=4, unit="epochs", help="of training")
    trials: int = parameter(5, at_least=1, unit="trials", help="of an arm at its rate")
    search_trials: int = parameter(
        1, at_least=1, unit="trials", help="set aside to find each arm's rate"
    )
    rates_per_decade: int = parameter(
        2, choices=tuple(FACTORS), help="rates a decade, in the decades around the best power of 10"
    )
    gradients_per_weight: float = parameter(
        0.5, above=0, help="gradients of an EGOP estimate, 1 being document 4's number"
    )
    refreshes: tuple[int, ...] = parameter(
        (3,), at_least=1, help="how often a re-estimated EGOP is estimated anew in a run"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "linear_hidden": (6, 4),
        "digits_hidden": 2,
        "linear_epochs": 4,
        "digits_epochs": 4,
        "trials": 2,
        "rates_per_decade": 1,
        "gradients_per_weight": 0.2,
        "digits_file": "tes",
        "arms": (
            *("Adam", "Adam, EGOP", "SOAP", "Adagrad", "Adagrad, EGOP", "Muon", "Shampoo"),
            *("GaLore", "Adam, Kronecker", "Adam, random", "Adam, longer", "SOAP, once"),
            *("Adam, EGOP re-estimated", "Adam, EGOP from the path", "short Adam"),
        ),
    },
    "quick": {},
    "paper": {
        "linear_hidden": (50, 30),
        "digits_hidden": 32,
        "linear_epochs": 1000,
        "digits_epochs": 200,
        "search_trials": 2,
        "rates_per_decade": 4,
        "gradients_per_weight": 1.0,
        "refreshes": (1, 3, 9),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: an arm on a problem a cell, the main ones first."""
    sizes = {
        "linear network": {
            "widths": [10, *p.linear_hidden, 10],
            "epochs": p.linear_epochs,
            "batch_size": 500,
        },
        "digits": {
            "widths": [64, p.digits_hidden, 10],
            "epochs": p.digits_epochs,
            "batch_size": 300,
            "file": p.digits_file,
        },
    }
    shared = {"gradients_per_weight": p.gradients_per_weight, "trials": p.trials}
    tuning = {"search_trials": p.search_trials, "rates_per_decade": p.rates_per_decade}
    both = {name: {"problem": name, **sizes[name], **shared} for name in p.problems}
    race = [
        {"kind": "race", **task, **tuning, "arm": name, "refreshes": times}
        for name in p.arms
        for times in (p.refreshes if ARMS[name].coordinates in ("re-estimated", "path") else (0,))
        for task in both.values()
    ]
    return [
        {"kind": "exact", "widths": sizes["linear network"]["widths"], "instances": 10},
        *({"kind": "bases", **task} for task in both.values()),
        *race,
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: the gradients of the largest matrix, decomposed, and its bases."""
    linear = (10, *p.linear_hidden, 10)
    sides = [math.prod(shape) for shape in shapes(linear)] if PROBLEMS[0] in p.problems else []
    if PROBLEMS[1] in p.problems:
        sides.append(64 * p.digits_hidden)
    return int(8 * max(sides) ** 2 * (4 * max(p.gradients_per_weight, 1) + 8)) + 2**29


# --- a task -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One trial of a problem.

    Attributes
    ----------
    network : one trial, on the training part
    look : point (parameters,) -> mean training loss and validation measure (2,)
    start : (parameters,)
    matrices, vectors : where the weight matrices and the biases stand, and their shapes
    rho : (count, name) -> centred draws of the law of initializations (count, parameters)
    batch_size : samples of a minibatch
    of : name of the trial's streams
    """

    network: Any
    look: Callable[[Tensor], Tensor]
    start: Tensor
    matrices: tuple[tuple[slice, tuple[int, int]], ...]
    vectors: tuple[tuple[slice, tuple[int]], ...]
    rho: Callable[[int, tuple[object, ...]], Tensor]
    batch_size: int
    of: tuple[object, ...]

    @property
    def an_epoch(self) -> int:
        """Steps of an epoch."""
        return int(self.network.samples) // self.batch_size

    @property
    def weights(self) -> int:
        """Entries of all weight matrices."""
        return sum(math.prod(shape) for _, shape in self.matrices)

    def batches(self) -> Shuffled:
        """Return the minibatches of training."""
        stream = seeds.seed(*self.of, "shuffles") % 2**40
        return Shuffled(self.network.samples, self.batch_size, (stream,))


def draw_task(cell: Mapping[str, Any], trial: int | str, device: str) -> Task:
    """Draw a trial of a cell's problem, in float64."""
    of = (NAME, cell["problem"], *cell["widths"], trial)
    kind = _linear if cell["problem"] == PROBLEMS[0] else _digits
    return kind(cell, of, device)


def _linear(cell: Mapping[str, Any], of: tuple[object, ...], device: str) -> Task:
    """Draw data, targets and start of a linear network as the chapter on it does (D.5)."""
    widths, samples, held = tuple(cell["widths"]), 10_000, 2_000
    sigma = torch.arange(1, widths[0] + 1, dtype=torch.float64) ** -2.0
    whole = decaying_matrix(samples + held, sigma, of=(*of, "A")).to(device)
    truth = seeds.normal(widths[-1], widths[0], of=(*of, "M")).to(device)

    def network(inputs: Tensor) -> LinearNetwork:
        return LinearNetwork(widths, mean_squares, (inputs,), (truth @ inputs,), (0,))

    train, validation = (part.T for part in whole.split([samples, held]))
    parts = [network(condensed(inputs)) for inputs in (train, validation)]
    sides, first, matrices = shapes(widths), 0, []
    for shape in sides:
        matrices.append((slice(first, first + math.prod(shape)), shape))
        first += math.prod(shape)
    return Task(
        network(train),
        lambda point: torch.cat([part.loss_and_gradient(point[None])[0] for part in parts]),
        xavier_points(widths, 1, of=(*of, "start"))[0].to(device),
        tuple(matrices),
        (),
        lambda count, name: xavier_points(widths, count, of=name).to(device),
        cell["batch_size"],
        of,
    )


def _digits(cell: Mapping[str, Any], of: tuple[object, ...], device: str) -> Task:
    """Take the digits and draw a start; the validation measure is the share of wrong answers."""
    widths, parts = tuple(cell["widths"]), images("digits", cell["file"])
    train, held = (
        (parts[name].inputs.to(device, torch.float64), parts[name].labels.to(device))
        for name in ("train", "validation")
    )

    def look(point: Tensor) -> Tensor:
        answers = [log_probabilities(widths, point[None], x[0])[0] for x in (train, held)]
        wrong = (answers[1].argmax(-1) != held[1]).double().mean()
        return torch.stack([nll_loss(answers[0], train[1]), wrong])

    stack = layers(widths)
    return Task(
        Classifier(widths, *train, (0,)),
        look,
        draw_points(widths, 1, "xavier", of=(*of, "start"))[0].to(device),
        tuple((layer.weight, (layer.outputs, layer.inputs)) for layer in stack),
        tuple((layer.bias, (layer.outputs,)) for layer in stack),
        lambda count, name: draw_points(widths, count, "xavier", of=name).to(device),
        cell["batch_size"],
        of,
    )


def estimate_size(cell: Mapping[str, Any], task: Task) -> int:
    """Return M, the minibatch gradients of one estimate."""
    per_weight = SAMPLES_PER_WEIGHT[cell["problem"]] * cell["gradients_per_weight"]
    return math.ceil(per_weight * task.weights)


def sample(task: Task, count: int, around: Tensor | None, purpose: object) -> Tensor:
    """Return minibatch gradients (count, parameters) at draws of rho, or near a point."""
    points = task.rho(count, (*task.of, purpose))
    if around is not None:
        points = around + NEAR * points
    chosen = seeds.generator(*task.of, purpose, "batches")
    samples = task.network.samples
    rows = [torch.randperm(samples, generator=chosen)[: task.batch_size] for _ in range(count)]
    return egop.sample_gradients(task.network, points, torch.stack(rows).to(points.device))


def block_bases(task: Task, gradients: Tensor) -> tuple[Block, ...]:
    """Return the EGOP's basis of each weight matrix."""
    return tuple(
        Block(at, egop.eigenbasis(gradients[:, at]).vectors.clone()) for at, _ in task.matrices
    )


def fixed_bases(task: Task, name: str, count: int) -> tuple[Block, ...]:
    """Return the blocks of a coordinate system that is known before training."""
    if name == "original":
        return ()
    if name == "random":
        return tuple(
            Block(at, egop.random_basis(math.prod(shape), of=(*task.of, "control", at.start)))
            for at, shape in task.matrices
        )
    gradients = sample(task, count, None, "rho")
    if name == "Kronecker":
        return tuple(
            Block(at, kronecker_basis(gradients[:, at], shape)) for at, shape in task.matrices
        )
    return block_bases(task, gradients)


# --- the race -----------------------------------------------------------------------------------


def parts_of(task: Task, arm: Arm) -> list[Part]:
    """Return what the optimizers of an arm see: everything as one vector, or the matrices."""
    if arm.method in ELEMENTWISE:
        d = len(task.start)
        return [Part(slice(0, d), (d,), ELEMENTWISE[arm.method])]
    rest = _matrix_method(arm, None)
    return [
        *(Part(at, shape, _matrix_method(arm, shape)) for at, shape in task.matrices),
        *(Part(at, shape, rest) for at, shape in task.vectors),
    ]


def _matrix_method(arm: Arm, shape: tuple[int, int] | None) -> Method:
    """Return the libraries' method for a matrix of this shape, or for the biases.

    Biases are what they are in each method's own words: Adam beside Muon and within GaLore and
    SOAP (with its memory), one-sided in Shampoo. No weight decay anywhere.
    """
    plain: dict[str, Any] = {"weight_decay": 0.0}
    if arm.method == "SOAP":
        return Method("SOAP", {**plain, "precondition_frequency": arm.refresh})
    if arm.method == "Shampoo":
        return Method("Shampoo", {"preconditioning_compute_steps": 10})
    if shape is None:
        return BASIC["Adam"]
    if arm.method == "Muon":
        return Method("Muon", plain)
    kept = {"rank": max(1, round(GALORE_SHARE * min(shape))), "update_proj_gap": arm.refresh}
    return Method("GaLore", {**kept, "scale": 1.0, "projection_type": "std", "eps": 1e-8})


def turning(task: Task, arm: Arm, steps: int, times: int, count: int) -> Turn | None:
    """Return what re-estimates the EGOP ``times`` a run, at even distances.

    "re-estimated" draws ``count`` new gradients near the point; "path" takes those that training
    has computed since the last time, for nothing.
    """
    if arm.coordinates not in ("re-estimated", "path"):
        return None
    when = set(turns(steps, times))
    seen: list[Tensor] = []

    def turn(step: int, point: Tensor, gradient: Tensor) -> tuple[Block, ...] | None:
        seen.append(gradient)
        if step not in when:
            return None
        fresh = arm.coordinates == "re-estimated"
        gradients = sample(task, count, point, ("anew", step)) if fresh else torch.stack(seen)
        seen.clear()
        return block_bases(task, gradients)

    return turn


def turns(steps: int, times: int) -> list[int]:
    """Return the steps before which a basis is estimated anew.

    Examples
    --------
    >>> turns(100, 3)
    [25, 50, 75]
    """
    return [steps * k // (times + 1) for k in range(1, times + 1)]


def train_arm(
    cell: Mapping[str, Any], task: Task, arm: Arm, blocks: tuple[Block, ...], rate: float
) -> pd.DataFrame:
    """Train a task by an arm at a rate; return a row a recorded epoch, all gradients counted.

    Parameters
    ----------
    cell, task, arm
        What is trained.
    blocks
        The arm's coordinates at the start.
    rate
        Learning rate; it falls along a cosine on the linear network and stays on the digits.
    """
    count, epochs = estimate_size(cell, task), cell["epochs"]
    if arm.longer:
        epochs += math.ceil(count / task.an_epoch)
    steps = epochs * task.an_epoch
    annealed = cell["problem"] == PROBLEMS[0]
    factor = cosine_annealing(epochs, task.an_epoch) if annealed else constant(steps)
    kept = sorted({round(epochs * k / KEPT) for k in range(KEPT + 1)})
    run = train_parts(
        Rotated(task.network, (blocks,), (0,)),
        task.start,
        parts_of(task, arm),
        rate * factor,
        batches=task.batches(),
        record=[epoch * task.an_epoch for epoch in kept],
        look=task.look,
        turn=turning(task, arm, steps, cell["refreshes"], count),
    )
    anew = turns(steps, cell["refreshes"]) if arm.coordinates == "re-estimated" else []
    first = count * (arm.coordinates not in ("original", "random"))
    taken = [
        epoch * task.an_epoch + first + count * sum(at < epoch * task.an_epoch for at in anew)
        for epoch in kept
    ]
    seen = run.seen.cpu().nan_to_num(math.inf)
    columns = {"loss": seen[:, 0].numpy(), "validation": seen[:, 1].numpy()}
    gradients = [number / task.an_epoch for number in taken]
    return pd.DataFrame({"epoch": kept, "gradient_epochs": gradients, **columns})


def _race(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Find an arm's rate on trials set aside, then train the others at it."""
    arm = ARMS[cell["arm"]]
    prepared = [_prepared(cell, f"search {k}", arm, device) for k in range(cell["search_trials"])]

    def tried(rates: Sequence[float]) -> list[tuple[float, int, float]]:
        return [
            (rate, k, float(train_arm(cell, task, arm, blocks, rate).loss.iloc[-1]))
            for rate in rates
            for k, (task, blocks) in enumerate(prepared)
        ]

    rows = tried(decades(*RATES[cell["problem"]], 1))
    rows += tried(between(best(rows), RATES[cell["problem"]], cell["rates_per_decade"]))
    search = pd.DataFrame(rows, columns=["rate", "search_trial", "loss"])
    rate = best(rows)
    runs = []
    for trial in range(cell["trials"]):
        task, blocks = _prepared(cell, trial, arm, device)
        runs.append(train_arm(cell, task, arm, blocks, rate).assign(trial=trial))
    at_edge = rate in (search.rate.min(), search.rate.max())
    return {
        "search": search,
        "race": pd.concat(runs, ignore_index=True).assign(rate=rate, at_edge=at_edge),
    }


def _prepared(
    cell: Mapping[str, Any], trial: int | str, arm: Arm, device: str
) -> tuple[Task, tuple[Block, ...]]:
    task = draw_task(cell, trial, device)
    begins = {"re-estimated": "EGOP", "path": "EGOP"}.get(arm.coordinates, arm.coordinates)
    return task, fixed_bases(task, begins, estimate_size(cell, task))


def best(rows: Sequence[tuple[float, int, float]]) -> float:
    """Return the rate of the lowest median final loss; of equal ones the smallest."""
    table = pd.DataFrame(rows, columns=["rate", "trial", "loss"])
    return float(table.groupby("rate").loss.median().idxmin())


def between(rate: float, span: tuple[int, int], per_decade: int) -> list[float]:
    """Return the rates of the two decades around a power of ten that are not powers of ten.

    Document 4 brackets by powers of ten, then tries {2, 4, 8} times those inside (D.2).

    Examples
    --------
    >>> between(0.01, (-3, 0), 2), between(0.001, (-3, 0), 2)
    ([0.004, 0.04], [0.004])
    """
    low, high = (10.0**k for k in span)
    grid = decades(*span, per_decade)
    powers = decades(*span, 1)
    inside = [r for r in grid if rate / 10 < r < 10 * rate and r not in powers]
    return [r for r in inside if low <= r <= high]


# --- the bases ----------------------------------------------------------------------------------


def _bases(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure bases at the law of initializations and along a path of SOAP."""
    tables: dict[str, list[pd.DataFrame]] = {"alignment": [], "columns": []}
    for trial in range(cell["trials"]):
        for name, table in _bases_of(cell, draw_task(cell, trial, device)).items():
            tables[name].append(table.assign(trial=trial))
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items()}


def _bases_of(cell: Mapping[str, Any], task: Task) -> dict[str, pd.DataFrame]:
    count = estimate_size(cell, task)
    known = {
        name: fixed_bases(task, name, count) for name in ("original", "EGOP", "Kronecker", "random")
    }
    rows = []
    epochs = cell["epochs"]
    for epoch in (-1, 0, *sorted({1, epochs // 4, epochs // 2, epochs})):
        walked = _walk(task, max(epoch, 0) * task.an_epoch)
        around = None if epoch < 0 else walked.point
        gradients = sample(task, count, around, ("looking", epoch))
        rows += [
            (epoch, name, alignment(task, gradients, blocks))
            for name, blocks in {**known, "SOAP": soap_blocks(task, walked)}.items()
        ]
    columns = [
        (number, name, k + 1, float(share))
        for name in ("EGOP", "Kronecker")
        for number, ((_, shape), block) in enumerate(zip(task.matrices, known[name], strict=True))
        for k, share in enumerate(rank_one_share(block.vectors[:, :100], shape))
    ]
    return {
        "alignment": pd.DataFrame(rows, columns=["epoch", "basis", "ratio"]),
        "columns": pd.DataFrame(columns, columns=["matrix", "basis", "k", "share"]),
    }


def alignment(task: Task, gradients: Tensor, blocks: tuple[Block, ...]) -> float:
    """Return the sum of root mean squares of derivatives over the least that any basis has.

    1 in the basis of these gradients' own EGOP, of each weight matrix; never less.
    """
    basis: dict[int, Tensor] = {block.at.start: block.vectors for block in blocks}
    parts = [(gradients[:, at], basis.get(at.start)) for at, _ in task.matrices]
    found = sum(root_mean_squares(own, vectors) for own, vectors in parts)
    return float(found / sum(least_root_mean_squares(own) for own, _ in parts))


def _walk(task: Task, steps: int) -> Trained:
    """Train by SOAP at the rate `WALK`; its very first update only looks at a gradient."""
    return train_parts(
        Rotated(task.network, ((),), (0,)),
        task.start,
        parts_of(task, ARMS["SOAP"]),
        WALK * constant(max(steps, 1)),
        batches=task.batches(),
        record=[],
        look=task.look,
    )


def soap_blocks(task: Task, run: Trained) -> tuple[Block, ...]:
    """Return SOAP's own basis of each weight matrix, as its Kronecker product."""
    states = run.states[: len(task.matrices)]
    return tuple(
        Block(at, torch.kron(*(q.contiguous() for q in state["Q"])))
        for (at, _), state in zip(task.matrices, states, strict=True)
    )


# --- exact statements ---------------------------------------------------------------------------

#: A linear network whose gradients have full rank, so that no basis is left to chance.
SMALL = (5, 5, 5)
#: Method -> learning rate of the comparison; "full-matrix Adagrad" is Shampoo of one vector.
FOLLOWED = {
    "Adam": 0.01,
    "SOAP": 0.01,
    "GaLore": 0.01,
    "Muon": 0.01,
    "Shampoo": 0.1,
    "full-matrix Adagrad": 0.1,
}
FOLLOW_STEPS = 40


def _exact(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Check Lemma 20 at the layers' shapes, and what the methods see of a rotation."""
    lemma = [
        (trial, number, *row)
        for trial in range(cell["instances"])
        for number, row in enumerate(_lemma_20(cell["widths"], trial))
    ]
    followed = [row for trial in range(cell["instances"]) for row in _followed(trial)]
    return {
        "lemma": pd.DataFrame(
            lemma, columns=["trial", "matrix", "loss", "gradient", "orthogonal", "distance"]
        ),
        "followed": pd.DataFrame(followed, columns=["trial", "method", "rotation", "deviation"]),
    }


def _lemma_20(widths: Sequence[int], trial: int) -> list[tuple[float, float, float, float]]:
    """Return, a factor at a time, how far the two sides of Lemma 20 are from each other.

    f(.., U W Z^T, ..) against f(V t) with V = U kron Z: loss, gradient, V^T V; then the least
    distance of the proof's two columns to the first two of any Kronecker product.
    """
    of = (NAME, "lemma", *widths, trial)
    a = seeds.normal(widths[0], 50, of=(*of, "A"))
    problem = LinearNetwork(
        tuple(widths), mean_squares, (a,), (seeds.normal(widths[-1], 50, of=(*of, "Y")),), (0,)
    )
    point, first, rows = xavier_points(widths, 1, of=(*of, "W")), 0, []
    for number, (m, n) in enumerate(shapes(widths)):
        at = slice(first, first + m * n)
        first = at.stop
        u, z = (egop.random_basis(k, of=(*of, number, k, side)) for k, side in ((m, 0), (n, 1)))
        moved = point.clone()
        moved[:, at] = (u @ point[:, at].view(m, n) @ z.T).flatten()
        loss, gradient = problem.loss_and_gradient(moved)
        whole = torch.kron(u, z)
        other = Rotated(problem, ((Block(at, whole),),), (0,))
        loss_too, gradient_too = other.loss_and_gradient(point)
        turned = (u.T @ gradient[:, at].view(m, n) @ z).flatten()
        rows.append(
            (
                float((loss / loss_too - 1).abs()),
                float((turned - gradient_too[0, at]).norm() / turned.norm()),
                float((whole.T @ whole - torch.eye(m * n)).abs().max()),
                float(first_columns_distance(text_columns(m, n), (m, n))),
            )
        )
    return rows


def _followed(trial: int) -> list[tuple[int, str, str, float]]:
    """Return how far a rotation of the weights moves each method's end, over its whole way."""
    task, rows = _small_task(trial), []
    sizes = [(at, shape, at.stop - at.start) for at, shape in task.matrices]
    of = (*task.of, "turned")
    bases = {
        "none": (),
        "two-sided": tuple(
            Block(
                at,
                torch.kron(
                    *(egop.random_basis(k, of=(*of, at.start, s)) for s, k in enumerate(shape))
                ),
            )
            for at, shape, _ in sizes
        ),
        "any": tuple(Block(at, egop.random_basis(d, of=(*of, at.start))) for at, _, d in sizes),
    }
    for name, rate in FOLLOWED.items():
        ends = {word: _end(task, name, rate, blocks) for word, blocks in bases.items()}
        way = (ends["none"] - task.start).norm()
        rows += [
            (trial, name, word, float((ends[word] - ends["none"]).norm() / way))
            for word in ("two-sided", "any")
        ]
    rows.append((trial, "SOAP, once", "Adam in its basis", _soap_is_adam(task)))
    return rows


def _small_task(trial: int) -> Task:
    """Draw a small linear network and well-conditioned data."""
    of = (NAME, "followed", trial)
    a = seeds.normal(SMALL[0], 200, of=(*of, "A"))
    problem = LinearNetwork(
        SMALL, mean_squares, (a,), (seeds.normal(SMALL[-1], 200, of=(*of, "Y")),), (0,)
    )
    m = SMALL[0] ** 2
    return Task(
        problem,
        lambda point: problem.loss_and_gradient(point[None])[0],
        xavier_points(SMALL, 1, of=(*of, "start"))[0],
        ((slice(0, m), SMALL[:2]), (slice(m, 2 * m), SMALL[:2])),
        (),
        lambda count, name: xavier_points(SMALL, count, of=name),
        50,
        of,
    )


def _end(task: Task, name: str, rate: float, blocks: tuple[Block, ...]) -> Tensor:
    """Return where a method ends in turned coordinates, in original ones."""
    if name == "full-matrix Adagrad":
        parts = [Part(at, (math.prod(s),), Method("Shampoo")) for at, s in task.matrices]
    else:
        parts = parts_of(task, Arm(name, refresh=10))
    return train_parts(
        Rotated(task.network, (blocks,), (0,)),
        task.start,
        parts,
        rate * constant(FOLLOW_STEPS),
        batches=task.batches(),
        record=[],
        look=task.look,
    ).point


@dataclass(frozen=True)
class _Later(Shuffled):
    """The same batches, a step later."""

    def at(self, step: int) -> Tensor:
        return super().at(step + 1)


def _soap_is_adam(task: Task) -> float:
    """Return how far SOAP with its first basis is from Adam in that basis, over the whole way.

    SOAP only looks at the first gradient; both have SOAP's memory and hardly any epsilon.
    """
    tiny = {"eps": 1e-30, "betas": (0.95, 0.95)}
    settings = {**tiny, "weight_decay": 0.0, "precondition_frequency": NEVER}
    parts = [Part(at, shape, Method("SOAP", settings)) for at, shape in task.matrices]
    options: dict[str, Any] = {"record": [], "look": task.look}
    original = Rotated(task.network, ((),), (0,))
    rates = FOLLOWED["SOAP"] * constant(FOLLOW_STEPS + 1)
    batches = task.batches()
    soap = train_parts(original, task.start, parts, rates, batches=batches, **options)
    adam = train_parts(
        Rotated(task.network, (soap_blocks(task, soap),), (0,)),
        task.start,
        [Part(slice(0, len(task.start)), (len(task.start),), Method("Adam", tiny))],
        rates[1:],
        batches=_Later(batches.samples, batches.size, batches.streams),
        **options,
    )
    return float((soap.point - adam.point).norm() / (soap.point - task.start).norm())


RUNS = {"race": _race, "bases": _bases, "exact": _exact}
