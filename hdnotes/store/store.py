"""Where results lie: one folder a chapter, in which every file is whole, checked, or not read.

A *cell* is one call of an experiment: a flat dictionary of parameters, and the tables of rows that
came out. It is written once, when it is finished, to a folder of its own; when a sweep is over its
cells are *folded* into a few files that git can keep:

    results/<chapter>/manifest.json                 every folded cell, the files' SHA-256
    results/<chapter>/<table>.<hash>.parquet        rows of many cells, named by their content
    results/<chapter>/.cells/<key>/manifest.json    one cell in the making (not in git)
    results/<chapter>/.cells/<key>/<table>.parquet

Two rules make it safe against a kill at any point. A file or folder appears under its name by one
rename, after its content has reached the disk. A manifest appears after what it names, and what no
manifest names any more goes last. A file whose content differs from its hash is reported, and its
cells count as missing. Locks are `flock`s, which the system frees when a process dies.
"""

import errno
import os
import re
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from hdnotes.store import files

MANIFEST = "manifest.json"
_KEY_COLUMN = "_cell"
_KEY = re.compile(r"[0-9a-f]{16}")
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FOLDED_FILE = re.compile(rf"{_TABLE_NAME.pattern}\.[0-9a-f]{{8}}\.parquet")


class StoreError(RuntimeError):
    """Results cannot be written; the sentence says where and why."""


class DamagedResult(UserWarning):
    """A result file whose content is not what was written."""


@dataclass(frozen=True)
class Cell:
    """A finished cell: its manifest, and its rows by the name of the table."""

    manifest: dict[str, Any]
    tables: dict[str, pa.Table]


