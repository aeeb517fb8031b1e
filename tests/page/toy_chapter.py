"""A chapter of one parameter that computes in no time."""

from dataclasses import dataclass

import pandas as pd

from hdnotes.claims import Claim, Verdict
from hdnotes.experiments.parameters import parameter

NAME = "toy"
VERSION = 1
TITLE = "A toy"


@dataclass(frozen=True)
class Parameters:
    d: int = parameter(4, help="dimension", unit="parameters", at_least=1, at_most=10**7)
    rates: tuple[float, ...] = parameter((0.1, 1.0), help="learning rates", above=0)


PROFILES = {"smoke": {"d": 2}, "quick": {}}


def cells(p):
    return [{"kind": "toy", "d": p.d, "rate": rate} for rate in p.rates]


def run(cell, device):
    return {"losses": pd.DataFrame({"step": [0, 1], "loss": [1.0, cell["rate"] / cell["d"]]})}


def memory(p):
    return 10**15 if p.d > 10**6 else 1


def _falls(results):
    last = results.table("losses").query("step == 1").loss.max()
    return Verdict("holds" if last < 1 else "fails", f"It ends at {last:.3g}.")


CLAIMS = (
    Claim("d0-1-a", "The loss | falls.", "Section 1", _falls),
    Claim("d0-1-b", "It is art.", "Section 2", lambda results: Verdict("undecided", "Who knows.")),
)
