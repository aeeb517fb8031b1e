"""The square sweep of `matrix_recovery`: lockstep against one torch.nn.Linear after the other.

On a machine that is busy otherwise, OMP_WAIT_POLICY=passive keeps waiting threads from taking the
time that the working ones need.
"""

from collections.abc import Callable

import torch
from timing import ratio, report

from hdnotes import devices, memory
from hdnotes.experiments import matrix_recovery as chapter
from hdnotes.experiments.parameters import resolve
from hdnotes.optimizers import find

Work = Callable[[], object]


def plain(cell: dict, problem, starts: torch.Tensor) -> None:
    """Train every run by itself as anyone would: a batch to learn from, a batch to judge."""
    m, n, batch = cell["m"], cell["n"], cell["batch_size"]
    for method in cell["methods"]:
        setting = chapter.setting(method, cell["weight_decay"])
        for x, y, start in zip(problem.inputs, problem.targets, starts, strict=True):
            layer = torch.nn.Linear(m, n)
            with torch.no_grad():
                layer.weight.copy_(start.view(n, -1)[:, :m])
                layer.bias.copy_(start.view(n, -1)[:, m])
            optimizer = find(setting.method.optimizer)(
                layer.parameters(), lr=setting.learning_rate, **setting.method.settings
            )
            losses = []
            for inputs, targets in zip(x[: cell["batches"], :, :m], y, strict=False):
                with torch.no_grad():
                    losses.append((layer(inputs[batch:]) - targets.T[batch:]).square().sum())
                optimizer.zero_grad()
                (layer(inputs[:batch]) - targets.T[:batch]).square().sum().backward()
                torch.nn.utils.clip_grad_norm_(layer.parameters(), cell["clip"])
                optimizer.step()


def works(size: int, repeats: int, batches: int) -> tuple[Work, Work]:
    """Return the two ways to train a size's runs, on the same samples, drawn beforehand."""
    changes = {"sizes": (size,), "checked_sizes": (size,), "repeats": repeats, "batches": batches}
    cells = chapter.cells(resolve(chapter, "quick", changes))
    (cell,) = [c for c in cells if (c["kind"], c["sweep"]) == ("sweep", "square")]
    names = [(chapter.NAME, size, size, repeat) for repeat in range(repeats)]
    problem, _ = chapter._draw_problem(cell, names, "cpu")
    starts = [chapter.draw_start(size, size, True, of=(*name, "start")) for name in names]
    return (
        lambda: plain(cell, problem.problem, torch.stack(starts).float()),
        lambda: chapter._train(cell, problem, names, "cpu"),
    )


def peak(work: Work) -> float:
    """Return the most that the process held meanwhile, in MiB, torch and samples included."""
    memory.forget_peak("cpu")
    work()
    return devices.peak_memory_bytes("cpu") / 2**20


def main() -> None:
    print(f"{torch.get_num_threads()} threads")
    for sizes, repeats, batches, target in (
        ((4, 8, 16, 32, 64, 128), 5, 25, 5),
        ((1008,), 1, 40, 1),
    ):
        pairs = [works(size, repeats, batches) for size in sizes]
        found = ratio(
            lambda p=pairs: [alone() for alone, _ in p],
            lambda p=pairs: [together() for _, together in p],
            rounds=3,
        )
        name = f"square, sizes {', '.join(map(str, sizes))}, 12 methods x {repeats}"
        report(name, found, target)
        held = [max(peak(pair[k]) for pair in pairs) for k in range(2)]
        for way, most in zip(("one by one", "in lockstep"), held, strict=True):
            report(f"peak memory, {name}, {way}", [most], unit="MiB")


if __name__ == "__main__":
    main()
