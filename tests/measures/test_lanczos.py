"""Quadrature is exact for the moments it promises, and finds a known spectrum."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.measures import lanczos
from hdnotes.problems.convex import orthonormal

SIZE = 60


def matrix(values: torch.Tensor) -> torch.Tensor:
    basis = orthonormal(len(values), len(values), of=("lanczos", len(values)))
    return (basis * values) @ basis.T


def test_moments_are_exact_up_to_twice_the_steps():
    a = matrix(seeds.normal(SIZE, of=("lanczos", "values")))
    probes = seeds.normal(3, SIZE, of=("lanczos", "probes"))
    nodes, weights = lanczos.quadrature(lambda v: v @ a, probes, 5)
    unit = probes / probes.norm(dim=1, keepdim=True)
    power = unit
    for order in range(10):
        expected = (unit * power).sum(1)
        torch.testing.assert_close((weights * nodes**order).sum(1), expected)
        power = power @ a
    assert not torch.allclose((weights * nodes**10).sum(1), (unit * power).sum(1), rtol=1e-6)


def test_as_many_steps_as_dimensions_give_the_eigenvalues():
    values = seeds.normal(12, of=("lanczos", "few")).sort().values
    nodes, weights = lanczos.quadrature(
        lambda v: v @ matrix(values), seeds.normal(2, 12, of=("lanczos", "two")), 12
    )
    torch.testing.assert_close(nodes, values.expand(2, -1))
    torch.testing.assert_close(weights.sum(1), torch.ones(2))


def test_three_different_eigenvalues_are_exhausted_in_three_steps():
    values = torch.tensor([0.0, 1.0, 5.0]).repeat_interleave(20)
    probes = seeds.normal(500, SIZE, of=("lanczos", "many"))
    nodes, weights = lanczos.quadrature(lambda v: v @ matrix(values), probes, 9)
    assert weights.isfinite().all()
    for value in (1.0, 5.0):
        share = float((weights * ((nodes - value).abs() < 1e-6)).sum() / len(probes))
        assert share == pytest.approx(1 / 3, abs=0.02)


def test_shares_and_quantiles_are_those_of_the_spectrum():
    values = torch.linspace(-1, 3, 400)
    a = matrix(values)
    probes = seeds.normal(20, 400, of=("lanczos", "wide"))
    nodes, weights = lanczos.quadrature(lambda v: v @ a, probes, 40)
    negative = float((weights * (nodes < 0)).sum() / len(probes))
    assert negative == pytest.approx(0.25, abs=0.03)
    shares = torch.tensor([0.1, 0.5, 0.9])
    found = lanczos.quantiles(nodes, weights, shares)
    torch.testing.assert_close(found, 4 * shares - 1, atol=0.15, rtol=0)


def test_quantiles_of_an_exact_spectrum_are_its_order_statistics():
    values = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    shares = torch.tensor([0.0, 0.2, 0.26, 0.74, 1.0])
    found = lanczos.quantiles(values, torch.full((1, 4), 0.25), shares)
    assert found.tolist() == [1.0, 1.0, 2.0, 4.0, 8.0]
