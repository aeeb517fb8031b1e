"""Matrix completion: gradients by autograd, lockstep equal to plain loops, draws as promised."""

import pytest
import torch
from reference import plain_train

from hdnotes import seeds
from hdnotes.experiments.completion import METHODS, setting
from hdnotes.long_training import train_long
from hdnotes.optimizers import Method
from hdnotes.problems.matrix_completion import (
    MatrixCompletion,
    draw_layers,
    draw_low_rank,
    draw_mask,
)
from hdnotes.problems.spectral_penalties import nuclear, ratio

N, DATA, WEIGHTS = 5, (0, 1, 0), (0.1, 0.3, 0.02)


def make(depth=1, penalty=ratio, exact=False):
    truths = tuple(draw_low_rank(N, 2, of=("t", k)) for k in range(2))
    masks = tuple(draw_mask(N, 12, of=("m", k)) for k in range(2))
    targets = tuple(t * m for t, m in zip(truths, masks, strict=True))
    return MatrixCompletion(truths, targets, masks, DATA, penalty, WEIGHTS, depth, exact)


def plain_loss(problem, trial):
    """Return one trial's loss of a point and step, from the definition."""
    target, mask = (x[DATA[trial]] for x in (problem.targets, problem.masks))

    def loss(theta, step):
        w = torch.eye(N)
        for layer in theta.view(-1, N, N):
            w = layer @ w
        value = ((w - target)[mask] ** 2).mean()
        if problem.penalty is None:
            return value
        sigma = torch.linalg.svdvals(w)
        norm = sigma.sum() if problem.penalty is nuclear else sigma.sum() / (w**2).sum().sqrt()
        return value + WEIGHTS[trial] * norm

    return loss


@pytest.mark.parametrize("penalty", [None, nuclear, ratio])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_loss_and_gradient_equal_autograd_of_the_definition(depth, penalty):
    problem = make(depth, penalty)
    point = seeds.normal(3, problem.parameters, of=("point",))
    loss, gradient = problem.loss_and_gradient(point)
    for t in range(3):
        theta = point[t].clone().requires_grad_()
        value = plain_loss(problem, t)(theta, 0)
        (expected,) = torch.autograd.grad(value, theta)
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[t], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["GD", "Adam", "GroupRMSprop"])
def test_lockstep_equals_the_plain_loop(method):
    problem = make(2)
    start = seeds.normal(3, problem.parameters, of=("start",))
    settings = [setting(method, rate) for rate in (0.01, 0.01, 0.03)]
    run = train_long(problem, start, settings, 12)
    for t in range(3):
        end, _ = plain_train(plain_loss(problem, t), start[t], settings[t], 12)
        torch.testing.assert_close(run.point[t], end, rtol=1e-9, atol=1e-10)


def test_group_rmsprop_divides_by_one_running_norm():
    problem, point = make().take([0]), seeds.normal(1, N * N, of=("start",))
    run = train_long(problem, point, [setting("GroupRMSprop", 0.1)], 3)
    mean = None
    for _ in range(3):
        gradient = problem.loss_and_gradient(point)[1]
        square = gradient.square().sum()
        mean = square if mean is None else 0.99 * mean + 0.01 * square
        point = point - 0.1 * gradient / (mean.sqrt() + 1e-4)
    torch.testing.assert_close(run.point, point)


def test_held_entries_do_not_move_and_the_others_do():
    problem = make(exact=True)
    start = seeds.normal(3, N * N, of=("start",))
    end = train_long(problem, start, [Method("SGD")(0.1)] * 3, 5).point
    moved = (end != start).view(3, N, N)
    assert torch.equal(moved, ~problem.seen)


def test_a_point_that_is_not_finite_has_a_loss_that_is_not():
    problem, point = make(), seeds.normal(3, N * N, of=("start",))
    point[1, 3] = torch.inf
    loss, _ = problem.loss_and_gradient(point)
    assert loss.isfinite().tolist() == [True, False, True]


def test_batches_are_refused():
    with pytest.raises(ValueError, match="batch is not allowed"):
        make().loss_and_gradient(torch.ones(3, N * N), torch.zeros(3, 1))


def test_draws_are_what_they_say():
    w = draw_low_rank(20, 3, of=("w",))
    assert torch.linalg.matrix_rank(w) == 3
    assert torch.linalg.matrix_norm(w).item() == pytest.approx(20)
    few, many = draw_mask(20, 50, of=("m",)), draw_mask(20, 90, of=("m",))
    assert (few.sum(), many.sum()) == (50, 90)
    assert bool((many | ~few).all())  # a smaller mask lies in a larger one
    layers = draw_layers(40, 3, 1e-3, of=("l",))
    assert layers.std().item() == pytest.approx(0.1 / 40**0.5, rel=0.05)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_a_class_that_exists(name):
    run = train_long(make().take([0]), torch.ones(1, N * N), [setting(name, 1e-3)], 2)
    assert run.outcome == ["budget"]
    assert not torch.equal(run.point, torch.ones(1, N * N))
