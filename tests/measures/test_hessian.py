"""The Hessian against autograd and geodesics, and what is known of its rank."""

import pytest
import torch

from hdnotes import seeds
from hdnotes.measures.hessian import hessian
from hdnotes.problems.convex import orthonormal
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_data, project

P, N = 10, 27


def make(hidden: int, channel: str = "quadratic", data_of=(0,)) -> PhaseRetrieval:
    x, y, w = draw_data(channel, N, P, of=("hessian",), dtype=torch.float64)
    return PhaseRetrieval(channel, (x,), (y,), (w,), data_of, hidden)


def point_of(hidden: int) -> torch.Tensor:
    point = seeds.normal(1, hidden * P, of=("hessian", "point"))
    project(point, P)
    return point[0]


def mask_of(kind: str) -> torch.Tensor | None:
    draws = torch.rand(N, generator=seeds.generator("hessian", "mask"))
    return None if kind == "all" else (draws < 0.5).double()


def plain(problem: PhaseRetrieval, mask: torch.Tensor | None):
    x, y = problem.inputs[0], problem.targets[0]
    counts = torch.ones(N) if mask is None else mask

    def loss(w: torch.Tensor) -> torch.Tensor:
        answers = (x @ w.view(problem.hidden, P).T).square().mean(1)
        return (counts * (answers - y) ** 2).sum() / 2

    return loss


@pytest.mark.parametrize("kind", ["all", "half"])
@pytest.mark.parametrize("hidden", [1, 3])
def test_matrix_and_product_are_those_of_autograd(hidden, kind):
    problem, w, mask = make(hidden), point_of(hidden), mask_of(kind)
    expected = torch.autograd.functional.hessian(plain(problem, mask), w)
    found = hessian(problem, w, mask)
    torch.testing.assert_close(found.matrix(), expected, rtol=1e-10, atol=1e-10)
    vectors = seeds.normal(4, hidden * P, of=("hessian", "vectors"))
    torch.testing.assert_close(found.product(vectors), vectors @ expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("hidden", [1, 3])
def test_on_the_spheres_it_is_the_second_derivative_along_great_circles(hidden):
    problem, w, mask = make(hidden), point_of(hidden), mask_of("half")
    loss, found = plain(problem, mask), hessian(problem, w, mask)
    units = w.view(hidden, P)
    bases = torch.linalg.qr(units.unsqueeze(2), mode="complete").Q[:, :, 1:]
    matrix = found.on_spheres(found.matrix())
    coordinates = seeds.normal(hidden, P - 1, of=("hessian", "direction"))
    tangent = torch.einsum("ipa,ia->ip", bases, coordinates)

    def along(t: torch.Tensor) -> torch.Tensor:
        radius, speed = units.norm(dim=1, keepdim=True), tangent.norm(dim=1, keepdim=True)
        angle = t * speed / radius
        return loss((angle.cos() * units + angle.sin() * radius * tangent / speed).flatten())

    expected = torch.autograd.functional.hessian(along, torch.zeros(()))
    flat = coordinates.flatten()
    torch.testing.assert_close(flat @ matrix @ flat, expected, rtol=1e-9, atol=1e-9)


def test_the_gradient_along_the_spheres_is_that_of_autograd_without_its_radial_part():
    problem, w = make(3), point_of(3).requires_grad_()
    (whole,) = torch.autograd.grad(plain(problem, None)(w), w)
    units, whole = w.detach().view(3, P), whole.view(3, P)
    radial = (whole * units).sum(1) / units.square().sum(1)
    found = hessian(problem, w.detach())
    torch.testing.assert_close(found.multipliers, radial)
    torch.testing.assert_close(found.gradient, whole - radial.unsqueeze(1) * units)


@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_at_the_teacher_all_but_one_in_d_eigenvalues_are_zero(hidden):
    problem = make(hidden)
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0])[:hidden]
    copies = (signs.unsqueeze(1) * problem.teachers[0]).flatten()
    found = hessian(problem, copies)
    values = torch.linalg.eigvalsh(found.matrix())
    assert int((values.abs() < 1e-9).sum()) == (hidden - 1) * P
    assert values.min() > -1e-9
    assert found.gradient.abs().max() < 1e-9


def test_eigenvalues_beyond_the_samples_come_from_the_residuals_alone():
    """R repeats on every unit, so at most d (negative ones of R) are negative."""
    problem, w = make(4), point_of(4)
    found = hessian(problem, w)
    x = found.inputs
    residual = torch.linalg.eigvalsh((x.T * found.residual) @ x)
    values = torch.linalg.eigvalsh(found.matrix())
    assert int((values < -1e-9).sum()) <= 4 * int((residual < 0).sum())
    positive = found.matrix() - torch.block_diag(*[(x.T * found.residual) @ x] * 4)
    assert int(torch.linalg.matrix_rank(positive)) == N < 4 * P


def test_rotating_the_inputs_leaves_the_eigenvalues():
    problem, w = make(2), point_of(2)
    turn = orthonormal(P, P, of=("hessian", "turn"))
    turned = PhaseRetrieval(
        "quadratic",
        (problem.inputs[0] @ turn,),
        problem.targets,
        (problem.teachers[0] @ turn,),
        (0,),
        2,
    )
    other = hessian(turned, (w.view(2, P) @ turn).flatten())
    found = hessian(problem, w)
    for a, b in (
        (found.matrix(), other.matrix()),
        (found.on_spheres(found.matrix()), other.on_spheres(other.matrix())),
    ):
        torch.testing.assert_close(torch.linalg.eigvalsh(a), torch.linalg.eigvalsh(b))


@pytest.mark.parametrize(("channel", "data_of"), [("absolute", (0,)), ("quadratic", (0, 0))])
def test_what_has_no_hessian_here_is_refused(channel, data_of):
    with pytest.raises(ValueError, match=r"it needs the channel 'quadratic' and one trial"):
        hessian(make(1, channel, data_of), point_of(1))
