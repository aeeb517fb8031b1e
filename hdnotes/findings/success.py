"""What the findings of document 2's chapters share: runs, success curves, their 50 % points.

A run is a row of the table ``runs`` of `experiments.students`. Two curves are compared by the ratio
of their crossings, whose interval says whether one is ahead, both are equal, or nobody can tell.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, NamedTuple

import pandas as pd

from hdnotes.claims import Claim, Verdict, Word
from hdnotes.experiments.students import epochs
from hdnotes.measures.crossings import Crossing, crossing, ratio
from hdnotes.reference import points

#: A run is a success below this test error (document 2, Section 4.1).
SUCCESS = 5e-3
#: Numbers of the text, which are for p = 512 and more, are tested from this p on.
LARGE = 512
#: Crossings nearer than this, as a factor, are called equal.
EQUAL = 1.1
#: "Far", "much", "significantly": below the other by this factor at least.
FAR = 0.8
#: What the vertical line of a success figure is.
LINE = r"where GAMP, the best fast algorithm known, begins to find the teacher as $p \to \infty$"


class Scale(NamedTuple):
    """What a claim was tested on: p, a run's epochs, and the epochs that the source gave it."""

    features: int
    epochs: int
    said: int

    @property
    def enough(self) -> bool:
        """Tell whether size and budget are of the source's order."""
        return self.features >= LARGE and self.epochs >= self.said


def scale_of(results: Any, kind: str = "success", factor: float = 2000) -> Scale:
    """Return the largest size of a kind of cell, its budget, and the source's budget there.

    Raises
    ------
    KeyError
        If there is no such cell.
    """
    cells = [cell for cell in results.cells if cell["kind"] == kind]
    if not cells:
        raise KeyError(kind)
    size = max(cell["features"] for cell in cells)
    given = min(cell["epochs"] for cell in cells if cell["features"] == size)
    return Scale(size, given, epochs(size, factor))


def at_scale(verdict: Verdict, scale: Scale) -> Verdict:
    """Leave undecided what small systems or short budgets say, and say what they do."""
    if scale.enough:
        return verdict
    return Verdict(
        "undecided",
        f"{verdict.evidence} On these runs alone (p = {scale.features}, {scale.epochs:,} epochs) "
        f"this {VERBS[verdict.verdict]}. It can turn with size and budget: decided from "
        f"p = {LARGE} and the source's epochs ({scale.said:,} at p = {scale.features}) on.",
    )


#: A verdict as the end of a sentence.
VERBS = {
    "holds": "holds",
    "partly": "holds in part",
    "fails": "fails",
    "undecided": "is undecided as well",
}


def runs(results: Any, kind: str = "success", **values: Any) -> pd.DataFrame:
    """Return the runs of a kind of cell with these values, a row a run, with its ``success``."""
    table = results.table("runs")
    table = table[table.kind.eq(kind)]
    for name, value in values.items():
        table = table[table[name].isin(value if isinstance(value, tuple) else (value,))]
    return table.assign(success=table.test_error < SUCCESS)


def source_points(figure: str) -> pd.DataFrame:
    """Return the source's points of one figure of document 2, a row a method, size and alpha."""
    table = points("phase_retrieval")
    return table[table.figure.astype(str).eq(figure)].rename(columns={"success": "share"})


def crossings(table: pd.DataFrame, by: Sequence[str] = ("method",)) -> dict[Any, Crossing]:
    """Return the crossing of each group of runs."""
    return {_key(key): _crossing(rows) for key, rows in table.groupby(list(by), sort=False)}


def _crossing(table: pd.DataFrame) -> Crossing:
    counts = table.groupby(["alpha", "set"]).success.agg(["sum", "size"]).reset_index()
    return crossing(counts.alpha, counts["sum"], counts["size"], by_data_set=True)


def source_crossings(figure: str, by: Sequence[str] = ("method",)) -> dict[Any, Crossing]:
    """Return the same fit to the source's points, whose every run has its own data."""
    table = source_points(figure)
    return {
        _key(key): crossing(rows.alpha, (rows.share * rows.runs).round(), rows.runs)
        for key, rows in table.groupby(list(by), sort=False)
    }


def _key(values: tuple[Any, ...]) -> Any:
    return values if len(values) > 1 else values[0]


