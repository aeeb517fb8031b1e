r"""Completion by a network that is not linear: W = relu(Y A) B (chapter `adam_generalizability`).

Each row of Y, the observed entries and zeros elsewhere, goes through one hidden layer of h units
and comes out complete. Loss, penalty and measures are those of `matrix_completion`, with this W.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.problems.matrix_completion import MatrixCompletion


@dataclass(frozen=True)
class AutoencoderCompletion:
    """Trials of a network that completes a matrix row by row.

    Parameters
    ----------
    inner : the completion of W itself, of depth 1
    hidden : h; a point is A (n, h), then B (h, n)
    """

    inner: MatrixCompletion
    hidden: int

    @property
    def data_of(self) -> Sequence[int]:
        """The data set of each trial."""
        return self.inner.data_of

    @property
    def parameters(self) -> int:
        """The number of weights, 2 n h."""
        return 2 * self.inner.size * self.hidden

    @property
    def samples(self) -> int:
        """The number of observed entries."""
        return self.inner.samples

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set."""
        return self.inner.data_bytes

    @property
    def trial_bytes(self) -> int:
        """Bytes that one trial alone reads and writes."""
        return self.inner.trial_bytes + 6 * self.parameters * self._inputs.element_size()

    @property
    def truth(self) -> Tensor:
        """Each trial's matrix (trials, n, n)."""
        return self.inner.truth

    @property
    def seen(self) -> Tensor:
        """Each trial's observed entries (trials, n, n), of bool."""
        return self.inner.seen

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only."""
        return replace(self, inner=self.inner.take(trials))

    def product(self, point: Tensor) -> Tensor:
        """Return W = relu(Y A) B (trials, n, n)."""
        encoder, decoder = self._weights(point)
        return (self._inputs @ encoder).relu() @ decoder

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return losses (trials,) and gradients (trials, parameters)."""
        encoder, decoder = self._weights(point)
        hidden = (self._inputs @ encoder).relu()
        loss, slope = self.inner.loss_and_gradient((hidden @ decoder).flatten(1), batch)
        slope = slope.view(len(point), self.inner.size, -1)
        behind = (slope @ decoder.mT) * (hidden > 0)
        parts = (self._inputs.mT @ behind, hidden.mT @ slope)
        return loss, torch.cat([part.flatten(1) for part in parts], 1)

    def _weights(self, point: Tensor) -> tuple[Tensor, Tensor]:
        n, half = self.inner.size, point.shape[1] // 2
        return point[:, :half].view(-1, n, self.hidden), point[:, half:].view(-1, self.hidden, n)

    @cached_property
    def _inputs(self) -> Tensor:
        return torch.stack([self.inner.targets[data] for data in self.data_of])


def draw_network(n: int, hidden: int, *, of: tuple[object, ...]) -> Tensor:
    """Draw A and B with Gaussian entries of variance 1 over the inputs of each (2 n h,)."""
    encoder = seeds.normal(n * hidden, of=(*of, "encoder")) / n**0.5
    return torch.cat([encoder, seeds.normal(hidden * n, of=(*of, "decoder")) / hidden**0.5])
