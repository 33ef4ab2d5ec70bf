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


def find_crossings(
    coords: NDArray[np.int32], xyz: NDArray[np.float32], supervoxel: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The pairs of touching voxels of two super-voxels: int32 [K, 2], that of the lower one first.

    Args:
        coords: int32 [V, 3], sorted, of a grid; xyz: float32 [V, 3], a position in each voxel.
        supervoxel: int32 [V].
    """
    # One piece for each voxel is allowed: nothing is bridged, only what touches is joined.
    first, other = voxel_graph(coords, xyz, 1, len(xyz))
    return _crossings(first, other, supervoxel)  # type: ignore[no-any-return]


def find_borders(
    crossings: NDArray[np.int32], supervoxel: NDArray[np.int32], count: int
) -> Borders:
    """The borders of the super-voxels of V voxels.

    Args:
        crossings: from `find_crossings`; supervoxel: int32 [V] in 0..count - 1.
    """
    key = crossing_keys(crossings, supervoxel, count)
    keys, length = np.unique(key, return_counts=True)
    return Borders(np.column_stack(np.divmod(keys, count)), length.astype(np.float64))


def crossing_keys(
    crossings: NDArray[np.int32], supervoxel: NDArray[np.int32], count: int
) -> NDArray[np.int64]:
    """One number for the border that each crossing lies at: int64 [K], in the order of borders."""
    one, two = supervoxel[crossings].astype(np.int64).T
    key: NDArray[np.int64] = one * count + two
    return key


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
