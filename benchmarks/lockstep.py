"""Fifty least-squares trials, d = 256 and n = 512: lockstep against the plain torch.optim loop."""

import torch
from timing import ratio, report

from hdnotes import seeds
from hdnotes.optimizers import BASIC, find
from hdnotes.problems.convex import Convex, decaying_matrix, least_squares
from hdnotes.training import train

D, N, TRIALS, STEPS = 256, 512, 50, 200


def plain(problem: Convex, start: torch.Tensor, settings: list) -> None:
    """Train each trial by itself."""
    for trial, setting in enumerate(settings):
        a, y = (x[problem.data_of[trial]] for x in (problem.inputs, problem.targets))
        theta = start[trial].clone().requires_grad_()
        optimizer = find(setting.method.optimizer)([theta], lr=setting.learning_rate)
        for _ in range(STEPS):
            optimizer.zero_grad()
            ((a @ theta - y).square().sum() / 2).backward()
            optimizer.step()


def main() -> None:
    values = torch.arange(1, D + 1) ** -1.0
    matrices = [decaying_matrix(N, values.double(), of=("bench", k)) for k in range(TRIALS)]
    for dtype in (torch.float32, torch.float64):
        a = [m.to(dtype) for m in matrices]
        start = seeds.normal(TRIALS, D, of=("bench", "start")).to(dtype)
        for name, sets, target in (("one shared data set", 1, 10), ("each its own", TRIALS, 3)):
            data_of = tuple(t % sets for t in range(TRIALS))
            targets = tuple(x.sum(1) for x in a[:sets])
            problem = Convex(least_squares, tuple(a[:sets]), targets, data_of)
            settings = [BASIC["Adam"](0.01)] * TRIALS
            found = ratio(
                lambda p=problem, s=start, c=settings: plain(p, s, c),
                lambda p=problem, s=start, c=settings: train(p, s, c, STEPS),
            )
            report(f"50 trials, {name}, Adam, {str(dtype)[6:]}", found, target)


if __name__ == "__main__":
    main()
