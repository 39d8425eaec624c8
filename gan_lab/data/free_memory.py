"""How much memory a process may still allocate, on a device or on the host."""

import contextlib
import os
from pathlib import Path

import torch


def free_bytes(device: torch.device) -> int | None:
    """Return what a process may still allocate on a device; None where the system does not say."""
    if device.type == "cuda":
        cache = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cache
    limits = [limit for limit in (_available_memory(), _cgroup_memory()) if limit is not None]
    return min(limits, default=None)


def _available_memory(file: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = file.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(kilobytes)
    except (OSError, StopIteration):
        sysconf, names = getattr(os, "sysconf", None), getattr(os, "sysconf_names", {})
        if sysconf is None or "SC_PHYS_PAGES" not in names:  # Windows
            return None
        return int(sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE"))


def _cgroup_memory(
    root: Path = Path("/sys/fs/cgroup"), process: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return what the control group (version 2 or 1) may still take; its file cache is free."""
    own = Path()
    with contextlib.suppress(OSError, StopIteration, ValueError):
        groups = [line.split(":", 2) for line in process.read_text().splitlines()]
        own = Path(next(path for _, kind, path in groups if kind in ("", "memory")).lstrip("/"))
    limits = []
    tops = [top / folder for top in (root, root / "memory") for folder in (own, *own.parents)]
    for folder in tops:
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            try:
                limit = (folder / limit).read_text().strip()
                usage_bytes = int((folder / usage).read_text())
                rows = (folder / "memory.stat").read_text().splitlines()
            except (OSError, ValueError):
                continue
            if limit != "max":
                cache_bytes = sum(int(r.split()[1]) for r in rows if r.split()[0] == cache)
                limits.append(max(0, int(limit) - usage_bytes + cache_bytes))
    return min(limits, default=None)
