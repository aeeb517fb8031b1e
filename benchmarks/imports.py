"""How much longer `import hdnotes` takes than `import torch`: below 0.2 s, five a second.

And which part of what the store and a chapter take is pandas', which they cannot do without.
"""

import subprocess
import sys

from timing import report

MODULES = "hdnotes, hdnotes.training, hdnotes.store.sweep, hdnotes.experiments.egop"
PROBE = "import torch, time; b = time.perf_counter(); import {}; print(time.perf_counter() - b)"


def measured(modules: str) -> list[float]:
    """Return the seconds that importing modules takes, in five processes."""
    command = [sys.executable, "-c", PROBE.format(modules)]
    return [float(subprocess.check_output(command, text=True)) for _ in range(5)]


def main() -> None:
    for modules in ("hdnotes", MODULES):
        times = measured(modules)
        report(f"imports a second: {modules}, after torch", [1 / t for t in times], 5, "imports/s")
    share = [one / whole for one, whole in zip(measured("pandas"), times, strict=True)]
    report(f"pandas in the time of importing {MODULES}", share, unit="of it")


if __name__ == "__main__":
    main()
