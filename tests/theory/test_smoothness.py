"""The smallest coordinate-wise smoothness: closed forms, a solver, and what it certifies."""

import cvxpy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdnotes import seeds
from hdnotes.theory.smoothness import coordinate_smoothness


def hessian(d, of):
    root = seeds.normal(d, d, of=("H", of)) * torch.arange(1, d + 1) ** -1.0
    return root @ root.T


def test_a_diagonal_hessian_is_its_own_smoothness():
    values = torch.tensor([3.0, 1.0, 0.5])
    found = coordinate_smoothness(values.diag())
    torch.testing.assert_close(found.constants, values)


def test_a_hessian_of_rank_one_has_a_closed_form():
    v = seeds.normal(7, of=("v",))
    found = coordinate_smoothness(v.outer(v), tolerance=1e-10)
    torch.testing.assert_close(found.constants, v.abs() * v.abs().sum(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("of", range(3))
def test_it_agrees_with_a_general_solver(of):
    h = hessian(5, of)
    constants = cvxpy.Variable(5)
    problem = cvxpy.Problem(
        cvxpy.Minimize(cvxpy.sum(constants)), [cvxpy.diag(constants) - h.numpy() >> 0]
    )
    problem.solve(solver=cvxpy.SCS, eps=1e-8)
    found = coordinate_smoothness(h, tolerance=1e-6)
    assert float(found.total) == pytest.approx(problem.value, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_certified_is_true(of):
    h = hessian(6, of)
    found = coordinate_smoothness(h)
    assert torch.linalg.eigvalsh(found.constants.diag() - h)[0] > -1e-10
    assert h.trace() <= found.lower <= found.total <= h.abs().sum() + 1e-9
    assert found.total <= 1.001 * found.lower
    signs = torch.from_numpy(np.sign(seeds.normal(20, 6, of=("signs", of)).numpy()))
    assert ((signs @ h * signs).sum(1) <= found.total + 1e-9).all()


def test_a_stack_is_solved_one_by_one():
    stack = torch.stack([hessian(4, of) for of in range(3)])
    alone = [coordinate_smoothness(h, tolerance=1e-9).total for h in stack]
    together = coordinate_smoothness(stack, tolerance=1e-9).total
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-8, atol=0)
