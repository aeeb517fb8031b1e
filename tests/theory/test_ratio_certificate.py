"""The certificate against a convex solver, against R itself, and where none can be."""

import cvxpy
import numpy as np
import pytest
import torch

from hdnotes.problems.matrix_completion import draw_low_rank, draw_mask
from hdnotes.problems.spectral_penalties import ratio
from hdnotes.theory.ratio_certificate import ratio_certificate

N, RANK = 10, 2


def task(observed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return draw_low_rank(N, RANK, of=("certificate",)), draw_mask(N, observed, of=("seen",))


def steepest(truth: torch.Tensor, seen: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the least change of R ||W*||, to first order, by unit changes of hidden entries."""
    u, sigma, vh = (x.numpy() for x in torch.linalg.svd(truth))
    across = [np.eye(N) - x @ x.T for x in (u[:, :RANK], vh[:RANK].T)]
    sigma = sigma[:RANK]
    a = (u[:, :RANK] * (1 - sigma.sum() / (sigma**2).sum() * sigma)) @ vh[:RANK]
    h = cvxpy.Variable((N, N))
    change = cvxpy.sum(cvxpy.multiply(a, h)) + cvxpy.normNuc(across[0] @ h @ across[1])
    held = [cvxpy.multiply(seen.numpy().astype(float), h) == 0, cvxpy.norm(h, "fro") <= 1]
    least = cvxpy.Problem(cvxpy.Minimize(change), held).solve(solver=cvxpy.CLARABEL)
    return float(least), torch.from_numpy(h.value).masked_fill(seen, 0)


@pytest.mark.parametrize(("observed", "local"), [(45, False), (70, False), (85, True)])
def test_it_exists_exactly_where_no_direction_lowers_the_ratio(observed: int, local: bool) -> None:
    truth, seen = task(observed)
    low, high, _ = ratio_certificate(truth, seen, RANK)
    change, h = steepest(truth, seen)
    assert (high < 1, low > 1) == (local, not local)
    assert (change > -1e-6) == local
    if not local:
        assert ratio(truth + 1e-3 * h)[0] < ratio(truth)[0]


def test_fewer_entries_than_degrees_of_freedom_have_none() -> None:
    truth, seen = task(RANK * (2 * N - RANK) - 1)
    assert ratio_certificate(truth, seen, RANK) == (torch.inf, torch.inf, 0.0)


def test_the_bounds_meet_and_do_not_depend_on_the_scale() -> None:
    truth, seen = task(85)
    found = ratio_certificate(truth, seen, RANK, 5000, 1e-3)
    assert found.low <= found.high
    scaled = ratio_certificate(7 * truth, seen, RANK, 5000, 1e-3)
    torch.testing.assert_close(torch.tensor(scaled), torch.tensor(found), rtol=1e-6, atol=1e-6)
