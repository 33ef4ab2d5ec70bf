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
        crossings: int32 [K, 2], these pairs of voxels, that of the lower super-voxel first.
        crossed: int64 [K], row of the border that each of them lies across.
    """

    pairs: NDArray[np.int64]
    length: NDArray[np.float64]
    crossings: NDArray[np.int32]
    crossed: NDArray[np.int64]


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
    crossings = _crossings(first, other, supervoxel)
    one, two = supervoxel[crossings].astype(np.int64).T
    keys, crossed, length = np.unique(one * count + two, return_inverse=True, return_counts=True)
    pairs = np.column_stack(np.divmod(keys, count))
    return Borders(pairs, length.astype(np.float64), crossings, crossed)


@compiled
def _crossings(first, other, supervoxel):  # type: ignore[no-untyped-def]
    pairs = np.empty((len(other), 2), np.int32)
    found = 0
    for one in range(len(supervoxel)):
        for edge in range(first[one], first[one + 1]):
            two = other[edge]
            if supervoxel[one] != supervoxel[two]:
                swapped = supervoxel[one] > supervoxel[two]
                pairs[found, 0], pairs[found, 1] = (two, one) if swapped else (one, two)
                found += 1
    return pairs[:found]
