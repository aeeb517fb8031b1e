"""Gradients against autograd, errors against their definitions, invariances."""

import math

import pytest
import torch
from reference import plain_phase_loss
from scipy.special import ndtr

from hdnotes import seeds
from hdnotes.problems import phase_retrieval
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.phase_retrieval import CHANNELS, PhaseRetrieval, draw_data, draw_inputs
from hdnotes.theory import state_evolution

P, N = 12, 30


def make(channel: str, data_of=(0, 1, 1, 0), hidden=1, tests=0) -> PhaseRetrieval:
    drawn = [
        draw_data(channel, N, P, of=("test", k), dtype=torch.float64)
        for k in range(max(data_of) + 1)
    ]
    x, y, w = (tuple(parts) for parts in zip(*drawn, strict=True))
    fresh = tuple(
        draw_inputs(tests, P, of=("test", "fresh", k), dtype=torch.float64) for k in range(len(x))
    )
    return PhaseRetrieval(channel, x, y, w, data_of, hidden, fresh if tests else ())


def points(trials: int, hidden: int = 1) -> torch.Tensor:
    return seeds.normal(trials, hidden * P, of=("test", "points"))


def batch_of(kind: str, trials: int):
    order = torch.rand(trials, N, generator=seeds.generator("test", kind)).argsort(1)[:, : N // 2]
    mask = torch.zeros(trials, N).scatter(1, order, 1.0)
    return {"full": None, "index": order, "mask": mask}[
        kind
    ], mask if kind != "full" else 1 + 0 * mask


@pytest.mark.parametrize("kind", ["full", "index", "mask"])
@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("channel", CHANNELS)
def test_gradients_equal_autograd(channel, hidden, kind):
    problem, w = make(channel, hidden=hidden), points(4, hidden)
    batch, mask = batch_of(kind, 4)
    loss, gradient = problem.loss_and_gradient(w, batch)
    for t, data in enumerate(problem.data_of):
        leaf = w[t].clone().requires_grad_()
        each = plain_phase_loss(channel, hidden, problem.inputs[data], problem.targets[data], leaf)
        value = (mask[t] * each).sum()
        value.backward()
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradient[t], leaf.grad, rtol=1e-10, atol=1e-10)


def test_gradient_of_one_sample_is_the_documents():
    problem, w = make("quadratic", (0,), 2), points(1, 2)
    batch = torch.tensor([[7]])
    _, gradient = problem.loss_and_gradient(w, batch)
    x, h = problem.inputs[0][7], w.view(2, P) @ problem.inputs[0][7]
    expected = (2 / 2) * (h.square().mean() - problem.targets[0][7]) * h[:, None] * x
    torch.testing.assert_close(gradient.view(2, P), expected)


def on_sphere(problem: PhaseRetrieval, overlap: float) -> torch.Tensor:
    """Return a point of norm sqrt(p) with the given overlap with the first teacher."""
    teacher = problem.teachers[0]
    other = seeds.normal(P, of=("test", "other"))
    other -= other @ teacher / P * teacher
    other *= P**0.5 / other.norm()
    return (overlap * teacher + (1 - overlap**2) ** 0.5 * other).unsqueeze(0)


@pytest.mark.parametrize("m", [0.0, 0.3, 0.9, 0.99875])
def test_errors_of_one_unit_are_the_documents_functions_of_the_overlap(m):
    quadratic, absolute = make("quadratic", (0,)), make("absolute", (0,))
    point = on_sphere(quadratic, m)
    assert quadratic.overlap(point).item() == pytest.approx(m, abs=1e-6)
    assert quadratic.test_error(point).item() == pytest.approx(2 * (1 - m**2), abs=1e-6)
    expected = 1 - 2 / math.pi * (math.sqrt(1 - m**2) + m * math.asin(m))
    assert absolute.test_error(point).item() == pytest.approx(expected, abs=1e-6)


def test_landmarks_of_the_error():
    quadratic, absolute = make("quadratic", (0,)), make("absolute", (0,))
    assert quadratic.test_error(on_sphere(quadratic, 0.99875)).item() == pytest.approx(
        5e-3, rel=1e-2
    )
    assert absolute.test_error(on_sphere(absolute, 0)).item() == pytest.approx(0.3634, abs=1e-4)
    assert phase_retrieval.door_error(torch.tensor([0.0, 1.0])).tolist() == pytest.approx(
        [0.5, 0], abs=1e-9
    )


