import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy
from states import state

from hdnotes.store import files
from hdnotes.store.store import DamagedResult, Store, StoreError
from hdnotes.store.sweep import Results, cell_key, load, sweep

CELLS = toy.CELLS[:4]
KEYS = [cell_key(toy, cell) for cell in CELLS]


@pytest.fixture
def filled(store: Store) -> Store:
    """Two cells folded, two loose."""
    sweep(toy, CELLS[:2], store, progress=False)
    store.fold()
    sweep(toy, CELLS, store, progress=False)
    return store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def same(one: Results, other: Results) -> None:
    assert one.cells == other.cells
    for tables, others in zip(one.tables, other.tables, strict=True):
        assert tables.keys() == others.keys()
        for name, rows in tables.items():
            pd.testing.assert_frame_equal(rows, others[name], check_exact=True)


def test_folding_leaves_few_files_and_the_same_rows(filled):
    before = load(toy, CELLS, filled)
    filled.fold()
    assert names(filled.folder / ".cells") == []
    files = [name for name in names(filled.folder) if name != ".cells"]
    assert [name.split(".")[0] for name in files] == ["losses", "losses", "manifest", "names"]
    same(load(toy, CELLS, Store(filled.folder)), before)
    assert before.tables[1]["losses"]["count"].tolist() == [1, 2, 2**60 + 1]


def test_the_same_cells_make_the_same_files_in_whatever_order(tmp_path):
    stores = [Store(tmp_path / "one"), Store(tmp_path / "two")]
    for store, order in zip(stores, [CELLS, CELLS[::-1]], strict=True):
        for cell in order:
            sweep(toy, [cell], store, progress=False)
            store.fold()
    one, two = (names(store.folder) for store in stores)
    assert one == two


def test_only_the_cells_asked_for_are_folded(filled):
    filled.fold([KEYS[2]])
    assert names(filled.folder / ".cells") == [KEYS[3]]
    assert state(toy, CELLS, filled) == "fresh"


def test_folding_again_changes_nothing(filled):
    filled.fold()
    before = {path: path.stat().st_mtime_ns for path in result_files(filled, loose=False)}
    filled.fold()
    assert before == {path: path.stat().st_mtime_ns for path in result_files(filled, loose=False)}


def test_cells_without_rows_and_tables_are_results_too(store):
    store.put(KEYS[0], {}, {"empty": pd.DataFrame({"x": np.zeros(0, dtype=int)})})
    store.put(KEYS[1], {}, {})
    store.fold()
    assert store.get(KEYS[0]).tables["empty"].to_pandas().dtypes.tolist() == [np.dtype(int)]
    assert store.get(KEYS[1]).tables == {}


def test_a_refreshed_cell_replaces_loose_and_folded(filled):
    for key in (KEYS[0], KEYS[3]):
        filled.put(key, {"new": True}, {})
        assert filled.get(key).manifest["new"]
    filled.fold()
    assert filled.get(KEYS[0]).manifest["new"]
    assert sum("new" in filled.get(key).manifest for key in KEYS) == 2


def test_keep_forgets_all_other_cells(filled):
    filled.keep([KEYS[0], KEYS[2]])
    assert [filled.get(key) is not None for key in KEYS] == [True, False, True, False]
    assert len(json.loads((filled.folder / "manifest.json").read_bytes())["cells"]) == 1


@pytest.mark.parametrize("name", ["../x", "", "Losses", "a.b"])
def test_a_table_needs_a_name_that_a_file_can_have(store, name):
    with pytest.raises(ValueError, match="must be a pandas DataFrame under a name"):
        store.put(KEYS[0], {}, {name: pd.DataFrame()})


def test_no_pickle(filled):
    filled.fold()
    for path in filled.folder.rglob("*"):
        assert path.is_dir() or path.suffix in (".json", ".parquet")


# Damage: each byte matters, so each is tried (a sample of them in the longer files).


