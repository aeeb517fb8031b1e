r"""A ReLU network with softmax cross-entropy (document 4, Sections 4 and 6).

The parameter vector holds, layer by layer, the weights (out x in, row-major) and then the biases.
The loss is the mean negative log-likelihood over the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor

from hdnotes import seeds


@dataclass(frozen=True)
class Layer:
    """Where a layer's parameters stand in the vector, and their shape."""

    weight: slice
    bias: slice
    inputs: int
    outputs: int


def layers(widths: Sequence[int]) -> list[Layer]:
    """Return the layers of a fully connected network.

    Examples
    --------
    >>> [(layer.weight, layer.bias) for layer in layers((2, 3, 1))]
    [(slice(0, 6, None), slice(6, 9, None)), (slice(9, 12, None), slice(12, 13, None))]
    """
    result, begin = [], 0
    for inputs, outputs in pairwise(widths):
        middle = begin + inputs * outputs
        result.append(Layer(slice(begin, middle), slice(middle, middle + outputs), inputs, outputs))
        begin = middle + outputs
    return result


@dataclass(frozen=True)
class Classifier:
    """Trials of one network on one data set.

    Parameters
    ----------
    widths : input, hidden and output widths
    inputs : (n, features)
    labels : (n,), class numbers
    data_of : one 0 a trial
    """

    widths: tuple[int, ...]
    inputs: Tensor
    labels: Tensor
    data_of: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of weights and biases, d."""
        return layers(self.widths)[-1].bias.stop

    @property
    def samples(self) -> int:
        """The number of samples, n."""
        return len(self.labels)

    @property
    def data_bytes(self) -> int:
        """Bytes of the inputs."""
        return self.inputs.nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's activations and their gradients over all samples."""
        return 4 * self.samples * sum(self.widths[1:]) * self.inputs.element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d) by back-propagation.

        Trials are one batched matrix product a layer; a single trial is a plain one.
        """
        if batch is None:
            inputs, labels = (
                self.inputs.expand(len(point), -1, -1),
                self.labels.expand(len(point), -1),
            )
        else:
            inputs, labels = self.inputs[batch], self.labels[batch]
        stack = layers(self.widths)
        seen = [inputs]
        for layer in stack:
            z = torch.baddbmm(point[:, layer.bias].unsqueeze(1), seen[-1], _weight(point, layer).mT)
            seen.append(z if layer is stack[-1] else z.relu_())
        logits = seen.pop().log_softmax(-1)
        picked = labels.unsqueeze(-1)
        loss = -logits.gather(-1, picked).squeeze(-1).mean(-1)
        delta = logits.exp_().scatter_add_(-1, picked, -torch.ones_like(logits[..., :1]))
        delta /= labels.shape[1]
        gradient = torch.empty_like(point)
        for layer, below in zip(reversed(stack), reversed(seen), strict=True):
            gradient[:, layer.weight] = (delta.mT @ below).flatten(1)
            gradient[:, layer.bias] = delta.sum(1)
            if layer is not stack[0]:
                delta = (delta @ _weight(point, layer)) * (below > 0)
        return loss, gradient


def _weight(point: Tensor, layer: Layer) -> Tensor:
    return point[:, layer.weight].unflatten(1, (layer.outputs, layer.inputs))


def draw_points(
    widths: Sequence[int], count: int, rho: Literal["normal", "xavier"], *, of: tuple[object, ...]
) -> Tensor:
    r"""Draw ``count`` parameter vectors (count, d) from the stream named ``of``.

    Parameters
    ----------
    rho : "normal": every entry N(0, 1) (document 4, D.4). "xavier": weights
        N(0, 2 / (in + out)), biases uniform on +-1/sqrt(in) (document 4, D.5).
    """
    stack = layers(widths)
    points = seeds.normal(count, stack[-1].bias.stop, of=(*of, "weights"))
    if rho == "xavier":
        stream = seeds.generator(*of, "biases")
        for layer in stack:
            points[:, layer.weight] *= (2 / (layer.inputs + layer.outputs)) ** 0.5
            uniform = torch.rand(count, layer.outputs, generator=stream, dtype=points.dtype)
            points[:, layer.bias] = (2 * uniform - 1) / layer.inputs**0.5
    return points


def draw_uniform_points(widths: Sequence[int], count: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw ``count`` parameter vectors (count, d) as torch initialises linear layers.

    Weights and biases are uniform on +-1/sqrt(in) (document 4, D.5, Fig. 4).
    """
    stack = layers(widths)
    stream = seeds.generator(*of, "uniform")
    points = 2 * torch.rand(count, stack[-1].bias.stop, generator=stream, dtype=torch.float64) - 1
    for layer in stack:
        points[:, layer.weight.start : layer.bias.stop] /= layer.inputs**0.5
    return points


def log_probabilities(widths: Sequence[int], points: Tensor, inputs: Tensor) -> Tensor:
    """Return the log-probability of each class (trials, samples, classes).

    Parameters
    ----------
    points : (trials, d)
    inputs : (samples, features), the same for every trial
    """
    stack, seen = layers(widths), inputs.expand(len(points), -1, -1)
    for layer in stack:
        seen = torch.baddbmm(points[:, layer.bias].unsqueeze(1), seen, _weight(points, layer).mT)
        if layer is not stack[-1]:
            seen.relu_()
    return seen.log_softmax(-1)
