"""Each claim holds on results made to it and falls when they are not."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.matrix_recovery import FIGURES, METHODS, shape
from hdnotes.experiments.matrix_recovery_explained import GRID, RACE, STEPS
from hdnotes.findings import matrix_recovery_explained as findings
from hdnotes.theory import matrix_recovery as theory

SIZES, BATCH, STEPS_RUN = (8, 16, 32, 64, 128, 256, 512, 1008), 32, 500
MIDDLE = {name: rate for name, (rate, _, _) in METHODS.items()}


def trained() -> pd.DataFrame:
    """Return what layers and crowd agree on: text's SNRs, and the scans of Lion, bias and Rprop."""
    common = {"batch_size": BATCH, "batches": 500, "bias": True, "weight_decay": 0.01}
    common["rate"] = np.nan
    rows = []
    for sweep, size, method in product(FIGURES, SIZES, METHODS):
        m, n = shape(sweep, size, 1024)
        snr = 50 - 10 * np.log10(size)
        if method == "Rprop" and m <= 32:
            snr = theory.smallest_step_db(n, bias=True)
        if method in ("SGD", "ASGD"):
            snr = moments(method, m, n)
        row = {"part": "sizes", "sweep": sweep, "size": size, "m": m, "n": n, "method": method}
        rows.append({**common, **row, "snr_db": snr})
    for size, rate in product((64, 1024), (0.001, 0.01, 0.0316, 0.1)):
        own = {"part": "lion", "sweep": "lion", "size": size, "m": size, "n": size, "rate": rate}
        rows.append({**common, **own, "method": "Lion", "snr_db": -20 * np.log10(rate * size)})
    for bias, rate in product((True, False), (0.0125, 0.03, 0.05, 0.1, 0.2, 0.4)):
        own = {"part": "bias", "sweep": "bias", "size": 64, "m": 64, "n": 64, "rate": rate}
        snr = theory.bias_cycle_db(rate) if bias and rate > 1 / BATCH else 130.0
        rows.append({**common, **own, "method": "SGD", "bias": bias, "snr_db": snr})
    runs = ((16, 500), (32, 500), (64, 500), (32, 2000))
    for (batch, batches), ratio in product(runs, (0.5, 1.0, 1.5, 2.0, 4.0)):
        own = {"part": "rprop", "sweep": "rprop", "size": 64, "m": int(ratio * batch), "n": 64}
        own |= {"batch_size": batch, "batches": batches, "method": "Rprop"}
        snr = 100.0 if ratio < 1.6 + (batches > 500) else 20.0
        rows.append({**common, **own, "snr_db": snr})
    return pd.DataFrame(rows).assign(true_snr_db=lambda table: table.snr_db)


def moments(method: str, m: int, n: int) -> float:
    rate, steps = MIDDLE[method], np.arange(STEPS_RUN)
    rates = rate / (1 + 1e-4 * rate * steps) ** (0.75 * (method == "ASGD"))
    loss = theory.clipped_descent(m, n, batch=BATCH, rates=rates, clip=1.0)
    return float(10 * np.log10(loss[1:5].mean() / loss[-4:].mean()))


