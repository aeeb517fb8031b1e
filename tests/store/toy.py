"""A small experiment that writes down every time it is run."""

import os
import signal
import time
from pathlib import Path

import pandas as pd

NAME = "toy"
VERSION = 1
CELLS = [{"kind": "line", "d": d, "rates": [0.1, 0.2]} for d in range(8)]


def run(cell, device):
    log(f"start {cell['d']}")
    if os.environ.get("TOY_HUNGRY") == str(cell["d"]):
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
    time.sleep(float(os.environ.get("TOY_SECONDS", 0)))
    steps = pd.DataFrame({"step": [0, 1, 2], "loss": [cell["d"] / 3, 0.1, float("nan")]})
    tables = {"losses": steps, "names": pd.DataFrame({"d": [cell["d"]], "who": ["ä"]})}
    if cell["d"] % 2:
        tables["losses"]["count"] = [1, 2, 2**60 + 1]
    return tables


def together(cells, device):
    log(f"together {[cell['d'] for cell in cells]}")
    return [run(cell, device) for cell in cells]


def parity(cell):
    return cell["d"] % 2


def log(line):
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a") as file:
            file.write(f"{line}\n")


def runs():
    return Path(os.environ["TOY_LOG"]).read_text().split("\n")[:-1]
