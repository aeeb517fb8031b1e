"""The experiment of chapter `egop_spectra`: sizes, cells, draws, minibatches."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import egop_spectra
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.problems.classifier import layers


@pytest.mark.parametrize(
    "given",
    [{"gradients_per_parameter": 1e6}, {"fractions": [1e6]}],
)
def test_a_size_that_cannot_fit_is_refused(given):
    with pytest.raises(ParameterError, match="needs about .* of memory"):
        resolve(egop_spectra, "quick", given)


@pytest.mark.parametrize(
    "given", [{"scales": [0.0]}, {"block_data": ["MNIST"]}, {"trials": 0}, {"digits_file": "all"}]
)
def test_impossible_parameters_are_refused(given):
    with pytest.raises(ParameterError, match="is not allowed"):
        resolve(egop_spectra, "quick", given)


@pytest.mark.parametrize("profile", egop_spectra.PROFILES)
def test_every_profile_fits_in_eight_gigabytes_and_asks_for_each_cell_once(profile):
    p = resolve(egop_spectra, profile)
    assert egop_spectra.memory(p) < 8 << 30
    cells = [str(cell) for cell in egop_spectra.cells(p)]
    assert len(set(cells)) == len(cells)


@pytest.mark.parametrize("data", egop_spectra.WIDTHS)
def test_sizes_are_the_papers(data):
    stack = layers(egop_spectra.WIDTHS[data])
    weights = sum(layer.weight.stop - layer.weight.start for layer in stack)
    assert weights == egop_spectra.WEIGHTS[data] == {"digits": 2368, "Fashion": 4000}[data]
    total = {"digits": egop_spectra.DIGITS_PARAMETERS, "Fashion": egop_spectra.FASHION_PARAMETERS}
    assert stack[-1].bias.stop == total[data]


def test_a_minibatch_holds_no_sample_twice_and_an_epoch_none():
    batches = egop_spectra._minibatches(700, 3, ("test",))
    assert batches.shape == (3, 300)
    assert len(batches[:2].unique()) == 600
    assert all(len(batch.unique()) == 300 for batch in batches)
    assert not torch.equal(batches[2], batches[0])


def test_a_draw_of_rho_is_the_same_whatever_runs_beside_it_and_others_differ():
    p = resolve(egop_spectra, "smoke", {"gradients_per_parameter": 0.01, "trials": 2})
    cells = [c for c in egop_spectra.cells(p) if c["kind"] == "rho" and c["rho"] != "Xavier"]
    found = [egop_spectra.RUNS["rho"](cell, "cpu")["summary"] for cell in [*cells, cells[0]]]
    pd.testing.assert_frame_equal(found[0], found[2])
    assert (found[0]["first"] != found[1]["first"]).all()
