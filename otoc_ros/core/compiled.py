"""One way to compile the loops that NumPy has no word for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with Numba: cached on disk, without the GIL, single-threaded and deterministic.

    Numba refuses to cache when neither the installation nor the user's cache folder can be
    written (a robot with a read-only root, say): then it compiles afresh in every process.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)
