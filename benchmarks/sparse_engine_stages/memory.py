"""What one forward pass adds to a process that has the network loaded."""

import ctypes
import multiprocessing
from pathlib import Path

import numpy as np

from sparse_engine_stages.engines import Case, forward_engines


def peak_memory(case: Case, engine: str, threads: int) -> float:
    """Megabytes of resident memory at their highest, above those before the pass."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (case, engine, threads))


def _growth(case: Case, engine: str, threads: int) -> float:
    run = forward_engines(case, threads)[engine]
    sheet = np.stack(np.meshgrid(np.arange(8), np.arange(8), [0], indexing="ij"), -1).reshape(-1, 3)
    small = Case("warm-up", sheet.astype(np.int32), case.unet, case.onnx)
    forward_engines(small, threads)[engine]()  # compiles; the libraries' own memory is taken
    ctypes.CDLL(None).malloc_trim(0)  # what compiling freed is no room for the pass
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    before = _resident("VmRSS")
    run()
    return round((_resident("VmHWM") - before) / 1024, 1)


def _resident(key: str) -> int:
    """Kilobytes, VmRSS now or VmHWM at the highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
