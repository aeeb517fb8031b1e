"""Memory: how much is free before computing, and how much a piece of computing held at its peak."""

import os
from contextlib import suppress
from pathlib import Path

# (limit, usage) of a control group, in version 2 and in version 1.
_FILES = [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]


def free(device: str = "cpu") -> int:
    """Return the bytes that can still be allocated, a container's limit included."""
    if device == "cuda":
        import torch

        held = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + held  # what torch keeps for its next tensors
    available = [
        int(line.split()[1]) << 10
        for line in _lines("/proc/meminfo")
        if line.startswith("MemAvailable")
    ] or [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return min(available + _rooms())


def forget_peak(device: str) -> None:
    """Start `hdnotes.devices.peak_memory_bytes` anew, where the system lets us."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):  # not Linux, or not allowed: the peak stays that of the process
        Path("/proc/self/clear_refs").write_text("5")


def _rooms(root: Path = Path("/sys/fs/cgroup"), table: str = "/proc/self/cgroup") -> list[int]:
    """List the bytes left under each control group's limit that binds this process."""
    own = [line.split(":", 2)[1:] for line in _lines(table)]
    bases = [(root / kind, path.strip("/")) for kind, path in own if kind in ("", "memory")]
    folders = {
        folder
        for base, path in bases
        for folder in (base / path, *(base / path).parents)
        if folder.is_relative_to(base)
    }
    rooms = [_room(folder, *files) for folder in folders for files in _FILES]
    return [room for room in rooms if room is not None]


def _room(folder: Path, limit: str, usage: str) -> int | None:
    """Return what a limit leaves, files that may leave the cache aside; None if there is none."""
    try:
        stat = dict(line.split() for line in _lines(folder / "memory.stat"))
        used = int((folder / usage).read_text()) - int(stat.get("inactive_file", 0))
        return max(int((folder / limit).read_text()) - used, 0)
    except (OSError, ValueError):  # no such group, or its limit reads "max"
        return None


def _lines(path: str | Path) -> list[str]:
    return Path(path).read_text().splitlines() if os.path.exists(path) else []
