"""Every arm starts from one point, is tuned on one grid, and all its gradients are counted."""

import pandas as pd
import pytest
import torch

from hdnotes.experiments import egop_related, network_rotations
from hdnotes.experiments.egop_related import (
    ARMS,
    RUNS,
    Parameters,
    best,
    between,
    cells,
    train_arm,
    turning,
    turns,
)
from hdnotes.experiments.network_arms import TURNING, Arm, parts_of
from hdnotes.experiments.network_tasks import (
    PROBLEMS,
    alignments,
    block_bases,
    draw_task,
    estimate_size,
    fixed_bases,
    kronecker_blocks,
    sample,
)
from hdnotes.experiments.parameters import ParameterError, resolve

SMALL = resolve(egop_related, "smoke")


def cell(problem: str, arm: str = "Adam") -> dict:
    found = [c for c in cells(SMALL) if c.get("problem") == problem and c.get("arm") == arm]
    return found[0]


@pytest.fixture(scope="module", params=PROBLEMS)
def drawn(request):
    one = cell(request.param)
    return one, draw_task(one, 0, "cpu")


def test_the_paper_profile_has_the_papers_networks_epochs_and_numbers_of_gradients() -> None:
    found = pd.DataFrame(cells(resolve(egop_related, "paper", check_memory=False)))
    race = found[found.kind.eq("race")].set_index(["problem", "arm"])
    assert set(race.loc["linear network"].widths.map(tuple)) == {(10, 50, 30, 10)}
    assert set(race.loc["digits"].widths.map(tuple)) == {(64, 32, 10)}
    assert race.epochs.groupby("problem").max().to_dict() == {"linear network": 1000, "digits": 200}
    assert sorted(race.loc[("digits", "Adam, EGOP re-estimated")].refreshes) == [1, 3, 9]
    linear, digits = ({"problem": name, "gradients_per_weight": 1.0} for name in PROBLEMS)
    for one, expected in (
        ({**linear, "widths": [10, 50, 30, 10], "batch_size": 500}, 4600),
        ({**digits, "widths": [64, 32, 10], "batch_size": 300, "file": "tes"}, 2368),
    ):
        assert estimate_size(one, draw_task(one, 0, "cpu")) == expected


def test_no_path_keeps_more_than_the_memory_estimate_counts() -> None:
    for span in egop_related.RATES.values():
        at_once = [len(egop_related.decades(*span, 1)), len(between(0.01, span, 4))]
        assert max(at_once) <= egop_related.RUNS_AT_ONCE
    for problem in PROBLEMS:
        one = {**cell(problem), "file": "tra"}
        assert draw_task(one, 0, "cpu").an_epoch <= egop_related.MOST_STEPS


def test_every_weight_is_in_a_matrix_and_every_parameter_in_a_part(drawn) -> None:
    _, task = drawn
    for arm in ARMS.values():
        parts = parts_of(task, arm)
        covered = sorted(k for part in parts for k in range(part.at.start, part.at.stop))
        assert covered == list(range(len(task.start)))
    assert task.weights + sum(v.stop - v.start for v, _ in task.vectors) == len(task.start)


def test_bases_are_orthonormal_blocks_of_the_matrices(drawn) -> None:
    _, task = drawn
    assert fixed_bases(task, "original", 20) == ()
    for name in ("EGOP", "Kronecker", "random"):
        blocks = fixed_bases(task, name, 20)
        assert [block.at for block in blocks] == [at for at, _ in task.matrices]
        for block in blocks:
            eye = torch.eye(block.at.stop - block.at.start).double()
            there_and_back = eye @ block.vectors @ block.vectors.T
            torch.testing.assert_close(there_and_back, eye, atol=1e-9, rtol=0)


def test_gradients_near_a_point_are_near_the_points_own(drawn) -> None:
    _, task = drawn
    around = sample(task, 200, task.start, "test").mean(0)
    own = task.network.loss_and_gradient(task.start[None])[1][0]
    at_law = sample(task, 200, None, "test").mean(0)
    assert (around - own).norm() < (at_law - own).norm()


def test_alignment_is_one_in_the_basis_of_the_same_gradients_and_nowhere_less(drawn) -> None:
    _, task = drawn
    gradients = sample(task, 2 * task.weights, None, "test")
    bases = {
        "own": block_bases(task, gradients),
        "original": (),
        "Kronecker": kronecker_blocks(task, gradients),
        "random": fixed_bases(task, "random", 1),
    }
    found = alignments(task, gradients, bases)
    assert found.pop("own") == pytest.approx(1)
    assert min(found.values()) > 1 + 1e-6


