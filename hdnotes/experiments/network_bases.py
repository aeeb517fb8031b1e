r"""How near the bases that methods use are to the EGOP's (chapter egop_related, kind *bases*).

A basis is judged on fresh gradients by the sum of the root mean squares of the derivatives along
its columns, over the least that any basis has: 1 is the EGOP's own basis of these gradients.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes.experiments.network_arms import Arm, parts_of
from hdnotes.experiments.network_tasks import (
    Task,
    alignments,
    block_bases,
    draw_task,
    estimate_size,
    fixed_bases,
    kronecker_blocks,
    sample,
)
from hdnotes.matrix_training import Trained, train_parts
from hdnotes.problems.implicit_bases import Sides, block
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.schedules import constant
from hdnotes.theory.kronecker_columns import rank_one_share

#: Learning rate at which the path of *bases* is walked.
WALK = 0.01
#: Bases that are known before training, and the leading columns that are looked at.
KNOWN, LEADING = ("original", "EGOP", "Kronecker", "random"), 10
#: Gradients over weights of estimates that are compared; epoch that stands for rho itself.
SHARES, LAW = (0.25, 1.0, 4.0), -1


def bases(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Measure bases at the law of initializations and along a path of SOAP."""
    tables: dict[str, list[pd.DataFrame]] = {"alignment": [], "samples": [], "columns": []}
    for trial in range(cell["trials"]):
        for name, table in _bases_of(cell, draw_task(cell, trial, device)).items():
            tables[name].append(table.assign(trial=trial))
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items()}


def _bases_of(cell: Mapping[str, Any], task: Task) -> dict[str, pd.DataFrame]:
    count, epochs = estimate_size(cell, task), cell["epochs"]
    known = {name: fixed_bases(task, name, count) for name in KNOWN}
    rows, seen = [], sample(task, task.weights, None, ("looking", LAW))
    for epoch in (LAW, 0, *sorted({epochs // 4, epochs} - {0})):
        walked = _walk(task, max(epoch, 0) * task.an_epoch)
        law = epoch == LAW
        gradients = seen if law else sample(task, task.weights, walked.point[0], ("looking", epoch))
        every = {**known, "SOAP": soap_blocks(task, walked)}
        rows += [(epoch, *row) for row in alignments(task, gradients, every).items()]
    found = []
    for share in SHARES:
        some = sample(task, math.ceil(share * task.weights), None, ("some", share))
        estimates = {"EGOP": block_bases(task, some), "Kronecker": kronecker_blocks(task, some)}
        found += [(share, *row) for row in alignments(task, seen, estimates).items()]
    columns = [
        (number, name, k + 1, float(share))
        for name in ("EGOP", "Kronecker")
        for number, ((_, shape), basis) in enumerate(zip(task.matrices, known[name], strict=True))
        for k, share in enumerate(rank_one_share(_leading(basis, task.start.device), shape))
    ]
    return {
        "alignment": pd.DataFrame(rows, columns=["epoch", "basis", "ratio"]),
        "samples": pd.DataFrame(found, columns=["per_weight", "basis", "ratio"]),
        "columns": pd.DataFrame(columns, columns=["matrix", "basis", "k", "share"]),
    }


def _leading(basis: Block, device: torch.device) -> Tensor:
    """Return the first columns (size, `LEADING`) of a block, whichever way it is kept."""
    size = basis.at.stop - basis.at.start
    return (torch.eye(LEADING, size, dtype=torch.float64, device=device) @ basis.vectors.T).T


def _walk(task: Task, steps: int) -> Trained:
    """Train by SOAP at the rate `WALK`; its very first update only looks at a gradient."""
    return train_parts(
        Rotated(task.network, ((),), (0,)),
        task.start,
        parts_of(task, Arm("SOAP", refresh=10)),
        WALK * constant(max(steps, 1))[None],
        batches=task.batches(),
        record=[],
        look=task.look,
    )


def soap_blocks(task: Task, run: Trained) -> tuple[Block, ...]:
    """Return SOAP's own basis of each weight matrix, as its Kronecker product."""
    states = run.states[0][: len(task.matrices)]
    return tuple(
        block(at, Sides(*state["Q"])) for (at, _), state in zip(task.matrices, states, strict=True)
    )
