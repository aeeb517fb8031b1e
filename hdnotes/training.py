r"""The loop: T independent trials trained in lockstep.

The methods act element by element, so T trials are the rows of one parameter and the gradient of
the summed loss is the stack of their gradients: row t follows exactly the path it would follow
alone. One step serves all trials; trials on one data set share each read of it. Each learning rate
is a parameter group. A trial that meets the stopping rule or diverges leaves the batch at once.

Trials whose data sets do not fit in the CPU's cache together are trained one chunk after the other,
each to its end, so that its data stay in the cache over all its steps.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from hdnotes import devices
from hdnotes.batches import Shuffled
from hdnotes.optimizers import Lockstep, Setting, find
from hdnotes.problems.problem import Problem, chunks

Measure = Callable[[Tensor, Tensor, Tensor], Tensor]
Outcome = Literal["budget", "stopped", "diverged"]


@dataclass(frozen=True)
class Run:
    """What T trained trials leave behind; every tensor's first axis is the trials.

    Attributes
    ----------
    recorded : the recorded steps (records,); step s is the point after s updates
    loss : (trials, records); a stopped trial keeps its last loss, a diverged one is inf
    observed : measure name -> (trials, records, ...), at the recorded steps
    average : measure name -> (trials,), the mean over all points visited, the last included
    point : the last points (trials, parameters); a diverged trial's is where it diverged
    steps : updates done by each trial (trials,)
    outcome : "stopped" (the rule was met), "diverged" (loss not finite) or "budget"
    """

    recorded: Tensor
    loss: Tensor
    observed: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    point: Tensor
    steps: Tensor
    outcome: list[Outcome]


def record_steps(steps: int, records: int = 60) -> Tensor:
    """Return 0, ``steps`` and about ``records`` integer steps evenly spaced in log between.

    Examples
    --------
    >>> record_steps(100, 5).tolist()
    [0, 1, 3, 10, 32, 100]
    """
    spaced = torch.logspace(0, torch.tensor(float(max(steps, 1))).log10().item(), records)
    return torch.cat([torch.zeros(1), spaced.round(), torch.tensor([steps])]).unique().long()


def train(
    problem: Problem,
    start: Tensor,
    settings: Sequence[Setting],
    steps: int,
    *,
    batches: Shuffled | None = None,
    record: Tensor | None = None,
    observe: Mapping[str, Measure] | None = None,
    average: Mapping[str, Measure] | None = None,
    stop: Measure | None = None,
    chunk_bytes: int | None = None,
) -> Run:
    """Train every trial of ``problem`` for ``steps`` updates.

    Parameters
    ----------
    problem : T trials
    start : first points (trials, parameters); not changed
    settings : method and learning rate of each trial
    steps : updates of each trial
    batches : what each step sees; None is all samples
    record : steps to record, ascending; default `record_steps`
    observe, average : measures (point, loss, gradient) -> (trials, ...), at the recorded steps, or
        averaged over all steps. They see only the trials that are still in the batch.
    stop : (point, loss, gradient) -> (trials,) of bool; True ends the trial before its next update
    chunk_bytes : data and work of the trials trained together; default: what the cache holds on a
        CPU, everything on a GPU

    Raises
    ------
    ValueError
        If the numbers of trials or parameters of the arguments disagree.
    """
    _check(problem, start, settings, steps)
    record = record_steps(steps) if record is None else record
    on_cpu = start.device.type == "cpu"
    budget = chunk_bytes or (devices.cache_bytes() if on_cpu else devices.UNLIMITED)
    log = _Log(record, observe or {}, average or {}, start)
    for chunk in chunks(problem, budget):
        trials = sorted(chunk, key=lambda t: (repr(settings[t]), t))
        rows = Lockstep(start[trials], [settings[t] for t in trials])
        seen = batches and batches.take(trials)
        _run(problem.take(trials), rows, seen, steps, stop, log, trials)
    return log.run()


def _check(problem: Problem, start: Tensor, settings: Sequence[Setting], steps: int) -> None:
    expected = (len(problem.data_of), problem.parameters)
    if tuple(start.shape) != expected:
        raise ValueError(f"start has shape {tuple(start.shape)}; the problem needs {expected}")
    if len(settings) != expected[0]:
        raise ValueError(f"settings has length {len(settings)}; it is one a trial, {expected[0]}")
    if steps < 0:
        raise ValueError(f"steps = {steps} is not allowed; it is at least 0")


def _run(
    problem: Problem,
    rows: Lockstep,
    batches: Shuffled | None,
    steps: int,
    stop: Measure | None,
    log: "_Log",
    trials: list[int],
) -> None:
    """Train the trials of one chunk to their ends; ``trials`` are their rows in the log."""
    for step in range(steps + 1):
        batch = None if batches is None else batches.at(step)
        loss, gradient = problem.loss_and_gradient(rows.point, batch)
        log.visit(step, trials, rows.point, loss, gradient)
        finite = loss.isfinite()
        met = ~finite if stop is None else stop(rows.point, loss, gradient)
        leaving = torch.ones_like(finite) if step == steps else met | ~finite
        if leaving.any():
            log.leave(step, trials, leaving, met, rows.point, loss, gradient)
            staying = ~leaving
            kept = staying.nonzero().flatten().tolist()
            if not kept:
                return
            rows.keep(staying)
            problem, gradient = problem.take(kept), gradient[staying]
            batches = batches and batches.take(kept)
            trials = [trials[k] for k in kept]
        rows.step(gradient)


class _Log:
    """What is written down of every trial, under its own row."""

    def __init__(
        self,
        record: Tensor,
        observe: Mapping[str, Measure],
        average: Mapping[str, Measure],
        start: Tensor,
    ) -> None:
        self.record, self.measures, self.averages = record, observe, average
        self.place = {int(step): k for k, step in enumerate(record)}
        self.loss = start.new_full((len(start), len(record)), torch.inf)
        self.observed: dict[str, Tensor] = {}
        self.sums = {name: start.new_zeros(len(start)) for name in average}
        self.point = start.clone()
        self.steps = torch.zeros(len(start), dtype=torch.long)
        self.outcome: list[Outcome] = ["budget"] * len(start)

    def visit(
        self, step: int, trials: list[int], point: Tensor, loss: Tensor, gradient: Tensor
    ) -> None:
        """Write down the trials in the batch before update ``step``."""
        for name, measure in self.averages.items():
            self.sums[name][trials] += measure(point, loss, gradient)
        if step in self.place:
            k = self.place[step]
            self._write(slice(k, k + 1), trials, point, loss, gradient)

    def leave(
        self,
        step: int,
        trials: list[int],
        leaving: Tensor,
        met: Tensor,
        point: Tensor,
        loss: Tensor,
        gradient: Tensor,
    ) -> None:
        """Write down the trials that leave: to the end of the record they stay as they are."""
        rows = leaving.nonzero().flatten().tolist()
        gone = [trials[r] for r in rows]
        self.point[gone], self.steps[gone] = point[rows], step
        for r in rows:
            word: Outcome = "stopped" if met[r] else "budget"
            self.outcome[trials[r]] = word if loss[r].isfinite() else "diverged"
        rest = slice(int(torch.searchsorted(self.record, step)), None)
        self._write(rest, gone, point[rows], loss[rows], gradient[rows])

    def _write(
        self, records: slice, trials: list[int], point: Tensor, loss: Tensor, gradient: Tensor
    ) -> None:
        self.loss[trials, records] = loss.nan_to_num(torch.inf, torch.inf).unsqueeze(1)
        for name, measure in self.measures.items():
            value = measure(point, loss, gradient)
            if name not in self.observed:
                shape = (len(self.loss), len(self.record), *value.shape[1:])
                self.observed[name] = value.new_full(shape, torch.nan)
            self.observed[name][trials, records] = value.unsqueeze(1)

    def run(self) -> Run:
        visited = self.steps.to(self.loss.device) + 1
        average = {name: total / visited for name, total in self.sums.items()}
        return Run(
            self.record, self.loss, self.observed, average, self.point, self.steps, self.outcome
        )


#: A loss so many times the first is given up.
HOPELESS = 1e6


def train_alone(
    problem: Problem,
    start: Tensor,
    setting: Setting,
    steps: int,
    *,
    shape: tuple[int, ...],
    batches: Shuffled,
    decay: bool = False,
    curvature: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Train one trial by itself and return where it ends: for methods that couple its elements.

    The optimizer sees the trial as a parameter of its own shape, a matrix say. A method that is
    judged elsewhere than where it takes gradients (schedule-free ones) is asked for that place.

    Parameters
    ----------
    problem : of one trial
    start : (parameters,); not changed
    setting : method and learning rate
    steps : updates
    shape : of the parameter that the optimizer sees
    batches : what each step sees
    decay : whether the learning rate falls linearly to zero
    curvature : step -> the Hessian's diagonal (of ``shape``), every tenth step, for methods that
        ask for it

    Returns
    -------
    Tensor
        (parameters,); not a number if it diverged: its loss grew beyond `HOPELESS` times the first,
        or its matrices can no longer be factored.
    """
    point = torch.nn.Parameter(start.detach().clone().view(shape))
    kind: Any = find(setting.method.optimizer)
    optimizer = kind([point], lr=setting.learning_rate, **setting.method.settings)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / steps if decay else 1.0)
    limit = math.inf
    for step in range(steps):
        loss, gradient = problem.loss_and_gradient(point.detach().view(1, -1), batches.at(step))
        limit = limit if step else HOPELESS * float(loss)
        if not float(loss) < limit:
            return torch.full_like(start, math.nan)
        point.grad = gradient.view(shape)
        known = {"hessian": [curvature(step)]} if curvature and step % 10 == 0 else {}
        try:
            optimizer.step(**known)
        except torch.linalg.LinAlgError:
            return torch.full_like(start, math.nan)
        schedule.step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return point.detach().flatten()
