"""The chapter `egop` at d = 1024: where its time goes, and how near the matrix products come."""

import cProfile
import pstats
import time

import torch
from timing import seconds

from hdnotes.experiments import egop
from hdnotes.experiments.parameters import resolve

D = 1024


def matrix_product_rate(rows: int) -> float:
    """Return the flop/s of (rows x d) @ (d x d) in float64, the headline's products."""
    left, right = torch.randn(rows, D).double(), torch.randn(D, D).double()
    best = min(seconds(lambda: left @ right) for _ in range(20))
    return 2 * rows * D * D / best


def main() -> None:
    p = resolve(egop, "quick", {"d": D})
    (cell,) = [c for c in egop.cells(p) if c["kind"] == "headline" and c["d"] == D]
    egop.RUNS["headline"]({**cell, "d": 16}, "cpu")  # torch's own first-call imports
    profile = cProfile.Profile()
    begin = time.perf_counter()
    profile.runcall(egop.RUNS["headline"], cell, "cpu")
    wall = time.perf_counter() - begin
    settings = sum(len(egop.rates(m, cell["rates_per_decade"])) for m in egop.RATES)
    flops = 2 * 2 * D * D * settings * 3 * cell["trials"] * cell["steps"]
    rate = matrix_product_rate(settings)
    print(
        f"d = {D}: {wall:.1f} s for {settings * 3 * cell['trials']} runs of {cell['steps']} updates"
    )
    print(
        f"matrix products of the updates: {flops / 1e12:.2f} Tflop, {flops / rate:.1f} s at the "
        f"machine's {rate / 1e9:.0f} Gflop/s for this shape: {flops / rate / wall:.0%} of the time"
    )
    pstats.Stats(profile).sort_stats("cumulative").print_stats(22)


if __name__ == "__main__":
    main()
