"""Angles and effective ranks: closed forms and invariances."""

import math

import pytest
import torch

from hdnotes.measures.effective_rank import effective_rank
from hdnotes.measures.subspaces import largest_angle, leading
from hdnotes.problems.convex import orthonormal


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1.0, 30.0, 60.0, 90.0])
def test_a_plane_turned_by_an_angle_has_it(angle):
    a, x = torch.eye(5)[:, :2], math.radians(angle)
    b = torch.stack(
        [torch.eye(5)[0], math.cos(x) * torch.eye(5)[1] + math.sin(x) * torch.eye(5)[3]], 1
    )
    assert largest_angle(a, b).item() == pytest.approx(angle, rel=1e-6, abs=1e-14)


def test_the_angle_is_one_of_spans_and_does_not_know_coordinates():
    a, b = orthonormal(6, 2, of=("a",)), orthonormal(6, 2, of=("b",))
    turn, inside = orthonormal(6, 6, of=("q",)), orthonormal(2, 2, of=("r",))
    expected = largest_angle(a, b)
    torch.testing.assert_close(largest_angle(turn @ a @ inside, turn @ b), expected)
    torch.testing.assert_close(largest_angle(b, a), expected)


def test_the_leading_vectors_are_those_of_the_largest_values():
    u, v = orthonormal(5, 5, of=("u",)), orthonormal(5, 5, of=("v",))
    w = u @ torch.diag(torch.tensor([1.0, 5.0, 2.0, 0.1, 0.2])) @ v.T
    left, right = leading(w, 2)
    assert largest_angle(left, u[:, [1, 2]]) < 1e-6
    assert largest_angle(right, v[:, [1, 2]]) < 1e-6


def test_the_effective_rank_counts_equal_values_and_knows_no_scale():
    values = torch.tensor([[2.0, 2.0, 2.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(effective_rank(values), torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(effective_rank(7 * values), effective_rank(values))
