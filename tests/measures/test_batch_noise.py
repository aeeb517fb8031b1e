"""What is measured along a path is what a plain loop finds there."""

from functools import partial

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Persistent, Shuffled
from hdnotes.measures.batch_noise import carried_noise
from hdnotes.optimizers import Lockstep, Method
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, project

P, N, STEPS, BETA = 10, 24, 60, 0.8


def drawn() -> tuple[PhaseRetrieval, torch.Tensor]:
    data = [draw_data("quadratic", N, P, of=("noise", k), dtype=torch.float64) for k in range(2)]
    x, y, w = (tuple(part) for part in zip(*data, strict=True))
    start = torch.stack([seeds.normal(P, of=("noise", "start", k)) for k in range(2)])
    return PhaseRetrieval("quadratic", x, y, w, (0, 1)), start


def plain(x, y, w, masks) -> float:
    """Train one student by torch's Adam and autograd, keeping the noise's running mean."""
    w = w.clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=0.01)
    mean, kept, total = torch.zeros(P), 0.0, 0.0
    for step, mask in enumerate(masks):
        losses = ((x @ w) ** 2 - y) ** 2 / 2
        (batch,) = torch.autograd.grad((mask * losses).sum(), w, retain_graph=True)
        (whole,) = torch.autograd.grad(losses.sum(), w)
        noise = batch - 0.5 * whole
        mean = BETA * mean + (1 - BETA) * noise
        if step >= STEPS // 2:
            kept, total = kept + mean.square().sum().item(), total + noise.square().sum().item()
        w.grad = batch
        adam.step()
        with torch.no_grad():
            w *= P**0.5 / w.norm()
    return kept / total


@pytest.mark.parametrize("kind", ["shuffled", "persistent"])
def test_it_is_what_a_plain_loop_measures(kind):
    problem, start = drawn()
    batches = (
        Shuffled(N, N // 2, (1, 2))
        if kind == "shuffled"
        else Persistent(N, 0.5, (0.1, 0.1), (1, 2))
    )
    masks = torch.zeros(STEPS, 2, N)
    for step in range(STEPS):
        seen = batches.at(step)
        masks[step] = seen if kind == "persistent" else masks[step].scatter(1, seen, 1.0)
    expected = [
        plain(problem.inputs[t], problem.targets[t], start[t], masks[:, t]) for t in range(2)
    ]
    found = carried_noise(
        problem,
        Lockstep(start.clone(), [Method("Adam")(0.01)] * 2),
        batches,
        STEPS,
        fraction=0.5,
        beta=BETA,
        project=partial(project, features=P),
    )
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-10, atol=1e-12)
