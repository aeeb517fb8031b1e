"""Each claim holds on results made to what it says, and falls when they are changed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.adam_dynamics import (
    ADAM_RATE,
    BETA,
    FLOOR_RATES,
    MOTION,
    RACE,
    Parameters,
    cells,
    tried_rates,
)
from hdnotes.findings import adam_dynamics as findings
from hdnotes.theory.batch_noise import carried_persistent, carried_shuffled

TEXT = Parameters(
    dynamics_features=1024,
    dynamics_sets=12,
    dynamics_epochs=100_014,
    features=1024,
    methods=tuple(RACE),
    alphas=(1.8, 2.2, 3.0, 4.0, 5.0, 6.0),
    judge_starts=4,
    motion_sets=8,
    epochs_factor=2000,
)
#: Last errors of the learning curves that do what the text says: Adam, P-SGD, with momentum.
ENDS = {"Adam": 1.2, "P-SGD": 0.3, "P-SGD + momentum": 0.2}
#: Last errors of the judged runs of wide students, and of untuned Adam with one unit.
WIDE_ENDS = {"Adam": 0.05, "momentum": 0.2, "untuned": 0.6}
UNTUNED_END = 1.95
#: 50 % crossings by kind of batch.
CROSSINGS = {"persistent": 2.4, "shuffled": 5.0, "full": 5.0}


def curves_of(cell, end):
    names = ["Adam"] if cell["method"] == "Adam" else ["P-SGD", "P-SGD + momentum"]
    errors = {name: end(name, cell["hidden"]) for name in names}
    return [
        {"method": name, "start": 0, "set": cell["first_set"] + k, "epoch": epoch}
        | {"test_error": e}
        for k in range(cell["sets"])
        for name in names
        for epoch, e in ((0, 2.0), (100, 1.9), (cell["epochs"], errors[name] * (1 + 0.01 * k)))
    ]


def race_of(cell, crossing, wide, untuned):
    centre = crossing(cell["method"], cell["batches"])
    share = 1 / (1 + (centre / cell["alpha"]) ** 20)
    wins = round(share * cell["judge_starts"])
    name = "untuned" if cell["kind"] == "untuned" else cell["method"]

    def end(start):
        if cell["hidden"] > 1:
            return wide(name)
        return untuned if name == "untuned" else 9e-4 if start < wins else 1.9

    return [
        {"set": k, "start": start, "test_error": end(start), "rate": 0.1, "betas": ""}
        for k in range(cell["judge_sets"])
        for start in range(cell["judge_starts"])
    ]


def paths_of(cell, rows):
    """Errors that fall evenly in the logarithm of the epoch, to where the judged runs end."""
    epochs = np.geomspace(1, cell["epochs"], 20).round()
    return [
        {name: row[name] for name in ("set", "start")}
        | {"epoch": epoch, "test_error": 2 * (row["test_error"] / 2) ** (k / 19)}
        for row in rows
        for k, epoch in enumerate(epochs)
    ]


def search_of(cell):
    return [
        {"rate": rate, "betas": "", "tried": at, "set": 1000 + k, "test_error": 1 + 0.1 * k}
        for at, rate in enumerate(tried_rates(cell["method"], cell["rates"]))
        for k in range(3)
    ]


def motion_of(cell, angle, radial):
    return [
        {
            "method": name,
            "set": k,
            "lag": lag,
            "angle": angle(name, cell["batches"]) * lag / 8 * (1 + 0.02 * k),
            "radial": -radial(name) + 1e-3 * k,
            "test_error": 1.8,
        }
        for name in MOTION
        for lag in (1, 8)
        for k in range(cell["sets"])
    ]


def made(
    end=lambda name, hidden: ENDS[name],
    crossing=lambda method, batches: CROSSINGS[batches],
    wide=lambda name: WIDE_ENDS.get(name, 0.4),
    untuned=UNTUNED_END,
    angle=lambda name, batches: 0.9 if batches == "persistent" else 0.01,
    radial=lambda name: 0.8 if name == "Adam" else 1.0,
    noise=lambda batches, said: said,
    floor=lambda rate: 1e-8,
    edge=lambda method: False,
    **parameters,
) -> SimpleNamespace:
    asked = cells(Parameters(**{**vars(TEXT), **parameters}))
    said = {"shuffled": carried_shuffled(BETA, 2), "persistent": carried_persistent(BETA, 0.005)}
    tables: dict[str, list[dict]] = {
        name: [] for name in ("curves", "race", "paths", "search", "motion", "noise", "floor")
    }
    for cell in asked:
        match cell["kind"]:
            case "dynamics":
                rows = {"curves": curves_of(cell, end)}
            case "race":
                found = race_of(cell, crossing, wide, untuned)
                judged = [{**row, "at_edge": edge(cell["method"])} for row in found]
                rows = {"race": judged, "search": search_of(cell)}
                rows |= {"paths": paths_of(cell, judged)} if cell["records"] else {}
            case "untuned":
                found = race_of(cell, crossing, wide, untuned)
                rows = {"race": found, "paths": paths_of(cell, found)}
            case "motion":
                rows = {"motion": motion_of(cell, angle, radial)}
            case "noise":
                share = noise(cell["batches"], said[cell["batches"]])
                rows = {"noise": [{"set": k, "share": share * (1 + k / 100)} for k in range(8)]}
            case "floor":
                rows = {
                    "floor": [
                        {"rate": rate, "set": k, "test_error": floor(rate), "largest": 1e-2}
                        for rate in FLOOR_RATES
                        for k in range(8)
                    ]
                }
        for name, new in rows.items():
            tables[name] += [{**cell, **row} for row in new]
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    return SimpleNamespace(cells=asked, table=lambda name: frames[name].copy())


MADE = made()


def verdict(name: str, results) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == name]
    return claim.test(results).verdict


@pytest.mark.parametrize("name", [one.id for one in findings.CLAIMS if one.id != "hd-dy-b"])
def test_every_claim_holds_on_results_made_to_it(name):
    assert verdict(name, MADE) == "holds"


def test_wide_students_gain_where_they_do():
    better = made(end=lambda name, hidden: 0.1 if name == "Adam" else ENDS[name])
    assert verdict("hd-dy-b", better) == "holds"
    assert verdict("d2-4-12-c", better) == "fails"


#: claim -> (what changes, the verdict that follows)
BREAKS = {
    "d2-4-12-a": ({"end": lambda n, d: 9e-4 if (n, d) == ("Adam", 2) else ENDS[n]}, "partly"),
    "d2-4-12-b": ({"end": lambda n, d: 0.1 if (n, d) == ("Adam", 1) else ENDS[n]}, "partly"),
    "d2-4-12-c": ({"end": lambda n, d: 0.1 if n == "Adam" else ENDS[n]}, "fails"),
    "hd-dy-b": ({"end": lambda n, d: ENDS[n]}, "fails"),
    "hd-dy-c": ({"crossing": lambda m, b: 1.5}, "fails"),
    "hd-dy-d": ({"crossing": lambda m, b: 2.4 if m == "Adam" else CROSSINGS[b]}, "partly"),
    "hd-dy-e": (
        {"crossing": lambda m, b: CROSSINGS[b] * (1.5 if (m, b) == ("Adam", "persistent") else 1)},
        "fails",
    ),
    "hd-dy-j": ({"crossing": lambda m, b: 1.5 if m == "Adam" else CROSSINGS[b]}, "partly"),
    "hd-dy-k": ({"wide": lambda n: 0.55 if n == "Adam" else WIDE_ENDS.get(n, 0.4)}, "fails"),
    "hd-dy-l": ({"wide": lambda n: 0.05 if n == "momentum" else WIDE_ENDS.get(n, 0.4)}, "fails"),
    "hd-dy-f": ({"noise": lambda b, said: 0.05}, "fails"),
    "hd-dy-g": ({"angle": lambda n, b: 0.5}, "fails"),
    "hd-dy-h": ({"radial": lambda n: 0.99}, "partly"),
    "hd-dy-i": ({"floor": lambda rate: 0.1 if rate > 0.05 else 1e-8}, "partly"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    change, expected = BREAKS[name]
    assert verdict(name, made(**change)) == expected


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"dynamics_features": 256}, "d2-4-12-a"),
        ({"dynamics_epochs": 5000}, "d2-4-12-a"),
        ({"dynamics_epochs": 5000}, "d2-4-12-c"),
        ({"hidden": (2,)}, "d2-4-12-b"),
        ({"hidden": (1, 2)}, "d2-4-12-c"),
        ({"hidden": (1, 2)}, "hd-dy-b"),
        ({"dynamics_sets": 3}, "d2-4-12-b"),
        ({"motion_sets": 3}, "hd-dy-g"),
        ({"edge": lambda method: method == "Adam"}, "hd-dy-c"),
        ({"edge": lambda method: method == "Adam"}, "hd-dy-j"),
        ({"edge": lambda method: method == "momentum"}, "hd-dy-l"),
        ({"wide_methods": ("momentum",)}, "hd-dy-k"),
        ({"wide_methods": ("Adam",)}, "hd-dy-l"),
        ({"judge_sets": 3}, "hd-dy-k"),
        ({"epochs_factor": 300}, "hd-dy-j"),
        ({"features": 96}, "hd-dy-c"),
        ({"epochs_factor": 300}, "hd-dy-d"),
        ({"dynamics_epochs": 5000}, "d2-4-12-b"),
    ],
)
def test_what_was_not_run_decides_nothing(parameters, name):
    assert verdict(name, made(**parameters)) == "undecided"


def test_a_run_that_stopped_stands_at_its_last_error():
    results = made(hidden=(1,), dynamics_sets=1)
    table = results.table("curves")
    stopped = table[~(table.method.eq("P-SGD") & table.epoch.gt(100))]
    found = findings.curves(SimpleNamespace(cells=results.cells, table=lambda name: stopped))
    assert found[found.method.eq("P-SGD")].test_error.tolist() == [1.9, 1.9]
    assert found[found.method.eq("Adam")].test_error.tolist() == [1.9, 1.2]


def test_the_sources_adam_reaches_no_success_with_one_unit_and_the_text_stands_on_two_seeds():
    adam = pd.concat(findings.source_curves(d) for d in (1, 2)).query("method == 'Adam'")
    assert adam.test_error.min() == 0.003
    assert set(adam.seed) == {"A", "B"}
    gains = findings.source_gains()
    assert (gains.groupby("hidden")[["first", "last"]].nunique() == 1).all(axis=None)
    left = gains.groupby("method").left.agg(["min", "max"])
    assert left.loc["Adam", "max"] < left.loc["P-SGD", "max"]


def test_the_reading_of_the_sources_curves_can_fall(monkeypatch):
    table = findings.points("adam_dynamics")
    worse = table.test_error.where(~(table.method.eq("Adam") & table.epoch.gt(30_000)), 1.5)
    monkeypatch.setattr(findings, "points", lambda name: table.assign(test_error=worse))
    assert verdict("hd-dy-a", MADE) == "fails"


def test_rows_of_the_tables():
    (row,) = [row for row in findings.race_rows(MADE) if row[0] == "full-batch Adam"]
    assert row[1:] == ["0.10", "0.00 (0.00 to 0.07)", "1.90"]
    assert findings.floor_rows(MADE)[0][0] == f"{ADAM_RATE:g}"
    assert len(findings.floor_header(MADE)) == len(findings.floor_rows(MADE)[0])
    places = findings.race_points(MADE).place
    assert np.isclose(places.diff().dropna(), 0).sum() == 0
    assert "P-SGD + momentum" in findings.recovering(MADE)
    assert "Adam" not in findings.recovering(MADE)


def test_an_interval_without_ends_is_written_as_elsewhere():
    assert findings._signed([0.5, 0.7]) == "+0.60 (−∞ to +∞)"


def test_what_tuning_does_stands_beside_the_texts_claims_and_changes_no_verdict():
    said = {one.id: one.test(MADE) for one in findings.CLAIMS if one.id.startswith("d2")}
    assert "Once tuned" in said["d2-4-12-a"].evidence
    assert "d = 1: 0 of 40 runs; d = 5: 0 of 40 runs" in said["d2-4-12-a"].evidence
    assert "d = 5: 0.25 (0.25 to 0.25) times P-SGD + momentum" in said["d2-4-12-c"].evidence
    bare = made(wide_methods=("momentum",))
    assert "Once tuned" not in findings._no_gain(bare).evidence
    assert findings._no_gain(bare).verdict == said["d2-4-12-c"].verdict == "holds"


def test_sooner_counts_the_epochs_to_where_untuned_adam_ends():
    budget = findings.budget(MADE)
    assert findings._sooner(MADE, 5).to_numpy() == pytest.approx(budget ** (12 / 19), rel=0.1)
    never = made(wide=lambda name: 0.7 if name == "Adam" else WIDE_ENDS.get(name, 0.4))
    assert set(findings._sooner(never, 5)) == {0}
    assert verdict("hd-dy-k", never) == "fails"


def test_tuned_curves_hold_the_methods_to_compare_and_no_others():
    table = findings.tuned_curves(MADE)
    names = {d: set(rows.method) for d, rows in table.groupby("hidden")}
    assert names[5] == {"Adam", "Lion", "ADOPT", findings.MARK, findings.UNTUNED}
    assert names[1] >= names[5]
    assert not {"SGD", "SGD + momentum", "persistent Adam", "full-batch Adam"} & names[1]
    panels = [(d, title, set(rows.method)) for d, title, rows in findings.tuned_panels(table)]
    assert panels[2:] == [
        (5, "Adam", {"Adam", findings.MARK, findings.UNTUNED}),
        (5, "its relatives", {"Lion", "ADOPT", findings.MARK}),
    ]
    rows = findings.tuned_rows(MADE)
    assert next(row[1] for row in rows if row[0] == "5") == "Adam"
    assert all(row[3] == "0.050 (0.050 to 0.050)" for row in rows if row[:2] == ["5", "Adam"])


def test_what_a_search_found_is_written_with_its_betas():
    assert findings._chosen(0.3, "(0.9, 0.95)", False) == "0.30, betas (0.9, 0.95)"
    assert findings._chosen(0.3, "", True) == "0.30 (edge)"
