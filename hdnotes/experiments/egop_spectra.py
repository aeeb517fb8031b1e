r"""Chapter `egop_spectra`: EGOP spectra of small networks on images (document 4, Section 4, C.1).

Three kinds of cells, each an independent draw of rho. *rho*: the 64-32-10 network on the UCI digits
with full-batch gradients, for Gaussians of several widths and the Xavier initialization (Figs 2, 6,
8), plainly estimated and with the hidden units' symmetry. *blocks*: each weight matrix by itself,
digits and Fashion-MNIST, minibatch gradients (Fig. 7). *samples*: what a basis from M gradients is
worth on fresh ones (ours).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hdnotes import datasets, seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.measures import egop, spectra
from hdnotes.measures.exchangeable import Exchangeable, hidden_units, symmetric
from hdnotes.problems.classifier import Classifier, draw_points, draw_uniform_points, layers
from hdnotes.problems.convex import orthonormal

NAME = "egop_spectra"
VERSION = 1
TITLE = "EGOP spectra of networks"

#: Input, hidden and output widths (D.4).
WIDTHS = {"digits": (64, 32, 10), "Fashion": (196, 20, 4)}
WEIGHTS = {name: i * h + h * o for name, (i, h, o) in WIDTHS.items()}
DIGITS_PARAMETERS = 2410
FASHION_PARAMETERS = 4024
#: Samples of a minibatch (D.4).
BATCH = 300
#: Every eigenvalue up to this index is kept, and some beyond it.
KEPT = 512
#: Eigenvectors whose density is measured (Fig. 8).
LEADING = 100
XAVIER = "Xavier"


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    scales: tuple[float, ...] = parameter(
        (0.1, 1.0, 10.0), above=0, help="standard deviations s of rho = N(0, s^2); 1 is Fig. 2's"
    )
    trials: int = parameter(5, at_least=1, unit="trials", help="independent draws of each estimate")
    gradients_per_parameter: float = parameter(
        0.25, above=0, help="gradients of each estimate over parameters, M/d"
    )
    block_data: tuple[str, ...] = parameter(
        ("digits", "Fashion"), choices=tuple(WIDTHS), help="data sets of the block spectra"
    )
    fractions: tuple[float, ...] = parameter(
        (0.0625, 0.125, 0.25), above=0, help="M/d of the bases compared on fresh gradients"
    )
    digits_file: str = parameter(
        "tra", choices=("tra", "tes"), help="UCI digits: 3823 training or 1797 test rows"
    )


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "scales": (1.0,),
        "trials": 1,
        "gradients_per_parameter": 0.05,
        "block_data": ("digits",),
        "fractions": (0.02, 0.05),
        "digits_file": "tes",
    },
    "quick": {},
    "paper": {
        "gradients_per_parameter": 5.0,
        "fractions": (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 5.0),
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed, the first draw of everything first."""
    digits = {"file": p.digits_file, "gradients_per_parameter": p.gradients_per_parameter}
    normal = [{"rho": f"N(0, {s:g}²)", "scale": s, "inputs": "raw"} for s in p.scales]
    xavier = [{"rho": XAVIER, "scale": 1.0, "inputs": i} for i in ("raw", "standardised")]
    kinds = [{"kind": "rho", **digits, **one} for one in normal + xavier]
    kinds += [{"kind": "blocks", **digits, "data": data} for data in p.block_data]
    kinds += [{"kind": "samples", "file": p.digits_file, "fractions": list(p.fractions)}]
    return [{**one, "trial": trial} for trial in range(p.trials) for one in kinds]


def memory(p: Parameters) -> int:
    """Return the peak bytes of the largest cell: points, gradients and the decomposition."""
    d = FASHION_PARAMETERS if "Fashion" in p.block_data else DIGITS_PARAMETERS
    most = max(p.gradients_per_parameter, 2 * max(p.fractions))
    return int(8 * (4 * most * d**2 + 8 * d**2)) + 2**29


# --- rho: Figs 2, 6, 8 ------------------------------------------------------------------------


