"""Weight decay and its growing rate visit the same directions, by loops written out by hand."""

import math

import pytest
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.theory import scale_invariance as theory

START = seeds.normal(6, of=("scale invariance", "start"))
TARGETS = seeds.normal(80, 6, of=("scale invariance", "targets"))


def gradient(theta: Tensor, step: int) -> Tensor:
    """Return the gradient of a stochastic loss of the direction only, linear and quadratic."""
    theta = theta.clone().requires_grad_()
    unit = theta / theta.norm()
    loss = TARGETS[step] @ unit + (TARGETS[step] @ unit) ** 2
    return torch.autograd.grad(loss, theta)[0]


def descend(rates, momentum: float, decay: float, buffer: Tensor) -> list[Tensor]:
    """Return the path of v <- g v + grad + lambda theta, theta <- theta - eta v."""
    theta, v, path = START, buffer, [START]
    for step, rate in enumerate(rates.tolist()):
        v = momentum * v + gradient(theta, step) + decay * theta
        theta = theta - rate * v
        path.append(theta)
    return path


def largest_turn(one: list[Tensor], two: list[Tensor]) -> float:
    return max(float((a / a.norm() - b / b.norm()).norm()) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.5), (0.5, 0.1), (0.9, 0.02)])
def test_the_theorem(momentum, decay):
    rate, steps, zero = 0.1, 80, torch.zeros(6)
    decayed = descend(torch.full((steps,), rate), momentum, decay, zero)
    grown = theory.constant_twin(rate, decay, momentum, steps)
    first = theory.first_buffer(START, rate, decay, momentum)
    twin = descend(grown, momentum, 0.0, first)
    assert largest_turn(decayed, twin) < 1e-10
    a = theory.growth(momentum, rate * decay)
    torch.testing.assert_close(twin[-1], a**-steps * decayed[-1], rtol=1e-10, atol=1e-12)
    if momentum:
        assert largest_turn(decayed, descend(grown, momentum, 0.0, zero)) > 1e-3


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_any_schedule_has_a_twin_from_an_empty_buffer(momentum):
    time = torch.arange(80.0)
    rates = 0.1 * (1.1 + torch.cos(time / 9)) * 0.3 ** (time > 40)
    twin = theory.twin(rates, 0.02, momentum)
    decayed = descend(rates, momentum, 0.02, torch.zeros(6))
    grown = descend(twin.rates, momentum, 0.0, torch.zeros(6))
    assert largest_turn(decayed, grown) < 1e-10
    torch.testing.assert_close(grown[79], twin.scales[-1] * decayed[79], rtol=1e-10, atol=1e-12)


def test_a_constant_schedule_grows_by_the_root_in_the_end():
    twin = theory.twin(torch.full((400,), 0.1, dtype=torch.float64), 0.02, 0.9)
    ratio = twin.rates[-1] / twin.rates[-2]
    assert ratio.item() == pytest.approx(theory.growth(0.9, 0.002) ** -2, rel=1e-9)
    without = theory.twin(torch.full((5,), 0.1, dtype=torch.float64), 0.02, 0.0).rates
    torch.testing.assert_close(without, theory.constant_twin(0.1, 0.02, 0.0, 5))


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_the_growth_is_the_larger_root_and_real_up_to_its_limit(momentum):
    limit = (1 - math.sqrt(momentum)) ** 2
    for share in (0.0, 0.5, 1.0):
        a = theory.growth(momentum, share * limit)
        assert a**2 - (1 + momentum - share * limit) * a + momentum == pytest.approx(0, abs=1e-12)
        assert a >= math.sqrt(momentum) - 1e-12
    with pytest.raises(ValueError, match="decay_rate = .* is not allowed"):
        theory.growth(momentum, 1.01 * limit + 1e-9)


def test_a_decay_that_would_turn_the_weights_round_has_no_twin():
    with pytest.raises(ValueError, match="a_0 = -1 is not allowed"):
        theory.twin(torch.tensor([1.0, 1.0]), 2.0, 0.0)


def test_the_rate_overflows_where_it_is_said_to():
    step = theory.overflow_step(0.1, 0.02, 0.9, 1e10)
    rates = theory.constant_twin(0.1, 0.02, 0.9, 10_000)
    assert int((rates < 1e10).sum()) == math.floor(step) + 1


def test_adamw_has_a_twin():
    rate, decay, betas, steps = 0.05, 0.4, (0.9, 0.99), 60
    twin = theory.adam_twin(rate, decay, betas, steps)

    def adam(rates: Tensor, betas: tuple[float, float], decay: float) -> list[Tensor]:
        theta, m, v, path = START, torch.zeros(6), torch.zeros(6), [START]
        for step, rate in enumerate(rates.tolist()):
            g = gradient(theta, step)
            m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
            hats = m / (1 - betas[0] ** (step + 1)), v / (1 - betas[1] ** (step + 1))
            theta = (1 - rate * decay) * theta - rate * hats[0] / hats[1].sqrt()
            path.append(theta)
        return path

    decayed = adam(torch.full((steps,), rate, dtype=torch.float64), betas, decay)
    grown = adam(twin.rates, twin.betas, 0.0)
    assert largest_turn(decayed, grown) < 1e-10
    torch.testing.assert_close(grown[59], twin.scales[-1] * decayed[59], rtol=1e-10, atol=1e-12)
    assert largest_turn(decayed, adam(twin.rates, betas, 0.0)) > 1e-4


def test_a_norm_under_random_steps_settles_as_predicted():
    eta, decay, gradient = 0.1, 0.01, 2.0
    far, near = 50.0, 5.0
    for _ in range(int(theory.settling(eta * decay))):
        far, near = ((1 - eta * decay) ** 2 * x + (eta * gradient) ** 2 / x for x in (far, near))
    assert (far**2 - near**2) / (50.0**2 - 5.0**2) == pytest.approx(1 / math.e, rel=0.02)
    for _ in range(20_000):
        near = (1 - eta * decay) ** 2 * near + (eta * gradient) ** 2 / near
    assert eta * gradient / near == pytest.approx(theory.rotation(eta * decay), rel=1e-3)


def test_updates_of_pure_noise_turn_weights_as_predicted():
    d, rate, decay, g = 2000, 0.1, 0.02, 0.8
    theta, v, turns = seeds.normal(d, of=("noise", "start")), torch.zeros(d), []
    noise = seeds.normal(4000, d, of=("noise",)) / d**0.5
    for step in range(4000):
        v = g * v + noise[step] / theta.norm() + decay * theta
        before, theta = theta, theta - rate * v
        turns.append((theta / theta.norm() - before / before.norm()).norm())
    late = torch.stack(turns[1000:]).square().mean().sqrt().item()
    assert late == pytest.approx(theory.rotation(rate * decay, g), rel=0.03)


def test_adamws_updates_of_pure_noise_turn_weights_as_predicted():
    d, rate, decay = 2000, 0.01, 0.3
    theta = torch.nn.Parameter(seeds.normal(d, of=("noise", "start")) / 4)
    optimizer = torch.optim.AdamW([theta], lr=rate, weight_decay=decay)
    noise, turns = seeds.normal(1500, d, of=("noise",)), []
    for step in range(1500):
        before = theta.detach().clone()
        theta.grad = noise[step]
        optimizer.step()
        after = theta.detach()
        turns.append((after / after.norm() - before / before.norm()).norm())
    late = torch.stack(turns[700:]).square().mean().sqrt().item()
    assert late == pytest.approx(theory.adam_rotation(rate * decay, 0.9), rel=0.03)
    assert theory.adam_settling(rate * decay) < 200
