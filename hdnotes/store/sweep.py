"""The sweep: run the cells that have no result yet, keep each as it finishes, return them all.

An experiment is anything with a `NAME`, a `VERSION` and a `run(cell, device)` that returns tables
of rows. A cell is a flat dictionary; its key is a hash of name, version and cell, so a result is
found again whatever the order, the profile or the machine. Cells that are `Joint` are computed
together and kept apart. Processes may share a store: each cell is computed by the one that holds
its lock, the others come back for it. With a scheduler the workers of a cluster compute, and this
process writes down what they send.
"""

import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from hdnotes import checkpoints, devices, memory
from hdnotes.store import cluster
from hdnotes.store.files import canonical, digest
from hdnotes.store.source import fingerprint
from hdnotes.store.store import Cell, Store, StoreError

_PAUSE = 0.1

#: Held by the thread of a worker that computes: torch and the checkpoints serve one cell.
_one_at_a_time = threading.Lock()

Tables = dict[str, pd.DataFrame]
#: A cell's manifest and its tables of rows.
Made = tuple[dict[str, Any], Tables]


@dataclass(frozen=True)
class Joint:
    """Code that computes several cells at once, as those do that share what they read.

    Parameters
    ----------
    run
        Takes cells and a device; returns the tables of each. What a cell gives does not depend on
        the others but for the order of sums.
    alike
        Cells of which it says the same are computed together.
    """

    run: Callable[[Sequence[dict[str, Any]], str], list[Tables]]
    alike: Callable[[Mapping[str, Any]], Hashable]

    def __call__(self, cell: dict[str, Any], device: str) -> Tables:
        """Compute one cell alone."""
        return self.run([cell], device)[0]


#: What computes a cell.
Code = Callable[[dict[str, Any], str], Tables] | Joint


class MissingResults(LookupError):
    """Cells that have not been computed; `cells` lists them."""

    def __init__(self, experiment: str, cells: Sequence[Mapping[str, Any]], total: int) -> None:
        super().__init__(
            f"{experiment} lacks {len(cells)} of {total} results, the first at {title(cells[0])}; "
            f"`hdnotes compute {experiment}` computes them."
        )
        self.cells = cells


@dataclass(frozen=True)
class Results:
    """What the cells of a sweep gave.

    Parameters
    ----------
    cells
        The cells, in the order asked for.
    manifests
        For each cell: where, when and by which code it was computed.
    tables
        For each cell: its rows by the name of the table.
    sources
        For each cell: the fingerprint of its code as it is now.
    """

    cells: list[dict[str, Any]]
    manifests: list[dict[str, Any]]
    tables: list[dict[str, pd.DataFrame]]
    sources: list[str]

    def table(self, name: str) -> pd.DataFrame:
        """Return a table's rows over all cells, each cell's scalars as leading columns.

        Raises
        ------
        ValueError
            If no cell has such a table; the sentence lists those there are.
        """
        frames = [
            _labelled(cell, tables[name])
            for cell, tables in zip(self.cells, self.tables, strict=True)
            if name in tables
        ]
        if not frames:
            known = sorted({name for tables in self.tables for name in tables})
            raise ValueError(f"there is no table {name!r}; choose one of {', '.join(known)}.")
        return pd.concat([one for one in frames if len(one)] or frames[:1], ignore_index=True)

    @property
    def stale(self) -> bool:
        """Whether any cell was made by other code than there is now."""
        made = (manifest["source"] for manifest in self.manifests)
        return any(old != now for old, now in zip(made, self.sources, strict=True))

    @property
    def wall_time_s(self) -> float:
        """Seconds that computing took, summed over cells."""
        return sum(manifest["wall_time_s"] for manifest in self.manifests)


