"""The graph that super-voxels are cut from: touching voxels, and bridges over gaps.

A graph lists each edge once, at its lower node: other[first[i] : first[i + 1]] are the higher
neighbours of node i.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxels import voxelize


def voxel_graph(
    coords: NDArray[np.int32], xyz: NDArray[np.float32], min_size: int, max_pieces: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Join every voxel to the up to 26 that touch it, and what is left apart to what is near.

    A cloud whose density falls with range, or that has outliers, breaks into many pieces. Pieces
    below `min_size` voxels, and all of them while they are more than `max_pieces`, are bridged to
    the nearest others: first over gaps of one voxel, then of 2, 4, 8, … until all is joined.

    Args:
        coords: int32 [V, 3], 0 or more, unique, sorted by (x, y, z).
        xyz: float32 [V, 3], a position in each voxel, metres.

    Returns:
        first int32 [V + 1] and other int32 [E].
    """
    first, other = _touching(coords)
    piece, size = _pieces(first, other)
    bridges = []
    cells: NDArray[np.int32] = coords
    cell: NDArray[np.int32] = np.arange(len(coords), dtype=np.int32)
    while len(size) > 1 and len(cells) > 1:
        apart = (size < min_size) | (len(size) > max_pieces)
        if not apart.any():
            break
        coarser = voxelize(cells, 2.0)
        cells, cell = coarser.coords, coarser.voxel_of_point[cell]
        found = _bridges(cells, cell, piece, apart, xyz)
        if len(found):
            bridges.append(found)
            piece, size = _bridged_pieces(piece, size, found)
    return _with(first, other, np.concatenate(bridges)) if bridges else (first, other)


@compiled
def _keys(coords):  # type: ignore[no-untyped-def]
    """One number a voxel, in the order of the voxels; z lies in the lowest bits."""
    key = np.empty(len(coords), np.int64)
    for i in range(len(coords)):
        x, y, z = np.int64(coords[i, 0]), np.int64(coords[i, 1]), np.int64(coords[i, 2])
        key[i] = ((x + 1) << 42) + ((y + 1) << 21) + z + 1
    return key


@compiled
def _touching(coords):  # type: ignore[no-untyped-def]
    # Sorted keys stay sorted when all are shifted by one (dx, dy), so one pointer a shift walks
    # along; the three dz of a column lie next to each other.
    count = len(coords)
    key = _keys(coords)
    shifts = np.array([1 << 21, (1 << 42) - (1 << 21), 1 << 42, (1 << 42) + (1 << 21)])
    there = np.zeros(4, np.int64)
    first = np.zeros(count + 1, np.int32)
    other = np.empty(6 * count + 13, np.int32)
    found = 0
    for i in range(count):
        if found + 13 > len(other):
            longer = np.empty(2 * len(other), np.int32)
            longer[:found] = other[:found]
            other = longer
        if i + 1 < count and key[i + 1] == key[i] + 1:
            other[found] = i + 1
            found += 1
        for s in range(4):
            below = key[i] + shifts[s] - 1
            j = there[s]
            while j < count and key[j] < below:
                j += 1
            there[s] = j
            while j < count and key[j] <= below + 2:
                other[found] = j
                found += 1
                j += 1
        first[i + 1] = found
    return first, other[:found]


@compiled
def _pieces(first, other):  # type: ignore[no-untyped-def]
    """Connected component of every node, numbered by its first node, and how many nodes it has."""
    count = len(first) - 1
    parent = np.arange(count).astype(np.int32)
    for i in range(count):
        for e in range(first[i], first[i + 1]):
            _unite(parent, i, other[e])
    return _numbered_with_sizes(parent, np.ones(count, np.int64))


@compiled
def _bridged_pieces(piece, size, bridges):  # type: ignore[no-untyped-def]
    parent = np.arange(len(size)).astype(np.int32)
    for e in range(len(bridges)):
        _unite(parent, piece[bridges[e, 0]], piece[bridges[e, 1]])
    number, united = _numbered_with_sizes(parent, size)
    return number[piece], united


