import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import toy
from states import state

from hdnotes import checkpoints, devices
from hdnotes.store import sweep as module
from hdnotes.store.store import Store
from hdnotes.store.sweep import Joint, MissingResults, cell_key, load, sweep

SCRIPT = """
import sys
import toy
from hdnotes.store.store import Store
from hdnotes.store.sweep import sweep
store = Store(sys.argv[1])
sweep(toy, toy.CELLS, store, progress=False)
"""


def start(store: Store, seconds: float, *more: str) -> subprocess.Popen:
    folders = [str(Path(__file__).parent), str(Path(module.__file__).parents[2])]
    environment = os.environ | {
        "TOY_SECONDS": str(seconds),
        "PYTHONPATH": os.pathsep.join(folders),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", "\n".join([SCRIPT, *more]), str(store.folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_runs(number: int) -> None:
    deadline = time.monotonic() + 60
    while len(toy.runs()) < number:
        assert time.monotonic() < deadline, "the sweep does not start"
        time.sleep(0.01)


def stored(store: Store) -> set[int]:
    return {cell["d"] for cell in toy.CELLS if store.get(cell_key(toy, cell))}


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_results_are_those_of_the_function_with_the_cells_scalars_in_front(store, log):
    table = sweep(toy, toy.CELLS[:2], store, progress=False).table("losses")
    assert list(table.columns) == ["kind", "d", "step", "loss", "count"]
    assert table["loss"].dtype == float
    assert table.loc[table["d"] == 1, "loss"].tolist()[:2] == [1 / 3, 0.1]
    assert list(sweep(toy, toy.CELLS[:2], store).table("names").columns) == ["kind", "d", "who"]


def test_what_is_stored_is_not_run_again_in_whatever_order_and_number(store, log):
    sweep(toy, toy.CELLS[:3], store, progress=False)
    again = sweep(toy, toy.CELLS[::-1] + toy.CELLS, store, progress=False)
    assert sorted(toy.runs()) == [f"start {d}" for d in range(8)]
    assert [cell["d"] for cell in again.cells] == [*range(7, -1, -1), *range(8)]


def test_a_cell_is_found_by_its_values_alone(store):
    assert cell_key(toy, {"a": 1, "b": [2]}) == cell_key(toy, {"b": [2], "a": 1})
    keys = {cell_key(toy, {"a": value}) for value in (1, 2, "1", 0.5, [1], None)}
    later = SimpleNamespace(NAME=toy.NAME, VERSION=2)
    assert len(keys | {cell_key(later, {"a": 1})}) == 7


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Path("x")])
def test_a_cell_that_is_no_plain_data_is_refused(value):
    with pytest.raises(ValueError, match="must hold plain finite values"):
        cell_key(toy, {"a": value})


def test_a_manifest_says_how_a_cell_was_made(store, log):
    manifest = sweep(toy, toy.CELLS[:1], store, progress=False).manifests[0]
    assert manifest["cell"] == toy.CELLS[0]
    assert re.fullmatch(r"[0-9a-f]{16}", manifest["source"])
    assert re.fullmatch(r"unknown|[0-9a-f]{12}(\+dirty)?", manifest["commit"])
    assert manifest["date"].endswith("+00:00")
    assert manifest["peak_memory_bytes"] > 1 << 20
    assert 0 <= manifest["wall_time_s"] < 60
    expected = {"experiment", "version", "key", "torch", "python", "device", "device_name"}
    assert expected | {"threads", "seed"} <= set(manifest)


def test_load_computes_nothing_and_says_what_is_missing(store, log):
    with pytest.raises(MissingResults, match=r"toy lacks 8 of 8 results.*kind = line, d = 0"):
        load(toy, toy.CELLS, store)
    assert state(toy, toy.CELLS, store) == "missing"
    assert toy.runs() == []
    assert not store.folder.exists()


def test_an_unknown_table_is_one_sentence(store, log):
    with pytest.raises(ValueError, match=r"no table 'loss'; choose one of losses, names\."):
        sweep(toy, toy.CELLS[:1], store, progress=False).table("loss")


def test_a_changed_source_is_stale_until_refreshed(store, log, monkeypatch):
    sweep(toy, toy.CELLS[:2], store, progress=False)
    assert state(toy, toy.CELLS[:2], store) == "fresh"
    monkeypatch.setattr(module, "fingerprint", lambda function: "changed")
    assert state(toy, toy.CELLS[:2], store) == "stale"
    assert sweep(toy, toy.CELLS[:2], store, progress=False).stale
    assert len(toy.runs()) == 2
    assert not sweep(toy, toy.CELLS[:3], store, refresh=True, progress=False).stale
    assert len(toy.runs()) == 5
    assert state(toy, toy.CELLS[:3], store) == "fresh"


def test_each_kind_of_cell_has_its_own_code(store, log, monkeypatch):
    runs = {"one": lambda cell, device: toy.run(cell, device), "two": toy.run}
    kinds = SimpleNamespace(NAME="kinds", VERSION=1, RUNS=runs)
    cells = [{**cell, "kind": kind} for kind in runs for cell in toy.CELLS[:2]]
    monkeypatch.setattr(module, "fingerprint", lambda function: function.__name__)
    assert not sweep(kinds, cells, store, progress=False).stale
    monkeypatch.setattr(
        module, "fingerprint", lambda function: function.__name__.replace("run", "changed")
    )
    assert state(kinds, cells[:2], store) == "fresh"
    assert state(kinds, cells[2:], store) == "stale"
    assert len(toy.runs()) == 4
    assert sweep(kinds, cells, store, refresh=True, progress=False).stale is False
    assert len(toy.runs()) == 6


