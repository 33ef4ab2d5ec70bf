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
from otoc_ros.core.distinct import distinct
from otoc_ros.core.errors import InputError

AXIS_BITS = 18
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
    origin, extent = _bounds(points)
    if not np.isfinite(extent).all():
        raise InputError("xyz holds NaN or infinite points; drop them before voxelizing")
    check_size(extent, voxel_size)
    return grid_of_keys(_cell_keys(points, origin, voxel_size), voxel_size, origin)


def check_size(extent: NDArray[np.float64], voxel_size: float) -> None:
    """Raise InputError unless a grid holds a cloud of that extent, float64 [3], metres."""
    if not (np.isfinite(voxel_size) and voxel_size > 0):
        raise InputError(f"voxel_size is {voxel_size}; give an edge length in metres above 0")
    if extent.max() / voxel_size > MAX_COORDINATE:
        raise InputError(
            f"the cloud spans {extent.max():.6g} m, more than {MAX_COORDINATE + 1} voxels of "
            f"{voxel_size:.6g} m; use larger voxels or crop the cloud"
        )


def grid_of_keys(
    keys: NDArray[np.int64], voxel_size: float, origin: NDArray[np.float64]
) -> VoxelGrid:
    """The grid of N points by the keys of their voxels, int64 [N]: x, y, z of 18 bits each."""
    first, voxel_of_point = distinct(keys)
    return VoxelGrid(
        coords=_unpacked(keys[first]),
        voxel_of_point=voxel_of_point,
        points_per_voxel=_counts(voxel_of_point, len(first)),
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
        first, parent = distinct(coarse_keys)
        result.append(Level(rows, neighbours, parent, _place_in_parent(rows)))
        rows, keys = coarse[first], coarse_keys[first]
    return tuple(result)


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
def _counts(rows, count):  # type: ignore[no-untyped-def]
    """How often each row is named: int32 [count]."""
    found = np.zeros(count, np.int32)
    for i in range(len(rows)):
        found[rows[i]] += 1
    return found


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
