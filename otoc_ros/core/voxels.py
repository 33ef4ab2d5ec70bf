"""Voxel grids, and the neighbour tables that every sparse convolution of a network shares.

A voxel's integer coordinates (batch, x, y, z) are packed into one int64 key: 9 bits of batch and 18
bits an axis, each coordinate raised by one so that a neighbour's key never borrows from the next
field. Limits: a batch of 512 clouds, coordinates 0..262 141 (5.2 km at 2 cm), 2³¹ - 1 voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError

AXIS_BITS = 18
HALF_AXIS = AXIS_BITS // 2
MAX_COORDINATE = 2**AXIS_BITS - 3
MAX_BATCH = 2**9

Int32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """The occupied voxels of one cloud of N points.

    Attributes:
        coords: int32 [V, 3], 0 or more, unique, sorted by (x, y, z).
        voxel_of_point: int32 [N], row of `coords`.
        points_per_voxel: int32 [V], 1 or more.
        voxel_size: edge length, metres.
        origin: float64 [3], metres: the corner of voxel (0, 0, 0).
    """

    coords: Int32
    voxel_of_point: Int32
    points_per_voxel: Int32
    voxel_size: float
    origin: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of a batch of clouds; the next level has voxels of twice the edge.

    Attributes:
        coords: int32 [V, 4] (batch, x, y, z), unique and sorted.
        neighbours: int32 [V, 27], row of the voxel at (x + dx, y + dy, z + dz), -1 where there is
            none; column (dx + 1) * 9 + (dy + 1) * 3 + (dz + 1), so that 13 is the voxel itself and
            26 - k the opposite of k.
        parent: int32 [V], row in the next level; None on the last level.
        child: int32 [V], place inside the parent, (x & 1) * 4 + (y & 1) * 2 + (z & 1); None on the
            last level.
    """

    coords: Int32
    neighbours: Int32
    parent: Int32 | None
    child: Int32 | None

    def __len__(self) -> int:
        return len(self.coords)


def voxelize(xyz: NDArray[Any], voxel_size: float) -> VoxelGrid:
    """Sort points into voxels.

    The grid begins at the smallest coordinate of the cloud, so a shift of the cloud changes nothing
    but `origin` (as far as the shifted coordinates can be represented).

    Args:
        xyz: float [N, 3], N ≥ 1, finite, metres.
        voxel_size: edge length, metres, above 0.

    Raises:
        InputError: no points, points that are not finite, a voxel size that is not positive, or a
            cloud of more than 262 142 voxels along an axis.
    """
    points = np.asarray(xyz)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise InputError(
            f"xyz has shape {points.shape}; give an [N, 3] array of at least one point"
        )
    if not (np.isfinite(voxel_size) and voxel_size > 0):
        raise InputError(f"voxel_size is {voxel_size}; give an edge length in metres above 0")
    origin, extent = _bounds(points)
    if not np.isfinite(extent).all():
        raise InputError("xyz holds NaN or infinite points; drop them before voxelizing")
    if extent.max() / voxel_size > MAX_COORDINATE:
        raise InputError(
            f"the cloud spans {extent.max():.6g} m, more than {MAX_COORDINATE + 1} voxels of "
            f"{voxel_size:.6g} m; use larger voxels or crop the cloud"
        )
    keys = _cell_keys(points, origin, voxel_size)
    first, voxel_of_point = _unique(keys)
    return VoxelGrid(
        coords=_unpacked(keys[first]),
        voxel_of_point=voxel_of_point,
        points_per_voxel=np.bincount(voxel_of_point, minlength=len(first)).astype(np.int32),
        voxel_size=float(voxel_size),
        origin=origin,
    )


def mean_per_voxel(values: NDArray[Any], grid: VoxelGrid) -> NDArray[np.float32]:
    """Mean of the values of each voxel's points.

    Args:
        values: number [N, C], one row a point of the grid's cloud.

    Returns:
        float32 [V, C]; summed in float64.
    """
    rows = np.asarray(values)
    if rows.ndim != 2 or len(rows) != len(grid.voxel_of_point):
        raise InputError(
            f"values have shape {rows.shape}; give [{len(grid.voxel_of_point)}, C], one row a point"
        )
    return _mean(rows, grid.voxel_of_point, grid.points_per_voxel)  # type: ignore[no-any-return]


