"""The record is what P-SGD's gradient did; Langevin dynamics is GD with pushes of its length."""

import numpy as np
import pytest
import torch

from hdnotes import seeds
from hdnotes.batches import Persistent, Shuffled, redraw_rate
from hdnotes.experiments import langevin, students
from hdnotes.experiments.langevin import LENGTHS, NO_NOISE, Parameters, cells, compare
from hdnotes.experiments.parameters import ParameterError, resolve
from hdnotes.noise import Directions
from hdnotes.problems.phase_retrieval import draw_start, project

SMALL = Parameters(
    features=16,
    alphas=(6.0,),
    control_alphas=(6.0,),
    data_sets=2,
    starts=2,
    epochs_factor=6,
    longer=4,
)
CELL, CHANGES, PUSHED = cells(SMALL)


def success(p):
    return [cell for cell in cells(p) if cell["kind"] == "success"]


@pytest.fixture(scope="module")
def found():
    return compare(CELL, "cpu")


def test_the_paper_profile_has_the_texts_budgets_and_two_data_sets_a_cell():
    table = success(resolve(langevin, "paper", check_memory=False))
    assert {(cell["recorded"], cell["epochs"], cell["sets"]) for cell in table} == {
        (20_002, 100_014, 2)
    }
    assert [cell["alpha"] for cell in table] == sorted((c["alpha"] for c in table), reverse=True)
    odd = success(Parameters(**{**vars(SMALL), "features": 1024, "data_sets": 5}))
    assert [(cell["momenta"][0], cell["first_set"], cell["sets"]) for cell in odd] == [
        (momentum, *part) for momentum in ("none", "standard") for part in ((0, 2), (2, 3))
    ]
    assert [len(cell["noises"]) for cell in odd] == [6, 6, 2, 2]


def test_every_run_is_there_once(found):
    runs = found["runs"]
    assert runs.groupby(["method", "noise"]).size().eq(4).all()
    assert set(runs.noise) == {"batches", *LENGTHS}
    named = ~runs.noise.isin(["batches", NO_NOISE])
    assert runs.method[named].str.startswith("Langevin").all()
    assert not runs.method[~named].str.startswith("Langevin").any()
    np.testing.assert_allclose(runs.test_error, 2 * (1 - runs.overlap**2), atol=1e-5)
    curves = found["curves"]
    assert set(curves.start) == {0}
    assert curves.length[curves.noise.eq(NO_NOISE)].eq(0).all()


def test_langevin_dynamics_is_the_plain_loop_with_p_sgds_record(found):
    """One start: P-SGD by hand, its record, then GD with pushes of these lengths."""
    problem = students.draw_problem(CELL, "cpu").take([1])
    name = ("phase retrieval", "quadratic", 16, 96, 1, "start", 1)
    rate = redraw_rate(0.005, 0.5, 2.0)
    masks = Persistent(96, 0.5, (rate,), (seeds.seed(*name, "switches"),))
    steps = 2 * CELL["recorded"]
    point, before = draw_start(1, 16, of=name).unsqueeze(0), None
    rho = torch.zeros(1, steps, dtype=torch.float32)
    for step in range(steps):
        gradient = problem.loss_and_gradient(point, masks.at(step))[1]
        rho[0, step] = 0.0 if before is None else (gradient - before).norm()
        point, before = point - 0.005 * gradient, gradient
        project(point, 16)
    pushes = Directions(rho, 16, (seeds.seed(*name, "noise"),))
    point = draw_start(1, 16, of=name).unsqueeze(0)
    for step in range(CELL["epochs"]):
        point = point - 0.005 * problem.loss_and_gradient(point)[1] + pushes.at(step)
        project(point, 16)
    runs = found["runs"]
    (row,) = runs[
        runs.noise.eq("record") & runs.momentum.eq("none") & runs["set"].eq(1) & runs.start.eq(1)
    ].itertuples()
    assert row.epochs == CELL["epochs"]
    assert row.overlap == pytest.approx(problem.overlap(point).item(), abs=1e-3)


def test_a_record_is_zero_at_first_and_after_its_run():
    observed = {"rho": torch.ones(2, 6)}
    run = langevin.LongRun(torch.arange(6), observed, torch.zeros(2, 3), torch.tensor([6, 4]), [])
    assert langevin.record_of(run).tolist() == [[0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0]]


def test_the_controls_keep_what_they_should():
    rho = torch.arange(1.0, 33.0).view(8, 4)
    rho[0] = torch.tensor([0.0, 2.0, 4.0, 0.0])
    made = {name: of(rho, CELL) for name, of in LENGTHS.items()}
    assert torch.equal(made["record"], rho)
    torch.testing.assert_close(made["record x eta"], 0.005 * rho)
    assert made["constant"][0].tolist() == [3.0] * 4
    torch.testing.assert_close(made["cooling"][0], torch.tensor([3.0, 2.0, 1.0, 0.0]))
    # two kinds of momentum, two data sets, two starts: the other set, all else equal
    assert torch.equal(made["other data"], rho[[2, 3, 0, 1, 6, 7, 4, 5]])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"data_sets": 1}, "data_sets = 1 is not allowed"),
        ({"longer": 1}, "longer = 1.0 is not allowed"),
        ({"features": 1_000_000}, "features = 1000000 needs about .* of memory"),
    ],
)
def test_bad_parameters_are_refused(given, sentence):
    with pytest.raises(ParameterError, match=sentence):
        resolve(langevin, "quick", given)


