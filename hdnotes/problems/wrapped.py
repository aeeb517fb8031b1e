"""What problems that are made from another problem take over from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wrapped:
    """The trials of ``problem``: their data, and what a step of them costs.

    Parameters
    ----------
    problem : any problem
    """

    problem: Any

    @property
    def data_of(self) -> Sequence[int]:
        """The data set of each trial."""
        return self.problem.data_of

    @property
    def parameters(self) -> int:
        """The number of parameters of one trial."""
        return self.problem.parameters

    @property
    def samples(self) -> int:
        """The number of samples in one data set."""
        return self.problem.samples

    @property
    def data_bytes(self) -> int:
        """Bytes of one data set."""
        return self.problem.data_bytes

    @property
    def trial_bytes(self) -> int:
        """Bytes that one trial alone reads and writes; what it is wrapped in aside."""
        return self.problem.trial_bytes
