"""Files that are whole, checked, or not read, and locks: the ground the store stands on.

A table is a Parquet file whose SHA-256 stands in a manifest; a manifest is JSON that carries the
SHA-256 of all else it says. What does not match is `Damage`. Nothing is pickled.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class Damage(Exception):
    """One sentence on a file that is not what was written."""


def to_parquet(table: pa.Table) -> bytes:
    """Return the content of a table's file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def read_table(path: Path, expected: str) -> pa.Table:
    """Read a Parquet file whose content is what it should be."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise Damage(f"{path} is missing") from error
    if digest(content) != expected:
        raise Damage(f"{path} is damaged")
    return pq.read_table(pa.BufferReader(content), use_threads=False)


def seal(content: Mapping[str, Any]) -> bytes:
    """Write a manifest with the hash of all it says."""
    sealed = {**content, "sha256": digest(canonical(content).encode())}
    return (json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a manifest that says what was written."""
    try:
        content = json.loads(path.read_bytes())
        intact = content.pop("sha256") == digest(canonical(content).encode())
    except (ValueError, KeyError, AttributeError, TypeError):
        intact = False
    if not intact:
        raise Damage(f"{path} is damaged")
    return content


def canonical(content: Any) -> str:
    """Write JSON in the one way that a hash can rest on.

    Examples
    --------
    >>> canonical({"b": 1, "a": [0.5, "x"]})
    '{"a":[0.5,"x"],"b":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a file through to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Put a whole file in the place of another."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        write(fresh, content)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make renames in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def version(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced; `None` if there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file, at most until the process dies; yields whether we do, always if we wait.

    Who lets go of a lock removes its file, so whoever waited on that file must open the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = False
    while not held:
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                break
            with suppress(FileNotFoundError):
                held = os.path.samestat(path.stat(), os.fstat(handle.fileno()))
            if held:
                try:
                    yield True
                finally:
                    path.unlink(missing_ok=True)
    if not held:
        yield False
