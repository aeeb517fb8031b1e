r"""Phase retrieval seen from the sphere: the gradient's part along a student's weights is left out.

On the sphere of radius sqrt(p) the loss has the gradient

    g_i - (g_i . w_i / ||w_i||^2) w_i

for every hidden unit w_i. A method that scales or rotates gradients, as Adam does coordinate by
coordinate, comes to rest elsewhere with it than with g: used by chapter `adam_dynamics`.
"""

from dataclasses import dataclass, fields

from torch import Tensor

from hdnotes.problems.phase_retrieval import PhaseRetrieval


@dataclass(frozen=True)
class OnSphere(PhaseRetrieval):
    """Phase retrieval whose gradients are tangent to the sphere; parameters are the same."""

    def loss_and_gradient(
        self, point: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses (trials,) and the tangent gradients (trials, d p)."""
        loss, gradient = super().loss_and_gradient(point, batch)
        return loss, tangent(gradient, point, self.features)


def on_sphere(problem: PhaseRetrieval) -> OnSphere:
    """Return the same trials with tangent gradients."""
    return OnSphere(**{field.name: getattr(problem, field.name) for field in fields(problem)})


def tangent(gradient: Tensor, point: Tensor, features: int) -> Tensor:
    """Return the gradient (trials, d p) less its part along each hidden unit of ``point``.

    Examples
    --------
    >>> import torch
    >>> tangent(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]]), 2)
    tensor([[3., 0.]])
    """
    w, g = (one.view(len(one), -1, features) for one in (point, gradient))
    along = (g * w).sum(2, keepdim=True) / w.square().sum(2, keepdim=True)
    return (g - along * w).view_as(gradient)
