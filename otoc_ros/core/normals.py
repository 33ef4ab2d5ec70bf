"""Surface normals on voxels, without a search tree.

A voxel's normal is the direction in which the occupied voxels around it vary least. The voxels are
sorted by (x, y, z), so the ones inside a cube lie in (2 R + 1)² short runs, one a column of the
grid, and running sums of the moments give each run's share in two look-ups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled


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
    position = np.asarray(xyz, dtype=np.float64)
    if len(position):
        position = position - position.min(0)
    return _normals(coords, position, radius)  # type: ignore[no-any-return]


@compiled
def _normals(coords, xyz, radius):  # type: ignore[no-untyped-def]
    count = len(coords)
    normal = np.zeros((count, 3), np.float32)
    start = np.empty(count + 1, np.int64)
    columns = 0
    for i in range(count):
        if i == 0 or coords[i, 0] != coords[i - 1, 0] or coords[i, 1] != coords[i - 1, 1]:
            start[columns] = i
            columns += 1
    start[columns] = count
    # Moments x y z xx yy zz xy xz yz before each voxel of a column, and after its last one: those
    # of column d begin at row start[d] + d.
    before = np.empty((count + columns, 9), np.float64)
    key = np.empty(columns, np.int64)
    for c in range(columns):
        key[c] = (np.int64(coords[start[c], 0]) << 32) + coords[start[c], 1]
        before[start[c] + c] = 0.0
        for i in range(start[c], start[c + 1]):
            x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
            row = i + c
            before[row + 1, 0] = before[row, 0] + x
            before[row + 1, 1] = before[row, 1] + y
            before[row + 1, 2] = before[row, 2] + z
            before[row + 1, 3] = before[row, 3] + x * x
            before[row + 1, 4] = before[row, 4] + y * y
            before[row + 1, 5] = before[row, 5] + z * z
            before[row + 1, 6] = before[row, 6] + x * y
            before[row + 1, 7] = before[row, 7] + x * z
            before[row + 1, 8] = before[row, 8] + y * z

    width = 2 * radius + 1
    offset = np.empty(width * width, np.int64)
    for shift in range(width * width):
        offset[shift] = (np.int64(shift // width - radius) << 32) + (shift % width - radius)
    there = np.zeros(width * width, np.int64)  # per shift: the first column not yet passed
    near = np.empty(width * width, np.int64)
    low = np.empty(width * width, np.int64)
    high = np.empty(width * width, np.int64)
    for c in range(columns):
        found = 0
        for shift in range(width * width):
            wanted = key[c] + offset[shift]
            d = there[shift]
            while d < columns and key[d] < wanted:
                d += 1
            there[shift] = d
            if d < columns and key[d] == wanted:
                near[found] = d
                low[found] = high[found] = start[d]
                found += 1
        for i in range(start[c], start[c + 1]):
            bottom, top = coords[i, 2] - radius, coords[i, 2] + radius
            n = 0
            sx = sy = sz = sxx = syy = szz = sxy = sxz = syz = 0.0
            for s in range(found):
                end = start[near[s] + 1]
                first, last = low[s], high[s]
                while first < end and coords[first, 2] < bottom:
                    first += 1
                while last < end and coords[last, 2] <= top:
                    last += 1
                low[s], high[s] = first, last
                if last > first:
                    n += last - first
                    a, b = first + near[s], last + near[s]
                    sx += before[b, 0] - before[a, 0]
                    sy += before[b, 1] - before[a, 1]
                    sz += before[b, 2] - before[a, 2]
                    sxx += before[b, 3] - before[a, 3]
                    syy += before[b, 4] - before[a, 4]
                    szz += before[b, 5] - before[a, 5]
                    sxy += before[b, 6] - before[a, 6]
                    sxz += before[b, 7] - before[a, 7]
                    syz += before[b, 8] - before[a, 8]
            if n >= 3:
                x, y, z = sx / n, sy / n, sz / n
                normal[i] = _least_direction(
                    sxx / n - x * x,
                    syy / n - y * y,
                    szz / n - z * z,
                    sxy / n - x * y,
                    sxz / n - x * z,
                    syz / n - y * z,
                )
    return normal


@compiled
def _least_direction(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """Eigenvector of the smallest eigenvalue of [[a d e] [d b f] [e f c]], in closed form."""
    nothing = (np.float32(0), np.float32(0), np.float32(0))
    trace = a + b + c
    if trace <= 0:
        return nothing
    a, b, c, d, e, f = a / trace, b / trace, c / trace, d / trace, e / trace, f / trace
    # With trace 1 the eigenvalues are 1/3 + 2 p cos(angle + 2 pi k / 3).
    third = 1.0 / 3.0
    p = np.sqrt(
        ((a - third) ** 2 + (b - third) ** 2 + (c - third) ** 2 + 2 * (d * d + e * e + f * f)) / 6
    )
    if p < 1e-9:
        return nothing
    determinant = (
        (a - third) * ((b - third) * (c - third) - f * f)
        - d * (d * (c - third) - f * e)
        + e * (d * f - (b - third) * e)
    )
    angle = np.arccos(min(1.0, max(-1.0, determinant / (2 * p * p * p)))) / 3
    least = third + 2 * p * np.cos(angle + 2 * np.pi / 3)
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
    return np.float32(ux / length), np.float32(uy / length), np.float32(uz / length)