def sweep(
    experiment: Any,
    cells: Sequence[Mapping[str, Any]],
    store: Store,
    *,
    device: str = "cpu",
    refresh: bool = False,
    progress: bool = True,
    before: Callable[[], None] | None = None,
    scheduler: str | None = None,
) -> Results:
    """Compute the cells that are missing and return the results of all.

    Parameters
    ----------
    experiment
        Has `NAME`, `VERSION` and `run(cell, device)`; or, in place of `run`, `RUNS`: such a
        function, or a `Joint`, for each `kind` of cell. Then a change of one kind's code leaves the
        others fresh.
    cells
        Flat dictionaries of texts, finite numbers, and lists of them. One that names its `machine`
        is computed there, whatever the device.
    store
        Where results lie.
    device
        "cpu" or "cuda", handed to `run`; with a scheduler "auto" is each worker's own choice.
    refresh
        Compute stale cells too.
    progress
        Show a bar with the time left on standard error.
    before
        Called once if there is anything to compute, before that: the place to refuse.
    scheduler
        Address of a Dask scheduler whose workers compute; by default this process does.

    Raises
    ------
    StoreError
        If a result cannot be written. Whatever stops a sweep, finished cells are kept.
    ValueError
        If the scheduler does not answer.
    """
    keys = {cell_key(experiment, cell): cell for cell in cells}
    sources = {key: source_of(experiment, cell) for key, cell in keys.items()}

    def done(key: str) -> bool:
        return _done(store, key, sources[key] if refresh else None)

    def job(group: Sequence[str]) -> _Job:
        where = keys[group[0]].get("machine", device)
        return _Job(experiment, {(key, sources[key]): keys[key] for key in group}, where)

    waiting = [key for key in keys if not done(key)]
    if waiting:
        store.require_manifest()
    if waiting and before:
        before()
    with tqdm(
        total=len(keys),
        initial=len(keys) - len(waiting),
        desc=experiment.NAME,
        unit="cell",
        file=sys.stderr,
        disable=not (progress and waiting),
    ) as bar:

        def keep(group: Sequence[str], sent: Mapping[str, Made] | None = None) -> list[str]:
            """Compute cells together, unless they were sent; return those that others are at."""
            with ExitStack() as held:
                ours = [key for key in group if held.enter_context(store.claim(key))]
                lacking = [key for key in ours if not done(key)]
                if sent is not None:
                    made = [sent[key] for key in lacking]
                elif lacking:
                    made = held.enter_context(_made(job(lacking), store.folder))
                else:
                    made = []
                for key, one in zip(lacking, made, strict=True):
                    store.put(key, *one)
            bar.update(len(ours))
            if len(ours) < len(group):
                time.sleep(_PAUSE)
            return [key for key in group if key not in ours]

        numbers = groups_of(experiment, [keys[key] for key in waiting])
        groups = [[waiting[number] for number in group] for group in numbers]
        if scheduler and groups:
            for sent in _on_cluster(scheduler, [job(group) for group in groups]):
                left = list(sent)
                while left:
                    left = keep(left, sent)
            groups = []
        while groups:
            if left := keep(groups.pop(0)):
                groups.append(left)
    return load(experiment, cells, store)


def unfinished(
    experiment: Any, cells: Sequence[Mapping[str, Any]], store: Store, *, refresh: bool = False
) -> list[Mapping[str, Any]]:
    """Return the cells that `sweep` would compute."""
    return [
        cell
        for cell in cells
        if not _done(
            store,
            cell_key(experiment, cell),
            source_of(experiment, cell) if refresh else None,
        )
    ]


def load(experiment: Any, cells: Sequence[Mapping[str, Any]], store: Store) -> Results:
    """Return results that are in the store, and compute nothing.

    Raises
    ------
    MissingResults
        If some are not there.
    """
    found = _found(experiment, cells, store)
    missing = [cell for cell, result in zip(cells, found, strict=True) if result is None]
    if missing:
        raise MissingResults(experiment.NAME, missing, len(cells))
    results = [result for result in found if result is not None]
    return Results(
        [dict(cell) for cell in cells],
        [result.manifest for result in results],
        [{name: rows.to_pandas() for name, rows in result.tables.items()} for result in results],
        [source_of(experiment, cell) for cell in cells],
    )


