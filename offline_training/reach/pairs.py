"""What tells whether one object has both of two super-voxels that touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.border_look import BORDER_FEATURES, describe_borders, sorted_of_pairs
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared

F32 = NDArray[np.float32]

BEHIND = slice(10, 12)  # columns that only a scan with known sensors and time to spare has
PAIR_FEATURES = BORDER_FEATURES + 2


def describe_pairs(prepared: Prepared, look: Look, behind: F32) -> F32:
    """Features of the E pairs in `prepared.borders`: float32 [E, PAIR_FEATURES], those of
    `describe_borders` and in columns BEHIND what lies behind both.

    Args:
        look: of the super-voxels; behind: float32 [M], from `surfaces_behind`.
    """
    seen = describe_borders(prepared, look)
    columns = np.column_stack(sorted_of_pairs(behind, *prepared.borders.pairs.T))
    return np.insert(seen, [BEHIND.start] * 2, columns, axis=1)
