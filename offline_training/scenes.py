"""Scenes as training sees them: prepared once, with the raw views behind them and the clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline_training.one_by_one import OneByOne
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.tiling import cut
from otoc_ros.core.voxels import voxelize
from otoc_ros.site.classes import class_id
from otoc_ros.site.clicks import Click
from otoc_ros.site.scene import Scene

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

THINNING = 0.4  # voxels between the points that training keeps
SNAP = 0.25  # metres; a click farther from every point means nothing
MOST_VOXELS = 500_000  # of a part of a scan, from which crops are drawn; a room at 2 cm is one
DOUBTED = "doubted"  # kind of a click whose object looks like another class
OVERLAP = 32  # voxels around a part that it shares with others


@dataclass(frozen=True, eq=False)
class TrainingCloud:
    """One cloud of a scene (the fused scan, a part of it, or a raw view), aligned, point by point.

    Attributes:
        xyz: float32 [P, 3], aligned frame of the scene, metres.
        rgb: float32 [P, 3] in 0..1, or None.
        normal: float32 [P, 3].
        height: float32 [P], metres above the lowest points of this cloud.
        voxel: int32 [P], row of the fused scan's voxel that the point belongs to, -1 = none near.
        density: points in each of the voxels that the cloud has, on average.
    """

    xyz: F32
    rgb: F32 | None
    normal: F32
    height: F32
    voxel: I32
    density: float


@dataclass(frozen=True, eq=False)
class Mark:
    """A click on the scene's super-voxels."""

    kind: str  # click, accept, exclude or DOUBTED
    class_id: int  # of a doubted click what its object looks like
    object: int
    supervoxel: int

    @property
    def names(self) -> bool:
        """Whether it says of which class an object is; one that excludes says of which not."""
        return self.kind != "exclude"

    @property
    def holds(self) -> bool:
        """Whether it does, and nobody doubts it."""
        return self.names and self.kind != DOUBTED


@dataclass(frozen=True, eq=False)
class VoxelTruth:
    """Ground truth of the fused scan's voxels: int32 [V], -1 / 0 = unknown."""

    semantic: I32
    instance: I32


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """What training keeps of one scene.

    Attributes:
        parts: the fused scan; of a very large one parts that overlap.
        views: the raw views.
        sensors: float32 [K, 3], where the views were taken from, in the frame of `prepared.xyz`.
    """

    name: str
    prepared: Prepared
    parts: Sequence[TrainingCloud]
    views: Sequence[TrainingCloud]
    marks: tuple[Mark, ...]
    sensors: F32 = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    def only(self, part: int) -> TrainingScene:
        """The scene with one of its parts, for crops."""
        return replace(self, parts=(self.parts[part],))


def load_scene(scene: Scene, settings: Preprocessing) -> TrainingScene:
    """Read and prepare a scene and its raw views.

    The fused scan goes through the very function that the live node uses. Ground truth is not
    read here: see `voxel_truth`.
    """
    cloud = scene.cloud()
    up = None if scene.meta.up is None else np.array(scene.meta.up)
    prepared = preprocess(cloud, settings, up)
    nearest = cKDTree(prepared.xyz)
    views = []
    for row, view in enumerate(scene.meta.views):
        seen = _moved(scene.view_cloud(row), np.array(view.pose))
        prepared_view = preprocess(seen, settings, prepared.rotation[2])
        shift = (prepared_view.grid.origin - prepared.grid.origin).astype(np.float32)
        distance, voxel = nearest.query(prepared_view.xyz + shift)
        voxel[distance > 1.5 * settings.voxel_size] = -1
        everything = np.arange(len(prepared_view.xyz))
        of_point = prepared_view.to_points(voxel.astype(np.int32), fill=-1)
        views.append(_training_cloud(seen, prepared_view, everything, of_point))
    marks = tuple(
        _mark(click, scene, prepared, nearest) for click in scene.clicks() if click.position
    )
    places = np.array([np.array(view.pose)[:3, 3] for view in scene.meta.views]).reshape(-1, 3)
    sensors = (places @ prepared.rotation.T - prepared.grid.origin).astype(np.float32)
    parts = _parts(cloud, prepared)
    return TrainingScene(scene.name, prepared, parts, tuple(views), marks, sensors)