def cell_key(experiment: Any, cell: Mapping[str, Any]) -> str:
    """Return the name under which a cell's result is kept: 16 hexadecimal digits.

    Raises
    ------
    ValueError
        If the cell holds anything but texts, finite numbers, and lists of them.
    """
    try:
        text = canonical([experiment.NAME, experiment.VERSION, dict(cell)])
    except (TypeError, ValueError) as error:
        raise ValueError(f"cell {dict(cell)} must hold plain finite values: {error}") from error
    return digest(text.encode())[:16]


def title(cell: Mapping[str, Any]) -> str:
    """Write a cell in words.

    Examples
    --------
    >>> title({"kind": "spectrum", "d": 64})
    'kind = spectrum, d = 64'
    """
    return ", ".join(f"{name} = {value}" for name, value in cell.items())


def code_of(experiment: Any, cell: Mapping[str, Any]) -> Code:
    """Return what computes a cell."""
    runs = getattr(experiment, "RUNS", None)
    return runs[cell["kind"]] if runs else experiment.run


def remember(experiment: Any) -> None:
    """Fix what an experiment's results will say of their code: what has just been imported.

    A process may come to a chapter hours after it imported it, and its files may be others then.
    """
    for code in (getattr(experiment, "RUNS", None) or {"": experiment.run}).values():
        fingerprint(code.run if isinstance(code, Joint) else code)


def source_of(experiment: Any, cell: Mapping[str, Any]) -> str:
    """Return the fingerprint of the code behind a cell."""
    code = code_of(experiment, cell)
    return fingerprint(code.run if isinstance(code, Joint) else code)


