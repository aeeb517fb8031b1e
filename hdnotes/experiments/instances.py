r"""Cells of document 2 in which one instance is met by several losses: the same data, other labels.

A cell holds what a cell of `students` holds, and

    instances       the channel under whose name data sets, starts and batches are drawn
    momentum_rate   eta of the trials with momentum; learning_rate is that of those without

The labels are those of ``channel``. So *quadratic* instances with the absolute channel are the data
and starts of the chapter `phase_retrieval`, seen through |w* . x|; with a door's channel they are
the door with a normal teacher in place of a Rademacher one.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import torch

from hdnotes import seeds
from hdnotes.batches import Persistent, Shuffled, redraw_rate
from hdnotes.experiments.students import (
    ERRORS,
    LOOK_EPOCHS,
    draw_problem,
    method_name,
    setting,
    settled,
    start_names,
    steps_an_epoch,
    trials_of,
)
from hdnotes.long_training import Look, Source, train_long
from hdnotes.problems.phase_retrieval import CHANNELS, PhaseRetrieval, draw_start, project


def named(cell: dict[str, Any]) -> dict[str, Any]:
    """Return the cell of `students` that draws this one's data, starts and batches."""
    return {**cell, "channel": cell["instances"]}


def draw_instances(cell: dict[str, Any], device: str) -> PhaseRetrieval:
    """Draw a cell's data sets, one trial on each, with the labels of its channel."""
    drawn = draw_problem(named(cell), device)
    if cell["channel"] == cell["instances"]:
        return drawn
    label = CHANNELS[cell["channel"]].label
    data = zip(drawn.inputs, drawn.teachers, strict=True)
    targets = tuple(label(x.double() @ w.double()).to(x.dtype) for x, w in data)
    return replace(drawn, channel=cell["channel"], targets=targets)


def final_errors(
    cell: dict[str, Any], device: str, observe: dict[str, Look] | None = None
) -> dict[str, pd.DataFrame]:
    """Train a cell's students to their ends; return the table ``runs``, as `students` does.

    Parameters
    ----------
    cell, device
        As above.
    observe
        What is measured of a student at its end besides `students.ERRORS`.
    """
    trials, p = trials_of(cell), cell["features"]
    sets, names = draw_instances(cell, device), start_names(named(cell), trials)
    per_epoch = steps_an_epoch(cell["batches"], cell["batch_fraction"])
    rates = [_rate(cell, word) for word in trials["momentum"]]
    methods = zip(trials["momentum"], rates, strict=True)
    run = train_long(
        sets.take((trials["set"] - cell["first_set"]).tolist()),
        torch.stack([draw_start(cell["hidden"], p, of=name) for name in names]).to(device),
        [setting(word, cell["momentum"], rate) for word, rate in methods],
        cell["epochs"] * per_epoch,
        batches=_batches(cell, sets.samples, names, rates, device),
        project=partial(project, features=p),
        stop=settled,
        every=LOOK_EPOCHS * per_epoch,
        observe={**ERRORS, **(observe or {})},
    )
    ends = {name: value[:, -1].cpu().numpy() for name, value in run.observed.items()}
    called = [method_name(cell["batches"], momentum) for momentum in trials["momentum"]]
    epochs = run.steps.numpy() // per_epoch
    return {"runs": trials.assign(epochs=epochs, outcome=run.outcome, method=called, **ends)}


def _rate(cell: dict[str, Any], momentum: str) -> float:
    return float(cell["learning_rate" if momentum == "none" else "momentum_rate"])


def _batches(
    cell: dict[str, Any],
    samples: int,
    names: Sequence[tuple[object, ...]],
    rates: Sequence[float],
    device: str,
) -> Source | None:
    fraction = cell["batch_fraction"]
    if cell["batches"] == "full":
        return None
    if cell["batches"] == "shuffled":
        streams = tuple(seeds.seed(*name, "shuffles") % 2**40 for name in names)
        return Shuffled(samples, int(fraction * samples), streams)
    streams = tuple(seeds.seed(*name, "switches") for name in names)
    redrawn = tuple(redraw_rate(rate, fraction, cell["persistence"]) for rate in rates)
    return Persistent(samples, fraction, redrawn, streams, device)
