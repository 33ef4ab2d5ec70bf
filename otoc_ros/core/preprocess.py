"""From a cloud to what the networks see: one function, for training and for the live node.

Verbs in order: drop what is not finite, align, voxelise, average, describe, cut into super-voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from otoc_ros.core.borders import Borders, find_borders
from otoc_ros.core.cloud import Cloud, estimate_up, finite_rows, rotation_to_z
from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError
from otoc_ros.core.normals import sharp_normals
from otoc_ros.core.supervoxels import supervoxels
from otoc_ros.core.turned import Turned
from otoc_ros.core.voxels import VoxelGrid, mean_per_voxel

Feature = Literal[
    "one", "red", "green", "blue", "height", "upness", "inner_x", "inner_y", "inner_z", "texture"
]
INNER: tuple[Feature, ...] = ("inner_x", "inner_y", "inner_z")

# Default edge of a super-voxel of average area: 8 cm on a table of 5 mm voxels, 16 cm in a room of
# 2 cm, 25 cm at 5 cm. Smaller voxels see smaller things, but things do not shrink in proportion.
# Larger ones mix classes under a click: on the dev rooms at 5 cm, clicked super-voxels of 38 cm
# reach 0.885 mIoU, of 25 cm 0.92.
SUPERVOXEL_SIZE_AT_1_M = 1.1
TALLEST = 4.0  # metres; height above this says nothing more
TEXTURE = np.float32(5)  # brightness varies little within a voxel


class Preprocessing(BaseModel):
    """How a network's clouds are prepared; stored inside every bundle.

    Attributes:
        voxel_size: edge length of a voxel, metres.
        supervoxel_size: edge length of a super-voxel of average area, metres; 1.1 times the
            root of the voxel size if left out. Super-voxels adapt: large on bare walls, small on
            cluttered tables.
        features: the columns of `Prepared.features`, in order. `one` is 1; `red`, `green`, `blue`
            are the voxel's mean colour minus 0.5, 0 without colour; `height` runs from -0.5 at the
            cloud's lowest percentile to 1.5 at 4 m above it; `upness` is normal_z²; `inner_x`,
            `inner_y`, `inner_z` say where in its voxel the mean position lies, -0.5 to 0.5 voxels:
            a picture stands less than a voxel proud of its wall; `texture` is five times the
            standard deviation of the brightness of its points, 0 without colour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    voxel_size: float = Field(gt=0, allow_inf_nan=False)
    supervoxel_size: float = Field(default=0.0, gt=0, allow_inf_nan=False)
    features: tuple[Feature, ...] = Field(
        default=("one", "red", "green", "blue", "height", "upness", *INNER, "texture"),
        min_length=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_supervoxel_size(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("supervoxel_size") is None:
            with suppress(KeyError, TypeError, ValueError):  # pydantic names a bad voxel_size
                size = SUPERVOXEL_SIZE_AT_1_M * float(data["voxel_size"]) ** 0.5
                data = {**data, "supervoxel_size": size}
        return data


@dataclass(frozen=True, eq=False)
class Prepared:
    """One cloud of N points as V voxels and M super-voxels.

    Attributes:
        settings: what it was prepared with.
        rotation: float64 [3, 3], input to aligned frame: aligned = xyz @ rotation.T, z up.
        grid: the voxels of the finite points, in the aligned frame; `grid.voxel_of_point` has one
            row a finite point.
        voxel_of_point: int32 [N], row of the voxel of every point of the cloud; -1 = dropped.
        xyz: float32 [V, 3], mean position, metres, aligned, relative to `grid.origin`.
        rgb: float32 [V, 3], mean colour in 0..1, or None.
        normal: float32 [V, 3], aligned, z ≥ 0, unit length or zero.
        height: float32 [V], metres above the cloud's floor.
        features: float32 [V, F], the network's input.
        supervoxel: int32 [V], 0 to n_supervoxels - 1.
        n_supervoxels: M.
    """

    settings: Preprocessing
    rotation: NDArray[np.float64]
    grid: VoxelGrid
    voxel_of_point: NDArray[np.int32]
    xyz: NDArray[np.float32]
    rgb: NDArray[np.float32] | None
    normal: NDArray[np.float32]
    height: NDArray[np.float32]
    features: NDArray[np.float32]
    supervoxel: NDArray[np.int32]
    n_supervoxels: int

    @cached_property
    def borders(self) -> Borders:
        """Where super-voxels touch; found when it is asked for, once."""
        return find_borders(self.grid.coords, self.xyz, self.supervoxel, self.n_supervoxels)

    def to_points(self, values: NDArray[Any], fill: Any) -> NDArray[Any]:
        """Values of the voxels [V, …] on the cloud's points [N, …]; `fill` on dropped points."""
        rows = np.asarray(values)
        if rows.ndim == 1:
            return _spread(rows, self.voxel_of_point, rows.dtype.type(fill))  # type: ignore[no-any-return]
        points = rows[self.voxel_of_point]
        points[self.voxel_of_point < 0] = fill
        return points


def _nobody(stage: str) -> None:
    """Nobody wants to know how long a stage took."""


def preprocess(
    cloud: Cloud,
    settings: Preprocessing,
    up: NDArray[np.float64] | None = None,
    lap: Callable[[str], object] = _nobody,
) -> Prepared:
    """Prepare a cloud for the networks.

    Args:
        cloud: N points in any frame; points that are not finite are dropped.
        up: float [3], the direction against gravity in the cloud's frame; estimated if None.
        lap: called with the name of each stage when it is done: align, voxels, supervoxels.

    Raises:
        InputError: no finite point, or more voxels along an axis than a grid holds.
    """
    rows = finite_rows(cloud.xyz)
    if len(rows) == 0:
        raise InputError(f"none of the cloud's {len(cloud)} points is finite; check the sensor")
    rotation = rotation_to_z(estimate_up(cloud.xyz) if up is None else up)
    turned = Turned.about(cloud.xyz, rows, rotation)
    lap("align")
    grid = turned.grid(settings.voxel_size)
    xyz = turned.mean_per_voxel(grid)
    rgb = texture = None
    if cloud.rgb is not None:
        seen = cloud.rgb if len(rows) == len(cloud) else np.take(cloud.rgb, rows, axis=0)
        rgb = mean_per_voxel(seen, grid) / np.float32(255)
        if "texture" in settings.features:  # bundles of former versions do without it
            texture = brightness_deviation(seen, grid) / np.float32(255)
    normal = sharp_normals(grid.coords, xyz)
    height = height_above_floor(xyz[:, 2])
    lap("voxels")
    ids = supervoxels(
        grid.coords,
        xyz,
        rgb,
        normal,
        voxel_size=settings.voxel_size,
        size=settings.supervoxel_size,
    )
    lap("supervoxels")
    voxel_of_point = grid.voxel_of_point
    if len(rows) < len(cloud):
        voxel_of_point = np.full(len(cloud), -1, np.int32)
        voxel_of_point[rows] = grid.voxel_of_point
    return Prepared(
        settings=settings,
        rotation=rotation,
        grid=grid,
        voxel_of_point=voxel_of_point,
        xyz=xyz,
        rgb=rgb,
        normal=normal,
        height=height,
        features=assemble_features(
            settings.features,
            rgb=rgb,
            texture=texture,
            height=height,
            upness=normal[:, 2] ** 2,
            inner=inner_position(xyz, grid.coords, settings.voxel_size),
        ),
        supervoxel=ids,
        n_supervoxels=int(ids.max()) + 1,
    )


def warm_up() -> None:
    """Compile every loop that `preprocess` uses, before the first live cloud waits for it."""
    xyz = np.random.default_rng(0).random((500, 3), dtype=np.float32)
    settings = Preprocessing(voxel_size=0.05)
    preprocess(Cloud(xyz), settings)
    preprocess(Cloud(xyz, np.zeros((500, 3), np.uint8)), settings)


def assemble_features(
    names: tuple[Feature, ...],
    *,
    rgb: NDArray[np.float32] | None,
    texture: NDArray[np.float32] | None,
    height: NDArray[np.float32],
    upness: NDArray[np.float32],
    inner: NDArray[np.float32],
) -> NDArray[np.float32]:
    """What the networks see of V voxels; training comes here too, with turned and recoloured ones.

    Args:
        names: see `Preprocessing.features`.
        rgb: float32 [V, 3] in 0..1, or None.
        texture: float32 [V], `brightness_deviation` of colours in 0..1, or None.
        height: float32 [V], metres above the cloud's floor, from `height_above_floor`.
        upness: float32 [V], normal_z².
        inner: float32 [V, 3], from `inner_position`.

    Returns:
        float32 [V, F].
    """
    columns = np.empty((len(height), len(names)), np.float32)
    for column, name in zip(columns.T, names, strict=True):
        if name == "one":
            column[:] = 1
        elif name == "height":
            column[:] = np.clip(height, 0, TALLEST) * np.float32(2 / TALLEST) - np.float32(0.5)
        elif name == "upness":
            column[:] = upness
        elif name in INNER:
            column[:] = inner[:, INNER.index(name)]
        elif name == "texture":
            column[:] = 0 if texture is None else TEXTURE * texture
        else:
            channel = ("red", "green", "blue").index(name)
            column[:] = 0 if rgb is None else rgb[:, channel] - np.float32(0.5)
    return columns


def inner_position(
    xyz: NDArray[np.float32], coords: NDArray[np.int32], voxel_size: float
) -> NDArray[np.float32]:
    """Where in their voxels positions lie, in voxels from the middle: float32 [V, 3].

    Args:
        xyz: float32 [V, 3], metres from the origin of the grid.
        coords: int32 [V, 3].
    """
    inner: NDArray[np.float32] = xyz / np.float32(voxel_size) - coords.astype(np.float32)
    return inner - np.float32(0.5)


def brightness_deviation(rgb: NDArray[Any], grid: VoxelGrid) -> NDArray[np.float32]:
    """Standard deviation of the brightness of each voxel's points, in the colours' unit.

    Estimated with n - 1, so that a thinned cloud has about the texture of the whole.

    Args:
        rgb: number [N, 3] of the grid's points; brightness is the mean of the three.

    Returns:
        float32 [V], 0 for a voxel of one point.
    """
    return _brightness_deviation(rgb, grid.voxel_of_point, grid.points_per_voxel)  # type: ignore[no-any-return]


def height_above_floor(z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Metres above the lowest percentile of the voxels: float32 [V]."""
    above: NDArray[np.float32] = z - np.float32(np.percentile(z, 1))
    return above


@compiled
def _brightness_deviation(rgb, voxel_of_point, points_per_voxel):  # type: ignore[no-untyped-def]
    voxels = len(points_per_voxel)
    total, squares = np.zeros(voxels), np.zeros(voxels)
    for i in range(len(rgb)):
        brightness = (np.float64(rgb[i, 0]) + rgb[i, 1] + rgb[i, 2]) / 3
        total[voxel_of_point[i]] += brightness
        squares[voxel_of_point[i]] += brightness * brightness
    deviation = np.empty(voxels, np.float32)
    for v in range(voxels):
        n = points_per_voxel[v]
        variance = (squares[v] - total[v] * total[v] / n) / max(n - 1, 1)
        deviation[v] = np.sqrt(max(variance, 0.0))
    return deviation


@compiled
def _spread(values, row_of_point, fill):  # type: ignore[no-untyped-def]
    points = np.empty(len(row_of_point), values.dtype)
    for i in range(len(points)):
        points[i] = values[row_of_point[i]] if row_of_point[i] >= 0 else fill
    return points
