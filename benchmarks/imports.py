"""How much longer `import hdnotes` takes than `import torch`: below 0.2 s, five a second."""

import subprocess
import sys

from timing import report

MODULES = "hdnotes, hdnotes.training, hdnotes.store.sweep, hdnotes.experiments.egop"
PROBE = "import torch, time; b = time.perf_counter(); import {}; print(time.perf_counter() - b)"


def main() -> None:
    for modules in ("hdnotes", MODULES):
        command = [sys.executable, "-c", PROBE.format(modules)]
        times = [float(subprocess.check_output(command, text=True)) for _ in range(5)]
        report(f"imports a second: {modules}, after torch", [1 / t for t in times], 5, "imports/s")


if __name__ == "__main__":
    main()
