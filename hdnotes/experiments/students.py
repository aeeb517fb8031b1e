r"""Cells of document 2: students of a few data sets, many starts each, one kind of batch.

A cell of the chapters on phase retrieval holds

    channel, features p, alpha       the problem; n = int(alpha p) samples
    hidden                           units of the student
    batches                          "full" (GD), "shuffled" (SGD) or "persistent" (P-SGD)
    momenta                          of "none", "Nesterov" and "standard": a trial for each
    learning_rate, momentum          eta, and the coefficient of momentum
    batch_fraction, persistence      b, and tau of P-SGD
    epochs                           the budget
    first_set, sets, starts          which data sets, and starts on each
    teacher                          "sphere" (norm sqrt(p)) or "as drawn"
    judged_on                        "overlap" (the exact error) or "100 points"

and it may hold

    instances                        the channel under whose name data, starts and batches are drawn
    momentum_rate                    eta of the trials with momentum
    factor, method                   names, and no more

Data set k at (channel, p, n) is the same in every cell and chapter, and so is its start j. With
*instances* the labels are still those of ``channel``: *quadratic* instances with the absolute
channel are the data and starts of the chapter `phase_retrieval`, seen through |w* . x|. Cells that
differ in nothing but `OWN` are trained together: the more students share a pass over the data, the
less each costs. A chapter whose steps are not torch's SGD, whose points are disturbed by noise or
whose runs end otherwise says so to `train_students`.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil, log2
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.batches import Joined, Persistent, Shuffled, redraw_rate
from hdnotes.long_training import LongRun, Look, Source, Visit, train_long
from hdnotes.optimizers import Method, Setting
from hdnotes.problems.on_sphere import tangent
from hdnotes.problems.phase_retrieval import (
    CHANNELS,
    ChannelName,
    PhaseRetrieval,
    draw_data,
    draw_inputs,
    draw_start,
    project,
    sample_count,
)
from hdnotes.problems.replayed import replayed
from hdnotes.training import record_steps

#: Epochs between two looks at the errors; the source looked after every one.
LOOK_EPOCHS = 10
#: A run stops below these training and test errors, or where the gradient along the sphere is, in
#: its root mean square, so small that rounding in float32 moves a student as far. The source asked
#: for a largest entry of 5e-10 of the whole gradient, which points off the sphere and never is.
TRAINED, RECOVERED, FLAT = 1e-8, 1e-3, 1e-5
#: The test error, a share of wrong labels, below which a run on the symmetric door stops.
DOOR_RECOVERED = 0.01
#: Test points behind an error that is not a function of the overlap; the source had 100.
TEST_POINTS, SOURCE_TEST_POINTS = 2000, 100

#: What a cell may have to itself among those that are trained together.
OWN = (
    *("kind", "method", "factor", "batches", "momenta", "learning_rate", "momentum"),
    *("momentum_rate", "batch_fraction", "persistence", "epochs", "starts"),
)

BATCHES = {"full": "GD", "shuffled": "SGD", "persistent": "P-SGD"}


def method_name(batches: str, momentum: str) -> str:
    """Return what a method is called.

    Examples
    --------
    >>> method_name("persistent", "Nesterov"), method_name("full", "none")
    ('P-SGD + momentum', 'GD')
    """
    return BATCHES[batches] + ("" if momentum == "none" else " + momentum")


def epochs(features: int, factor: float = 2000) -> int:
    """Return the source's budget, int(2000 log2(p + 1)).

    Examples
    --------
    >>> [epochs(p) for p in (512, 1024, 2048, 4096)]
    [18005, 20002, 22001, 24000]
    """
    return int(factor * log2(features + 1))


def curve_point(
    p: Any,
    features: int,
    alpha: float,
    batches: str,
    *,
    learning_rate: float | None = None,
    **change: Any,
) -> dict[str, Any]:
    """Return what the cells of a point share, from a chapter's parameters; then what differs."""
    return {
        "kind": "success",
        "channel": "quadratic",
        "features": features,
        "alpha": alpha,
        "hidden": 1,
        "batches": batches,
        "learning_rate": p.learning_rate if learning_rate is None else learning_rate,
        "momentum": p.momentum,
        "batch_fraction": p.batch_fraction,
        "persistence": p.persistence,
        "epochs": epochs(features, p.epochs_factor),
        "teacher": "sphere",
        "judged_on": "overlap",
        "starts": p.starts,
        **change,
    }


