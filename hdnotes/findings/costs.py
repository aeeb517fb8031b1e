"""What chapter `costs` says: estimates made before a run, and what runs then took."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hdnotes import devices
from hdnotes.claims import Claim, Verdict, Word
from hdnotes.experiments import catalogue, parameters
from hdnotes.store.store import Store
from hdnotes.store.sweep import cell_key
from hdnotes.wording import duration, number

#: A kind of cell is compared if it took at least this long, in s: below, starting up is most of it.
WORTH_S = 60.0
#: How far an estimate may be off, as a factor.
FACTOR = 2.0
#: The time in which one GPU should compute the book, in s.
HOUR_S = 3600.0


def kinds(results: Any) -> pd.DataFrame:
    """Return a row a chapter and kind: the estimate, and what computing has taken.

    ``seconds`` is the estimate; ``computed`` counts the cells that are in the store, ``taken`` is
    what these took, in seconds that the process was given, and missing until all have been
    computed by a version that wrote it down, on the same kind of device; ``foretold`` says whether
    all of them were computed after the estimate was made.
    """
    found = results.table("kinds")
    pairs = zip(results.cells, results.manifests, strict=True)
    taken = [_taken(cell["chapter"], cell["at"], made) for cell, made in pairs]
    table = found.merge(pd.concat(taken), how="left", on=["chapter", "kind"], validate="1:1")
    return table.assign(computed=table.computed.fillna(0).astype(int))


def chapters(results: Any) -> pd.DataFrame:
    """Return the same, a row a chapter, the dearest first."""
    table = kinds(results)
    sums = dict.fromkeys(("cells", "computed", "seconds", "flops"), "sum")
    rows = table.groupby("chapter", sort=False).agg(sums | {"memory_bytes": "max"})
    rows["taken"] = table.groupby("chapter", sort=False).taken.sum(min_count=1)
    whole = table.groupby("chapter", sort=False).taken.apply(lambda one: one.notna().all())
    rows["taken"] = rows.taken.where(whole)
    return rows.sort_values("seconds", ascending=False).reset_index()


def _taken(chapter: str, at: str, estimate: Mapping[str, Any]) -> pd.DataFrame:
    """Return what a chapter's cells took, a row a kind, beside an estimate's manifest."""
    device, made_at = estimate["device"], estimate["date"]
    experiment = catalogue.load(chapter)
    store = Store.of(chapter)
    rows = []
    for cell in experiment.cells(parameters.resolve(experiment, at, check_memory=False)):
        made = store.get(cell_key(experiment, cell))
        manifest = made.manifest if made else {}
        seconds = float("nan")
        if manifest.get("device") == device and "cpu_time_s" in manifest:
            times = manifest["wall_time_s"], manifest["cpu_time_s"]
            seconds = devices.undisturbed_s(device, *times)
        later = manifest.get("date", "") >= made_at
        rows.append((chapter, cell.get("kind", chapter), bool(made), later, seconds))
    table = pd.DataFrame(rows, columns=["chapter", "kind", "computed", "foretold", "taken"])
    groups = table.groupby(["chapter", "kind"])
    whole = groups.taken.apply(lambda one: one.notna().all())
    counted = groups.agg({"computed": "sum", "foretold": "all", "taken": "sum"})
    return counted.assign(taken=counted.taken.where(whole)).reset_index()


def compared(results: Any) -> pd.DataFrame:
    """Return the kinds that have been computed whole and took long enough, with taken/estimate."""
    table = kinds(results).query("taken >= @WORTH_S")
    return table.assign(ratio=table.taken / table.seconds)


def _close(results: Any) -> Verdict:
    table = compared(results)
    if table.empty:
        return Verdict("undecided", "No kind of cell has been computed whole since times are kept.")
    after = table[table.foretold]
    if after.empty:
        return Verdict(
            "undecided",
            f"Nothing has been computed whole since the estimate. Before it: {_off(table)}",
        )
    close = after.ratio.between(1 / FACTOR, FACTOR)
    word: Word = "holds" if close.all() else "partly" if close.mean() > 0.5 else "fails"
    return Verdict(word, _off(after))


def _off(table: pd.DataFrame) -> str:
    """Say how far estimates were off."""
    close = table.ratio.between(1 / FACTOR, FACTOR)
    worst = table.loc[table.ratio.map(lambda r: max(r, 1 / r)).idxmax()]
    return (
        f"{close.sum()} of {len(table)} kinds of cell that took a minute or more were within the "
        f"factor {FACTOR:g}; the farthest off, {worst.kind} of {worst.chapter}, took "
        f"{number(worst.ratio)} times the estimate of {duration(worst.seconds)}. All of them took "
        f"{number(table.taken.sum() / table.seconds.sum())} times the sum of their estimates."
    )


def _hour(results: Any) -> Verdict:
    table, device = chapters(results), results.manifests[0]["device"]
    total = table.seconds.sum()
    at = {cell["at"] for cell in results.cells}
    every = len(table) == len(catalogue.names()) - 1 and at == {"paper"}
    said = (
        f"{len(table)} chapters at {' and '.join(sorted(at))}: {duration(total)} on one {device}."
    )
    if device != "cuda":
        return Verdict("undecided", f"{said} No GPU was at hand.")
    if not every:
        return Verdict("fails" if total > HOUR_S else "undecided", said)
    return Verdict("holds" if total <= HOUR_S else "fails", said)


CLAIMS = (
    Claim(
        "hd-co-a",
        "An estimate made before a run is within a factor of two of what the run takes.",
        "our question",
        _close,
    ),
    Claim(
        "hd-co-b",
        "One GPU computes the whole book at the sources' own sizes in an hour.",
        "our question",
        _hour,
    ),
)
