"""Cells are what they say: balance decides the gap, observation hides entries, times fit."""

import numpy as np
import pytest
import torch

from hdnotes.experiments import linear_networks as experiment
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.problems import linear_network as network


def test_cells_are_told_apart_at_every_profile() -> None:
    for profile in experiment.PROFILES:
        found = experiment.cells(resolve(experiment, profile, check_memory=False))
        assert len({repr(cell) for cell in found}) == len(found)
        assert {cell["kind"] for cell in found} == set(experiment.RUNS)


def test_a_rank_above_the_size_is_refused() -> None:
    with pytest.raises(ParameterError, match="path_rank = 9 is not allowed; it is at most"):
        resolve(experiment, "smoke", {"path_rank": 9})


def test_balance_decides_the_gap_at_a_point() -> None:
    cell = {"kind": "instant", "depth": 3, "size": 3, "trials": 2}
    table = experiment.RUNS["instant"](cell, "cpu")["instant"]
    balanced = table.stretch.eq(1)
    assert table[balanced].gap.max() < 1e-12
    assert table[balanced].values_gap.max() < 1e-12
    assert table[~balanced & table.stretch.ne(1 + 1e-6)].gap.min() > 1e-6
    assert set(table.loss) == set(experiment.LOSSES)


def test_a_stretch_leaves_the_product() -> None:
    factors = network.gaussian_factors((3, 4, 2), (1, 1), of=("test",))
    both = [network.end_to_end(f) for f in (factors, experiment.stretched(factors, 3.0))]
    torch.testing.assert_close(*both)


def test_the_gap_of_a_run_falls_with_its_rate() -> None:
    shared = {"kind": "descent", "depth": 2, "size": 3, "trials": 3}
    tables = [
        experiment.RUNS["descent"]({**shared, "rate": rate}, "cpu")["descent"]
        for rate in (0.1, 0.01)
    ]
    gaps = [table.groupby("start").gap.median() for table in tables]
    assert 5 < gaps[0].balanced / gaps[1].balanced < 20
    assert 0.8 < gaps[0].stretched / gaps[1].stretched < 1.3


def test_one_number_stops_at_zero() -> None:
    table = experiment.RUNS["scalar"]({"kind": "scalar"}, "cpu")["scalar"]
    ends = table.groupby("depth").w.last()
    assert ends[1] == pytest.approx(-1)
    assert ends[2:].between(0, 0.01).all()
    assert table.groupby("depth").w.first().tolist() == pytest.approx([0.5] * 4)


def test_starts_have_the_signs_they_are_called_by() -> None:
    cell = {"kind": "minimum", "depth": 2, "size": 3, "trials": 3, "time": 1.0, "rate": 0.02}
    table = experiment.RUNS["minimum"](cell, "cpu")["minimum"]
    signs = table.groupby("start").right_sign.agg(["min", "max"])
    assert signs.loc[experiment.STARTS[0]].all()
    assert not signs.loc[experiment.STARTS[1]].any()
    np.testing.assert_allclose(table.stuck_loss, experiment.SPREAD[1] ** 2 / 2)


def test_depth_one_never_moves_what_it_does_not_see() -> None:
    cell = {"kind": "paths", "depth": 1, "observed": 0.8, "size": 8, "rank": 2}
    cell |= {"scale": 1e-3, "step": 0.05, "trials": 3}
    tables = experiment.RUNS["paths"](cell, "cpu")
    assert tables["path_ends"].unseen_error.between(0.99, 1.01).all()
    assert tables["path_ends"].loss.max() < 1e-3
    deep = experiment.RUNS["paths"]({**cell, "depth": 3, "observed": 1.0}, "cpu")
    last = deep["paths"].groupby("k").singular_value.last()
    np.testing.assert_allclose(last, [2, 1, 0], atol=0.05)
    timing = deep["learned"].half_time_predicted / deep["learned"].half_time
    assert timing.between(0.99, 1.01).all()


def test_a_level_is_reached_between_records() -> None:
    times, path = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 4.0])
    assert experiment._passes(times, path, 1.0) == 1.25
    assert experiment._passes(times, path, 0.0) == 0.0
    assert np.isnan(experiment._passes(times, path, 5.0))
