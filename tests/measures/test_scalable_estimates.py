"""Leading vectors without the rest: randomized, streamed, and of the two sides of a matrix."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.measures import sides
from hdnotes.measures.egop import eigenbasis
from hdnotes.measures.frequent_directions import absorbed, leading_directions
from hdnotes.measures.randomized import leading_eigenvectors
from hdnotes.problems.convex import decaying_matrix, orthonormal
from hdnotes.theory.kronecker_columns import rank_one_share


def gradients(decay: float = 1.0, count: int = 60, d: int = 40) -> torch.Tensor:
    sigma = torch.arange(1, d + 1, dtype=torch.float64) ** -decay
    return decaying_matrix(count, sigma, of=("gradients", decay))


def test_randomized_vectors_span_what_the_exact_ones_span():
    exact = eigenbasis(gradients(2.0))
    found = leading_eigenvectors(gradients(2.0), 5, of=("probes",))
    cosines = torch.linalg.svdvals(exact.vectors[:, :5].T @ found.vectors)
    assert cosines.min() > 1 - 1e-8
    torch.testing.assert_close(found.values, exact.values[:5])
    assert found.vectors.shape == (40, 5)


def test_randomized_vectors_are_those_of_their_stream_and_orthonormal():
    one, same = (leading_eigenvectors(gradients(), 7, of=("a",)).vectors for _ in range(2))
    torch.testing.assert_close(one, same, atol=0, rtol=0)
    eye = torch.eye(7, dtype=torch.float64)
    torch.testing.assert_close(one.T @ one, eye, atol=1e-12, rtol=0)
    fewer = leading_eigenvectors(gradients()[:3], 3, of=("a",))
    assert fewer.vectors.shape == (40, 3)


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_a_sketch_keeps_the_bound_of_frequent_directions(parts):
    g, size = gradients(0.5), 12
    rows = g[:0]
    for part in g.tensor_split(parts):
        rows = absorbed(rows, part, size)
        assert len(rows) <= size
    left = torch.linalg.eigvalsh(g.T @ g - rows.T @ rows)
    assert left.min() > -1e-12
    assert left.max() <= g.square().sum() / (size + 1)


def test_a_sketch_loses_nothing_of_few_directions_and_much_without_room():
    g = seeds.normal(200, 6, of=("c",)) @ orthonormal(40, 6, of=("V",)).T
    kept = dict.fromkeys((6, 3), g[:0])
    for size in kept:
        for part in g.split(10):
            kept[size] = absorbed(kept[size], part, size)
    lost = {s: (g.T @ g - rows.T @ rows).norm() / (g.T @ g).norm() for s, rows in kept.items()}
    assert lost[6] < 1e-12 < 0.1 < lost[3]
    exact = eigenbasis(g).vectors[:, :3]
    cosines = torch.linalg.svdvals(exact.T @ leading_directions(kept[6], 3))
    assert cosines.min() > 1 - 1e-10


def test_sides_diagonalise_gradients_that_are_products():
    u, z = orthonormal(4, 4, of=("U",)), orthonormal(5, 5, of=("Z",))
    scale = torch.outer(torch.tensor([4.0, 3, 2, 1]), torch.tensor([5.0, 4, 3, 2, 1])).double()
    inner = seeds.normal(4000, 4, 5, of=("g",)) * scale
    white = torch.linalg.qr(inner.flatten(1)).Q.unflatten(1, (4, 5)) * scale  # exact moments
    g = (u @ white @ z.T).flatten(1)
    left, right = sides.side_bases(sides.side_moments(g, 4))
    torch.testing.assert_close((u.T @ left).abs(), torch.eye(4).double(), atol=1e-8, rtol=0)
    torch.testing.assert_close((z.T @ right).abs(), torch.eye(5).double(), atol=1e-8, rtol=0)
    turned = g @ torch.kron(left, right)
    assert sides.off_diagonal_share(turned) < 1e-12
    assert sides.off_diagonal_share(g) > 0.01


def test_moments_of_parts_add_up_and_are_their_plain_sums():
    g = seeds.normal(9, 12, of=("g",))
    whole = sides.side_moments(g, 3)
    parts = sides.added(*(sides.side_moments(part, 3) for part in g.split(5)))
    matrices = g.unflatten(1, (3, 4))
    for found in (whole, parts):
        torch.testing.assert_close(found.left, sum(m @ m.T for m in matrices))
        torch.testing.assert_close(found.right, sum(m.T @ m for m in matrices))


def test_shares_say_which_product_could_hold_a_vector():
    u, z = orthonormal(3, 3, of=("U",)), orthonormal(4, 4, of=("Z",))
    vectors = torch.kron(u, z)
    torch.testing.assert_close(rank_one_share(vectors, (3, -1)), torch.ones(12).double())
    torch.testing.assert_close(
        sides.single_row_share(vectors, 3), u.square().amax(0).repeat_interleave(4)
    )
    folded = torch.kron(torch.eye(3).double(), z.contiguous())
    torch.testing.assert_close(sides.single_row_share(folded, 3), torch.ones(12).double())
    mixed = (vectors[:, :1] + vectors[:, 5:6]) / 2**0.5
    assert rank_one_share(mixed, (3, -1)).item() == pytest.approx(0.5)
