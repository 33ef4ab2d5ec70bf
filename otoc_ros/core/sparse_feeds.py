"""What an exported sparse network wants beside its features: kernel maps as index tensors.

The fine levels are bucketed into groups of voxels by which of their 27 neighbours exist, so that
only those offsets are gathered and multiplied. A level's rows are reordered until groups are
contiguous; an exported convolution then is, for each group, Gather → Reshape → Gemm, and one
concatenation. Index -1 means the last row of a feature tensor, which every layer keeps at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxels import Int32, Level, kernel_maps

GROUPS = (8, 8, 8, 4)
SAMPLE = 256


def groups_of_level(level: int) -> int:
    """How many groups a level has: 8 where most voxels are, 1 where few are left."""
    return GROUPS[level] if level < len(GROUPS) else 1


def sparse_feeds(coords: NDArray[Any], levels: int) -> dict[str, Int32]:
    """Inputs of an exported network for one cloud or a batch of clouds, `features` aside.

    Args:
        coords: int [V, 3] or [V, 4], sorted and unique; limits as for `kernel_maps`.
        levels: resolutions of the network.

    Returns:
        int32 arrays by input name. V_l' are the voxels of level l and one row for each empty group.
            order [V_0' + 1]: row of `features` for each row of level 0, -1 for zeros.
            place [V]: row of level 0 for each voxel, to bring results back into grid order.
            level{l}.group{g}.rows [n, K]: rows of level l that feed each row of the group.
            level{l}.group{g}.offsets [K]: which of the 27 offsets those columns are; not given
                where a level is one group of all 27.
            level{l}.down [V_(l+1)', 8]: rows of level l that feed each row of the next level.
            level{l}.up [V_l']: parent row in the next level · 8 + place inside the parent.

    Raises:
        InputError: as `kernel_maps`.
    """
    tables = kernel_maps(coords, levels)
    layouts = [_layout(table, groups_of_level(number)) for number, table in enumerate(tables)]
    order = np.append(layouts[0].order, np.int32(-1))
    feeds = {"order": order, "place": layouts[0].place}
    for number, (table, layout) in enumerate(zip(tables, layouts, strict=True)):
        for group, (begin, end, offsets) in enumerate(layout.groups):
            name = f"level{number}.group{group}"
            rows = layout.order[begin:end]
            feeds[f"{name}.rows"] = _rows(table.neighbours, rows, offsets, layout.place)
            if len(layout.groups) > 1:
                feeds[f"{name}.offsets"] = offsets
        if table.parent is not None:
            coarser = layouts[number + 1]
            feeds[f"level{number}.down"], feeds[f"level{number}.up"] = _between(
                table.parent, table.child, layout.order, layout.place, coarser.place, coarser.rows
            )
    return feeds


@dataclass(frozen=True, eq=False)
class _Layout:
    order: Int32  # [V'] voxel of each row, -1 for the one row of an empty group
    place: Int32  # [V] row of each voxel
    groups: list[tuple[int, int, Int32]]  # first row, end row, offsets

    @property
    def rows(self) -> int:
        return len(self.order)


def _layout(level: Level, count: int) -> _Layout:
    if count == 1:
        every = np.arange(len(level), dtype=np.int32)
        return _Layout(every, every, [(0, len(every), np.arange(27, dtype=np.int32))])
    masks = _masks(level.neighbours)
    sample = masks[:: -(-len(masks) // SAMPLE)]
    sets = np.append(_merge_masks(sample, count - 1), np.bitwise_or.reduce(masks))
    order, place, starts = _assign(masks, sets)
    groups = []
    for group, mask in enumerate(sets):
        begin, end = int(starts[group]), int(starts[group + 1])
        offsets = np.flatnonzero((mask >> np.arange(27)) & 1).astype(np.int32)
        groups.append((begin, end, offsets))
    return _Layout(order, place, groups)


@compiled
def _masks(neighbours):  # type: ignore[no-untyped-def]
    masks = np.zeros(len(neighbours), np.int64)
    for i in range(len(neighbours)):
        for k in range(27):
            masks[i] |= np.int64(neighbours[i, k] >= 0) << k
    return masks


@compiled
def _bits(mask):  # type: ignore[no-untyped-def]
    mask = mask - ((mask >> 1) & 0x55555555)
    mask = (mask & 0x33333333) + ((mask >> 2) & 0x33333333)
    mask = (mask + (mask >> 4)) & 0x0F0F0F0F
    return ((mask * 0x01010101) >> 24) & 63


@compiled
def _merge_masks(sample, count):  # type: ignore[no-untyped-def]
    # Bottom-up: every sampled voxel is a set; merge the two whose union adds the fewest gathered
    # rows until `count` are left. `nearest` keeps the best partner of each set among those before.
    sets, voxels = sample.copy(), np.ones(len(sample), np.int64)
    alive = np.ones(len(sample), np.bool_)
    nearest = np.full(len(sample), -1)
    added = np.full(len(sample), np.iinfo(np.int64).max)
    for i in range(len(sample)):
        nearest[i], added[i] = _nearest(sets, voxels, alive, i)
    for _ in range(len(sample) - count):
        gone = np.argmin(added)
        kept = nearest[gone]
        sets[kept] |= sets[gone]
        voxels[kept] += voxels[gone]
        alive[gone] = False
        added[gone] = np.iinfo(np.int64).max
        nearest[kept], added[kept] = _nearest(sets, voxels, alive, kept)
        for i in range(kept + 1, len(sample)):
            if alive[i]:
                if nearest[i] == kept or nearest[i] == gone:
                    nearest[i], added[i] = _nearest(sets, voxels, alive, i)
                else:
                    cost = _cost_of_merging(sets, voxels, i, kept)
                    if cost < added[i]:
                        nearest[i], added[i] = kept, cost
    result = np.full(count, 1 << 13, np.int64)  # clouds of few voxels leave sets that hold none
    found = np.flatnonzero(alive)
    for i in range(len(found)):
        result[i] = sets[found[i]]
    return result


@compiled
def _nearest(sets, voxels, alive, i):  # type: ignore[no-untyped-def]
    best, least = -1, np.iinfo(np.int64).max
    for j in range(i):
        if alive[j]:
            cost = _cost_of_merging(sets, voxels, i, j)
            if cost < least:
                best, least = j, cost
    return best, least


@compiled
def _cost_of_merging(sets, voxels, i, j):  # type: ignore[no-untyped-def]
    union = _bits(sets[i] | sets[j])
    return voxels[i] * (union - _bits(sets[i])) + voxels[j] * (union - _bits(sets[j]))


@compiled
def _assign(masks, sets):  # type: ignore[no-untyped-def]
    sizes = np.array([_bits(mask) for mask in sets])
    chosen = np.empty(len(masks), np.int64)
    starts = np.zeros(len(sets) + 1, np.int64)
    for i in range(len(masks)):
        best = len(sets) - 1  # the union of all masks
        for group in range(len(sets) - 1):
            if masks[i] & ~sets[group] == 0 and sizes[group] < sizes[best]:
                best = group
        chosen[i] = best
        starts[best + 1] += 1
    for group in range(len(sets)):
        starts[group + 1] = starts[group] + max(starts[group + 1], 1)
    order = np.full(starts[-1], -1, np.int32)
    place = np.empty(len(masks), np.int32)
    free = starts[:-1].copy()
    for i in range(len(masks)):
        place[i] = free[chosen[i]]
        order[place[i]] = i
        free[chosen[i]] += 1
    return order, place, starts


@compiled
def _rows(neighbours, voxels, offsets, place):  # type: ignore[no-untyped-def]
    rows = np.empty((len(voxels), len(offsets)), np.int32)
    for i in range(len(voxels)):
        if voxels[i] < 0:
            rows[i] = -1
            continue
        of_voxel = neighbours[voxels[i]]
        for column in range(len(offsets)):
            neighbour = of_voxel[offsets[column]]
            rows[i, column] = place[neighbour] if neighbour >= 0 else -1
    return rows


@compiled
def _between(parent, child, order, place, coarser_place, coarser_rows):  # type: ignore[no-untyped-def]
    down = np.full((coarser_rows, 8), -1, np.int32)
    up = np.zeros(len(order), np.int32)
    for i in range(len(parent)):
        row = coarser_place[parent[i]]
        down[row, child[i]] = place[i]
        up[place[i]] = row * 8 + child[i]
    return down, up