def made_as_claimed() -> dict[str, pd.DataFrame]:
    both = trained()
    sgd = [
        (
            size,
            size,
            BATCH,
            r,
            step,
            theory.sgd_db(size, BATCH, 100, step * theory.best_step(size, BATCH)),
        )
        for size, r, step in product((256, 1024), range(5), STEPS)
    ]
    floors = []
    for size, repeat in product(SIZES, range(5)):
        predicted = {
            "SGD": theory.sgd_db(size, BATCH, STEPS_RUN),
            "least squares, M/2 samples": theory.least_squares_db(size, size // 2),
            "least squares, M − 1 samples": theory.least_squares_db(size, size - 1),
            "least squares, M samples": 250.0,
            "least squares, 2M samples": 300.0,
        }
        floors += [(size, BATCH, STEPS_RUN, repeat, *both) for both in predicted.items()]
    ablation = []
    arms = product((64, 1024), (1.0, "none"), (0.01, 0.0), (True, False), METHODS)
    for size, clip, decay, bias, method in arms:
        for factor, batches in product(GRID, (500, 2000)):
            snr = 60.0 if (clip, decay, bias) == ("none", 0.0, False) else 5.0
            if (decay, bias) == (0.01, False) and (clip == "none" or size == 64):
                snr = theory.decay_floor_db(size, BATCH, 0.01)
            rate = MIDDLE[method] * factor
            ablation.append((size, clip, decay, bias, method, rate, 0, batches, snr))
    race = [
        (size, rank, spectrum, method, repeat, 60.0 + (size == 64), "constant", RACE[method][0])
        for size, rank, spectrum in (
            (64, 64, "flat"),
            (1024, 1024, "flat"),
            (256, 256, "flat"),
            (256, 16, "flat"),
            (256, 256, "1 to 5"),
        )
        for method, repeat in product(RACE, range(5))
    ]
    search = [
        (size, size, "flat", method, "constant", RACE[method][0] * factor, 60 - 9 * abs(k - 3))
        for size, method in product((64, 1024), RACE)
        for k, factor in enumerate(GRID)
    ]
    named = {
        "sgd": (sgd, "size rank batch_size repeat step true_snr_db"),
        "floors": (floors, "size batch_size batches repeat method true_snr_db"),
        "ablation": (
            ablation,
            "size clip weight_decay bias method rate repeat batches true_snr_db",
        ),
        "race": (race, "size rank spectrum method repeat true_snr_db schedule rate"),
        "search": (search, "size rank spectrum method schedule rate true_snr_db"),
    }
    tables = {name: pd.DataFrame(rows, columns=of.split()) for name, (rows, of) in named.items()}
    for name in ("sgd", "floors"):
        tables[name]["predicted_db"] = tables[name].true_snr_db
    tables["ablation"]["snr_db"] = tables["ablation"].true_snr_db
    tables["race"]["at_edge"] = False
    return {"snr": both, "model": both.copy(), **tables}


def verdict(letter: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == f"hd-1-{letter}"]
    return claim.test(SimpleNamespace(table=lambda name: tables[name].copy())).verdict


#: claim -> (table, its rows, what is added to both SNRs, the verdict that follows)
BREAKS = {
    "a": ("model", "part == 'sizes'", 3.0, "fails"),
    "b": ("snr", "method in ('SGD', 'ASGD')", 3.0, "fails"),
    "c": ("ablation", "method == 'Adagrad' and clip == 'none' and not bias", 9.0, "partly"),
    "d": ("snr", "part == 'bias' and bias", 5.0, "partly"),
    "e": ("sgd", "step < 1", 3.0, "fails"),
    "f": ("floors", "method == 'SGD'", -20.0, "fails"),
    "g": ("floors", "method == 'least squares, M samples'", -150.0, "undecided"),
    "h": ("snr", "method == 'Rprop' and part == 'sizes'", 5.0, "fails"),
    "i": ("snr", "part == 'rprop' and m == 2 * batch_size", 80.0, "fails"),
    "j": ("snr", "part == 'lion' and rate > 0.05", 10.0, "fails"),
    "k": ("ablation", "method == 'SGD' and not bias and clip == 1", 50.0, "fails"),
    "l": ("race", "size == 1024", -40.0, "fails"),
    "m": ("race", "spectrum == '1 to 5' and method == 'Muon'", -9.0, "partly"),
}
LETTERS = [claim.id[-1] for claim in findings.CLAIMS]


@pytest.mark.parametrize("letter", LETTERS)
def test_a_claim_holds_on_results_made_to_it(letter: str) -> None:
    assert verdict(letter, made_as_claimed()) == "holds"


@pytest.mark.parametrize("letter", LETTERS)
def test_a_claim_falls_when_its_numbers_do(letter: str) -> None:
    name, rows, added, expected = BREAKS[letter]
    tables = made_as_claimed()
    chosen = tables[name].query(rows).index
    columns = [c for c in ("snr_db", "true_snr_db") if c in tables[name]]
    tables[name].loc[chosen, columns] += added
    assert verdict(letter, tables) == expected


@pytest.mark.parametrize("letter", LETTERS)
def test_small_layers_decide_nothing(letter: str) -> None:
    tables = made_as_claimed()
    tables["sgd"]["size"] = 16
    assert verdict(letter, tables) == "undecided"


def test_the_ablation_fills_every_arm_of_methods_that_never_decay() -> None:
    tables = made_as_claimed()
    gone = tables["ablation"].query("method in ('Adam', 'Rprop') and weight_decay > 0").index
    tables["ablation"] = tables["ablation"].drop(gone)
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    table = findings.ablation_table(results, 1024, "the text's")
    assert list(table.columns) == [*findings.ARMS.values(), "none, 4 x batches"]
    assert list(table.index) == list(METHODS)
    assert table.notna().all(axis=None)
    assert table.loc["Adam", "all three"] == table.loc["Adam", "no decay"] == 5
    assert table.loc["Adam", "none"] == 60


def test_longer_runs_are_told_by_the_rates_they_had_and_collapses_are_named() -> None:
    tables = made_as_claimed()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    table = findings.ablation_table(results, 1024, "best of seven")
    assert table.columns[-1] == "none, 4 x batches, better of two rates"
    assert findings.collapses(table) == ""
    long = tables["ablation"].query("batches == 2000 and clip == 'none' and not bias")
    long = long[long.weight_decay.eq(0) & long["size"].eq(1024)]
    for method, snr in (("Adamax", 11.3), ("Lion", 49.0), ("SGD", 51.0), ("Adagrad", 124.9)):
        tables["ablation"].loc[long.index[long.method.eq(method)], "true_snr_db"] = snr
    said = findings.collapses(findings.ablation_table(results, 1024, "best of seven"))
    assert "cost 2 of 12 methods 10 dB or more (Adamax from 60.0 to 11.3, Lion from 60.0" in said
    assert "Of these 2 methods 1 are among the 5" in said
    assert "Adagrad, which forgets nothing, goes from 60.0 to 124.9 dB" in said


def test_the_bias_is_judged_without_decay_and_its_floor_is_told() -> None:
    tables = made_as_claimed()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    evidence = findings._bias(results).evidence
    assert evidence.startswith("Without weight decay, at size 64")
    assert "With weight decay it has 5.0 and 40.1 dB: the decay's floor, 40.1 dB here" in evidence


def test_the_width_counts_the_rates_within_ten_db() -> None:
    tables = made_as_claimed()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    assert set(findings.width(results, 1024)) == {3}
    tables["search"].loc[tables["search"].method == "Muon", "true_snr_db"] = np.nan
    tables["search"].loc[tables["search"].rate == RACE["Muon"][0], "true_snr_db"] = 50.0
    assert findings.ranking(results, 1024).loc["Muon", "width"] >= 1


def test_a_curve_breaks_off_where_the_largest_rate_diverges() -> None:
    tables = made_as_claimed()
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    assert findings.broken_off(results, 1024) == []
    search = tables["search"]
    search.loc[search.method.eq("SGD") & search.rate.gt(RACE["SGD"][0]), "true_snr_db"] = np.nan
    search.loc[search.method.eq("Shampoo"), "true_snr_db"] = np.nan
    search.loc[search.method.eq("Lion") & search.rate.lt(RACE["Lion"][0]), "true_snr_db"] = np.nan
    assert findings.broken_off(results, 1024) == ["SGD"]


def test_a_method_that_diverged_at_every_rate_is_named_and_counts_no_rate() -> None:
    tables = made_as_claimed()
    tables["race"]["batch_size"] = 32
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    assert findings.divergence(results, 1024) == ""
    for table in (tables["search"], tables["race"]):
        table.loc[table.method.eq("Shampoo") & table["size"].eq(1024), "true_snr_db"] = np.nan
    said = findings.divergence(results, 1024)
    assert said.startswith("At size 1024 Shampoo diverged at every rate. Shampoo takes its first")
    assert "320 samples" in said
    found = findings.ranking(results, 1024)
    assert found.index[-1] == "Shampoo"
    assert found.width["Shampoo"] == 0
    assert findings.ranking_rows(found)[-1][1] == "diverges"
    assert "Shampoo diverges" in findings._race(results).evidence
    assert findings.square_race(results).true_snr_db.min() >= findings.FLOOR


def test_what_is_not_finite_diverged() -> None:
    rows = findings.cells_of(pd.DataFrame({"clip": [1.234, -np.inf]}, index=["SGD", "Adam"]))
    assert rows == [["SGD", "1.2"], ["Adam", "diverges"]]
