r"""Hessian of a student with squared hidden units, as it is and along the spheres of its units.

With h_i = w_i . x, answer a = (1/d) sum_i h_i^2, label y and s = 1 for samples that count, else 0,
the loss 1/2 sum s (a - y)^2 has the Hessian, a block for each pair of hidden units,

    H_ij = sum_mu s [(2/d) (a - y) delta_ij + (4/d^2) h_i h_j] x x^T = delta_ij R + G_ij.

R is one p x p matrix, the same for all d units; G is positive and has rank n at most, the number of
samples that count. Where all samples are fitted R = 0; where all units are +-w* as well, G has rank
p at most and (d - 1) p eigenvalues are zero however many samples there are. Used in `hidden_units`
(document 2, Figure 4.6).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hdnotes.problems.phase_retrieval import PhaseRetrieval


@dataclass(frozen=True)
class Hessian:
    """The Hessian at one point, as a product and as a matrix.

    Attributes
    ----------
    inputs : x (samples, features)
    weights : w_i (hidden, features)
    residual : (2/d) s (a - y), (samples,)
    slopes : (2/d) s h_i, (samples, hidden), s being its own square root
    """

    inputs: Tensor
    weights: Tensor
    residual: Tensor
    slopes: Tensor

    @property
    def multipliers(self) -> Tensor:
        """The pull w_i . g_i / |w_i|^2 of each unit's gradient along its radius (hidden,)."""
        h = self.inputs @ self.weights.T
        return self.residual @ h.square() / self.weights.square().sum(1)

    @property
    def gradient(self) -> Tensor:
        """The gradient along the spheres, (hidden, features)."""
        h = self.inputs @ self.weights.T
        whole = (self.residual.unsqueeze(1) * h).T @ self.inputs
        return whole - self.multipliers.unsqueeze(1) * self.weights

    def product(self, vectors: Tensor) -> Tensor:
        """Return H v for each v of (count, hidden x features); costs 4 d p n a vector."""
        v = vectors.view(len(vectors), *self.weights.shape)
        along = v @ self.inputs.T
        across = torch.einsum("kim,mi->km", along, self.slopes)
        weighed = along * self.residual + across.unsqueeze(1) * self.slopes.T
        return (weighed @ self.inputs).view_as(vectors)

    def matrix(self) -> Tensor:
        """Return H (hidden x features, hidden x features); costs d^2 p^2 n."""
        d, p = self.weights.shape
        h = torch.empty(d, p, d, p, dtype=self.inputs.dtype, device=self.inputs.device)
        for i in range(d):
            for j in range(i + 1):
                weight = self.slopes[:, i] * self.slopes[:, j] + self.residual * (i == j)
                h[i, :, j] = (self.inputs.T * weight) @ self.inputs
                h[j, :, i] = h[i, :, j]
        return h.view(d * p, d * p)

    def on_spheres(self, matrix: Tensor) -> Tensor:
        r"""Return the Hessian on the product of spheres, (d (p - 1), d (p - 1)).

        Along a great circle w_i bends inwards, which costs the radial pull of the gradient:
        H - diag(w_i . g_i / |w_i|^2), in an orthonormal basis of the directions orthogonal to w_i.

        Parameters
        ----------
        matrix : what `matrix` returned
        """
        d, p = self.weights.shape
        bases = torch.linalg.qr(self.weights.unsqueeze(2), mode="complete").Q[:, :, 1:]
        blocks = torch.einsum("ipa,ipjq,jqb->iajb", bases, matrix.view(d, p, d, p), bases)
        flat = blocks.reshape(d * (p - 1), d * (p - 1))
        return flat - self.multipliers.repeat_interleave(p - 1).diag()


def hessian(problem: PhaseRetrieval, point: Tensor, mask: Tensor | None = None) -> Hessian:
    """Return the Hessian of one trial's loss, in float64.

    Parameters
    ----------
    problem : one trial of the channel "quadratic"
    point : (hidden x features,)
    mask : s (samples,), 0 or 1; None counts all samples

    Raises
    ------
    ValueError
        If the channel is another one, or there are several trials.
    """
    if problem.channel != "quadratic" or len(problem.data_of) != 1:
        raise ValueError(
            f"channel = {problem.channel!r} with {len(problem.data_of)} trials has no Hessian "
            "here; it needs the channel 'quadratic' and one trial"
        )
    x, y = (part[problem.data_of[0]].double() for part in (problem.inputs, problem.targets))
    w = point.double().view(problem.hidden, problem.features)
    s = torch.ones_like(y) if mask is None else mask.double()
    h = x @ w.T
    scale = 2 / problem.hidden
    return Hessian(x, w, scale * s * (h.square().mean(1) - y), scale * s.unsqueeze(1) * h)
