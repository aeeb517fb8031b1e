"""Lockstep equals nn.Linear, clip_grad_norm_ and torch.optim; the draws are what they should be."""

import pytest
import torch

from hdnotes.batches import InOrder
from hdnotes.experiments.matrix_recovery import METHODS, setting
from hdnotes.optimizers import find
from hdnotes.problems.clipped import Clipped
from hdnotes.problems.matrix_recovery import (
    MatrixRecovery,
    draw_inputs,
    draw_matrix,
    draw_start,
    target_scale,
    with_ones,
)
from hdnotes.training import train

M, N, BATCH, TEST, STEPS = 6, 5, 4, 3, 25


def make(streams: int, data_of: tuple[int, ...], bias: bool = True, test: int = TEST):
    inputs, targets = [], []
    for k in range(streams):
        x = draw_inputs((STEPS + 1) * (BATCH + test), M, torch.float64, of=("test", "x", k))
        y = x @ draw_matrix(M, N, of=("test", "Phi", k))
        inputs.append((with_ones(x) if bias else x).unflatten(0, (STEPS + 1, -1)))
        targets.append(y.unflatten(0, (STEPS + 1, -1)).mT.contiguous())
    return MatrixRecovery(tuple(inputs), tuple(targets), data_of, BATCH)


def starts(trials: int, bias: bool = True) -> torch.Tensor:
    return torch.stack([draw_start(M, N, bias, of=("test", "start", t)) for t in range(trials)])


def in_order(trials: int) -> InOrder:
    return InOrder(samples=STEPS * BATCH, size=BATCH, streams=(0,) * trials)


def plain(problem: MatrixRecovery, data: int, start, setting, clip: float | None):
    """Train one torch.nn.Linear as anyone would; return its point and its test losses."""
    x, y = problem.inputs[data], problem.targets[data]
    bias = x.shape[-1] == M + 1
    layer = torch.nn.Linear(M, N, bias=bias, dtype=torch.float64)
    first = start.view(N, -1)
    with torch.no_grad():
        layer.weight.copy_(first[:, :M])
        if bias:
            layer.bias.copy_(first[:, M])
    optimizer = find(setting.method.optimizer)(
        layer.parameters(), lr=setting.learning_rate, **setting.method.settings
    )
    losses = []
    for step in range(STEPS + 1):
        inputs, targets = x[step, :, :M], y[step].T
        losses.append(((layer(inputs[BATCH:]) - targets[BATCH:]) ** 2).sum().item())
        if step == STEPS:
            break
        optimizer.zero_grad()
        ((layer(inputs[:BATCH]) - targets[:BATCH]) ** 2).sum().backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(layer.parameters(), clip)
        optimizer.step()
    parts = [layer.weight.detach()] + ([layer.bias.detach().unsqueeze(1)] if bias else [])
    return torch.cat(parts, 1).flatten(), torch.tensor(losses)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("clip", "bias"), [(1.0, True), (None, True), (1.0, False)])
def test_lockstep_equals_the_plain_loop(name, clip, bias):
    data_of = (0, 1, 0)
    problem, chosen = make(2, data_of, bias), setting(name, weight_decay=0.01)
    trained = problem if clip is None else Clipped(problem, clip)
    run = train(
        trained,
        starts(3, bias),
        [chosen] * 3,
        STEPS,
        batches=in_order(3),
        record=torch.arange(STEPS + 1),
    )
    for trial, data in enumerate(data_of):
        point, losses = plain(problem, data, starts(3, bias)[trial], chosen, clip)
        torch.testing.assert_close(run.point[trial], point, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(run.loss[trial], losses, rtol=1e-10, atol=1e-10)


def test_all_methods_side_by_side_equal_each_alone():
    settings = [setting(name, weight_decay=0.01) for name in METHODS for _ in range(2)]
    count = len(settings)
    problem = Clipped(make(2, (0, 1) * (count // 2)), 1.0)
    run = train(problem, starts(count), settings, STEPS, batches=in_order(count))
    for trial in range(count):
        alone = train(
            problem.take([trial]),
            starts(count)[trial : trial + 1],
            [settings[trial]],
            STEPS,
            batches=in_order(1),
        )
        torch.testing.assert_close(run.point[trial], alone.point[0], rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_the_loss():
    problem = make(2, (0, 1, 1), test=0)
    point = starts(3).requires_grad_()
    for batch in (None, in_order(3).at(2)):
        loss, gradient = problem.loss_and_gradient(point, batch)
        (expected,) = torch.autograd.grad(loss.sum(), point)
        torch.testing.assert_close(gradient, expected)


def test_a_gradient_is_clipped_jointly_and_only_if_it_is_long():
    problem = make(1, (0, 0))
    point = torch.stack([starts(1)[0], 1e3 * starts(1)[0]])
    _, free = problem.loss_and_gradient(point)
    norm = 2 * float(free[0].norm())
    _, clipped = Clipped(problem, norm).loss_and_gradient(point)
    torch.testing.assert_close(clipped[0], free[0])
    torch.testing.assert_close(clipped[1].norm(), torch.tensor(norm), rtol=1e-6, atol=0)
    torch.testing.assert_close(clipped[1] / norm, free[1] / free[1].norm(), rtol=1e-6, atol=1e-9)


def test_inputs_have_unit_norm_and_second_moment_identity_over_m():
    m, count = 7, 200_000
    x = draw_inputs(count, m, torch.float64, of=("test", "moment"))
    torch.testing.assert_close(x.norm(dim=1), torch.ones(count))
    error = x.T @ x / count - torch.eye(m) / m
    assert float(error.abs().max()) < 6 * (1 / m) / count**0.5


@pytest.mark.parametrize(("m", "n"), [(6, 6), (4, 9), (9, 4)])
def test_the_matrix_is_cropped_from_an_orthogonal_one(m, n):
    phi = draw_matrix(m, n, of=("test", "crop"))
    assert phi.shape == (m, n)
    gram = phi @ phi.T if m <= n else phi.T @ phi
    torch.testing.assert_close(gram, torch.eye(min(m, n)))


@pytest.mark.parametrize(("m", "n"), [(64, 64), (16, 64), (64, 16), (64, 4)])
def test_scaled_targets_have_unit_length_on_average(m, n):
    scale = target_scale(m, n, of=("test", "scale"))
    assert scale == pytest.approx(max(1, m / n) ** 0.5, rel=0.1)
    norms = [
        (scale * draw_inputs(32, m, torch.float64, of=("x", k)) @ draw_matrix(m, n, of=("P", k)))
        .norm(dim=1)
        .mean()
        for k in range(16)
    ]
    assert float(sum(norms) / 16) == pytest.approx(1, abs=0.08)


def test_the_start_is_that_of_a_linear_layer():
    point = draw_start(100, 50, True, of=("test", "start")).view(50, 101)
    assert float(point.abs().max()) <= 0.1
    torch.testing.assert_close(point.var(), torch.tensor(0.1**2 / 3), rtol=0.05, atol=0)
