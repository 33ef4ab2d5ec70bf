"""How much memory a piece of work adds at its highest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def added_megabytes(run: Callable[[], object]) -> float:
    """Resident memory at the highest while `run` runs, less what there was before (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    before = _kilobytes("VmRSS")
    run()
    return (_kilobytes("VmHWM") - before) / 1024


def peak_megabytes() -> float:
    """The most resident memory that this process has had; what getrusage tells is inherited from
    the parent (Linux)."""
    return _kilobytes("VmHWM") / 1024


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
