"""One view of a table by a depth camera before it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.appearance import light
from offline_training.rooms.camera import Camera, Shutter
from offline_training.rooms.draw import Draw
from offline_training.rooms.layout import Layout
from offline_training.rooms.piece import Piece
from offline_training.rooms.raycast import Scene
from offline_training.rooms.shapes import box
from offline_training.rooms.shell import Shell
from offline_training.tables.arrangement import Stood, arrange
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.voxels import voxelize

CAMERA = Camera(640, 480, focal=0.82)
SPACING = 0.005  # metres between points that are kept
LAMPS = 4  # places where one may hang


class TableView(NamedTuple):
    """A cloud of N points in the camera's optical frame, the object of each point, int32 [N], 0 =
    the table, and the direction that points up, float64 [3]."""

    cloud: Cloud
    instance: NDArray[np.int32]
    up: NDArray[np.float64]


def table_view(seed: int) -> TableView:
    """A table of its own, laid and seen; equal seeds give equal views."""
    draw = Draw("train", np.random.default_rng(seed))
    stood = arrange(draw)
    layout = Layout(Shell([], [], 3.0), draw)
    layout.put(_board(draw), np.zeros(3), 0.0)
    for each in stood:
        layout.put(each.piece, each.position, each.yaw)
    above = draw.rng.uniform([-1.5, -1.5, 1.2], [1.5, 1.5, 2.2], (LAMPS, 3))
    pose = _pose(draw, stood)
    frame = Shutter(Scene(layout, light(draw, above)), CAMERA, draw.rng).take(pose)
    seen = np.flatnonzero(np.isfinite(frame.cloud.xyz).all(axis=1))
    grid = voxelize(frame.cloud.xyz[seen], SPACING)
    _, first = np.unique(grid.voxel_of_point, return_index=True)
    kept = seen[np.sort(first)]
    rgb = frame.cloud.rgb
    cloud = Cloud(frame.cloud.xyz[kept], None if rgb is None else rgb[kept])
    return TableView(cloud, frame.instance[kept], pose[2, :3].copy())


def _board(draw: Draw) -> Piece:
    x, y = draw.anything(0.45, 0.75), draw.anything(0.4, 0.6)
    piece = Piece("floor", "board")  # of the classes that rooms know, one that is stuff
    plate = draw.pick(("wood", "wood", "paint", "plastic", "stone", "fabric"))
    piece.add(box((-x, -y, -0.03), (x, y, 0)), plate)
    return piece


def _pose(draw: Draw, stood: list[Stood]) -> NDArray[np.float64]:
    """T_table_camera [4, 4] of a camera that looks at the things."""
    pitch, azimuth = np.radians(draw.anything(22, 55)), draw.anything(0, 2 * np.pi)
    flat = np.array([np.cos(azimuth), np.sin(azimuth)]) * np.cos(pitch)
    ahead = np.append(flat, -np.sin(pitch))
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    middle = np.mean([each.position[:2] for each in stood], axis=0) + draw.normal(0.05, 2)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(ahead, right), ahead])
    pose[:3, 3] = np.append(middle, 0.05) - ahead * draw.anything(0.75, 1.3)
    return pose
