"""Parts seen with their shapes follow the plain loop; turning coordinates carries what is known."""

import pytest
import torch
from torch import Tensor

from hdnotes.batches import Shuffled
from hdnotes.matrix_training import Part, Trained, Turning, train_parts
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


def trained(method: Method, *, whole=True, blocks=(), turning=None, rates=RATES[None]) -> Trained:
    parts = [Part(at, shape, method) for at, shape in MATRICES]
    runs = len(rates)
    return train_parts(
        Rotated(NETWORK.take([0] * runs), (blocks,), (0,) * runs),
        START,
        [Part(slice(0, 20), (20,), method)] if whole else parts,
        rates,
        batches=BATCHES,
        record=[0, STEPS],
        look=lambda points: NETWORK.take([0] * runs).loss_and_gradient(points)[0],
        turning=turning,
    )


def new_bases(blocks, *, carry: bool = True) -> Turning:
    return Turning([10], lambda *_: blocks, carry=carry)


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
            torch.testing.assert_close(end, problem.original(run.point), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        *((name, ()) for name in ("SGD", "Adam", "SOAP", "Muon", "GaLore")),
        ("SGD", BASES[0]),
        ("Adam", BASES[0]),
    ],
)
def test_runs_side_by_side_are_what_they_are_alone(name, blocks) -> None:
    projection = {"update_proj_gap": 10, "rank": 2, "scale": 1.0, "projection_type": "std"}
    settings = projection if name == "GaLore" else {}
    method = Method(name, {} if name == "SGD" else {"weight_decay": 0.0, **settings})
    rates = torch.stack([RATES, 0.1 * RATES, 1e12 * RATES])
    options = {"whole": name in ("SGD", "Adam"), "blocks": blocks}
    torch.manual_seed(0)
    together = trained(method, rates=rates, **options)
    for run in range(2):
        alone = trained(method, rates=rates[[run]], **options)
        torch.testing.assert_close(together.point[run], alone.point[0])
        torch.testing.assert_close(together.seen[:, run], alone.seen[:, 0])
    assert together.point[0].sub(together.point[1]).norm() > 1e-3


def test_what_is_seen_is_the_loss_at_the_recorded_steps() -> None:
    run = trained(Method("Adam"))
    first, last = (NETWORK.loss_and_gradient(x)[0] for x in (START[None], run.point))
    torch.testing.assert_close(run.seen, torch.stack([first, last]))


def test_a_matrix_is_seen_as_a_matrix() -> None:
    states = trained(Method("SOAP", {"weight_decay": 0.0}), whole=False).states[0]
    assert [[len(q) for q in state["Q"]] for state in states] == [[4, 3], [2, 4]]


def test_descent_with_momentum_does_not_notice_a_turn() -> None:
    method = Method("SGD", {"momentum": 0.9})
    turned = trained(method, blocks=BASES[0], turning=new_bases(BASES[1])).point
    torch.testing.assert_close(turned, trained(method).point, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_other_order_and_signs_of_the_columns_are_no_turn(name) -> None:
    shuffled = tuple(
        Block(at, vectors.flip(1) * (-1.0) ** torch.arange(len(vectors)))
        for at, vectors in BASES[0]
    )
    still = trained(Method(name), blocks=BASES[0]).point
    turned = trained(Method(name), blocks=BASES[0], turning=new_bases(shuffled)).point
    torch.testing.assert_close(turned, still, rtol=1e-10, atol=1e-12)
    other = trained(Method(name), blocks=BASES[0], turning=new_bases(BASES[1])).point
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
    end = trained(Method("Adam"), blocks=BASES[0], turning=new_bases(BASES[1])).point
    torch.testing.assert_close(end[0], basis @ t, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adam", "Adagrad"])
def test_a_method_that_does_not_carry_starts_anew(name) -> None:
    turning = new_bases(BASES[1], carry=False)
    end = trained(Method(name), blocks=BASES[0], turning=turning).point
    start = trained(Method(name), blocks=BASES[0], rates=RATES[None, :10]).point
    problem = Rotated(NETWORK, (BASES[1],), (0,))
    view = torch.nn.Parameter(problem.coordinates(start)[0].clone())
    optimizer = getattr(torch.optim, name)([view], lr=1.0)
    for step in range(10, STEPS):
        view.grad = problem.loss_and_gradient(view.detach()[None], BATCHES.at(step))[1][0]
        optimizer.param_groups[0]["lr"] = float(RATES[step])
        optimizer.step()
    expected = problem.original(view.detach()[None])
    torch.testing.assert_close(end, expected, rtol=1e-10, atol=1e-12)


def test_each_run_turns_by_its_own_point_and_gradients_in_original_coordinates() -> None:
    asked: list[tuple[int, Tensor, Tensor]] = []

    def blocks(step, point, gradients):
        asked.append((step, point.clone(), gradients.clone()))
        return BASES[len(asked) % 2]

    rates = torch.stack([RATES, 0.1 * RATES])
    run = trained(
        Method("SGD"), blocks=BASES[0], turning=Turning([4, 9], blocks, keeps=True), rates=rates
    )
    assert [(step, len(gradients)) for step, _, gradients in asked] == [
        (4, 5),
        (4, 5),
        (9, 5),
        (9, 5),
    ]
    point = START.clone()
    for step in range(10):
        slope = NETWORK.loss_and_gradient(point[None], BATCHES.at(step))[1][0]
        own = asked[1] if step < 5 else asked[3]
        torch.testing.assert_close(own[2][step % 5], slope)
        if step in (4, 9):
            torch.testing.assert_close(own[1], point)
        point = point - 0.1 * RATES[step] * slope
    # Descent does not see the turns: each run is where it would be without them.
    torch.testing.assert_close(run.point, trained(Method("SGD"), rates=rates).point)


@pytest.mark.parametrize("method", [Method("SGD"), Method("Shampoo")])
def test_a_hopeless_run_is_given_up_and_the_others_go_on(method) -> None:
    rates = torch.stack([1e9 * torch.ones(STEPS), 1e-4 * torch.ones(STEPS)])
    asked: list[Tensor] = []
    turning = Turning([20], lambda step, point, _: asked.append(point) or ())
    run = trained(method, whole=False, rates=rates, turning=turning)
    assert run.seen[0].isfinite().all()
    assert run.seen[1].isfinite().tolist() == [False, True]
    assert run.seen[1, 0] == torch.inf
    assert len(asked) == 1
