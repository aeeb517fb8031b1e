"""Linear networks equal torch.nn ones trained by torch.optim; factors are what they should be."""

from itertools import pairwise

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Shuffled
from hdnotes.optimizers import Method, find
from hdnotes.problems import linear_network as network
from hdnotes.problems.linear_network import LinearNetwork
from hdnotes.training import train

WIDTHS, SAMPLES, STEPS = (5, 7, 6, 3), 8, 20
OUTERS = (
    network.mean_squares,
    network.observed_squares,
    network.logistic,
    network.pseudo_huber,
    network.linear,
    network.cosines,
)
METHODS = {
    "SGD": Method("SGD")(0.01),
    "momentum": Method("SGD", {"momentum": 0.9})(0.01),
    "Adam": Method("Adam")(0.01),
}


def make(data_of: tuple[int, ...], outer=network.mean_squares) -> LinearNetwork:
    sets = range(max(data_of) + 1)
    inputs = tuple(seeds.normal(WIDTHS[0], SAMPLES, of=("test", "A", k)) for k in sets)
    targets = tuple(seeds.normal(WIDTHS[-1], SAMPLES, of=("test", "Y", k)) for k in sets)
    return LinearNetwork(WIDTHS, outer, inputs, targets, data_of)


def starts(trials: int) -> torch.Tensor:
    factors = [
        network.gaussian_factors(WIDTHS, (0.5, 0.4, 0.3), of=("test", t)) for t in range(trials)
    ]
    return torch.stack([network.pack(one) for one in factors])


def plain(problem: LinearNetwork, data: int, start, setting, batches) -> torch.Tensor:
    """Train one torch.nn.Sequential as anyone would."""
    layers = [torch.nn.Linear(w, v, bias=False) for w, v in pairwise(WIDTHS)]
    for layer, factor in zip(layers, network.unpack(start, WIDTHS), strict=True):
        layer.weight.data = factor.clone()
    model = torch.nn.Sequential(*layers)
    kind = find(setting.method.optimizer)
    optimizer = kind(model.parameters(), lr=setting.learning_rate, **setting.method.settings)
    for step in range(STEPS):
        rows = slice(None) if batches is None else batches.at(step)[0]
        x, y = problem.inputs[data].T[rows], problem.targets[data].T[rows]
        optimizer.zero_grad()
        ((model(x) - y) ** 2).sum(1).mean().backward()
        optimizer.step()
    return torch.cat([layer.weight.detach().flatten() for layer in layers])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [None, 3])
def test_lockstep_equals_the_plain_loop(name: str, size: int | None) -> None:
    data_of = (0, 1, 0)
    problem, point = make(data_of), starts(3)
    batches = size and Shuffled(SAMPLES, size, (4, 5, 6))
    run = train(problem, point, [METHODS[name]] * 3, STEPS, batches=batches)
    for trial, data in enumerate(data_of):
        own = batches and batches.take([trial])
        expected = plain(problem, data, point[trial], METHODS[name], own)
        torch.testing.assert_close(run.point[trial], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("outer", OUTERS)
@pytest.mark.parametrize("data_of", [(0, 1), (0, 1, 0)])  # stacked, and by data set
def test_the_gradient_is_that_of_the_loss(outer, data_of: tuple[int, ...]) -> None:
    problem = make(data_of, outer)
    if outer is network.observed_squares:
        problem.targets[0][0, :3] = torch.nan
    assert (problem._stacked is not None) == (len(data_of) == 2)
    point = starts(len(data_of)).requires_grad_()
    loss, gradient = problem.loss_and_gradient(point)
    for trial, data in enumerate(data_of):
        matrix = network.end_to_end(network.unpack(point[trial], WIDTHS))
        own, _ = outer(matrix @ problem.inputs[data], problem.targets[data])
        torch.testing.assert_close(loss[trial], own)
    (expected,) = torch.autograd.grad(loss.sum(), point)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("streams", [(4, 4, 4), (4, 5, 6)])
@pytest.mark.parametrize("size", [50, 3])
def test_a_condensed_minibatch_is_what_the_loss_sees_of_all_its_samples(size, streams) -> None:
    inputs = seeds.normal(5, 200, of=("test", "A"))
    targets = seeds.normal(3, 5, of=("test", "M")) @ inputs
    data = (WIDTHS, network.mean_squares, (inputs,), (targets,), (0, 0, 0))
    batch, point = Shuffled(200, size, streams).at(step=3), starts(3)
    whole = LinearNetwork(*data).loss_and_gradient(point, batch)
    found = network.CondensedNetwork(*data).loss_and_gradient(point, batch)
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-14)


