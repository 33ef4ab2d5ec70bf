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
    # Moments x y z xx yy zz xy xz yz, summed from the start of each voxel's column.
    running = np.empty((count, 9), np.float64)
    columns = 0
    start = np.empty(count + 1, np.int64)
    for i in range(count):
        if i == 0 or coords[i, 0] != coords[i - 1, 0] or coords[i, 1] != coords[i - 1, 1]:
            start[columns] = i
            columns += 1
            running[i] = 0.0
        else:
            running[i] = running[i - 1]
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        running[i, 0] += x
        running[i, 1] += y
        running[i, 2] += z
        running[i, 3] += x * x
        running[i, 4] += y * y
        running[i, 5] += z * z
        running[i, 6] += x * y
        running[i, 7] += x * z
        running[i, 8] += y * z
    start[columns] = count
    key = np.empty(columns, np.int64)
    tallest = 0
    for c in range(columns):
        key[c] = (np.int64(coords[start[c], 0]) << 32) + coords[start[c], 1]
        tallest = max(tallest, start[c + 1] - start[c])

    width = 2 * radius + 1
    there = np.zeros(width * width, np.int64)  # per shift: the first column not yet passed
    total = np.empty((tallest, 10), np.float64)
    for c in range(columns):
        height = start[c + 1] - start[c]
        total[:height] = 0.0
        for shift in range(width * width):
            wanted = key[c] + (np.int64(shift // width - radius) << 32) + (shift % width - radius)
            d = there[shift]
            while d < columns and key[d] < wanted:
                d += 1
            there[shift] = d
            if d == columns or key[d] != wanted:
                continue
            first = start[d]
            low, high = first, first
            for row in range(height):
                z = coords[start[c] + row, 2]
                while low < start[d + 1] and coords[low, 2] < z - radius:
                    low += 1
                while high < start[d + 1] and coords[high, 2] <= z + radius:
                    high += 1
                if high > low:
                    for m in range(9):
                        total[row, m] += running[high - 1, m]
                    if low > first:
                        for m in range(9):
                            total[row, m] -= running[low - 1, m]
                    total[row, 9] += high - low
        for row in range(height):
            _least_direction(total[row], normal[start[c] + row])
    return normal


@compiled
def _least_direction(moments, direction):  # type: ignore[no-untyped-def]
    """Write the eigenvector of the smallest eigenvalue of a covariance, in closed form."""
    n = moments[9]
    if n < 3:
        return
    mx, my, mz = moments[0] / n, moments[1] / n, moments[2] / n
    a, b, c = moments[3] / n - mx * mx, moments[4] / n - my * my, moments[5] / n - mz * mz
    d, e, f = moments[6] / n - mx * my, moments[7] / n - mx * mz, moments[8] / n - my * mz
    trace = a + b + c
    if trace <= 0:
        return
    a, b, c, d, e, f = a / trace, b / trace, c / trace, d / trace, e / trace, f / trace
    # With trace 1 the eigenvalues are 1/3 + 2 p cos(angle + 2 pi k / 3).
    third = 1.0 / 3.0
    p = np.sqrt(
        ((a - third) ** 2 + (b - third) ** 2 + (c - third) ** 2 + 2 * (d * d + e * e + f * f)) / 6
    )
    if p < 1e-9:
        return
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
        return
    if uz < 0:
        length = -length
    direction[0], direction[1], direction[2] = ux / length, uy / length, uz / length
