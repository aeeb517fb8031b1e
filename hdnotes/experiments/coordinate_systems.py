r"""The coordinate systems that gradients give, from a whole matrix down to a few vectors.

Shared by the cells of `egop_scalability`: each system carries its labels and the seconds that
forming it alone takes, from gradients that are there. The ways are those of document 4, Section 5
and Appendix B.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.measures import egop, sides
from hdnotes.measures.frequent_directions import absorbed, leading_directions
from hdnotes.measures.randomized import leading_eigenvectors
from hdnotes.problems.classifier import Classifier, draw_uniform_points, layers
from hdnotes.problems.implicit_bases import Basis, Sides, block, completed
from hdnotes.problems.rotated import Block

#: Gradients that stream by together.
TOGETHER = 64


class System(NamedTuple):
    """One coordinate system: its labels, its blocks, and the seconds that forming it takes."""

    basis: str
    rank: int
    complement: str
    gradients: int
    blocks: tuple[Block, ...]
    seconds: float = 0.0


def timed(device: str, make: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """Return what a function makes of what it is given, and the seconds that takes."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    begin = time.perf_counter()
    made = make(*given)
    wait()
    return made, time.perf_counter() - begin


def nbytes(blocks: Sequence[Block]) -> int:
    """Return the bytes of all bases of a coordinate system."""
    return sum(one.vectors.nbytes for one in blocks)


def layer_basis(gradients: Tensor, weight: slice) -> tuple[Block, ...]:
    """Return the eigenbasis of one weight matrix's own EGOP (document 4, Eq. 5)."""
    return (Block(weight, egop.eigenbasis(gradients[:, weight]).vectors),)


def product_bases(moments: Sequence[sides.Moments], widths: Sequence[int]) -> tuple[Block, ...]:
    """Return the rotations of the two sides of each weight matrix."""
    pairs = zip(layers(widths), map(sides.side_bases, moments), strict=True)
    return tuple(block(layer.weight, Sides(left, right)) for layer, (left, right) in pairs)


def input_moment(gradients: Tensor, widths: Sequence[int]) -> Tensor:
    """Return the sum of G^T G of the first layer, (inputs, inputs): enough for a folded basis."""
    first = layers(widths)[0]
    rows = gradients[:, first.weight].reshape(-1, first.inputs)
    return rows.T @ rows


def folded(moment: Tensor, widths: Sequence[int]) -> tuple[Block, ...]:
    """Return the rotation of the first layer's inputs by the eigenvectors of their moment."""
    turn = torch.linalg.eigh(moment).eigenvectors.flip(1)
    return (block(layers(widths)[0].weight, Sides(None, turn)),)


def layer_moments(gradients: Tensor, widths: Sequence[int]) -> list[sides.Moments]:
    """Return the moments of each weight matrix's two sides."""
    stack = layers(widths)
    return [sides.side_moments(gradients[:, layer.weight], layer.outputs) for layer in stack]


def streamed(parts: Iterable[Tensor], rank: int) -> Tensor:
    """Return about ``rank`` leading vectors (d, k) of gradients seen once, part by part."""
    first, *rest = parts
    rows = reduce(lambda kept, part: absorbed(kept, part, 2 * rank), rest, first)
    return leading_directions(rows, min(rank, len(rows)))


def whole(basis: Basis) -> tuple[Block, ...]:
    """Return a basis of all parameters as a coordinate system."""
    return (block(slice(None), basis),)


def matrices(gradients: Tensor, widths: Sequence[int], asked: Sequence[str]) -> list[System]:
    """Return the coordinate systems made of whole orthonormal matrices: full, block, Kronecker."""
    count, d = gradients.shape

    def system(name: str, make: Callable[..., tuple[Block, ...]], *given: Any) -> System:
        blocks, seconds = timed(gradients.device.type, make, *given)
        return System(name, d, "none", count, blocks, seconds)

    found = []
    if "full" in asked:
        found.append(system("full", lambda: whole(egop.eigenbasis(gradients).vectors)))
    if {"block", "first layer", "second layer"} & {*asked}:
        first, second = (
            system(name, layer_basis, gradients, layer.weight)
            for name, layer in zip(("first layer", "second layer"), layers(widths), strict=True)
        )
        blocks, seconds = first.blocks + second.blocks, first.seconds + second.seconds
        both = System("block", d, "none", count, blocks, seconds)
        found += [one for one in (both, first, second) if one.basis in asked]
    if "Kronecker" in asked:
        found.append(
            system("Kronecker", lambda: product_bases(layer_moments(gradients, widths), widths))
        )
    if "folded" in asked:
        found.append(system("folded", lambda: folded(input_moment(gradients, widths), widths)))
    return found


