"""A trial in other coordinates equals a plain torch loop; its tables are what the cells promise."""

from itertools import pairwise

import pandas as pd
import pytest
import torch

from hdnotes.batches import Shuffled
from hdnotes.experiments import egop_linear_networks as chapter
from hdnotes.experiments.egop_linear_networks import COORDINATES, Parameters, Tried, cells, run
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.problems.linear_network import unpack

SMALL = resolve(chapter, "smoke", {"trials": 1, "epochs": 4})
SETTINGS = [("Adam", 0.01), ("Adagrad", 0.1), ("SGD + momentum", 10.0)]
TRIED = [Tried(*setting, coordinates) for setting in SETTINGS for coordinates in COORDINATES]


@pytest.fixture(scope="module")
def cell():
    return cells(SMALL)[0]


@pytest.fixture(scope="module")
def trial(cell):
    return chapter.draw_trial(cell, "cpu")


def plain(trial, cell, name, rate, system):
    """Train t with theta = V t as anyone would, and return the training loss epoch by epoch."""
    basis = torch.eye(trial.network.parameters, dtype=torch.float64)
    for at, vectors in trial.bases[system]:
        basis[at, at] = vectors
    t = torch.nn.Parameter(basis.T @ trial.start[0])
    method = chapter.METHODS[name]
    kind = getattr(torch.optim, method.optimizer)
    optimizer = kind([t], lr=rate, **method.settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cell["epochs"])
    (a,), (y,) = trial.network.inputs, trial.network.targets

    def loss(rows):
        out = a[:, rows]
        for factor in unpack(basis @ t, trial.network.widths):
            out = factor @ out
        return (out - y[:, rows]).square().sum(0).mean()

    batches = Shuffled(cell["samples"], cell["batch_size"], (trial.stream,))
    an_epoch, found = cell["samples"] // cell["batch_size"], [loss(slice(None)).item()]
    for epoch in range(cell["epochs"]):
        for step in range(epoch * an_epoch, (epoch + 1) * an_epoch):
            optimizer.zero_grad()
            loss(batches.at(step)[0]).backward()
            optimizer.step()
        schedule.step()
        found.append(loss(slice(None)).item())
    return torch.tensor(found, dtype=torch.float64)


def test_lockstep_equals_the_plain_loop_in_every_coordinate_system(cell, trial):
    found = chapter.race(trial, TRIED, cell)[:, :, 0]
    for line, one in zip(found, TRIED, strict=True):
        torch.testing.assert_close(line, plain(trial, cell, *one), rtol=1e-9, atol=0)


def test_only_descent_is_blind_to_the_coordinates(cell, trial):
    found = chapter.race(trial, TRIED, cell)[:, -1, 0].unflatten(0, (len(SETTINGS), -1))
    gap = (found[:, 1:] / found[:, :1] - 1).abs().amin(1)
    assert gap[2] < 1e-9
    assert (gap[:2] > 1e-3).all()


def test_bases_are_orthonormal_and_cover_what_they_are_named_for(trial):
    (layer, *_), p = trial.bases["block"], trial.network.parameters
    spans = {name: [block.at for block in blocks] for name, blocks in trial.bases.items()}
    assert spans["original"] == []
    assert spans["EGOP"] == spans["random"] == [slice(0, p)]
    assert spans["first layer"] == [layer.at] == [slice(0, 40)]
    assert [at.stop for at in spans["block"]] == [40, 40 + 48, p]
    assert all(before.stop == after.start for before, after in pairwise(spans["block"]))
    for blocks in trial.bases.values():
        for at, vectors in blocks:
            eye = torch.eye(at.stop - at.start, dtype=torch.float64)
            torch.testing.assert_close(vectors.T @ vectors, eye, atol=1e-10, rtol=0)


def test_the_data_decay_and_the_parts_are_apart(trial):
    (a,) = trial.network.inputs
    singular = torch.linalg.svdvals(a)
    assert singular[0] > 10 * singular[3] > 0
    losses = [part.loss_and_gradient(trial.start)[0].item() for part in trial.parts.values()]
    assert len(set(losses)) == 3
    assert losses[0] == pytest.approx(trial.network.loss_and_gradient(trial.start)[0].item())


def test_cells_hold_every_method_rate_and_system_from_one_start():
    frames = [run(cell, "cpu") for cell in cells(SMALL)]
    ends = pd.concat([tables["ends"] for tables in frames])
    labels = ["method", "learning_rate", "coordinates", "precision"]
    assert not ends.duplicated(labels).any()
    assert ends.groupby(["method", "precision"]).size().to_dict() == {
        ("Adam", "float64"): 20,
        ("Adam", "float32"): 3,
        ("Adagrad", "float64"): 20,
        ("Adagrad", "float32"): 3,
        ("SGD", "float64"): 10,
        ("SGD + momentum", "float64"): 8,
    }
    curves = pd.concat([tables["curves"] for tables in frames])
    first, last = curves[curves.epoch.eq(0)], curves[curves.epoch.eq(SMALL.epochs)]
    assert first.loss.max() - first.loss.min() < 1e-4 * first.loss.max()
    found = last.merge(ends, on=labels).eval("loss / final_loss - 1").abs()
    assert len(found) == len(ends)
    assert found.max() < 1e-6


def test_the_paper_profile_has_the_papers_network_epochs_and_trials():
    found = cells(resolve(chapter, "paper", check_memory=False))
    assert {tuple(cell["widths"]) for cell in found} == {(10, 50, 30, 10)}
    assert {(cell["epochs"], cell["batch_size"], cell["samples"]) for cell in found} == {
        (1000, 500, 10_000)
    }
    assert len(found) == 10


@pytest.mark.parametrize(
    ("given", "words"), [({"hidden": (0,)}, "hidden"), ({"rates_per_decade": 3}, "rates_per")]
)
def test_impossible_parameters_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        resolve(chapter, "quick", given)


def test_defaults_are_the_quick_profile():
    assert resolve(chapter, "quick", check_memory=False) == Parameters()
