"""Results of another machine come in whole; what differs is told, and kept unless asked for."""

from contextlib import contextmanager
from functools import partial

import pandas as pd
import pytest
import toy

from hdnotes.store import merge as module
from hdnotes.store.store import DamagedResult, Store, StoreError
from hdnotes.store.sweep import cell_key, load, source_of, sweep

merge = partial(module.merge, current=partial(source_of, toy))


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


def by_other_code(store: Store, key: str) -> None:
    cell = store.get(key)
    tables = {name: rows.to_pandas() for name, rows in cell.tables.items()}
    store.put(key, cell.manifest | {"source": "0" * 16}, tables)


def source(store: Store, key: str) -> str:
    return store.get(key).manifest["source"]


def test_equal_rows_of_the_code_of_today_come_with_its_record_if_asked_for(store, theirs):
    sweep(toy, toy.CELLS[:2], store, progress=False)
    sweep(toy, toy.CELLS[:2], theirs, progress=False)
    by_other_code(store, KEYS[1])
    for replace, renewed in ((False, []), (True, [KEYS[1]])):
        found = merge(store, theirs, replace=replace)
        assert (sorted(found.same), found.renewed) == (sorted(KEYS[:2]), renewed)
        assert (source(store, KEYS[1]) != "0" * 16) == replace


def test_equal_rows_of_other_code_never_come_with_its_record(store, theirs):
    sweep(toy, toy.CELLS[:2], store, progress=False)
    sweep(toy, toy.CELLS[:2], theirs, progress=False)
    by_other_code(theirs, KEYS[1])
    assert merge(store, theirs, replace=True).renewed == []
    assert source(store, KEYS[1]) != "0" * 16


def test_a_result_that_is_finished_here_meanwhile_stays(store, theirs):
    sweep(toy, toy.CELLS[:1], theirs, progress=False)
    changed(theirs, KEYS[0])

    class Busy(Store):
        @contextmanager
        def claim(self, key):
            sweep(toy, toy.CELLS[:1], Store(self.folder), progress=False)
            with super().claim(key) as free:
                yield free

    assert merge(Busy(store.folder), theirs).conflicts == [KEYS[0]]
    assert losses(store, KEYS[0]) == [0, 0.1]


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
