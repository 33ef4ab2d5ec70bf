"""A point cloud as arrays, and the direction that is up in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.errors import InputError
from otoc_ros.core.normals import voxel_normals
from otoc_ros.core.voxels import mean_per_voxel, voxelize

# A surface speaks for an up direction that is right within 7 degrees.
WIDTH = np.float32(np.sin(np.deg2rad(7.0)) ** 2)


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
    points = np.asarray(xyz, dtype=np.float64)
    points = points[np.isfinite(points).all(1)]
    if len(points) == 0:
        raise InputError("the cloud has no finite point to tell up from; check the sensor")
    optical = _in_optical_frame(points)
    prior = np.array([0.0, -1.0, 0.0]) if optical else np.array([0.0, 0.0, 1.0])
    cone = np.deg2rad(55.0 if optical else 30.0)
    low, high = np.percentile(points[:: len(points) // 20_000 + 1], [5, 95], axis=0)
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
    cosine = (candidates @ sample.T).astype(np.float32)
    square = cosine * cosine
    # To a camera pitched far down a wall looks like a ceiling: only a level camera counts them.
    below = (tilt < np.deg2rad(25.0)) | (not optical)
    counts = (cosine > 0) | below[:, None]
    score = np.maximum(1 - (1 - square) / WIDTH, 0).sum(1, where=counts)
    score += 0.3 * np.maximum(1 - square / WIDTH, 0).sum(1)
    up = candidates[np.argmax(score * (1 - 0.1 * (tilt / cone) ** 2))]
    return _measured_on_plane(up, prior, position, normal, grid.voxel_size)


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
    if z < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])  # straight down: every half turn is as small
    return np.array(
        [
            [1 - x * x / (1 + z), -x * y / (1 + z), -x],
            [-x * y / (1 + z), 1 - y * y / (1 + z), -y],
            [x, y, z],
        ]
    )


def _in_optical_frame(points: NDArray[np.float64]) -> bool:
    """Whether a cloud looks like one camera's view: all in front, within 60 degrees of +z."""
    x, y, z = points.T
    if z.min() <= 0:
        return False
    return bool(max(np.percentile(np.abs(x) / z, 99), np.percentile(np.abs(y) / z, 99)) < 1.75)


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
        cosine = normal @ up
        across = np.abs(cosine) > np.cos(np.deg2rad(8.0))
        along = np.abs(cosine) < np.sin(np.deg2rad(8.0))
        # Least variance along walls and most across floors; alone, a wall leaves a circle of
        # directions, of which the prior takes the nearest.
        spread = normal[along].T @ normal[along] - normal[across].T @ normal[across]
        spread -= 1e-3 * len(normal) * np.outer(prior, prior)
        up = np.linalg.eigh(spread)[1][:, 0]
        up = up if up @ prior > 0 else -up
    for _ in range(3):
        across = np.abs(normal @ up) > np.cos(np.deg2rad(8.0))
        if np.count_nonzero(across) < max(20, 0.03 * len(normal)):
            return up
        height = position[across] @ up
        level = np.bincount(((height - height.min()) / step).astype(np.int64))
        peak = height.min() + (np.argmax(np.convolve(level, [1, 1, 1], "same")) + 0.5) * step
        plane = position[across][np.abs(height - peak) < 1.5 * step]
        up_before, up = up, np.linalg.eigh(np.cov(plane.T))[1][:, 0]
        up = up if up @ up_before > 0 else -up
    return up
