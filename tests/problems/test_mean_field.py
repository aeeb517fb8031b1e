"""The crowd has the layer's moments, and takes the layer's path."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import InOrder
from hdnotes.experiments import matrix_recovery_explained
from hdnotes.optimizers import Method
from hdnotes.problems.matrix_recovery import MatrixRecovery, draw_inputs, draw_start, with_ones
from hdnotes.problems.mean_field import MeanField, draw_mean_field
from hdnotes.training import train

M, N, B = 12, 7, 5
DRAWS = 2000


def crowd(bias: bool, clip: float | None = None, **changes) -> tuple[MeanField, torch.Tensor]:
    settings = {"scale": 1.0, "batch": B, "steps": DRAWS, "trials": 1, "crowd": 64, **changes}
    return draw_mean_field(M, N, clip=clip, bias=bias, of=("crowd",), **settings)


@pytest.mark.parametrize("bias", [True, False])
def test_the_gradient_has_the_layers_first_two_moments(bias: bool) -> None:
    error, offset = seeds.normal(N, M, of=("e",)), seeds.normal(N, int(bias), of=("b",))
    x = draw_inputs(DRAWS * B, M, torch.float64, of=("moments",)).unflatten(0, (DRAWS, B))
    y = torch.zeros(DRAWS, N, B)
    layer = MatrixRecovery((with_ones(x) if bias else x,), (y,), (0,), B)
    point = torch.cat([error, offset], 1).flatten().unsqueeze(0)
    real = torch.cat([layer.loss_and_gradient(point, s)[1] for s in _steps(B)]).unflatten(
        1, (N, -1)
    )
    weights = N * M  # the crowd stands for just this layer
    problem = MeanField(
        torch.zeros(weights), seeds.normal(2000, weights + N * bias, of=("z",)), M, N, B, None, (0,)
    )
    own = torch.cat([error.flatten(), offset.flatten()]).unsqueeze(0)
    model = torch.cat([problem.loss_and_gradient(own, s)[1] for s in _steps(1)])
    for part in (slice(0, M), slice(M, M + bias)):
        one = real[..., part].flatten(1)
        two = model[:, :weights] if part.start == 0 else model[:, weights:]
        assert torch.allclose(one.mean(0), two.mean(0), atol=0.35)
        if one.shape[1]:
            assert one.square().sum(1).mean().item() == pytest.approx(
                two.square().sum(1).mean().item(), rel=0.02
            )


def _steps(size: int) -> torch.Tensor:
    """Return what `InOrder` gives at every step: the number of its first sample."""
    return torch.arange(DRAWS).mul(size).view(-1, 1, 1)


def test_the_loss_is_that_of_a_fresh_batch() -> None:
    error, offset = seeds.normal(N, M, of=("e",)), seeds.normal(N, of=("b",))
    problem = MeanField(torch.zeros(N * M), torch.zeros(1, N * M + N), M, N, B, None, (0,))
    point = torch.cat([error.flatten(), offset]).unsqueeze(0)
    expected = B * (error.square().sum() / M + offset.square().sum())
    assert problem.loss_and_gradient(point)[0].item() == pytest.approx(expected.item())


def test_a_clipped_crowd_has_the_norm_of_the_layer_that_it_stands_for() -> None:
    problem, start = crowd(True, clip=0.5)
    _, gradient = problem.loss_and_gradient(start.unsqueeze(0), torch.zeros(1, 1, dtype=torch.long))
    weights, biases = gradient.split([64, 16], 1)
    norm = (N * M * weights.square().mean() + N * biases.square().mean()).sqrt()
    assert norm.item() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("method", "rate"), [("SGD", 0.1), ("Adam", 0.01), ("Adagrad", 0.05), ("RMSprop", 0.003)]
)
def test_the_crowd_takes_the_layers_path(method: str, rate: float) -> None:
    m, steps, size = 96, 120, 24
    name = ("path", method)
    task = matrix_recovery_explained.draw_task(m, steps + 1, size, of=name, dtype=torch.float64)
    problem, start = draw_mean_field(
        m, m, scale=1, batch=size, steps=steps, clip=None, bias=False, trials=1, of=name
    )
    begin = draw_start(m, m, False, of=(*name, "start"))
    settings = [Method(method)(rate)]
    layer = train(
        task.problem, begin[None], settings, steps, batches=InOrder(steps * size, size, (0,))
    )
    model = train(problem, start[None], settings, steps, batches=InOrder(steps, 1, (0,)))
    gap = 10 * (model.loss[0, -1] / layer.loss[0, -1]).log10()
    assert abs(gap.item()) < 2.0
    assert 10 * (layer.loss[0, 0] / layer.loss[0, -1]).log10() > 10  # it did learn
