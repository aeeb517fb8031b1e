"""Ratios in one run: two ways of the same work in turn, so that a slow machine slows both."""

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def ratio(plain: Callable[[], object], fast: Callable[[], object], rounds: int = 5) -> list[float]:
    """Return plain / fast seconds of each round, after one round that is not counted."""
    pairs = [(seconds(plain), seconds(fast)) for _ in range(rounds + 1)][1:]
    return [a / b for a, b in pairs]


def report(name: str, ratios: list[float], target: float) -> None:
    """Print a line of the table: the median ratio, its range and its target."""
    middle = statistics.median(ratios)
    word = "met" if middle >= target else "MISSED"
    print(
        f"{name:58s} {middle:6.2f}x  ({min(ratios):.2f} to {max(ratios):.2f})  "
        f"target {target:g}x {word}",
        flush=True,
    )
