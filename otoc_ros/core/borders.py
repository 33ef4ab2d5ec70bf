"""Where super-voxels touch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxel_graph import voxel_graph


class Borders(NamedTuple):
    """Pairs of super-voxels that touch.

    Attributes:
        pairs: int64 [E, 2], the lower one first, in ascending order.
        length: float64 [E], how many pairs of touching voxels lie across the border.
    """

    pairs: NDArray[np.int64]
    length: NDArray[np.float64]


def find_borders(
    coords: NDArray[np.int32], xyz: NDArray[np.float32], supervoxel: NDArray[np.int32], count: int
) -> Borders:
    """The borders of the super-voxels of V voxels.

    Args:
        coords: int32 [V, 3], sorted, of a grid; xyz: float32 [V, 3], a position in each voxel.
        supervoxel: int32 [V] in 0..count - 1.
    """
    # One piece for each voxel is allowed: nothing is bridged, only what touches is joined.
    first, other = voxel_graph(coords, xyz, 1, len(xyz))
    keys, length = np.unique(_crossings(first, other, supervoxel, count), return_counts=True)
    return Borders(np.column_stack(np.divmod(keys, count)), length.astype(np.float64))


@compiled
def _crossings(first, other, supervoxel, count):  # type: ignore[no-untyped-def]
    """Key (lower · count + higher) of the super-voxels of each edge that crosses a border."""
    keys = np.empty(len(other), np.int64)
    found = 0
    for v in range(len(supervoxel)):
        for e in range(first[v], first[v + 1]):
            one, two = np.int64(supervoxel[v]), np.int64(supervoxel[other[e]])
            if one != two:
                keys[found] = min(one, two) * count + max(one, two)
                found += 1
    return keys[:found]
