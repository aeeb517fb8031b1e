"""A recorded step gives what its kernels give one by one, wherever they can be recorded.

What a CUDA graph does is done here to a CPU's kernels: each is kept with the tensors that it was
given, and is run again on those same tensors.
"""

import gc
import weakref
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hdnotes.batches import Joined, Persistent, Shuffled
from hdnotes.long_training import train_long
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import (
    CHANNELS,
    PhaseRetrieval,
    draw_data,
    draw_start,
    project,
)
from hdnotes.problems.replayed import WARM_UP, Recorded, Replayed, replayed

P, N, TRIALS = 12, 40, 4
#: What a GPU cannot do without telling the host a number.
SYNCHRONISING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2"}


class Kept(TorchDispatchMode):
    """Keeps every kernel with its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function.overloadpacket.__name__ not in SYNCHRONISING
        out = function(*args, **(kwargs or {}))
        self.kernels.append((function, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for function, args, kwargs, out in self.kernels:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def record(work):
    """Do on a CPU what `record_graph` does on a GPU."""
    with Kept() as kept:
        outputs = work()
    return kept.replay, outputs


@pytest.fixture
def recording(monkeypatch):
    """Let recordings be those of a CPU; return how many were begun."""
    begun = []

    def counted(work):
        begun.append(work)
        return record(work)

    monkeypatch.setattr(Recorded.__init__, "__defaults__", (counted,))
    return begun


def made(channel: str, hidden: int) -> tuple[PhaseRetrieval, torch.Tensor]:
    sets = [draw_data(channel, N, P, of=("replayed", k)) for k in range(2)]
    x, y, w = zip(*sets, strict=True)
    problem = PhaseRetrieval(channel, x, y, w, (0, 0, 1, 1), hidden)
    starts = [draw_start(hidden, P, of=("replayed", "start", k)) for k in range(TRIALS)]
    return problem, torch.stack(starts)


BATCHES = {
    "full": None,
    "persistent": Persistent(N, 0.5, (0.05,) * TRIALS, tuple(range(TRIALS))),
    "shuffled": Shuffled(N, N // 2, tuple(range(TRIALS))),
    "all three": Joined(
        N,
        (
            (Persistent(N, 0.5, (0.05,) * 2, (1, 2)), (0, 3)),
            (Shuffled(N, N // 2, (3,)), (1,)),
            (None, (2,)),
        ),
    ),
}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("batches", BATCHES)
def test_a_run_is_the_same_with_its_steps_recorded(recording, channel, hidden, batches):
    problem, start = made(channel, hidden)
    settings = [Method("SGD", {"momentum": 0.9, "nesterov": True})(0.002)] * TRIALS
    train = partial(
        train_long,
        start=start,
        settings=settings,
        steps=[30, 30, 19, 40],
        batches=BATCHES[batches],
        project=partial(project, features=P),
        observe={"gradient": lambda visit: visit.gradient, "before": lambda visit: visit.before},
        record=torch.tensor([0, 1, 7, 8, 30, 33, 40]),
        chunk_bytes=1 << 30,
    )
    plain, again = train(problem), train(replayed(problem))
    assert torch.equal(plain.point, again.point)
    for name, value in plain.observed.items():
        torch.testing.assert_close(again.observed[name], value, rtol=0, atol=0, equal_nan=True)
    # Anew whenever a trial has left; never for what the host draws.
    assert len(recording) == (0 if batches == "shuffled" else 3)


def test_what_was_returned_stays_as_it_was(recording):
    problem, point = made("quadratic", 1)
    seen = replayed(problem)
    kept = []
    for _ in range(WARM_UP + 3):
        _, gradient = seen.loss_and_gradient(point)
        kept.append((gradient, problem.loss_and_gradient(point)[1]))
        point -= 0.01 * gradient
    assert len(recording) == 1
    assert all(torch.equal(one, other) for one, other in kept)


def test_inputs_elsewhere_are_not_mistaken_for_those_recorded(recording):
    problem, point = made("quadratic", 1)
    seen = replayed(problem)
    for _ in range(WARM_UP + 1):
        seen.loss_and_gradient(point)
    other = point + 1
    for _ in range(WARM_UP + 2):
        assert torch.equal(seen.loss_and_gradient(other)[1], problem.loss_and_gradient(other)[1])
    assert torch.equal(seen.loss_and_gradient(point)[1], problem.loss_and_gradient(point)[1])
    assert len(recording) == 2


def test_a_recording_goes_with_the_trials_that_it_was_made_for(recording):
    problem, point = made("quadratic", 1)
    seen = replayed(problem)
    for _ in range(WARM_UP + 1):
        seen.loss_and_gradient(point)
    gone = weakref.ref(seen._recorded)
    recording.clear()
    gc.disable()
    try:
        del seen
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_s_graph_gives_what_its_kernels_give():
    problem, point = made("quadratic", 2)
    fields = ("inputs", "targets", "teachers")
    there = {name: tuple(one.cuda() for one in getattr(problem, name)) for name in fields}
    plain = PhaseRetrieval("quadratic", **there, data_of=problem.data_of, hidden=2)
    seen, point = replayed(plain), point.cuda()
    assert isinstance(seen.take([0, 2]), Replayed)
    for _ in range(WARM_UP + 5):
        _, gradient = seen.loss_and_gradient(point)
        torch.testing.assert_close(gradient, plain.loss_and_gradient(point)[1])
        point -= 0.001 * gradient
