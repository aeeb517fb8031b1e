"""Every arithmetic trains the same students; the usual one is that of `phase_retrieval`."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import phase_retrieval, precision
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.experiments.students import final_errors

SMALL = resolve(precision, "smoke")
BY = {(cell["batches"], cell["alpha"], cell["products"]): cell for cell in precision.cells(SMALL)}


def test_cells_differ_in_their_arithmetic_alone():
    for (batches, alpha, products), cell in BY.items():
        usual = BY[batches, alpha, "float32"]
        assert {**cell, "products": "float32"} == usual
        assert (products == "float32") == (cell == usual)


@pytest.mark.parametrize("batches", precision.BATCHES)
def test_rounding_changes_the_way_and_nothing_else(batches):
    one, two = (precision.run(BY[batches, 6.0, kind], "cpu") for kind in ("float32", "TF32"))
    labels = ["method", "momentum", "set", "start"]
    pd.testing.assert_frame_equal(one["runs"][labels], two["runs"][labels])
    first = [tables["curves"].groupby(labels).test_error.first() for tables in (one, two)]
    gap = (first[1] / first[0] - 1).abs()
    assert 0 < gap.max() < 1e-2
    found = (one["runs"].test_error < 1e-6) & (two["runs"].test_error < 1e-6)
    assert found.any()
    ratio = two["runs"].test_error[found] / one["runs"].test_error[found]
    assert (ratio > 10).all()


def test_nobody_stops_before_the_end():
    cell = BY["full", 6.0, "float32"]
    assert (precision.run(cell, "cpu")["runs"].epochs == cell["epochs"]).all()


def test_float32_on_a_cpu_is_the_chapter_on_phase_retrieval():
    cell = BY["persistent", 6.0, "float32"]
    own = {name: value for name, value in cell.items() if name not in ("products", "machine")}
    (expected,) = final_errors([own], "cpu", stop=None)
    found = precision.run(cell, "cpu")["runs"]
    pd.testing.assert_frame_equal(found[expected["runs"].columns], expected["runs"])
    usual = next(c for c in phase_retrieval.cells(phase_retrieval.Parameters(features=16)))
    assert own.keys() == usual.keys()


def test_a_machine_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    cell = {**BY["full", 6.0, "float32"], "machine": "cuda"}
    with pytest.raises(ValueError, match="'cuda' needs a CUDA GPU"):
        precision.run(cell, "cpu")


@pytest.mark.parametrize("given", [{"products": ["bfloat16"]}, {"machines": ["tpu"]}])
def test_what_is_not_known_is_refused(given):
    with pytest.raises(ParameterError, match="each one of"):
        resolve(precision, "quick", given)
