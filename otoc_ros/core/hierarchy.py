"""Super-voxels from fine to coarse: the order in which they would fuse, down to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.fusion import fusions
from otoc_ros.core.supervoxels import describe
from otoc_ros.core.voxel_graph import voxel_graph


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree over M super-voxels.

    Attributes:
        count: M, the finest level.
        fusions: int32 [M - 1, 2]: the k-th pair that becomes one, named by its first. Coarser
            levels are unions of finer ones.
    """

    count: int
    fusions: NDArray[np.int32]

    def level(self, count: int) -> NDArray[np.int32]:
        """Group of each super-voxel where `count` groups are left.

        Args:
            count: 1 to M; clipped to that.

        Returns:
            int32 [M], 0 to count - 1 in the order of their first super-voxel.
        """
        done = int(np.clip(self.count - count, 0, len(self.fusions)))
        return _grouped(self.count, self.fusions[:done])  # type: ignore[no-any-return]


def hierarchy(
    coords: NDArray[np.int32],
    xyz: NDArray[Any],
    rgb: NDArray[Any] | None,
    normal: NDArray[Any],
    ids: NDArray[np.int32],
    *,
    voxel_size: float,
) -> Hierarchy:
    """The tree over super-voxels, by the energy that `supervoxels` cuts by.

    Args:
        coords, xyz, rgb, normal, voxel_size: as `supervoxels` takes them.
        ids: int32 [V], the finest level, as `supervoxels` returns it.
    """
    count = int(ids.max()) + 1
    feature = describe(xyz, rgb, normal, voxel_size)
    first, other = voxel_graph(coords, feature[:, :3], len(coords), 0)  # bridged into one piece
    return Hierarchy(count, fusions(feature, first, other, ids, count))


@compiled
def _grouped(count, pairs):  # type: ignore[no-untyped-def]
    parent = np.arange(count).astype(np.int32)
    for k in range(len(pairs)):
        parent[pairs[k, 1]] = pairs[k, 0]
    number = np.full(count, -1, np.int32)
    group = np.empty(count, np.int32)
    found = 0
    for i in range(count):
        root = i
        while parent[root] != root:
            root = parent[root]
        if number[root] < 0:
            number[root] = found
            found += 1
        group[i] = number[root]
    return group