def _rho(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    count = math.ceil(cell["gradients_per_parameter"] * DIGITS_PARAMETERS)
    of = (NAME, "rho", cell["rho"], cell["trial"])
    network = _digits_network(cell, device)
    gradients = egop.sample_gradients(network, _draw(cell, count, of).to(device))
    basis, units = egop.eigenbasis(gradients), hidden_units(WIDTHS["digits"])
    leading = basis.vectors[:, :LEADING]
    exact = symmetric(gradients[:, units.own], gradients[:, units.rest])
    control = orthonormal(DIGITS_PARAMETERS, LEADING, of=(*of, "control")).to(device)
    table = pd.DataFrame(
        {
            "k": np.arange(1, LEADING + 1),
            "density": _array(spectra.density(leading)),
            "random_density": _array(spectra.density(control)),
            "helmert_density": _array(spectra.density(exact.vectors(units)[:, :LEADING])),
            "second_layer": _array(leading[layers(WIDTHS["digits"])[1].weight].square().sum(0)),
            "together": _array(leading[units.own].mean(0).square().sum(0) * exact.units),
        }
    )
    return {
        "spectrum": _thinned(basis.values),
        "symmetric": _parts(exact),
        "leading": table,
        "summary": _summary(basis.values, exact).assign(
            dead=int((network.inputs == 0).all(0).sum())
        ),
    }


def _digits_network(cell: dict[str, Any], device: str) -> Classifier:
    part = datasets.digits_rows(cell["file"], dtype=torch.float64)
    inputs = part.inputs
    if cell.get("inputs") == "standardised":
        spread = inputs.std(0)
        inputs = (inputs - inputs.mean(0)) / torch.where(spread > 0, spread, 1.0)
    return Classifier(WIDTHS["digits"], inputs.to(device), part.labels.to(device), (0,))


def _draw(cell: dict[str, Any], count: int, of: tuple[object, ...]) -> Tensor:
    if cell.get("rho", XAVIER) == XAVIER:
        return draw_points(WIDTHS["digits"], count, "xavier", of=of)
    return cell["scale"] * draw_points(WIDTHS["digits"], count, "normal", of=of)


def _thinned(values: Tensor) -> pd.DataFrame:
    """Return lambda_k: the leading ones and some of those behind, without what is rounding."""
    k = np.arange(1, len(values) + 1)
    wanted = np.unique(np.geomspace(KEPT, max(len(values), KEPT), 80).astype(int))
    kept = (k <= KEPT) | np.isin(k, wanted)
    table = pd.DataFrame({"k": k, "eigenvalue": _array(values / values[0])})
    return table[kept & (table.eigenvalue > 1e-26).to_numpy()]


def _parts(exact: Exchangeable) -> pd.DataFrame:
    """Return the distinct eigenvalues of the symmetric estimate, and how often each occurs."""
    parts = {"apart": (exact.apart, exact.units - 1), "together": (exact.together, 1)}
    top = exact.values()[0]
    return pd.concat(
        pd.DataFrame(
            {"part": name, "times": times, "eigenvalue": _array(one.values / top)},
        )
        for name, (one, times) in parts.items()
    )


def _summary(values: Tensor, exact: Exchangeable) -> pd.DataFrame:
    """Return both estimates of the stable rank, and the leading eigenvalue of each."""
    both = {"plain": values, "symmetric": exact.values()}
    return pd.DataFrame(
        {
            "estimate": list(both),
            "stable_rank": [float(spectra.stable_rank(v)) for v in both.values()],
            "first": [float(v[0]) for v in both.values()],
        }
    )


def _array(values: Tensor) -> np.ndarray:
    return values.float().numpy(force=True)


# --- blocks: Fig. 7 ---------------------------------------------------------------------------


def _blocks(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    name, widths = cell["data"], WIDTHS[cell["data"]]
    part = _images(cell)
    # M = 5p counts the weights of the network: 2368 and 4000.
    count = math.ceil(cell["gradients_per_parameter"] * WEIGHTS[name])
    of = (NAME, "blocks", name, cell["trial"])
    draw = draw_uniform_points(widths, count, of=of)
    points = draw if name == "Fashion" else draw_points(widths, count, "xavier", of=of)
    batches = _minibatches(len(part.labels), count, of)
    network = Classifier(widths, part.inputs.to(device), part.labels.to(device), (0,))
    gradients = egop.sample_gradients(network, points.to(device), batches.to(device))
    units = hidden_units(widths)
    whole = symmetric(gradients[:, units.own], gradients[:, units.rest])
    own = {1: units.own[:, : widths[0]], 2: units.own[:, widths[0] + 1 :]}
    none = gradients[:, :0]
    tables, exact = [], [_parts(whole).assign(layer="both")]
    for number, layer in enumerate(layers(widths), 1):
        values = egop.eigenbasis(gradients[:, layer.weight]).values
        tables.append(_thinned(values).assign(layer=number, size=len(values)))
        exact.append(_parts(symmetric(gradients[:, own[number]], none)).assign(layer=str(number)))
    return {"blocks": pd.concat(tables), "block_symmetric": pd.concat(exact)}


def _minibatches(samples: int, count: int, of: tuple[object, ...]) -> Tensor:
    """Draw ``count`` minibatches (count, BATCH): shuffle the samples, cut, shuffle again."""
    stream, each = seeds.generator(*of, "batches"), samples // BATCH
    orders = [torch.randperm(samples, generator=stream) for _ in range(-(-count // each))]
    return torch.cat([order[: each * BATCH].view(each, BATCH) for order in orders])[:count]


def _images(cell: dict[str, Any]) -> datasets.Part:
    if cell["data"] == "digits":
        return datasets.digits_rows(cell["file"], dtype=torch.float64)
    part = datasets.fashion_mnist(dtype=torch.float64).train
    return datasets.Part(datasets.max_pooled(part.inputs), part.labels)


# --- samples: what a basis from M gradients is worth -------------------------------------------


def _samples(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Estimate bases from nested samples and measure them on as many fresh gradients as the most.

    ``scale`` is the gradients' size along each axis, summed, over that in original coordinates.
    """
    counts = [math.ceil(fraction * DIGITS_PARAMETERS) for fraction in cell["fractions"]]
    of = (NAME, "samples", cell["trial"])
    network = _digits_network(cell, device)
    fresh, gradients = (
        egop.sample_gradients(network, _draw(cell, max(counts), name).to(device))
        for name in ((*of, "fresh"), of)
    )
    units, rows = hidden_units(WIDTHS["digits"]), []
    original = fresh.square().mean(0).sqrt().sum()
    for fraction, count in zip(cell["fractions"], counts, strict=True):
        seen = gradients[:count]
        plain = egop.eigenbasis(seen)
        exact = symmetric(seen[:, units.own], seen[:, units.rest])
        found = {"plain": plain.vectors, "symmetric": exact.vectors(units)}
        for name, vectors in found.items():
            rows.append(
                (fraction, count, name, float(spectra.summed_scales(fresh, vectors) / original))
            )
    random = egop.random_basis(DIGITS_PARAMETERS, of=(*of, "control")).to(device)
    rows.append((0.0, 0, "random", float(spectra.summed_scales(fresh, random) / original)))
    return {"samples": pd.DataFrame(rows, columns=["fraction", "count", "basis", "scale"])}


RUNS = {"rho": _rho, "blocks": _blocks, "samples": _samples}
