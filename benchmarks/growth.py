"""How time and memory of a step of P-SGD grow with p, with trials and with hidden units.

Exponents are slopes between neighbouring sizes on logarithmic axes: their median, and the range.
Each size is measured in a process of its own, as memory that was freed is not given back.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from timing import report, seconds

from hdnotes import devices, memory
from hdnotes.batches import Persistent
from hdnotes.long_training import train_long
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import (
    PhaseRetrieval,
    draw_data,
    draw_start,
    project,
    sample_count,
)

STEPS, ROUNDS = 40, 3
SETTING = Method("SGD", {"momentum": 0.9, "nesterov": True})(0.005)
#: p, trials, hidden units; one of them changes at a time.
AT = {"p": 512, "trials": 32, "hidden units": 1}
#: The same of a run that only loads what a first run has to.
SMALL = (32, 2, 1)
SIZES = {
    "p": (256, 512, 1024, 2048),
    "trials": (16, 32, 64, 128, 256),
    "hidden units": (2, 4, 8, 16),
}


def step_cost(p: int, trials: int, hidden: int) -> tuple[float, float]:
    """Return seconds of one step of all trials, and the bytes held besides the empty process."""
    memory.forget_peak("cpu")
    idle = devices.peak_memory_bytes("cpu")
    n = sample_count(2.5, p)
    data = ((one,) for one in draw_data("quadratic", n, p, of=("bench", p)))
    problem = PhaseRetrieval("quadratic", *data, (0,) * trials, hidden)
    start = torch.stack([draw_start(hidden, p, of=("bench", t)) for t in range(trials)])

    def train(steps: int) -> None:
        train_long(
            problem,
            start,
            [SETTING] * trials,
            steps,
            batches=Persistent(n, 0.5, (0.01,) * trials, tuple(range(trials))),
            project=partial(project, features=p),
        )

    work = partial(train, STEPS)
    work()
    best = min(seconds(work) for _ in range(ROUNDS)) / STEPS
    held = devices.peak_memory_bytes("cpu") - idle
    return best, held


def measured(p: int, trials: int, hidden: int) -> tuple[float, float]:
    """Return the same, after a small run for what is loaded at first."""
    step_cost(*SMALL)
    return step_cost(p, trials, hidden)


def main() -> None:
    for name, sizes in SIZES.items():
        points = [(AT | {name: size}).values() for size in sizes]
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
            costs = np.array(list(alone.map(measured, *zip(*points, strict=True))))
        times, held = (np.diff(np.log(cost)) / np.diff(np.log(sizes)) for cost in costs.T)
        span = f"{name} from {sizes[0]} to {sizes[-1]}"
        report(f"P-SGD: exponent of time in {span}", list(times), unit="")
        report(f"P-SGD: exponent of memory in {span}", list(held), unit="")


if __name__ == "__main__":
    main()
