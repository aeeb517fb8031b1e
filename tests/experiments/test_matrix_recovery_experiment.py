"""The cells are the sweeps of the text, and one size run small gives what its tables promise."""

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments import matrix_recovery
from hdnotes.experiments.matrix_recovery import METHODS, RUNS, Parameters, cells, text_sizes
from hdnotes.experiments.parameters import ParameterError, resolve

SMALL = Parameters(sizes=(6,), fixed_size=9, checked_sizes=(6,), movie_size=6, batches=40)


def small(kind: str, sweep: str) -> dict[str, pd.DataFrame]:
    (cell,) = [c for c in cells(SMALL) if (c["kind"], c["sweep"]) == (kind, sweep)]
    return RUNS[kind](cell, "cpu")


def test_the_paper_profile_has_forty_of_the_texts_sizes_in_four_sweeps():
    paper = resolve(matrix_recovery, "paper", check_memory=False)
    found = pd.DataFrame([cell for cell in cells(paper) if cell["kind"] == "sweep"])
    assert found.groupby("sweep")["size"].nunique().ge(40).all()
    assert found["sweep"].nunique() == 4
    assert (found["size"].min(), found["size"].max()) == (4, 1008)
    assert len(text_sizes(10_000)) == 188
    assert not found.duplicated(["sweep", "size"]).any()
    checked = {cell["size"] for cell in cells(paper) if cell["kind"] == "check"}
    assert checked <= set(found[found.sweep == "square"]["size"])
    assert set(found.repeats) == {5}
    assert set(found.batches) == {500}


@pytest.mark.parametrize(
    ("sweep", "shape"), [("square", (6, 6)), ("fat", (6, 9)), ("skinny", (9, 6))]
)
def test_a_sweep_keeps_one_side_fixed(sweep, shape):
    (cell,) = [c for c in cells(SMALL) if (c["kind"], c["sweep"]) == ("sweep", sweep)]
    assert (cell["m"], cell["n"]) == shape


def test_one_size_gives_both_snrs_of_every_method_and_the_control():
    snr = small("sweep", "fat")["snr"].set_index("method")
    assert set(snr.index) == {*METHODS, "least squares"}
    assert np.isfinite(snr[["snr_db", "true_snr_db"]]).all(axis=None)
    assert snr.loc["least squares", "snr_db"].min() > 100
    # The start loss is 1 + 2N/(3M) times ||y||^2, up to the draw of the start.
    gap = (snr.snr_db - snr.true_snr_db).drop("least squares").mean()
    assert gap == pytest.approx(10 * np.log10(1 + 2 * 9 / (3 * 6)), abs=1.5)


def test_no_method_is_decayed_that_the_source_does_not_decay():
    settings = {name: matrix_recovery.setting(name, 0.01) for name in METHODS}
    decays = {name: s.method.settings.get("weight_decay", 0) for name, s in settings.items()}
    assert {name for name, decay in decays.items() if not decay} == {"Adam", "Rprop"}
    assert matrix_recovery.setting("SGD", 0.0).method.settings["weight_decay"] == 0


def test_fresh_and_training_samples_are_judged_alike():
    fresh, training = (
        small("sweep", "square")["snr"],
        small("check", "square, training loss")["snr"],
    )
    both = fresh.merge(training, on=["method", "repeat"])
    assert (both.snr_db_x != both.snr_db_y).all()
    assert (both.snr_db_x - both.snr_db_y).abs().median() < 3


def test_frames_hold_singular_values_and_a_picture_of_the_error():
    tables = small("movie", "fat")
    frames = tables["movie"]
    assert {len(values) for values in frames.singular_values} == {6}
    assert {len(pixels) for pixels in frames.log10_error} == {6 * 9}
    assert tables["movie_matrix"].singular_value.tolist() == pytest.approx([1] * 6, abs=1e-5)
    last = frames[frames.method == "SGD"].iloc[-1]
    assert np.abs(last.singular_values - 1).max() < 0.5
    assert set(frames.method) == set(METHODS)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"clip": 0}, "clip = 0.0 is not allowed; it must be a number, above 0, or none"),
        ({"clip": "some"}, "clip = 'some' is not allowed"),
        ({"methods": ["Adam", "GD"]}, "methods = .* is not allowed"),
        ({"learning_rates": "SGD=fast"}, "learning_rates = 'SGD=fast' is not allowed"),
        ({"learning_rates": "GD=0.1"}, "it must be method=rate"),
        ({"sizes": [1]}, "sizes = .* is not allowed"),
        ({"sizes": [100_000]}, "sizes = .* needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(matrix_recovery, "quick", given)


def test_none_takes_the_clip_away_and_rates_can_be_set():
    p = resolve(matrix_recovery, "smoke", {"clip": "none", "learning_rates": ["SGD=0.05"]})
    assert p.clip is None
    cell = cells(p)[0]
    assert (cell["clip"], cell["learning_rates"]) == ("none", ["SGD=0.05"])
    rates = matrix_recovery.overrides(p.learning_rates)
    assert matrix_recovery.setting("SGD", 0.01, rates).learning_rate == 0.05