def leading_blocks(
    gradients: Tensor, widths: Sequence[int], rank: int, of: tuple[object, ...]
) -> tuple[Block, ...]:
    """Return the leading vectors of each weight matrix's own EGOP, each with its complement."""
    result = []
    for layer in layers(widths):
        own = gradients[:, layer.weight]
        vectors = leading_eigenvectors(own, min(rank, *own.shape), of=of).vectors
        result.append(block(layer.weight, completed(vectors)))
    return tuple(result)


def of_vectors(
    name: str, vectors: Tensor, used: int, seconds: float, of: tuple[object, ...]
) -> list[System]:
    """Return the systems of a few vectors, made in ``seconds``, and either complement."""
    k, found = vectors.shape[1], []
    for complement, mixed in (("axes", None), ("random", (*of, "signs"))):
        basis, completing = timed(vectors.device.type, completed, vectors, mixed)
        found.append(System(name, k, complement, used, whole(basis), seconds + completing))
    return found


def leading(
    gradients: Tensor, widths: Sequence[int], cell: Mapping[str, Any], of: tuple[object, ...]
) -> list[System]:
    """Return the systems of a few leading vectors: of all gradients, of fewer, of a stream."""
    found, device, count = [], gradients.device.type, len(gradients)

    def add(name: str, part: Tensor, rank: int) -> None:
        k = min(rank, *part.shape)
        make = partial(leading_eigenvectors, of=(*of, "probes"))
        basis, seconds = timed(device, make, part, k)
        found.extend(of_vectors(name, basis.vectors, len(part), seconds, of))

    for rank in sorted({min(r, count) for r in (*cell["ranks"], cell["rank"])}):
        add("leading", gradients, rank)
    for share in cell["shares"]:
        part = gradients[: math.ceil(share * count)]
        add("fewer gradients", part, cell["rank"])
        blocks, seconds = timed(device, leading_blocks, part, widths, cell["rank"], of)
        label = ("fewer gradients, block", min(cell["rank"], len(part)), "axes", len(part))
        found.append(System(*label, blocks, seconds))
    vectors, seconds = timed(device, streamed, gradients.split(TOGETHER), cell["rank"])
    return found + of_vectors("streamed", vectors, count, seconds, of)


def systems(
    gradients: Tensor, widths: Sequence[int], cell: Mapping[str, Any], of: tuple[object, ...]
) -> list[System]:
    """Return every coordinate system asked for, in the gradients' precision."""
    nothing = completed(gradients[:0].T, (*of, "signs"))
    found = [
        System("original", 0, "none", 0, ()),
        System("random", 0, "random", 0, whole(nothing)),
        *matrices(gradients, widths, cell["bases"]),
    ]
    if "leading" not in cell["bases"]:
        return found
    for full in [one for one in found if one.basis == "full"]:
        vectors = full.blocks[0].vectors[:, : min(cell["rank"], len(gradients))]
        found += of_vectors("exact", vectors, len(gradients), full.seconds, of)
    return found + leading(gradients, widths, cell, of)


def of_inputs(inputs: Tensor, widths: Sequence[int]) -> list[System]:
    """Return rotations of the first layer's inputs that need no gradient, as folded bases.

    "mean input" turns one axis onto the mean of the inputs by a single reflection; "input SVD"
    takes the right singular vectors of the inputs.
    """
    d, device, exact = layers(widths)[-1].bias.stop, inputs.device.type, inputs.double()

    def reflected() -> tuple[Block, ...]:
        mean = exact.mean(0)
        eye = torch.eye(len(mean), dtype=exact.dtype, device=exact.device)
        turn = eye @ completed((mean / mean.norm()).unsqueeze(1))
        return (block(layers(widths)[0].weight, Sides(None, turn)),)

    ways = {"mean input": reflected, "input SVD": lambda: folded(exact.T @ exact, widths)}
    return [System(name, d, "none", 0, *timed(device, make)) for name, make in ways.items()]


