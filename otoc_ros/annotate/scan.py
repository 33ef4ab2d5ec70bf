"""A scene's scan as the page shows it: upright, thinned, and every point of it within reach."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoc_ros.annotate.clip import EVERYWHERE, Box, within
from otoc_ros.annotate.helper import Helper
from otoc_ros.annotate.picking import RayPicker
from otoc_ros.annotate.segments import Segments
from otoc_ros.core.cloud import Cloud, estimate_up, rotation_to_z
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.core.voxels import voxelize
from otoc_ros.site.scene import Scene

MOST_DRAWN = 80_000  # points; a browser without a graphics card needs some µs for each
FIRST_DRAWN = 20_000  # of the first picture of a window, so that it comes soon
ELSEWHERE = 0.15  # share of them outside the view, for when it is turned


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan, ready to be shown.

    Attributes:
        xyz: float32 [N, 3], its finite points, metres; z up from the floor, centred.
        rgb: uint8 [N, 3] or None.
        order: int64 [N], rows; any first part of it is spread evenly over the surfaces.
        spacing: metres between neighbours when as many points are drawn as may be.
        picker: finds points by rays in the frame of `xyz`; segments: the super-voxels. Both come a
            moment after the picture.
    """

    scene: Scene
    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None
    order: NDArray[np.int64]
    spacing: float
    picker: Future[RayPicker]
    segments: Future[Segments]
    _points: NDArray[np.float32]  # the same rows in the scene's frame
    _shift: NDArray[np.float64]
    _rotation: NDArray[np.float64]

    @staticmethod
    def load(
        scene: Scene,
        voxel_size: float,
        background: Executor,
        helper: Helper | None = None,
        pickers: Executor | None = None,
    ) -> Scan:
        """Read a scan; what takes longer comes later, from `background`.

        Args:
            helper: the networks that compare places; None: geometry and colour alone do.
            pickers: where the picker is made, so that a click need not wait for the super-voxels of
                other scenes; `background` if None.

        Raises:
            InputError: the scan is missing or damaged.
        """
        cloud = scene.cloud()
        finite = np.isfinite(cloud.xyz).all(1)
        if not finite.all():
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
            picker=(pickers or background).submit(RayPicker, xyz, spacing),
            segments=background.submit(_segment, cloud, voxel_size, up, shift, helper),
            _points=cloud.xyz,
            _shift=shift,
            _rotation=rotation,
        )

    def found_segments(self) -> Segments | None:
        """The super-voxels if they are known already."""
        known = self.segments.done() and self.segments.exception() is None
        return self.segments.result() if known else None

    def drawn(
        self, box: Box, seen: NDArray[np.bool_] | None = None, most: int | None = None
    ) -> NDArray[np.int64]:
        """Rows of the points to draw, spread evenly over the surfaces.

        Args:
            box: points outside it are hidden.
            seen: bool [N], points in sight: most of what is drawn is taken from them; None: all.
            most: points at most, `MOST_DRAWN` if None.
        """
        most = MOST_DRAWN if most is None else most
        ordered = self.order[within(self.xyz[self.order], box)] if box != EVERYWHERE else self.order
        if seen is None or len(ordered) <= most:
            return ordered[:most]
        near = seen[ordered]
        in_sight = ordered[near][: round(most * (1 - ELSEWHERE))]
        others = ordered[~near][: most - len(in_sight)]
        shown: NDArray[np.int64] = np.concatenate([in_sight, others])
        return shown

    def scene_position(self, row: int) -> tuple[float, float, float]:
        """A point in the scene's own frame."""
        x, y, z = self._points[row].tolist()
        return x, y, z

    def shown_position(self, position: tuple[float, float, float]) -> NDArray[np.float64]:
        """Where the page shows a place of the scene's frame: [3]."""
        shown: NDArray[np.float64] = self._rotation @ np.array(position) - self._shift
        return shown

    def scene_place(self, shown: NDArray[np.float32]) -> tuple[float, float, float]:
        """A place of the page's frame in the scene's own."""
        x, y, z = (self._rotation.T @ (shown.astype(np.float64) + self._shift)).tolist()
        return x, y, z


def _segment(
    cloud: Cloud,
    voxel_size: float,
    up: NDArray[np.float64],
    shift: NDArray[np.float64],
    helper: Helper | None,
) -> Segments:
    prepared = preprocess(cloud, Preprocessing(voxel_size=voxel_size), up)
    seen = None if helper is None else helper.features(cloud, up, voxel_size)
    return Segments(prepared, shift, seen)


def _evenly(xyz: NDArray[np.float32], voxel_size: float) -> tuple[NDArray[np.int64], int]:
    """Rows so that every voxel's first point comes before any second one; number of voxels."""
    shuffled = np.random.default_rng(0).permutation(len(xyz))
    voxel = voxelize(xyz, voxel_size).voxel_of_point[shuffled]
    counts = np.bincount(voxel)
    by_voxel = np.argsort(voxel, kind="stable")
    rank = np.empty(len(xyz), np.int64)
    rank[by_voxel] = np.arange(len(xyz)) - np.repeat(np.cumsum(counts) - counts, counts)
    return shuffled[np.argsort(rank, kind="stable")], len(counts)