def groups_of(experiment: Any, cells: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the numbers of the cells that are computed together, in the order of the first."""
    groups: dict[Hashable, list[int]] = {}
    for number, cell in enumerate(cells):
        code = code_of(experiment, cell)
        name = (id(code), code.alike(cell)) if isinstance(code, Joint) else number
        groups.setdefault(name, []).append(number)
    return list(groups.values())


def _done(store: Store, key: str, source: str | None) -> bool:
    """Tell whether a result is there, and made by this source if one is asked for."""
    cell = store.get(key)
    return cell is not None and source in (None, cell.manifest["source"])


def _found(experiment: Any, cells: Sequence[Mapping[str, Any]], store: Store) -> list[Cell | None]:
    return [store.get(cell_key(experiment, cell)) for cell in cells]


@dataclass(frozen=True)
class _Job:
    """Cells to compute together, by key and fingerprint of their code."""

    experiment: Any
    cells: Mapping[tuple[str, str], Mapping[str, Any]]
    device: str

    @property
    def name(self) -> str:
        """What this work is called on every machine."""
        return digest(canonical(sorted(self.cells)).encode())[:32]


def _on_cluster(scheduler: str, jobs: Sequence[_Job]) -> Iterator[dict[str, Made]]:
    """Yield what the workers send; a job that fails is raised when all others are done.

    A worker that dies takes the jobs with it that wait there, and Dask blames them all: those
    that it gives up are tried again, each alone.
    """
    named, failed = {job.name: job for job in jobs}, dict[str, Exception]()

    def sent(names: Iterable[str]) -> Iterator[dict[str, Made]]:
        tasks = {name: (named[name],) for name in names}
        for name, found in cluster.computed(scheduler, _at_worker, tasks):
            if isinstance(found, Exception):
                failed[name] = found
            else:
                failed.pop(name, None)
                yield found

    yield from sent(named)
    for name in [name for name, error in failed.items() if _ended_workers(error)]:
        yield from sent([name])
    for error in failed.values():
        if _ended_workers(error):
            lost = [cell for one in failed for cell in named[one].cells.values()]
            total = sum(len(job.cells) for job in jobs)
            raise StoreError(
                f"{len(lost)} of {total} cells ended their workers again and again, as a "
                f"worker does that runs out of memory; the first is {title(lost[0])}."
            ) from error
        raise error


def _ended_workers(error: Exception) -> bool:
    return type(error).__name__ == "KilledWorker"


def _at_worker(job: _Job) -> dict[str, Made]:
    """Do a job on a worker, if its code is that of who asks."""
    if any(source_of(job.experiment, cell) != key[1] for key, cell in job.cells.items()):
        raise ValueError(
            f"a worker at {platform.node()} holds other code of {job.experiment.NAME} than this "
            "process; all have to run the same checkout."
        )
    here = Store.of(job.experiment.NAME).folder
    with _one_at_a_time, _made(replace(job, device=devices.resolve(job.device)), here) as made:
        return {key: one for (key, _), one in zip(job.cells, made, strict=True)}


@contextmanager
def _made(job: _Job, folder: Path) -> Iterator[list[Made]]:
    """Compute cells and record what they took; their checkpoints go when all is done with them."""
    with checkpoints.kept(folder / ".runs" / _attempt(job)):
        yield _compute(job)


def _attempt(job: _Job) -> str:
    """Return what this work is called where its checkpoints can be taken up.

    A state is on a device, and of the trials that this machine's cache lets train at a time.
    """
    name = canonical([job.name, job.device, devices.cache_bytes()])
    return digest(name.encode())[:32]


def timed(
    code: Code, cells: Sequence[Mapping[str, Any]], device: str
) -> tuple[list[Tables], float, float]:
    """Compute cells together; return their tables, and seconds on the wall and of the process."""
    begin, given = time.perf_counter(), time.process_time()
    plain = [dict(cell) for cell in cells]
    with devices.bfloat16_products():
        if isinstance(code, Joint):
            tables = code.run(plain, device)
        else:
            tables = [code(cell, device) for cell in plain]
    return tables, time.perf_counter() - begin, time.process_time() - given


def _compute(job: _Job) -> list[Made]:
    """Return each cell's manifest and tables; cells that ran together share their time evenly."""
    memory.forget_peak(job.device)
    cells = list(job.cells.values())
    tables, wall, busy = timed(code_of(job.experiment, cells[0]), cells, job.device)
    earlier, count = checkpoints.earlier_s(), len(cells)
    same = {
        "experiment": job.experiment.NAME,
        "version": job.experiment.VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": job.device,
        "device_name": devices.name(job.device),
        "threads": devices.threads(),
        "together": count,
        "wall_time_s": round((wall + earlier) / count, 3),
        "cpu_time_s": round((busy + earlier) / count, 3),
        "peak_memory_bytes": devices.peak_memory_bytes(job.device),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
    }
    return [
        (
            {
                **same,
                "cell": dict(cell),
                "source": source,
                "seed": str(cell.get("seed", title(cell))),
            },
            rows,
        )
        for ((_, source), cell), rows in zip(job.cells.items(), tables, strict=True)
    ]


@cache
def commit() -> str:
    """Return the git commit of this library, with `+dirty` if its code was changed since."""
    folder = Path(__file__).parents[1]
    head, changes = _git("rev-parse", "--short=12", "HEAD", at=folder), None
    if head:
        changes = _git("status", "--porcelain", "--", ".", at=folder)
    return (head + ("+dirty" if changes else "")) if head else "unknown"


def _git(*words: str, at: Path) -> str:
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(at), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return ""


def _labelled(cell: Mapping[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    """Put the cell's scalars before the columns that do not have them."""
    scalars = {
        name: value
        for name, value in cell.items()
        if not isinstance(value, list | tuple | dict) and name not in frame.columns
    }
    labels = pd.DataFrame(scalars, index=frame.index)
    return pd.concat([labels, frame], axis=1)
