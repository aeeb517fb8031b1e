"""Results of another machine come in whole; what differs is told, and kept unless asked for."""

import pandas as pd
import pytest
import toy

from hdnotes.store.merge import merge
from hdnotes.store.store import DamagedResult, Store, StoreError
from hdnotes.store.sweep import cell_key, load, sweep


@pytest.fixture
def theirs(tmp_path) -> Store:
    return Store(tmp_path / "theirs" / "toy")


KEYS = [cell_key(toy, cell) for cell in toy.CELLS]


def losses(store: Store, key: str) -> list[float]:
    return store.get(key).tables["losses"].to_pandas()["loss"].tolist()[:2]


def changed(store: Store, key: str) -> None:
    cell = store.get(key)
    tables = {name: rows.to_pandas() for name, rows in cell.tables.items()}
    tables["losses"]["loss"] += 1
    store.put(key, cell.manifest, tables)


def test_what_only_they_have_is_taken_over_and_folded(store, theirs):
    sweep(toy, toy.CELLS[:3], store, progress=False)
    sweep(toy, toy.CELLS[2:], theirs, progress=False)
    theirs.fold(KEYS[:5])  # folded and loose ones
    found = merge(store, theirs)
    assert (sorted(found.added), found.same, found.conflicts) == (sorted(KEYS[3:]), [KEYS[2]], [])
    again = load(toy, toy.CELLS, store)
    alone = load(toy, toy.CELLS[3:], theirs)
    pd.testing.assert_frame_equal(
        again.table("losses").tail(15).reset_index(drop=True), alone.table("losses")
    )
    assert again.manifests[5]["date"] == alone.manifests[2]["date"]
    assert merge(store, theirs).added == []


def test_rows_that_differ_are_told_and_stay_unless_theirs_are_asked_for(store, theirs):
    sweep(toy, toy.CELLS[:2], store, progress=False)
    sweep(toy, toy.CELLS[:2], theirs, progress=False)
    changed(theirs, KEYS[1])
    before = losses(store, KEYS[1])
    assert merge(store, theirs).conflicts == [KEYS[1]]
    assert losses(store, KEYS[1]) == before
    assert merge(store, theirs, replace=True).conflicts == [KEYS[1]]
    assert losses(store, KEYS[1]) == [value + 1 for value in before]
    assert merge(store, theirs).conflicts == []


def test_rows_made_anew_by_other_code_come_with_its_record_if_asked_for(store, theirs):
    sweep(toy, toy.CELLS[:2], store, progress=False)
    sweep(toy, toy.CELLS[:2], theirs, progress=False)
    cell = theirs.get(KEYS[1])
    tables = {name: rows.to_pandas() for name, rows in cell.tables.items()}
    theirs.put(KEYS[1], cell.manifest | {"source": "0" * 16}, tables)
    for replace, kept in ((False, False), (True, True)):
        assert sorted(merge(store, theirs, replace=replace).same) == sorted(KEYS[:2])
        assert (store.get(KEYS[1]).manifest["source"] == "0" * 16) == kept
    assert store.get(KEYS[0]).manifest["source"] != "0" * 16


def test_a_damaged_file_of_theirs_is_told_and_left_out(store, theirs):
    sweep(toy, toy.CELLS[:2], theirs, progress=False)
    (path,) = (theirs.folder / ".cells" / KEYS[0]).glob("names.parquet")
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.warns(DamagedResult):
        found = merge(store, theirs)
    assert found.added == [KEYS[1]]
    assert store.get(KEYS[0]) is None


def test_a_cell_that_is_being_computed_here_is_not_written_to(store, theirs):
    sweep(toy, toy.CELLS[:1], theirs, progress=False)
    with store.claim(KEYS[0]), pytest.raises(StoreError, match="computes cell"):
        merge(store, theirs)
    assert store.get(KEYS[0]) is None