@compiled
def _unite(parent, a, b):  # type: ignore[no-untyped-def]
    # The lower root wins: parents always come before their children.
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    while parent[b] != b:
        parent[b] = parent[parent[b]]
        b = parent[b]
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@compiled
def _numbered_with_sizes(parent, weight):  # type: ignore[no-untyped-def]
    number = np.empty(len(parent), np.int32)
    size = np.zeros(len(parent), np.int64)
    found = 0
    for i in range(len(parent)):
        if parent[i] == i:
            number[i] = found
            found += 1
        else:
            number[i] = number[parent[i]]
        size[number[i]] += weight[i]
    return number, size[:found].copy()


@compiled
def _bridges(cells, cell, piece, apart, xyz):  # type: ignore[no-untyped-def]
    """An edge from each voxel that is apart to the nearest first voxel of a cell around it.

    Args:
        cells: int32 [C, 3], coarse cells, sorted; cell: int32 [V], that of each voxel.
        piece: int32 [V]; apart: bool [pieces].
    """
    count = len(cells)
    key = _keys(cells)
    first = np.full(count, -1, np.int32)
    start = np.zeros(count + 1, np.int32)
    for v in range(len(cell)):
        if first[cell[v]] < 0:
            first[cell[v]] = v
        if apart[piece[v]]:
            start[cell[v] + 1] += 1
    for c in range(count):
        start[c + 1] += start[c]
    lone = np.empty(start[count], np.int32)  # the voxels that are apart, by cell
    place = start[:-1].copy()
    for v in range(len(cell)):
        if apart[piece[v]]:
            lone[place[cell[v]]] = v
            place[cell[v]] += 1
    there = np.zeros(9, np.int64)
    near, piece_near = np.empty(27, np.int32), np.empty(27, np.int32)
    bridges = np.empty((len(lone), 2), np.int32)
    found = 0
    for c in range(count):
        if start[c] == start[c + 1]:
            continue
        around = 0
        for s in range(9):
            below = key[c] + ((s // 3 - 1) << 42) + ((s % 3 - 1) << 21) - 1
            j = there[s]
            while j < count and key[j] < below:
                j += 1
            there[s] = j
            while j < count and key[j] <= below + 2:
                near[around], piece_near[around] = first[j], piece[first[j]]
                around += 1
                j += 1
        for p in range(start[c], start[c + 1]):
            v, nearest, least = lone[p], np.int32(-1), np.float32(np.inf)
            own = piece[v]
            for k in range(around):
                if piece_near[k] != own:
                    distance = _squared_distance(xyz, v, near[k])
                    if distance < least:
                        nearest, least = near[k], distance
            if nearest >= 0:
                bridges[found, 0] = min(v, nearest)
                bridges[found, 1] = max(v, nearest)
                found += 1
    return bridges[:found].copy()


@compiled
def _squared_distance(xyz, a, b):  # type: ignore[no-untyped-def]
    x, y, z = xyz[a, 0] - xyz[b, 0], xyz[a, 1] - xyz[b, 1], xyz[a, 2] - xyz[b, 2]
    return x * x + y * y + z * z


@compiled
def _with(first, other, bridges):  # type: ignore[no-untyped-def]
    count = len(first) - 1
    added = np.zeros(count + 1, np.int32)
    for e in range(len(bridges)):
        added[bridges[e, 0] + 1] += 1
    for i in range(count):
        added[i + 1] += added[i]
    start = first + added
    joined = np.empty(start[count], np.int32)
    place = np.empty(count, np.int32)
    for i in range(count):
        here = start[i]
        for e in range(first[i], first[i + 1]):
            joined[here] = other[e]
            here += 1
        place[i] = here
    for e in range(len(bridges)):
        joined[place[bridges[e, 0]]] = bridges[e, 1]
        place[bridges[e, 0]] += 1
    return start, joined
