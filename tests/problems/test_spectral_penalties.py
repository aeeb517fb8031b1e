"""The penalties: values and gradients by autograd, and the laws proven in chapter `adam_ratio`."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.spectral_penalties import nuclear, ratio


def plain(penalty, w):
    """Return a penalty from its definition, one matrix."""
    values = torch.linalg.svdvals(w)
    return values.sum() if penalty is nuclear else values.sum() / values.square().sum().sqrt()


@pytest.mark.parametrize("penalty", [nuclear, ratio])
def test_value_and_gradient_equal_autograd_of_the_definition(penalty):
    stack = seeds.normal(3, 7, 7, of=("w",))
    value, gradient = penalty(stack)
    for k, one in enumerate(stack):
        w = one.clone().requires_grad_()
        expected = plain(penalty, w)
        (slope,) = torch.autograd.grad(expected, w)
        torch.testing.assert_close(value[k], expected.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[k], slope, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 0.5, 1e4])
def test_the_ratio_forgets_the_scale_and_its_gradient_divides_by_it(scale):
    w = seeds.normal(6, 6, of=("w",))
    (value, gradient), (scaled, smaller) = ratio(w), ratio(scale * w)
    torch.testing.assert_close(scaled, value, rtol=1e-12, atol=0)
    torch.testing.assert_close(smaller * scale, gradient, rtol=1e-9, atol=1e-12)
    assert (gradient * w).sum().abs() < 1e-12 * gradient.norm() * w.norm()


def test_the_length_of_the_gradient_is_that_of_the_lemma():
    w = seeds.normal(5, 5, of=("w",))
    value, gradient = ratio(w)
    expected = (5 - value**2).sqrt() / torch.linalg.matrix_norm(w)
    torch.testing.assert_close(torch.linalg.matrix_norm(gradient), expected)


def test_the_gradient_keeps_the_singular_vectors():
    u, v = orthonormal(6, 6, of=("u",)), orthonormal(6, 6, of=("v",))
    w = u @ torch.diag(torch.linspace(3, 0.5, 6)) @ v.T
    within = u.T @ ratio(w)[1] @ v
    assert (within - torch.diag(within.diagonal())).abs().max() < 1e-12


def test_where_rank_is_missing_the_subgradient_is_the_shortest():
    w = torch.diag(torch.tensor([2.0, 1.0, 0.0]))
    assert torch.allclose(nuclear(w)[1], torch.diag(torch.tensor([1.0, 1.0, 0.0])))


def test_a_lone_huge_entry_brings_the_ratio_to_one():
    w = seeds.normal(6, 6, of=("w",))
    w[2, 3] = 1e6
    assert 1 < ratio(w)[0] < 1 + 1e-4
