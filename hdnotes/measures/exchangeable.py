r"""The EGOP of a network whose hidden units are exchangeable (chapter `egop_spectra`).

Renumbering the hidden units of a one-hidden-layer network changes neither its outputs nor, where
their parameters are drawn alike, the law rho. So the EGOP does not change either. Write u_j for the
gradient in the parameters of unit j (its incoming weights, bias and outgoing weights: `types` of
them) and r for that in the rest (the output biases). Then on differences between units the EGOP is

    apart = E[(1 / (h - 1)) sum_j (u_j - mean u)(u_j - mean u)^T],   each eigenvalue h - 1 times,

and on what all h units do alike it is

    together = E[t t^T],   t = (h^{-1/2} sum_j u_j, r),   each eigenvalue once

(Schur's lemma for the permutations of h units). Estimated so, each gradient counts h - 1 times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.linalg import helmert
from torch import Tensor

from hdnotes.measures.egop import Eigenbasis, eigenbasis
from hdnotes.problems.classifier import layers


@dataclass(frozen=True)
class Units:
    """Where the hidden units' parameters stand in the vector.

    Attributes
    ----------
    own : (units, types), row j the parameters of unit j
    rest : the parameters of no unit
    """

    own: Tensor
    rest: Tensor


def hidden_units(widths: Sequence[int]) -> Units:
    """Return the units of a `Classifier` with one hidden layer.

    Examples
    --------
    >>> hidden_units((2, 2, 1)).own.tolist(), hidden_units((2, 2, 1)).rest.tolist()
    ([[0, 1, 4, 6], [2, 3, 5, 7]], [8])
    """
    into, out = layers(widths)
    index = torch.arange(out.bias.stop)
    incoming = index[into.weight].view(into.outputs, into.inputs)
    outgoing = index[out.weight].view(out.outputs, out.inputs).T
    return Units(torch.cat([incoming, index[into.bias].unsqueeze(1), outgoing], 1), index[out.bias])


@dataclass(frozen=True)
class Exchangeable:
    """The two parts of a symmetric EGOP.

    Attributes
    ----------
    apart : of differences between units, (types,) and (types, types)
    together : of what all units do alike, (types + rest,) and its square
    units : h
    """

    apart: Eigenbasis
    together: Eigenbasis
    units: int

    def values(self) -> Tensor:
        """Return all d eigenvalues, each as often as it occurs, in decreasing order."""
        several = self.apart.values.repeat(self.units - 1)
        return torch.cat([several, self.together.values]).sort(descending=True).values

    def vectors(self, own: Units) -> Tensor:
        """Return eigenvectors (d, d) in the order of `values`.

        Among the h - 1 equal ones the choice is free: here Helmert's, the k-th of which sets unit
        k + 1 against the k units before it.
        """
        units, types = own.own.shape
        d, like = own.own.numel() + len(own.rest), self.apart.vectors
        contrasts = torch.tensor(helmert(units).T.copy(), dtype=like.dtype, device=like.device)
        alike = like.new_full((units, 1), units**-0.5)
        vectors = like.new_zeros(d, d)
        apart = types * (units - 1)
        rows = own.own.flatten()
        vectors[rows, :apart] = torch.kron(contrasts, like)
        vectors[rows, apart:] = torch.kron(alike, self.together.vectors[:types])
        vectors[own.rest, apart:] = self.together.vectors[types:]
        values = torch.cat([self.apart.values.repeat(units - 1), self.together.values])
        return vectors[:, values.argsort(descending=True, stable=True)]


def symmetric(own: Tensor, rest: Tensor) -> Exchangeable:
    """Return the symmetric estimate of the EGOP from M gradients.

    Parameters
    ----------
    own : (M, units, types), the gradients in the parameters of each unit
    rest : (M, others), in the others
    """
    units = own.shape[1]
    differences = (own - own.mean(1, keepdim=True)) * (units / (units - 1)) ** 0.5
    alike = torch.cat([own.sum(1) / units**0.5, rest], 1)
    return Exchangeable(eigenbasis(differences.flatten(0, 1)), eigenbasis(alike), units)
