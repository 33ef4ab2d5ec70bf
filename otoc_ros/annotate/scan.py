"""A scene's scan as the page shows it: upright, thinned, cut into super-voxels."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.annotate.picking import RayPicker
from otoc_ros.core.cloud import Cloud, estimate_up, rotation_to_z
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.voxels import voxelize
from otoc_ros.site.clicks import Click
from otoc_ros.site.scene import Scene

MOST_DRAWN = 200_000  # points; browsers without a graphics card turn these smoothly


class Segments:
    """The super-voxels of a scan, found just as training finds them."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._nearest = cKDTree(prepared.xyz)
        self.count = prepared.n_supervoxels
        finite = prepared.voxel_of_point[prepared.voxel_of_point >= 0]
        self.of_point: NDArray[np.int32] = prepared.supervoxel[finite]  # [N], finite points only

    def at(self, position: tuple[float, float, float]) -> int:
        """The super-voxel that a click there labels; the position is in the scene's frame."""
        place = self._prepared.rotation @ np.array(position) - self._prepared.grid.origin
        return int(self._prepared.supervoxel[self._nearest.query(place)[1]])

    def labels(self, clicks: Iterable[Click], class_row: dict[str, int]) -> NDArray[np.int32]:
        """Class of every super-voxel [M], -1 = not clicked; of two clicks the later one holds."""
        label = np.full(self.count, -1, np.int32)
        for click in clicks:
            if click.kind != "exclude" and click.position and click.class_name:
                label[self.at(click.position)] = class_row[click.class_name]
        return label


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan, ready to be shown.

    Attributes:
        xyz: float32 [N, 3], its finite points, metres; z up from the floor, centred.
        rgb: uint8 [N, 3] or None.
        order: int64 [N], rows; any first part of it is spread evenly over the surfaces.
        spacing: metres between neighbours when as many points are drawn as may be.
        picker: finds points by rays in the frame of `xyz`.
        segments: the super-voxels, once they are there.
    """

    scene: Scene
    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None
    order: NDArray[np.int64]
    spacing: float
    picker: RayPicker
    segments: Future[Segments]
    _points: NDArray[np.float32]  # the same rows in the scene's frame
    _shift: NDArray[np.float64]
    _rotation: NDArray[np.float64]

    @staticmethod
    def load(scene: Scene, voxel_size: float, background: Executor) -> Scan:
        """Read a scan; super-voxels come later, from `background`.

        Raises:
            InputError: the scan is missing or damaged.
        """
        cloud = scene.cloud()
        finite = np.isfinite(cloud.xyz).all(1)
        cloud = cloud.take(np.flatnonzero(finite))
        up = estimate_up(cloud.xyz) if scene.meta.up is None else np.array(scene.meta.up)
        rotation = rotation_to_z(up)
        aligned = cloud.xyz.astype(np.float64) @ rotation.T
        shift = (aligned.min(0) + aligned.max(0)) / 2
        shift[2] = np.percentile(aligned[:, 2], 1)  # the floor
        xyz = (aligned - shift).astype(np.float32)
        order, voxels = _evenly(xyz, voxel_size)
        spacing = voxel_size * float(np.sqrt(max(1, voxels) / min(len(xyz), MOST_DRAWN)))
        return Scan(
            scene=scene,
            xyz=xyz,
            rgb=cloud.rgb,
            order=order,
            spacing=spacing,
            picker=RayPicker(xyz, spacing),
            segments=background.submit(_segment, cloud, voxel_size, up),
            _points=cloud.xyz,
            _shift=shift,
            _rotation=rotation,
        )

    def found_segments(self) -> Segments | None:
        """The super-voxels if they are known already."""
        known = self.segments.done() and self.segments.exception() is None
        return self.segments.result() if known else None

    def drawn(self, ceiling: float) -> NDArray[np.int64]:
        """Rows of the points to draw: evenly chosen ones not above a height."""
        shown: NDArray[np.int64] = self.order[self.xyz[self.order, 2] <= ceiling][:MOST_DRAWN]
        return shown

    def scene_position(self, row: int) -> tuple[float, float, float]:
        """A point in the scene's own frame."""
        x, y, z = self._points[row].tolist()
        return x, y, z

    def shown_position(self, position: tuple[float, float, float]) -> NDArray[np.float64]:
        """Where the page shows a place of the scene's frame: [3]."""
        shown: NDArray[np.float64] = self._rotation @ np.array(position) - self._shift
        return shown


def _segment(cloud: Cloud, voxel_size: float, up: NDArray[np.float64]) -> Segments:
    return Segments(preprocess(cloud, Preprocessing(voxel_size=voxel_size), up))


def _evenly(xyz: NDArray[np.float32], voxel_size: float) -> tuple[NDArray[np.int64], int]:
    """Rows so that every voxel's first point comes before any second one; number of voxels."""
    shuffled = np.random.default_rng(0).permutation(len(xyz))
    voxel = voxelize(xyz, voxel_size).voxel_of_point[shuffled]
    counts = np.bincount(voxel)
    by_voxel = np.argsort(voxel, kind="stable")
    rank = np.empty(len(xyz), np.int64)
    rank[by_voxel] = np.arange(len(xyz)) - np.repeat(np.cumsum(counts) - counts, counts)
    return shuffled[np.argsort(rank, kind="stable")], len(counts)
