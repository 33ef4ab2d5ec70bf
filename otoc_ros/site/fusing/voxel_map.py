"""Many posed views as one cloud: a hash table of voxels that keep running averages.

Memory grows with the surface that was seen, about 70 bytes a voxel, and never with the number of
views. Limits: ±10 km from the first view at 1 cm voxels (21 bits an axis), 2³¹ - 1 voxels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError
from otoc_ros.core.normals import columns_of, voxel_normals

BITS = 21
HALF = 2 ** (BITS - 1)
NEAREST = 0.5  # metres; closer points weigh no more
LAYERS = 2  # voxels: how far from its surface noise may leave a point that still belongs to it

Array = NDArray[Any]


class VoxelMap:
    """The voxels that views have fallen into.

    Each keeps running averages of its points' position, colour and direction to the sensor. A
    point at range z weighs 1 / z⁴, the inverse variance of a depth camera's noise, which grows
    with z². It also counts the views that saw it: what only one view shows may be noise, or
    somebody walking by.

    Args:
        edge: of a voxel, metres, above 0.
        origin: float [3], metres: the map's coordinates are kept relative to it.
    """

    def __init__(self, edge: float, origin: Array | None = None) -> None:
        if not (np.isfinite(edge) and edge > 0):
            raise InputError(f"edge of a voxel is {edge}; give metres above 0")
        self.edge = float(edge)
        self.origin = np.zeros(3) if origin is None else np.asarray(origin, np.float64)
        self.views = 0
        self._count = 0
        self._coloured = True
        self._key: Array = np.empty(0, np.int64)
        # x y z within the voxel, red green blue, direction x y z, weight
        self._mean: Array = np.empty((0, 10), np.float32)
        # views that saw it, the last one of them
        self._seen: Array = np.empty((0, 2), np.int32)
        self._table = np.full(1, -1, np.int32)

    def __len__(self) -> int:
        return self._count

    def add(self, cloud: Cloud, pose: Array) -> None:
        """Fuse one view.

        Args:
            cloud: in the sensor's frame, its origin at the sensor; missing returns may be NaN.
            pose: float [4, 4], T_map_sensor.

        Raises:
            InputError: a point more than 2²⁰ voxels from the origin.
        """
        self._reserve(self._count + len(cloud))
        self.views += 1
        self._coloured &= cloud.rgb is not None
        rgb = np.empty((0, 3), np.uint8) if cloud.rgb is None else cloud.rgb
        pose = np.array(pose, np.float64)
        pose[:3, 3] -= self.origin
        count = _add(
            cloud.xyz,
            rgb,
            pose,
            self.edge,
            self.views,
            self._count,
            self._key,
            self._mean,
            self._seen,
            self._table,
        )
        if count < 0:
            raise InputError(
                f"a point lies more than {HALF * self.edge / 1000:.3g} km from the start of the "
                "map; check the poses"
            )
        self._count = count

    def cloud(self, confirmed: int = 2) -> Cloud:
        """The fused points, sorted by voxel, with colours (if all views had them) and normals.

        Noise leaves a surface several voxels thick: every point is drawn to the weighted mean of
        its neighbours along its normal, and points that then share a voxel become one. Normals
        point to where the surface was seen from.

        Args:
            confirmed: fewest views that must have seen a voxel or one beside it.

        Returns:
            Coordinates in the map's frame less `origin`; empty where nothing was confirmed.
        """
        order = np.argsort(self._key[: self._count])
        coords = _unpacked(self._key[order])
        mean, seen = self._mean[order], self._seen[order, 0]
        kept = _confirmed(coords, seen, confirmed)
        coords, mean = coords[kept], mean[kept]
        if not len(coords):
            return Cloud(np.empty((0, 3), np.float32))
        low = coords.min(0)
        inside: NDArray[np.int32] = (coords - low).astype(np.int32)
        xyz = inside * self.edge + mean[:, :3].astype(np.float64)
        normal = voxel_normals(inside, xyz, LAYERS)
        xyz = _drawn(inside, xyz, normal, mean[:, 9], LAYERS)
        coords, xyz, rgb, toward = _merged(xyz, mean, self.edge)
        normal = voxel_normals(coords, xyz, LAYERS)
        away = np.einsum("ij,ij->i", normal, toward) < 0
        normal[away] *= -1
        alone = ~normal.any(axis=1)  # no plane to speak of: it faces its sensor
        normal[alone] = _unit(toward[alone])
        shifted = (xyz + low * self.edge).astype(np.float32)
        colour = np.rint(rgb).astype(np.uint8) if self._coloured else None
        return Cloud(shifted, colour, normal)

    def _reserve(self, wanted: int) -> None:
        size = len(self._key)
        if wanted <= size:
            return
        size = max(wanted, size + size // 2, 1 << 16)
        self._key = _grown(self._key, size)
        self._mean = _grown(self._mean, size)
        self._seen = _grown(self._seen, size)
        slots = 1 << int(2 * size - 1).bit_length()
        if slots != len(self._table):
            self._table = np.full(slots, -1, np.int32)
            _hash_again(self._key, self._count, self._table)


def _unit(vectors: Array) -> Array:
    lengths: Array = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 0, vectors / np.maximum(lengths, 1e-12), (0.0, 0.0, 1.0))


def _grown(array: Array, size: int) -> Array:
    larger = np.empty((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def _unpacked(keys: Array) -> Array:
    mask = 2**BITS - 1
    columns = np.column_stack([keys >> 2 * BITS, (keys >> BITS) & mask, keys & mask])
    unpacked: Array = columns - HALF
    return unpacked


def _confirmed(coords: Array, seen: Array, fewest: int) -> Array:
    """Voxels that enough views saw, or that touch one which is seen so often [V]."""
    sure: Array = seen >= fewest
    if fewest <= 1 or not sure.any():
        return sure
    beside: Array = np.zeros(len(coords), bool)
    keys = _packed(coords)
    known = keys[sure]
    for axis in range(3):
        for step in (-1, 1):
            shifted = keys + step * (1 << (2 - axis) * BITS)
            at = np.minimum(np.searchsorted(known, shifted), len(known) - 1)
            beside |= known[at] == shifted
    beside |= sure
    return beside


def _packed(coords: Array) -> Array:
    x, y, z = (coords + HALF).T
    packed: Array = x << 2 * BITS | y << BITS | z
    return packed


def _merged(xyz: Array, mean: Array, edge: float) -> tuple[Array, Array, Array, Array]:
    """Points that share a voxel as one, by weight: coords int32 [V, 3], xyz, rgb, direction."""
    cells = np.floor(xyz / edge).astype(np.int64)
    keys = _packed(cells - cells.min(0))
    order = np.argsort(keys, kind="stable")
    start = np.flatnonzero(np.diff(keys[order], prepend=-1))
    weight = mean[order, 9:10].astype(np.float64)
    total = np.add.reduceat(weight, start)
    columns = np.concatenate([xyz[order], mean[order, 3:9]], axis=1) * weight
    merged = np.add.reduceat(columns, start) / total
    coords = (cells - cells.min(0))[order[start]].astype(np.int32)
    return coords, merged[:, :3], merged[:, 3:6], merged[:, 6:]


@compiled
def _slot(key, table):  # type: ignore[no-untyped-def]
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(len(table) - 1))


@compiled
def _hash_again(keys, count, table):  # type: ignore[no-untyped-def]
    for row in range(count):
        slot = _slot(keys[row], table)
        while table[slot] >= 0:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = row


@compiled
def _add(xyz, rgb, pose, edge, view, count, keys, means, seen, table):  # type: ignore[no-untyped-def]
    last_key, row = np.int64(-1), np.int64(-1)  # neighbouring points mostly share a voxel
    for i in range(len(xyz)):
        x, y, z = np.float64(xyz[i, 0]), np.float64(xyz[i, 1]), np.float64(xyz[i, 2])
        square = x * x + y * y + z * z
        if not np.isfinite(square) or square == 0.0:
            continue
        mx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z
        my = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z
        mz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z
        px, py, pz = (mx + pose[0, 3]) / edge, (my + pose[1, 3]) / edge, (mz + pose[2, 3]) / edge
        if max(abs(px), abs(py), abs(pz)) >= HALF - 1:
            return -1
        cx, cy, cz = np.floor(px), np.floor(py), np.floor(pz)
        key = (
            (np.int64(cx) + HALF) << (2 * BITS)
            | (np.int64(cy) + HALF) << BITS
            | (np.int64(cz) + HALF)
        )
        if key != last_key:
            last_key = key
            slot = _slot(key, table)
            while table[slot] >= 0 and keys[table[slot]] != key:
                slot = (slot + 1) & (len(table) - 1)
            row = np.int64(table[slot])
            if row < 0:
                row = count
                count += 1
                table[slot] = row
                keys[row] = key
                means[row] = 0
                seen[row] = 0
            if seen[row, 1] != view:
                seen[row, 0] += 1
                seen[row, 1] = view
        limited = max(square, NEAREST * NEAREST)
        weight = 1.0 / (limited * limited)
        total = means[row, 9] + weight
        share = weight / total
        means[row, 9] = total
        means[row, 0] += share * ((px - cx) * edge - means[row, 0])
        means[row, 1] += share * ((py - cy) * edge - means[row, 1])
        means[row, 2] += share * ((pz - cz) * edge - means[row, 2])
        if len(rgb):
            for c in range(3):
                means[row, 3 + c] += share * (rgb[i, c] - means[row, 3 + c])
        length = np.sqrt(square)
        means[row, 6] += share * (-mx / length - means[row, 6])
        means[row, 7] += share * (-my / length - means[row, 7])
        means[row, 8] += share * (-mz / length - means[row, 8])
    return count


@compiled
def _drawn(coords, xyz, normal, weight, reach):  # type: ignore[no-untyped-def]
    """Points [V, 3] moved along their normals to the weighted mean of the voxels around."""
    drawn = xyz.copy()
    start, keys = columns_of(coords)
    columns = len(keys)
    width = 2 * reach + 1
    there = np.zeros(width * width, np.int64)
    first = np.empty(width * width, np.int64)
    for c in range(columns):
        found = 0
        for shift in range(width * width):
            wanted = keys[c] + ((np.int64(shift // width) - reach) << 32) + shift % width - reach
            j = there[shift]
            while j < columns and keys[j] < wanted:
                j += 1
            there[shift] = j
            if j < columns and keys[j] == wanted:
                first[found] = j
                found += 1
        for i in range(start[c], start[c + 1]):
            nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
            offset, total = 0.0, 0.0
            for k in range(found):
                for j in range(start[first[k]], start[first[k] + 1]):
                    if abs(coords[j, 2] - coords[i, 2]) > reach:
                        continue
                    dx, dy, dz = xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1], xyz[j, 2] - xyz[i, 2]
                    along = nx * dx + ny * dy + nz * dz
                    offset += weight[j] * along
                    total += weight[j]
            if total > 0:
                offset /= total
                drawn[i, 0] += offset * nx
                drawn[i, 1] += offset * ny
                drawn[i, 2] += offset * nz
    return drawn