def in_precision(blocks: Sequence[Block], dtype: torch.dtype) -> tuple[Block, ...]:
    """Return the blocks in the precision of training."""
    return tuple(Block(at, vectors.to(dtype)) for at, vectors in blocks)


def batches_of(count: int, samples: int, size: int, of: tuple[object, ...]) -> Tensor:
    """Draw ``count`` minibatches without replacement, (count, size), from the stream ``of``."""
    stream = seeds.generator(*of, "batches")
    return torch.stack([torch.randperm(samples, generator=stream)[:size] for _ in range(count)])


# --- gradients that stream by -------------------------------------------------------------------


def gradient_parts(
    network: Classifier, count: int, batch_size: int, of: tuple[object, ...]
) -> Iterator[Tensor]:
    """Yield ``count`` minibatch gradients at draws of the law of initializations, in parts."""
    for begin in range(0, count, TOGETHER):
        some, own = min(TOGETHER, count - begin), (*of, "rho", begin)
        points = draw_uniform_points(network.widths, some, of=own).to(network.inputs)
        rows = batches_of(some, network.samples, batch_size, own).to(points.device)
        yield egop.sample_gradients(network, points, rows)


class Estimate(NamedTuple):
    """What gradients that streamed by left, and the seconds that it took."""

    vectors: Tensor
    moments: list[sides.Moments]
    inputs: Tensor
    gradients: int
    sampling_s: float
    sketching_s: float
    moments_s: float
    inputs_s: float


def estimated(network: Classifier, cell: Mapping[str, Any], of: tuple[object, ...]) -> Estimate:
    """Sketch gradients and sum the moments of both layers' sides, a part at a time.

    The moment of the first layer's inputs is summed once more, alone, to see what that takes.
    """
    device, rank = network.inputs.device.type, cell["rank"]
    parts = gradient_parts(network, cell["gradients"], cell["batch_size"], of)
    rows = network.inputs.new_zeros(0, network.parameters)
    moments: list[sides.Moments] = []
    inputs = network.inputs.new_zeros(2 * [layers(network.widths)[0].inputs])
    seconds = [0.0, 0.0, 0.0, 0.0]
    while True:
        part, sampling = timed(device, next, parts, None)
        if part is None:
            break
        rows, sketching = timed(device, absorbed, rows, part, 2 * rank)
        new, summing = timed(device, layer_moments, part, network.widths)
        sums = zip(moments, new, strict=True) if moments else ()
        moments = [sides.added(*pair) for pair in sums] or new
        own, alone = timed(device, input_moment, part, network.widths)
        inputs = inputs + own
        spent = (sampling, sketching, summing, alone)
        seconds = [a + b for a, b in zip(seconds, spent, strict=True)]
    vectors, last = timed(device, leading_directions, rows, min(rank, len(rows)))
    seconds[1] += last
    return Estimate(vectors, moments, inputs, cell["gradients"], *seconds)


def streamed_systems(
    found: Estimate, cell: Mapping[str, Any], widths: Sequence[int], of: tuple[object, ...]
) -> list[System]:
    """Return the coordinate systems asked for that a pass over gradients gives."""
    d, count = layers(widths)[-1].bias.stop, found.gradients
    device = found.vectors.device.type
    product, turning = timed(device, product_bases, found.moments, widths)
    inputs, folding = timed(device, folded, found.inputs, widths)
    nothing = completed(found.vectors[:, :0], (*of, "signs"))
    result = [
        System("original", 0, "none", 0, ()),
        System("random", 0, "random", 0, whole(nothing)),
        *of_vectors("leading", found.vectors, count, found.sketching_s, of),
    ]
    result.append(System("Kronecker", d, "none", count, product, found.moments_s + turning))
    result.append(System("folded", d, "none", count, inputs, found.inputs_s + folding))
    return [one for one in result if one.basis in ("original", "random", *cell["bases"])]
