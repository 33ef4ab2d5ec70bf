"""A large cloud as tiles that a network sees one after the other, with what lies around them.

The whole U-Net keeps some kilobytes a voxel, everything else some hundred bytes: so the network
alone runs in tiles, and super-voxels, the graph and objects are those of the whole cloud. The rows
of a tile keep their coordinates, so that the coarse voxels of all tiles are the whole cloud's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_VOXELS = 250_000  # of a tile; every room at 5 cm is one
HALO = 4  # voxels of the coarsest level around a tile


class Tile(NamedTuple):
    """Rows int64 [T] of a cloud's voxels, ascending; core bool [T]: those the tile decides."""

    rows: NDArray[np.int64]
    core: NDArray[np.bool_]


def tiles(coords: NDArray[np.int32], levels: int) -> Iterator[Tile]:
    """Cut voxels into tiles for a network of some levels; see `cut`."""
    return cut(coords, MOST_VOXELS, HALO << (levels - 1))


def cut(coords: NDArray[np.int32], most: int, halo: int) -> Iterator[Tile]:
    """Cut voxels into tiles whose cores hold each of them once.

    Args:
        coords: int32 [V, 3], sorted by (x, y, z), V ≥ 1.
        most: voxels of a core.
        halo: voxels around a core along each axis that the tile sees.

    Yields:
        one tile of everything where there are at most `most`.
    """
    if len(coords) <= most:
        yield Tile(np.arange(len(coords)), np.ones(len(coords), bool))
        return
    waiting = [np.arange(len(coords))]
    while waiting:
        core = waiting.pop()
        own = coords[core]
        low, high = own.min(0), own.max(0)
        if len(core) > most:
            axis = int(np.argmax(high - low))
            below = own[:, axis] < max(int(np.median(own[:, axis])), int(low[axis]) + 1)
            waiting += [core[~below], core[below]]
            continue
        near = np.ones(len(coords), bool)
        for axis in range(3):
            near &= coords[:, axis] >= low[axis] - halo
            near &= coords[:, axis] <= high[axis] + halo
        rows = np.flatnonzero(near)
        mine = np.zeros(len(rows), bool)
        mine[np.searchsorted(rows, core)] = True
        yield Tile(rows, mine)
