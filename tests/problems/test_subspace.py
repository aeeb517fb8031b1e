"""A problem on a subspace is f(theta_0 + P t), and all of space is no restriction."""

import torch

from hdnotes import seeds
from hdnotes.optimizers import BASIC
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.problems.subspace import Subspace
from hdnotes.training import train

WIDTHS, D = (5, 4, 3), 39
NETWORK = Classifier(WIDTHS, seeds.normal(12, 5, of=("x",)), torch.arange(12) % 3, (0,) * 3)
ORIGIN = draw_points(WIDTHS, 3, "xavier", of=("starts",))


def test_each_trial_sees_f_on_its_own_subspace_and_so_does_a_part():
    bases = tuple(orthonormal(D, 4, of=("P", k)) for k in range(2))
    problem = Subspace(NETWORK, ORIGIN, bases, (1, 0, 1))
    point = seeds.normal(3, 4, of=("t",))
    loss, gradient = problem.loss_and_gradient(point)
    for t, number in enumerate(problem.basis_of):
        theta = ORIGIN[t] + bases[number] @ point[t]
        alone = NETWORK.take([t]).loss_and_gradient(theta.unsqueeze(0))
        torch.testing.assert_close(loss[t], alone[0][0])
        torch.testing.assert_close(gradient[t], bases[number].T @ alone[1][0])
        torch.testing.assert_close(problem.original(point)[t], theta)
    part = problem.take([2, 1])
    torch.testing.assert_close(part.loss_and_gradient(point[[2, 1]])[1], gradient[[2, 1]])
    assert (part.parameters, part.samples, part.data_of) == (4, 12, (0, 0))


def test_a_subspace_of_all_dimensions_is_the_rotated_problem():
    v = orthonormal(D, D, of=("V",))
    settings = [BASIC["Adam"](0.05)] * 3
    within = Subspace(NETWORK, ORIGIN, (v,), (0,) * 3)
    rotated = Rotated(NETWORK, ((Block(slice(None), v),),), (0,) * 3)
    ends = within.original(train(within, torch.zeros_like(ORIGIN), settings, 25).point)
    others = rotated.original(train(rotated, rotated.coordinates(ORIGIN), settings, 25).point)
    torch.testing.assert_close(ends, others, atol=1e-10, rtol=0)


def test_what_is_outside_the_subspace_stays():
    p = orthonormal(D, 4, of=("P",))
    problem = Subspace(NETWORK, ORIGIN, (p,), (0,) * 3)
    run = train(problem, torch.zeros(3, 4, dtype=torch.float64), [BASIC["Adam"](0.05)] * 3, 25)
    moved = problem.original(run.point) - ORIGIN
    assert moved.norm() > 0.1
    torch.testing.assert_close(moved, moved @ p @ p.T, atol=1e-12, rtol=0)
