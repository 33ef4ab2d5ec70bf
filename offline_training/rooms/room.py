"""One simulated room: built, furnished, lit, walked through and scanned, all from one seed."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.appearance import light
from offline_training.rooms.camera import Camera, Frame, Shutter
from offline_training.rooms.draw import SPLITS, Draw
from offline_training.rooms.furnish import THEMES, furnished
from offline_training.rooms.fuse import fuse
from offline_training.rooms.layout import Layout
from offline_training.rooms.path import camera_path
from offline_training.rooms.raycast import Scene
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Room:
    """A scanned room.

    Attributes:
        cloud: the fused scan, z up, the floor at z = 0.
        semantic: int32 [N], index into `classes.CLASS_NAMES`, -1 for what nobody labels.
        instance: int32 [N], 0 for none.
        views: some of the frames that were fused, spread over the walk.
        objects: class name and family of instance 1, 2, … as they stand in the room.
    """

    seed: int
    split: str
    visit: int
    cloud: Cloud
    semantic: NDArray[np.int32]
    instance: NDArray[np.int32]
    views: tuple[Frame, ...]
    objects: tuple[tuple[str, str], ...]


def make_room(
    seed: int,
    split: str = "train",
    *,
    visit: int = 0,
    theme: str | None = None,
    frames: int = 32,
    keep: int = 6,
    voxel: float = 0.02,
    camera: Camera | None = None,
) -> Room:
    """Builds and scans a room.

    Args:
        seed: the room; equal seeds of two splits give unrelated rooms.
        split: "train", "dev" or "val": which furniture families stand in it.
        visit: 0 is the first scan; later ones see the same room from other poses, in other light,
            with loose things moved.
        theme: one of `furnish.THEMES`; None: by turns, seed after seed.
        frames: how many depth images are fused; keep: how many of them are kept as views.
        voxel: metres between fused points.
        camera: the camera; 320 × 240 pixels if None.

    Raises:
        InputError: unknown split or theme.
    """
    layout, scene, rng = prepare(seed, split, visit, theme)
    poses = camera_path(layout, scene, rng, frames, turns=max(1.0, frames / 7))
    shutter = Shutter(scene, camera or Camera(), rng)
    taken = [shutter.take(pose) for pose in poses]
    cloud, semantic, instance = fuse(taken, voxel)
    objects = tuple((p.piece.class_name, p.piece.family) for p in layout.objects)
    views = tuple(max(part, key=_things) for part in _parts(taken, keep))
    return Room(seed, split, visit, cloud, semantic, instance, views, objects)


def _parts(frames: list[Frame], count: int) -> list[list[Frame]]:
    """The walk in `count` parts of about equal length."""
    edges = np.linspace(0, len(frames), min(count, len(frames)) + 1).round().astype(int)
    return [frames[a:b] for a, b in itertools.pairwise(edges)]


def _things(frame: Frame) -> int:
    """How many labelled things a frame shows with at least 100 pixels."""
    return int((np.bincount(frame.instance)[1:] >= 100).sum())


def camera_clouds(
    seed: int,
    split: str = "val",
    *,
    visit: int = 0,
    theme: str | None = None,
    count: int = 60,
    turns: float = 1.5,
    camera: Camera | None = None,
) -> Iterator[Frame]:
    """What a depth camera publishes while it is carried through the room of a seed.

    Frames follow one smooth path; the defaults of seed, split, visit and theme mean the same as in
    `make_room`. Organised clouds with NaN holes, poses, and the truth of every pixel, one by one:
    a frame of 640 × 480 pixels takes 7 MB.
    """
    layout, scene, rng = prepare(seed, split, visit, theme)
    shutter = Shutter(scene, camera or Camera(640, 480), rng)
    path = camera_path(layout, scene, rng, count, turns=turns)
    return (shutter.take(pose) for pose in path)


def prepare(
    seed: int, split: str, visit: int, theme: str | None
) -> tuple[Layout, Scene, np.random.Generator]:
    """A room before its scan: its plan, its surfaces in a visit's light, the random numbers."""
    if split not in SPLITS:
        raise InputError(f"no split {split!r}; rooms have the splits {', '.join(SPLITS)}")
    if theme is not None and theme not in THEMES:
        raise InputError(f"no theme {theme!r}; rooms have the themes {', '.join(THEMES)}")
    home = [seed, SPLITS.index(split)]
    theme = theme or THEMES[seed % len(THEMES)]
    layout = furnished(Draw(split, np.random.default_rng([*home, 0])), theme)
    visiting = Draw(split, np.random.default_rng([*home, 1, visit]))
    if visit:
        layout.rearrange(visiting)
    x0, y0, x1, y1 = np.array(layout.shell.areas).T
    spots = visiting.rng.uniform([0.15, 0.15], [0.85, 0.85], (6, 2))
    area = visiting.rng.integers(len(x0), size=6)
    place = np.column_stack(
        [
            x0[area] + spots[:, 0] * (x1 - x0)[area],
            y0[area] + spots[:, 1] * (y1 - y0)[area],
            np.full(6, layout.shell.height - 0.45),
        ]
    )
    return layout, Scene(layout, light(visiting, place)), visiting.rng


def generator_hash() -> str:
    """sha256 of the sources that make rooms: what a result was measured on."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
