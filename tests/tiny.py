"""A chapter that computes in no time, for the tests of runner and command line."""

import json
from pathlib import Path

import hdnotes.experiments
from hdnotes.runner import Layout

EXPERIMENT = """
from dataclasses import dataclass

import pandas as pd

from hdnotes.experiments.parameters import parameter

NAME = "tiny"
VERSION = 1
TITLE = "A tiny chapter"
PROFILES = {"smoke": {"d": 2}, "quick": {}, "paper": {"d": 8}}


@dataclass(frozen=True)
class Parameters:
    d: int = parameter(4, help="dimension", unit="parameters", at_least=1)
    rates: tuple[float, ...] = parameter((0.1, 0.2), help="learning rates", above=0)


def cells(p):
    return [{"kind": "line", "d": d, "rates": list(p.rates)} for d in range(min(p.d, 8))]


def run(cell, device):
    if cell["d"] == 6:
        raise KeyboardInterrupt
    return {"rows": pd.DataFrame({"x": [cell["d"] / 2]})}


def memory(p):
    return 24 * p.d**2
"""

CELLS = [
    ("parameters", 'profile = "quick"\ndevice = "auto"\nd = None\nrates = None'),
    (
        "",
        """import json, os, sys
from dataclasses import asdict
from pathlib import Path
import hdnotes.experiments
hdnotes.experiments.__path__.append({folder!r})
from hdnotes.experiments import parameters, tiny
from hdnotes.store.store import Store
from hdnotes.store.sweep import load
given = parameters.resolve(tiny, profile, {"d": d, "rates": rates})
results = load(tiny, tiny.cells(given), Store.of("tiny"))""",
    ),
    ("", 'print("a warning", file=sys.stderr)\nprint({folder!r} + "/tiny/shown")\n1 + 1'),
    (
        "",
        """book = Path(os.environ["HDNOTES_PAGE"])
figures = book / "figures" / "tiny"
figures.mkdir(parents=True)
results.table("rows").to_csv(figures / "line.csv", index=False)
record = {
    "chapter": "tiny", "title": "A tiny chapter", "profile": profile, "device": "cpu",
    "device_name": "a processor", "peak_memory_bytes": 1, "wall_time_s": results.wall_time_s,
    "date": max(one["date"] for one in results.manifests),
    "commit": "unknown", "torch": "2", "threads": 1, "seeds": ["a"],
    "stale": results.stale, "parameters": asdict(given), "command": "hdnotes run tiny",
    "claims": [{
        "id": "t-a", "sentence": "It is so.", "source": "Section 1",
        "verdict": "holds", "evidence": "8 of 8.",
    }],
}
(book / "sections" / "tiny.json").write_text(json.dumps(record))""",
    ),
    ("", "if os.environ.get('TINY_FAILS'):\n    raise ValueError('it went\\nwrong')"),
]


def write(root: Path) -> Layout:
    """Write the chapter into a folder, make it known to the catalogue, return where things lie."""
    layout = Layout(root / "notebooks", root / "book", root / "results")
    layout.notebooks.mkdir()
    (root / "tiny.py").write_text(EXPERIMENT)
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{number}",
            "metadata": {"tags": [tag]} if tag else {},
            "outputs": [],
            "source": source.replace("{folder!r}", repr(str(root))),
        }
        for number, (tag, source) in enumerate(CELLS)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (layout.notebooks / "tiny.ipynb").write_text(json.dumps(notebook))
    hdnotes.experiments.__path__[:] = [str(root)]
    return layout
