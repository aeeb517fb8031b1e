"""The experiment of chapter `adam`: what it refuses, its cells, a trial by itself."""

import pandas as pd
import pytest

from hdnotes.experiments import adam as experiment
from hdnotes.experiments.parameters import ParameterError, resolve

HUGE = {
    "trials": 10**8,
    "rate_steps": 10**12,
    "d": 10**6,
    "train_steps": 10**11,
    "batch_size": 10**9,
    "stream_steps": 10**9,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_size_that_cannot_fit_is_refused_whichever_parameter_asks_for_it(name):
    with pytest.raises(ParameterError, match=f"{name} = .* needs about .* of memory"):
        resolve(experiment, "quick", {name: HUGE[name]})


@pytest.mark.parametrize("profile", experiment.PROFILES)
def test_every_profile_fits_in_four_gigabytes_and_asks_for_each_cell_once(profile):
    p = resolve(experiment, profile)
    assert experiment.memory(p) < 4 << 30
    cells = [str(cell) for cell in experiment.cells(p)]
    assert len(set(cells)) == len(cells)


@pytest.mark.parametrize("kind", ["rates", "streams", "noise"])
def test_a_trial_is_the_same_whichever_trials_run_beside_it(kind):
    p = resolve(experiment, "smoke", {"rate_steps": 100, "d": 20, "stream_steps": 100})
    cell = next(c for c in experiment.cells(p) if c["kind"] == kind)
    two, one = (
        next(iter(experiment.RUNS[kind]({**cell, "trials": n}, "cpu").values())) for n in (2, 1)
    )
    first = two[two.trial == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, one.reset_index(drop=True), rtol=1e-6)
