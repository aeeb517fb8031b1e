"""Each claim of the chapter holds on results made to the text and falls when they are changed."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hdnotes.experiments.egop_spectra import WIDTHS
from hdnotes.findings import egop_spectra

TRIALS = range(6)
RUNS = [("N(0, 1²)", "raw"), ("N(0, 10²)", "raw"), ("Xavier", "raw"), ("Xavier", "standardised")]


def parts(data, flat=False, dead=2):
    """Return a symmetric spectrum with the steps that one direction of the images makes."""
    inputs, hidden, classes = WIDTHS[data]
    alive = inputs - dead
    images = 1e-3 * np.exp(-np.arange(alive) / 5) if not flat else np.full(alive, 0.5)
    shift = np.full(classes - 1, 0.02 if not flat else 0.3)
    tails = np.array([1e-12])  # the bias of a unit
    apart = np.r_[0.2, images[1:], shift, tails, np.zeros(dead + 1)]
    together = np.r_[
        1, images[1:], 10 * shift, tails, tails.repeat(classes - 1), np.zeros(dead + 2)
    ]
    return pd.concat(
        [
            pd.DataFrame({"part": "apart", "times": hidden - 1, "eigenvalue": apart}),
            pd.DataFrame({"part": "together", "times": 1, "eigenvalue": together}),
        ]
    )


def labelled(table, **values):
    table = table.copy()
    for place, (name, value) in enumerate(values.items()):
        table.insert(place, name, value)
    return table


def made_to_the_text():
    return {name: table.copy() for name, table in _made().items()}


@cache
def _made():
    tables = {name: [] for name in ("spectrum", "symmetric", "summary", "leading")}
    for rho, inputs in RUNS:
        for trial in TRIALS:
            key = {"rho": rho, "inputs": inputs, "trial": trial}
            exact = parts("digits", flat=inputs != "raw")
            tables["symmetric"].append(labelled(exact, **key))
            whole = egop_spectra.expanded(labelled(exact, **key), egop_spectra.RUN)
            tables["spectrum"].append(whole[whole.eigenvalue > 0])
            rank = np.sqrt(whole.eigenvalue).sum()
            summary = {"estimate": ["plain", "symmetric"], "stable_rank": rank, "dead": 2}
            tables["summary"].append(labelled(pd.DataFrame(summary), **key))
            leading = {"k": np.arange(1, 101), "density": 0.4, "random_density": 0.637}
            leading |= {"helmert_density": 0.03}
            tables["leading"].append(labelled(pd.DataFrame(leading), **key))
    blocks = []
    for data in WIDTHS:
        for trial in TRIALS:
            key = {"data": data, "trial": trial}
            n = {"1": 2000, "2": 300}
            for layer, size in n.items():
                share = np.arange(1, size + 1) / size
                values = 10 ** (-20 * share) if layer == "1" else share**-0.1 / size**0.1
                block = pd.DataFrame({"part": "apart", "times": 1, "eigenvalue": values})
                blocks.append(labelled(block, **key, layer=layer))
            blocks.append(labelled(parts(data), **key, layer="both"))
    samples = [
        (trial, fraction, count, basis, scale)
        for trial in TRIALS
        for fraction, count in ((0.1, 10), (0.5, 50))
        for basis, scale in (("plain", 0.5), ("symmetric", 0.4))
    ]
    found = {name: pd.concat(rows, ignore_index=True) for name, rows in tables.items()}
    found["block_symmetric"] = pd.concat(blocks, ignore_index=True)
    columns = ["trial", "fraction", "count", "basis", "scale"]
    return found | {"samples": pd.DataFrame(samples, columns=columns)}


def verdict(claim_id, tables):
    (claim,) = [claim for claim in egop_spectra.CLAIMS if claim.id == claim_id]
    results = SimpleNamespace(table=lambda name: tables[name].copy())
    return claim.test(results).verdict


def claim_evidence(claim_id, tables):
    (claim,) = [claim for claim in egop_spectra.CLAIMS if claim.id == claim_id]
    return claim.test(SimpleNamespace(table=lambda name: tables[name].copy())).evidence


def change(tables, name, where, column, to):
    rows = tables[name].query(where).index if where else slice(None)
    tables[name].loc[rows, column] = to(tables[name].loc[rows, column])


def flattened(tables, rho):
    """Give one law a spectrum without steps where they are claimed."""
    table = tables["symmetric"]
    rows = (table.rho == rho) & (table.inputs == "raw")
    flat = pd.concat([parts("digits", flat=True)] * len(TRIALS)).eigenvalue.to_numpy()
    table.loc[rows, "eigenvalue"] = flat


#: claim -> (change, the verdict that follows)
BREAKS = {
    "d4-4-c": (("spectrum", "k == 100", "eigenvalue", lambda v: 0 * v + 0.5), "partly"),
    "d4-c1-a": (("summary", "rho == 'Xavier'", "stable_rank", lambda v: 0 * v + 900), "partly"),
    "hd-4-d": (("summary", None, "dead", lambda v: v + 1), "fails"),
    "d4-c1-e": (("leading", "rho == 'Xavier'", "density", lambda v: v / 1e4), "partly"),
    "d4-c1-f": (("leading", "k > 5", "density", lambda v: v / 3), "fails"),
    "hd-4-f": (("leading", None, "density", lambda v: v * 2), "partly"),
    "hd-4-g": (("leading", None, "helmert_density", lambda v: 0 * v + 0.4), "fails"),
    "hd-4-h": (("samples", "basis == 'plain'", "scale", lambda v: v / 2), "fails"),
    "d4-c1-d": (
        ("block_symmetric", "layer == '1' and data == 'Fashion'", "eigenvalue", lambda v: v**0.2),
        "fails",
    ),
    "d4-c1-c": (
        ("block_symmetric", "layer == '1' and data == 'Fashion'", "eigenvalue", lambda v: v**0.01),
        "partly",
    ),
}


@pytest.mark.parametrize("claim_id", [claim.id for claim in egop_spectra.CLAIMS])
def test_every_claim_holds_on_results_made_to_the_text(claim_id):
    assert verdict(claim_id, made_to_the_text()) == "holds"


@pytest.mark.parametrize("claim_id", BREAKS)
def test_a_claim_falls_when_its_results_do(claim_id):
    arguments, expected = BREAKS[claim_id]
    tables = made_to_the_text()
    change(tables, *arguments)
    assert verdict(claim_id, tables) == expected


def test_the_shelves_have_to_stay_for_every_law():
    tables = made_to_the_text()
    flattened(tables, "Xavier")
    assert verdict("hd-4-b", tables) == "partly"
    assert verdict("hd-4-e", tables) == "partly"
    table = tables["spectrum"]
    at = (table.rho == "Xavier") & table.k.between(30, 41)
    table.loc[at, "eigenvalue"] /= 100
    assert verdict("d4-c1-b", tables) == "partly"


def decaying(tables, rates):
    """Give the spectrum exponentials in some stretches and, where the rate is 0, power laws."""
    spectrum = egop_spectra.symmetric_spectra(SimpleNamespace(table=tables.get))
    logs = 0.0 * spectrum.k
    for (first, last), rate in zip(egop_spectra.STRETCHES, rates, strict=True):
        k = spectrum.k.clip(first, last)
        logs -= rate * (k - first) if rate else 6 * np.log(k / first)
    spectrum["eigenvalue"] = np.exp(logs)
    rows = spectrum.assign(part="apart", times=1)
    return {**tables, "symmetric": rows[tables["symmetric"].columns]}


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((0, 0, 0, 0), "fails"),
        ((0, 0.1, 0, 0), "partly"),
        ((0, 0.1, 0, 0.03), "holds"),
        ((0.1, 0.1, 0.05, 0.03), "holds"),
    ],
)
def test_every_stretch_is_asked_whether_it_decays_exponentially(rates, expected):
    tables = decaying(made_to_the_text(), rates)
    assert verdict("d4-4-d", tables) == expected
    told = claim_evidence("d4-4-d", tables)
    names = {rate > 0: [] for rate in rates} | {True: [], False: []}
    for (first, last), rate in zip(egop_spectra.STRETCHES, rates, strict=True):
        names[rate > 0].append(f"{first} to {last}")
    assert f"exponential: {', '.join(names[True]) or 'none'}; not: " in told
    assert f"not: {', '.join(names[False]) or 'none'}; open: none." in told


def test_the_stretches_leave_nothing_out_and_end_where_the_shelves_do():
    ends = [last for _, last in egop_spectra.STRETCHES]
    assert [first for first, _ in egop_spectra.STRETCHES] == [1, *(k + 1 for k in ends[:-1])]
    assert tuple(ends[:2]) == egop_spectra.predicted_steps("digits")


def test_a_stretch_of_equal_eigenvalues_is_no_decay():
    flat = pd.DataFrame({"trial": 0, "k": range(1, 6), "eigenvalue": 0.3})
    assert egop_spectra.fits(flat, (1, 5)).to_numpy().tolist() == [[0.0, 0.0]]


def test_another_place_of_one_of_fashions_steps_is_no_success():
    tables = made_to_the_text()
    table = tables["block_symmetric"]
    rows = (table.data == "Fashion") & (table.layer == "both") & (table.eigenvalue < 0.1)
    table.loc[rows & (table.eigenvalue > 9e-4) & (table.part == "apart"), "eigenvalue"] = 0.2
    table.loc[rows & (table.eigenvalue.between(1e-5, 1e-2)), "eigenvalue"] = 0.02
    assert verdict("hd-4-c", tables) == "partly"


@pytest.mark.parametrize("claim_id", [claim.id for claim in egop_spectra.CLAIMS])
def test_two_draws_decide_nothing(claim_id):
    several_laws = ("hd-4-d", "hd-4-f")  # every law is a draw there: one of each
    most = 1 if claim_id in several_laws else 2
    tables = {name: table[table.trial < most] for name, table in made_to_the_text().items()}
    assert verdict(claim_id, tables) == "undecided"


def test_what_was_not_run_is_undecided():
    tables = made_to_the_text()
    blocks = tables["block_symmetric"]
    tables["block_symmetric"] = blocks[blocks.data == "digits"]
    assert verdict("hd-4-c", tables) == verdict("d4-c1-d", tables) == "undecided"


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "holds"), (0.1, "partly")])
def test_laws_are_compared_with_each_other(factor, expected):
    tables = made_to_the_text()
    where = "rho == 'Xavier' and inputs == 'raw' and k == 100"
    change(tables, "spectrum", where, "eigenvalue", lambda v: v * factor)
    assert verdict("d4-c1-a", tables) == expected


def test_falls_of_the_blocks_are_in_decades():
    results = SimpleNamespace(table=made_to_the_text().get)
    falls = egop_spectra.block_falls(results, (0.005, 0.5))
    assert falls["digits", "1"] == pytest.approx(9.9)
    assert egop_spectra.told_falls(results, "1", 0.1) == "2.0 (Fashion) and 2.0 (digits)"
    assert egop_spectra.least_alive(results)["digits"] == pytest.approx(300**-0.1)


def without(tables, name, where):
    """Return the tables with the rows of one of them, or of all that know the column, left out."""
    return {n: t.query(f"not ({where})") if n in name else t for n, t in tables.items()}


LAW_TABLES = ("spectrum", "symmetric", "summary", "leading")


def test_fig_2s_claim_is_not_decided_by_another_law():
    tables = without(made_to_the_text(), LAW_TABLES, "rho == 'N(0, 1²)'")
    assert egop_spectra.standard_law(tables["spectrum"]) == "N(0, 10²)"
    assert verdict("d4-4-c", tables) == "undecided"


def test_a_claim_on_both_data_sets_needs_both():
    tables = without(made_to_the_text(), ("block_symmetric",), "data == 'Fashion'")
    assert verdict("d4-c1-c", tables) == "undecided"


def test_one_number_of_gradients_is_no_comparison_of_few_and_many():
    tables = without(made_to_the_text(), ("samples",), "fraction == 0.1")
    assert verdict("hd-4-h", tables) == "undecided"


def test_nothing_is_said_of_a_data_set_that_was_not_run():
    tables = made_to_the_text()
    told = egop_spectra.told_shelves(SimpleNamespace(table=lambda name: tables[name]))
    assert "on the digits they stand there" in told
    assert "Fashion-MNIST they stand there" in told
    tables = without(tables, ("block_symmetric",), "data == 'Fashion'")
    told = egop_spectra.told_shelves(SimpleNamespace(table=lambda name: tables[name]))
    assert "Fashion" not in told
