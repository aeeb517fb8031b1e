"""Noise has the lengths asked for, and depends on nothing but stream and step."""

from functools import partial

import pytest
import torch

from hdnotes import seeds
from hdnotes.long_training import train_long
from hdnotes.noise import BLOCK, Directions
from hdnotes.optimizers import Method
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, project

P, STEPS = 7, 2 * BLOCK + 5
LENGTHS = torch.rand(3, STEPS, generator=seeds.generator("lengths"), dtype=torch.float64) * 0.2


def make(streams=(1, 2, 1)) -> Directions:
    return Directions(LENGTHS, P, streams)


def test_lengths_are_those_asked_for_and_then_nothing_is_added():
    noise = make()
    for step in (0, 1, BLOCK, STEPS - 1):
        torch.testing.assert_close(noise.at(step).norm(dim=1), LENGTHS[:, step])
    for step in (STEPS, STEPS + 1000):
        assert noise.at(step).shape == (3, P)
        assert not noise.at(step).any()
    assert not Directions(LENGTHS * 0, P, (1, 2, 3)).at(5).any()


def test_a_step_is_the_same_wherever_a_run_is_resumed():
    forward = make()
    path = [forward.at(step).clone() for step in range(STEPS)]
    for step in (STEPS - 1, BLOCK + 3, 2, BLOCK):
        assert torch.equal(make().at(step), path[step])
        assert torch.equal(forward.at(step), path[step])


def test_trials_draw_the_same_in_any_company():
    noise = make()
    whole = noise.at(9).clone()
    assert torch.equal(noise.take([2, 0]).at(9), whole[[2, 0]])
    assert torch.equal(make().take([1]).at(BLOCK + 1), make().at(BLOCK + 1)[[1]])


def test_streams_are_shared_by_name_and_differ_otherwise():
    unit = make().at(4) / LENGTHS[:, 4, None]
    torch.testing.assert_close(unit[0], unit[2])
    assert (unit[0] - unit[1]).norm() > 0.1


def test_directions_are_uniform():
    noise = Directions(torch.ones(1, 4000, dtype=torch.float64), P, (3,))
    drawn = torch.cat([noise.at(step) for step in range(4000)])
    assert drawn.mean(0).norm() < 5 * (1 / 4000) ** 0.5
    torch.testing.assert_close(
        drawn.T @ drawn / 4000, torch.eye(P, dtype=torch.float64) / P, atol=0.02, rtol=0
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_long_run_with_noise_is_the_plain_loop(momentum):
    """Each trial: a step of torch's SGD, its push, back to the sphere; one leaves early."""
    data = [draw_data("quadratic", 20, P, of=("noise", k), dtype=torch.float64) for k in range(3)]
    problem = PhaseRetrieval("quadratic", *zip(*data, strict=True), (0, 1, 2))
    start = torch.stack([seeds.normal(P, of=("noise", "start", t)) for t in range(3)])
    run = train_long(
        problem,
        start,
        [Method("SGD", {"momentum": momentum})(0.002)] * 3,
        STEPS,
        noise=make(),
        project=partial(project, features=P),
        stop=lambda visit: torch.arange(len(visit.point)).eq(0) & torch.tensor(visit.step == 70),
        every=10,
    )
    assert run.steps.tolist() == [70, STEPS, STEPS]
    for trial, (x, y, _) in enumerate(data):
        w, buffer, noise = start[trial].clone(), torch.zeros(P, dtype=torch.float64), make()
        for step in range(int(run.steps[trial])):
            h = x @ w
            buffer = momentum * buffer + x.T @ (2 * (h**2 - y) * h)
            w = w - 0.002 * buffer + noise.at(step)[trial]
            w = w * P**0.5 / w.norm()
        torch.testing.assert_close(run.point[trial], w, rtol=1e-10, atol=1e-10)
