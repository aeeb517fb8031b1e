"""What each step sees: all samples, shuffled chunks, or a persistent subset (P-SGD).

A stream of batches is a pure function of (seed, epoch), or of (seed, block of steps): a trial draws
the same batches whichever trials run beside it and wherever a run is resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Self

import torch
from torch import Tensor

from hdnotes import seeds


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


#: Steps whose switches are drawn together.
BLOCK = 256


@dataclass(frozen=True)
class Drawn(Shuffled):
    """Every step each trial draws its samples anew, with replacement.

    Parameters are those of `Shuffled`.

    Examples
    --------
    >>> Drawn(samples=6, size=2, streams=(1, 1)).at(step=300).shape
    torch.Size([2, 2])
    """

    def at(self, step: int) -> Tensor:
        """Return the samples (trials, size) of this step."""
        block, place = divmod(step, BLOCK)
        return self._block(block)[:, place]

    @lru_cache(maxsize=2)  # noqa: B019 - two blocks at most, and it goes with the run
    def _block(self, block: int) -> Tensor:
        drawn = {
            stream: torch.randint(
                self.samples,
                (BLOCK, self.size),
                generator=seeds.generator(stream, "drawn", block),
            )
            for stream in set(self.streams)
        }
        return torch.stack([drawn[stream] for stream in self.streams])


@dataclass(frozen=True)
class Persistent:
    r"""P-SGD: every sample switches in and out of the batch by a two-state Markov chain.

    Before a step, P(0 -> 1) = eta / tau and P(1 -> 0) = (1 - b) eta / (b tau): the chain is
    stationary at Bernoulli(b), where it starts. The same chain in other words: with probability
    r = eta / (b tau) a sample is *redrawn* from Bernoulli(b), else it stays. So a state is that of
    the last redraw, whatever came before, and the redraws of a block of steps, spaced by geometric
    gaps, are a pure function of (stream, block).

    Parameters
    ----------
    samples : samples in a data set, n
    fraction : mean share of samples in a batch, b
    rates : redraws of a sample per step, r, one a trial
    streams : one seed a trial
    device : where the masks live; the draws are made on the CPU

    Raises
    ------
    ValueError
        If ``fraction`` or a rate is not above 0 and below 1.

    References
    ----------
    Document 2, Section 2 (P-SGD), with its rates eta/tau and (1 - b) eta / (b tau).

    Examples
    --------
    >>> Persistent(6, 0.5, (0.005,), (1,)).at(step=0).shape
    torch.Size([1, 6])
    """

    samples: int
    fraction: float
    rates: tuple[float, ...]
    streams: tuple[int, ...]
    device: str = "cpu"
    _held: list["_Clock"] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in [("fraction", self.fraction), *(("rate", r) for r in self.rates)]:
            if not 0 < value < 1:
                raise ValueError(f"{name} = {value} is not allowed; it is above 0 and below 1")

    def at(self, step: int) -> Tensor:
        """Return the mask (trials, samples) of this step, 0 or 1; the next call may change it."""
        block = step // BLOCK
        held = self._held[0] if self._held else None
        if held is not None and held.block == block - 1:
            held.advance(BLOCK - 1)
            held = self._clock(block, held.mask)
        elif held is None or held.block != block or held.done > step % BLOCK:
            rows = zip(self.streams, self.rates, strict=True)
            states = [self._start(stream, rate, block) for stream, rate in rows]
            held = self._clock(block, torch.stack(states).to(self.device))
        held.advance(step % BLOCK)
        self._held[:] = [held]
        return held.mask

    def take(self, trials: Sequence[int]) -> Self:
        """Return the batches of these trials only, in this order."""
        rates = tuple(self.rates[t] for t in trials)
        streams = tuple(self.streams[t] for t in trials)
        held = [clock.take(trials) for clock in self._held] if len({*trials}) == len(trials) else []
        return type(self)(self.samples, self.fraction, rates, streams, self.device, held)

    def _clock(self, block: int, mask: Tensor) -> "_Clock":
        """Merge all trials' redraws of a block, in the order of the steps."""
        drawn = [
            self._redraws(stream, rate, block)
            for stream, rate in zip(self.streams, self.rates, strict=True)
        ]
        places = torch.cat([place for place, _ in drawn])
        trials = torch.arange(len(drawn)).repeat_interleave(
            torch.tensor([len(place) for place, _ in drawn])
        )
        steps, order = (places // self.samples).sort(stable=True)
        cells = (trials * self.samples + places % self.samples)[order]
        values = torch.cat([value for _, value in drawn])[order]
        first = torch.searchsorted(steps, torch.arange(BLOCK + 1)).tolist()
        return _Clock(block, mask, first, cells.to(self.device), values.to(self.device))

    def _redraws(self, stream: int, rate: float, block: int) -> tuple[Tensor, Tensor]:
        """Return the places of a block's redraws, step x samples + sample, and their values."""
        numbers = seeds.generator(stream, "block", block)
        places, last = [], -1
        mean = self.samples * BLOCK * rate
        while last < self.samples * BLOCK:
            gaps = torch.empty(int(mean + 6 * mean**0.5) + 8, dtype=torch.long)
            places.append(gaps.geometric_(rate, generator=numbers).cumsum(0) + last)
            last = int(places[-1][-1])
        place = torch.cat(places)
        value = torch.rand(len(place), generator=numbers, dtype=torch.float32) < self.fraction
        inside = place < self.samples * BLOCK
        return place[inside], value[inside].float()

    def _start(self, stream: int, rate: float, block: int) -> Tensor:
        """Return a trial's state before a block: each sample's last redraw, looking backwards."""
        numbers = seeds.generator(stream, "start")
        first = torch.rand(self.samples, generator=numbers, dtype=torch.float32) < self.fraction
        state, unknown = first.float(), torch.ones(self.samples, dtype=torch.bool)
        for earlier in range(block - 1, -1, -1):
            place, value = self._redraws(stream, rate, earlier)
            last = torch.full((self.samples,), -1).scatter_reduce(
                0, place % self.samples, torch.arange(len(place)), "amax"
            )
            found = unknown & (last >= 0)
            state[found] = value[last[found]]
            unknown &= last < 0
            if not unknown.any():
                break
        return state


class _Clock:
    """The masks of a block of steps: a step overwrites what is redrawn before it."""

    def __init__(
        self, block: int, mask: Tensor, first: list[int], cells: Tensor, values: Tensor
    ) -> None:
        self.block, self.mask, self.done = block, mask, -1
        self._first, self._cells, self._values = first, cells, values

    def advance(self, step: int) -> None:
        """Go to a step of the block that has not passed."""
        flat = self.mask.view(-1)
        for now in range(self.done + 1, step + 1):
            redrawn = slice(self._first[now], self._first[now + 1])
            flat[self._cells[redrawn]] = self._values[redrawn]
        self.done = step

    def take(self, trials: Sequence[int]) -> "_Clock":
        """Return the clock of these trials only, at the same step."""
        trial, sample = self._cells // self.mask.shape[1], self._cells % self.mask.shape[1]
        new = torch.full((len(self.mask),), -1, device=self.mask.device)
        new[list(trials)] = torch.arange(len(trials), device=self.mask.device)
        kept = new[trial] >= 0
        before = torch.cat([kept.new_zeros(1, dtype=torch.long), kept.cumsum(0)])
        first = before[self._first].tolist()
        cells = (new[trial] * self.mask.shape[1] + sample)[kept]
        clock = _Clock(self.block, self.mask[list(trials)], first, cells, self._values[kept])
        clock.done = self.done
        return clock


@dataclass(frozen=True)
class Joined:
    """Batches of several kinds at once, as masks.

    Parameters
    ----------
    samples : samples in a data set, n
    parts : what some of the trials see, and which these are; None is all samples
    device : where the masks live

    Examples
    --------
    >>> Joined(4, ((None, (1,)), (Shuffled(4, 2, (7,)), (0,)))).at(step=0).sum(1)
    tensor([2., 4.])
    """

    samples: int
    parts: tuple[tuple[Shuffled | Persistent | None, tuple[int, ...]], ...]
    device: str = "cpu"

    def at(self, step: int) -> Tensor:
        """Return the mask (trials, samples) of this step, 0 or 1; the next call may change it."""
        for part, rows in self._drawn:
            batch = part.at(step).to(self.device)
            if batch.is_floating_point():
                self._mask[rows] = batch
            else:
                self._mask[rows] = 0
                self._mask[rows.unsqueeze(1), batch] = 1
        return self._mask

    def take(self, trials: Sequence[int]) -> Self:
        """Return the batches of these trials only, in this order."""
        parts = []
        for part, rows in self.parts:
            place = {row: k for k, row in enumerate(rows)}
            kept = [(k, place[trial]) for k, trial in enumerate(trials) if trial in place]
            if kept:
                new, old = zip(*kept, strict=True)
                parts.append((part and part.take(old), new))
        return type(self)(self.samples, tuple(parts), self.device)

    @cached_property
    def _mask(self) -> Tensor:
        trials = sum(len(rows) for _, rows in self.parts)
        return torch.ones(trials, self.samples, dtype=torch.float32, device=self.device)

    @cached_property
    def _drawn(self) -> list[tuple[Shuffled | Persistent, Tensor]]:
        """The parts that draw, with their rows."""
        return [(part, torch.tensor(rows, device=self.device)) for part, rows in self.parts if part]


def redraw_rate(learning_rate: float, fraction: float, persistence: float) -> float:
    """Return r = eta / (b tau), the redraws of a sample per step in P-SGD.

    Examples
    --------
    >>> redraw_rate(0.005, 0.5, 2)
    0.005
    """
    return learning_rate / (fraction * persistence)
