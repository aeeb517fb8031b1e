"""Noise that is added to a point: at every step a random direction of a given length.

Like a stream of batches it is a pure function of (seed, block of steps): a trial is disturbed in
the same way whichever trials run beside it and wherever a run is resumed. Used by the chapter
`langevin`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds

#: Steps whose directions are drawn together.
BLOCK = 64


@dataclass(frozen=True)
class Directions:
    """A uniform direction in R^p a step and trial, of length ``lengths[trial, step]``, then none.

    Parameters
    ----------
    lengths : norm of what is added (trials, steps); 0 after the last step, and where it is 0
    parameters : p, entries of a trial's point
    streams : one seed a trial; trials with the same seed share directions

    Examples
    --------
    >>> noise = Directions(torch.tensor([[0.5, 2.0]]), 3, (1,))
    >>> [round(float(noise.at(step).norm()), 4) for step in range(3)]
    [0.5, 2.0, 0.0]
    """

    lengths: Tensor
    parameters: int
    streams: tuple[int, ...]
    _held: list[tuple[int, Tensor]] = field(default_factory=list, repr=False, compare=False)

    def at(self, step: int) -> Tensor:
        """Return what is added after this step's update (trials, parameters)."""
        if step >= self.lengths.shape[1]:
            return self.lengths.new_zeros(1, 1).expand(len(self.streams), self.parameters)
        directions = self._block(step // BLOCK)[:, step % BLOCK]
        return directions * self.lengths[:, step, None]

    def take(self, trials: Sequence[int]) -> Self:
        """Return the noise of these trials only, in this order."""
        rows = list(trials)
        held = [(block, drawn[rows]) for block, drawn in self._held]
        streams = tuple(self.streams[t] for t in rows)
        return type(self)(self.lengths[rows], self.parameters, streams, held)

    def _block(self, block: int) -> Tensor:
        """Return the unit directions (trials, BLOCK, parameters) of a block of steps."""
        if not self._held or self._held[0][0] != block:
            drawn = {stream: self._drawn(stream, block) for stream in set(self.streams)}
            unit = torch.stack([drawn[stream] for stream in self.streams])
            self._held[:] = [(block, unit.to(self.lengths))]
        return self._held[0][1]

    def _drawn(self, stream: int, block: int) -> Tensor:
        numbers = seeds.generator(stream, "block", block)
        normal = torch.randn(BLOCK, self.parameters, generator=numbers, dtype=torch.float32)
        return normal / normal.norm(dim=1, keepdim=True)
