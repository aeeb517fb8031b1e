"""Every basis trains the same start; what is too large is refused before it is allocated."""

import time

import pandas as pd
import pytest
import torch

from hdnotes.experiments import coordinate_systems, egop_scalability
from hdnotes.experiments.basis_races import Task, kept_epochs, race, race_renewed, race_within
from hdnotes.experiments.coordinate_systems import (
    System,
    estimated,
    gradient_parts,
    of_inputs,
    streamed,
    streamed_systems,
    systems,
)
from hdnotes.experiments.egop_scalability import (
    RUNS,
    Parameters,
    cells,
    dense_bytes,
    digits_gradients,
    digits_task,
    require_room,
    size,
)
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.measures import sides
from hdnotes.measures.egop import sample_gradients
from hdnotes.problems.classifier import Classifier, layers
from hdnotes.problems.rotated import Rotated

SMALL = resolve(
    egop_scalability, "smoke", {"digits_hidden": 3, "starts": 1, "epochs": 2, "hidden": [1]}
)
CELL = next(cell for cell in cells(SMALL) if cell["kind"] == "digits")


@pytest.fixture(scope="module")
def task():
    return digits_task(CELL, "cpu")


@pytest.fixture(scope="module")
def found(task):
    gradients = digits_gradients(task, CELL)
    widths = task.network.widths
    return [*systems(gradients, widths, CELL, ("test",)), *of_inputs(task.network.inputs, widths)]


def test_every_basis_is_orthonormal_and_leaves_the_objective(task, found):
    """f~(V^T theta) = f(theta) in every coordinate system, in float64."""
    widths, inputs, labels = task.network.widths, task.network.inputs.double(), task.network.labels
    network = Classifier(widths, inputs, labels, (0,) * len(found))
    rotated = Rotated(network, tuple(one.blocks for one in found), tuple(range(len(found))))
    theta = task.starts.double().repeat(len(found), 1)
    t = rotated.coordinates(theta)
    torch.testing.assert_close(rotated.original(t), theta, atol=1e-10, rtol=0)
    torch.testing.assert_close(t.norm(dim=1), theta.norm(dim=1))
    loss, _ = rotated.loss_and_gradient(t)
    torch.testing.assert_close(loss, loss[:1].expand(len(found)), atol=1e-10, rtol=0)


def test_every_basis_that_is_asked_for_is_there_with_its_label(found):
    names = {one.basis for one in found}
    assert names >= {"original", "random", *(set(egop_scalability.BASES) - {"partial"})}
    labels = [one[:4] for one in found]
    assert len(set(labels)) == len(labels)
    assert {one.complement for one in found if one.basis == "leading"} == {"axes", "random"}


def test_a_basis_that_is_not_asked_for_is_not_made(task):
    gradients = digits_gradients(task, CELL)
    some = systems(gradients, task.network.widths, {**CELL, "bases": ["folded"]}, ("test",))
    assert [one.basis for one in some] == ["original", "random", "folded"]


def test_forming_a_basis_is_timed_by_itself(task, monkeypatch):
    """A basis takes what its own parts take; another one that is made beside it adds nothing."""

    for name in ("layer_moments", "product_bases", "completed"):
        fast = getattr(coordinate_systems, name)
        slow = lambda *given, fast=fast: (time.sleep(0.2), fast(*given))[1]  # noqa: E731
        monkeypatch.setattr(coordinate_systems, name, slow)
    network, of = task.network, ("test",)
    cell = {**CELL, "gradients": 30}
    batch = systems(digits_gradients(task, CELL), network.widths, cell, of)
    stream = streamed_systems(estimated(network, cell, of), cell, network.widths, of)
    for found in (batch, stream):
        forming = {one.basis: one.seconds for one in found}
        assert 0 < forming["folded"] < 0.2
        assert forming["Kronecker"] > 0.4
        assert forming["leading"] > 0.2
    forming = {one.basis: one.seconds for one in batch}
    assert forming["block"] == forming["first layer"] + forming["second layer"]
    mean, svd = of_inputs(network.inputs, network.widths)
    assert 0 < svd.seconds < 0.2 < mean.seconds


def test_the_first_axis_of_the_mean_input_is_the_mean(task):
    (mean, svd) = of_inputs(task.network.inputs, task.network.widths)
    for one in (mean, svd):
        right = one.blocks[0].vectors.right
        torch.testing.assert_close(right.T @ right, torch.eye(64).double(), atol=1e-10, rtol=0)
    turned = task.network.inputs.double().mean(0) @ mean.blocks[0].vectors.right
    assert turned[1:].abs().max() < 1e-10 < 1 < turned[0].abs()


def test_a_cell_holds_every_start_method_and_basis_from_one_loss():
    tables = RUNS["digits"](CELL, "cpu")
    ends, curves = tables["ends"], tables["curves"]
    names = ["method", "start", "basis", "rank", "complement", "gradients"]
    assert not ends.duplicated(names).any()
    assert set(ends.basis) >= {"original", "full", "partial", "partial, renewed", "streamed"}
    begin = curves[curves.epoch.eq(0)].loss
    assert begin.max() - begin.min() < 1e-4 * begin.max()
    assert tables["spectrum"].captured.is_monotonic_increasing
    assert tables["spectrum"].captured.iloc[-1] <= 1 + 1e-9
    diagonal = tables["diagonal"].set_index("basis").off_diagonal
    assert diagonal["first layer"] < 1e-9 < diagonal["original"]
    assert tables["agreement"].overlap.between(0, 1 + 1e-9).all()


