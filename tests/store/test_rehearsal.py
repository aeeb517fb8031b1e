import math
from contextlib import contextmanager

import pandas as pd
import pytest
import torch

from hdnotes import checkpoints
from hdnotes.store import rehearsal
from hdnotes.store.rehearsal import estimate, rehearse
from hdnotes.store.sweep import Joint

SETUP_S, STEP_S, LOOK_S = 3.0, 0.01, 0.5


class Chapter:
    """Trains on clocks of its own: setting up takes 3 s, a step 10 ms and a matrix product,
    and looks as even in log as records are take half a second for each factor of e.

    The machine is busy with other work, more and more, and the clock on the wall goes on.
    """

    NAME, VERSION = "chapter", 1

    def __init__(self, monkeypatch, least=1):
        self.now, self.others, self.least, self.lengths = 0.0, 0.0, least, []
        monkeypatch.setattr("time.perf_counter", lambda: self.now + self.others)
        monkeypatch.setattr("time.process_time", lambda: self.now)
        self.RUNS = {"train": self.train}

    def train(self, cell, device):
        self.lengths.append(cell["steps"])
        if cell["steps"] < self.least:
            raise ValueError("too few steps for a fit")
        self.others += 1e4 * len(self.lengths) ** 2
        self.now += seconds(cell["steps"])
        a = torch.ones(4, 4)
        for _ in range(cell["steps"] + 5):
            a @ a
        return {"rows": pd.DataFrame()}


def seconds(steps):
    return SETUP_S + STEP_S * steps + LOOK_S * math.log(steps)


@pytest.fixture
def chapter(monkeypatch):
    return Chapter(monkeypatch)


def test_three_short_runs_foretell_the_whole(chapter):
    cost = rehearse(chapter.train, [{"steps": 100_000}], "cpu")
    assert cost.seconds == pytest.approx(seconds(100_000), rel=1e-6)
    assert cost.flops == pytest.approx((100_000 + 5) * 2 * 4**3, rel=1e-6)
    assert cost.memory_bytes > 2**20
    assert sum(chapter.lengths) < 100_000 / 50


def test_a_run_that_adds_little_is_followed_by_a_longer_one(chapter, monkeypatch):
    monkeypatch.setattr(rehearsal, "ENOUGH_S", 500 * STEP_S)
    rehearse(chapter.train, [{"steps": 1024}], "cpu")
    assert chapter.lengths[:5] == [4, 16, 64, 256, 1024]


def test_a_short_cell_is_run_whole_and_known_exactly(chapter):
    cost = rehearse(chapter.train, [{"steps": 7}], "cpu")
    assert cost.seconds == pytest.approx(seconds(7))
    assert chapter.lengths.count(7) >= 1


def test_a_length_that_is_too_short_for_the_cell_is_passed_over(monkeypatch):
    chapter = Chapter(monkeypatch, least=1000)
    cost = rehearse(chapter.train, [{"steps": 100_000}], "cpu")
    assert cost.seconds == pytest.approx(seconds(100_000), rel=1e-6)


def test_what_the_whole_cell_raises_is_raised(monkeypatch):
    chapter = Chapter(monkeypatch, least=1000)
    with pytest.raises(ValueError, match="too few steps"):
        rehearse(chapter.train, [{"steps": 999}], "cpu")


def test_an_estimate_adds_cells_up_and_rehearses_what_differs(chapter):
    cells = [{"kind": "train", "steps": steps, "trial": t} for steps in (10, 20) for t in range(5)]
    costs = estimate(chapter, cells, "cpu")
    (row,) = costs.to_dict("records")
    assert (row["kind"], row["cells"]) == ("train", 10)
    assert row["seconds"] == pytest.approx(5 * (seconds(10) + seconds(20)))
    assert chapter.lengths.count(20) <= 2


def test_nothing_left_costs_nothing(chapter):
    costs = estimate(chapter, [], "cpu")
    assert list(costs.columns) == ["kind", "cells", "seconds", "flops", "memory_bytes"]
    assert costs.empty


def test_rehearsals_leave_and_find_no_checkpoints(tmp_path):
    slots = []

    def cell(given, device):
        slots.append(checkpoints.slot())
        return {"rows": pd.DataFrame()}

    with checkpoints.kept(tmp_path / "cell"):
        first = checkpoints.slot()
        rehearse(cell, [{"steps": 1000}], "cpu")
        assert checkpoints.slot() != first
        assert checkpoints.earlier_s() == 0.0
    assert slots
    assert set(slots) == {None}


def test_products_are_counted_as_fast_as_they_are_timed(chapter, monkeypatch):
    seen = []

    @contextmanager
    def products():
        seen.append("in")
        yield

    monkeypatch.setattr("hdnotes.devices.bfloat16_products", products)
    rehearse(chapter.train, [{"steps": 7}], "cpu")
    assert len(seen) == len(chapter.lengths)


def test_cells_that_are_computed_together_are_rehearsed_together(chapter):
    def together(cells, device):
        return [chapter.train(max(cells, key=lambda cell: cell["steps"]), device)] * len(cells)

    chapter.RUNS = {"train": Joint(together, lambda cell: cell["group"])}
    cells = [
        {"kind": "train", "steps": steps, "group": group}
        for group in (1, 2)
        for steps in (100_000, 50_000)
    ]
    (row,) = estimate(chapter, cells, "cpu").to_dict("records")
    assert row["cells"] == 4
    assert row["seconds"] == pytest.approx(2 * seconds(100_000), rel=1e-6)
