r"""The loop for long runs: projected, looked at now and then, and safe against interruption.

As in `hdnotes.training` T trials are the rows of one point. After each update noise may be added
and the point may be projected. Rules and measures see a `Visit`, which holds the problem of the
rows still in the batch; a rule is asked only every so many steps, as asking may cost a pass over
the data. Every minute the state goes to a checkpoint, from which a killed cell goes on.

On a CPU the trials of one data set are trained to their ends before the next one, so that its data
stay in the cache; small data sets are taken together, and on a GPU all of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from math import gcd
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from hdnotes import checkpoints, devices
from hdnotes.optimizers import Lockstep, Setting, restore_state, saved_state
from hdnotes.training import Outcome

#: Seconds between two checkpoints.
PAUSE_S = 60.0


class Source(Protocol):
    """What every step draws for every trial: batches, or noise. A pure function of the step."""

    def at(self, step: int) -> Tensor:
        """Return what step ``step`` needs; the first axis is the trials."""

    def take(self, trials: Sequence[int]) -> Self:
        """Return the source of these trials only, in this order."""


@dataclass(frozen=True)
class Visit:
    """The trials still in the batch at a step, before its update.

    Attributes
    ----------
    step : updates done
    problem : the trials' problem
    point : (trials, parameters)
    loss : of the step's batch (trials,)
    gradient : of the step's batch (trials, parameters)
    before : the gradient of the step before, zeros at the first
    """

    step: int
    problem: Any
    point: Tensor
    loss: Tensor
    gradient: Tensor
    before: Tensor


Look = Callable[[Visit], Tensor]


@dataclass(frozen=True)
class LongRun:
    """What long runs leave behind; every tensor's first axis but ``recorded``'s is the trials.

    Attributes
    ----------
    recorded : the recorded steps (records,)
    observed : measure -> (trials, records, ...); a trial that left keeps its last value
    point : the last points (trials, parameters)
    steps : updates done by each trial (trials,)
    outcome : "stopped" (the rule was met), "diverged" (a number is not finite) or "budget"
    """

    recorded: Tensor
    observed: Mapping[str, Tensor]
    point: Tensor
    steps: Tensor
    outcome: list[Outcome]


def train_long(
    problem: Any,
    start: Tensor,
    settings: Sequence[Setting],
    steps: int | Sequence[int],
    *,
    batches: Source | None = None,
    noise: Source | None = None,
    project: Callable[[Tensor], None] | None = None,
    stop: Look | None = None,
    every: int | Sequence[int] = 1,
    record: Tensor | None = None,
    observe: Mapping[str, Look] | None = None,
    chunk_bytes: int | None = None,
) -> LongRun:
    """Train every trial of ``problem`` for at most its ``steps`` updates.

    Parameters
    ----------
    problem : T trials
    start : first points (trials, parameters); not changed
    settings : method and learning rate of each trial
    steps : updates, one number for all trials or one a trial
    batches : what each step sees; None is all samples
    noise : what is added to the point after each update, (trials, parameters)
    project : changes the point in place after that
    stop : True ends a trial before its next update; asked at every ``every``-th step
    every : steps from question to question, one number for all trials or one a trial; divergence
        is looked for then, too
    record : steps to record, ascending; by default the last one
    observe : measures at the recorded steps, on the trials that are still in the batch
    chunk_bytes : data trained together; default: what the cache holds on a CPU, all on a GPU

    Raises
    ------
    ValueError
        If shapes and numbers of trials disagree, or ``every`` is below 1.
    """
    trials = len(problem.data_of)
    ends, pauses = _of_each(steps, trials), _of_each(every, trials)
    if tuple(start.shape) != (trials, problem.parameters) or len(settings) != trials:
        raise ValueError(
            f"start has shape {tuple(start.shape)} and settings has length {len(settings)}; the "
            f"problem needs {(trials, problem.parameters)} and {trials}"
        )
    if len(ends) != trials or len(pauses) != trials or min(pauses) < 1:
        raise ValueError(
            f"steps = {steps} and every = {every} have to be one number, or {trials}, one a trial, "
            "and every at least 1"
        )
    record = torch.tensor([max(ends)]) if record is None else record
    on_cpu = start.device.type == "cpu"
    budget = chunk_bytes or (devices.cache_bytes() if on_cpu else devices.UNLIMITED)
    order, runs = [], []
    for chunk in by_data_set(problem, budget):
        rows = sorted(chunk, key=lambda t: (problem.data_of[t], repr(settings[t])))
        chunk_run = _Run(
            start[rows],
            [settings[t] for t in rows],
            [(ends[t], pauses[t]) for t in rows],
            record,
            observe or {},
            checkpoints.slot(),
        )
        chunk_run.train(
            problem.take(rows),
            batches and batches.take(rows),
            noise and noise.take(rows),
            stop,
            project,
        )
        order += rows
        runs.append(chunk_run)
    return _merged(runs, order)


def _of_each(number: int | Sequence[int], trials: int) -> list[int]:
    return [number] * trials if isinstance(number, int) else list(number)


def by_data_set(problem: Any, budget: int) -> list[list[int]]:
    """Split the trials into chunks whose data sets take at most ``budget`` bytes together."""
    most = max(1, budget // problem.data_bytes)
    trials = sorted(range(len(problem.data_of)), key=problem.data_of.__getitem__)
    sets = [list(rows) for _, rows in groupby(trials, key=problem.data_of.__getitem__)]
    return [list(chain(*sets[k : k + most])) for k in range(0, len(sets), most)]


class _Run:
    """One chunk: its trials' state, what is written down of them, and its checkpoint."""

    def __init__(
        self,
        start: Tensor,
        settings: Sequence[Setting],
        looks: Sequence[tuple[int, int]],
        record: Tensor,
        observe: Mapping[str, Look],
        path: Path | None,
    ) -> None:
        self.settings, self.record, self.observe, self.path = settings, record, observe, path
        self.place = {int(step): k for k, step in enumerate(record)}
        count = len(start)
        self.ends, self.every = torch.tensor(looks, dtype=torch.long).view(count, 2).T
        self.step, self.left = 0, list(range(count))
        self.before = torch.zeros_like(start)
        self.point, self.steps = start.clone(), torch.zeros(count, dtype=torch.long)
        self.outcome: list[Outcome] = ["budget"] * count
        self.observed: dict[str, Tensor] = {}
        self.rows = Lockstep(start.clone(), settings)
        self._restore(checkpoints.load(path), start.device)

    def train(
        self,
        problem: Any,
        batches: Source | None,
        noise: Source | None,
        stop: Look | None,
        project: Callable[[Tensor], None] | None,
    ) -> None:
        """Train the trials that are left to their ends."""
        problem = problem.take(self.left)
        batches, noise = batches and batches.take(self.left), noise and noise.take(self.left)
        saved = time.monotonic()
        pause, ends = self._pauses()
        while self.left:
            if time.monotonic() - saved > PAUSE_S:
                self._save()
                saved = time.monotonic()
            batch = None if batches is None else batches.at(self.step)
            loss, gradient = problem.loss_and_gradient(self.rows.point, batch)
            visit = Visit(self.step, problem, self.rows.point, loss, gradient, self.before)
            if self.step in self.place:
                k = self.place[self.step]
                self._write(visit, slice(k, k + 1), list(range(len(self.left))))
            if self.step % pause == 0 or self.step in ends:
                kept = self._check(visit, stop)
                if not kept:
                    break
                if len(kept) < len(problem.data_of):
                    pause, ends = self._pauses()
                    problem, gradient = problem.take(kept), gradient[kept]
                    batches, noise = batches and batches.take(kept), noise and noise.take(kept)
            self.rows.step(gradient)
            if noise is not None:
                self.rows.point.add_(noise.at(self.step))
            if project is not None:
                project(self.rows.point)
            self.before, self.step = gradient, self.step + 1
        if self.path is not None:
            self._save()

    def _pauses(self) -> tuple[int, set[int]]:
        """Return a number that divides every look at a trial that is left; and their ends."""
        return gcd(*self.every[self.left].tolist()), {*self.ends[self.left].tolist()}

    def _check(self, visit: Visit, stop: Look | None) -> list[int]:
        """Let trials leave that are done; return the rows that stay."""
        device = visit.point.device
        last = (self.ends[self.left] == visit.step).to(device)
        due = last | (visit.step % self.every[self.left] == 0).to(device)
        finite = visit.point.isfinite().all(1) & visit.loss.isfinite()
        met = torch.zeros_like(finite) if stop is None else stop(visit) & finite & due
        leaving = last | met | ~finite & due
        if not leaving.any():
            return list(range(len(leaving)))
        gone = leaving.nonzero().flatten().tolist()
        for row in gone:
            word: Outcome = "stopped" if met[row] else "budget"
            self.outcome[self.left[row]] = word if finite[row] else "diverged"
        trials = [self.left[row] for row in gone]
        self.point[trials], self.steps[trials] = visit.point[gone], visit.step
        self._write(visit, slice(int(torch.searchsorted(self.record, visit.step)), None), gone)
        kept = (~leaving).nonzero().flatten().tolist()
        self.left = [self.left[row] for row in kept]
        if kept:
            self.rows.keep(~leaving)
        return kept

    def _write(self, visit: Visit, records: slice, rows: list[int]) -> None:
        """Write down the measures of these rows of the batch."""
        trials = [self.left[row] for row in rows]
        for name, measure in self.observe.items():
            value = measure(visit)
            if name not in self.observed:
                shape = (len(self.point), len(self.record), *value.shape[1:])
                self.observed[name] = value.new_full(shape, torch.nan)
            self.observed[name][trials, records] = value[rows].unsqueeze(1)

    #: Attributes that a checkpoint holds as they are.
    SAVED = ("step", "left", "before", "point", "steps", "outcome", "observed")

    def _save(self) -> None:
        if self.path is not None:
            state = {name: getattr(self, name) for name in self.SAVED}
            live = {"live": self.rows.point, "memory": saved_state(self.rows)}
            checkpoints.save(self.path, state | (live if self.left else {}))

    def _restore(self, state: dict[str, Any] | None, device: torch.device) -> None:
        if state is None:
            return
        for name in self.SAVED:
            value = state[name]
            setattr(self, name, value.to(device) if name in ("before", "point") else value)
        self.observed = {name: value.to(device) for name, value in self.observed.items()}
        if self.left:
            self.rows = Lockstep(state["live"].to(device), [self.settings[t] for t in self.left])
            restore_state(self.rows, state["memory"])


def _merged(runs: Sequence[_Run], order: Sequence[int]) -> LongRun:
    """Put the chunks' trials back into the order in which they were given."""
    back = torch.tensor(order).argsort()
    words = [word for run in runs for word in run.outcome]
    return LongRun(
        runs[0].record,
        {name: torch.cat([run.observed[name] for run in runs])[back] for name in runs[0].observed},
        torch.cat([run.point for run in runs])[back],
        torch.cat([run.steps for run in runs])[back],
        [words[t] for t in back.tolist()],
    )
