r"""Is a vector field the gradient of anything? Its Jacobian and its loop integrals tell.

A gradient's Jacobian is a Hessian, so symmetric, and its integral along a closed loop is zero.
Used in chapter linear_networks.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]


def asymmetry(field: Field, point: Tensor, step: float = 1e-5) -> float:
    r"""Return ||J - J^T|| / (||J - J^T|| + ||J + J^T||) of the Jacobian, from 0 to 1.

    0 where the field may be a gradient, 1 where it only turns. Frobenius norms; J by central
    differences, right to about step^2 (automatic differentiation fails at equal singular values).

    Parameters
    ----------
    field : takes points (m, *shape of ``point``) and returns as many vectors of that shape
    point : where, of any shape, in float64
    step : of the differences

    Examples
    --------
    >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    >>> round(asymmetry(lambda x: x @ turn.T, torch.ones(2)), 6)
    1.0
    """
    moves = step * torch.eye(point.numel(), dtype=point.dtype).view(-1, *point.shape)
    matrix = (field(point + moves) - field(point - moves)).flatten(1)
    turning, symmetric = (matrix - matrix.T).norm(), (matrix + matrix.T).norm()
    return float(turning / (turning + symmetric))


class Loop(NamedTuple):
    """A closed loop as nodes of a quadrature: places and oriented steps, each (nodes, d)."""

    places: Tensor
    steps: Tensor

    @property
    def length(self) -> Tensor:
        """The loop's length."""
        return self.steps.norm(dim=1).sum()

    def circulation(self, field: Field) -> Tensor:
        """Return the integral of <field, dx>; ``field`` takes points (nodes, d)."""
        return (field(self.places) * self.steps).sum()


def keyhole(direction: Tensor, inner: float, outer: float, nodes: int = 64) -> Loop:
    """Return the loop along a direction from -R to -r, half round to r, on to R, half round back.

    Parameters
    ----------
    direction : unit vector (d,), d at least 2, float64
    inner, outer : radii r and R
    nodes : Gauss-Legendre nodes on each of the four pieces

    Examples
    --------
    >>> loop = keyhole(torch.tensor([1.0, 0.0], dtype=torch.float64), 0.5, 1.0)
    >>> round(float(loop.length), 6) == round(1 + 1.5 * math.pi, 6)
    True
    """
    at, weights = (torch.as_tensor(x / 2) for x in np.polynomial.legendre.leggauss(nodes))
    at = (at + 0.5).unsqueeze(1)
    axis = torch.eye(len(direction), dtype=direction.dtype)[direction.abs().argmin()]
    aside = axis - (axis @ direction) * direction
    aside = aside / aside.norm()
    places, steps = [], []
    for start, end in ((-outer, -inner), (inner, outer)):
        places.append((start + (end - start) * at) * direction)
        steps.append((end - start) * weights.unsqueeze(1) * direction)
    for radius, start, end in ((inner, math.pi, 0.0), (outer, 0.0, math.pi)):
        angle = start + (end - start) * at
        places.append(radius * (angle.cos() * direction + angle.sin() * aside))
        tangent = radius * (angle.cos() * aside - angle.sin() * direction)
        steps.append((end - start) * weights.unsqueeze(1) * tangent)
    return Loop(torch.cat(places), torch.cat(steps))
