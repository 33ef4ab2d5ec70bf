"""The box outside which points are hidden, and cannot be clicked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
Box = tuple[Range, Range, Range]  # metres along x, y, z of the page's frame
EVERYWHERE: Box = ((-np.inf, np.inf), (-np.inf, np.inf), (-np.inf, np.inf))


def within(xyz: NDArray[np.float32], box: Box) -> NDArray[np.bool_]:
    """Which points lie in a box: bool [N]."""
    low, high = (np.array(side, np.float32) for side in zip(*box, strict=True))
    inside: NDArray[np.bool_] = np.all((xyz >= low) & (xyz <= high), axis=1)
    return inside
