"""The clouds that super-voxels are measured on; simulated rooms are cached."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from room_classes import room_classes

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

SMALLEST = 100  # points of an object whose click is scored


@dataclass
class Labelled:
    """xyz float32 [N, 3] finite, rgb uint8 [N, 3], class and object of every point.

    clicks int64 [K]: the points that a person would click, one an object.
    """

    name: str
    xyz: np.ndarray
    rgb: np.ndarray
    semantic: np.ndarray
    objects: np.ndarray
    voxel_size: float
    clicks: np.ndarray


def rooms(
    cache: Path, split: str, numbers: list[int], seed: int
) -> Iterator[tuple[Labelled, list[Labelled]]]:
    """Simulated rooms fused at 2 cm, each with some of its single depth views."""
    from offline_training.rooms.room import generator_hash, make_room

    table = room_classes()
    for number in numbers:
        file = cache / f"room-{generator_hash()[:12]}-{split}-{number}.npz"
        if not file.exists():
            room = make_room(number, split, frames=32, keep=4, voxel=0.02)
            clouds = [(room.cloud, room.semantic, room.instance)]
            clouds += [(view.cloud, view.semantic, view.instance) for view in room.views]
            arrays = {"count": len(clouds)}
            for i, (cloud, semantic, instance) in enumerate(clouds):
                seen = np.isfinite(cloud.xyz).all(1)
                parts = (cloud.xyz, cloud.rgb, semantic, instance)
                for key, part in zip(("xyz", "rgb", "semantic", "instance"), parts, strict=True):
                    arrays[f"{key}{i}"] = part[seen]
            partial = file.with_suffix(f".{os.getpid()}.npz")
            np.savez(partial, **arrays)
            partial.replace(file)
        with np.load(file) as saved:
            found = []
            for i in range(int(saved["count"])):
                name = f"{split}-{number}" + (f"-view-{i - 1}" if i else "")
                keys = ("xyz", "rgb", "semantic", "instance")
                found.append(
                    _labelled(name, *[saved[f"{key}{i}"] for key in keys], table, 0.02, seed)
                )
        yield found[0], found[1:]


def pictured_view(cache: Path) -> dict[str, np.ndarray]:
    """An organised depth view of 640 x 480: a dining table before a glass door, simulated.

    Returns:
        xyz float32 [307200, 3], NaN where there is no return; rgb uint8; semantic and instance
        int32 [307200].
    """
    from offline_training.rooms.room import camera_clouds, generator_hash

    file = cache / f"view-{generator_hash()[:12]}.npz"
    if not file.exists():
        frame = list(camera_clouds(2, "val", count=4))[2]
        np.savez(
            file,
            xyz=frame.cloud.xyz,
            rgb=frame.cloud.rgb,
            semantic=frame.semantic,
            instance=frame.instance,
        )
    with np.load(file) as saved:
        return dict(saved)


def tabletop(folder: Path, numbers: list[int], seed: int) -> Iterator[Labelled]:
    """Recorded frames of things on a table, thinned to 5 mm; every object is a class of its own."""
    table = [
        ClassInfo(name="table", color=(150, 150, 150), kind="stuff"),
        ClassInfo(name="object", color=(200, 80, 60)),
    ]
    for place, number in enumerate(numbers):
        with np.load(folder / "tabletop" / f"learn{number}.npz") as frame:
            instance = frame["inst"].astype(np.int32)
            semantic = (instance > 0).astype(np.int32)
            parts = (frame["xyz"], frame["rgb"], semantic, instance)
            found = _labelled(f"tabletop-{number}", *parts, table, 0.005, seed)
        # Classes 100 a frame: IoU is then averaged over the objects of all frames.
        found.semantic = instance.astype(np.int64) + 100 * place
        yield found


def _labelled(name, xyz, rgb, semantic, instance, table, voxel_size, seed) -> Labelled:
    objects = np.unique((semantic + np.int64(1)) * 100_000 + instance, return_inverse=True)[1]
    with tempfile.TemporaryDirectory() as folder:
        site = Site.create(Path(folder) / "site", "benchmark", table, voxel_size)
        truth = Truth(semantic.astype(np.int32), instance.astype(np.int32))
        scene = site.add_scene(name, Cloud(xyz, rgb), truth=truth)
        clicks = simulate_clicks(scene, site.config, scene_rng(seed, name))
    # Rows of the clicked points: an exact match, as clicks are points of the scan.
    row_of = {point: row for row, point in enumerate(map(tuple, xyz.tolist()))}
    rows = np.array([row_of[click.position] for click in clicks], dtype=np.int64)
    large = np.bincount(objects)[objects[rows]] >= SMALLEST
    return Labelled(name, xyz, rgb, semantic.astype(np.int64), objects, voxel_size, rows[large])