def kernel_maps(coords: NDArray[Any], levels: int) -> tuple[Level, ...]:
    """The neighbour tables of a network of some levels.

    Args:
        coords: int [V, 3] of one cloud, or [V, 4] with the batch index first; V ≥ 1, unique and
            sorted by their columns, as `voxelize` returns them.
        levels: how many resolutions, 1 or more; each halves the coordinates of the one before.

    Raises:
        InputError: no voxels, not sorted or not unique, or beyond the limits named above.
    """
    rows = np.asarray(coords)
    if rows.ndim != 2 or rows.shape[1] not in (3, 4) or len(rows) == 0:
        raise InputError(f"coords have shape {rows.shape}; give [V, 3] or [V, 4] with V ≥ 1")
    if levels < 1:
        raise InputError(f"levels is {levels}; give 1 or more")
    if rows.shape[1] == 3:
        rows = np.concatenate([np.zeros((len(rows), 1), rows.dtype), rows], axis=1)
    largest = rows.max(0)
    if rows.min() < 0 or largest[1:].max() > MAX_COORDINATE or largest[0] >= MAX_BATCH:
        raise InputError(
            f"coords span {rows.min(0).tolist()} to {largest.tolist()}; allowed are batches below "
            f"{MAX_BATCH} and coordinates 0 to {MAX_COORDINATE}"
        )
    rows = np.ascontiguousarray(rows, dtype=np.int32)
    keys = _pack(rows)
    if (keys[1:] <= keys[:-1]).any():
        raise InputError("coords are not sorted or not unique; take them from voxelize")
    result = []
    for level in range(levels):
        neighbours = _neighbours(keys)
        if level == levels - 1:
            result.append(Level(rows, neighbours, None, None))
            break
        coarse = rows.copy()
        coarse[:, 1:] >>= 1
        coarse_keys = _pack(coarse)
        first, parent = _unique(coarse_keys)
        result.append(Level(rows, neighbours, parent, _place_in_parent(rows)))
        rows, keys = coarse[first], coarse_keys[first]
    return tuple(result)


def _unique(keys: NDArray[np.int64]) -> tuple[Int32, Int32]:
    """A row of each distinct key in ascending order, and the place of each key among them."""
    # Points of one voxel often follow each other, in a depth image by the dozen: sort only the
    # first of each such run. Equal keys are alike: their order among themselves does not matter.
    runs = _run_starts(keys)
    return _places(keys, runs, _order(keys[runs]))  # type: ignore[no-any-return]


