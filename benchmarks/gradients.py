"""EGOP gradients of the digits network: stacked back-propagation against one autograd call each.

On the full batch both do the same products, timed by themselves, and the same passes over hidden
units and outputs: there is little to gain.
"""

import torch
from timing import ratio, report

from hdnotes import seeds
from hdnotes.measures.egop import sample_gradients
from hdnotes.problems.classifier import Classifier, draw_points

WIDTHS, SAMPLES = (64, 32, 10), 3823


def plain(points: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor, batches) -> None:
    """Take each gradient by itself: torch.nn and one autograd call."""
    network = torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ).to(points.dtype)
    parameters = list(network.parameters())
    for k, point in enumerate(points):
        torch.nn.utils.vector_to_parameters(point, parameters)
        x, y = (inputs, labels) if batches is None else (inputs[batches[k]], labels[batches[k]])
        loss = torch.nn.functional.cross_entropy(network(x), y)
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def products(points: torch.Tensor, inputs: torch.Tensor) -> None:
    """Do the five matrix products of each gradient and nothing else."""
    hidden, out = inputs.new_empty(len(inputs), 32), inputs.new_empty(len(inputs), 10)
    first, second = (torch.ones(shape, dtype=inputs.dtype) for shape in ((32, 64), (10, 32)))
    for _ in points:
        torch.mm(inputs, first.T, out=hidden)
        torch.mm(hidden, second.T, out=out)
        torch.mm(out.T, hidden)
        torch.mm(out, second)
        torch.mm(hidden.T, inputs)


def main() -> None:
    for dtype in (torch.float32, torch.float64):
        inputs = seeds.normal(SAMPLES, 64, of=("bench", "inputs")).to(dtype)
        labels = torch.arange(SAMPLES) % 10
        problem = Classifier(WIDTHS, inputs, labels, (0,))
        for batch, count, target in ((300, 500, 2.5), (None, 60, 1.0)):
            points = draw_points(WIDTHS, count, "xavier", of=("bench",)).to(dtype)
            stream = seeds.generator("bench", "batches")
            rows = [torch.randperm(SAMPLES, generator=stream)[:batch] for _ in range(count)]
            batches = None if batch is None else torch.stack(rows)
            found = ratio(
                lambda p=points, x=inputs, y=labels, b=batches: plain(p, x, y, b),
                lambda f=problem, p=points, b=batches: sample_gradients(f, p, b),
            )
            seen = f"minibatch {batch}" if batch else "full batch"
            name = f"gradients of the digits network, {seen}, {str(dtype)[6:]}"
            report(name, found, target)
            if batch is None:
                bare = ratio(
                    lambda p=points, x=inputs: products(p, x),
                    lambda f=problem, p=points: sample_gradients(f, p, None),
                )
                report(f"bare matrix products in the time of {name}", bare, unit="of it")


if __name__ == "__main__":
    main()
