"""The way from posed views to fused scans: choose, fuse, keep, cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.fusing.tiles import OVERLAP, tiles
from otoc_ros.site.fusing.transforms import Pose
from otoc_ros.site.fusing.upright import Up
from otoc_ros.site.fusing.views import Break, KeyViews, PosedView, ViewShelf, read_kept
from otoc_ros.site.fusing.voxel_map import VoxelMap

CONFIRMED = 2  # views that must have seen a point
FEWEST_VIEWS = 3  # of a stretch between two breaks that is worth a scan
FAR = 1000.0  # metres; coordinates larger than this lose millimetres in float32

UpOf = Callable[[Cloud], Up]


@dataclass(frozen=True, eq=False)
class FusedScan:
    """One scan of a drive.

    Attributes:
        cloud: N points in the world's frame less `origin`, with normals.
        views: raw views in their sensors' frames with T_scan_sensor [4, 4].
        up: in the scan's frame.
        origin: float64 [3], metres: zero unless the world's coordinates are large.
        fused: how many views are in the drive's map.
        note: what a person should know, or nothing.
    """

    cloud: Cloud
    views: list[tuple[Cloud, Pose]]
    up: Up
    origin: NDArray[np.float64]
    fused: int
    note: str


def fuse_views(
    views: Iterable[PosedView | Break], folder: Path, *, edge: float, size: float, up_of: UpOf
) -> Iterator[FusedScan]:
    """Fuse views as they come; a scan is yielded when its part of the drive is over.

    Args:
        views: in the order they were taken.
        folder: an empty one for raw views on their way.
        edge: metres between fused points.
        size: metres, the largest extent of a scan on the ground.
        up_of: the up direction of a fused cloud in the world's frame.

    Raises:
        InputError: the views cannot be read on; all scans before that have been yielded.
    """
    if size < 2 * OVERLAP:
        raise InputError(f"--size is {size:g} m; give at least {2 * OVERLAP:g}")
    source = iter(views)
    shelf = ViewShelf(folder)
    drive, told, broken, scans = _Drive(shelf, edge), "", False, 0
    failure: InputError | None = None
    while True:
        try:
            view = next(source, None)
            if isinstance(view, PosedView):
                drive.see(view)
                continue
        except InputError as error:
            view, failure = None, error
        broken |= view is not None
        told = "; ".join(filter(None, (told, view.reason if view else "")))
        if not broken or drive.fused >= FEWEST_VIEWS:
            for scan in drive.scans(size, up_of, told):
                scans += 1
                yield scan
            told = ""
        shelf.clear()
        if failure is not None:
            raise failure
        if view is None:
            break
        drive = _Drive(shelf, edge)
    if told and not scans:
        raise InputError(
            f"{told}; never {FEWEST_VIEWS} views in a row; record clouds more often, or /tf"
        )


class _Drive:
    """What is known of one stretch without a break."""

    def __init__(self, shelf: ViewShelf, edge: float) -> None:
        self._shelf, self._edge = shelf, edge
        self._key_views = KeyViews()
        self._map: VoxelMap | None = None

    @property
    def fused(self) -> int:
        """How many views are in the map."""
        return 0 if self._map is None else self._map.views

    def see(self, view: PosedView) -> None:
        if not self._key_views.take(view):
            return
        cloud = view.cloud()
        if self._map is None:
            start = view.pose[:3, 3]
            origin = np.round(start) if np.linalg.norm(start) > FAR else np.zeros(3)
            self._map = VoxelMap(self._edge, origin)
        self._map.add(cloud, view.pose)
        self._shelf.offer(view, cloud)

    def scans(self, size: float, up_of: UpOf, note: str) -> Iterator[FusedScan]:
        if self._map is None:
            return
        fused, origin = self._map.views, self._map.origin
        cloud = self._map.cloud(min(CONFIRMED, fused))
        self._map = None  # before the scans are cut out of the cloud: both are large
        if len(cloud):
            up = up_of(cloud)
            note = "; ".join(filter(None, (note, up.doubt(cloud.xyz))))
            for tile in tiles(cloud.xyz, up.vector, size):
                kept = self._shelf.pick(tile.moved(origin))
                raw = [(read_kept(view), _shifted(view.pose, origin)) for view in kept]
                part = cloud.take(np.flatnonzero(tile.holds(cloud.xyz)))
                yield FusedScan(part, raw, up, origin, fused, note)


def _shifted(pose: Pose, origin: NDArray[np.float64]) -> Pose:
    shifted = pose.copy()
    shifted[:3, 3] -= origin
    return shifted