def positions(path: Path) -> list[int]:
    size = path.stat().st_size
    return sorted({*range(0, size, max(size // 12, 1)), size - 1})


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def result_files(store: Store, loose: bool) -> list[Path]:
    folder = store.folder / ".cells" / KEYS[3] if loose else store.folder
    return [path for path in sorted(folder.iterdir()) if path.is_file()]


def is_reported(store: Store, expected: Results) -> bool:
    """Read everything; nothing read may differ from what was written."""
    fresh = Store(store.folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [fresh.get(key) for key in KEYS]
    for cell, tables in zip(found, expected.tables, strict=True):
        for name, rows in cell.tables.items() if cell else []:
            pd.testing.assert_frame_equal(rows.to_pandas(), tables[name], check_exact=True)
    assert all(issubclass(one.category, DamagedResult) for one in caught)
    return bool(caught) and None in found


@pytest.mark.parametrize("loose", [True, False], ids=["loose", "folded"])
def test_a_flipped_bit_is_reported_and_never_read(filled, loose):
    expected = load(toy, CELLS, filled)
    for path in result_files(filled, loose):
        content = path.read_bytes()
        for position in positions(path):
            flip(path, position)
            in_blank = path.suffix == ".json" and json.loads(content) == parsed(path)
            assert is_reported(filled, expected) != in_blank, f"{path.name} at {position}"
            path.write_bytes(content)


def parsed(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


@pytest.mark.parametrize("loose", [True, False], ids=["loose", "folded"])
def test_a_truncated_file_is_reported_and_computed_again(filled, loose, tmp_path):
    expected = load(toy, CELLS, filled)
    for path in result_files(filled, loose):
        content = path.read_bytes()
        for size in (0, 1, len(content) // 2, len(content) - 2):
            path.write_bytes(content[:size])
            assert is_reported(filled, expected), f"{path.name} cut to {size}"
        copy = Store(tmp_path / path.name)
        shutil.copytree(filled.folder, copy.folder)
        path.write_bytes(content)
        if path.name == "manifest.json" and not loose:
            continue  # the test after the next
        with pytest.warns(DamagedResult, match=rf"{path.name} is damaged; its results count as"):
            again = sweep(toy, CELLS, copy, progress=False)
        same(again, expected)
        copy.fold()
        same(load(toy, CELLS, Store(copy.folder)), expected)


@pytest.mark.parametrize("loose", [True, False], ids=["loose", "folded"])
def test_a_lost_table_is_reported(filled, loose):
    lost = next(path for path in result_files(filled, loose) if path.suffix == ".parquet")
    lost.unlink()
    with pytest.warns(DamagedResult, match=f"{lost.name} is missing; its results count as"):
        assert state(toy, CELLS, Store(filled.folder)) == "missing"


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_a_manifest_that_cannot_be_read_costs_no_other_file(filled):
    filled.fold()
    expected, before = load(toy, CELLS, filled), names(filled.folder)
    content = (filled.folder / "manifest.json").read_bytes()
    (filled.folder / "manifest.json").write_bytes(content + b"<<<<<<< HEAD")
    for store in (filled, Store(filled.folder)):
        with pytest.raises(StoreError, match=r"manifest\.json is damaged: bring it back"):
            sweep(toy, toy.CELLS, store, progress=False)
        store.keep([])
    assert names(filled.folder) == before
    (filled.folder / "manifest.json").write_bytes(content)
    same(load(toy, CELLS, filled), expected)


def test_a_folder_of_results_that_is_a_file_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "results").touch()
    monkeypatch.setenv("HDNOTES_RESULTS", str(tmp_path / "results"))
    with pytest.raises(ValueError, match=r"HDNOTES_RESULTS = .* must be a folder\.$"):
        Store.of("toy")


# A full disk.


@pytest.fixture
def tiny_disk(tmp_path: Path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a tiny disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def large(cell, device):
    generator = np.random.default_rng(cell["d"])
    return {"rows": pd.DataFrame({"x": generator.random(1200)})}


def test_a_full_disk_is_one_sentence_and_keeps_what_is_finished(tiny_disk, monkeypatch):
    monkeypatch.setattr(toy, "run", large)
    store = Store(tiny_disk / "toy")
    with pytest.raises(StoreError, match=r"^results cannot be written to .*: the disk is full;"):
        sweep(toy, toy.CELLS, store, progress=False)
    done = [cell for cell in toy.CELLS if store.get(cell_key(toy, cell))]
    assert 2 <= len(done) < 8
    assert names(store.folder / ".cells") == sorted(cell_key(toy, cell) for cell in done)
    with pytest.raises(StoreError, match="the disk is full"):
        store.fold()
    assert state(toy, done, Store(store.folder)) == "fresh"
    assert names(store.folder) == [".cells"]
    subprocess.run(["mount", "-o", "remount,size=1m", str(tiny_disk)], check=True)
    sweep(toy, toy.CELLS, store, progress=False)
    store.fold()
    assert state(toy, toy.CELLS, Store(store.folder)) == "fresh"


@pytest.mark.parametrize("number", range(4))
def test_a_disk_that_fills_at_any_file_leaves_the_store_as_it_was(filled, monkeypatch, number):
    expected, before = load(toy, CELLS, filled), names(filled.folder)
    written = []

    def fill(path, content):
        written.append(path)
        if len(written) > number:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    write = files.write
    with monkeypatch.context() as patch:
        patch.setattr(files, "write", fill)
        with pytest.raises(StoreError, match="the disk is full"):
            filled.fold()
    assert names(filled.folder) == before
    assert not [path for path in filled.folder.rglob("*") if path.suffix in (".new", ".old")]
    same(load(toy, CELLS, Store(filled.folder)), expected)


def test_a_folder_that_cannot_be_written_is_one_sentence(store, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"cannot be written to .*toy: Permission denied; those"):
        sweep(toy, CELLS, store, progress=False)


# A kill at any step: an audit hook dies before the n-th change of the file system.

KILLER = """
import os, shutil, sys
from pathlib import Path
import toy
from hdnotes.store.store import Store

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "open")
source, work, *keys = sys.argv[1:]
ACTIONS = {
    "fold": lambda: Store(work).fold(),
    "put": lambda: Store(work).put(keys[3], {}, toy.run(toy.CELLS[3], "cpu")),
    "keep": lambda: Store(work).keep(keys[:1]),
}

def die_before(left):
    def hook(event, arguments):
        nonlocal left
        if event not in CHANGES or str(work) not in str(arguments[0]):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if left == 0:
            os._exit(9)
        left -= 1
    sys.addaudithook(hook)

def in_child(*calls):
    child = os.fork()
    if child == 0:
        for call in calls:
            call()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def require_tidy():
    if any(path.suffix in (".new", ".old", ".lock") for path in Path(work).rglob("*")):
        os._exit(1)

for name, action in ACTIONS.items():
    code, step = 9, 0
    while code == 9:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(source, work)
        code = in_child(lambda: die_before(step), action)
        print(name, code, *[int(Store(work).get(key) is not None) for key in keys], flush=True)
        assert in_child(action, require_tidy) == 0
        step += 1
"""


def test_a_kill_between_any_two_steps_leaves_a_consistent_store(filled, tmp_path):
    folders = [str(Path(__file__).parent), str(Path(files.__file__).parents[2])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-W", "error", "-c", KILLER, str(filled.folder)]
    command += [str(tmp_path / "copy"), *KEYS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    codes = {
        name: [line[1] for line in lines if line[0] == name] for name in ("fold", "put", "keep")
    }
    there = {name: [line[2:] for line in lines if line[0] == name] for name in codes}
    for name in codes:
        assert len(codes[name]) > 5
        assert codes[name] == ["9"] * (len(codes[name]) - 1) + ["0"]
    assert all(row == ["1"] * 4 for row in there["fold"])
    assert all(row[0] == "1" for row in there["keep"])
    # Only what is being replaced can be missing, and for one step.
    assert all(row[:3] == ["1"] * 3 for row in there["put"])
    assert sum(row[3] == "0" for row in there["put"]) <= 1
