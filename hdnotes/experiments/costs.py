r"""Chapter `costs`: what every chapter takes, estimated before it is computed.

A cell is a chapter at a profile. All cells of that chapter are rehearsed (`store.rehearsal`): run
for three short stretches each, on this device, and drawn out to their full length. Draws that
differ in nothing but their name are rehearsed once.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from hdnotes.experiments import catalogue, parameters
from hdnotes.experiments.parameters import parameter
from hdnotes.store.rehearsal import estimate

NAME = "costs"
VERSION = 1
TITLE = "What it costs"

CHAPTERS = tuple(name for name in catalogue.names() if name != NAME)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    chapters: tuple[str, ...] = parameter(
        ("adam", "adam_intuition", "exponential_lr"),
        choices=CHAPTERS,
        help="chapters to rehearse",
    )
    at: str = parameter("paper", choices=("smoke", "quick", "paper"), help="profile to rehearse")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"chapters": ("egop_convex",), "at": "smoke"},
    "quick": {},
    "paper": {"chapters": CHAPTERS},
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, a cell a chapter."""
    return [{"chapter": name, "at": p.at} for name in p.chapters]


def memory(p: Parameters) -> int:
    """Return the peak bytes: those of the chapter that needs most."""
    chapters = [catalogue.load(name) for name in p.chapters]
    return max(one.memory(parameters.resolve(one, p.at, check_memory=False)) for one in chapters)


def run(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return the table ``kinds``: a row a kind of cell, as `estimate` gives it."""
    chapter = catalogue.load(cell["chapter"])
    resolved = parameters.resolve(chapter, cell["at"], check_memory=False)
    return {"kinds": estimate(chapter, chapter.cells(resolved), device)}
