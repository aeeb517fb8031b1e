"""Rank tells columns of a Kronecker product from others, in any order (Lemma 20)."""

import pytest
import torch

from hdnotes.measures.egop import random_basis
from hdnotes.theory.kronecker_columns import (
    first_columns_distance,
    rank_one_share,
    text_columns,
)

SHAPES = [(2, 2), (3, 4), (4, 3), (20, 10), (8, 64)]


def whole(m: int, n: int) -> torch.Tensor:
    u, z = (random_basis(k, of=("columns", k, side)) for side, k in enumerate((m, n)))
    return torch.kron(u.contiguous(), z.contiguous())


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_of_a_product_have_no_distance_and_rank_one(shape) -> None:
    columns = whole(*shape)
    assert first_columns_distance(columns[:, :2], shape) < 1e-12
    order = torch.randperm(len(columns), generator=torch.Generator().manual_seed(0))
    shares = rank_one_share(-columns[:, order], shape)
    torch.testing.assert_close(shares, torch.ones_like(shares))


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_of_any_rotation_have_neither(shape) -> None:
    columns = random_basis(shape[0] * shape[1], of=("columns", *shape))
    assert rank_one_share(columns, shape).min() < 0.9
    assert first_columns_distance(columns[:, :2], shape) > 0.5


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] % 2 == 0])
def test_the_texts_columns_are_a_whole_length_away(shape) -> None:
    columns = text_columns(*shape)
    torch.testing.assert_close(columns.T @ columns, torch.eye(2).double())
    assert first_columns_distance(columns, shape).item() == pytest.approx(1)
    assert rank_one_share(columns, shape).tolist() == pytest.approx([1, 1])


def test_the_bound_is_below_the_distance_to_every_product() -> None:
    columns = text_columns(3, 4)
    bound = first_columns_distance(columns, (3, 4))
    for seed in range(20):
        u, z = (random_basis(k, of=("columns", seed, k)).contiguous() for k in (3, 4))
        assert (torch.kron(u, z)[:, :2] - columns).norm() > bound


def test_an_odd_number_of_entries_has_no_halves() -> None:
    with pytest.raises(ValueError, match=r"rows \* columns = 15"):
        text_columns(3, 5)


def test_one_output_makes_every_rotation_a_product() -> None:
    assert first_columns_distance(random_basis(6, of=("columns", 6)), (1, 6)) < 1e-12
