"""Parts seen with their shapes follow the plain loop; turning coordinates carries what is known."""

import pytest
import torch
from torch import Tensor

from hdnotes.batches import Shuffled
from hdnotes.matrix_training import Part, Trained, train_parts
from hdnotes.measures.egop import random_basis
from hdnotes.optimizers import Method
from hdnotes.problems.linear_network import LinearNetwork, mean_squares, xavier_points
from hdnotes.problems.rotated import Block, Rotated
from hdnotes.scheduled_training import Arm, train_scheduled
from hdnotes.schedules import cosine_annealing
from hdnotes.seeds import normal

WIDTHS, STEPS = (3, 4, 2), 30
DATA = normal(3, 60, of=("parts", "A"))
NETWORK = LinearNetwork(WIDTHS, mean_squares, (DATA,), (normal(2, 60, of=("parts", "Y")),), (0,))
START = xavier_points(WIDTHS, 1, of=("parts", "start"))[0]
BATCHES = Shuffled(60, 20, (1,))
MATRICES = ((slice(0, 12), (4, 3)), (slice(12, 20), (2, 4)))
RATES = 0.05 * cosine_annealing(STEPS // 3, 3)
BASES = [
    tuple(
        Block(at, random_basis(at.stop - at.start, of=("parts", at.start, k))) for at, _ in MATRICES
    )
    for k in range(2)
]


def trained(
    method: Method, *, whole=True, blocks=(), turn=None, rates=RATES, carry=True
) -> Trained:
    parts = [Part(at, shape, method) for at, shape in MATRICES]
    return train_parts(
        Rotated(NETWORK, (blocks,), (0,)),
        START,
        [Part(slice(0, 20), (20,), method)] if whole else parts,
        rates,
        batches=BATCHES,
        record=[0, STEPS],
        look=lambda point: NETWORK.loss_and_gradient(point[None])[0],
        turn=turn,
        carry=carry,
    )


def new_bases(blocks, at_step: int = 10):
    return lambda step, point, gradient: blocks if step == at_step else None


@pytest.mark.parametrize("blocks", [(), BASES[0]])
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_a_trial_follows_the_path_it_takes_in_the_scheduled_loop(name, blocks) -> None:
    problem = Rotated(NETWORK, (blocks,), (0,))
    run = train_scheduled(
        problem, [Arm(Method(name), RATES, problem.coordinates(START[None]))], batches=BATCHES
    )
    for whole in (True, False):
        if whole or not blocks:
            end = trained(Method(name), whole=whole, blocks=blocks).point
            torch.testing.assert_close(end, problem.original(run.point)[0], rtol=1e-10, atol=1e-12)


def test_what_is_seen_is_the_loss_at_the_recorded_steps() -> None:
    run = trained(Method("Adam"))
    first, last = (NETWORK.loss_and_gradient(x[None])[0] for x in (START, run.point))
    torch.testing.assert_close(run.seen, torch.stack([first, last]))


def test_a_matrix_is_seen_as_a_matrix() -> None:
    states = trained(Method("SOAP", {"weight_decay": 0.0}), whole=False).states
    assert [[len(q) for q in state["Q"]] for state in states] == [[4, 3], [2, 4]]


def test_descent_with_momentum_does_not_notice_a_turn() -> None:
    method = Method("SGD", {"momentum": 0.9})
    turned = trained(method, blocks=BASES[0], turn=new_bases(BASES[1])).point
    torch.testing.assert_close(turned, trained(method).point, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_other_order_and_signs_of_the_columns_are_no_turn(name) -> None:
    shuffled = tuple(
        Block(at, vectors.flip(1) * (-1.0) ** torch.arange(len(vectors)))
        for at, vectors in BASES[0]
    )
    still = trained(Method(name), blocks=BASES[0]).point
    turned = trained(Method(name), blocks=BASES[0], turn=new_bases(shuffled)).point
    torch.testing.assert_close(turned, still, rtol=1e-10, atol=1e-12)
    other = trained(Method(name), blocks=BASES[0], turn=new_bases(BASES[1])).point
    assert (other - still).norm() > 1e-3


def test_adam_carries_means_and_squares_as_the_plain_loop_does() -> None:
    v = [torch.block_diag(*(block.vectors for block in blocks)) for blocks in BASES]
    t, basis = v[0].T @ START, v[0]
    mean, squares = torch.zeros(20).double(), torch.zeros(20).double()
    for step in range(STEPS):
        gradient = NETWORK.loss_and_gradient((basis @ t)[None], BATCHES.at(step))[1][0]
        if step == 10:
            overlap, basis = v[0].T @ v[1], v[1]
            t, mean = overlap.T @ t, overlap.T @ mean
            squares = (overlap**2).T @ squares
        g = basis.T @ gradient
        mean = 0.9 * mean + 0.1 * g
        squares = 0.999 * squares + 0.001 * g**2
        root = (squares / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
        t = t - RATES[step] * mean / (1 - 0.9 ** (step + 1)) / root
    end = trained(Method("Adam"), blocks=BASES[0], turn=new_bases(BASES[1])).point
    torch.testing.assert_close(end, basis @ t, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_a_method_that_does_not_carry_starts_anew(name) -> None:
    turn = new_bases(BASES[1])
    end = trained(Method(name), blocks=BASES[0], turn=turn, carry=False).point
    start = trained(Method(name), blocks=BASES[0], rates=RATES[:10]).point
    problem = Rotated(NETWORK, (BASES[1],), (0,))
    view = torch.nn.Parameter(problem.coordinates(start[None])[0].clone())
    optimizer = getattr(torch.optim, name)([view], lr=1.0)
    for step in range(10, STEPS):
        view.grad = problem.loss_and_gradient(view.detach()[None], BATCHES.at(step))[1][0]
        optimizer.param_groups[0]["lr"] = float(RATES[step])
        optimizer.step()
    expected = problem.original(view.detach()[None])[0]
    torch.testing.assert_close(end, expected, rtol=1e-10, atol=1e-12)


def test_a_turn_is_asked_with_original_point_and_gradient() -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    def turn(step, point, gradient):
        asked.append((point, gradient))

    trained(Method("Adam"), blocks=BASES[0], turn=turn)
    assert len(asked) == STEPS
    torch.testing.assert_close(asked[0][0], START)
    plain = NETWORK.loss_and_gradient(START[None], BATCHES.at(0))[1][0]
    torch.testing.assert_close(asked[0][1], plain)


@pytest.mark.parametrize("method", [Method("SGD"), Method("Shampoo")])
def test_a_hopeless_run_is_given_up(method) -> None:
    run = trained(method, whole=False, rates=1e9 * torch.ones(STEPS))
    assert run.seen[0].isfinite()
    assert run.seen[1].isinf()