@pytest.mark.parametrize("hidden", [1, 2, 5])
def test_the_error_of_orthogonal_units_at_chance_is_one_plus_one_over_d(hidden):
    problem = make("quadratic", (0,), hidden)
    teacher = problem.teachers[0] / P**0.5
    basis = orthonormal(P, hidden + 1, of=("test", "basis"))
    basis[:, 0] = teacher
    q, _ = torch.linalg.qr(basis)
    point = P**0.5 * q[:, 1:].T.reshape(1, -1)
    assert problem.test_error(point).item() == pytest.approx(1 + 1 / hidden, abs=1e-5)


@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("channel", CHANNELS)
def test_exact_errors_equal_the_mean_over_fresh_samples(channel, hidden):
    points_, count = points(3, hidden), 200_000
    problem = make(channel, (0, 0, 1), hidden, tests=count)
    phase_retrieval.project(points_, P)
    channel_ = CHANNELS[channel]
    for t, data in enumerate(problem.data_of):
        x = draw_inputs(count, P, of=("test", "other fresh", t), dtype=torch.float64)
        a = channel_.exact(x @ points_[t].view(hidden, P).T).mean(1)
        y = channel_.label(x @ problem.teachers[data])
        wrong = ((a - 0.67449).sign() != y).double()
        values = wrong if channel.startswith("door") else (a - y).square() / 2
        expected, deviation = values.mean().item(), values.std().item() / count**0.5
        assert problem.test_error(points_)[t].item() == pytest.approx(expected, abs=7 * deviation)


def test_training_error_is_the_mean_loss():
    for channel in ("quadratic", "absolute"):
        problem = make(channel)
        loss, _ = problem.loss_and_gradient(points(4))
        torch.testing.assert_close(problem.training_error(points(4)), loss / N)
    door = make("door, logistic", (0,))
    assert door.training_error(door.teachers[0].unsqueeze(0)).item() == 0


@pytest.mark.parametrize("channel", ["quadratic", "absolute"])
def test_rotations_and_the_sign_change_nothing(channel):
    problem, w = make(channel), points(4)
    turn = orthonormal(P, P, of=("test", "turn"))
    turned = PhaseRetrieval(
        channel,
        tuple(x @ turn for x in problem.inputs),
        problem.targets,
        tuple(v @ turn for v in problem.teachers),
        problem.data_of,
    )
    loss, gradient = problem.loss_and_gradient(w)
    for other, sign in ((turned, 1), (turned, -1)):
        again, slope = other.loss_and_gradient(sign * w @ turn)
        torch.testing.assert_close(again, loss)
        torch.testing.assert_close(sign * slope @ turn.T, gradient)
        torch.testing.assert_close(other.test_error(sign * w @ turn), problem.test_error(w))


def test_a_teacher_as_drawn_leaves_an_error():
    x, y, w = draw_data("quadratic", N, P, of=("test", 0), normalised=False, dtype=torch.float64)
    best = w * P**0.5 / w.norm()
    delta = (w @ w / P - 1).item()
    problem = PhaseRetrieval("quadratic", (x,), (y,), (w,), (0,))
    assert problem.test_error(best.unsqueeze(0)).item() == pytest.approx(1.5 * delta**2)


def test_draws_are_named_and_of_the_right_size():
    x, y, w = draw_data("quadratic", 2000, 64, of=("test", "size"))
    again, *_ = draw_data("quadratic", 2000, 64, of=("test", "size"))
    assert torch.equal(x, again)
    assert x.dtype == y.dtype == w.dtype == torch.float32
    assert w.norm().item() == pytest.approx(8)
    assert x.square().mean().item() * 64 == pytest.approx(1, abs=0.02)
    _, labels, teacher = draw_data("door, square", 2000, 64, of=("test", "size"))
    assert set(teacher.tolist()) == {-1.0, 1.0}
    assert labels.mean().item() == pytest.approx(0, abs=0.1)


def test_the_sphere_keeps_directions():
    w = points(3, 2)
    before = w.clone()
    phase_retrieval.project(w, P)
    assert w.view(3, 2, P).norm(dim=2).flatten().tolist() == pytest.approx([P**0.5] * 6)
    cosine = torch.cosine_similarity(w.view(-1, P), before.view(-1, P))
    assert cosine.tolist() == pytest.approx([1] * 6)


def test_students_and_theory_have_the_same_door_and_it_halves_the_labels():
    assert phase_retrieval.DOOR == state_evolution.DOOR
    assert 2 * ndtr(-state_evolution.DOOR) == pytest.approx(0.5, abs=1e-5)
