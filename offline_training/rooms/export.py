"""Rooms as the scenes of a site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from offline_training.rooms.camera import Camera
from offline_training.rooms.classes import COLORS, STUFF
from offline_training.rooms.draw import SPLITS
from offline_training.rooms.room import Room, generator_hash, make_room
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.scene import Split
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

SHARES = {"train": 0.5, "dev": 0.15, "val": 0.35}

Name = tuple[str, int]  # split and number of a room
Progress = Callable[[Sequence[Name]], Iterable[Name]]


def make_rooms(
    site_path: Path,
    count: int = 40,
    seed: int = 0,
    *,
    splits: Mapping[str, float] = SHARES,
    visit: int = 0,
    voxel_size: float = 0.05,
    spacing: float = 0.02,
    frames: int = 32,
    keep: int = 6,
    camera: Camera | None = None,
    progress: Progress = iter,
) -> Site:
    """Makes a site of simulated rooms, or completes one that was interrupted.

    Scenes are called "train-000", "val-003", …, with "-visit-1" at the end for later visits. Rooms
    of different splits share no furniture family; a room depends on its split, its number and the
    seed alone, never on how many others are made.

    Args:
        site_path: a new folder, or a site that this function made with the same seed.
        count: rooms in all; seed: other seeds give other rooms.
        splits: how the rooms are shared among "train", "dev" and "val"; any positive numbers.
        visit: 0 for the first scan; 1, 2, … see the same rooms again from other poses, in other
            light, with loose things moved.
        voxel_size: metres, of the networks that are trained on the site.
        spacing: metres between fused points.
        frames: depth images a room; keep: how many of them are stored as raw views.
        camera: 320 × 240 pixels if None.
        progress: wraps the sequence of rooms to be made, as `rich.progress.track` does.

    Raises:
        InputError: an unknown split, no share above zero, or a site of another kind or seed.
    """
    numbers = share(count, splits)
    site = _open(Path(site_path), voxel_size)
    todo = []
    for name in ((split, k) for split in SPLITS for k in range(numbers.get(split, 0))):
        scene_name, source = _title(*name, visit), _source(*name, seed, visit)
        if not (site.path / "scenes" / scene_name).exists():
            todo.append(name)
        elif site.scene(scene_name).meta.source != source:
            raise InputError(
                f"{scene_name} of {site.path} is not {source!r}; use a new folder for other rooms"
            )
    for split, k in progress(todo):
        room = make_room(
            room_seed(seed, split, k),
            split,
            visit=visit,
            frames=frames,
            keep=keep,
            voxel=spacing,
            camera=camera,
        )
        _add(site, _title(split, k, visit), room, _source(split, k, seed, visit))
    return site


def room_seed(seed: int, split: str, number: int) -> int:
    """The seed of a site's room: what `make_room` and `camera_clouds` make it from again."""
    return (seed * len(SPLITS) + SPLITS.index(split)) * 100_000 + number


def share(count: int, splits: Mapping[str, float]) -> dict[str, int]:
    """Divides `count` rooms among splits in proportion to their shares (largest remainders)."""
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise InputError(f"no split {unknown[0]!r}; rooms have the splits {', '.join(SPLITS)}")
    total = sum(splits.values())
    if count < 1 or total <= 0 or min(splits.values()) < 0:
        raise InputError(f"cannot share {count} rooms as {dict(splits)}; give positive numbers")
    exact = {name: count * part / total for name, part in splits.items()}
    numbers = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: (numbers[name] - exact[name], name))
    for name in rest[: count - sum(numbers.values())]:
        numbers[name] += 1
    return numbers


def _open(path: Path, voxel_size: float) -> Site:
    classes = [
        ClassInfo(name=name, color=color, kind="stuff" if name in STUFF else "thing")
        for name, color in COLORS.items()
    ]
    if not (path / "site.yaml").exists():
        return Site.create(path, "simulated rooms", classes, voxel_size)
    site = Site.open(path)
    if list(site.config.classes) != classes:
        raise InputError(f"{path} is not a site of simulated rooms; choose another folder")
    return site


def _title(split: str, number: int, visit: int) -> str:
    return f"{split}-{number:03d}" + (f"-visit-{visit}" if visit else "")


def _source(split: str, number: int, seed: int, visit: int) -> str:
    generator = generator_hash()[:12]
    return f"simulated room {split} {number} of seed {seed}, visit {visit}, generator {generator}"


def _add(site: Site, name: str, room: Room, source: str) -> None:
    views = []
    for frame in room.views:
        seen = np.flatnonzero(np.isfinite(frame.cloud.xyz[:, 2]))
        views.append((frame.cloud.take(seen), frame.pose))
    site.add_scene(
        name,
        room.cloud,
        split=cast(Split, room.split),
        up=(0.0, 0.0, 1.0),
        source=source,
        truth=Truth(room.semantic, room.instance),
        views=views,
    )
