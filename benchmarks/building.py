"""A building of simulated rooms, as large as wanted: what the scan of a whole place is like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.room import Room, make_room

WALL = 0.3  # metres between neighbouring rooms
NOISE = 0.002  # metres, σ: no two copies of a room are the same points


def write_building(path: Path, points: int, seed: int, rooms: int, spacing: float) -> None:
    """Write a scan as NPZ: copies of a few simulated rooms side by side, turned, recoloured and
    with noise of their own, with their truth; the last one is cut short.

    Args:
        points: in all.
        seed: of the rooms and of what is done to them.
        rooms: how many different ones.
        spacing: metres between the points of a room.
    """
    models = [make_room(seed + row, voxel=spacing, keep=1) for row in range(rooms)]
    xyz = np.empty((points, 3), np.float32)
    rgb = np.empty((points, 3), np.uint8)
    semantic, instance = np.empty((2, points), np.int32)
    pitch = WALL + max(float(np.ptp(model.cloud.xyz[:, :2], axis=0).max()) for model in models)
    across = int(np.ceil(np.sqrt(points / np.mean([len(model.cloud) for model in models]))))
    done, number, things = 0, 0, 0
    while done < points:
        model, rng = models[number % rooms], np.random.default_rng([seed, number])
        rows = slice(done, done + min(len(model.cloud), points - done))
        size = rows.stop - rows.start
        place = pitch * np.array([*divmod(number, across), 0])
        xyz[rows] = _copy(model, place, rng)[:size]
        assert model.cloud.rgb is not None, "rooms are coloured"
        rgb[rows] = np.clip(model.cloud.rgb[:size] * rng.uniform(0.85, 1.15), 0, 255)
        semantic[rows] = model.semantic[:size]
        own = model.instance[:size]
        instance[rows] = np.where(own > 0, own + things, 0)
        things += int(model.instance.max())
        done, number = rows.stop, number + 1
    np.savez(path, xyz=xyz, rgb=rgb, semantic=semantic, instance=instance)


def _copy(model: Room, place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    turned = model.cloud.xyz.astype(np.float64)
    low, high = turned.min(0), turned.max(0)
    turned -= [*(low + high)[:2] / 2, 0]
    for _ in range(int(rng.integers(4))):
        turned[:, :2] = turned[:, 1::-1] * (1, -1)
    return turned + place + rng.normal(0, NOISE, turned.shape)