def crossing_table(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the crossings as rows, for a figure: the columns of ``by``, low, crossing, high."""
    return _rows(crossings(table, by), by)


def source_crossing_table(figure: str, by: Sequence[str]) -> pd.DataFrame:
    """Return the same of the source's points."""
    return _rows(source_crossings(figure, by), by)


def _rows(found: dict[Any, Crossing], by: Sequence[str]) -> pd.DataFrame:
    """Return one row a crossing; where there is no point it is missing, its interval is not."""
    rows = [(*(key if isinstance(key, tuple) else (key,)), *found[key]) for key in found]
    table = pd.DataFrame(rows, columns=[*by, "low", "crossing", "high"])
    return table.assign(crossing=table.crossing.where(table.crossing.between(0, inf, "neither")))


def below(a: Crossing, threshold: float) -> Word:
    """Say whether a crossing, or a ratio of two, is below ``threshold``: its interval has to be."""
    if a.high < threshold:
        return "holds"
    return "fails" if a.low >= threshold else "undecided"


def above(a: Crossing, threshold: float) -> Word:
    """Say whether it is above ``threshold``."""
    if a.low > threshold:
        return "holds"
    return "fails" if a.high <= threshold else "undecided"


def between(a: Crossing, low: float, high: float) -> Word:
    """Say whether it lies between ``low`` and ``high``."""
    if low <= a.low and a.high <= high:
        return "holds"
    return "fails" if a.high < low or a.low > high else "undecided"


def equal(a: Crossing, b: Crossing) -> Word:
    """Say whether two crossings are nearer than `EQUAL`."""
    return between(ratio(a, b), 1 / EQUAL, EQUAL)


def listed(found: dict[Any, Crossing], words: Sequence[Word] = ()) -> str:
    """Return crossings with their names, as a sentence of evidence shows them.

    With the ``words`` of the parts of a claim, each stands behind what it judges.
    """
    said = [f" [{word}]" for word in words] or [""] * len(found)
    parts = zip(found.items(), said, strict=True)
    return ", ".join(f"{name} {value}{word}" for (name, value), word in parts)


def in_order(found: dict[Any, Crossing]) -> list[Any]:
    """Return the names in the order of their crossings, those without a point by their intervals.

    Where an interval has an open side, too, the place is not known, and the name left out.
    """
    at = {name: one.middle for name, one in found.items() if 0 < one.middle < inf}
    for name, (low, _, high) in found.items():
        if name not in at and low > 0 and high < inf:
            at[name] = (low + high) / 2
    return sorted(at, key=lambda name: at[name])


def rising(found: dict[Any, Crossing]) -> str:
    """Write the names in that order, and then those without a place with what is known of them.

    Examples
    --------
    >>> from math import nan
    >>> gd, sgd, ld = Crossing(4, 5, 6), Crossing(7, inf, inf), Crossing(1, nan, 3)
    >>> rising({"GD": gd, "LD": ld})
    'LD, GD'
    >>> rising({"GD": gd, "SGD": sgd, "LD": Crossing(0, nan, inf)})
    'GD (no 50 % point within the alphas run: SGD above 7.00, LD unknown)'
    """
    known = in_order(found)
    rest = {name: one for name, one in found.items() if name not in known}
    words = ", ".join(map(str, known)) or "none of them"
    return words + f" (no 50 % point within the alphas run: {listed(rest)})" * bool(rest)


def rises(table: pd.DataFrame, words: str) -> str:
    """Return how a description of success curves begins: with ``words``, if any has two points.

    Examples
    --------
    >>> rises(pd.DataFrame({"method": "GD", "alpha": [2.0, 2.0]}), "Success rises with alpha")
    'Success at one alpha'
    """
    curves = table.groupby("method").alpha.nunique()
    return words if curves.max() > 1 else "Success at one alpha"


def by_momentum(found: dict[str, Crossing]) -> tuple[dict[str, Crossing], dict[str, Crossing]]:
    """Return the crossings of the methods without momentum, and of those with it."""
    with_it = {name: one for name, one in found.items() if "+" in name}
    return {name: one for name, one in found.items() if name not in with_it}, with_it


def claim(
    name: str,
    sentence: str,
    source: str,
    test: Callable[[Any], Verdict],
    *,
    sizes: int = 1,
    scale: Callable[[Any], Scale] | None = None,
) -> Claim:
    """Return a claim that stays undecided where its runs, or enough sizes, are missing.

    With a ``scale`` it is so, too, where size and budget are not of the source's order.
    """

    def guarded(results: Any) -> Verdict:
        if sizes > 1 and results.table("runs").features.nunique() < sizes:
            return Verdict("undecided", f"It needs {sizes} or more sizes.")
        try:
            return at_scale(test(results), scale(results)) if scale else test(results)
        except KeyError:  # a curve that is not there
            return Verdict("undecided", "Some of the runs that it needs were not asked for.")

    return Claim(name, sentence, source, guarded)
