"""Bring results that another machine computed into this store; nothing is overwritten unasked.

The other store is a folder of the same layout, copied here: finished cells, folded or loose. A cell
that both have with the same rows stays as it is; where rows differ that is a conflict, and ours
stay unless theirs are asked for. Then the record of a cell of equal rows is taken over as well, if
it names the code that there is now and ours does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hdnotes.store import files
from hdnotes.store.store import Cell, Store, StoreError


@dataclass
class Merged:
    """The keys of what a merge met.

    Attributes
    ----------
    added : only they had it
    same : both have it, with the same rows
    renewed : of those, whose record of the code that there is now was taken over
    conflicts : both have it, with different rows
    """

    added: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)


def merge(
    ours: Store,
    theirs: Store,
    *,
    replace: bool = False,
    current: Callable[[Mapping[str, Any]], str],
) -> Merged:
    """Take over the cells of another store and fold them.

    Parameters
    ----------
    ours : changed
    theirs : only read
    replace : whether theirs take our place where rows differ, and where only theirs were made by
        the code that there is now
    current : cell -> the fingerprint of that code

    Raises
    ------
    StoreError
        If a result cannot be written, or a process here computes one of the cells.
    """
    found, taken = Merged(), set[str]()
    for key in theirs.finished():
        cell = theirs.get(key)
        if cell is None:  # damaged, and reported by the store
            continue
        with ours.claim(key) as free:
            if not free:
                raise StoreError(f"a process computes cell {key} of {ours.folder} at this moment.")
            own, kinds = ours.get(key), [found.added]
            take = own is None or replace
            if own is not None and not _equal(own, cell):
                kinds = [found.conflicts]
            elif own is not None:
                now = current(cell.manifest["cell"])
                take &= own.manifest["source"] != now == cell.manifest["source"]
                kinds = [found.same, found.renewed] if take else [found.same]
            for kind in kinds:
                kind.append(key)
            if take:
                tables = {name: rows.to_pandas() for name, rows in cell.tables.items()}
                ours.put(key, cell.manifest, tables)
                taken.add(key)
    ours.fold(taken)
    return found


def _equal(one: Cell, other: Cell) -> bool:
    """Tell whether two cells hold the same rows, as bytes: not-a-number equals itself."""
    return {name: files.to_parquet(rows) for name, rows in one.tables.items()} == {
        name: files.to_parquet(rows) for name, rows in other.tables.items()
    }
