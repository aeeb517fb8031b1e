r"""Phase retrieval: a student learns |w* . x| or its square from n samples in p dimensions.

Inputs x are N(0, 1/p), the teacher w* has norm sqrt(p), so w* . x is standard normal. The student
has d hidden units h_i = w_i . x and answers a = (1/d) sum_i g(h_i); the loss is a *sum* over the
batch. Four channels (document 2, Chapter 4):

    quadratic       y = (w* . x)^2            g = h^2               1/2 (a - y)^2
    absolute        y = |w* . x|              g = sqrt(h^2 + eps)   1/2 (a - y)^2
    door, square    y = sign(|w* . x| - K)    g = sqrt(h^2 + eps)   1/2 (a - K - y)^2
    door, logistic  the same                  the same              log(1 + e^{-y (a - K)})

A step is one pass over a data set whatever the batch: (trials x p) @ (p x n) gives every h, a mask
says whose residuals count, and (trials x n) @ (n x p) gives the gradients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple, Self

import torch
from scipy.special import ndtr, owens_t
from torch import Tensor
from torch.nn.functional import softplus

from hdnotes import seeds

#: Threshold of the symmetric door: half of all labels are +1.
DOOR = 0.67449
#: What smooths the absolute value in training.
SMOOTHING = 1e-8

Kernel = Callable[[Tensor, Tensor], Tensor]


def _square(h: Tensor) -> tuple[Tensor, Tensor]:
    return h.square(), 2 * h


def _smooth_absolute(h: Tensor) -> tuple[Tensor, Tensor]:
    value = h.square().add_(SMOOTHING).sqrt_()
    return value, h / value


def _squared_loss(a: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    residual = a - y
    return residual.square() / 2, residual


def _door_square(a: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return _squared_loss(a - DOOR, y)


def _door_logistic(a: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    margin = y * (a - DOOR)
    return softplus(-margin), -y * torch.sigmoid(-margin)


def square_kernel(cosine: Tensor, norms: Tensor) -> Tensor:
    """Return E[u^2 v^2] of two centred normals; ``norms`` is the product of their deviations."""
    return norms.square() * (1 + 2 * cosine.square())


def absolute_kernel(cosine: Tensor, norms: Tensor) -> Tensor:
    """Return E|u v| = (2/pi) (sqrt(1 - m^2) + m asin m) times the product of the deviations."""
    m = cosine.clamp(-1, 1)
    return norms * (2 / torch.pi) * ((1 - m.square()).sqrt() + m * m.asin())


def door_error(overlap: Tensor) -> Tensor:
    """Return the share of wrong labels of one hidden unit of norm sqrt(p) at overlap m.

    8 (T(a) + T(1/a)) - 4 Phi(-K) with Owen's T(a) at K and a = sqrt((1 - m) / (1 + m)).
    """
    m = overlap.double().cpu().clamp(0, 1)
    a = ((1 - m) / (1 + m)).sqrt().numpy()
    inverse = ((1 + m) / (1 - m)).sqrt().numpy()
    wrong = 8 * (owens_t(DOOR, a) + owens_t(DOOR, inverse)) - 4 * ndtr(-DOOR)
    return torch.as_tensor(wrong, device=overlap.device)


class Channel(NamedTuple):
    """What is observed of w* . x, and how a student is fitted to it.

    Attributes
    ----------
    activation : h -> g(h) and its derivative, as in training
    exact : h -> g(h), as in testing
    label : w* . x -> y
    loss : (a, y) -> loss of each sample and its derivative in a
    kernel : E[g(u) g(v)] of two normals with a cosine and a product of deviations; None if y is
        a class
    """

    activation: Callable[[Tensor], tuple[Tensor, Tensor]]
    exact: Callable[[Tensor], Tensor]
    label: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    kernel: Kernel | None


ChannelName = Literal["quadratic", "absolute", "door, square", "door, logistic"]


def _door(h: Tensor) -> Tensor:
    return (h.abs() - DOOR).sign()


CHANNELS: dict[str, Channel] = {
    "quadratic": Channel(_square, torch.square, torch.square, _squared_loss, square_kernel),
    "absolute": Channel(_smooth_absolute, torch.abs, torch.abs, _squared_loss, absolute_kernel),
    "door, square": Channel(_smooth_absolute, torch.abs, _door, _door_square, None),
    "door, logistic": Channel(_smooth_absolute, torch.abs, _door, _door_logistic, None),
}


@dataclass(frozen=True)
class PhaseRetrieval:
    """Trials of a student with ``hidden`` units; trial t has the data set ``data_of[t]``.

    Parameters
    ----------
    channel : a name in `CHANNELS`
    inputs : x of each data set, each (samples, features)
    targets : y of each data set, each (samples,)
    teachers : w* of each data set, each (features,)
    data_of : the data set of each trial; trials of one set side by side share a product
    hidden : hidden units d; a point is (w_1, ..., w_d), of d p numbers
    tests : fresh inputs of each data set, (points, features), where an error has no closed form
    """

    channel: ChannelName
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    teachers: tuple[Tensor, ...]
    data_of: tuple[int, ...]
    hidden: int = 1
    tests: tuple[Tensor, ...] = field(default=(), repr=False)

    @property
    def features(self) -> int:
        """The dimension of an input, p."""
        return self.inputs[0].shape[1]

    @property
    def parameters(self) -> int:
        """The number of weights of one student, d p."""
        return self.hidden * self.features

    @property
    def samples(self) -> int:
        """The number of samples in a data set, n."""
        return len(self.inputs[0])

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set's inputs."""
        return self.inputs[0].nbytes

    @property
    def trial_bytes(self) -> int:
        """Bytes of a trial's activations and of its point, gradient and optimizer state."""
        numbers = (3 * self.hidden + 4) * self.samples + 5 * self.parameters
        return numbers * self.inputs[0].element_size()

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only; the data are shared, not copied."""
        return replace(self, data_of=tuple(self.data_of[t] for t in trials))

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, d p), summed over each trial's batch.

        Parameters
        ----------
        point : (trials, d p)
        batch : None for all samples; or the numbers of distinct samples (trials, size), integers;
            or a mask (trials, samples) of 0 and 1, floating point
        """
        channel = CHANNELS[self.channel]
        answers, derivative = channel.activation(self._hidden(self._weights(point), self.inputs))
        loss, slope = channel.loss(answers.mean(1), self._targets)
        if batch is not None:
            mask = self._mask(batch, point)
            loss, slope = loss * mask, slope * mask
        derivative *= slope.unsqueeze(1) / self.hidden
        return loss.sum(1), self._combined(derivative).view_as(point)

    def training_error(self, point: Tensor) -> Tensor:
        """Return the mean loss over all samples (trials,); of the door, the wrong share."""
        channel = CHANNELS[self.channel]
        h = self._hidden(self._weights(point), self.inputs)
        if channel.kernel is None:
            return self._wrong(channel.exact(h).mean(1), self._targets)
        return channel.loss(channel.activation(h)[0].mean(1), self._targets)[0].mean(1)

    def test_error(self, point: Tensor) -> Tensor:
        """Return 1/2 E (a - y)^2 or, for the door, the share of wrong labels (trials,), float64.

        Exact from the overlaps: with G the Gram matrix of w_1, ..., w_d, w* over p, the error is a
        sum of E[g(u) g(v)] over pairs. The door has a closed form for d = 1 (norm sqrt(p)), and
        is judged on ``tests`` otherwise.
        """
        kernel, weights = CHANNELS[self.channel].kernel, self._weights(point).double()
        if kernel is None and self.hidden == 1:
            return door_error(self.overlap(point)[:, 0])
        if kernel is None:
            return self.sampled_error(point)
        own = _pairs(kernel, weights @ weights.mT / self.features)
        both = torch.cat([weights, self._teachers.double().unsqueeze(1)], 1)
        cross = _pairs(kernel, both @ both.mT / self.features)[:, -1]
        return (own.mean((1, 2)) - 2 * cross[:, :-1].mean(1) + cross[:, -1]) / 2

    def overlap(self, point: Tensor) -> Tensor:
        """Return |w_i . w*| / (||w_i|| ||w*||) of every hidden unit (trials, hidden), float64."""
        weights, teachers = self._weights(point).double(), self._teachers.double()
        products = (weights @ teachers.unsqueeze(2)).squeeze(2).abs()
        return products / weights.norm(dim=2) / teachers.norm(dim=1, keepdim=True)

    def sampled_error(self, point: Tensor) -> Tensor:
        """Return the test error on the fresh inputs ``tests`` (trials,), float64."""
        channel = CHANNELS[self.channel]
        fresh = [channel.label(x @ w) for x, w in zip(self.tests, self.teachers, strict=True)]
        y = torch.stack(fresh)[list(self.data_of)]
        answers = channel.exact(self._hidden(self._weights(point), self.tests)).mean(1)
        if channel.kernel is None:
            return self._wrong(answers, y)
        return (answers - y).double().square().mean(1) / 2

    @staticmethod
    def _wrong(answers: Tensor, labels: Tensor) -> Tensor:
        return ((answers - DOOR).sign() != labels).double().mean(1)

    def _weights(self, point: Tensor) -> Tensor:
        return point.view(len(point), self.hidden, self.features)

    def _hidden(self, weights: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return h (trials, hidden, samples)."""
        out = weights.new_empty(*weights.shape[:2], len(inputs[0]))
        for data, rows in self._runs:
            torch.mm(weights[rows].flatten(0, 1), inputs[data].T, out=out[rows].flatten(0, 1))
        return out

    def _combined(self, slopes: Tensor) -> Tensor:
        """Return the sums of x over samples, weighted by slopes (trials, hidden, samples)."""
        out = slopes.new_empty(*slopes.shape[:2], self.features)
        for data, rows in self._runs:
            torch.mm(slopes[rows].flatten(0, 1), self.inputs[data], out=out[rows].flatten(0, 1))
        return out

    def _mask(self, batch: Tensor, point: Tensor) -> Tensor:
        if batch.is_floating_point():
            return batch
        mask = point.new_zeros(len(point), self.samples)
        return mask.scatter_(1, batch.to(point.device), 1)

    @cached_property
    def _runs(self) -> list[tuple[int, slice]]:
        """Each run of trials on one data set: its number and its rows."""
        runs, first = [], 0
        for data, members in groupby(self.data_of):
            last = first + len(list(members))
            runs.append((data, slice(first, last)))
            first = last
        return runs

    @cached_property
    def _targets(self) -> Tensor:
        return torch.stack(self.targets)[list(self.data_of)]

    @cached_property
    def _teachers(self) -> Tensor:
        return torch.stack(self.teachers)[list(self.data_of)]


def _pairs(kernel: Kernel, gram: Tensor) -> Tensor:
    """Return E[g(u_i) g(u_j)] for normals with the covariance ``gram`` (..., k, k)."""
    deviation = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    norms = deviation.unsqueeze(-1) * deviation.unsqueeze(-2)
    return kernel(gram / norms, norms)


def sample_count(sample_complexity: float, features: int) -> int:
    """Return n = int(alpha p), as the source rounds.

    Examples
    --------
    >>> sample_count(2.3, 1024)
    2355
    """
    return int(sample_complexity * features)


def draw_data(
    channel: ChannelName,
    samples: int,
    features: int,
    *,
    of: tuple[object, ...],
    normalised: bool = True,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw inputs (samples, features), targets (samples,) and the teacher (features,).

    Parameters
    ----------
    channel : a name in `CHANNELS`; the door's teacher is Rademacher, the others' normal
    samples, features : n and p
    of : name of the stream
    normalised : whether the teacher is rescaled to norm sqrt(p); the source left it as drawn
    dtype : of what is returned; inputs are drawn in float32
    """
    inputs = draw_inputs(samples, features, of=(*of, "inputs"), dtype=dtype)
    teacher = seeds.normal(features, of=(*of, "teacher"))
    if channel.startswith("door"):
        teacher = teacher.sign()
    elif normalised:
        teacher *= features**0.5 / teacher.norm()
    targets = CHANNELS[channel].label(inputs.double() @ teacher)
    return inputs, targets.to(dtype), teacher.to(dtype)


def draw_inputs(
    samples: int, features: int, *, of: tuple[object, ...], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw x ~ N(0, 1/p), (samples, features), in float32."""
    x = torch.randn(samples, features, generator=seeds.generator(*of), dtype=torch.float32)
    return (x * features**-0.5).to(dtype)


def draw_start(hidden: int, features: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw a student's first point, N(0, I), (hidden x features,), in float32."""
    return seeds.normal(hidden * features, of=of).float()


def project(point: Tensor, features: int) -> None:
    """Rescale every hidden unit's weights to norm sqrt(p), in place; ``point`` (trials, d p)."""
    weights = point.view(len(point), -1, features)
    weights *= features**0.5 / weights.norm(dim=2, keepdim=True)
