"""A trial by itself takes the path it takes in lockstep; what couples elements sees its matrix."""

import pytest
import torch

from hdnotes.batches import InOrder
from hdnotes.experiments.matrix_recovery_explained import draw_task
from hdnotes.optimizers import Method
from hdnotes.problems.matrix_recovery import draw_start
from hdnotes.training import train, train_alone

M, B, STEPS = 8, 4, 30
BATCHES = InOrder(STEPS * B, B, (0,))
TASK = draw_task(M, STEPS + 1, B, of=("alone",), dtype=torch.float64)
START = draw_start(M, M, False, of=("alone", "start"))


def alone(method: Method, rate: float, **options) -> torch.Tensor:
    return train_alone(
        TASK.problem, START, method(rate), STEPS, shape=(M, M), batches=BATCHES, **options
    )


@pytest.mark.parametrize(("name", "rate"), [("SGD", 0.2), ("Adam", 0.01), ("Rprop", 0.01)])
def test_it_ends_where_lockstep_ends(name: str, rate: float) -> None:
    run = train(TASK.problem, START[None], [Method(name)(rate)], STEPS, batches=BATCHES)
    assert torch.allclose(alone(Method(name), rate), run.point[0], rtol=1e-10, atol=1e-12)


def test_a_linear_decay_takes_the_rate_to_zero() -> None:
    point = START.clone()
    for step in range(STEPS):
        _, gradient = TASK.problem.loss_and_gradient(point[None], BATCHES.at(step))
        point = point - 0.2 * (1 - step / STEPS) * gradient[0]
    assert torch.allclose(alone(Method("SGD"), 0.2, decay=True), point)


def test_schedule_free_methods_are_judged_at_their_average() -> None:
    point, average = START.clone(), START.clone()
    for step in range(STEPS):
        seen = 0.1 * point + 0.9 * average
        _, gradient = TASK.problem.loss_and_gradient(seen[None], BATCHES.at(step))
        point = point - 0.2 * gradient[0]
        average = average + (point - average) / (step + 1)
    assert torch.allclose(alone(Method("ScheduleFreeSGD"), 0.2), average, atol=1e-8)


def test_muon_sees_a_matrix() -> None:
    end = alone(Method("Muon", {"weight_decay": 0.0, "momentum": 0.0}), 0.01).view(M, M)
    moved = (end - START.view(M, M)).norm(2) / STEPS
    assert 0 < moved < 0.02  # every step has spectral norm near the rate


def test_a_hopeless_run_is_given_up() -> None:
    assert alone(Method("SGD"), 50.0).isnan().all()
    assert alone(Method("Shampoo"), 1e9).isnan().all()


def test_sophia_is_given_the_curvature() -> None:
    asked = []

    def curvature(step: int) -> torch.Tensor:
        asked.append(step)
        return torch.ones(M, M)

    alone(Method("SophiaH"), 0.1, curvature=curvature)
    assert asked == [0, 10, 20]
