"""The clouds that super-voxels are measured on; simulated rooms are cached."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Labelled:
    """xyz float32 [N, 3] finite, rgb uint8 [N, 3], class and object of every point."""

    name: str
    xyz: np.ndarray
    rgb: np.ndarray
    semantic: np.ndarray
    objects: np.ndarray
    voxel_size: float


def rooms(cache: Path, split: str, numbers: list[int]) -> Iterator[tuple[Labelled, list[Labelled]]]:
    """Simulated rooms fused at 2 cm, each with some of its single depth views."""
    from offline_training.rooms.room import generator_hash, make_room

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
                semantic = saved[f"semantic{i}"].astype(np.int64)
                objects = (semantic + 1) * 100_000 + saved[f"instance{i}"]
                objects = np.unique(objects, return_inverse=True)[1]
                name = f"{split}-{number}" + (f"-view-{i - 1}" if i else "")
                found.append(
                    Labelled(name, saved[f"xyz{i}"], saved[f"rgb{i}"], semantic, objects, 0.02)
                )
        yield found[0], found[1:]


def tabletop(folder: Path, numbers: list[int]) -> Iterator[Labelled]:
    """Recorded frames of things on a table, thinned to 5 mm; every object is a class of its own."""
    for place, number in enumerate(numbers):
        with np.load(folder / "tabletop" / f"learn{number}.npz") as frame:
            objects = frame["inst"].astype(np.int64)
            # Classes 100 a frame: IoU is then averaged over the objects of all frames.
            yield Labelled(
                f"tabletop-{number}",
                frame["xyz"],
                frame["rgb"],
                objects + 100 * place,
                np.unique(objects, return_inverse=True)[1],
                0.005,
            )
