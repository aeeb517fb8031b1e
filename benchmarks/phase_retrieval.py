"""P-SGD on phase retrieval, p = 1024, alpha = 2.5, 60 trials: lockstep against a plain torch loop.

The plain loop takes each trial by itself with autograd and torch.optim. Further lines set the
lockstep beside the machine's own matrix products at the same shapes, and beside products and copies
of what a step reads and writes entry by entry; and all cells of one point of the `paper` profile
that share their data, trained together, beside the same cells one by one.
"""

import os
from functools import partial

import torch
from timing import ratio, report, seconds

from hdnotes.batches import Persistent, redraw_rate
from hdnotes.experiments import phase_retrieval as chapter
from hdnotes.experiments.parameters import resolve
from hdnotes.experiments.students import alike, final_errors
from hdnotes.long_training import train_long
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import (
    PhaseRetrieval,
    draw_data,
    draw_start,
    project,
    sample_count,
)

P, ALPHA, TRIALS, STEPS = 1024, 2.5, 60, 100
NESTEROV = Method("SGD", {"momentum": 0.9, "nesterov": True})(0.005)
RATE = redraw_rate(0.005, 0.5, 2)


def plain(problem: PhaseRetrieval, start: torch.Tensor) -> None:
    """Train each trial by itself."""
    for data, first in zip(problem.data_of, start, strict=True):
        x, y = problem.inputs[data], problem.targets[data]
        w = first.clone().requires_grad_()
        optimizer = torch.optim.SGD([w], lr=0.005, momentum=0.9, nesterov=True)
        active = (torch.rand(len(y)) < 0.5).float()
        for _ in range(STEPS):
            optimizer.zero_grad()
            (((x @ w).square() - y).square() * active).sum().div(2).backward()
            optimizer.step()
            with torch.no_grad():
                w *= P**0.5 / w.norm()
            redrawn = torch.rand(len(y)) < RATE
            active[redrawn] = (torch.rand(int(redrawn.sum())) < 0.5).float()


def fast(problem: PhaseRetrieval, start: torch.Tensor) -> None:
    """Train them in lockstep."""
    batches = Persistent(problem.samples, 0.5, (RATE,) * TRIALS, tuple(range(TRIALS)))
    train_long(
        problem,
        start,
        [NESTEROV] * TRIALS,
        STEPS,
        batches=batches,
        project=partial(project, features=P),
        every=20,
    )


def products(problem: PhaseRetrieval, start: torch.Tensor) -> None:
    """Do the matrix products of the lockstep and nothing else."""
    x, rows = problem.inputs, [start[[d == k for d in problem.data_of]] for k in range(SETS_MAX)]
    for k, w in enumerate(rows[: len(x)]):
        h, g = w.new_empty(len(w), problem.samples), torch.empty_like(w)
        for _ in range(STEPS):
            torch.mm(w, x[k].T, out=h)
            torch.mm(h, x[k], out=g)


def copies(problem: PhaseRetrieval, start: torch.Tensor) -> None:
    """Copy, as often as a step has to, what it touches entry by entry.

    Four passes over the outputs (the residual, twice what weighs it, the loss) and four over the
    weights (gradient, momentum, step, projection).
    """
    outputs, weights = start.new_empty(2, TRIALS, problem.samples), torch.stack([start, start])
    for _ in range(4 * STEPS):
        outputs[0].copy_(outputs[1])
        weights[0].copy_(weights[1])


SETS_MAX = 4
#: Epochs of each cell of a point.
EPOCHS = 10


def point() -> list[dict]:
    """Return the cells on the first data sets at alpha = 3, with a few epochs each."""
    wanted = chapter.cells(resolve(chapter, "paper", check_memory=False))
    cells = [{**cell, "epochs": EPOCHS} for cell in wanted if cell["alpha"] == 3]
    return [cell for cell in cells if alike(cell) == alike(cells[0])]


def main() -> None:
    n = sample_count(ALPHA, P)
    start = torch.stack([draw_start(1, P, of=("bench", t)) for t in range(TRIALS)])
    print(f"threads: {torch.get_num_threads()}; load average: {os.getloadavg()[0]:.1f}")
    for sets in (1, SETS_MAX):
        drawn = [draw_data("quadratic", n, P, of=("bench", k)) for k in range(sets)]
        x, y, w = (tuple(parts) for parts in zip(*drawn, strict=True))
        data_of = tuple(t * sets // TRIALS for t in range(TRIALS))
        problem = PhaseRetrieval("quadratic", x, y, w, data_of)
        name = f"{TRIALS} trials on {sets} data set{'s' * (sets > 1)}, P-SGD + momentum"
        report(name, ratio(partial(plain, problem, start), partial(fast, problem, start)), 3)
        fast_s = [seconds(partial(fast, problem, start)) for _ in range(5)]
        bare_s = [seconds(partial(products, problem, start)) for _ in range(5)]
        report(
            f"bare matrix products in the time of {name}",
            [b / f for b, f in zip(bare_s, fast_s, strict=True)],
            0.6,
            "of it",
        )
        copy_s = [seconds(partial(copies, problem, start)) for _ in range(5)]
        report(
            f"bare products and copies in the time of {name}",
            [(b + c) / f for b, c, f in zip(bare_s, copy_s, fast_s, strict=True)],
            unit="of it",
        )
        moved = 4 * STEPS * 2 * 4 * TRIALS * (n + P)  # read and written, four bytes a number
        report(f"copy rate beside {name}", [moved / s / 1e9 for s in copy_s], unit="GB/s")
        report(f"speed of {name}", [TRIALS * STEPS / s for s in fast_s], unit="trial-steps/s")
        flops = 4 * P * n * TRIALS * STEPS
        report(f"rate of {name}", [flops / s / 1e9 for s in fast_s], unit="Gflop/s")
    cells = point()
    report(
        f"{len(cells)} cells on the same data, together against one by one",
        ratio(
            lambda: [final_errors([cell], "cpu") for cell in cells],
            lambda: final_errors(cells, "cpu"),
        ),
    )


if __name__ == "__main__":
    main()