def test_memory_counts_every_noise_as_they_run_side_by_side(monkeypatch):
    large = Parameters(**{**vars(SMALL), "features": 512})
    whole, controls = langevin.memory(large), len(langevin.CONTROLS)
    monkeypatch.setattr(langevin, "CONTROLS", ())
    samples = 6 * 512
    trials = len(cells(large)[0]["momenta"]) * large.data_sets * large.starts
    assert whole - langevin.memory(large) > controls * trials * 40 * samples


def test_changes_are_those_of_the_plain_loop_to_a_run_s_end():
    """One start of P-SGD and of SGD by hand; a run that has ended has no more changes."""
    table = langevin.changes({**CHANGES, "epochs": 15}, "cpu")["changes"]
    assert table.groupby("method").size().eq(4 * table.step.nunique()).all()
    problem = students.draw_problem(CHANGES, "cpu").take([1])
    samples = problem.samples
    name = ("phase retrieval", "quadratic", 16, samples, 1, "start", 1)
    rate = redraw_rate(0.005, 0.5, 2.0)
    batches = {
        "P-SGD": Persistent(samples, 0.5, (rate,), (seeds.seed(*name, "switches"),)),
        "SGD": Shuffled(samples, samples // 2, (seeds.seed(*name, "shuffles") % 2**40,)),
    }
    for method, source in batches.items():
        point, rho, before = draw_start(1, 16, of=name).unsqueeze(0), {}, None
        for step in range(31):
            gradient = problem.loss_and_gradient(point, source.at(step))[1]
            rho[step] = 0.0 if before is None else float((gradient - before).norm())
            point, before = point - 0.005 * gradient, gradient
            project(point, 16)
        rows = table[table.method.eq(method) & table["set"].eq(1) & table.start.eq(1)]
        np.testing.assert_allclose(rows.rho, [rho[step] for step in rows.step], rtol=1e-3)


def test_differences_are_those_of_the_plain_loop_and_scaled_as_they_say():
    """One start by hand: the batch's gradients over b against true ones, then GD with b delta."""
    cell = {**PUSHED, "recorded": 5, "epochs": 10}
    table = langevin.differences(cell, "cpu")["differences"]
    assert table.groupby(["noise", "sphere"]).size().eq(4).all()
    assert set(table.noise) == set(langevin.DIFFERENCES)
    problem = students.draw_problem(cell, "cpu").take([1])
    name = ("phase retrieval", "quadratic", 16, 96, 1, "start", 1)
    masks = Persistent(96, 0.5, (redraw_rate(0.005, 0.5, 2.0),), (seeds.seed(*name, "switches"),))
    point, delta = draw_start(1, 16, of=name).unsqueeze(0), torch.zeros(1, 10, dtype=torch.float32)
    for step in range(10):
        gradient = problem.loss_and_gradient(point, masks.at(step))[1]
        delta[0, step] = (2 * gradient - problem.loss_and_gradient(point)[1]).norm()
        point = point - 0.005 * gradient
        project(point, 16)
    pushes = Directions(0.5 * delta, 16, (seeds.seed(*name, "noise"),))
    point, overlaps = draw_start(1, 16, of=name).unsqueeze(0), []
    for step in range(10):
        point = point - 0.005 * problem.loss_and_gradient(point)[1] + pushes.at(step)
        project(point, 16)
        overlaps.append(problem.overlap(point).item())
    runs = table[table["set"].eq(1) & table.start.eq(1) & table.sphere].set_index("noise")
    row = runs.loc["difference x b"]
    assert (row.pushes, row.epochs) == (10, 10)
    assert row.overlap == pytest.approx(overlaps[-1], abs=1e-3)
    assert row.pushed_overlap == pytest.approx(np.quantile(overlaps, 4 / 9), abs=1e-3)
    middle = delta[0].sort().values[4].item()  # the lower one of two middle ones
    assert row.length == pytest.approx(0.5 * middle, rel=1e-3)
    assert runs.length["difference"] == pytest.approx(middle, rel=1e-3)
    assert runs.length["difference x eta"] == pytest.approx(0.005 * middle, rel=1e-3)


def test_off_the_sphere_large_pushes_diverge_and_small_ones_do_not():
    table = langevin.differences({**PUSHED, "features": 64, "epochs": 40, "recorded": 20}, "cpu")
    ends = table["differences"].query("not sphere").groupby("noise").outcome
    assert ends.apply(lambda words: (words == "diverged").all())["difference"]
    assert not ends.apply(lambda words: (words == "diverged").any())["difference x eta"]


def test_cells_of_differences_are_those_of_the_first_data_sets_and_pushed_to_their_ends():
    large = Parameters(**{**vars(SMALL), "features": 512, "data_sets": 5, "epochs_factor": 400})
    (cell,) = [cell for cell in cells(large) if cell["kind"] == "difference"]
    assert (cell["first_set"], cell["sets"], cell["momenta"]) == (0, 2, ["none"])
    assert cell["recorded"] == students.epochs(512, 20)
    assert cell["epochs"] == 2 * cell["recorded"]