def test_unseen_entries_count_for_nothing() -> None:
    y = torch.tensor([[1.0, torch.nan]])
    loss, slope = network.observed_squares(torch.tensor([[3.0, 9.0]]), y)
    assert (float(loss), slope.tolist()) == (2.0, [[2.0, 0.0]])


@pytest.mark.parametrize("widths", [(4, 3), (4, 6, 3), (4, 3, 5, 9, 3)])
def test_balanced_factors_are_balanced_and_have_the_product(widths: tuple[int, ...]) -> None:
    matrix = seeds.normal(3, 4, of=("test", "W"))
    factors = network.balanced_factors(matrix, widths, of=("test", "factors"))
    torch.testing.assert_close(network.end_to_end(factors), matrix)
    if len(widths) > 2:
        assert float(network.imbalance(factors)) < 1e-13
        stretched = [2 * factors[0], *factors[1:]]
        assert float(network.imbalance(stretched)) > 0.1


@pytest.mark.parametrize("widths", [(4, 2, 3), (3, 5, 3), (4, 5, 4)])
def test_widths_that_do_not_fit_are_refused(widths: tuple[int, ...]) -> None:
    matrix = seeds.normal(3, 4, of=("test", "W"))
    with pytest.raises(ValueError, match=rf"widths = \({widths[0]}, .* \(3, 4\)"):
        network.balanced_factors(matrix, widths, of=("test",))
    with pytest.raises(ValueError, match="widths"):
        LinearNetwork((4,), network.linear, (matrix,), (matrix,), (0,))


def test_gradient_descent_keeps_the_balance_to_the_order_of_the_step() -> None:
    matrix = seeds.normal(WIDTHS[-1], WIDTHS[0], of=("test", "W"))
    start = network.pack(network.balanced_factors(matrix, WIDTHS, of=("test", "f")))
    left = []
    for rate in (1e-2, 1e-3):
        setting = [Method("SGD")(rate)]
        run = train(make((0,)), start.unsqueeze(0), setting, round(0.5 / rate))
        left.append(float(network.imbalance(network.unpack(run.point[0], WIDTHS))))
    assert 5 < left[0] / left[1] < 20


def test_xavier_points_have_the_variance_of_torchs_initialization():
    points = network.xavier_points((30, 20, 10), 200, of=("test", "xavier"))
    for factor in network.unpack(points, (30, 20, 10)):
        rows, columns = factor.shape[-2:]
        assert factor.std().item() == pytest.approx((2 / (rows + columns)) ** 0.5, rel=0.02)
    again = network.xavier_points((30, 20, 10), 200, of=("test", "xavier"))
    assert torch.equal(points, again)


def test_condensed_data_give_the_loss_and_gradient_of_all_samples():
    inputs, truth = seeds.normal(5, 40, of=("test", "whole")), seeds.normal(3, 5, of=("test", "M"))
    few = network.condensed(inputs)
    assert few.shape == (5, 5)
    whole, small = (
        LinearNetwork(WIDTHS, network.mean_squares, (a,), (truth @ a,), (0, 0))
        for a in (inputs, few)
    )
    points = starts(2)
    for expected, found in zip(
        whole.loss_and_gradient(points), small.loss_and_gradient(points), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
