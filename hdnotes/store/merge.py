"""Bring results that another machine computed into this store; nothing is overwritten unasked.

The other store is a folder of the same layout, copied here: finished cells, folded or loose. A cell
that both have with the same rows stays as it is; where rows differ that is a conflict, and ours
stay unless theirs are asked for, with the record of the code that made them.
"""

from dataclasses import dataclass, field

from hdnotes.store import files
from hdnotes.store.store import Cell, Store, StoreError


@dataclass
class Merged:
    """The keys of what a merge met.

    Attributes
    ----------
    added : only they had it
    same : both have it, with the same rows
    conflicts : both have it, with different rows
    """

    added: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def merge(ours: Store, theirs: Store, *, replace: bool = False) -> Merged:
    """Take over the cells of another store and fold them.

    Parameters
    ----------
    ours : changed
    theirs : only read
    replace : whether theirs take our place where rows, or the code that made them, differ

    Raises
    ------
    StoreError
        If a result cannot be written, or a process here computes one of the cells.
    """
    found, taken = Merged(), set[str]()
    for key in theirs.finished():
        cell, own = theirs.get(key), ours.get(key)
        if cell is None:  # damaged, and reported by the store
            continue
        kind = found.added if own is None else found.same if _equal(own, cell) else found.conflicts
        kind.append(key)
        other_code = own is not None and own.manifest["source"] != cell.manifest["source"]
        if own is None or (replace and (other_code or kind is found.conflicts)):
            _take(ours, key, cell)
            taken.add(key)
    ours.fold(taken)
    return found


def _take(ours: Store, key: str, cell: Cell) -> None:
    with ours.claim(key) as free:
        if not free:
            raise StoreError(f"a process computes cell {key} of {ours.folder} at this moment.")
        tables = {name: rows.to_pandas() for name, rows in cell.tables.items()}
        ours.put(key, cell.manifest, tables)


def _equal(one: Cell, other: Cell) -> bool:
    """Tell whether two cells hold the same rows, as bytes: not-a-number equals itself."""
    return {name: files.to_parquet(rows) for name, rows in one.tables.items()} == {
        name: files.to_parquet(rows) for name, rows in other.tables.items()
    }
