"""Super-voxels: a complete, non-overlapping over-segmentation that keeps to the objects' borders.

A voxel is described by where it lies, how its surface is turned and its colour; regions of like
voxels are fused bottom up (see `fusion`), then voxels at a border go to the side they fit best.
All scales follow from the voxel size, so a 5 mm table, a 2 cm room and a 10 cm hall need no tuning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError
from otoc_ros.core.fusion import exchange_borders, fuse
from otoc_ros.core.voxel_graph import voxel_graph

# Chosen on the dev rooms, their views and the tabletop frames 0-32; docs/supervoxels.md says how
# little they matter.
VOXELS_APART = 300.0  # moving this far changes a voxel's description by 1
COLOUR_WEIGHT = 8.0  # for 100 units of CIE Lab
SMOOTHNESS = 0.1
EXCHANGES = 2


def supervoxels(
    coords: NDArray[np.int32],
    xyz: NDArray[Any],
    rgb: NDArray[Any] | None,
    normal: NDArray[Any],
    *,
    voxel_size: float,
    size: float | None = None,
    count: int | None = None,
    min_voxels: int = 8,
) -> NDArray[np.int32]:
    """Cut a voxelised cloud into super-voxels.

    Args:
        coords: int32 [V, 3], 0 or more, unique, sorted by (x, y, z), as `voxelize` returns them.
        xyz: float [V, 3], mean position of each voxel's points, metres, any origin.
        rgb: float [V, 3], mean colour in 0..1, or None.
        normal: float [V, 3], unit normals of either sign, or zero where there is none.
        voxel_size: edge length of a voxel, metres.
        size: wanted edge length of a super-voxel of average area, metres; or
        count: wanted number of super-voxels. Give one of the two.
        min_voxels: smaller pieces are absorbed, as long as more than `count` are left; or pieces
            below a quarter of the average, where that is less.

    Returns:
        int32 [V], ids 0 to M - 1 without gaps, in the order of their first voxel. M is `count`,
        or V where that is less.

    Raises:
        InputError: no voxels, or not exactly one of `size` and `count`, above 0.
    """
    voxels = len(coords)
    if voxels == 0:
        raise InputError("there are no voxels to cut into super-voxels; the cloud is empty")
    if (size is None) == (count is None):
        raise InputError(f"size is {size} and count is {count}; give one of the two")
    if size is not None:
        if not size > 0:
            raise InputError(f"size of super-voxels is {size}; give metres above 0")
        count = round(voxels * (voxel_size / size) ** 2)
    elif count is not None and count < 1:
        raise InputError(f"count of super-voxels is {count}; give 1 or more")
    count = int(np.clip(count or 1, 1, voxels))
    feature = describe(xyz, rgb, normal, voxel_size)
    first, other = voxel_graph(coords, feature[:, :3], min_voxels, max(1, count // 4))
    label = fuse(feature, first, other, count, min(min_voxels, voxels / (4 * count)))
    # Fusing has used the description up; a second one takes less memory than keeping a copy.
    del feature
    feature = describe(xyz, rgb, normal, voxel_size)
    exchange_borders(feature, first, other, label, count, SMOOTHNESS, EXCHANGES)
    return _in_order(label, count)  # type: ignore[no-any-return]


def describe(
    xyz: NDArray[Any], rgb: NDArray[Any] | None, normal: NDArray[Any], voxel_size: float
) -> NDArray[np.float32]:
    """What fusion compares voxels by, in columns whose squared distances add up.

    Position in units of 300 voxels from the cloud's corner; the tensor n nᵀ, which has no sign;
    CIE Lab where there is colour.

    Returns:
        float32 [V, 12], or [V, 9] without colour.
    """
    return _describe(  # type: ignore[no-any-return]
        np.asarray(xyz),
        np.empty((0, 3), np.float32) if rgb is None else np.asarray(rgb, dtype=np.float32),
        np.asarray(normal, dtype=np.float32),
        VOXELS_APART * voxel_size,
    )


def pool(values: NDArray[Any], ids: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    """Mean of the voxels' values over each super-voxel.

    Args:
        values: float [V, C]; ids: int32 [V] in 0..count - 1.

    Returns:
        float32 [count, C]; zero for an id that no voxel has.
    """
    pooling = Pooling(count)
    pooling.add(values, ids)
    return pooling.mean()


def pool_normals(
    normal: NDArray[np.float32], ids: NDArray[np.int32], count: int
) -> NDArray[np.float32]:
    """Mean normal tensor n nᵀ of each super-voxel, which knows no sides: float32 [count, 3, 3].

    Its largest eigenvalue is 1 where the normals agree; the eigenvector is their direction.

    Args:
        normal: float32 [V, 3]; ids: int32 [V] in 0..count - 1.
    """
    products = (normal[:, :, None] * normal[:, None, :]).reshape(-1, 9)
    return pool(products, ids, count).reshape(-1, 3, 3)


class Pooling:
    """`pool` of values that come part by part.

    Args:
        count: super-voxels.
    """

    def __init__(self, count: int) -> None:
        self._size: NDArray[np.int64] = np.zeros(count, np.int64)
        self._total: NDArray[np.float64] = np.zeros((count, 0))

    def add(self, values: NDArray[Any], ids: NDArray[np.int32]) -> None:
        """Values float [v, C] of some voxels, and their super-voxels int32 [v]."""
        rows = np.asarray(values)
        if not self._total.shape[1]:
            self._total = np.zeros((len(self._size), rows.shape[1]))
        _add_up(rows, ids, self._total, self._size)

    def mean(self) -> NDArray[np.float32]:
        """float32 [count, C]; zero for an id that no voxel has."""
        return _divided(self._total, self._size)  # type: ignore[no-any-return]


@compiled
def _describe(xyz, rgb, normal, unit):  # type: ignore[no-untyped-def]
    count = len(xyz)
    coloured = len(rgb) == count
    feature = np.empty((count, 12 if coloured else 9), np.float32)
    corner = np.full(3, np.inf)
    for i in range(count):
        for axis in range(3):
            corner[axis] = min(corner[axis], xyz[i, axis])
    for i in range(count):
        for axis in range(3):
            feature[i, axis] = (xyz[i, axis] - corner[axis]) / unit
        x, y, z = normal[i, 0], normal[i, 1], normal[i, 2]
        feature[i, 3] = x * x
        feature[i, 4] = y * y
        feature[i, 5] = z * z
        feature[i, 6] = np.float32(np.sqrt(2)) * x * y
        feature[i, 7] = np.float32(np.sqrt(2)) * x * z
        feature[i, 8] = np.float32(np.sqrt(2)) * y * z
        if coloured:
            lightness, a, b = _lab(rgb[i, 0], rgb[i, 1], rgb[i, 2])
            feature[i, 9] = COLOUR_WEIGHT / 100 * lightness
            feature[i, 10] = COLOUR_WEIGHT / 100 * a
            feature[i, 11] = COLOUR_WEIGHT / 100 * b
    return feature


# Powers are slow and colours are noisy: tables of 4096 steps are enough.
STEPS = 4096
_UNIT = np.linspace(0, 1, STEPS + 1)
LIGHT = np.where(_UNIT <= 0.04045, _UNIT / 12.92, ((_UNIT + 0.055) / 1.055) ** 2.4).astype("f4")
LIGHTNESS = np.where(_UNIT > 0.008856, np.cbrt(_UNIT), 7.787 * _UNIT + 16 / 116).astype("f4")


@compiled
def _lab(red, green, blue):  # type: ignore[no-untyped-def]
    """CIE Lab (D65) of an sRGB colour in 0..1."""
    r, g, b = _read(LIGHT, red), _read(LIGHT, green), _read(LIGHT, blue)
    x = _read(LIGHTNESS, (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505)
    y = _read(LIGHTNESS, 0.2126 * r + 0.7152 * g + 0.0722 * b)
    z = _read(LIGHTNESS, (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@compiled
def _read(table, value):  # type: ignore[no-untyped-def]
    """The table's value between its two nearest steps; 0..1, clipped."""
    at = min(max(value, 0.0), 1.0) * STEPS
    low = min(int(at), STEPS - 1)
    return table[low] + (table[low + 1] - table[low]) * (at - low)


@compiled
def _in_order(label, count):  # type: ignore[no-untyped-def]
    """Number the labels 0, 1, … in the order of their first voxel."""
    number = np.full(count, -1, np.int32)
    ids = np.empty(len(label), np.int32)
    found = 0
    for v in range(len(label)):
        if number[label[v]] < 0:
            number[label[v]] = found
            found += 1
        ids[v] = number[label[v]]
    return ids


@compiled
def _add_up(values, ids, total, size):  # type: ignore[no-untyped-def]
    for v in range(len(ids)):
        size[ids[v]] += 1
        for c in range(values.shape[1]):
            total[ids[v], c] += values[v, c]


@compiled
def _divided(total, size):  # type: ignore[no-untyped-def]
    mean = np.zeros(total.shape, np.float32)
    for m in range(len(size)):
        if size[m]:
            for c in range(total.shape[1]):
                mean[m, c] = total[m, c] / size[m]
    return mean
