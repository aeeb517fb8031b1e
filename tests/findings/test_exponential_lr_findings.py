"""Each claim of the chapter holds on results made to the text and falls when they are not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes import datasets
from hdnotes.experiments import exponential_lr as experiment
from hdnotes.experiments.exponential_lr import (
    DECAY,
    EVERY_STEP,
    GROWTH,
    LONG,
    NEITHER,
    REORDERED,
    SAME_BETAS,
    SCALES,
    ZERO_BUFFER,
)
from hdnotes.experiments.parameters import resolve
from hdnotes.findings import exponential_lr as findings
from hdnotes.theory import scale_invariance as theory

TRIALS = range(15)
PAIRS = {
    "theorem": (DECAY, GROWTH, ZERO_BUFFER, NEITHER),
    "published": (DECAY, GROWTH, EVERY_STEP),
    "adam": (DECAY, GROWTH, SAME_BETAS, NEITHER),
}
OTHERS = ("no momentum", "steps", "cosine", "rayleigh", "tanh", "eps", "float32", "float32, tanh")
GAPS = {"eps": 0.5, "float32": 0.5, "float32, tanh": 1e-6}


def pair_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    ends, curves = [], []
    for part, arms in (PAIRS | dict.fromkeys(OTHERS, (DECAY, GROWTH))).items():
        for arm in arms:
            off = GAPS.get(part, 1e-13)
            off = 0.0 if arm == DECAY else off
            off = 0.5 if arm in (ZERO_BUFFER, NEITHER, EVERY_STEP, SAME_BETAS) else off
            for trial in TRIALS:
                key = {
                    "kind": "adam" if part == "adam" else "twins",
                    "part": np.nan if part == "adam" else part,
                    "steps": 100,
                    "arm": arm,
                    "trial": trial,
                }
                last = 2.0 if arm == EVERY_STEP else 1.0
                effective = 0.5 if arm == NEITHER else 3.0
                values = {"loss_gap": off, "output_gap": off, "error": 0.03, "last_loss": last}
                ends.append(key | values | {"growth": 1e9, "effective_growth": effective})
                for step in range(0, 101, 10):
                    scale = 2.0 ** (step / 5) if arm == GROWTH else 1.0
                    record = {"step": step, "rate": scale, "squared_norm": 3 * scale}
                    record |= {"squared_gradient": 1 / scale, "effective_rate": 1 / 3}
                    close = part == "float32" and step < 50  # then it jumps
                    far = 1e-6 if close and arm != DECAY else off
                    curves.append(key | record | {"output_gap": far, "loss_gap": far})
    for part in LONG[:6]:
        for arm, off in ((DECAY, 0.0), (REORDERED, 2e-15)):
            for trial in TRIALS:
                key = {"kind": "reordered", "part": part, "steps": 100, "arm": arm, "trial": trial}
                ends.append(key | {"output_gap": off})
                gaps = {"output_gap": off, "loss_gap": off}
                curves += [key | gaps | {"step": step} for step in range(0, 101, 10)]
    return pd.DataFrame(ends), pd.DataFrame(curves)


def equilibrium_table() -> pd.DataFrame:
    rows = []
    for method, g, rate, decay in (("SGD", 0.0, 0.1, 0.01), ("AdamW", 0.9, 0.01, 0.2)):
        adam, product = method == "AdamW", rate * decay
        turn = theory.adam_rotation(product, g) if adam else theory.rotation(product, g)
        time = theory.adam_settling(product) if adam else theory.settling(product, g)
        rows += [(method, g, rate, decay, trial, turn, time) for trial in TRIALS]
    names = ["method", "momentum", "rate", "weight_decay", "trial", "rotation", "settled"]
    return pd.DataFrame(rows, columns=names)


def made_to_the_text() -> dict[str, pd.DataFrame]:
    lemma = [
        (network, dtype, eps, trial, scale, gap, gap)
        for network, dtype, eps, gap in (
            ("relu", "float64", 0.0, 1e-15),
            ("rayleigh", "float64", 0.0, 1e-15),
            ("relu", "float64", 1e-5, 1e-3),
            ("relu", "float32", 0.0, 1e-7),
        )
        for trial in TRIALS
        for scale in SCALES
    ]
    columns = ["network", "dtype", "eps", "trial", "scale", "orthogonality", "scale_gap"]
    norms = [
        (g, decay, trial, 1e-15, 0.0)
        for g in (0.0, 0.9)
        for decay in (0.0, 0.1)
        for trial in TRIALS
    ]
    twin, curve = pair_tables()
    return {
        "lemma": pd.DataFrame(lemma, columns=columns),
        "norms": pd.DataFrame(
            norms, columns=["momentum", "decay", "trial", "identity_gap", "falling"]
        ).assign(steps=400),
        "twin": twin,
        "curve": curve,
        "overflow": pd.DataFrame({"trial": TRIALS, "stop": 990, "predicted": 1000.0}),
        "equilibrium": equilibrium_table(),
    }


def results(tables: dict[str, pd.DataFrame]) -> SimpleNamespace:
    return SimpleNamespace(table=lambda name: tables[name].copy())


def verdict(claim_id: str, tables: dict[str, pd.DataFrame]) -> str:
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == claim_id]
    return claim.test(results(tables)).verdict


#: claim -> (table, rows, column, new value, the verdict that follows)
BREAKS = {
    "d3-lr-a": ("lemma", "network == 'rayleigh'", "orthogonality", 1e-9, "partly"),
    "d3-lr-b": ("lemma", "scale == 10 and eps == 0", "scale_gap", 1e-9, "fails"),
    "d3-lr-c": ("norms", "decay > 0", "falling", 0.9, "partly"),
    "d3-lr-d": ("curve", "arm == 'growing rate'", "squared_gradient", 1.0, "fails"),
    "d3-lr-e": ("twin", "arm == 'neither'", "effective_growth", 3.5, "fails"),
    "d3-lr-f": ("twin", "part == 'theorem' and kind == 'twins'", "loss_gap", 1e-8, "partly"),
    "d3-lr-g": ("twin", "part == 'tanh' and arm == 'growing rate'", "output_gap", 0.1, "partly"),
    "hd-lr-j": ("curve", "part == 'tanh' and arm == 'growing rate'", "output_gap", 1e-9, "partly"),
    "hd-lr-i": ("twin", "kind == 'adam' and arm == 'growing rate'", "output_gap", 0.1, "partly"),
    "hd-lr-a": ("twin", "part == 'cosine' and kind == 'twins'", "output_gap", np.nan, "partly"),
    "hd-lr-b": ("twin", "part == 'eps'", "output_gap", 1e-13, "partly"),
    "hd-lr-c": ("twin", "part == 'float32'", "output_gap", 0.01, "partly"),
    "hd-lr-d": ("twin", "arm == '1.481 an update'", "last_loss", 0.9, "partly"),
    "hd-lr-e": ("curve", "arm == 'growing rate' and step > 90", "effective_rate", 9.0, "partly"),
    "hd-lr-f": ("equilibrium", "method == 'AdamW'", "rotation", 9.0, "partly"),
    "hd-lr-g": ("equilibrium", None, "settled", 1.0, "fails"),
    "hd-lr-h": ("overflow", None, "stop", 500, "fails"),
}


@pytest.mark.parametrize("claim_id", [claim.id for claim in findings.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(claim_id):
    assert verdict(claim_id, made_to_the_text()) == "holds"


@pytest.mark.parametrize("claim_id", BREAKS)
def test_a_claim_falls_when_its_results_do(claim_id):
    name, where, column, value, expected = BREAKS[claim_id]
    tables = made_to_the_text()
    for table in tables[name], tables["curve"]:  # a pair's gap is in both
        if column in table and (name == "twin" or table is tables[name]):
            table.loc[table.eval(where) if where else slice(None), column] = value
    assert verdict(claim_id, tables) == expected


@pytest.mark.parametrize("claim_id", [claim.id for claim in findings.CLAIMS])
def test_two_trials_decide_nothing(claim_id):
    tables = {name: table[table.trial < 2] for name, table in made_to_the_text().items()}
    assert verdict(claim_id, tables) == "undecided"


def test_every_claim_can_fall():
    assert set(BREAKS) == {claim.id for claim in findings.CLAIMS}


def test_a_profile_without_the_residual_network_has_no_row_of_it():
    rows = findings.twin_rows(results(made_to_the_text()))
    assert [row[0] for row in rows] == [
        words for part, words in findings.PARTS.items() if not part.startswith("resnet")
    ]


def test_the_arrows_of_the_lemma_shrink_with_the_length():
    table = findings.arrows(results({}))
    ends = table[table.y < 0].set_index("x").y
    assert ends.to_dict() == {1.0: -0.8, 2.0: -0.4}


def test_the_published_rate_lasts_some_hundred_epochs():
    assert findings.epochs_to_overflow() == pytest.approx(np.log(3.4028e39) / np.log(1.4812), abs=1)


def test_a_caption_counts_the_starts_of_its_table():
    table = pd.DataFrame(
        [
            (run, trial, step, 0.5)
            for run, n in (("a", 5), ("b", 3))
            for trial in range(n)
            for step in (1, 2)
        ],
        columns=["run", "trial", "step", "output_gap"],
    )
    assert findings.medians(table).startswith("Medians of 3 to 5 starts")
    assert findings.medians(table[table.run == "a"]).startswith("Medians of 5 starts")
    assert findings.last_gaps(table) == "0.50 (a), 0.50 (b)"


def test_runs_that_end_with_the_rate_are_no_evidence_of_an_earlier_end() -> None:
    tables = made_to_the_text()
    tables["overflow"].loc[tables["overflow"].trial < 2, "stop"] = np.nan
    (claim,) = [one for one in findings.CLAIMS if one.id == "hd-lr-h"]
    found = claim.test(results(tables))
    assert found.verdict == "holds"
    assert f"{len(TRIALS) - 2} of {len(TRIALS)} runs gradients end first" in found.evidence


def test_twins_that_part_as_a_run_parts_from_itself_are_one_up_to_rounding() -> None:
    tables = made_to_the_text()
    twin, curve = tables["twin"], tables["curve"]
    gaps = ["output_gap", "loss_gap"]
    for table in (twin, curve):
        table.loc[table.eval("part == 'theorem' and arm == 'growing rate'"), gaps] = 1e-6
    assert verdict("d3-lr-f", tables) == "partly"
    assert verdict("hd-lr-j", tables) == "partly"
    curve.loc[curve.eval("part == 'theorem' and arm == @REORDERED"), gaps] = 2e-8
    assert verdict("d3-lr-f", tables) == "holds"
    assert verdict("hd-lr-j", tables) == "holds"
    # Where a run has nothing in common with itself any more, the comparison says nothing.
    curve.loc[curve.eval("part == 'theorem' and arm == @REORDERED"), gaps] = 0.5
    assert verdict("d3-lr-f", tables) == "partly"


def test_what_a_run_is_from_itself_is_no_part_of_the_pair() -> None:
    tables = made_to_the_text()
    assert findings.gap(results(tables), "theorem").eq(1e-13).all()
    assert findings.gap(results(tables), "theorem", REORDERED).eq(2e-15).all()
    assert len(findings.twins(results(tables), "theorem", DECAY)) == len(TRIALS)


def test_a_jump_ends_the_comparison_of_a_twin_with_a_run_beside_itself() -> None:
    tables = made_to_the_text()
    curve, gaps = tables["curve"], ["output_gap", "loss_gap"]
    twin = "part == 'theorem' and arm == 'growing rate'"
    curve.loc[curve.eval(f"{twin} and step > 50"), gaps] = 0.5
    made = results(tables)
    found = findings.farther(made, "theorem")
    assert found.times.tolist() == pytest.approx([50] * len(TRIALS))
    assert found.until.eq(50).all()
    assert found.gap.eq(1e-13).all()
    assert findings.jumps(made, "theorem", "growing rate").sum() == len(TRIALS)
    assert findings.jumps(made, "theorem", REORDERED).sum() == 0
    curve.loc[curve.eval(f"{twin} and step > 10"), gaps] = 1e-11
    made = results(tables)
    assert findings.farther(made, "theorem").times.tolist() == pytest.approx([5000] * len(TRIALS))


def test_a_pair_that_is_compared_for_a_part_of_its_run_is_decided_for_that_part() -> None:
    tables = made_to_the_text()
    gaps = ["output_gap", "loss_gap"]
    twin = "part == 'tanh' and arm == 'growing rate'"
    tables["twin"].loc[tables["twin"].eval(twin), gaps] = 2.0
    curve = tables["curve"]
    curve.loc[curve.eval(f"{twin} and step > 50"), gaps] = 2.0
    (claim,) = [one for one in findings.CLAIMS if one.id == "d3-lr-g"]
    found = claim.test(results(tables))
    assert found.verdict == "partly"
    assert "until update 50 (50 to 50) of 100, 50 (50 to 50) times" in found.evidence
    assert "2.0 (2.0" not in found.evidence  # after the jump nothing is compared
    assert verdict("hd-lr-j", tables) == "holds"
    # A pair that is compared to the end holds; one that is too far all along fails in its part.
    curve.loc[curve.eval(twin), gaps] = 1e-13
    assert verdict("d3-lr-g", tables) == "holds"
    tables["twin"].loc[tables["twin"].eval("arm == 'growing rate'"), gaps] = 2.0
    curve.loc[curve.eval("arm == 'growing rate' and step <= 50"), gaps] = 1e-11
    curve.loc[curve.eval("arm == 'growing rate' and step > 50"), gaps] = 2.0
    assert verdict("d3-lr-g", tables) == "fails"


def test_a_gap_at_the_first_record_is_no_jump() -> None:
    tables = made_to_the_text()
    curve = tables["curve"]
    relu = curve.eval("part == 'float32' and arm == 'growing rate' and trial < 14 and step > 0")
    curve.loc[relu, "output_gap"] = 0.05
    curve.loc[curve.eval("part == 'float32' and step == 0"), "output_gap"] = 0.0
    made = results(tables)
    assert findings.jumps(made, "float32", "growing rate").sum() == 1
    assert verdict("hd-lr-c", tables) == "partly"  # with tanh none jumps
    tables["curve"] = curve[curve.trial.gt(9)]
    assert verdict("hd-lr-c", tables) == "undecided"  # one of five


def test_with_tanh_a_pair_that_parts_little_by_little_does_not_jump() -> None:
    tables = made_to_the_text()
    curve = tables["curve"]
    tanh = curve.eval("part == 'float32, tanh' and arm == 'growing rate'")
    curve.loc[tanh, "output_gap"] = 1e-6 * 2.0 ** (curve.step[tanh] / 5)
    tables["twin"].loc[tables["twin"].eval("part == 'float32, tanh'"), "output_gap"] = 1.0
    assert verdict("hd-lr-c", tables) == "holds"
    curve.loc[tanh & curve.step.gt(50), "output_gap"] = 5.0
    assert verdict("hd-lr-c", tables) == "partly"


def test_the_largest_batch_is_half_of_the_digits() -> None:
    assert len(datasets.digits().train.labels) // 2 == 1911
    assert resolve(experiment, "smoke", {"batch_size": 1911}).batch_size == 1911


def test_what_becomes_of_the_length_is_read_from_the_runs() -> None:
    rows = [("a", t, s, float(s + t)) for t in range(3) for s in (0, 5, 9)]
    table = pd.DataFrame(rows, columns=["run", "trial", "step", "norm"])
    assert findings.length_words(table).endswith(": a: 1.000 to 10.00.")
