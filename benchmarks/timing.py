"""Ratios in one run: two ways of the same work in turn, so that a slow machine slows both.

What is measured is printed and kept in ``book/benchmarks.json``, for the machine page of the book.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from hdnotes import devices
from hdnotes.page import scorecard
from hdnotes.store.sweep import commit

BOOK = Path(__file__).parents[1] / "book"


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def ratio(plain: Callable[[], object], fast: Callable[[], object], rounds: int = 5) -> list[float]:
    """Return plain / fast seconds of each round, after one round that is not counted."""
    pairs = [(seconds(plain), seconds(fast)) for _ in range(rounds + 1)][1:]
    return [a / b for a, b in pairs]


def report(
    name: str, values: Sequence[float], target: float | None = None, unit: str = "x"
) -> None:
    """Print the median of what was measured, its range and the least it should be; keep it."""
    middle, of = statistics.median(values), f" {unit}" if unit else ""
    words = "" if target is None else f"at least {target:g}{of}"
    met = "" if target is None else "met" if middle >= target else "missed"
    row = {
        "name": name,
        "measured": f"{middle:.3g}{of} ({min(values):.3g} to {max(values):.3g})",
        "target": words,
        "met": met,
        "machine": f"{devices.name('cpu')}, {torch.get_num_threads()} threads",
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
    }
    print(f"{name:62s} {row['measured']:32s} {words} {met.upper()}", flush=True)
    path = BOOK / "benchmarks.json"
    kept = {one["name"]: one for one in json.loads(path.read_text())} if path.exists() else {}
    rows = sorted((kept | {name: row}).values(), key=lambda one: one["name"])
    path.write_text(json.dumps(rows, indent=1) + "\n")
    scorecard.write(BOOK)
