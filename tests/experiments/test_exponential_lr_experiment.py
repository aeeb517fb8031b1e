"""The experiment of chapter `exponential_lr`: what it refuses, its cells, what its runs leave."""

import pytest
import torch

from hdnotes.experiments import exponential_lr as experiment
from hdnotes.experiments.parameters import ParameterError, resolve

HUGE = {"steps": 10**10, "trials": 10**7, "width": 10**6}


@pytest.mark.parametrize("name", HUGE)
def test_a_size_that_cannot_fit_is_refused_whichever_parameter_asks_for_it(name):
    with pytest.raises(ParameterError, match=f"{name} = .* needs about .* of memory"):
        resolve(experiment, "quick", {name: HUGE[name]})


def test_a_decay_without_a_twin_is_refused():
    with pytest.raises(ParameterError, match="decay_rate = 0.05 is not allowed at momentum = 0.9"):
        resolve(experiment, "quick", {"weight_decay": 0.5})


@pytest.mark.parametrize("profile", experiment.PROFILES)
def test_every_profile_fits_in_four_gigabytes_and_asks_for_each_cell_once(profile):
    p = resolve(experiment, profile)
    assert experiment.memory(p) < 4 << 30
    cells = [str(cell) for cell in experiment.cells(p)]
    assert len(set(cells)) == len(cells)


def smoke(part: str, kind: str = "twins", **changes):
    p = resolve(experiment, "smoke", {"steps": 50, **changes})
    cells = [c for c in experiment.cells(p) if c["kind"] in (kind, part)]
    (cell,) = [c for c in cells if c.get("part", c["kind"]) == part]
    return experiment.RUNS[cell["kind"]](cell, "cpu")


@pytest.mark.parametrize("part", ["no momentum", "cosine", "rayleigh", "adam"])
def test_a_run_and_its_twin_are_one(part):
    table = smoke(part)["twin"]
    pair = table[table.arm.isin([experiment.DECAY, experiment.GROWTH])]
    assert (pair.output_gap < 1e-11).all()
    assert (pair.loss_gap < 1e-12).all()


@pytest.mark.parametrize("part", ["theorem", "cosine"])
def test_a_run_summed_in_another_order_is_itself_but_for_rounding(part):
    table = smoke(part, "reordered")["twin"]
    again = table[table.arm.eq(experiment.REORDERED)]
    assert (again.output_gap > 0).all()
    assert (again.output_gap < 1e-12).all()
    pair = smoke(part)["twin"]
    losses = [one.last_loss[one.arm.eq(experiment.DECAY)].to_list() for one in (table, pair)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_a_trial_is_the_same_whichever_trials_run_beside_it():
    two, one = (smoke("theorem", trials=n)["twin"] for n in (2, 1))
    first = two[two.trial == 0].reset_index(drop=True)
    for column in ("error", "last_loss", "growth", "effective_growth"):
        assert first[column].tolist() == pytest.approx(one[column].tolist(), rel=1e-9)


def test_the_fall_time_is_that_of_an_exponential():
    time = torch.arange(200.0, dtype=torch.float64)
    excess = torch.stack([3 * torch.exp(-time / 20), torch.full_like(time, 5.0)])
    found = experiment._fall_time(excess).tolist()
    assert found[0] == pytest.approx(20, rel=1e-6)
    assert found[1] != found[1]
