"""Gradients have symmetric Jacobians and no circulation; turning fields have theirs."""

import math

import pytest
import torch

from hdnotes import seeds
from hdnotes.measures.vector_fields import asymmetry, keyhole


def hill(points: torch.Tensor) -> torch.Tensor:
    """Return the gradient of sin(x_1) exp(x_2) + x_3^2."""
    x, y, z = points.unbind(-1)
    return torch.stack([x.cos() * y.exp(), x.sin() * y.exp(), 2 * z], -1)


def turning(points: torch.Tensor) -> torch.Tensor:
    x, y, z = points.unbind(-1)
    return torch.stack([-y, x, 0 * z], -1)


def test_a_gradient_has_neither() -> None:
    assert asymmetry(hill, seeds.normal(3, of=("test",))) < 1e-9
    direction = torch.tensor([0.6, 0.0, 0.8])
    assert abs(float(keyhole(direction, 0.3, 1.2).circulation(hill))) < 1e-13


def test_a_turning_field_has_both() -> None:
    assert asymmetry(turning, torch.ones(3)) == pytest.approx(1)
    half = asymmetry(lambda x: turning(x) + x, torch.zeros(3))
    assert half == pytest.approx(8**0.5 / (8**0.5 + 12**0.5))
    loop = keyhole(torch.tensor([1.0, 0.0, 0.0]), 0.5, 2.0)
    assert abs(loop.places[:, 1:]).max() > 1.9
    aside = 1 if loop.places[:, 1].abs().max() > 1 else 2
    plane = turning if aside == 1 else lambda x: turning(x[:, [0, 2, 1]])[:, [0, 2, 1]]
    # twice the area that the loop goes round: half a ring
    assert abs(float(loop.circulation(plane))) == pytest.approx(math.pi * (4 - 0.25))


def test_the_loop_is_closed_and_has_its_length() -> None:
    direction = seeds.normal(5, of=("loop",))
    loop = keyhole(direction / direction.norm(), 0.1, 1.0)
    assert float(loop.length) == pytest.approx(2 * 0.9 + math.pi * 1.1)
    assert float(loop.steps.sum(0).norm()) < 1e-12
    radii = loop.places.norm(dim=1)
    assert float(radii.min()) > 0.1 - 1e-12
    assert float(radii.max()) <= 1 + 1e-12
