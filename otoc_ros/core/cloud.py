"""A point cloud as arrays, and the direction that is up in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError
from otoc_ros.core.normals import voxel_normals
from otoc_ros.core.voxels import mean_per_voxel, voxelize

# A surface speaks for an up direction that is right within 7 degrees.
WIDTH = np.float32(np.sin(np.deg2rad(7.0)) ** 2)
ALONG = np.float32(0.3)  # what a surface that contains the direction says, where one across says 1
LEVEL_COSINE, LEVEL_SINE = np.cos(np.deg2rad(8.0)), np.sin(np.deg2rad(8.0))
ENOUGH = 35_000  # points that tell up; more lie on the same surfaces


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of one scan.

    Attributes:
        xyz: float32 [N, 3], metres, any frame; rows may be NaN or infinite (missing returns).
        rgb: uint8 [N, 3] or None when the sensor has no colour.
        normal: float32 [N, 3] unit normals or None.

    Raises:
        InputError: an array does not have the shape above.
    """

    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None = None
    normal: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyz", _as_rows(self.xyz, np.float32, "xyz", None))
        if self.rgb is not None:
            object.__setattr__(self, "rgb", _as_rows(self.rgb, np.uint8, "rgb", len(self.xyz)))
        if self.normal is not None:
            normal = _as_rows(self.normal, np.float32, "normal", len(self.xyz))
            object.__setattr__(self, "normal", normal)

    def __len__(self) -> int:
        return len(self.xyz)

    def take(self, rows: NDArray[Any]) -> Cloud:
        """The cloud of some rows: an index array or a boolean mask [N]."""
        return Cloud(
            self.xyz[rows],
            None if self.rgb is None else self.rgb[rows],
            None if self.normal is None else self.normal[rows],
        )


def _as_rows(values: Any, dtype: Any, name: str, count: int | None) -> NDArray[Any]:
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name} of a cloud has shape {array.shape}; give an [N, 3] array")
    if count is not None and len(array) != count:
        raise InputError(f"{name} has {len(array)} rows but xyz has {count}; give one a point")
    return array


