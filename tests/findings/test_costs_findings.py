"""Claims hold on made estimates and times, and fall where these are changed."""

from types import SimpleNamespace

import pandas as pd
import pytest

from hdnotes.experiments import catalogue, egop_convex
from hdnotes.experiments.parameters import resolve
from hdnotes.findings import costs as findings
from hdnotes.store.store import Store
from hdnotes.store.sweep import cell_key

CELLS = egop_convex.cells(resolve(egop_convex, "smoke"))
TAKEN_S = 100.0
EARLIER, MADE, LATER = (f"2026-01-0{day}T00:00:00+00:00" for day in (1, 2, 3))
WHOLE_S = len(CELLS) * TAKEN_S


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HDNOTES_RESULTS", str(tmp_path))
    return Store.of("egop_convex")


def keep(store, cells=CELLS, **changes):
    rows = {"rows": pd.DataFrame({"x": [1.0]})}
    for cell in cells:
        times = {"device": "cpu", "wall_time_s": 3 * TAKEN_S, "cpu_time_s": TAKEN_S, "source": "a"}
        times["date"] = LATER
        manifest = {name: value for name, value in (times | changes).items() if value is not None}
        store.put(cell_key(egop_convex, cell), manifest, rows)


def made(seconds=WHOLE_S, device="cpu", at="smoke", chapters=("egop_convex",)):
    cells = [{"chapter": name, "at": at} for name in chapters]
    row = {"cells": len(CELLS), "seconds": seconds, "flops": 1e9, "memory_bytes": 2**20}
    table = pd.DataFrame([{**cell, "kind": cell["chapter"], **row} for cell in cells])
    manifests = [{"device": device, "date": MADE}] * len(cells)
    return SimpleNamespace(cells=cells, manifests=manifests, table=lambda name: table)


def verdict(name, results):
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == name]
    return claim.test(results)


@pytest.mark.parametrize(("factor", "word"), [(1.0, "holds"), (0.55, "holds"), (2.2, "fails")])
def test_an_estimate_is_held_against_what_was_taken(store, factor, word):
    keep(store)
    found = verdict("hd-co-a", made(factor * WHOLE_S))
    assert found.verdict == word
    assert "egop_convex" in found.evidence


def test_what_was_computed_before_the_estimate_does_not_prove_it(store):
    keep(store, date=EARLIER)
    found = verdict("hd-co-a", made())
    assert found.verdict == "undecided"
    assert "Before it: 1 of 1 kinds" in found.evidence
    keep(store, CELLS[1:])
    assert verdict("hd-co-a", made()).verdict == "undecided"
    keep(store)
    assert verdict("hd-co-a", made()).verdict == "holds"


@pytest.mark.parametrize(
    ("kept", "changes"),
    [
        (CELLS[1:], {}),
        (CELLS, {"device": "cuda"}),
        (CELLS, {"cpu_time_s": None}),
        (CELLS, {"cpu_time_s": 1.0}),
        ([], {}),
    ],
    ids=["a cell lacks", "another device", "no time kept", "too short", "none"],
)
def test_what_cannot_be_compared_decides_nothing(store, kept, changes):
    keep(store, kept, **changes)
    assert verdict("hd-co-a", made()).verdict == "undecided"


def test_times_on_a_busy_machine_are_those_that_the_process_was_given(store):
    keep(store)
    (row,) = findings.chapters(made()).to_dict("records")
    assert (row["computed"], row["taken"]) == (len(CELLS), WHOLE_S)
    keep(store, CELLS[:1], cpu_time_s=10 * TAKEN_S)  # two threads: the clock on the wall is less
    (row,) = findings.chapters(made()).to_dict("records")
    assert row["taken"] == (len(CELLS) + 2) * TAKEN_S


def test_on_a_gpu_the_clock_on_the_wall_counts(store):
    keep(store, device="cuda")
    (row,) = findings.chapters(made(device="cuda")).to_dict("records")
    assert row["taken"] == 3 * WHOLE_S


ALL = tuple(name for name in catalogue.names() if name != "costs")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"device": "cuda", "seconds": 3500 / len(ALL)}, "holds"),
        ({"device": "cuda", "seconds": 3700 / len(ALL)}, "fails"),
        ({"device": "cuda", "seconds": 100.0, "chapters": ALL[:3]}, "undecided"),
        ({"device": "cuda", "seconds": 2000.0, "chapters": ALL[:3]}, "fails"),
        ({"device": "cpu", "seconds": 1.0}, "undecided"),
    ],
)
def test_an_hour_on_a_gpu_is_the_sum_over_all_chapters(store, given, word):
    assert verdict("hd-co-b", made(**{"at": "paper", "chapters": ALL} | given)).verdict == word
