"""Surface normals on voxels, without a search tree.

A voxel's normal is the direction in which the occupied voxels around it vary least. Where that cube
reaches over an edge or onto another thing, the direction is of neither surface: for a sharp normal
such a voxel takes that of a touching one whose surroundings are much flatter.

The voxels are sorted by (x, y, z), so the ones inside a cube lie in (2 R + 1)² short runs, one a
column of the grid, and as the voxels of a column are taken upwards, the runs only move upwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled

# A neighbour's surroundings are much flatter if their variance across is below this share of the
# own. Chosen on dev rooms, their views and the tabletop frames 0-32: things on a table gain, and
# noisy walls lose with more.
FLATTER = 0.25
STEPS = 30  # of Newton's method at most; 3 on a plane, more the rounder the surroundings


def voxel_normals(
    coords: NDArray[np.int32], xyz: NDArray[Any], radius: int = 2
) -> NDArray[np.float32]:
    """Unit normals of voxels, by the covariance of the voxels within a cube.

    Args:
        coords: int32 [V, 3], 0 or more, unique, sorted by (x, y, z).
        xyz: float [V, 3], a position in each voxel, metres, any origin.
        radius: R; the cube is 2 R + 1 voxels wide. 2 suits fused scans, 3 the noise of one view.

    Returns:
        float32 [V, 3], without a sign of its own: z is 0 or more. Rows are zero where the cube
        holds no plane: fewer than three voxels, or voxels on one line.
    """
    return _normals(coords, np.asarray(xyz), radius)[0]  # type: ignore[no-any-return]


def sharp_normals(
    coords: NDArray[np.int32], xyz: NDArray[Any], radius: int = 2
) -> NDArray[np.float32]:
    """As `voxel_normals`, but sharp at edges: on either side the normal of that side's surface."""
    normal, variance = _normals(coords, np.asarray(xyz), radius)
    return _of_flatter_neighbours(coords, normal, variance)  # type: ignore[no-any-return]


@compiled
def columns_of(coords):  # type: ignore[no-untyped-def]
    """Runs of equal (x, y) among sorted voxels: where each begins, and one more; x << 32 + y."""
    count = len(coords)
    start = np.empty(count + 1, np.int64)
    columns = 0
    for i in range(count):
        if i == 0 or coords[i, 0] != coords[i - 1, 0] or coords[i, 1] != coords[i - 1, 1]:
            start[columns] = i
            columns += 1
    start[columns] = count
    key = np.empty(columns, np.int64)
    for c in range(columns):
        key[c] = (np.int64(coords[start[c], 0]) << 32) + coords[start[c], 1]
    return start, key


