"""Checkpoints inside a cell: a long run goes on from where it was killed.

The sweep opens a folder for the cell that it computes; every long run of the cell takes the next
file in it. A file is replaced whole, carries its own hash and holds tensors and plain values only;
one that is damaged is not read. The folder goes when the cell's result is in the store. Outside a
sweep there is no folder, and nothing is kept.
"""

import io
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hdnotes.store import files

_open: list["_Folder"] = []


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path, self.taken, self.begin = path, 0, time.perf_counter()
        clock = path / "seconds"
        self.earlier_s = float(clock.read_text()) if clock.is_file() else 0.0


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Keep the checkpoints of what runs here in ``folder``, and remove it when all went well."""
    _open.append(_Folder(folder))
    try:
        yield
    finally:
        _open.pop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def unkept() -> Iterator[None]:
    """Keep none of what runs here, whatever is kept around it: a trial run is no attempt."""
    around = _open[:]
    _open.clear()
    try:
        yield
    finally:
        _open[:] = around


def earlier_s() -> float:
    """Return the seconds that attempts before this one took, up to their last checkpoint."""
    return _open[-1].earlier_s if _open else 0.0


def slot() -> Path | None:
    """Return the file of the next long run, the same at every attempt; None outside a sweep."""
    if not _open:
        return None
    here = _open[-1]
    here.taken += 1
    return here.path / f"{here.taken}.pt"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a checkpoint by tensors and plain values, in one step."""
    content = io.BytesIO()
    torch.save(dict(state), content)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, files.digest(content.getvalue()).encode() + content.getvalue())
    for here in _open[-1:]:
        seconds = here.earlier_s + time.perf_counter() - here.begin
        files.replace(here.path / "seconds", str(seconds).encode())


def load(path: Path | None) -> dict[str, Any] | None:
    """Return a checkpoint; None if there is none, or it is not what was written."""
    if path is None or not path.is_file():
        return None
    content = path.read_bytes()
    if content[:64] != files.digest(content[64:]).encode():
        return None
    return torch.load(io.BytesIO(content[64:]), weights_only=True)
