"""Claims hold on made pairs, and fall where these are changed."""

from types import SimpleNamespace

import pandas as pd
import pytest

from hdnotes.findings import precision as findings

SETS, STARTS = range(8), range(10)


def made(changed=(), floor=1e-7, machines=("cpu",)):
    """Return pairs of which the usual half of a set's starts succeed; ``changed`` ones do not."""
    rows = [
        {
            "kind": "success",
            "method": "GD + momentum",
            "alpha": 2.0,
            "set": number,
            "start": start,
            "products": products,
            "machine": machine,
            "test_error": error(start, products, machine, changed, floor),
        }
        for number in SETS
        for start in STARTS
        for machine in machines
        for products in ("float32", "TF32")
    ]
    return SimpleNamespace(table=lambda name: pd.DataFrame(rows))


def error(start, products, machine, changed, floor):
    other = (products, machine) != ("float32", "cpu")
    if (start < 5) == (other and start in changed):
        return 0.3
    return floor if products == "TF32" else 1e-13


def verdict(name, results):
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == name]
    return claim.test(results).verdict


@pytest.mark.parametrize(
    ("changed", "same", "parted"),
    [((), "holds", "fails"), ((4, 5), "holds", "holds"), ((3, 4), "fails", "holds")],
)
def test_shares_can_agree_where_runs_do_not(changed, same, parted):
    assert verdict("hd-ma-a", made(changed)) == same
    assert verdict("hd-ma-b", made(changed)) == parted


@pytest.mark.parametrize(("floor", "word"), [(1e-7, "holds"), (1e-12, "fails")])
def test_the_floor_is_that_of_students_that_both_find_the_teacher(floor, word):
    assert verdict("hd-ma-c", made((4, 5), floor)) == word


@pytest.mark.parametrize(("changed", "word"), [((), "holds"), ((3, 4), "fails")])
def test_a_gpu_is_asked_only_where_there_was_one(changed, word):
    assert verdict("hd-ma-d", made(changed)) == "undecided"
    assert verdict("hd-ma-d", made(changed, machines=("cpu", "cuda"))) == word


def test_shares_are_counted_by_arithmetic():
    table = findings.shares(made((3, 4))).set_index("arithmetic")
    assert table["share"].to_dict() == {"float32 on CPU": 0.5, "TF32 on CPU": 0.3}
    assert (table.low < table["share"]).all()
    assert (table["share"] < table.high).all()


def only(results, **values):
    table = results.table("runs")
    for name, value in values.items():
        table = table[table[name].eq(value)]
    return SimpleNamespace(table=lambda name: table)


@pytest.mark.parametrize("name", ["hd-ma-a", "hd-ma-b", "hd-ma-c"])
def test_it_takes_both_ways_to_multiply(name):
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == name]
    for asked, missing in (("TF32", "float32"), ("float32", "TF32")):
        found = claim.test(only(made(), products=asked))
        assert (found.verdict, found.evidence) == (
            "undecided",
            f"Nothing was computed with {missing}.",
        )


def test_a_floor_takes_teachers_that_were_found():
    (claim,) = [claim for claim in findings.CLAIMS if claim.id == "hd-ma-c"]
    found = claim.test(only(made(), start=9))
    assert (found.verdict, found.evidence) == ("undecided", "Nowhere do both find the teacher.")


def test_figures_are_described_as_they_are():
    table = findings.shares(made()).assign(alpha=[2.0, 3.0])
    assert "each other's bars" in findings.success_words(table)
    assert findings.success_words(table[:1]) == "Two panels with the shares of float32 on CPU."
    ends = {
        "epoch": 9,
        "arithmetic": ["float32 on CPU", "TF32 on CPU"],
        "test_error": [1e-13, 1e-7],
    }
    curves = pd.DataFrame(ends)
    assert "levels off" in findings.floor_words(curves)
    assert "levels off" not in findings.floor_words(curves[1:])
    assert findings.floor_words(curves[:0]).startswith("An empty figure")
