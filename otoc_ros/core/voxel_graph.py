"""The graph that super-voxels are cut from: touching voxels, and bridges over gaps.

Graphs are adjacency lists: the neighbours of node i are neighbour[start[i] : start[i + 1]].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxels import kernel_maps


def voxel_graph(
    coords: NDArray[np.int32], xyz: NDArray[np.float32], min_size: int, max_components: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Join every voxel to the up to 26 that touch it, and what is left apart to what is near.

    A cloud whose density falls with range, or that has outliers, breaks into many pieces. Pieces
    below `min_size` voxels, and all of them while they are more than `max_components`, are bridged
    to the nearest others, first over gaps of one voxel, then of 2, 4, 8, … until they are not.

    Args:
        coords: int32 [V, 3], 0 or more, unique, sorted by (x, y, z).
        xyz: float32 [V, 3], a position in each voxel, metres.

    Returns:
        start int64 [V + 1] and neighbour int32 [E]: symmetric adjacency lists.
    """
    levels = 1 + int(coords.max()).bit_length()
    maps = kernel_maps(coords, levels)
    bridges = np.empty((0, 2), np.int32)
    start, neighbour = _adjacency(maps[0].neighbours, bridges)
    cell: NDArray[np.int32] = np.arange(len(coords), dtype=np.int32)
    for level in range(1, levels):
        piece, count = _pieces(start, neighbour)
        if count == 1:
            break
        size = np.bincount(piece, minlength=count)
        apart = (size < min_size) if count <= max_components else np.ones(count, bool)
        if not apart.any():
            break
        parent = maps[level - 1].parent
        assert parent is not None  # only the last level has none
        cell = parent[cell]
        more = _bridges(cell, maps[level].neighbours, piece, apart, xyz)
        if len(more):
            bridges = np.concatenate([bridges, more])
            start, neighbour = _adjacency(maps[0].neighbours, bridges)
    return start, neighbour


@compiled
def _adjacency(table, bridges):  # type: ignore[no-untyped-def]
    count = len(table)
    start = np.zeros(count + 1, np.int64)
    for i in range(count):
        for k in range(27):
            if k != 13 and table[i, k] >= 0:
                start[i + 1] += 1
    for e in range(len(bridges)):
        start[bridges[e, 0] + 1] += 1
        start[bridges[e, 1] + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    neighbour = np.empty(start[count], np.int32)
    place = start[:-1].copy()
    for i in range(count):
        for k in range(27):
            if k != 13 and table[i, k] >= 0:
                neighbour[place[i]] = table[i, k]
                place[i] += 1
    for e in range(len(bridges)):
        a, b = bridges[e, 0], bridges[e, 1]
        neighbour[place[a]] = b
        neighbour[place[b]] = a
        place[a] += 1
        place[b] += 1
    return start, neighbour


@compiled
def _pieces(start, neighbour):  # type: ignore[no-untyped-def]
    """Connected component of every node, numbered by its first node, and how many there are."""
    count = len(start) - 1
    piece = np.full(count, -1, np.int32)
    stack = np.empty(count, np.int32)
    found = 0
    for seed in range(count):
        if piece[seed] >= 0:
            continue
        piece[seed] = found
        stack[0] = seed
        top = 1
        while top > 0:
            top -= 1
            i = stack[top]
            for e in range(start[i], start[i + 1]):
                j = neighbour[e]
                if piece[j] < 0:
                    piece[j] = found
                    stack[top] = j
                    top += 1
        found += 1
    return piece, found


@compiled
def _bridges(cell, table, piece, apart, xyz):  # type: ignore[no-untyped-def]
    """An edge from each voxel of a piece that is apart to the nearest first voxel of a cell.

    Args:
        cell: int32 [V], coarse cell of each voxel; table: int32 [cells, 27], their neighbours.
    """
    first = np.full(len(table), -1, np.int32)
    for v in range(len(cell)):
        if first[cell[v]] < 0:
            first[cell[v]] = v
    bridges = np.empty((len(cell), 2), np.int32)
    found = 0
    for v in range(len(cell)):
        if not apart[piece[v]]:
            continue
        nearest, least = -1, np.inf
        for k in range(27):
            if table[cell[v], k] < 0:
                continue
            other = first[table[cell[v], k]]
            if piece[other] == piece[v]:
                continue
            distance = 0.0
            for axis in range(3):
                distance += (xyz[v, axis] - xyz[other, axis]) ** 2
            if distance < least:
                nearest, least = other, distance
        if nearest >= 0:
            bridges[found, 0] = v
            bridges[found, 1] = nearest
            found += 1
    return bridges[:found].copy()