def estimate_up(xyz: NDArray[Any]) -> NDArray[np.float64]:
    """The direction against gravity, from the surfaces of one cloud.

    Floors, tables and ceilings lie across it, walls along it. The direction that explains most
    surface wins and is then measured on its largest plane. A cloud inside a viewing frustum
    around +z is taken for a camera's optical frame (-y is up, pitched or rolled by up to 55
    degrees); any other for one with z up, tilted by up to 30 degrees.

    Args:
        xyz: float [N, 3], metres; rows that are not finite are ignored.

    Returns:
        float64 [3], unit length. Without any surface to go by: -y or +z as above.

    Raises:
        InputError: no finite point.
    """
    given = np.asarray(xyz)
    rows = finite_rows(given)
    if len(rows) == 0:
        raise InputError("the cloud has no finite point to tell up from; check the sensor")
    points = given[rows[:: len(rows) // ENOUGH + 1]].astype(np.float64)
    optical = _in_optical_frame(points)
    prior = np.array([0.0, -1.0, 0.0]) if optical else np.array([0.0, 0.0, 1.0])
    cone = np.deg2rad(55.0 if optical else 30.0)
    low, high = np.percentile(points[::3], [5, 95], axis=0)
    if not (high > low).any():
        return prior

    # Voxels give each surface a vote by its area, wherever the sensor was.
    grid = voxelize(points, max(0.012 * float(np.linalg.norm(high - low)), 1e-4))
    position = mean_per_voxel(points - grid.origin, grid).astype(np.float64)
    normal = voxel_normals(grid.coords, position).astype(np.float64)
    if optical:  # a camera sees the front of a surface
        normal[np.einsum("ij,ij->i", normal, position + grid.origin) > 0] *= -1
    sample = normal[normal.any(1)]
    sample = sample[:: len(sample) // 3000 + 1]
    candidates = _directions_around(prior, cone)
    tilt = np.arccos(np.clip(candidates @ prior, -1, 1))
    # To a camera pitched far down a wall looks like a ceiling: only a level camera counts them.
    below = (tilt < np.deg2rad(25.0)) | (not optical)
    score = _support(candidates.astype(np.float32), sample.astype(np.float32), below)
    up = candidates[np.argmax(score * (1 - 0.1 * (tilt / cone) ** 2))]
    return _measured_on_plane(up, prior, position, normal, grid.voxel_size)


def finite_rows(xyz: NDArray[Any]) -> NDArray[np.int32]:
    """The rows of float [N, 3] without NaN and infinity: int32, ascending."""
    return _finite_rows(xyz)  # type: ignore[no-any-return]


def rotation_to_z(up: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest rotation R [3, 3] with R @ up = (0, 0, 1); aligned points are xyz @ R.T.

    Args:
        up: float [3], any length but zero.

    Raises:
        InputError: `up` is zero or not finite.
    """
    vector = np.asarray(up, dtype=np.float64).reshape(-1)
    length = np.linalg.norm(vector)
    if vector.shape != (3,) or not np.isfinite(length) or length == 0:
        raise InputError(f"up is {vector.tolist()}; give three finite numbers that are not all 0")
    x, y, z = vector / length
    flat = x * x + y * y
    if z < 0 and flat < 1e-200:
        return np.diag([1.0, -1.0, -1.0])  # straight down: every half turn is as small
    # 1 / (1 + z), whose sum would lose its digits near straight down.
    share = 1 / (1 + z) if z >= 0 else (1 - z) / flat
    return np.array(
        [
            [1 - x * x * share, -x * y * share, -x],
            [-x * y * share, 1 - y * y * share, -y],
            [x, y, z],
        ]
    )


def _in_optical_frame(points: NDArray[np.float64]) -> bool:
    """Whether a cloud looks like one camera's view: all in front, within 60 degrees of +z."""
    x, y, z = points.T
    if z.min() <= 0:
        return False
    slope = np.abs(np.stack([x, y]))[:, ::5] / z[::5]
    return bool(np.percentile(slope, 99, axis=1).max() < 1.75)


def _directions_around(axis: NDArray[np.float64], cone: float) -> NDArray[np.float64]:
    """Unit vectors [K, 3] within an angle of an axis, about 3 degrees apart, the axis first."""
    count = int(2 * np.pi * (1 - np.cos(cone)) / np.deg2rad(3.0) ** 2)
    z = 1 - np.arange(count) / count * (1 - np.cos(cone))
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))  # Fibonacci spiral
    ring = np.sqrt(1 - z * z)
    around_z = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    return around_z @ rotation_to_z(axis)


def _measured_on_plane(
    up: NDArray[np.float64],
    prior: NDArray[np.float64],
    position: NDArray[np.float64],
    normal: NDArray[np.float64],
    step: float,
) -> NDArray[np.float64]:
    """Refine an up that is right within a few degrees."""
    for _ in range(3):
        # Least variance along walls and most across floors; alone, a wall leaves a circle of
        # directions, of which the prior takes the nearest.
        spread = _spread_of_normals(normal, up) - 1e-3 * len(normal) * np.outer(prior, prior)
        up = np.linalg.eigh(spread)[1][:, 0]
        up = up if up @ prior > 0 else -up
    for _ in range(3):
        count, spread = _largest_plane(position, normal, up, step)
        if count < max(20, 0.03 * len(normal)):
            return up
        up_before, up = up, np.linalg.eigh(spread)[1][:, 0]
        up = up if up @ up_before > 0 else -up
    return up


@compiled
def _finite_rows(xyz):  # type: ignore[no-untyped-def]
    rows = np.empty(len(xyz), np.int32)
    found = 0
    for i in range(len(xyz)):
        rows[found] = i
        total = xyz[i, 0] * 0 + xyz[i, 1] * 0 + xyz[i, 2] * 0
        found += total == 0
    return rows[:found].copy()


@compiled
def _support(candidates, normals, below):  # type: ignore[no-untyped-def]
    """How much surface each candidate up [K, 3] explains: float64 [K].

    Args:
        normals: float32 [S, 3].
        below: bool [K], whether surfaces that face down count.
    """
    # All candidates for one normal after another: that loop a processor does eight at a time.
    a, b, c = candidates[:, 0].copy(), candidates[:, 1].copy(), candidates[:, 2].copy()
    least = np.where(below, np.float32(-2), np.float32(0))
    score = np.zeros(len(candidates), np.float32)
    zero, one, per_width = np.float32(0), np.float32(1), np.float32(1) / WIDTH
    for i in range(len(normals)):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        for k in range(len(a)):
            cosine = a[k] * x + b[k] * y + c[k] * z
            square = cosine * cosine
            across = max(one - (one - square) * per_width, zero)
            along = max(one - square * per_width, zero)
            score[k] += (across if cosine > least[k] else zero) + ALONG * along
    return score


@compiled
def _spread_of_normals(normal, up):  # type: ignore[no-untyped-def]
    """Σ n nᵀ of the normals across `up` less that of those along it, float64 [3, 3]."""
    spread = np.zeros((3, 3))
    for i in range(len(normal)):
        cosine = abs(normal[i, 0] * up[0] + normal[i, 1] * up[1] + normal[i, 2] * up[2])
        sign = 1.0 if cosine < LEVEL_SINE else (-1.0 if cosine > LEVEL_COSINE else 0.0)
        if sign != 0:
            for row in range(3):
                for column in range(3):
                    spread[row, column] += sign * normal[i, row] * normal[i, column]
    return spread


@compiled
def _largest_plane(position, normal, up, step):  # type: ignore[no-untyped-def]
    """Of the points whose normals lie along `up`: how many there are, and the covariance of those
    at the height of most, float64 [3, 3]."""
    height = np.full(len(position), np.nan)
    low, high, count = np.inf, -np.inf, 0
    for i in range(len(position)):
        if abs(normal[i, 0] * up[0] + normal[i, 1] * up[1] + normal[i, 2] * up[2]) > LEVEL_COSINE:
            h = position[i, 0] * up[0] + position[i, 1] * up[1] + position[i, 2] * up[2]
            height[i] = h
            low, high = min(low, h), max(high, h)
            count += 1
    spread = np.zeros((3, 3))
    if count == 0:
        return count, spread
    level = np.zeros(int((high - low) / step) + 3, np.int64)
    for i in range(len(height)):
        if height[i] == height[i]:
            level[int((height[i] - low) / step) + 1] += 1
    peak, most = 0, -1
    for i in range(1, len(level) - 1):
        around = level[i - 1] + level[i] + level[i + 1]
        if around > most:
            peak, most = i, around
    middle = low + (peak - 0.5) * step
    mean, near = np.zeros(3), 0
    for i in range(len(height)):
        if abs(height[i] - middle) < 1.5 * step:
            mean += position[i]
            near += 1
    mean /= near
    for i in range(len(height)):
        if abs(height[i] - middle) < 1.5 * step:
            away = position[i] - mean
            for row in range(3):
                for column in range(3):
                    spread[row, column] += away[row] * away[column]
    return count, spread / near
