"""The EGOP estimate: against one sample at a time, closed forms, and its invariances."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import plain_loss, plain_network

from hdnotes import seeds
from hdnotes.measures.egop import block_basis, eigenbasis, random_basis, sample_gradients
from hdnotes.measures.spectra import density, stable_rank
from hdnotes.optimizers import BASIC
from hdnotes.problems.classifier import Classifier, draw_points
from hdnotes.problems.convex import (
    Convex,
    decaying_matrix,
    least_squares,
    log_sum_exp,
    orthonormal,
)
from hdnotes.theory.egop import least_squares_egop, rate_factor
from hdnotes.training import train

D = 6


def problem(outer=least_squares, of: object = 0) -> Convex:
    a = decaying_matrix(15, torch.arange(1, D + 1) ** -1.0, of=("a", of))
    return Convex(outer, (a,), (a @ seeds.normal(D, of=("optimum", of)),), (0,))


def outer_product(gradients):
    return gradients.T @ gradients / len(gradients)


@pytest.mark.parametrize("chunk_bytes", [None, 1, 5000])
def test_gradients_equal_autograd_one_sample_at_a_time(chunk_bytes):
    points = seeds.normal(40, D, of=("points",))
    f = problem(log_sum_exp)
    found = sample_gradients(f, points, chunk_bytes=chunk_bytes)
    for point, gradient in zip(points, found, strict=True):
        theta = point.clone().requires_grad_()
        value = plain_loss("log_sum_exp", f.inputs[0], f.targets[0], theta)
        torch.testing.assert_close(gradient, torch.autograd.grad(value, theta)[0])


@pytest.mark.parametrize("chunk_bytes", [None, 1])
def test_minibatch_gradients_of_a_network_equal_autograd(chunk_bytes):
    widths, n = (4, 3, 2), 12
    inputs, labels = seeds.normal(n, 4, of=("inputs",)), torch.arange(n) % 2
    points = draw_points(widths, 9, "normal", of=("points",))
    batches = torch.stack([torch.arange(n).roll(k)[:5] for k in range(9)])
    network = Classifier(widths, inputs, labels, (0,))
    found = sample_gradients(network, points, batches, chunk_bytes=chunk_bytes)
    for point, batch, gradient in zip(points, batches, found, strict=True):
        theta = point.clone().requires_grad_()
        value = plain_network(widths, theta, inputs[batch], labels[batch])
        torch.testing.assert_close(gradient, torch.autograd.grad(value, theta)[0])


@pytest.mark.parametrize("count", [3, D, 50])
def test_the_basis_is_orthonormal_complete_and_diagonalises(count):
    gradients = seeds.normal(count, D, of=("gradients",)) * torch.arange(1.0, D + 1)
    basis = eigenbasis(gradients)
    v = basis.vectors
    torch.testing.assert_close(v.T @ v, torch.eye(D), rtol=0, atol=1e-13)
    torch.testing.assert_close(v.T @ outer_product(gradients) @ v, basis.values.diag())
    assert bool((basis.values.diff() <= 0).all())
    assert int((basis.values > 1e-12).sum()) == min(count, D)


def test_small_eigenvalues_survive_where_the_outer_product_loses_them():
    """The reason for the singular value decomposition of the gradients themselves."""
    singular = 10.0 ** -torch.arange(0, 2 * D, 2)
    gradients = decaying_matrix(40, singular, of=("wide",))
    torch.testing.assert_close(eigenbasis(gradients).values * 40, singular**2, rtol=1e-4, atol=0)
    lost = torch.linalg.eigvalsh(outer_product(gradients)).flip(0) * 40
    assert (lost[-1] / singular[-1] ** 2 - 1).abs() > 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_equivariance_with_shared_draws(seed):
    """Lemma 14 and Corollary 15: EGOP(f o U) = U^T EGOP(f) U, and EGOP(f o V) is diagonal."""
    f = problem(log_sum_exp, seed)
    u = orthonormal(D, D, of=("u", seed))
    points = seeds.normal(30, D, of=("points", seed))
    plain = outer_product(sample_gradients(f, points))
    turned = outer_product(sample_gradients(f.rotated([u]), points @ u))
    torch.testing.assert_close(turned, u.T @ plain @ u, rtol=1e-10, atol=1e-12)
    v = eigenbasis(sample_gradients(f, points)).vectors
    diagonal = outer_product(sample_gradients(f.rotated([v]), points @ v))
    assert (diagonal - diagonal.diag().diag()).abs().max() < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_least_squares_egop_matches_the_estimate_and_its_bounds(seed):
    """Lemma 19, for N(0, I)."""
    f = problem(of=seed)
    a, y = f.inputs[0], f.targets[0]
    exact = least_squares_egop(a, y)
    points = seeds.normal(40_000, D, of=("points", seed))
    estimate = outer_product(sample_gradients(f, points))
    assert (estimate - exact).norm() < 0.05 * exact.norm()
    values = torch.linalg.eigvalsh(exact).flip(0)
    singular = torch.linalg.svdvals(a)
    slack = 1 + 1e-9
    assert bool((singular**4 <= values * slack).all())
    assert bool((values[1:] <= singular[:-1] ** 4 * slack).all())
    assert values[0] <= (singular[0] ** 4 + (a.T @ y).square().sum()) * slack


def test_block_basis_turns_each_block_alone():
    gradients = seeds.normal(30, D, of=("gradients",)) * torch.arange(1.0, D + 1)
    basis = block_basis(gradients, [slice(0, 2), slice(3, 6)])
    torch.testing.assert_close(basis.T @ basis, torch.eye(D), rtol=0, atol=1e-13)
    torch.testing.assert_close(basis[:2, :2], eigenbasis(gradients[:, :2]).vectors)
    assert basis[2].tolist() == [0, 0, 1, 0, 0, 0]
    assert bool((basis[:2, 2:] == 0).all())


def test_block_basis_equals_the_global_one_where_the_egop_is_block_diagonal():
    a = torch.zeros(10, D)
    a[:5, :3] = decaying_matrix(5, torch.tensor([1.0, 0.5, 0.2]), of=("one",))
    a[5:, 3:] = decaying_matrix(5, torch.tensor([0.8, 0.4, 0.1]), of=("two",))
    gram = a.T @ a  # the EGOP for an optimum at 0 is its square: block diagonal
    both = block_basis(gram, [slice(0, 3), slice(3, 6)])
    spectrum = both.T @ (gram @ gram) @ both
    torch.testing.assert_close(spectrum, spectrum.diag().diag(), rtol=0, atol=1e-12)
    whole = eigenbasis(gram)
    found = spectrum.diag().sort(descending=True).values / D
    torch.testing.assert_close(found, whole.values, rtol=1e-10, atol=1e-14)


def test_a_random_basis_is_orthonormal_and_named():
    v = random_basis(5, of=("control", 1))
    torch.testing.assert_close(v.T @ v, torch.eye(5), rtol=0, atol=1e-13)
    assert torch.equal(v, random_basis(5, of=("control", 1)))
    assert not torch.equal(v, random_basis(5, of=("control", 2)))


@pytest.mark.parametrize("method", ["GD", "GD + momentum"])
def test_equivariant_methods_walk_the_same_path_in_both_bases(method):
    start, found, turned = _paths(method)
    torch.testing.assert_close(turned, found, rtol=1e-11, atol=1e-12)
    assert (found - start).norm() > 0.1


@pytest.mark.parametrize("method", ["Adagrad", "Adam"])
def test_adaptive_methods_do_not(method):
    _, found, turned = _paths(method)
    assert (turned - found).norm() > 1e-3


def _paths(method):
    f = problem(log_sum_exp)
    v = orthonormal(D, D, of=("v",))
    start = seeds.normal(1, D, of=("start",))
    setting = [BASIC[method](0.1)]
    found = train(f, start, setting, 50).point
    turned = train(f.rotated([v]), start @ v, setting, 50).point @ v.T
    return start, found, turned


def test_stable_rank_and_density_at_their_limits():
    assert stable_rank(torch.ones(7)).item() == pytest.approx(7)
    assert stable_rank(torch.tensor([3.0, 0, 0])).item() == 1
    assert stable_rank(torch.tensor([1.0, -1e-20])).item() == 1
    flat = torch.full((16, 1), 0.25)
    assert density(flat).item() == pytest.approx(1)
    d = 4000
    random = seeds.normal(d, 1, of=("random",))
    assert density(random / random.norm()).item() == pytest.approx(2 / torch.pi, rel=0.05)
    assert rate_factor(1.0, 1.0, d) == 1 / d
