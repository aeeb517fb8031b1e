r"""Phase retrieval on a GPU: the kernels of a step are recorded once and launched as one.

A step of a small problem is a dozen kernels of microseconds each, and launching them takes longer
than running them. A CUDA graph holds them all: it reads its inputs where they lay when it was
recorded, so it serves as long as the point and the mask are changed in place, which is from one
trial's leaving to the next. Numbers are those of the same kernels launched one by one.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, partial

import torch
from torch import Tensor

from hdnotes.problems.phase_retrieval import PhaseRetrieval

CHANGES_NO_NUMBER = True

Outputs = tuple[Tensor, ...]
Work = Callable[[], Outputs]

#: Calls before a recording, in which libraries set up what must not be set up within it.
WARM_UP = 3


def record_graph(work: Work) -> tuple[Callable[[], None], Outputs]:
    """Record the kernels of ``work`` as a CUDA graph; return what runs it, and its outputs."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return graph.replay, outputs


class Recorded:
    """A function of tensors whose kernels are recorded where its inputs stay where they are.

    Inputs that lie elsewhere than at the call before begin a recording of their own.

    Parameters
    ----------
    function : makes its outputs from its inputs without looking at a number on the host
    record : does ``work`` once in a way that can be repeated
    """

    def __init__(
        self,
        function: Callable[..., Outputs],
        record: Callable[[Work], tuple[Callable[[], None], Outputs]] = record_graph,
    ) -> None:
        self._function, self._record = function, record
        self._places: tuple[object, ...] = ()
        self._calls = 0
        self._recording: tuple[Callable[[], None], Outputs] | None = None

    def __call__(self, *inputs: Tensor | None) -> Outputs:
        """Return new tensors, which no later call changes."""
        places = tuple(map(_place, inputs))
        if places != self._places:
            self._places, self._calls, self._recording = places, 0, None
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._function(*inputs)
        if self._recording is None:
            self._recording = self._record(lambda: self._function(*inputs))
        replay, outputs = self._recording
        replay()
        return tuple(output.clone() for output in outputs)


def _place(tensor: Tensor | None) -> object:
    if tensor is None:
        return None
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


@dataclass(frozen=True)
class Replayed(PhaseRetrieval):
    """Phase retrieval whose losses and gradients are `Recorded`; parameters are the same.

    Numbers of samples, which are drawn on the host, are seen step by step.
    """

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses (trials,) and the gradients (trials, d p), summed over the batch."""
        if batch is not None and not batch.is_floating_point():
            return super().loss_and_gradient(point, batch)
        loss, gradient = self._recorded(point, batch)
        return loss, gradient

    @cached_property
    def _recorded(self) -> Recorded:
        # Not kept alive by its own recording: graphs go when the trials that they were made for do.
        return Recorded(partial(PhaseRetrieval.loss_and_gradient, weakref.proxy(self)))


def replayed(problem: PhaseRetrieval) -> Replayed:
    """Return the same trials, recorded; on a GPU."""
    return Replayed(**{field.name: getattr(problem, field.name) for field in fields(problem)})