@pytest.mark.parametrize("name", ["Adam", "Adam, EGOP", "SOAP", "Adam, EGOP re-estimated"])
def test_all_gradients_are_counted(name: str) -> None:
    one = cell("digits", name)
    task, arm = draw_task(one, 0, "cpu"), ARMS[name]
    count = estimate_size(one, task)
    blocks = fixed_bases(task, "EGOP" if "EGOP" in name else "original", count)
    table = train_arm(one, task, arm, blocks, [0.01])
    extra = (table.gradient_epochs - table.epoch) * task.an_epoch
    estimates = ("EGOP" in name) + (one["refreshes"] if "re-estimated" in name else 0)
    assert extra.iloc[-1] == pytest.approx(count * estimates)
    assert extra.iloc[0] == pytest.approx(count * ("EGOP" in name))


def test_a_longer_run_spends_what_an_estimate_takes() -> None:
    one = cell("digits", "Adam, longer")
    task = draw_task(one, 0, "cpu")
    table = train_arm(one, task, ARMS["Adam, longer"], (), [0.01])
    more = table.epoch.max() - one["epochs"]
    assert more * task.an_epoch >= estimate_size(one, task) > (more - 1) * task.an_epoch


def test_a_basis_is_turned_at_even_distances_and_the_path_costs_nothing() -> None:
    one = cell("digits")
    task = draw_task(one, 0, "cpu")
    first = fixed_bases(task, "EGOP", 5)
    at = turns(40, 3)
    assert at == [10, 20, 30]
    assert turning(task, Arm("Adam", "EGOP"), first, at, 5) is None
    none = torch.empty(0, len(task.start)).double()
    for coordinates in TURNING:
        plan = turning(task, Arm("Adam", coordinates), first, at, 5)
        assert plan.at == at
        assert plan.carry == (coordinates == "carried")
        given = plan.blocks(10, task.start, task.start[None] if plan.keeps else none)
        assert (given is first) == (coordinates == "restarted")
    # The path's basis leads along the one gradient that it has seen.
    path = turning(task, Arm("Adam", "path"), first, at, 5)
    assert path.keeps
    for block, vectors in path.blocks(1, task.start, task.start[None]):
        along = vectors[:, 0] @ task.start[block] / task.start[block].norm()
        assert abs(along) == pytest.approx(1)


def test_a_race_tries_the_powers_of_ten_first_and_trains_all_trials_at_the_best() -> None:
    one = {**cell("digits"), "rates_per_decade": 2, "trials": 2}
    tables = RUNS["race"](one, "cpu")
    search, race = tables["search"], tables["race"]
    powers = [0.001, 0.01, 0.1, 1.0]
    assert search.rate.tolist()[:4] == powers
    first = best(search[:4])
    assert search.rate.tolist()[4:] == between(first, (-3, 0), 2)
    assert race.rate.nunique() == 1
    assert race.rate.iloc[0] == search.loc[search.loss.idxmin(), "rate"]
    assert race.groupby("trial").epoch.max().tolist() == [one["epochs"]] * 2
    other = RUNS["race"]({**cell("digits", "SOAP"), "trials": 1}, "cpu")["race"]
    assert other[other.epoch.eq(0)].loss.item() == pytest.approx(
        race[race.epoch.eq(0) & race.trial.eq(0)].loss.item()
    )


def test_a_run_given_up_never_wins() -> None:
    assert best(pd.DataFrame({"rate": [0.1, 1.0], "loss": [float("inf"), 2.0]})) == 1.0


def test_lemma_20_and_what_methods_see() -> None:
    tables = network_rotations.exact({"widths": [3, 4, 2], "instances": 2}, "cpu")
    assert tables["lemma"][["loss", "gradient", "orthogonal"]].max(axis=None) < 1e-12
    seen = tables["followed"].pivot_table(index="method", columns="rotation", values="deviation")
    assert seen.loc["Shampoo", "two-sided"] < 1e-8 < seen.loc["Shampoo", "any"]
    assert seen.loc["Adam", "two-sided"] > 0.1
    assert seen.loc["GaLore, once", "inputs"] < 1e-3 < seen.loc["GaLore, once", "outputs"]
    assert seen.loc["SOAP, once", "Adam in its basis"] < 1e-12


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"arms": ("Lion",)}, "arms"),
        ({"problems": ("images",)}, "problems"),
        ({"rates_per_decade": 3}, "rates_per_decade"),
        ({"digits_hidden": 10**6}, "memory"),
        ({"refreshes": (0,)}, "refreshes"),
    ],
)
def test_impossible_parameters_are_refused(given, words) -> None:
    with pytest.raises(ParameterError, match=words):
        resolve(egop_related, "quick", given)


def test_defaults_are_the_quick_profile() -> None:
    assert resolve(egop_related, "quick", check_memory=False) == Parameters()
