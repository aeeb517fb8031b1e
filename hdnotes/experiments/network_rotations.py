r"""Lemma 20 of document 4 to rounding, and what methods see of a rotation of a weight matrix.

Turning the rows and columns of W acts on its entries as U kron Z. SOAP, Shampoo and Muon do not see
such a rotation; any other they do (chapter egop_related, kind *exact*).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.network_arms import NEVER, Arm, parts_of
from hdnotes.experiments.network_bases import soap_blocks
from hdnotes.experiments.network_tasks import Task
from hdnotes.matrix_training import Part, train_parts
from hdnotes.measures import egop
from hdnotes.optimizers import Method
from hdnotes.problems.implicit_bases import Sides, block
from hdnotes.problems.linear_network import LinearNetwork, mean_squares, shapes, xavier_points
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.schedules import constant
from hdnotes.theory.kronecker_columns import first_columns_distance, text_columns

#: A linear network whose gradients have full rank, so that no basis is left to chance.
SMALL = (5, 5, 5)
#: Method -> learning rate of the comparison; "full-matrix Adagrad" is Shampoo of one vector, "once"
#: a basis that is never looked at again.
FOLLOWED = {
    "Adam": 0.01,
    "SOAP": 0.01,
    "GaLore": 0.01,
    "GaLore, once": 0.01,
    "Muon": 0.01,
    "Shampoo": 0.1,
    "full-matrix Adagrad": 0.1,
}
FOLLOW_STEPS = 20


def exact(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
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
    of = ("egop_related", "lemma", *widths, trial)
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
    ends: dict[str, dict[str, Tensor]] = {}
    for word, blocks in _rotations(task).items():
        ends[word] = {name: _end(task, name, rate, blocks) for name, rate in FOLLOWED.items()}
    still = ends.pop("none")
    for word, found in ends.items():
        rows += [
            (
                trial,
                name,
                word,
                float((end - still[name]).norm() / (still[name] - task.start).norm()),
            )
            for name, end in found.items()
        ]
    rows.append((trial, "SOAP, once", "Adam in its basis", _soap_is_adam(task)))
    return rows


def _rotations(task: Task) -> dict[str, tuple[Block, ...]]:
    """Draw rotations of each matrix: of its columns (inputs), its rows, both, and any."""
    of = (*task.of, "turned")
    found: dict[str, tuple[Block, ...]] = {"none": ()}
    for word, turned in (
        ("inputs", (False, True)),
        ("outputs", (True, False)),
        ("two-sided", (True, True)),
    ):
        found[word] = tuple(
            block(at, _sides(shape, turned, (*of, at.start))) for at, shape in task.matrices
        )
    found["any"] = tuple(
        Block(at, egop.random_basis(math.prod(shape), of=(*of, at.start)))
        for at, shape in task.matrices
    )
    return found


def _sides(shape: tuple[int, int], turned: tuple[bool, bool], of: tuple[object, ...]) -> Sides:
    """Draw rotations of the rows and the columns of a matrix, where they are turned."""
    left, right = (
        egop.random_basis(k, of=(*of, side)) if drawn else torch.eye(k, dtype=torch.float64)
        for side, (k, drawn) in enumerate(zip(shape, turned, strict=True))
    )
    return Sides(left, right)


def _small_task(trial: int) -> Task:
    """Draw a small linear network and well-conditioned data."""
    of = ("egop_related", "followed", trial)
    a = seeds.normal(SMALL[0], 200, of=(*of, "A"))
    problem = LinearNetwork(
        SMALL, mean_squares, (a,), (seeds.normal(SMALL[-1], 200, of=(*of, "Y")),), (0,)
    )
    m = SMALL[0] ** 2
    return Task(
        problem,
        lambda points: problem.loss_and_gradient(points)[0].unsqueeze(1),
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
        method, *once = name.split(", ")
        parts = parts_of(task, Arm(method, refresh=NEVER if once else 10))
    return train_parts(
        Rotated(task.network, (blocks,), (0,)),
        task.start,
        parts,
        rate * constant(FOLLOW_STEPS)[None],
        batches=task.batches(),
        record=[],
        look=task.look,
    ).point[0]


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
    rates = FOLLOWED["SOAP"] * constant(FOLLOW_STEPS + 1)[None]
    batches = task.batches()
    soap = train_parts(original, task.start, parts, rates, batches=batches, **options)
    adam = train_parts(
        Rotated(task.network, (soap_blocks(task, soap),), (0,)),
        task.start,
        [Part(slice(0, len(task.start)), (len(task.start),), Method("Adam", tiny))],
        rates[:, 1:],
        batches=_Later(batches.samples, batches.size, batches.streams),
        **options,
    )
    return float((soap.point - adam.point).norm() / (soap.point - task.start).norm())