def grouped(
    shared: dict[str, Any], sets: int, most: Sequence[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    """Yield a point's cells, a few data sets each: at most so many up to a size p, beyond it one.

    Examples
    --------
    >>> [cell["sets"] for cell in grouped({"features": 512}, 5, ((128, 9), (1024, 2)))]
    [2, 2, 1]
    """
    size = next((count for features, count in most if shared["features"] <= features), 1)
    for first in range(0, sets, size):
        yield {**shared, "first_set": first, "sets": min(size, sets - first)}


def require_batches(p: Any, features: str, *alphas: str) -> None:
    """Refuse parameters with which a batch holds no sample.

    Parameters
    ----------
    p : a chapter's parameters
    features, alphas : names of its sizes and of its sample complexities, one or more of each

    Raises
    ------
    ValueError
        If there is such a batch.
    """
    size = int(np.min(getattr(p, features)))
    fraction = getattr(p, "batch_fraction", 1.0)
    for name in alphas:
        alpha = float(np.min(getattr(p, name)))
        if int(fraction * sample_count(alpha, size)) < 1:
            raise ValueError(
                f"{name} = {alpha:g} is not allowed; with {features} = {size} it must be at least "
                f"{ceil(1 / fraction) / size:g}, so that a batch holds a sample."
            )


def alike(cell: Mapping[str, Any]) -> Hashable:
    """Return what cells have to share to be trained together."""
    return repr(sorted((name, value) for name, value in cell.items() if name not in OWN))


def alike_in_time(cell: Mapping[str, Any]) -> Hashable:
    """Return the same of cells whose curves are recorded: their epochs are as long, and as many."""
    return alike(cell), cell["epochs"], steps_an_epoch(cell["batches"], cell["batch_fraction"])


def held_bytes(cells: Iterable[Mapping[str, Any]]) -> int:
    """Return the peak bytes: data sets, test points, and every trial's activations and state."""
    trials: dict[Hashable, int] = {}
    needed = 0
    for cell in cells:
        n, p, d = sample_count(cell["alpha"], cell["features"]), cell["features"], cell["hidden"]
        key, count = alike(cell), cell["sets"] * cell["starts"] * len(cell["momenta"])
        trials[key] = trials.get(key, 0) + count
        data = (4 * cell["sets"] + 16) * (n + TEST_POINTS) * p
        needed = max(needed, data + trials[key] * 4 * ((3 * d + 8) * n + 8 * d * p))
    return needed + 2**29


def setting(momentum: str, coefficient: float, learning_rate: float) -> Setting:
    """Return torch's SGD with no, standard or Nesterov momentum."""
    if momentum == "none":
        return Method("SGD")(learning_rate)
    extra = {"nesterov": True} if momentum == "Nesterov" else {}
    return Method("SGD", {"momentum": coefficient, **extra})(learning_rate)


def steps_an_epoch(batches: str, fraction: float) -> int:
    """Return 1 for GD, 1/b for SGD (its partial chunk is dropped), ceil(1/b) for P-SGD."""
    return {"full": 1, "shuffled": int(1 / fraction), "persistent": ceil(1 / fraction)}[batches]


def data_name(cell: Mapping[str, Any], number: int) -> tuple[object, ...]:
    """Return the name of a data set's streams."""
    channel = cell.get("instances", cell["channel"])
    samples = sample_count(cell["alpha"], cell["features"])
    return ("phase retrieval", channel, cell["features"], samples, number)


def draw_problem(cell: dict[str, Any], device: str) -> PhaseRetrieval:
    """Draw a cell's data sets; one trial on each."""
    p, n = cell["features"], sample_count(cell["alpha"], cell["features"])
    points = SOURCE_TEST_POINTS if cell["judged_on"] == "100 points" else TEST_POINTS
    channel = cell.get("instances", cell["channel"])
    drawn = []
    for number in _sets(cell):
        name, normalised = data_name(cell, number), cell["teacher"] == "sphere"
        data = draw_data(channel, n, p, of=name, normalised=normalised)
        drawn.append((*data, draw_inputs(points, p, of=(*name, "test"))))
    x, y, w, tests = (tuple(one.to(device) for one in part) for part in zip(*drawn, strict=True))
    problem = PhaseRetrieval(channel, x, y, w, tuple(range(len(x))), cell["hidden"], tests)
    if channel != cell["channel"]:
        problem = _relabelled(problem, cell["channel"])
    return replayed(problem) if device == "cuda" else problem


def _relabelled(problem: PhaseRetrieval, channel: ChannelName) -> PhaseRetrieval:
    """Return the same data and teachers with the labels of another channel."""
    label, data = CHANNELS[channel].label, zip(problem.inputs, problem.teachers, strict=True)
    targets = tuple(label(x.double() @ w.double()).to(x.dtype) for x, w in data)
    return replace(problem, channel=channel, targets=targets)


def trials_of(*cells: dict[str, Any]) -> pd.DataFrame:
    """Return the cells' trials in order: number of the cell, method, momentum, set and start."""
    rows = [
        (number, method_name(cell.get("batches", "full"), momentum), momentum, data_set, start)
        for number, cell in enumerate(cells)
        for momentum in cell["momenta"]
        for data_set in _sets(cell)
        for start in range(cell["starts"])
    ]
    return pd.DataFrame(rows, columns=["cell", "method", "momentum", "set", "start"])


def by_cell(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a table by its column ``cell``."""
    return [rows.drop(columns="cell").reset_index(drop=True) for _, rows in table.groupby("cell")]


def start_names(cell: dict[str, Any], trials: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return the name of each trial's streams: its start's, and those of all that it draws."""
    return [
        (*data_name(cell, number), "start", start)
        for number, start in zip(trials["set"], trials["start"], strict=True)
    ]


def train_students(
    cells: Sequence[dict[str, Any]],
    device: str,
    settings: Sequence[Setting] | None = None,
    **options: Any,
) -> tuple[pd.DataFrame, LongRun]:
    """Train the students of cells that are `alike` to their ends.

    Parameters
    ----------
    cells, device
        As above.
    settings
        Method and learning rate of each trial; default: torch's SGD as its cell has it.
    **options
        Given to `train_long`: ``record``, ``observe``, ``noise``, or another ``stop``.

    Returns
    -------
    tuple
        A row a trial (cell, method, momentum, set, start, epochs, outcome), and what training left
        behind.
    """
    trials, first = trials_of(*cells), cells[0]
    p, own = first["features"], [cells[number] for number in trials["cell"]]
    sets = draw_problem(first, device)
    problem = sets.take((trials["set"] - first["first_set"]).tolist())
    names = start_names(first, trials)
    per_epoch = [steps_an_epoch(cell["batches"], cell["batch_fraction"]) for cell in own]
    rates = _rates(cells, trials)
    given: dict[str, Any] = {
        "batches": _batches(cells, trials, sets.samples, names, rates, device),
        "project": partial(project, features=p),
        "stop": partial(settled, sampled=first["judged_on"] != "overlap"),
        "every": [LOOK_EPOCHS * count for count in per_epoch],
    }
    run = train_long(
        problem,
        torch.stack([draw_start(first["hidden"], p, of=name) for name in names]).to(device),
        settings
        or [
            setting(momentum, cell["momentum"], rate)
            for momentum, cell, rate in zip(trials["momentum"], own, rates, strict=True)
        ],
        [cell["epochs"] * count for cell, count in zip(own, per_epoch, strict=True)],
        **(given | options),
    )
    return trials.assign(epochs=run.steps.numpy() // per_epoch, outcome=run.outcome), run


def settled(visit: Visit, sampled: bool = False) -> Tensor:
    """Tell which students are done: an error is small (document 2's code), or they stand still."""
    problem, point = visit.problem, visit.point
    error = problem.sampled_error(point) if sampled else problem.test_error(point)
    recovered = DOOR_RECOVERED if problem.channel.startswith("door") else RECOVERED
    slope = problem.hidden * tangent(visit.gradient, point, problem.features)
    still = slope.square().mean(1).sqrt() < FLAT
    return (error < recovered) | (problem.training_error(point) < TRAINED) | still


#: What is measured of a student at its end, or along its way.
ERRORS: dict[str, Look] = {
    "test_error": lambda visit: visit.problem.test_error(visit.point),
    "sampled_error": lambda visit: visit.problem.sampled_error(visit.point),
    "training_error": lambda visit: visit.problem.training_error(visit.point).double(),
    "overlap": lambda visit: visit.problem.overlap(visit.point).amax(1),
}


#: Those that are kept along the way.
ALONG = ("test_error", "training_error")


def final_errors(
    cells: Sequence[dict[str, Any]],
    device: str,
    settings: Sequence[Setting] | None = None,
    observe: Mapping[str, Look] | None = None,
    **options: Any,
) -> list[dict[str, pd.DataFrame]]:
    """Return each cell's table ``runs``: a row a student, with its errors and overlap at its end.

    Arguments are those of `train_students`; ``observe`` is measured besides.
    """
    looks = {**ERRORS, **(observe or {})}
    trials, run = train_students(cells, device, settings, observe=looks, **options)
    measured = {name: value[:, -1].cpu().numpy() for name, value in run.observed.items()}
    return [{"runs": runs} for runs in by_cell(trials.assign(**measured))]


def learning_curves(
    cells: Sequence[dict[str, Any]],
    device: str,
    settings: Sequence[Setting] | None = None,
    records: int = 200,
    **options: Any,
) -> list[dict[str, pd.DataFrame]]:
    """Return each cell's ``runs``, and ``curves``: errors along the way, at epochs even in log.

    Arguments are those of `train_students`; ``records`` is about how many epochs are kept. Cells
    have to be `alike_in_time`. A curve has no epoch before the first update, when a student is not
    yet on its sphere, and none after its last.
    """
    per_epoch = steps_an_epoch(cells[0]["batches"], cells[0]["batch_fraction"])
    epochs = record_steps(cells[0]["epochs"], records)
    looks = {"record": epochs * per_epoch, "observe": ERRORS}
    trials, run = train_students(cells, device, settings, **looks, **options)
    seen = {name: value.cpu().numpy() for name, value in run.observed.items()}
    runs = trials.assign(**{name: value[:, -1] for name, value in seen.items()})
    curves = trials.loc[trials.index.repeat(len(epochs))].reset_index(drop=True)
    along = {name: seen[name].astype(np.float32).flatten() for name in ALONG}
    curves = curves.assign(epoch=np.tile(epochs.numpy(), len(trials)), **along)
    inside = curves[curves.epoch.between(1, curves.epochs)].drop(columns=["epochs", "outcome"])
    tables = zip(by_cell(runs), by_cell(inside), strict=True)
    return [{"runs": own, "curves": points} for own, points in tables]


def last_batches(cell: dict[str, Any], device: str, steps: Sequence[int]) -> Tensor | None:
    """Return the masks (trials, samples) of P-SGD at these steps, one a trial.

    None where every step sees all samples, or a chunk of them that it takes once.
    """
    if cell["batches"] != "persistent":
        return None
    trials, samples = trials_of(cell), sample_count(cell["alpha"], cell["features"])
    rates = _rates([cell], trials)
    masks = source(cell, samples, start_names(cell, trials), rates, device)
    assert masks is not None
    return torch.stack([masks.take([k]).at(step)[0].clone() for k, step in enumerate(steps)])


def _sets(cell: dict[str, Any]) -> range:
    return range(cell["first_set"], cell["first_set"] + cell["sets"])


def _rates(cells: Sequence[dict[str, Any]], trials: pd.DataFrame) -> list[float]:
    """Return eta of each trial."""
    rates = []
    for number, momentum in zip(trials["cell"], trials["momentum"], strict=True):
        cell = cells[number]
        eta = cell["learning_rate"]
        rates.append(eta if momentum == "none" else cell.get("momentum_rate", eta))
    return rates


def _batches(
    cells: Sequence[dict[str, Any]],
    trials: pd.DataFrame,
    samples: int,
    names: Sequence[tuple[object, ...]],
    rates: Sequence[float],
    device: str,
) -> Source | None:
    """Return what the trials of all cells see."""
    rows = [group.index.tolist() for _, group in trials.groupby("cell")]
    parts = tuple(
        (
            source(cell, samples, [names[k] for k in own], [rates[k] for k in own], device),
            tuple(own),
        )
        for cell, own in zip(cells, rows, strict=True)
    )
    if len(parts) == 1 or all(part is None for part, _ in parts):
        return parts[0][0]
    return Joined(samples, parts, device)


def source(
    cell: dict[str, Any],
    samples: int,
    names: Sequence[tuple[object, ...]],
    rates: Sequence[float],
    device: str,
) -> Shuffled | Persistent | None:
    """Return what the trials of one cell see."""
    fraction = cell["batch_fraction"]
    if cell["batches"] == "full":
        return None
    if cell["batches"] == "shuffled":
        streams = tuple(seeds.seed(*name, "shuffles") % 2**40 for name in names)
        return Shuffled(samples, int(fraction * samples), streams)
    streams = tuple(seeds.seed(*name, "switches") for name in names)
    redrawn = tuple(redraw_rate(rate, fraction, cell["persistence"]) for rate in rates)
    return Persistent(samples, fraction, redrawn, streams, device)
