"""An implicit basis is the matrix it stands for, and training in it is training in that matrix."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.optimizers import BASIC
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.implicit_bases import Sides, block, completed, hartley
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.training import train

WIDTHS = (5, 4, 3)
D = 39


def eye(d: int) -> torch.Tensor:
    return torch.eye(d, dtype=torch.float64)


def reflected(vectors: torch.Tensor) -> torch.Tensor:
    """Return Householder's Q (d, d) by the textbook: a reflection a column, one after the other."""
    d, k = vectors.shape
    q, rest = eye(d), vectors.clone()
    for j in range(k):
        x = rest[:, j].clone()
        x[:j] = 0
        x[j] += torch.copysign(x.norm(), x[j])
        h = eye(d) - 2 * torch.outer(x, x) / (x @ x)
        q, rest = q @ h, h @ rest
    return q


@pytest.mark.parametrize("k", [1, 3, 8])
def test_reflections_one_after_the_other_give_the_compact_form(k):
    vectors = orthonormal(12, k, of=("V", k))
    torch.testing.assert_close(eye(12) @ completed(vectors), reflected(vectors), atol=1e-12, rtol=0)


@pytest.mark.parametrize("mixed", [None, ("signs",)])
@pytest.mark.parametrize("k", [0, 1, 5, 11, 12])
def test_a_completed_basis_is_orthonormal_and_begins_with_its_vectors(k, mixed):
    vectors = orthonormal(12, k, of=("V", k))
    basis = completed(vectors, mixed)
    matrix = eye(12) @ basis
    torch.testing.assert_close(matrix.T @ matrix, eye(12), atol=1e-12, rtol=0)
    torch.testing.assert_close(matrix.T, eye(12) @ basis.T, atol=1e-12, rtol=0)
    overlap = vectors.T @ matrix
    torch.testing.assert_close(overlap[:, :k].abs(), eye(k), atol=1e-12, rtol=0)
    assert overlap[:, k:].abs().sum() < 1e-10


def test_vectors_along_the_axes_leave_the_axes_and_mixing_spreads_the_rest():
    axes = eye(64)[:, :4]
    plain, mixed = (eye(64) @ completed(axes, name) for name in (None, ("signs",)))
    torch.testing.assert_close(plain.abs(), eye(64), atol=1e-12, rtol=0)
    torch.testing.assert_close(mixed[:, :4].abs(), eye(64)[:, :4], atol=1e-12, rtol=0)
    largest = mixed[:, 4:].abs().amax(0)
    assert largest.max() < 0.2  # an axis would have 1; entries of cos + sin over sqrt(60)


def test_what_is_kept_grows_with_k_and_not_with_the_square_of_d():
    basis = completed(orthonormal(1000, 4, of=("V",)), ("signs",))
    assert basis.nbytes == 8 * (1000 * 4 + 4 * 4 + 996)
    assert basis.to(torch.float32).nbytes == basis.nbytes / 2


def test_the_hartley_transform_is_its_sum_and_undoes_itself():
    x = seeds.normal(3, 7, of=("x",))
    angle = 2 * torch.pi * torch.outer(torch.arange(7.0), torch.arange(7.0)).double() / 7
    matrix = (angle.cos() + angle.sin()) / 7**0.5
    torch.testing.assert_close(hartley(x), x @ matrix, atol=1e-12, rtol=0)
    torch.testing.assert_close(hartley(hartley(x)), x, atol=1e-12, rtol=0)


@pytest.mark.parametrize("both", [True, False])
def test_two_sides_are_their_kronecker_product(both):
    left = orthonormal(4, 4, of=("U",)) if both else None
    right = orthonormal(5, 5, of=("Z",))
    dense = torch.kron(eye(4) if left is None else left.contiguous(), right.contiguous())
    x = seeds.normal(3, 20, of=("x",))
    torch.testing.assert_close(x @ Sides(left, right), x @ dense)
    torch.testing.assert_close(x @ Sides(left, right).T, x @ dense.T)
    assert Sides(left, right).nbytes == 8 * (16 * both + 25)


@pytest.fixture
def problem() -> Classifier:
    return Classifier(WIDTHS, seeds.normal(12, 5, of=("x",)), torch.arange(12) % 3, (0,) * 4)


def paths(problem, blocks, name="Adam"):
    """Return where training in these bases ends, in original coordinates."""
    rotated = Rotated(problem, tuple(blocks), tuple(range(len(blocks))))
    theta = draw_points(WIDTHS, 1, "xavier", of=("start",)).repeat(len(blocks), 1)
    run = train(rotated, rotated.coordinates(theta), [BASIC[name](0.05)] * len(blocks), 30)
    return rotated.original(run.point)


def test_training_in_an_implicit_basis_is_training_in_its_matrix(problem):
    implicit = [
        completed(orthonormal(D, 6, of=("V",))),
        completed(orthonormal(D, 6, of=("V",)), ("signs",)),
    ]
    matrices = [(Block(slice(None), eye(D) @ basis),) for basis in implicit]
    bases = [*((block(slice(None), basis),) for basis in implicit), *matrices]
    ends = paths(problem, bases)
    torch.testing.assert_close(ends[:2], ends[2:], atol=1e-10, rtol=0)
    assert (ends[0] - ends[1]).abs().max() > 1e-3


def test_the_complement_is_seen_by_adam_and_not_by_gradient_descent(problem):
    vectors = orthonormal(D, 6, of=("V",))
    bases = [(block(slice(None), completed(vectors, name)),) for name in (None, ("signs",))]
    bases = [(), *bases, (block(slice(None), completed(vectors[:, :0], ("signs",))),)]
    ends = paths(problem, bases, "GD")
    torch.testing.assert_close(ends, ends[:1].expand(4, -1), atol=1e-10, rtol=0)


def test_folding_is_training_on_rotated_inputs(problem):
    right = orthonormal(5, 5, of=("Z",))
    at = slice(0, 20)
    end = paths(problem, [(block(at, Sides(None, right)),)] * 4)[0]
    folded = Classifier(WIDTHS, problem.inputs @ right, problem.labels, (0,))
    theta = draw_points(WIDTHS, 1, "xavier", of=("start",))
    theta[:, at] = theta[:, at] @ Sides(None, right)
    run = train(folded, theta, [BASIC["Adam"](0.05)], 30)
    turned = run.point.clone()
    turned[:, at] = turned[:, at] @ Sides(None, right).T
    torch.testing.assert_close(turned[0], end, atol=1e-10, rtol=0)
