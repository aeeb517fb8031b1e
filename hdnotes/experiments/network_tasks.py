r"""A trial of a network with its weight matrices, and the bases that its gradients give.

The linear network and the network on the digits of the chapters egop_linear_networks and
egop_images, in float64, for the chapter egop_related, which puts other methods beside the EGOP's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.experiments.egop_images import images
from hdnotes.measures import egop, sides
from hdnotes.measures.alignment import least_root_mean_squares, root_mean_squares
from hdnotes.problems.classifier import Classifier, draw_points, layers, log_probabilities
from hdnotes.problems.convex import decaying_matrix
from hdnotes.problems.implicit_bases import Sides, block
from hdnotes.problems.linear_network import (
    CondensedNetwork,
    LinearNetwork,
    condensed,
    mean_squares,
    shapes,
    xavier_points,
)
from hdnotes.problems.rotated import Block

PROBLEMS = ("linear network", "digits")
#: Gradients of an estimate over weights, times `gradients_per_weight` (spec of both chapters).
SAMPLES_PER_WEIGHT = {"linear network": 2.0, "digits": 1.0}
#: Deviations of rho around the point, over those of the initialization, in a re-estimate.
NEAR = 0.1


@dataclass(frozen=True)
class Task:
    """One trial of a problem.

    Attributes
    ----------
    network : one trial, on the training part
    look : points (runs, parameters) -> mean training loss and validation measure (runs, 2)
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
    of = ("egop_related", cell["problem"], *cell["widths"], trial)
    kind = _linear if cell["problem"] == PROBLEMS[0] else _digits
    return kind(cell, of, device)


def _linear(cell: Mapping[str, Any], of: tuple[object, ...], device: str) -> Task:
    """Draw data, targets and start of a linear network as the chapter on it does (D.5)."""
    widths, samples, held = tuple(cell["widths"]), 10_000, 2_000
    sigma = torch.arange(1, widths[0] + 1, dtype=torch.float64) ** -2.0
    whole = decaying_matrix(samples + held, sigma, of=(*of, "A")).to(device)
    truth = seeds.normal(widths[-1], widths[0], of=(*of, "M")).to(device)

    def network(kind: type[LinearNetwork], inputs: Tensor) -> LinearNetwork:
        return kind(widths, mean_squares, (inputs,), (truth @ inputs,), (0,))

    train, validation = (part.T for part in whole.split([samples, held]))
    parts = [network(LinearNetwork, condensed(inputs)) for inputs in (train, validation)]
    first, matrices = 0, []
    for shape in shapes(widths):
        matrices.append((slice(first, first + math.prod(shape)), shape))
        first += math.prod(shape)

    def look(points: Tensor) -> Tensor:
        runs = [0] * len(points)
        return torch.stack([part.take(runs).loss_and_gradient(points)[0] for part in parts], 1)

    return Task(
        network(CondensedNetwork, train),
        look,
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

    def look(points: Tensor) -> Tensor:
        answers = [log_probabilities(widths, points, x[0]) for x in (train, held)]
        loss = torch.stack([nll_loss(own, train[1]) for own in answers[0]])
        return torch.stack([loss, (answers[1].argmax(-1) != held[1]).double().mean(-1)], 1)

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


def estimate_size(cell: Mapping[str, Any], task: Task, share: float = 1.0) -> int:
    """Return M, the minibatch gradients of one estimate, or a share of them."""
    per_weight = SAMPLES_PER_WEIGHT[cell["problem"]] * cell["gradients_per_weight"]
    return math.ceil(share * per_weight * task.weights)


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


def kronecker_blocks(task: Task, gradients: Tensor) -> tuple[Block, ...]:
    """Return the basis that rows and columns of each matrix's gradients give."""
    moments = [sides.side_moments(gradients[:, at], rows) for at, (rows, _) in task.matrices]
    return tuple(
        block(at, Sides(*sides.side_bases(own)))
        for (at, _), own in zip(task.matrices, moments, strict=True)
    )


def fixed_bases(task: Task, name: str, count: int) -> tuple[Block, ...]:
    """Return the blocks of a coordinate system that is known before training."""
    if name == "original":
        return ()
    if name == "random":
        return tuple(
            Block(at, egop.random_basis(math.prod(shape), of=(*task.of, at.start)).to(task.start))
            for at, shape in task.matrices
        )
    gradients = sample(task, count, None, "rho")
    return (kronecker_blocks if name == "Kronecker" else block_bases)(task, gradients)


def alignments(
    task: Task, gradients: Tensor, bases: Mapping[str, tuple[Block, ...]]
) -> dict[str, float]:
    """Return each basis's sum of root mean squares of derivatives over the least of any basis.

    1 in the basis of these gradients' own EGOP, of each weight matrix; never less.
    """
    parts = [gradients[:, at] for at, _ in task.matrices]
    least = float(sum(least_root_mean_squares(own) for own in parts))
    found = {}
    for name, blocks in bases.items():
        pairs = zip(parts, blocks, strict=True) if blocks else ()
        turned = [own @ block.vectors for own, block in pairs] or parts
        found[name] = float(sum(root_mean_squares(own) for own in turned)) / least
    return found
