"""What each step sees: all samples, or shuffled chunks.

A stream of batches is a pure function of (seed, epoch): a trial draws the same batches whichever
trials run beside it and wherever a run is resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shuffled:
    """Each epoch, each trial reshuffles its samples and takes them in chunks of ``size``.

    A last, partial chunk is dropped.

    Parameters
    ----------
    samples : samples in a data set, n
    size : samples in a batch
    streams : one seed a trial; trials with the same seed see the same batches

    Raises
    ------
    ValueError
        If ``size`` is not between 1 and ``samples``.

    Examples
    --------
    >>> Shuffled(samples=6, size=2, streams=(1, 1)).at(step=0).shape
    torch.Size([2, 2])
    """

    samples: int
    size: int
    streams: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.samples:
            raise ValueError(f"size = {self.size} is not allowed; it is 1 to {self.samples}")

    def at(self, step: int) -> Tensor:
        """Return the samples (trials, size) of this step."""
        per_epoch = self.samples // self.size
        epoch, chunk = divmod(step, per_epoch)
        return self._epoch(epoch)[:, chunk * self.size : (chunk + 1) * self.size]

    def take(self, trials: Sequence[int]) -> Self:
        """Return the batches of these trials only, in this order."""
        return type(self)(self.samples, self.size, tuple(self.streams[t] for t in trials))

    @lru_cache(maxsize=2)  # noqa: B019 - two epochs at most, and it goes with the run
    def _epoch(self, epoch: int) -> Tensor:
        order = {
            stream: torch.randperm(
                self.samples, generator=torch.Generator().manual_seed(stream * 1_000_003 + epoch)
            )
            for stream in set(self.streams)
        }
        return torch.stack([order[stream] for stream in self.streams])


@dataclass(frozen=True)
class InOrder(Shuffled):
    """Every sample once, in the order in which they come: one pass over a stream.

    Parameters are those of `Shuffled`; ``samples`` is how many the whole run sees, and a step
    beyond them goes on counting.

    Examples
    --------
    >>> InOrder(samples=6, size=2, streams=(1, 1)).at(step=1)
    tensor([[2, 3],
            [2, 3]])
    """

    def at(self, step: int) -> Tensor:
        """Return the samples (trials, size) of this step."""
        first = step * self.size
        return torch.arange(first, first + self.size).expand(len(self.streams), -1)
