r"""Networks whose loss does not change when their weights are scaled (chapter exponential_lr).

Every trained layer is followed by batch normalization without scale and shift, and the last layer
is fixed: L(c theta) = L(theta) for every c > 0, layer by layer, as long as normalization adds no
eps to the variance. The loss is the mean cross-entropy over the batch; a network is always judged
by the statistics of the batch that it sees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, cross_entropy

from hdnotes import seeds

#: Stands for eps = 0, which torch's batch normalization refuses: it is lost beside any variance.
NO_EPS = 1e-300
#: Side of an image of Fashion-MNIST, and of what a `ResNet` sees of it.
SIDE, SEEN = 28, 14


class Architecture(Protocol):
    """What makes logits of weights and inputs, for all trials at once."""

    @property
    def parameters(self) -> int:
        """The number of trained weights, d."""

    @property
    def inside(self) -> int:
        """Activations a trial and sample."""

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shape of each trained layer, in the order of the parameter vector."""

    def logits(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Return logits (trials, size, classes) of points (trials, d) at (trials, size, p)."""


def normalize(z: Tensor, eps: float = 0.0) -> Tensor:
    r"""Return (z - mean) / sqrt(var + eps), each unit's over the batch; torch's own kernel.

    Parameters
    ----------
    z : (trials, size, units)
    eps : what is added to the variance
    """
    trials, size, units = z.shape
    rows = z.transpose(0, 1).reshape(size, trials * units)
    normal = batch_norm(rows, None, None, training=True, eps=eps or NO_EPS)
    return normal.view(size, trials, units).transpose(0, 1)


@dataclass(frozen=True)
class Perceptron:
    """Fully connected layers, each normalized and bent by a nonlinearity, below a fixed last one.

    Parameters
    ----------
    widths : of the inputs and of every hidden layer
    head : the fixed last layer (classes, last width)
    eps : what normalization adds to a variance
    activation : the nonlinearity
    """

    widths: tuple[int, ...]
    head: Tensor
    eps: float = 0.0
    activation: Callable[[Tensor], Tensor] = torch.relu

    @property
    def parameters(self) -> int:
        """The number of trained weights, d."""
        return sum(i * o for i, o in pairwise(self.widths))

    @property
    def inside(self) -> int:
        """Activations a trial and sample."""
        return 3 * sum(self.widths)

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shape of each trained layer, (out, in)."""
        return [(o, i) for i, o in pairwise(self.widths)]

    def logits(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Return logits (trials, size, classes) of points (trials, d) at (trials, size, p)."""
        x = inputs
        for weight in split(point, self.shapes()):
            x = self.activation(normalize(torch.bmm(x, weight.mT), self.eps))
        return x @ self.head.T


@dataclass(frozen=True)
class ResNet:
    """Two residual blocks on images of half the side, below a fixed last layer.

    A convolution, a block of two at its width, a block of two that halves the side and doubles the
    width, with a normalized 1 x 1 convolution as its shortcut; then the mean over the image. Every
    convolution is normalized. Trials are the groups of one convolution.

    Parameters
    ----------
    channels : of the first block
    head : the fixed last layer (classes, 2 channels)
    eps : what normalization adds to a variance
    """

    channels: int
    head: Tensor
    eps: float = 0.0

    @property
    def parameters(self) -> int:
        """The number of trained weights, d."""
        return sum(torch.Size(shape).numel() for shape in self.shapes())

    @property
    def inside(self) -> int:
        """Activations a trial and sample."""
        return 8 * self.channels * SEEN**2

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shape of each convolution, (out, in, side, side)."""
        c = self.channels
        block = [(c, 1, 3, 3), (c, c, 3, 3), (c, c, 3, 3)]
        return [*block, (2 * c, c, 3, 3), (2 * c, 2 * c, 3, 3), (2 * c, c, 1, 1)]

    def logits(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Return logits (trials, size, classes) of points (trials, d) at (trials, size, 784)."""
        trials, size = inputs.shape[:2]
        weights = [w.flatten(0, 1) for w in split(point, self.shapes())]
        image = inputs.transpose(0, 1).unflatten(2, (SIDE, SIDE))
        x = avg_pool2d(image, SIDE // SEEN)

        def layer(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
            z = conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=trials)
            return batch_norm(z, None, None, training=True, eps=self.eps or NO_EPS)

        x = layer(x, weights[0]).relu()
        x = (x + layer(layer(x, weights[1]).relu(), weights[2])).relu()
        y = layer(layer(x, weights[3], 2).relu(), weights[4])
        x = (y + layer(x, weights[5], 2)).relu()
        pooled = x.mean((2, 3)).view(size, trials, -1).transpose(0, 1)
        return pooled @ self.head.T


def split(point: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return each layer's weights (trials, *shape) of points (trials, d)."""
    parts = point.split([torch.Size(shape).numel() for shape in shapes], dim=1)
    return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]


@dataclass(frozen=True)
class Normalized:
    """Trials of one architecture on one data set.

    Parameters
    ----------
    network : what makes the logits
    inputs : (n, features)
    labels : (n,), class numbers
    data_of : one 0 a trial
    """

    network: Architecture
    inputs: Tensor
    labels: Tensor
    data_of: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of trained weights, d."""
        return self.network.parameters

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
        """Bytes of a trial's activations over all samples."""
        return self.network.inside * self.samples * self.inputs.element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def outputs(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Return logits (trials, size, classes) at inputs (trials, size, features)."""
        return self.network.logits(point, inputs)

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d); see `Problem.loss_and_gradient`."""
        theta = point.detach().requires_grad_()
        rows = slice(None) if batch is None else batch
        inputs = self.inputs[rows].expand(len(point), -1, -1)
        labels = self.labels[rows].expand(len(point), -1)
        logits = self.outputs(theta, inputs)
        losses = cross_entropy(logits.mT, labels, reduction="none").mean(-1)
        (gradient,) = torch.autograd.grad(losses.sum(), theta)
        return losses.detach(), gradient


def draw_weights(shapes: Sequence[tuple[int, ...]], *, of: tuple[object, ...]) -> Tensor:
    """Draw a vector (d,) whose layers are N(0, 1 / inputs of a unit), from the stream ``of``."""
    layers = []
    for place, shape in enumerate(shapes):
        draw = seeds.normal(*shape, of=(*of, "layer", place))
        layers.append(draw.flatten() / draw[0].numel() ** 0.5)
    return torch.cat(layers)
