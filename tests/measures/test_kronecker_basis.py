"""The basis of rows and columns, and how far a basis is from the best."""

import pytest
import torch

from hdnotes.measures.egop import eigenbasis, random_basis
from hdnotes.measures.kronecker_basis import (
    kronecker_basis,
    least_root_mean_squares,
    product,
    root_mean_squares,
)
from hdnotes.seeds import normal
from hdnotes.theory.kronecker_columns import rank_one_share

M, N = 3, 4
SCALES = torch.tensor([3.0, 1.0, 0.3]).double()[:, None] * torch.tensor([5.0, 2, 1, 0.5])
U, Z = random_basis(M, of=("kron", "U")), random_basis(N, of=("kron", "Z"))
#: Gradients whose EGOP is a Kronecker product in the limit.
FACTORED = (U @ (SCALES * normal(4000, M, N, of=("kron", "G"))) @ Z.T).flatten(1)
PLAIN = normal(50, M * N, of=("kron", "plain")) @ normal(M * N, M * N, of=("kron", "mix"))


def test_it_diagonalises_what_rows_and_columns_give() -> None:
    basis = kronecker_basis(PLAIN, (M, N))
    torch.testing.assert_close(basis.T @ basis, torch.eye(M * N).double())
    turned = (PLAIN @ basis).view(-1, M, N)
    for one in (turned, turned.mT):
        mean = (one @ one.mT).mean(0)
        diagonal = mean.diagonal()
        torch.testing.assert_close(mean, diagonal.diag(), atol=1e-10 * diagonal[0].item(), rtol=0)
        assert (diagonal.diff() <= 0).all()


def test_a_factored_egop_has_the_kronecker_basis() -> None:
    basis = kronecker_basis(FACTORED, (M, N))
    best = least_root_mean_squares(FACTORED)
    assert root_mean_squares(FACTORED @ basis) < 1.01 * best
    assert root_mean_squares(FACTORED @ product(U, Z)) < 1.01 * best
    assert root_mean_squares(FACTORED) > 1.3 * best


def test_a_rotation_of_rows_and_columns_turns_the_basis_along() -> None:
    turned = PLAIN @ product(U, Z).T
    found = product(U, Z).T @ kronecker_basis(turned, (M, N))
    overlap = (kronecker_basis(PLAIN, (M, N)).T @ found).abs()
    torch.testing.assert_close(overlap, torch.eye(M * N).double(), atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_no_basis_has_a_smaller_sum_than_the_egops_own(seed: int) -> None:
    best = least_root_mean_squares(PLAIN)
    own = eigenbasis(PLAIN).vectors
    torch.testing.assert_close(root_mean_squares(PLAIN @ own), best)
    other = own @ torch.matrix_exp(
        0.01 * (x := normal(M * N, M * N, of=("kron", seed))) - 0.01 * x.T
    )
    assert root_mean_squares(PLAIN @ other) > best
    assert root_mean_squares(PLAIN @ random_basis(M * N, of=("kron", "V", seed))) > best


def test_a_product_takes_any_strides_and_has_columns_of_rank_one() -> None:
    whole = product(U.T, Z.flip(1).T)
    torch.testing.assert_close(rank_one_share(whole, (M, N)), torch.ones(M * N).double())
    w = normal(M, N, of=("kron", "W"))
    torch.testing.assert_close(product(U, Z) @ w.flatten(), (U @ w @ Z.T).flatten())
