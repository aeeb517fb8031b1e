"""Every formula of the flow against the chain rule, a matrix power, quadrature or an ODE solver."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp

from hdnotes import seeds
from hdnotes.measures.vector_fields import asymmetry, keyhole
from hdnotes.problems import linear_network as network
from hdnotes.theory import linear_networks as theory

DEPTHS = (1, 2, 3, 5)


def factors(depth: int) -> list[torch.Tensor]:
    widths = (4, *(5,) * (depth - 1), 3)
    matrix = seeds.normal(3, 4, of=("theory", "W", depth))
    return network.balanced_factors(matrix, widths, of=("theory", depth))


def stretched(depth: int) -> list[torch.Tensor]:
    first, *others = factors(depth)
    return [1.5 * first, *others]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("made", [factors, stretched])
def test_the_kernel_is_that_of_the_jacobian(depth: int, made) -> None:
    tensors = tuple(made(depth))
    parts = torch.autograd.functional.jacobian(lambda *f: network.end_to_end(f), tensors)
    matrix = torch.cat([part.flatten(2).flatten(0, 1) for part in parts], 1)
    torch.testing.assert_close(theory.kernel(tensors), matrix @ matrix.T)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_preconditioner_is_the_sum_of_powers(depth: int) -> None:
    w, g = network.end_to_end(factors(depth)), seeds.normal(3, 4, of=("theory", "G"))

    def power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * values.clamp(min=1e-300) ** exponent) @ vectors.T

    expected = sum(
        power(w @ w.T, (depth - j) / depth) @ g @ power(w.T @ w, (j - 1) / depth)
        for j in range(1, depth + 1)
    )
    found = theory.preconditioned(w, g, depth)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, (theory.kernel(factors(depth)) @ g.flatten()).view(3, 4))


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_spectrum_is_the_formula(depth: int) -> None:
    w = network.end_to_end(factors(depth))
    found = torch.linalg.eigvalsh(theory.kernel(factors(depth)))
    said = theory.eigenvalues(torch.linalg.svdvals(w), (3, 4), depth).flatten().sort().values
    torch.testing.assert_close(found, said, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", range(1, 7))
def test_the_loop_integral_is_its_closed_form(depth: int) -> None:
    g = seeds.normal(4, of=("theory", "direction"))
    loop = keyhole(g / g.norm(), 0.1, 1.0)

    def field(points: torch.Tensor) -> torch.Tensor:
        rows = points.unsqueeze(1)
        return theory.preconditioned(rows, g.expand_as(rows), depth).squeeze(1)

    expected = float(g.norm()) * theory.loop_integral(depth, 0.1, 1.0)
    assert float(loop.circulation(field)) == pytest.approx(expected, abs=1e-12)


def test_the_known_values_of_the_loop() -> None:
    assert theory.loop_integral(3, 0.1, 1.0) == pytest.approx(0.5688, abs=5e-5)
    assert theory.loop_integral(2, 0.1, 1.0) == theory.loop_integral(1, 0.1, 1.0) == 0


def test_depth_two_and_one_output_has_a_potential() -> None:
    g = seeds.normal(1, 4, of=("theory", "g"))
    w = seeds.normal(1, 4, of=("theory", "w")).requires_grad_()
    potential = w.norm() * (w * g).sum()
    (gradient,) = torch.autograd.grad(potential, w)
    torch.testing.assert_close(theory.preconditioned(w.detach(), g, 2), gradient)
    fields = [lambda x, n=n: theory.preconditioned(x, g.expand_as(x), n) for n in (2, 3)]
    assert asymmetry(fields[0], w.detach()) < 1e-8 < 0.01 < asymmetry(fields[1], w.detach())


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_singular_value_follows_its_equation(depth: int) -> None:
    target, start = 2.0, 0.05
    times = torch.linspace(0, 8, 4001)
    ode = solve_ivp(
        lambda t, s: depth * s ** (2 - 2 / depth) * (target - s),
        (0, 8),
        [start],
        t_eval=times.numpy(),
        rtol=1e-10,
        atol=1e-12,
    )
    path = torch.as_tensor(ode.y[0])
    found = theory.singular_value_path(times, target - path, torch.tensor(start), depth)
    torch.testing.assert_close(found, path, rtol=1e-3, atol=1e-4)


def test_the_rate_is_twice_the_smallest_eigenvalue() -> None:
    values = torch.tensor([2.0, 1.0, 0.5])
    for depth in DEPTHS:
        smallest = float(theory.eigenvalues(values, (3, 3), depth).min())
        assert theory.linear_rate(0.5, depth) == pytest.approx(2 * smallest)
    assert math.isclose(theory.linear_rate(0.5, 2), 2.0)
