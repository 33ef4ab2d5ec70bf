"""The way a camera takes through a room, never through furniture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, label
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from offline_training.rooms.layout import Layout
from offline_training.rooms.raycast import Scene

Vector = NDArray[np.float64]

_CELL = 0.12  # metres
_CLEARANCE = 0.24  # metres kept between the camera and anything at its height
_LOW, _TALL = 0.9, 1.9  # metres: what ends below the first does not stand in the camera's way


def camera_path(
    layout: Layout, scene: Scene, rng: np.random.Generator, count: int, *, turns: float
) -> list[Vector]:
    """Poses [4, 4] T_room_camera (z forward, x right, y down) along a walk that looks around.

    count: how many poses; turns: how often the camera turns about itself on the way.
    """
    way = _walk(layout, rng)
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    done = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, done[-1], count)
    u = (np.arange(count) + rng.random()) / count
    height = rng.uniform(1.15, 1.6) + 0.12 * np.sin(2 * np.pi * (2.3 * u + rng.random()))
    position = np.column_stack([*(np.interp(at, done, way[:, i]) for i in range(2)), height])
    position = gaussian_filter1d(position, count / 200, axis=0, mode="nearest")
    angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * turns * u * rng.choice((-1, 1))
    # The gaze goes round a circle about the middle of what is visible, not about the camera: so
    # a camera near a wall looks mostly away from it.
    middle, reach = _surroundings(scene, position)
    smooth = count / (8 * max(turns, 1))
    middle = gaussian_filter1d(middle, smooth, axis=0, mode="nearest")
    reach = 0.6 * gaussian_filter1d(reach, smooth, mode="nearest")
    target = middle + reach[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    gaze = target - position[:, :2]
    yaw = np.arctan2(gaze[:, 1], gaze[:, 0])
    # Mostly a little downward, as people and robots look, now and then up to the ceiling.
    pitch = np.radians(-14 + 24 * np.sin(2 * np.pi * ((turns * 0.62 + 0.4) * u + rng.random())))
    roll = np.radians(3) * np.sin(2 * np.pi * (1.7 * u + rng.random()))
    return [_pose(position[i], yaw[i], pitch[i], roll[i]) for i in range(count)]


def _surroundings(scene: Scene, position: Vector) -> tuple[Vector, Vector]:
    """Middle [P, 2] and mean distance [P] of what is seen around each position [P, 3]."""
    angle = np.arange(36) * 2 * np.pi / 36
    around = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(36)])
    origin = np.repeat(position, 36, axis=0).astype(np.float32)
    direction = np.tile(around, (len(position), 1)).astype(np.float32)
    hits = scene.cast(origin, direction)
    distance = np.zeros(len(origin))
    distance[hits.ray] = np.minimum(hits.distance, 5.0)
    rays = distance.reshape(-1, 36)
    return position[:, :2] + (rays @ around[:, :2]) / 36, rays.mean(1)


def _pose(position: Vector, yaw: float, pitch: float, roll: float) -> Vector:
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([c * right + s * down, c * down - s * right, forward])
    pose[:3, 3] = position
    return pose


def _walk(layout: Layout, rng: np.random.Generator) -> Vector:
    """A tour [P, 2] through far apart free places."""
    areas = np.array(layout.shell.areas)
    low, high = areas[:, :2].min(0), areas[:, 2:].max(0)
    shape = np.maximum(np.ceil((high - low) / _CELL).astype(int), 1)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    centers = low + (grid.reshape(-1, 2) + 0.5) * _CELL
    boxes = layout.obstacles(zones=False)
    boxes.rows = boxes.rows[(boxes.rows[:, 6] > _LOW) & (boxes.rows[:, 5] < _TALL)]
    free = layout.shell.inside(centers, _CLEARANCE) & ~boxes.covers(centers, _CLEARANCE)
    pieces, number = label(free.reshape(shape))
    if number == 0:
        raise RuntimeError("a room without room for a camera")
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    nodes = np.flatnonzero(pieces.ravel() == largest)
    spots = centers[nodes]
    graph = _neighbours(pieces == largest)
    # Far apart stations, then the nearest unvisited one each time.
    stations = [int(rng.integers(len(nodes)))]
    distance = np.full(len(nodes), np.inf)
    for _ in range(min(6, len(nodes) - 1)):
        distance = np.minimum(distance, np.linalg.norm(spots - spots[stations[-1]], axis=1))
        stations.append(int(np.argmax(distance)))
    length, before = dijkstra(graph, indices=stations, return_predecessors=True, directed=False)
    here, left, way = 1 if len(stations) > 1 else 0, set(range(len(stations))), []
    left.discard(here)
    way.append(spots[stations[here]])
    while left:
        nearest = min(left, key=lambda k: (length[here, stations[k]], k))
        node, leg = stations[nearest], []
        while node != stations[here] and node >= 0:
            leg.append(spots[node])
            node = before[here, node]
        way += leg[::-1]
        here = nearest
        left.discard(nearest)
    return np.array(way if len(way) > 1 else way * 2)


def _neighbours(free: NDArray[np.bool_]) -> csr_matrix:
    """Edges between the free cells of a grid, in their order."""
    number = np.full(free.shape, -1)
    number[free] = np.arange(free.sum())
    rows, columns, lengths = [], [], []
    nx, ny = free.shape
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a = number[: nx - dx, max(0, -dy) : ny - max(0, dy)]
        b = number[dx:, max(0, dy) : ny + min(0, dy)]
        both = (a >= 0) & (b >= 0)
        rows.append(a[both])
        columns.append(b[both])
        lengths.append(np.full(both.sum(), np.hypot(dx, dy)))
    total = int(free.sum())
    return coo_matrix(
        (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), (total, total)
    ).tocsr()
