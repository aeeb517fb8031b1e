"""How far bases are from the best: that of rows and columns, the EGOP's own, random ones."""

import pytest
import torch

from hdnotes.measures.alignment import least_root_mean_squares, root_mean_squares
from hdnotes.measures.egop import eigenbasis, random_basis
from hdnotes.measures.sides import side_bases, side_moments
from hdnotes.problems.implicit_bases import Sides
from hdnotes.seeds import normal

M, N = 3, 4
SCALES = torch.tensor([3.0, 1.0, 0.3]).double()[:, None] * torch.tensor([5.0, 2, 1, 0.5])
U, Z = random_basis(M, of=("kron", "U")), random_basis(N, of=("kron", "Z"))
#: Gradients whose EGOP is a Kronecker product in the limit.
FACTORED = (U @ (SCALES * normal(4000, M, N, of=("kron", "G"))) @ Z.T).flatten(1)
PLAIN = normal(50, M * N, of=("kron", "plain")) @ normal(M * N, M * N, of=("kron", "mix"))


def kronecker_basis(gradients: torch.Tensor) -> torch.Tensor:
    """The product of the two sides' bases, as a matrix."""
    basis = Sides(*side_bases(side_moments(gradients, M)))
    return torch.eye(M * N).double() @ basis


def test_it_diagonalises_what_rows_and_columns_give() -> None:
    basis = kronecker_basis(PLAIN)
    torch.testing.assert_close(basis.T @ basis, torch.eye(M * N).double())
    turned = (PLAIN @ basis).view(-1, M, N)
    for one in (turned, turned.mT):
        mean = (one @ one.mT).mean(0)
        diagonal = mean.diagonal()
        torch.testing.assert_close(mean, diagonal.diag(), atol=1e-10 * diagonal[0].item(), rtol=0)
        assert (diagonal.diff() <= 0).all()


def test_a_factored_egop_has_the_kronecker_basis() -> None:
    basis = kronecker_basis(FACTORED)
    best = least_root_mean_squares(FACTORED)
    assert root_mean_squares(FACTORED @ basis) < 1.01 * best
    assert root_mean_squares(FACTORED @ Sides(U, Z)) < 1.01 * best
    assert root_mean_squares(FACTORED) > 1.3 * best


def test_a_rotation_of_rows_and_columns_turns_the_basis_along() -> None:
    turned = PLAIN @ Sides(U, Z).T
    found = torch.kron(U, Z).T @ kronecker_basis(turned)
    overlap = (kronecker_basis(PLAIN).T @ found).abs()
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