def test_a_race_on_all_dimensions_is_the_race_in_that_basis(task):
    gradients = digits_gradients(task, CELL)
    full = torch.linalg.svd(gradients.float(), full_matrices=True)[2].T
    rotated = race(task, [((slice(None), full),)], [("Adam", 0.01)])
    within = race_within(task, full, [("Adam", 0.01)])
    torch.testing.assert_close(rotated.observed["loss"], within.observed["loss"], rtol=1e-3, atol=0)


def test_a_renewed_subspace_starts_where_the_last_one_ended(task):
    pieces = race_renewed(task, 4, [("Adam", 0.01)], 1)
    assert len(pieces) == 2
    ends = [piece.observed["loss"][:, [0, -1]] for piece in pieces]
    torch.testing.assert_close(ends[0][:, 1], ends[1][:, 0], rtol=1e-4, atol=0)


def test_parts_of_a_stream_are_its_gradients_and_its_sketch_that_of_all(task):
    network = task.network
    parts = list(gradient_parts(network, 70, 50, ("test",)))
    again = list(gradient_parts(network, 70, 50, ("test",)))
    assert [len(part) for part in parts] == [64, 6]
    torch.testing.assert_close(torch.cat(parts), torch.cat(again), rtol=0, atol=0)
    other = list(gradient_parts(network, 64, 50, ("test",)))  # a part has a stream of its own
    torch.testing.assert_close(parts[0], other[0], rtol=0, atol=0)
    cell = {"rank": 4, "gradients": 70, "batch_size": 50}
    found = estimated(network, cell, ("test",))
    cosines = torch.linalg.svdvals(found.vectors.T @ streamed(parts, 4))
    assert cosines.min() > 0.999
    whole = sides.side_moments(torch.cat(parts)[:, layers(network.widths)[0].weight], 3)
    torch.testing.assert_close(found.moments[0].left, whole.left, rtol=1e-3, atol=1e-3)


def test_gradients_are_those_of_one_sample_of_parameters_at_a_time(task):
    points = task.starts.double().repeat(2, 1)
    points[1] += 0.1
    network = task.network
    exact = Classifier(network.widths, network.inputs.double(), network.labels, (0,))
    rows = torch.arange(10).repeat(2, 1)
    for one, point in zip(sample_gradients(exact, points, rows), points, strict=True):
        theta = point.clone().requires_grad_()
        a, b = layers(network.widths)
        seen = exact.inputs[:10] @ theta[a.weight].view(3, 64).T + theta[a.bias]
        logits = seen.relu() @ theta[b.weight].view(10, 3).T + theta[b.bias]
        torch.nn.functional.cross_entropy(logits, network.labels[:10]).backward()
        torch.testing.assert_close(one, theta.grad, atol=1e-10, rtol=0)


def test_what_does_not_fit_is_refused_with_its_estimate():
    d = size((784, 100, 10))
    assert d == 79_510
    assert dense_bytes(d) == 8 * 79_510**2
    with pytest.raises(ValueError, match=r"full basis of d = 79,510 .* 47\.1 GiB .* 0\.25 GiB"):
        require_room("full", d, dense_bytes(d), 0.25)
    require_room("full", d, dense_bytes(d), 48)


def test_a_limit_that_no_machine_has_is_refused_before_anything_is_computed():
    given = {"basis_limit": 1e6, "hidden": [30_000]}
    with pytest.raises(ParameterError, match="hidden"):
        resolve(egop_scalability, "quick", given)


def test_refused_bases_are_rows_and_the_others_are_timed():
    cell = next(cell for cell in cells(SMALL) if cell["kind"] == "cost")
    tables = RUNS["cost"]({**cell, "basis_limit": 1e-6}, "cpu")
    sizes, steps = tables["sizes"], tables["steps"]
    refused = sizes[sizes.outcome.eq("refused")]
    assert set(refused.basis) == {"full", "block"}
    assert refused.words.str.contains("805 parameters").all()
    assert set(steps.basis) == set(sizes.basis) - {"full", "block"}
    assert (steps.seconds > 0).all()
    plain = sizes.set_index(["basis", "complement"]).held_bytes
    assert plain["original", "none"] == 16 * 805
    assert plain["leading", "axes"] == 24 * 805 + 4 * (805 * 8 + 64)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bases": ["diagonal"]}, "bases"),
        ({"ranks": [0]}, "ranks"),
        ({"gradient_shares": [1.5]}, "gradient_shares"),
        ({"basis_limit": 0}, "basis_limit"),
    ],
)
def test_impossible_parameters_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        resolve(egop_scalability, "quick", given)


def test_defaults_are_the_quick_profile_and_the_paper_adds_draws():
    assert resolve(egop_scalability, "quick", check_memory=False) == Parameters()
    found = pd.DataFrame(cells(resolve(egop_scalability, "paper", check_memory=False)))
    assert found.groupby("kind").size().to_dict() == {"Fashion": 5, "cost": 6, "digits": 5}


def test_the_bases_of_a_cell_are_those_asked_for_and_the_cheap_ones():
    some = cells(resolve(egop_scalability, "quick", {"bases": ["block"]}, check_memory=False))
    assert some[0]["bases"] == ["block", "first layer", "second layer", "folded", "leading"]
    assert cells(Parameters())[0]["bases"] == list(egop_scalability.BASES)


def test_epochs_that_are_kept_begin_and_end_a_run():
    assert kept_epochs(3) == [0, 1, 2, 3]
    assert kept_epochs(40)[-1] == 40
    assert Task.an_epoch.fget(digits_task(CELL, "cpu")) == 1797 // CELL["batch_size"]
    assert System("original", 0, "none", 0, ()).seconds == 0
