"""The voxels that engines are measured on."""

import os
from pathlib import Path

import numpy as np

from otoc_ros.core.voxels import voxelize


def clouds(seed: int, data: Path | None, quick: bool, cache: Path) -> dict[str, np.ndarray]:
    """Coordinates [V, 3] by name: recordings where they are, else simulated views, and a room."""
    room = simulated_room(seed, cache)
    found = {}
    if data:
        from otoc_ros.site.readers import read_cloud

        for name in ("office_corner", "living_room_fragment"):
            xyz = read_cloud(Path(data) / "scans" / f"{name}.pcd").xyz
            found[f"{name} 2 cm"] = grid(xyz, 0.02)
        with np.load(Path(data) / "tabletop" / "learn33.npz") as frame:
            found["tabletop 2 cm"] = grid(frame["xyz"], 0.02)
    else:
        for name in sorted(room):
            if name.startswith("view"):
                found[f"simulated {name} 2 cm"] = grid(room[name], 0.02)
    whole = grid(room["fused"], 0.02)
    for count in (30_000,) if quick else (30_000, 100_000):
        if len(whole) >= count:
            found[f"room 2 cm, {count // 1000} k"] = nearest(whole, count)
    found["room 5 cm"] = grid(room["fused"], 0.05)
    return found


def simulated_room(seed: int, cache: Path) -> dict[str, np.ndarray]:
    """Points [N, 3] of a simulated room, fused and as raw views; made once."""
    from offline_training.rooms import make_room

    file = cache / f"engine-room-{seed}.npz"
    if not file.exists():
        room = make_room(seed, "val", frames=32, keep=2, voxel=0.02)
        points = {f"view {i}": view.cloud.xyz for i, view in enumerate(room.views)}
        partial = file.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, fused=room.cloud.xyz, **points)
        partial.replace(file)
    with np.load(file) as saved:
        return dict(saved)


def grid(xyz: np.ndarray, size: float) -> np.ndarray:
    return voxelize(xyz[np.isfinite(xyz).all(1)], size).coords


def nearest(coords: np.ndarray, count: int) -> np.ndarray:
    """The voxels of a cube about the middle of the room."""
    apart = np.abs(coords - np.median(coords, axis=0)).max(1)
    return coords[np.sort(np.argsort(apart, kind="stable")[:count])]


def side_by_side(coords: np.ndarray, count: int) -> np.ndarray:
    """The first `count` voxels along x of as many copies of a room as are wanted."""
    step = np.array([np.ptp(coords[:, 0]) + 2, 0, 0], np.int32)
    copies = -(-count // len(coords))
    return np.concatenate([coords + i * step for i in range(copies)])[:count]
