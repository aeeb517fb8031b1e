"""A problem in other coordinates is f(V t), trial by trial, and so is what training makes of it."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.optimizers import BASIC
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.training import train

WIDTHS = (5, 4, 3)
TRIALS = 6


def dense(basis: tuple[Block, ...], d: int) -> torch.Tensor:
    """Return V (d, d) of a basis."""
    full = torch.eye(d, dtype=torch.float64)
    for at, vectors in basis:
        full[at, at] = vectors
    return full


@pytest.fixture
def rotated() -> Rotated:
    inputs = seeds.normal(12, 5, of=("x",))
    labels = torch.arange(12) % 3
    problem = Classifier(WIDTHS, inputs, labels, (0,) * TRIALS)
    whole = (Block(slice(0, 39), orthonormal(39, 39, of=("V",))),)
    layers = tuple(
        Block(at, orthonormal(*[at.stop - at.start] * 2, of=("V", at.start)))
        for at in (slice(0, 20), slice(24, 36))
    )
    return Rotated(problem, ((), whole, layers), (0, 2, 1, 2, 0, 1))


def test_each_trial_sees_f_of_its_own_v_t(rotated):
    d = rotated.parameters
    point = seeds.normal(TRIALS, d, of=("point",))
    loss, gradient = rotated.loss_and_gradient(point)
    for t, number in enumerate(rotated.basis_of):
        v = dense(rotated.bases[number], d)
        alone = rotated.problem.take([t]).loss_and_gradient((v @ point[t]).unsqueeze(0))
        torch.testing.assert_close(loss[t], alone[0][0], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(gradient[t], v.T @ alone[1][0], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(rotated.original(rotated.coordinates(point)), point)


def test_a_part_in_another_order_keeps_its_bases(rotated):
    order = [3, 2, 2, 0]
    point = seeds.normal(4, rotated.parameters, of=("part",))
    whole = rotated.take(order)
    for row, t in enumerate(order):
        alone = rotated.take([t]).loss_and_gradient(point[row : row + 1])
        for one, other in zip(whole.loss_and_gradient(point), alone, strict=True):
            torch.testing.assert_close(one[row], other[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("name", "same"), [("GD", True), ("GD + momentum", True), ("Adam", False)])
def test_gradient_descent_does_not_see_the_coordinates_and_adam_does(rotated, name, same):
    theta = draw_points(WIDTHS, 1, "xavier", of=("start",)).repeat(TRIALS, 1)
    settings = [BASIC[name](0.05)] * TRIALS
    run = train(rotated, rotated.coordinates(theta), settings, 40)
    ends = rotated.original(run.point)
    gap = (ends - ends[0]).abs().amax(1)[torch.tensor(rotated.basis_of) > 0]
    assert (gap < 1e-12).all() if same else (gap > 1e-3).all()