@dataclass(frozen=True)
class _Folded:
    """What `manifest.json` and the intact files it names hold, at one moment."""

    version: tuple[int, ...] | None = None
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    damaged: bool = False

    @cached_property
    def rows(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Where each cell's rows lie in a file: first row and number."""
        return {name: _runs(table[_KEY_COLUMN]) for name, table in self.tables.items()}

    def cell(self, key: str) -> Cell | None:
        """Cut a cell's rows out of the files."""
        manifest = self.manifests.get(key)
        if manifest is None:
            return None
        tables = {}
        for table, name in manifest["tables"].items():
            first, count = self.rows[name].get(key, (0, 0))
            tables[table] = self.tables[name].slice(first, count).drop_columns(_KEY_COLUMN)
        return Cell(manifest, tables)


class Store:
    """The results of one chapter.

    Parameters
    ----------
    folder
        Where they lie; made when the first result is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._folded = _Folded()

    @classmethod
    def of(cls, chapter: str) -> "Store":
        """Return a chapter's store under `root()`."""
        return cls(root() / chapter)

    def get(self, key: str) -> Cell | None:
        """Return a cell; `None` if it is not there, or damaged (and a `DamagedResult` warning)."""
        # A fold moves cells from loose to folded: looking in this order never misses one.
        return self._read_loose(key) or self._read_folded().cell(key)

    def finished(self) -> list[str]:
        """List the keys of all finished cells, damaged ones included."""
        loose = self._loose() if self._cells.is_dir() else []
        return sorted({*loose, *self._read_folded().manifests})

    def put(
        self, key: str, manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
    ) -> None:
        """Write a finished cell whole.

        Parameters
        ----------
        key
            The cell's key; the caller holds its lock.
        manifest
            What to record about it.
        tables
            Its rows.

        Raises
        ------
        StoreError
            If the disk is full or does not let us write; nothing is left behind.
        """
        for name, frame in tables.items():
            _require_table(name, frame)
        contents = {
            f"{name}.parquet": files.to_parquet(pa.Table.from_pandas(frame, preserve_index=False))
            for name, frame in tables.items()
        }
        hashes = {name: files.digest(content) for name, content in contents.items()}
        names = {name: f"{name}.parquet" for name in tables}
        record = {**manifest, "key": key, "tables": names, "files": hashes}
        contents[MANIFEST] = files.seal(record)
        fresh = self._cells / f"{key}.new"
        with self._writing(), self._commit():
            fresh.mkdir()
            for name, content in contents.items():
                files.write(fresh / name, content)
            files.sync(fresh)
            self._drop(key)
            fresh.rename(self._cells / key)
            files.sync(self._cells)

    def require_manifest(self) -> None:
        """Refuse to add to results whose manifest cannot be read: it may name any file.

        Raises
        ------
        StoreError
            With what helps.
        """
        if self._read_folded().damaged:
            raise StoreError(
                f"{self.folder / MANIFEST} is damaged: bring it back (as by `git checkout`), or "
                "delete it to give up what it names."
            )

    def fold(self, keys: Collection[str] | None = None) -> None:
        """Merge finished cells into the files that are committed.

        Parameters
        ----------
        keys
            Which cells; all of them by default.

        Raises
        ------
        StoreError
            If the disk is full; the cells stay as they are.
        """
        if not self._cells.is_dir():
            return
        with self._writing(), self._commit():
            chosen = [key for key in self._loose() if keys is None or key in keys]
            loose = {key: cell for key in chosen if (cell := self._read_loose(key))}
            folded = self._read_folded()
            kept = {key: cell for key in folded.manifests if (cell := folded.cell(key))}
            if loose:
                self._write_folded(kept | loose)
            for key in loose:
                self._drop(key)

    def keep(self, keys: Collection[str]) -> None:
        """Forget every finished cell but these."""
        if not self.folder.is_dir():
            return
        with self._writing(), self._commit():
            folded = self._read_folded()
            kept = {key: cell for key in keys if (cell := folded.cell(key))}
            if len(kept) < len(folded.manifests):
                self._write_folded(kept)
            for key in set(self._loose()) - set(keys):
                self._drop(key)

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Hold a cell against other processes, until the process dies; yields whether we do."""
        with ExitStack() as stack:
            with self._writing():
                ours = stack.enter_context(files.lock(self._cells / f"{key}.lock", wait=False))
            yield ours

    @property
    def _cells(self) -> Path:
        return self.folder / ".cells"

    def _loose(self) -> list[str]:
        return [path.name for path in self._cells.iterdir() if _KEY.fullmatch(path.name)]

    def _read_loose(self, key: str) -> Cell | None:
        folder = self._cells / key
        version = files.version(folder / MANIFEST)
        try:
            manifest = files.read_sealed(folder / MANIFEST)
            tables = {
                table: files.read_table(folder / name, manifest["files"][name])
                for table, name in manifest["tables"].items()
            }
        except FileNotFoundError:
            return None
        except files.Damage as damage:
            if files.version(folder / MANIFEST) != version:  # replaced or folded as we read
                return self._read_loose(key)
            _report(str(damage))
            return None
        return Cell(manifest, tables)

    def _read_folded(self) -> _Folded:
        """Read the folded files, once for each version of the manifest."""
        path = self.folder / MANIFEST
        version = files.version(path)
        if version == self._folded.version:
            return self._folded
        tables, damage, damaged = {}, list[str](), False
        content: dict[str, Any] = {"files": {}, "cells": {}}
        try:
            content = files.read_sealed(path)
        except FileNotFoundError:
            pass
        except files.Damage as error:
            damage.append(str(error))
            damaged = True
        for name, expected in content["files"].items():
            try:
                tables[name] = files.read_table(self.folder / name, expected)
            except files.Damage as error:
                damage.append(str(error))
        if damage and files.version(path) != version:  # folded by another process as we read
            return self._read_folded()
        for sentence in damage:
            _report(sentence)
        whole = {
            key: manifest
            for key, manifest in content["cells"].items()
            if set(manifest["tables"].values()) <= set(tables)
        }
        self._folded = _Folded(version, whole, tables, damaged)
        return self._folded

    def _write_folded(self, cells: Mapping[str, Cell]) -> None:
        """Write the files of these cells, then the manifest; whatever it does not name goes."""
        self.require_manifest()
        contents, manifests = _gather(cells)
        hashes = {name: files.digest(content) for name, content in contents.items()}
        named = set(self._folded.tables)
        try:
            for name, content in contents.items():
                files.replace(self.folder / name, content)
            files.replace(self.folder / MANIFEST, files.seal({"files": hashes, "cells": manifests}))
            named = set(contents)
        finally:
            for path in list(self.folder.iterdir()):
                unnamed = _FOLDED_FILE.fullmatch(path.name) and path.name not in named
                if unnamed or path.suffix == ".new":
                    path.unlink()

    @contextmanager
    def _commit(self) -> Iterator[None]:
        """Be the only one who changes files here; what a kill or an error left goes."""
        with files.lock(self._cells / "commit.lock"):
            try:
                self._tidy()
                yield
            finally:
                self._tidy()

    def _tidy(self) -> None:
        for path in list(self._cells.iterdir()):
            if path.suffix in (".new", ".old"):
                shutil.rmtree(path)

    def _drop(self, key: str) -> None:
        """Remove a loose cell, in one step for those who read."""
        with suppress(FileNotFoundError):
            (self._cells / key).rename(self._cells / f"{key}.old")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the system refuses into one sentence."""
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else error.strerror or str(error)
            raise StoreError(
                f"results cannot be written to {self.folder}: {reason}; those finished before are "
                "kept, and the same command goes on from there."
            ) from error


def root() -> Path:
    """Return the folder of all results: HDNOTES_RESULTS, or `results/` in the project."""
    given = os.environ.get("HDNOTES_RESULTS")
    path = Path(given).absolute() if given else project() / "results"
    if given and path.exists() and not path.is_dir():
        raise ValueError(f"HDNOTES_RESULTS = {given} is not allowed; it must be a folder.")
    return path


def project() -> Path:
    """Return the project's folder: the checkout this package lies in, else the working folder."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def _report(sentence: str) -> None:
    warnings.warn(f"{sentence}; its results count as missing.", DamagedResult, stacklevel=2)


def _require_table(name: str, frame: Any) -> None:
    if not _TABLE_NAME.fullmatch(name) or not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"table {name!r} must be a pandas DataFrame under a name of small letters, digits and _"
        )
    if _KEY_COLUMN in frame.columns:
        raise ValueError(
            f"table {name!r} has a column {_KEY_COLUMN!r}, which the store uses itself"
        )


def _gather(cells: Mapping[str, Cell]) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """Put rows with the same columns into one file; return the files and the cells' manifests.

    Cells go in the order of their keys, so the same cells make the same files.
    """
    groups: dict[tuple[str, str], list[tuple[str, pa.Table]]] = {}
    for key in sorted(cells):
        for name, table in cells[key].tables.items():
            groups.setdefault((name, str(table.schema)), []).append((key, table))
    contents, places = {}, {key: dict[str, str]() for key in cells}
    for (name, _), members in groups.items():
        tables = [
            table.append_column(_KEY_COLUMN, pa.array([key] * len(table), pa.string()))
            for key, table in members
        ]
        content = files.to_parquet(pa.concat_tables(tables))
        file = f"{name}.{files.digest(content)[:8]}.parquet"
        contents[file] = content
        for key, _ in members:
            places[key][name] = file
    dropped = ("sha256", "files")
    manifests = {
        key: {k: v for k, v in cells[key].manifest.items() if k not in dropped}
        | {"tables": places[key]}
        for key in sorted(cells)
    }
    return contents, manifests


def _runs(column: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """Return where each value of a sorted column starts and how often it stands."""
    counts = column.value_counts().to_pylist() if len(column) else []
    runs, first = {}, 0
    for entry in sorted(counts, key=lambda entry: entry["values"]):
        runs[entry["values"]] = (first, entry["counts"])
        first += entry["counts"]
    return runs