@compiled
def _normals(coords, xyz, radius):  # type: ignore[no-untyped-def]
    """The normals [V, 3], and the variance of the surroundings across them [V], metres²."""
    count = len(coords)
    normal = np.zeros((count, 3), np.float32)
    variance = np.full(count, np.inf, np.float32)
    start, key = columns_of(coords)
    columns = len(key)

    width = 2 * radius + 1
    offset = np.empty(width * width, np.int64)
    for shift in range(width * width):
        offset[shift] = (np.int64(shift // width - radius) << 32) + (shift % width - radius)
    there = np.zeros(width * width, np.int64)  # per shift: the first column not yet passed
    low = np.empty(width * width, np.int32)  # of each column around: its first voxel not below
    end = np.empty(width * width, np.int32)
    for c in range(columns):
        found = 0
        for shift in range(width * width):
            wanted = key[c] + offset[shift]
            d = there[shift]
            while d < columns and key[d] < wanted:
                d += 1
            there[shift] = d
            if d < columns and key[d] == wanted:
                low[found] = start[d]
                end[found] = start[d + 1]
                found += 1
        for i in range(start[c], start[c + 1]):
            bottom, top = coords[i, 2] - radius, coords[i, 2] + radius
            x0, y0, z0 = xyz[i, 0], xyz[i, 1], xyz[i, 2]
            n = 0
            sx = sy = sz = sxx = syy = szz = sxy = sxz = syz = np.float32(0)
            for s in range(found):
                j = low[s]
                while j < end[s] and coords[j, 2] < bottom:
                    j += 1
                low[s] = j
                while j < end[s] and coords[j, 2] <= top:
                    # Near each other, so that single precision is enough.
                    x = np.float32(xyz[j, 0] - x0)
                    y = np.float32(xyz[j, 1] - y0)
                    z = np.float32(xyz[j, 2] - z0)
                    n += 1
                    sx += x
                    sy += y
                    sz += z
                    sxx += x * x
                    syy += y * y
                    szz += z * z
                    sxy += x * y
                    sxz += x * z
                    syz += y * z
                    j += 1
            if n >= 3:
                share = 1.0 / n
                mx, my, mz = sx * share, sy * share, sz * share
                normal[i], variance[i] = _least_direction(
                    sxx * share - mx * mx,
                    syy * share - my * my,
                    szz * share - mz * mz,
                    sxy * share - mx * my,
                    sxz * share - mx * mz,
                    syz * share - my * mz,
                )
    return normal, variance


@compiled
def _of_flatter_neighbours(coords, normal, variance):  # type: ignore[no-untyped-def]
    """Each voxel's normal, or that of the flattest of the 26 that touch it where much flatter.

    A voxel without a normal keeps none.
    """
    count = len(coords)
    source = np.arange(count).astype(np.int32)
    least = np.where(np.isfinite(variance), np.float32(FLATTER) * variance, np.float32(0))
    start, key = columns_of(coords)
    columns = len(key)
    # Half of the columns around: each pair of touching voxels is met once, and serves both.
    offset = np.array([1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1])
    there = np.zeros(4, np.int64)
    for c in range(columns):
        for i in range(start[c], start[c + 1] - 1):
            if coords[i + 1, 2] == coords[i, 2] + 1:
                _offer(i, i + 1, variance, least, source)
        for shift in range(4):
            wanted = key[c] + offset[shift]
            d = there[shift]
            while d < columns and key[d] < wanted:
                d += 1
            there[shift] = d
            if d == columns or key[d] != wanted:
                continue
            low = start[d]
            for i in range(start[c], start[c + 1]):
                z = coords[i, 2]
                while low < start[d + 1] and coords[low, 2] < z - 1:
                    low += 1
                j = low
                while j < start[d + 1] and coords[j, 2] <= z + 1:
                    _offer(i, j, variance, least, source)
                    j += 1
    return normal[source]


@compiled
def _offer(i, j, variance, least, source):  # type: ignore[no-untyped-def]
    if variance[j] < least[i]:
        least[i], source[i] = variance[j], j
    elif variance[i] < least[j]:
        least[j], source[j] = variance[i], i


@compiled
def _least_direction(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """Eigenvector of the smallest eigenvalue of [[a d e] [d b f] [e f c]], and that eigenvalue.

    Zero and infinite where there is no plane.
    """
    nothing = (np.float32(0), np.float32(0), np.float32(0)), np.float32(np.inf)
    trace = a + b + c
    if trace <= 0:
        return nothing
    a, b, c, d, e, f = a / trace, b / trace, c / trace, d / trace, e / trace, f / trace
    # The least eigenvalue is the first root of λ³ - λ² + m λ - determinant, and 0 is not above it:
    # Newton's steps from there never pass it.
    minors = a * b - d * d + a * c - e * e + b * c - f * f
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    least = 0.0
    for _ in range(STEPS):
        slope = (3 * least - 2) * least + minors
        if slope <= 1e-9:
            break
        step = (((least - 1) * least + minors) * least - determinant) / slope
        least -= step
        if step > -1e-9:
            break
    a, b, c = a - least, b - least, c - least
    # The rows of the matrix span the plane; of their three cross products take the longest.
    ux, uy, uz = d * f - e * b, e * d - a * f, a * b - d * d
    vx, vy, vz = b * c - f * f, f * e - d * c, d * f - b * e
    wx, wy, wz = d * c - f * e, e * e - a * c, a * f - d * e
    uu, vv, ww = (
        ux * ux + uy * uy + uz * uz,
        vx * vx + vy * vy + vz * vz,
        wx * wx + wy * wy + wz * wz,
    )
    if vv > uu and vv >= ww:
        ux, uy, uz, uu = vx, vy, vz, vv
    elif ww > uu:
        ux, uy, uz, uu = wx, wy, wz, ww
    length = np.sqrt(uu)
    if length < 1e-7:  # on one line: two equal least eigenvalues, no plane
        return nothing
    if uz < 0:
        length = -length
    direction = np.float32(ux / length), np.float32(uy / length), np.float32(uz / length)
    return direction, np.float32(least * trace)
