"""A real scheduler and real workers on loopback: rows as from one process, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import toy
from test_sweep import same, stored, wait_for_runs

from hdnotes.store import sweep as module
from hdnotes.store.store import StoreError
from hdnotes.store.sweep import Joint, sweep

pytest.importorskip("distributed")


class Cluster:
    """A scheduler and workers, started from the command line as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def scheduler(self) -> subprocess.Popen:
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        return self._start(["scheduler", *where, "--no-dashboard"])

    def worker(self, seconds: float = 0, **more: str) -> subprocess.Popen:
        words = ["worker", self.address, "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
        options = [word for name, value in more.items() for word in (f"--{name}", value)]
        folder = ["--local-directory", str(self.folder / "dask")]
        return self._start([*words, *options, *folder], TOY_SECONDS=str(seconds))

    def _start(self, words: list[str], **environment: str) -> subprocess.Popen:
        folders = [str(Path(__file__).parent), str(Path(module.__file__).parents[2])]
        given = os.environ | environment
        given |= {"PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}
        given |= {"HDNOTES_RESULTS": str(self.folder / "elsewhere")}
        given |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        command = [sys.executable, "-m", "dask", *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, env=given, start_new_session=True, **quiet))
        return self.processes[-1]

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        """End a process and its children with -9."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def cluster(tmp_path, log):
    with ExitStack() as stack:
        found = Cluster(tmp_path)
        stack.callback(found.close)
        yield found


def as_alone(results, tmp_path):
    """Hold results against those of this process, table by table."""
    from hdnotes.store.store import Store

    alone = sweep(toy, toy.CELLS, Store(tmp_path / "alone"), progress=False)
    for name in ("losses", "names"):
        same(results.table(name), alone.table(name))


def test_three_workers_give_the_rows_of_one_process_and_each_cell_once(
    cluster, store, tmp_path, capfd
):
    cluster.scheduler()
    for _ in range(3):
        cluster.worker()
    results = sweep(toy, toy.CELLS, store, progress=False, scheduler=cluster.address)
    assert Counter(toy.runs()) == {f"start {d}": 1 for d in range(8)}
    as_alone(results, tmp_path)
    assert "dashboard is http" in capfd.readouterr().err


def test_cells_that_are_computed_together_are_one_task_with_the_rows_of_one_process(
    cluster, store, tmp_path
):
    cluster.scheduler()
    for _ in range(2):
        cluster.worker()
    joint = SimpleNamespace(NAME="toy", VERSION=1, RUNS={"line": Joint(toy.together, toy.parity)})
    results = sweep(joint, toy.CELLS, store, progress=False, scheduler=cluster.address)
    calls = {line for line in toy.runs() if line.startswith("together")}
    assert calls == {"together [0, 2, 4, 6]", "together [1, 3, 5, 7]"}
    as_alone(results, tmp_path)


def begun(cluster, store, *more: str) -> subprocess.Popen:
    """Start a sweep on the cluster in a process of its own."""
    script = (
        "import sys, toy\n"
        "from hdnotes.store.store import Store\n"
        "from hdnotes.store.sweep import sweep\n"
        "sweep(toy, toy.CELLS, Store(sys.argv[1]), progress=False, scheduler=sys.argv[2])\n"
    )
    folders = [str(Path(__file__).parent), str(Path(module.__file__).parents[2])]
    given = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", script, str(store.folder), cluster.address]
    return subprocess.Popen(command, env=given, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> str:
    """Wait for a process to end well and return what it said."""
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    return said


def test_a_worker_killed_in_the_middle_loses_nothing(cluster, store, tmp_path):
    cluster.scheduler()
    victim = cluster.worker(seconds=0.5)
    cluster.worker(seconds=0.5)
    process = begun(cluster, store)
    wait_for_runs(3)
    cluster.kill(victim)
    finished(process)
    assert stored(store) == set(range(8))
    counts = Counter(toy.runs())
    assert sum(counts.values()) <= 8 + 2  # what the dead worker held is all that is run again
    as_alone(sweep(toy, toy.CELLS, store, progress=False), tmp_path)


def test_a_scheduler_started_again_finds_the_sweep_waiting(cluster, store):
    first = cluster.scheduler()
    cluster.worker(seconds=0.3)
    process = begun(cluster, store)
    wait_for_runs(3)
    cluster.kill(first)
    cluster.scheduler()
    cluster.worker()
    assert "is gone; waiting for it" in finished(process)
    assert stored(store) == set(range(8))


def test_a_slow_worker_keeps_only_its_own_cell(cluster, store):
    cluster.scheduler()
    cluster.worker(seconds=4)
    cluster.worker(seconds=0.01)
    sweep(toy, toy.CELLS, store, progress=False, scheduler=cluster.address)
    assert stored(store) == set(range(8))


def test_a_cell_that_outgrows_its_workers_is_named_and_the_others_are_kept(
    cluster, store, monkeypatch
):
    cluster.scheduler()
    monkeypatch.setenv("TOY_HUNGRY", "5")
    cluster.worker()
    with pytest.raises(StoreError, match=r"1 of 8 cells .* out of memory; .* d = 5"):
        sweep(toy, toy.CELLS, store, progress=False, scheduler=cluster.address)
    assert stored(store) == set(range(8)) - {5}


def test_an_address_where_nobody_answers_is_one_sentence(store, monkeypatch):
    monkeypatch.setattr(module.cluster, "PATIENCE_S", 0)
    with pytest.raises(ValueError, match=r"scheduler = 'tcp://127.0.0.1:1' does not answer"):
        sweep(toy, toy.CELLS, store, progress=False, scheduler="tcp://127.0.0.1:1")
    assert not store.folder.exists()
