"""How much longer `import hdnotes` takes than `import torch`: below 0.2 s."""

import statistics
import subprocess
import sys

MODULES = "hdnotes, hdnotes.training, hdnotes.store.sweep, hdnotes.experiments.egop"
PROBE = "import torch, time; b = time.perf_counter(); import {}; print(time.perf_counter() - b)"


def main() -> None:
    for modules in ("hdnotes", MODULES):
        command = [sys.executable, "-c", PROBE.format(modules)]
        times = [float(subprocess.check_output(command, text=True)) for _ in range(5)]
        print(f"import {modules}, after torch: {statistics.median(times):.3f} s (target 0.2 s)")


if __name__ == "__main__":
    main()
