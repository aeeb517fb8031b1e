r"""The same starts trained in several bases, on subspaces, and on subspaces that are renewed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.coordinate_systems import batches_of
from hdnotes.experiments.egop_images import scores
from hdnotes.long_training import LongRun, train_long
from hdnotes.measures import egop
from hdnotes.measures.randomized import leading_eigenvectors
from hdnotes.optimizers import BASIC
from hdnotes.problems.classifier import Classifier
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.problems.subspace import Subspace

#: Epochs of a curve that are kept, the first one aside.
KEPT = 10
#: What is measured along a run.
MEASURED = ("loss", "accuracy")


@dataclass(frozen=True)
class Task:
    """A network, its starts and what its runs share.

    Attributes
    ----------
    network : on the training part, one trial, single precision
    held : images that are not trained on
    starts : (starts, d)
    streams : seeds of the starts' batches
    epochs, batch_size : of training
    """

    network: Classifier
    held: datasets.Part
    starts: Tensor
    streams: tuple[int, ...]
    epochs: int
    batch_size: int

    @property
    def an_epoch(self) -> int:
        """Steps of an epoch; a last batch that is not full is dropped."""
        return self.network.samples // self.batch_size


def race(
    task: Task, bases: Sequence[tuple[Block, ...]], tried: Sequence[tuple[str, float]]
) -> LongRun:
    """Train each start by each method and rate in each coordinate system, in this order of axes."""
    per_start, rows = len(bases), len(tried) * len(task.starts) * len(bases)
    problem = Rotated(
        task.network.take([0] * rows), tuple(bases), tuple(range(per_start)) * (rows // per_start)
    )
    starts = task.starts.repeat_interleave(per_start, 0).repeat(len(tried), 1)
    return _run(task, problem, problem.coordinates(starts), tried, per_start)


def race_within(task: Task, vectors: Tensor, tried: Sequence[tuple[str, float]]) -> LongRun:
    """Train each start by each method and rate on the subspace of ``vectors`` (d, k)."""
    rows = len(tried) * len(task.starts)
    origin = task.starts.repeat(len(tried), 1)
    problem = Subspace(task.network.take([0] * rows), origin, (vectors,), (0,) * rows)
    return _run(task, problem, origin.new_zeros(rows, vectors.shape[1]), tried, 1)


def _run(
    task: Task, problem: Any, point: Tensor, tried: Sequence[tuple[str, float]], per_start: int
) -> LongRun:
    """Train rows of settings, starts and ``per_start`` coordinate systems."""
    streams = [stream for stream in task.streams for _ in range(per_start)] * len(tried)
    settings = [BASIC[name](rate) for name, rate in tried]
    train = datasets.Part(task.network.inputs, task.network.labels)
    return train_long(
        problem,
        point,
        [setting for setting in settings for _ in range(len(streams) // len(tried))],
        task.epochs * task.an_epoch,
        batches=Shuffled(task.network.samples, task.batch_size, tuple(streams)),
        every=task.an_epoch,
        record=torch.tensor(kept_epochs(task.epochs)) * task.an_epoch,
        observe={
            "loss": lambda visit: scores(visit, train)[0],
            "accuracy": lambda visit: scores(visit, task.held)[1],
        },
    )


def kept_epochs(epochs: int) -> list[int]:
    """Return the epochs at which the loss is kept, 0 and the last among them."""
    return sorted({round(epochs * k / KEPT) for k in range(KEPT + 1)})


def race_renewed(
    task: Task, rank: int, tried: Sequence[tuple[str, float]], every: int
) -> list[LongRun]:
    """Train on subspaces that are renewed every so many epochs; return the pieces.

    A row's subspace is that of the leading eigenvectors of minibatch gradients at the point it has
    reached, twice as many as there are vectors. A piece starts the method anew.
    """
    point, runs = task.starts.repeat(len(tried), 1), []
    for first in range(0, task.epochs, every):
        streams = tuple(seeds.seed(stream, "renewed", first) % 2**40 for stream in task.streams)
        piece = replace(task, epochs=min(every, task.epochs - first), streams=streams)
        bases = tuple(_local_vectors(piece, theta, rank) for theta in point)
        rows = len(point)
        network = task.network.take([0] * rows)
        problem = Subspace(network, point, bases, tuple(range(rows)))
        runs.append(_run(piece, problem, point.new_zeros(rows, bases[0].shape[1]), tried, 1))
        point = problem.original(runs[-1].point)
    return runs


def _local_vectors(task: Task, theta: Tensor, rank: int) -> Tensor:
    of = ("renewed", *task.streams)
    rows = batches_of(2 * rank, task.network.samples, task.batch_size, of).to(theta.device)
    points = theta.repeat(len(rows), 1)
    gradients = egop.sample_gradients(task.network, points, rows)
    return leading_eigenvectors(gradients, min(rank, *gradients.shape), of=of).vectors
