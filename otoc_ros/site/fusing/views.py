"""Posed views: which of them are worth fusing, and which of those are kept raw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.files import atomic_write
from otoc_ros.site.fusing.tiles import Tile
from otoc_ros.site.fusing.transforms import Pose
from otoc_ros.site.readers.ply import ply_bytes, read_ply

STEP = 0.05  # metres that a sensor moves, or
TURN = np.deg2rad(5.0)  # radians that it turns, before it sees something new
CELL = 2.0  # metres between raw views that look the same way
MOST_VIEWS = 12  # raw views of one scene: training shows each of them
SAMPLE = 200  # points that tell where a raw view looks


class PosedView(NamedTuple):
    """One cloud with the place from which it was seen.

    Attributes:
        stamp_ns: nanoseconds.
        sensor: topic or name of the sensor.
        pose: float64 [4, 4], T_world_sensor.
        cloud: reads the points, in the sensor's frame; not called for views that are left out.
    """

    stamp_ns: int
    sensor: str
    pose: Pose
    cloud: Callable[[], Cloud]


class Break(NamedTuple):
    """Between two views: the poses after it have nothing to do with those before."""

    reason: str


class KeyViews:
    """Tells which views show something new: the first of each sensor, then by step and turn."""

    def __init__(self) -> None:
        self._last: dict[str, Pose] = {}

    def take(self, view: PosedView) -> bool:
        """Whether to fuse a view; what is taken is what the next one is compared with."""
        last = self._last.get(view.sensor)
        if last is not None:
            moved = last[:3, :3].T @ view.pose[:3, :3]
            turn = np.arccos(np.clip((np.trace(moved) - 1) / 2, -1, 1))
            if np.linalg.norm(view.pose[:3, 3] - last[:3, 3]) < STEP and turn < TURN:
                return False
        self._last[view.sensor] = view.pose
        return True


class KeptView(NamedTuple):
    """A raw view on the shelf; `sample` float64 [S, 3] are some of its points, world frame."""

    stamp_ns: int
    file: Path
    pose: Pose
    sample: NDArray[np.float64]


class ViewShelf:
    """Raw views on disk, at most one for each sensor, place and way to look.

    So their number grows with the place, not with the log.

    Args:
        folder: an empty one, for the views until they are in a scene.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[str, tuple[float, ...]], KeptView] = {}

    def offer(self, view: PosedView, cloud: Cloud) -> None:
        """Keep a view if none like it is kept."""
        seen = returns(cloud.take(np.arange(0, len(cloud), len(cloud) // 2000 + 1)))
        if not len(seen):
            return
        place = np.floor(view.pose[:3, 3] / CELL)
        look = np.rint(1.3 * view.pose[:3, :3] @ _middle(seen))  # one of 26 directions
        key = (view.sensor, (*place.tolist(), *look.tolist()))
        if key in self._kept:
            return
        cloud = returns(cloud)
        file = self._folder / f"{len(self._kept):06d}.ply"
        atomic_write(file, ply_bytes(cloud))
        sample = cloud.xyz[:: len(cloud) // SAMPLE + 1].astype(np.float64)
        world = sample @ view.pose[:3, :3].T + view.pose[:3, 3]
        self._kept[key] = KeptView(view.stamp_ns, file, view.pose, world)

    def pick(self, tile: Tile) -> list[KeptView]:
        """At most `MOST_VIEWS`, spread over time, with at least half of their points in a tile."""
        found = sorted(
            (kept for kept in self._kept.values() if tile.holds(kept.sample).mean() >= 0.5),
            key=lambda kept: kept.stamp_ns,
        )
        if len(found) <= MOST_VIEWS:
            return found
        rows = np.linspace(0, len(found) - 1, MOST_VIEWS).round().astype(int)
        return [found[row] for row in rows]

    def clear(self) -> None:
        """Forget all views."""
        for kept in self._kept.values():
            kept.file.unlink(missing_ok=True)
        self._kept = {}


def read_kept(kept: KeptView) -> Cloud:
    """The raw view, in its sensor's frame."""
    return read_ply(kept.file)


def returns(cloud: Cloud) -> Cloud:
    """A view without its missing returns, NaN or exactly at the sensor."""
    kept = np.isfinite(cloud.xyz).all(1) & (cloud.xyz != 0).any(1)
    return cloud if kept.all() else cloud.take(np.flatnonzero(kept))


def _middle(cloud: Cloud) -> NDArray[np.float64]:
    """Unit direction in which a sensor sees most; a lidar all round sees none in particular."""
    direction = cloud.xyz.astype(np.float64)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    mean = direction.mean(0)
    length = np.linalg.norm(mean)
    return mean / length if length > 0.3 else np.array([0.0, 0.0, 0.0])
