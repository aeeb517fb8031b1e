"""Closed forms of document 4: the EGOP of a quadratic, Theorem 5's guides, Kronecker products."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdnotes import seeds
from hdnotes.measures.egop import eigenbasis
from hdnotes.problems.convex import orthonormal
from hdnotes.theory.adagrad_bound import adagrad_bound
from hdnotes.theory.egop import least_squares_egop, quadratic_root, smoothness_guides
from hdnotes.theory.kronecker import basis_distance, kronecker_distance
from hdnotes.theory.smoothness import coordinate_smoothness

D = 5


def quadratic(of):
    q = orthonormal(D, D, of=("Q", of))
    return (q * torch.arange(1, D + 1) ** -2.0) @ q.T, seeds.normal(D, of=("optimum", of))


def test_the_root_squares_to_the_egop_of_draws_and_of_least_squares():
    h, optimum = quadratic(0)
    root = quadratic_root(h, optimum, 2.0)
    gradients = (2 * seeds.normal(200_000, D, of=("rho",)) - optimum) @ h
    estimate = gradients.T @ gradients / len(gradients)
    assert (root.T @ root - estimate).norm() < 0.01 * estimate.norm()
    a = seeds.normal(9, D, of=("A",))
    exact = quadratic_root(a.T @ a, optimum, 1.0)
    torch.testing.assert_close(exact.T @ exact, least_squares_egop(a, a @ optimum))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 3))
def test_the_guides_bound_the_smoothness_with_root_two_to_spare(of, reach):
    h, optimum = quadratic(of)
    scale = reach * float(optimum.norm())
    root = quadratic_root(h, optimum, scale)
    basis = eigenbasis(root * (D + 1) ** 0.5)
    least, most = smoothness_guides(basis.values, basis.vectors, scale)
    v = basis.vectors
    assert coordinate_smoothness(h).lower * (1 + 1e-3) >= math.sqrt(2) * least
    assert coordinate_smoothness(v.T @ h @ v).lower <= most * (1 + 1e-9)


def plain_adagrad(h, start, rate, steps):
    """Return gradients of Adagrad on 1/2 x^T H x, coordinate by coordinate."""
    x, squares, gradients = start.tolist(), [0.0] * D, []
    for _ in range(steps):
        g = [sum(float(h[i, j]) * x[j] for j in range(D)) for i in range(D)]
        gradients.append(g)
        for i in range(D):
            squares[i] += g[i] ** 2
            x[i] -= rate * g[i] / math.sqrt(squares[i])
    return torch.tensor(gradients)


@pytest.mark.parametrize("rate", [0.01, 0.3, 10.0])
def test_the_bound_stands_on_plain_adagrad(rate):
    h, start = quadratic(1)
    gradients = plain_adagrad(h, start, rate, 60)
    squares = gradients.square().cumsum(0).sqrt()
    constants = coordinate_smoothness(h).constants
    gap, eta = start @ h @ start / 2, torch.tensor(rate)
    mean = gradients.abs().sum(1).cumsum(0) / torch.arange(1, 61)
    for steps in (1, 5, 60):
        bound = adagrad_bound(gap, eta, constants, squares[0], squares[steps - 1], steps)
        assert mean[steps - 1] <= bound


def test_the_bound_is_met_by_one_gradient_of_a_quadratic_of_rank_one():
    v, x = seeds.normal(D, of=("v",)), seeds.normal(D, of=("x",))
    gradient, gap = (v @ x) * v, (v @ x).square() / 2
    constants = v.abs() * v.abs().sum()
    rate = (2 * gap / constants.sum()).sqrt()
    bound = adagrad_bound(gap, rate, constants, gradient.abs(), gradient.abs(), 1)
    torch.testing.assert_close(bound, gradient.abs().sum())


def test_rotations_of_two_sides_are_a_kronecker_product_of_the_entries():
    u, z = orthonormal(2, 2, of=("u",)), orthonormal(3, 3, of=("z",))
    w, both = seeds.normal(2, 3, of=("w",)), torch.kron(u, z)
    torch.testing.assert_close((u @ w @ z.T).flatten(), both @ w.flatten())
    assert kronecker_distance(both, 2, 3) < 1e-7
    assert kronecker_distance(both, 3, 2) > 0.1
    swapped = both[:, [1, 0, 2, 3, 4, 5]]
    assert kronecker_distance(swapped, 2, 3) > 0.1


def test_the_distance_is_to_the_nearest_product():
    other = torch.kron(seeds.normal(2, 2, of=("a",)), seeds.normal(2, 2, of=("b",)))
    matrix = orthonormal(4, 4, of=("m",))
    assert kronecker_distance(matrix, 2, 2) * matrix.norm() <= (matrix - other).norm()
    noise = 1e-3 * seeds.normal(4, 4, of=("n",))
    assert kronecker_distance(other + noise, 2, 2) < 1e-2


def test_order_and_sign_make_no_other_basis():
    product = torch.kron(orthonormal(2, 2, of=("u",)), orthonormal(2, 2, of=("z",)))
    moved = product[:, [2, 0, 3, 1]] * torch.tensor([1.0, -1, -1, 1])
    assert kronecker_distance(moved, 2, 2) > 0.1
    assert basis_distance(moved, 2, 2) < 1e-7
