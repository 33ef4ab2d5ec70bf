"""A depth camera that is carried through a room of boxes, with exact poses, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bags import message, transforms, write_messages
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud

Pose = NDArray[np.float64]

# Opposite corners of boxes: the room itself, seen from inside, and what stands in it.
ROOM = np.array([[0.0, 0.0, 0.0], [4.0, 3.0, 2.5]])
BOXES = np.array(
    [
        [[1.6, 1.1, 0.0], [2.4, 1.9, 0.7]],
        [[0.0, 2.4, 0.0], [0.6, 3.0, 1.8]],
        [[3.5, 0.2, 0.0], [4.0, 1.0, 1.1]],
    ]
)
# The optical frame on a body that looks along x: z forward, x right, y down; 1 m above the ground.
MOUNT = np.array([[0.0, 0, 1, 0.1], [-1, 0, 0, 0], [0, -1, 0, 1.0], [0, 0, 0, 1]])


def bodies(count: int = 40, turns: float = 1.0) -> list[Pose]:
    """T_map_body on a circle about the table, looking at it; the ground at z = 0."""
    poses = []
    for share in np.arange(count) / count * turns * 2 * np.pi:
        pose = np.eye(4)
        yaw = share + np.pi
        pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        pose[:2, 3] = 2 + 1.35 * np.cos(share), 1.5 + 1.35 * np.sin(share)
        poses.append(pose)
    return poses


def seen(camera: Pose, rng: np.random.Generator, size: tuple[int, int] = (100, 75)) -> Cloud:
    """What a camera at T_map_camera sees: depth noise of 3 mm, one return in ten missing."""
    width, height = size
    v, u = np.mgrid[:height, :width].reshape(2, -1)
    ray = np.column_stack([(u + 0.5 - width / 2), (v + 0.5 - height / 2), np.full(len(u), width)])
    ray = ray / width * [1.6, 1.6, 1.0]
    direction = ray @ camera[:3, :3].T
    with np.errstate(divide="ignore"):
        low, high = ((corner - camera[:3, 3]) / direction for corner in ROOM)
        depth = np.maximum(low, high).min(1)
        for box in BOXES:
            low, high = ((corner - camera[:3, 3]) / direction for corner in box)
            enter, leave = np.minimum(low, high).max(1), np.maximum(low, high).min(1)
            hit = (enter < leave) & (enter > 0) & (enter < depth)
            depth[hit] = enter[hit]
    point = camera[:3, 3] + direction * depth[:, None]
    rgb = np.clip(point * [60, 80, 100], 0, 255).astype(np.uint8)
    depth = depth + rng.normal(0, 0.003, len(depth))
    depth[rng.random(len(depth)) < 0.1] = np.nan
    return Cloud((ray * depth[:, None]).astype(np.float32), rgb)


def off_surface(xyz: NDArray[np.float32]) -> NDArray[np.float64]:
    """Metres from each point [N, 3] of the map to the nearest surface."""
    inside = np.concatenate([xyz - ROOM[0], ROOM[1] - xyz], axis=1)
    best = np.abs(inside).min(1)
    for low, high in BOXES:
        gap = np.maximum(np.maximum(low - xyz, xyz - high), 0)
        outside = np.linalg.norm(gap, axis=1)
        within = np.concatenate([xyz - low, high - xyz], axis=1).min(1)
        best = np.minimum(best, np.where(outside > 0, outside, within))
    return best


def write_drive(
    path: Path,
    poses: list[Pose],
    *,
    tf: bool = True,
    start: float = 100.0,
    period: float = 0.2,
    seed: int = 0,
    lag: float = 0.05,
) -> Path:
    """A bag of /points in frame `optical` (odom > body > optical); poses come `lag` seconds late.

    Poses are said between the clouds, so that each cloud's own must be interpolated.
    """
    rng = np.random.default_rng(seed)
    said = [(round(start * 1e9), "/tf_static", transforms(0, {("body", "optical"): MOUNT}))]
    for number, body in enumerate(poses):
        stamp = round((start + number * period) * 1e9)
        said.append((stamp, "/points", message(seen(body @ MOUNT, rng), stamp, "optical")))
    if tf:
        for number in range(-1, 2 * len(poses) + 1):
            stamp = round((start + (number + 0.5) * period / 2) * 1e9)
            pose = between(poses, number / 2 + 0.25)
            told = transforms(stamp, {("odom", "body"): pose})
            said.append((stamp + round(lag * 1e9), "/tf", told))
    return write_messages(path, sorted(said, key=lambda entry: entry[0]))


def between(poses: list[Pose], at: float) -> Pose:
    """The pose at a fraction between two, beyond the ends too, along the circle."""
    row = int(np.clip(np.floor(at), 0, len(poses) - 2))
    a, b, share = poses[row], poses[row + 1], at - row
    yaw_a = np.arctan2(a[1, 0], a[0, 0])
    turn = np.angle(np.exp(1j * (np.arctan2(b[1, 0], b[0, 0]) - yaw_a)))
    yaw = yaw_a + share * turn
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
    return pose
