"""Each claim holds on results made to the text, and falls when they are changed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from hdnotes.experiments.students import method_name
from hdnotes.experiments.symmetric_door import LOGISTIC, Parameters, cells
from hdnotes.findings import symmetric_door as findings
from hdnotes.problems.phase_retrieval import door_error

TEXT = Parameters(
    features=1024,
    alphas=(1.0, 3.0, 5.0, 8.0),
    hidden_alphas=(3.0, 5.0, 8.0),
    data_sets=6,
    epochs_factor=2000,
    hidden_epochs_factor=1500,
)


def as_said(cell: dict, momentum: str) -> float:
    """Return the share of wrong labels of a figure that shows what the text says."""
    persistent = cell["batches"] == "persistent"
    error = 0.5 - 0.03 * cell["alpha"] - 0.08 * persistent
    error += 0 if cell["channel"] == LOGISTIC else 0.02 if persistent else 0.08
    error += 0.005 * (momentum == "Nesterov")
    slow = cell["hidden"] == 2 and cell.get("learning_rate") == TEXT.small_rate
    return error + 0.05 * (persistent and slow)


def gamp(cell: dict, prior: str) -> float:
    return 0.0 if prior == "±1" else findings.possible(cell["alpha"])


def along(cell: dict, momentum: str, epoch: int) -> float:
    """Return an error that for P-SGD falls as long as it is looked at, for GD up to 100 epochs."""
    last = epoch if cell["batches"] == "persistent" else min(epoch, 100)
    return as_said(cell, momentum) + 0.1 / last**0.1


def made(error=as_said, control=gamp, curve=along, **parameters) -> SimpleNamespace:
    asked = cells(Parameters(**{**vars(TEXT), **parameters}))
    tables: dict[str, list] = {"runs": [], "control": [], "curves": []}
    for cell in asked:
        scalars = {k: v for k, v in cell.items() if k not in ("momenta", "momentum")}
        for number in range(cell["first_set"], cell["first_set"] + cell["sets"]):
            for start in range(cell["starts"]):
                one = {**scalars, "set": number, "start": start}
                shift = 0.004 * (number - 2.5) + 0.001 * start
                if cell["kind"] == "control":
                    for prior in ("±1", "norm"):
                        row = {"prior": prior, "test_error": control(cell, prior)}
                        tables["control"].append({**one, **row})
                    continue
                for momentum in cell["momenta"]:
                    method = method_name(cell["batches"], momentum)
                    row = {**one, "momentum": momentum, "method": method}
                    if cell["kind"] == "time":
                        for epoch in (1, 10, 100, 1000, cell["epochs"]):
                            value = curve(cell, momentum, epoch) + shift
                            errors = {"test_error": value, "training_error": value / 2}
                            tables["curves"].append({**row, "epoch": epoch, **errors})
                        continue
                    value = error(cell, momentum) + shift
                    errors = {"test_error": value, "training_error": value / 2}
                    tables["runs"].append({**row, **errors})
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    return SimpleNamespace(cells=asked, table=lambda name: frames[name].copy())


MADE = made()


def verdict(name: str, results) -> str:
    (claim,) = [one for one in findings.CLAIMS if one.id == name]
    return claim.test(results).verdict


@pytest.mark.parametrize("name", [claim.id for claim in findings.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(name):
    assert verdict(name, MADE) == "holds"


def _changed(by: float, **where):
    """Return `as_said` with the errors of some cells changed."""

    def error(cell, momentum):
        cell = {**cell, "which": momentum}
        hit = all(cell[name] in np.atleast_1d(value) for name, value in where.items())
        return as_said(cell, momentum) + by * hit

    return error


DESCENT = ["full", "shuffled"]
#: claim -> (what is changed, the verdict that follows)
BREAKS = {
    "d2-4-10-a": ({"error": _changed(0.1, channel=LOGISTIC)}, "fails"),
    "d2-4-10-b": ({"error": _changed(0.1, channel=LOGISTIC, batches=DESCENT)}, "fails"),
    "d2-4-10-c": ({"error": _changed(-0.2, batches="full")}, "partly"),
    "d2-4-10-d": ({"error": _changed(-0.1, which="Nesterov")}, "fails"),
    "d2-4-10-e": ({"control": lambda cell, prior: 0.02}, "partly"),
    "d2-4-11-a": ({"error": _changed(-0.05, hidden=2)}, "fails"),
    "d2-4-11-b": ({"error": _changed(-0.1, hidden=2, batches="persistent")}, "fails"),
    "d2-4-11-c": ({"error": _changed(-0.1, hidden=2, which="Nesterov")}, "fails"),
    "hd-sd-a": ({"control": lambda cell, prior: 0.0}, "partly"),
    "hd-sd-b": ({"error": lambda cell, momentum: findings.possible(cell["alpha"])}, "fails"),
    "hd-sd-c": ({"curve": lambda cell, momentum, epoch: 0.3}, "partly"),
    "hd-sd-d": ({"error": _changed(0.1, teacher="as drawn")}, "fails"),
    "hd-sd-e": ({"error": _changed(0.1, kind="rate")}, "fails"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_claim_falls_when_its_results_do(name):
    change, expected = BREAKS[name]
    assert verdict(name, made(**change)) == expected


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (
            {"parts": ("losses",)},
            ["d2-4-11-a", "d2-4-11-b", "d2-4-11-c", "hd-sd-c", "hd-sd-d", "hd-sd-e"],
        ),
        ({"data_sets": 1, "alphas": (5.0,)}, ["d2-4-10-a", "d2-4-10-c", "d2-4-10-d", "hd-sd-b"]),
        ({"alphas": (0.1, 1.0)}, ["d2-4-10-a", "d2-4-10-e", "hd-sd-a"]),
        ({"features": 64}, ["d2-4-10-c", "d2-4-10-e", "d2-4-11-c", "hd-sd-b", "hd-sd-e"]),
        ({"epochs_factor": 200}, ["d2-4-10-a", "d2-4-10-c", "d2-4-10-e", "hd-sd-b"]),
        ({"hidden_epochs_factor": 200}, ["d2-4-11-a", "d2-4-11-b", "d2-4-11-c", "hd-sd-e"]),
    ],
)
def test_what_was_not_run_decides_nothing(parameters, names):
    results = made(**parameters)
    assert {name: verdict(name, results) for name in names} == dict.fromkeys(names, "undecided")


def test_the_possible_error_is_that_of_the_overlap_that_stays_as_it_is():
    assert findings.possible(1.0) == pytest.approx(0.5)
    q = 0.9
    alpha = findings.NORM_ONLY.sample_complexity(q)
    expected = float(door_error(torch.tensor([q**0.5]))[0])
    assert findings.possible(alpha) == pytest.approx(expected, abs=1e-3)
    errors = findings.norm_only(30.0).error
    assert (errors.diff().dropna() <= 1e-12).all()
    assert errors.min() > 0.01


def test_an_interval_is_one_of_data_sets():
    table = findings.spread(findings.runs(MADE, "losses", channel=LOGISTIC), ["method"])
    row = table[table.method.eq("GD") & table.alpha.eq(5)].iloc[0]
    centre = as_said({"batches": "full", "channel": LOGISTIC, "alpha": 5, "hidden": 1}, "none")
    low, high = 0.0005 - 0.004 * 2.5, 0.0005 + 0.004 * 2.5
    assert row.share == pytest.approx(centre + 0.0005)
    assert (row.low, row.high) == (
        pytest.approx(centre + low),
        pytest.approx(centre + high),
    )


def test_where_nothing_was_run_nothing_varies():
    assert findings.variation(MADE, 4.0) == {}


def test_starts_and_data_sets_vary_as_they_were_made_to():
    between_starts, between_sets = findings.variation(MADE, 5.0)["GD"]
    assert between_starts == pytest.approx(0.001 / 2**0.5)
    assert between_sets == pytest.approx(np.std(0.004 * np.arange(6), ddof=1))


def test_bars_at_one_alpha_stand_apart_and_around_it():
    table = pd.DataFrame({"alpha": [5.0] * 3 + [10.0], "method": ["GD", "SGD", "P-SGD", "SGD"]})
    at = findings.apart(table, "method")["at"]
    assert at[:3].is_monotonic_increasing
    assert at[:3].mean() == pytest.approx(5)
    assert (at[1], at[3]) == (5, 10)


def test_figures_are_told_in_words():
    shown = findings.spread(findings.runs(MADE, "losses", channel=LOGISTIC), ["method"])
    words = findings.panel_words({"logistic": shown})
    assert words.startswith("logistic: ")
    assert "GD 0.47 at 1, 0.41 at 3, 0.35 at 5, 0.26 at 8" in words
    assert findings.alphas_words(MADE, "hidden") == "3, 5, 8"
    assert "0.5 of the learning rate" in findings._rates(MADE)
    assert "where state evolution has" in findings.beside(MADE)
    assert findings.time_words(MADE).startswith("Medians from epoch 1,000 to ")


def test_effects_of_momentum_that_cancel_over_losses_or_data_are_effects():
    def by_loss(cell, momentum):
        change = 0.05 if cell["channel"] == LOGISTIC else -0.05
        return as_said(cell, "none") + change * (momentum == "Nesterov")

    def by_size(cell, momentum):
        change = 0.05 if cell["alpha"] > 4 else -0.05
        return as_said(cell, "none") + change * (momentum == "Nesterov")

    assert verdict("d2-4-10-d", made(error=by_loss)) == "fails"
    assert verdict("d2-4-10-d", made(error=by_size)) == "fails"


def test_a_deviation_that_has_no_value_is_a_dash(monkeypatch):
    found = {"GD": (np.nan, 0.123)}
    monkeypatch.setattr(findings, "variation", lambda results, alpha: found)
    assert findings.variation_rows(MADE, 5.0) == [["GD", "–", "12.3"]]
    found["GD"] = (np.nan, np.nan)
    assert findings.variation_rows(MADE, 5.0) == []


def _effects(rng, shift: dict[float, float], noise: float = 0.035) -> dict[str, pd.Series]:
    """Return differences on 12 data sets at each alpha: its shift, and the luck of the starts."""
    at = pd.MultiIndex.from_product([shift, range(12)], names=["alpha", "set"])
    values = [shift[alpha] + noise * rng.standard_normal() for alpha, _ in at]
    return {"GD": pd.Series(values, index=at)}


@pytest.mark.parametrize(
    ("shift", "word"),
    [
        (dict.fromkeys((3.0, 4.0, 5.0, 6.0, 7.0, 8.0), 0.0), "holds"),
        (dict.fromkeys((3.0, 4.0, 5.0, 6.0, 7.0, 8.0), 0.05), "fails"),
        ({3.0: 0.1, 4.0: 0.0, 5.0: 0.0, 6.0: 0.0, 7.0: 0.0, 8.0: 0.0}, "fails"),
    ],
)
def test_luck_of_the_starts_is_no_difference_and_one_at_one_alpha_is(shift, word):
    effects = _effects(np.random.default_rng(0), shift)
    found = findings._no_shift(effects, "Change")
    assert found.verdict == word
    assert effects["GD"].abs().median() > findings.EQUAL
    assert found.evidence.startswith(f"Change: GD {findings.points(effects['GD'])} [{word}]; ")
    assert ("it does for GD at α = 3" in found.evidence) == (shift[3.0] > 0)


def test_the_luck_of_the_starts_is_told():
    assert findings._of_chance(findings.runs(MADE, "losses")).endswith("deviation of 0.1.")
    assert findings._of_chance(findings.runs(made(starts=1), "losses")) == ""
