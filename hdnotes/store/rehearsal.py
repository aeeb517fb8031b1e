"""Rehearsal: what cells will take, from short runs of the same cells on the same device.

A cell's length is what its fields that count steps, epochs or batches say. Its time is taken as

    setting up + a time for each step + a time for each look,

and looks as evenly spread in the logarithm of the step, as records are; three short runs tell the
three. Cells that are computed together are rehearsed together. Trials that would stop early are not
foreseen, which makes the estimate an upper bound there.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from hdnotes import checkpoints, devices, memory
from hdnotes.store.files import canonical
from hdnotes.store.sweep import Code, code_of, groups_of, timed

#: Last words of the names of the fields that say how long a cell is.
LENGTHS = ("steps", "epochs", "batches", "recorded")
#: Fields that name a draw: cells that differ in nothing else take the same.
DRAWS = ("trial", "first_set")
#: The shortest run, as a share of the whole; and what a longer one has to add to be believed, in s.
SHORTEST, ENOUGH_S = 1 / 4096, 0.25


@dataclass(frozen=True)
class Cost:
    """What computing takes.

    Parameters
    ----------
    seconds : on a machine that does nothing else
    flops : floating-point operations in matrix products and convolutions
    memory_bytes : the most that is held
    """

    seconds: float
    flops: float
    memory_bytes: int


def estimate(experiment: Any, cells: Sequence[Mapping[str, Any]], device: str) -> pd.DataFrame:
    """Return what cells will take, a row for each kind.

    Parameters
    ----------
    experiment, cells : as `hdnotes.store.sweep.sweep` takes them
    device : "cpu" or "cuda"

    Returns
    -------
    DataFrame
        `kind`, `cells`, `seconds` and `flops` summed over them, `memory_bytes` the most of any.
    """
    costs: dict[str, Cost] = {}
    rows = []
    groups = [[cells[number] for number in group] for group in groups_of(experiment, cells)]
    for group in tqdm(groups, desc=f"rehearsing {experiment.NAME}", unit="cell", file=sys.stderr):
        same = canonical([{name: c[name] for name in c if name not in DRAWS} for c in group])
        if same not in costs:
            costs[same] = rehearse(code_of(experiment, group[0]), group, device)
        whole, count = costs[same], len(group)
        share = Cost(whole.seconds / count, whole.flops / count, whole.memory_bytes)
        for cell in group:
            rows.append({"kind": cell.get("kind", experiment.NAME), "cells": 1, **vars(share)})
    names = ["kind", "cells", "seconds", "flops", "memory_bytes"]
    totals = {name: "max" if name == "memory_bytes" else "sum" for name in names[1:]}
    return pd.DataFrame(rows, columns=names).groupby("kind", sort=False).agg(totals).reset_index()


def rehearse(code: Code, cells: Sequence[Mapping[str, Any]], device: str) -> Cost:
    """Return what cells will take that are computed together.

    Raises
    ------
    Exception
        What the cells themselves raise at their full length. Shorter runs may fail, as a fit does
        that has too few points: a longer one is tried.
    """
    runs: list[tuple[float, list[dict[str, Any]], float]] = []  # share of the whole, cells, seconds
    memory.forget_peak(device)
    for share, short in _shorter(cells):
        try:
            runs.append((share, short, _seconds(code, short, device)))
        except Exception:
            if share == 1:
                raise
            continue
        if share == 1 or (len(runs) > 2 and runs[-1][2] - runs[-2][2] >= ENOUGH_S):
            break
    held = devices.peak_memory_bytes(device)
    timed = [(share, seconds) for share, _, seconds in runs[-3:]]
    counted = [(share, _flops(code, short, device)) for share, short, _ in runs[:3]]
    return Cost(_at_full_length(timed), _at_full_length(counted), held)


def shortened(cell: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return a cell with its lengths cut to a share.

    Examples
    --------
    >>> shortened({"d": 64, "steps": 1000, "gamp_steps": 400}, 0.1)
    {'d': 64, 'steps': 100, 'gamp_steps': 40}
    """
    return {**cell, **{name: max(1, round(cell[name] * share)) for name in _lengths(cell)}}


def _lengths(cell: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in cell.items()
        if name.split("_")[-1] in LENGTHS and isinstance(value, int)
    ]


def _shorter(cells: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """Yield (share, cells): shorter ones, each four times the last, then the whole."""
    longest = max((cell[name] for cell in cells for name in _lengths(cell)), default=0)
    share = SHORTEST
    while longest and share < 1:
        steps = max(1, round(longest * share))
        if steps > 1:
            yield steps / longest, [shortened(cell, share) for cell in cells]
        share *= 4
    yield 1.0, [dict(cell) for cell in cells]


def _at_full_length(runs: Sequence[tuple[float, float]]) -> float:
    """Return a + b + c log(1/s_1) from runs (s, a + b s + c log(s/s_1)); none is below 0."""
    shares, values = np.array(runs).T
    if shares[-1] == 1 or not values.max():
        return float(values[-1])
    first = shares[0]
    terms = np.stack([np.ones_like(shares), shares, np.log(shares / first)], axis=1)
    (a, b, c), _ = nnls(terms, values / values.max())
    return float((a + b - c * np.log(first)) * values.max())


def _seconds(code: Code, cells: Sequence[dict[str, Any]], device: str) -> float:
    with checkpoints.unkept():
        _, wall, busy = timed(code, cells, device)
    return devices.undisturbed_s(device, wall, busy)


def _flops(code: Code, cells: Sequence[dict[str, Any]], device: str) -> float:
    with checkpoints.unkept(), FlopCounterMode(display=False) as counter:
        timed(code, cells, device)
    return float(counter.get_total_flops())