@compiled
def _bounds(points):  # type: ignore[no-untyped-def]
    """The cloud's corner and its extent, float64 [3] each; the extent is not finite if a point is
    not."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    finite = True
    for i in range(len(points)):
        for axis in range(3):
            value = np.float64(points[i, axis])
            finite &= value - value == 0
            low[axis] = min(low[axis], value)
            high[axis] = max(high[axis], value)
    return low, high - low if finite else np.full(3, np.nan)


@compiled
def _cell_keys(points, origin, voxel_size):  # type: ignore[no-untyped-def]
    keys = np.empty(len(points), np.int64)
    for i in range(len(points)):
        x = np.int64((points[i, 0] - origin[0]) / voxel_size)
        y = np.int64((points[i, 1] - origin[1]) / voxel_size)
        z = np.int64((points[i, 2] - origin[2]) / voxel_size)
        keys[i] = (x << 2 * AXIS_BITS) | (y << AXIS_BITS) | z
    return keys


@compiled
def _unpacked(keys):  # type: ignore[no-untyped-def]
    coords = np.empty((len(keys), 3), np.int32)
    for i in range(len(keys)):
        for axis in range(3):
            coords[i, axis] = (keys[i] >> (2 - axis) * AXIS_BITS) & ((1 << AXIS_BITS) - 1)
    return coords


@compiled
def _run_starts(keys):  # type: ignore[no-untyped-def]
    starts = np.empty(len(keys), np.int32)
    found = 0
    for i in range(len(keys)):
        if i == 0 or keys[i] != keys[i - 1]:
            starts[found] = i
            found += 1
    return starts[:found].copy()


@compiled
def _order(keys):  # type: ignore[no-untyped-def]
    """Rows of the keys in ascending order: int32, by counting half an axis at a time."""
    count = len(keys)
    differ = np.int64(0)
    for i in range(1, count):
        differ |= keys[i] ^ keys[0]
    order = np.arange(count).astype(np.int32)
    before = np.empty(count, np.int32)
    for shift in range(0, 63, HALF_AXIS):
        mask = np.int64((1 << HALF_AXIS) - 1) << shift
        if differ & mask == 0:  # as the upper half of an axis of a room
            continue
        place = np.zeros((1 << HALF_AXIS) + 1, np.int32)
        for i in range(count):
            place[((keys[i] & mask) >> shift) + 1] += 1
        for digit in range(1 << HALF_AXIS):
            place[digit + 1] += place[digit]
        order, before = before, order
        for i in range(count):
            row = before[i]
            digit = (keys[row] & mask) >> shift
            order[place[digit]] = row
            place[digit] += 1
    return order


@compiled
def _places(keys, runs, order):  # type: ignore[no-untyped-def]
    """From sorted runs: a row of each distinct key, and the place of each key among them."""
    first = np.empty(len(runs), np.int32)
    place = np.empty(len(keys), np.int32)
    count = 0
    for i in range(len(order)):
        row = runs[order[i]]
        if i == 0 or keys[row] != keys[first[count - 1]]:
            first[count] = row
            count += 1
        place[row] = count - 1
    for i in range(1, len(keys)):
        if keys[i] == keys[i - 1]:
            place[i] = place[i - 1]
    return first[:count].copy(), place


@compiled
def _mean(values, voxel_of_point, points_per_voxel):  # type: ignore[no-untyped-def]
    total = np.zeros((len(points_per_voxel), values.shape[1]), np.float64)
    for i in range(len(values)):
        for c in range(values.shape[1]):
            total[voxel_of_point[i], c] += values[i, c]
    mean = np.empty(total.shape, np.float32)
    for v in range(len(total)):
        for c in range(total.shape[1]):
            mean[v, c] = total[v, c] / points_per_voxel[v]
    return mean


@compiled
def _pack(coords):  # type: ignore[no-untyped-def]
    keys = np.empty(len(coords), np.int64)
    for i in range(len(coords)):
        key = np.int64(coords[i, 0])
        for axis in range(1, 4):
            key = (key << AXIS_BITS) + coords[i, axis] + 1
        keys[i] = key
    return keys


@compiled
def _place_in_parent(coords):  # type: ignore[no-untyped-def]
    child = np.empty(len(coords), np.int32)
    for i in range(len(coords)):
        child[i] = (coords[i, 1] & 1) * 4 + (coords[i, 2] & 1) * 2 + (coords[i, 3] & 1)
    return child


@compiled
def _neighbours(keys):  # type: ignore[no-untyped-def]
    # The keys are sorted, so the keys of all voxels shifted by one (dx, dy) are sorted too, and one
    # walk along both finds every match; the three dz of a column lie next to each other. Half the
    # shifts are enough: j is i's neighbour k exactly when i is j's neighbour 26 - k.
    count = len(keys)
    table = np.full((count, 27), -1, np.int32)
    for i in range(count):
        table[i, 13] = i
        if i + 1 < count and keys[i + 1] == keys[i] + 1:
            table[i, 14] = i + 1
            table[i + 1, 12] = i
    for column in range(5, 9):
        shift = ((column // 3 - 1) << (2 * AXIS_BITS)) + ((column % 3 - 1) << AXIS_BITS)
        there = 0
        for i in range(count):
            below = keys[i] + shift - 1
            while there < count and keys[there] < below:
                there += 1
            j = there
            while j < count and keys[j] <= below + 2:
                k = column * 3 + (keys[j] - below)
                table[i, k] = j
                table[j, 26 - k] = i
                j += 1
    return table