def test_before_is_asked_once_and_only_if_something_is_to_be_computed(store, log):
    asked = []
    for _ in range(2):
        sweep(toy, toy.CELLS[:2], store, progress=False, before=lambda: asked.append(1))
    assert len(asked) == 1


def test_before_may_refuse_and_nothing_is_written(store):
    def refuse():
        raise ValueError("too large")

    with pytest.raises(ValueError, match="too large"):
        sweep(toy, toy.CELLS, store, before=refuse)
    assert not store.folder.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_stops_a_sweep_leaves_the_finished_cells(store, log, monkeypatch, error):
    def stop(line):
        if line == "start 3":
            raise error
        write(line)

    write = toy.log
    with monkeypatch.context() as patch:
        patch.setattr(toy, "log", stop)
        with pytest.raises(error):
            sweep(toy, toy.CELLS, store, progress=False)
    assert stored(store) == {0, 1, 2}
    sweep(toy, toy.CELLS, store, progress=False)
    assert Counter(toy.runs()) == {f"start {d}": 1 for d in range(8)}


def test_kill_minus_nine_loses_and_repeats_nothing(store, log):
    process = start(store, 0.05)
    wait_for_runs(4)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    kept, before = stored(store), len(toy.runs())
    assert len(kept) in (before - 1, before)
    assert 3 <= len(kept) < 8

    results = sweep(toy, toy.CELLS, store, progress=False)
    assert {int(line.split()[1]) for line in toy.runs()[before:]} == set(range(8)) - kept
    assert results.table("losses")["d"].nunique() == 8


def test_two_processes_share_a_store_and_compute_no_cell_twice(store, log):
    fold = "store.fold()"
    processes = [start(store, 0.05, fold), start(store, 0.05, fold)]
    for process in processes:
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    assert Counter(toy.runs()) == {f"start {d}": 1 for d in range(8)}
    assert state(toy, toy.CELLS, store) == "fresh"


def test_a_cell_that_another_process_holds_is_waited_for(store, log):
    process = start(store, 1.0)
    wait_for_runs(1)
    results = sweep(toy, toy.CELLS[:2], store, progress=False)
    process.kill()
    process.wait()
    process.stderr.close()
    assert len(results.cells) == 2
    assert Counter(toy.runs())["start 0"] == 1


def test_progress_goes_to_standard_error_with_the_time_left(store, log, capsys):
    sweep(toy, toy.CELLS, store)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"toy: 100%.*8/8 \[\d+:\d+<\d+:\d+", shown.err)
    sweep(toy, toy.CELLS, store)
    assert capsys.readouterr().err == ""


#: The toy whose cells of even d are computed together, and those of odd d.
JOINT = SimpleNamespace(NAME="toy", VERSION=1, RUNS={"line": Joint(toy.together, toy.parity)})


def test_alike_cells_are_computed_together_and_kept_apart(store, log, tmp_path):
    apart = sweep(toy, toy.CELLS, Store(tmp_path / "apart"), progress=False)
    alone = Counter(toy.runs())
    found = sweep(JOINT, toy.CELLS, store, progress=False)
    calls = [line for line in toy.runs() if line.startswith("together")]
    assert calls == ["together [0, 2, 4, 6]", "together [1, 3, 5, 7]"]
    assert alone == Counter(line for line in toy.runs()[8:] if line.startswith("start"))
    for one, other in zip(found.tables, apart.tables, strict=True):
        assert all(one[name].equals(other[name]) for name in other)
    assert [manifest["together"] for manifest in found.manifests] == [4] * 8
    assert [manifest["cell"] for manifest in found.manifests] == toy.CELLS
    assert len({manifest["wall_time_s"] for manifest in found.manifests}) <= 2


def test_a_cell_that_is_there_or_with_another_process_is_left_out_of_its_group(store, log):
    sweep(JOINT, toy.CELLS[2:3], store, progress=False)
    with store.claim(cell_key(toy, toy.CELLS[4])) as ours:
        assert ours
        cells = (JOINT, toy.CELLS[::2], store)
        other = threading.Thread(target=sweep, args=cells, kwargs={"progress": False})
        other.start()
        wait_for_runs(5)
    other.join()
    calls = [line for line in toy.runs() if line.startswith("together")]
    assert calls == ["together [2]", "together [0, 6]", "together [4]"]
    assert state(JOINT, toy.CELLS[::2], store) == "fresh"


def test_a_checkpoint_is_taken_up_where_its_run_is_divided_alike_and_nowhere_else(
    store, monkeypatch
):
    def stopped(cell, device):
        path = checkpoints.slot()
        found.append(checkpoints.load(path))
        checkpoints.save(path, {"step": len(found)})
        raise KeyboardInterrupt

    found = []
    monkeypatch.setattr(toy, "run", stopped)
    for cache in (1000, 2000, 1000):
        monkeypatch.setattr(devices, "cache_bytes", lambda size=cache: size)
        with pytest.raises(KeyboardInterrupt):
            sweep(toy, toy.CELLS[:1], store, progress=False)
    assert found == [None, None, {"step": 1}]


def test_a_cell_that_names_its_machine_is_computed_and_recorded_there(store, log):
    cells = [{**toy.CELLS[0], "machine": "cpu"}]
    found = sweep(toy, cells, store, device="elsewhere", progress=False)
    assert found.manifests[0]["device"] == "cpu"