def voxel_truth(scene: Scene, prepared: Prepared) -> VoxelTruth:
    """The scene's ground truth on its voxels, by majority of their points.

    Raises:
        InputError: the scene has no truth.
    """
    truth = scene.truth()
    if truth is None:
        raise InputError(f"scene {scene.name} has no truth.npz; use --labels clicks")
    rows, voxels = prepared.voxel_of_point, len(prepared.xyz)
    return VoxelTruth(
        majority(truth.semantic, rows, voxels), majority(truth.instance, rows, voxels)
    )


def majority(values: I32, rows: I32, count: int) -> I32:
    """The most frequent value among the points of each row (ties: the smallest).

    Args:
        values: int32 [N].
        rows: int32 [N], row of each point, -1 = none.
        count: rows; each has at least one point.
    """
    inside = rows >= 0
    pairs, votes = np.unique(
        np.column_stack([rows[inside], values[inside]]), axis=0, return_counts=True
    )
    order = np.lexsort((pairs[:, 1], -votes, pairs[:, 0]))
    _, first = np.unique(pairs[order, 0], return_index=True)
    result = np.zeros(count, np.int32)
    result[pairs[order[first], 0]] = pairs[order[first], 1]
    return result


def _parts(cloud: Cloud, prepared: Prepared) -> Sequence[TrainingCloud]:
    """The fused scan for training: all of it, or one part after the other, made when asked for."""
    rows = [tile.rows for tile in cut(prepared.grid.coords, MOST_VOXELS, OVERLAP)]

    def part(number: int) -> TrainingCloud:
        return _training_cloud(cloud, prepared, rows[number], prepared.voxel_of_point)

    return (part(0),) if len(rows) == 1 else OneByOne(len(rows), part)


def _training_cloud(
    cloud: Cloud, prepared: Prepared, rows: NDArray[np.int64], voxel: I32
) -> TrainingCloud:
    """The points that lie in some of the voxels of `prepared`."""
    wanted = np.zeros(len(prepared.xyz) + 1, bool)  # the last one for points without a voxel
    wanted[rows] = True
    kept = np.flatnonzero(wanted[prepared.voxel_of_point])
    aligned = cloud.xyz[kept].astype(np.float64) @ prepared.rotation.T
    # More points than this change no voxel of a turned crop, but every step would pay for them.
    fine = voxelize(aligned, THINNING * prepared.settings.voxel_size)
    first = np.empty(len(fine.coords), np.int32)
    first[fine.voxel_of_point[::-1]] = np.arange(len(kept), dtype=np.int32)[::-1]
    kept, aligned = kept[first], aligned[first]
    own = prepared.voxel_of_point[kept]
    return TrainingCloud(
        xyz=aligned.astype(np.float32),
        rgb=None if cloud.rgb is None else cloud.rgb[kept].astype(np.float32) / np.float32(255),
        normal=prepared.normal[own],
        height=prepared.height[own],
        voxel=voxel[kept],
        density=len(kept) / len(rows),
    )


def _mark(click: Click, scene: Scene, prepared: Prepared, nearest: cKDTree) -> Mark:
    place = prepared.rotation @ np.array(click.position) - prepared.grid.origin
    distance, voxel = nearest.query(place)
    if distance > SNAP:
        raise InputError(
            f"{scene.clicks_path}: click {click.id} lies {distance:.2f} m from the nearest point "
            f"of scene {scene.name}; withdraw it or give its position in the scene's frame"
        )
    assert click.class_name is not None, "only a withdraw has no class"
    return Mark(
        click.kind,
        class_id(scene.classes, click.class_name),
        click.object,
        int(prepared.supervoxel[voxel]),
    )


def _moved(cloud: Cloud, pose: NDArray[np.float64]) -> Cloud:
    xyz = cloud.xyz.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    return Cloud(xyz.astype(np.float32), cloud.rgb)
