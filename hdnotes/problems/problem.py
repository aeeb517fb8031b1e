r"""The contract of a problem: T independent objectives, one point and one gradient a row.

A point of T trials is one tensor of shape (trials, parameters); row t is the whole parameter vector
of trial t. Trials may share a data set. The sum of the T losses has as its gradient the stack of
the T gradients, so everything downstream (optimizers, EGOP) works on rows and knows no family.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, Self

from torch import Tensor


class Problem(Protocol):
    """T trials of one family; implemented by frozen dataclasses in this package."""

    @property
    def data_of(self) -> Sequence[int]:
        """The data set of each trial: trials of the same number share it. Length: trials."""

    @property
    def parameters(self) -> int:
        """The number of parameters of one trial."""

    @property
    def samples(self) -> int:
        """The number of samples in one data set."""

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set, read in a step by all trials that share it together."""

    @property
    def trial_bytes(self) -> int:
        """Bytes that one trial alone reads and writes in a full-batch step."""

    def take(self, trials: Sequence[int]) -> Self:
        """Return the problem with these trials only, in this order; repeats are allowed."""

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses (trials,) and gradients (trials, parameters) at ``point``.

        ``batch`` (trials, size) holds the samples each trial sees; None is all of them.
        """


#: Trials on one data set from which a step is bound by arithmetic, no longer by reading the data.
ENOUGH = 8


def chunks(problem: Problem, budget: int) -> list[list[int]]:
    """Split the trials so that what a chunk reads again and again stays within ``budget`` bytes.

    Trials of one data set stay together as long as their own work is not larger than the data
    they share. A data set that many trials share need not stay in the cache: one read serves all.

    Returns
    -------
    list of list of int
        The trials of each chunk, ordered by data set.
    """
    data_of = problem.data_of
    cost = {data: problem.data_bytes * (n < ENOUGH) for data, n in Counter(data_of).items()}
    most = max(1, max(budget, problem.data_bytes * len(cost)) // problem.trial_bytes)
    result: list[list[int]] = []
    sets: set[int] = set()
    for trial in sorted(range(len(data_of)), key=data_of.__getitem__):
        sets.add(data_of[trial])
        full = len(sets) > 1 and sum(cost[data] for data in sets) > budget
        if not result or full or len(result[-1]) == most:
            result.append([])
            sets = {data_of[trial]}
        result[-1].append(trial)
    return result
