"""Each claim holds on results made to the text, and falls when they are changed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.langevin import Parameters, cells
from hdnotes.findings import langevin

ALPHAS = tuple(np.geomspace(1.5, 8, 16).round(3).tolist())
TEXT = Parameters(
    features=1024, alphas=ALPHAS, control_alphas=ALPHAS, starts=10, epochs_factor=2000
)
#: 50 % points without and with momentum; those of P-SGD and GD within all epochs come second.
NEEDS = {
    "batches": ((3.2, 3.1), (2.1, 2.0)),
    "none": ((5.2, 5.0), (5.2, 5.0)),
    "record": ((2.7, 2.7), (2.6, 2.6)),
    "cooling": ((2.7, 2.7), (2.6, 2.6)),
    "constant": ((4.5, 4.5), (4.5, 4.5)),
    "other data": ((2.7, 2.7), (2.6, 2.6)),
    "record x eta": ((5.0, 5.0), (5.0, 5.0)),
}
NAMES = {"batches": "P-SGD", "none": "GD"}


#: SGD's gradient changes by 20 where P-SGD's changes by 1; SGD's runs end first.
CHANGES = pd.DataFrame(
    [
        (method, number, start, step, rho)
        for method, rho, last in (("SGD", 20.0, 3), ("P-SGD", 1.0, 4))
        for number in range(2)
        for start in range(5)
        for step in range(1, last)
    ],
    columns=["method", "set", "start", "step", "rho"],
)

#: Runs under differences of gradients: off the sphere these diverge but for eta's, on it at chance.
PUSHED = pd.DataFrame(
    [
        (noise, sphere, start, 1024, 0.02 if far else 0.5, 32.0 * far, outcome)
        for noise, far in zip(langevin.PUSHES, (1, 9, 4.5, 0.05), strict=True)
        for sphere in (True, False)
        for start in range(40)
        for outcome in ["diverged" if far > 0.1 and not sphere else "budget"]
    ],
    columns=["noise", "sphere", "start", "features", "pushed_overlap", "length", "outcome"],
)


def made(changes=None, **parameters) -> SimpleNamespace:
    needs = {**NEEDS, **(changes or {})}
    asked, rows = cells(Parameters(**{**vars(TEXT), **parameters})), []
    for cell in asked:
        if cell["kind"] != "success":
            continue
        scalars = {name: x for name, x in cell.items() if not isinstance(x, list)}
        for noise in ("batches", *cell["noises"]):
            for momentum in cell["momenta"]:
                short, full = needs[noise][momentum != "none"]
                shares = [1 / (1 + (at / cell["alpha"]) ** 30) for at in (short, full)]
                early, wins = (round(share * cell["starts"]) for share in shares)
                name = NAMES.get(noise, "Langevin") + " + momentum" * (momentum != "none")
                rows += [
                    {
                        **scalars,
                        "noise": noise,
                        "momentum": momentum,
                        "method": name,
                        "set": cell["first_set"] + k,
                        "start": start,
                        "epochs": 1000 if start < early else cell["epochs"],
                        "test_error": 1e-4 if start < wins else 1.0,
                    }
                    for k in range(cell["sets"])
                    for start in range(cell["starts"])
                ]
    runs = pd.DataFrame(rows)
    curves = runs[runs.start.eq(0) & runs.noise.ne("batches")].assign(epoch=1, length=0.5)
    tables = {"runs": runs, "curves": curves.drop(columns="epochs"), "changes": CHANGES}
    tables["differences"] = PUSHED
    return SimpleNamespace(cells=asked, table=lambda name: tables[name].copy())


MADE = made()


def verdict(name: str, results) -> str:
    (claim,) = [one for one in langevin.CLAIMS if one.id == name]
    return claim.test(results).verdict


@pytest.mark.parametrize("name", [claim.id for claim in langevin.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(name):
    assert verdict(name, MADE) == "holds"


def test_changes_are_compared_start_by_start_while_both_run():
    assert langevin.change_ratios(MADE).tolist() == [20.0] * 10
    table = CHANGES.copy()
    table.loc[table.method.eq("P-SGD") & table.step.lt(3), "rho"] = 15.0
    results = SimpleNamespace(cells=MADE.cells, table=lambda name: table)
    assert verdict("d2-2-4-4-a", results) == "fails"


@pytest.mark.parametrize(
    ("name", "rows", "change", "expected"),
    [
        ("d2-2-4-4-b", "noise == 'difference' and sphere", {"pushed_overlap": 0.1}, "partly"),
        ("d2-2-4-4-b", "noise == 'difference x b'", {"outcome": "budget"}, "partly"),
        ("d2-2-4-4-b", "sphere == sphere", {"outcome": "budget", "pushed_overlap": 0.1}, "fails"),
        ("d2-2-4-4-b", "noise == 'record'", {"outcome": "budget"}, "holds"),
        ("d2-2-4-4-b", "start > 9", None, "undecided"),
        ("hd-ld-h", "noise == 'difference x eta'", {"outcome": "diverged"}, "fails"),
    ],
)
def test_a_claim_of_divergence_falls_when_its_runs_do(name, rows, change, expected):
    table = PUSHED.copy()
    where = table.eval(rows)
    if change is None:
        table = table[~where]
    else:
        table.loc[where, list(change)] = list(change.values())
    assert verdict(name, SimpleNamespace(cells=[], table=lambda name: table)) == expected


def test_the_pushes_are_told_in_radii_with_how_their_runs_end():
    rows = langevin.pushed_rows(MADE)
    assert rows[1][1:] == ["9.0", "40 of 40", "40 of 40", "0.020"]
    assert rows[3][2] == "0 of 40"


def test_noise_that_has_to_die_away_has_to_on_the_whole_too():
    """Where P-SGD does not finish, constant noise always succeeds and the record never does."""
    table = MADE.table("runs")
    few = table.alpha.lt(3) & table.momentum.eq("none")
    table.loc[few & table.noise.eq("constant"), "test_error"] = 1e-4
    table.loc[few & table.noise.eq("record"), "test_error"] = 1.0
    results = SimpleNamespace(cells=MADE.cells, table=lambda name: table.copy())
    assert verdict("hd-ld-c", results) == "partly"


@pytest.mark.parametrize("parameters", [{"features": 256}, {"epochs_factor": 200}])
def test_small_systems_and_short_budgets_decide_nothing(parameters):
    results = made(**parameters)
    names = [f"d2-4-8-{letter}" for letter in "abcd"] + [f"hd-ld-{letter}" for letter in "abde"]
    assert {verdict(name, results) for name in names} == {"undecided"}


def test_a_record_that_never_dies_away_says_nothing_of_its_end():
    assert verdict("hd-ld-c", made({"batches": both(7.9)})) == "undecided"


def test_the_page_says_who_was_stopped_early():
    late = made({"batches": ((6.0, 3.2), (2.1, 2.0))})
    assert "stopped early" in langevin.stopped_early(late)
    assert "stopped early" not in langevin.stopped_early(MADE)
    assert langevin.orders(MADE).startswith("without momentum Langevin, P-SGD, GD")


def both(short, full=None):
    one = (short, full or short)
    return (one, one)


#: claim -> (50 % points that change, what the verdict becomes)
BREAKS = {
    "d2-4-8-a": ({"record": both(3.9)}, "fails"),
    "d2-4-8-b": ({"none": both(2.8)}, "fails"),
    "d2-4-8-c": ({"record": ((2.7, 2.7), (1.9, 1.9))}, "fails"),
    "d2-4-8-d": ({"batches": both(3.2)}, "partly"),
    "hd-ld-a": ({"batches": ((3.2, 2.2), (2.1, 2.0))}, "fails"),
    "hd-ld-b": ({"none": ((5.2, 2.8), (5.2, 5.0))}, "fails"),
    "hd-ld-c": ({"constant": both(1.6), "record": both(4.5)}, "fails"),
    "hd-ld-d": ({"cooling": both(4.5)}, "fails"),
    "hd-ld-e": ({"other data": both(4.5)}, "fails"),
    "hd-ld-f": ({"record x eta": both(2.7)}, "fails"),
    "hd-ld-g": ({"none": both(2.0)}, "fails"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    changes, expected = BREAKS[name]
    assert verdict(name, made(changes)) == expected


def test_without_controls_their_claims_are_undecided():
    results = made(control_alphas=(1.5,))  # nothing succeeds there with any noise
    assert {verdict(f"hd-ld-{letter}", results) for letter in "cdef"} == {"undecided"}


def test_a_difference_is_that_of_the_same_runs_and_knows_its_data_sets():
    rows = [
        (2.0, "none", number, start, noise, noise == "a" and number < 2)
        for number in range(4)
        for start in range(5)
        for noise in "ab"
    ]
    names = ["alpha", "momentum", "set", "start", "noise", "success"]
    gain = langevin.difference(pd.DataFrame(rows, columns=names), "a", "b")
    assert gain.middle == 0.5
    assert gain.low < 0.15  # two data sets in four say little
    assert gain.high > 0.85


def test_the_example_ends_where_its_run_does():
    table = langevin.example(MADE)
    assert table.groupby("kind", sort=False).epoch.max().tolist() == [100_014] * 6
    assert list(dict.fromkeys(table.kind)) == list(langevin.NOISES.values())


def test_the_pushes_are_those_of_the_record():
    results = made()
    curves = results.table("curves").assign(epoch=20)
    record = curves.noise.eq("record")
    curves.loc[record, "length"] = [1.0, 1.0, 4.0, 0.0] * (record.sum() // 4)
    early = curves[record].head(1).assign(epoch=1, length=9.0)
    changed = SimpleNamespace(cells=results.cells, table=lambda name: pd.concat([curves, early]))
    assert langevin.push_lengths(changed) == (0.5, 1.0, 4.0)


def test_a_few_pairs_do_not_tell_noises_apart():
    table = langevin._alone(MADE)
    few = langevin.difference(table[table["set"].eq(0) & table.start.eq(0)], "record", "none")
    assert (few.low, few.high) == (-1, 1)
    assert "(20 pairs are needed)" in langevin._percent(few)
    assert langevin.difference(table, "record", "none").low > 0
