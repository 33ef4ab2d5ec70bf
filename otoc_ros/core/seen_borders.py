"""What tells whether one object has both of two super-voxels that touch, in a cloud as a robot
sees it: how their border looks, and from where it was seen if that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.border_look import (
    BORDER_FEATURES,
    LOWEST,
    describe_borders,
    sorted_of_pairs,
)
from otoc_ros.core.compiled import compiled
from otoc_ros.core.look import Look, facing
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool
from otoc_ros.core.view import View
from otoc_ros.core.voxel_graph import voxel_graph

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SEEN_FEATURES = BORDER_FEATURES + 12
BENT = 0.1  # change of the normal along the way from one voxel to the next, from which it is bent
USUAL_VOXEL = 0.03  # metres


def describe_seen_borders(prepared: Prepared) -> F32:
    """Features of the E pairs in `prepared.borders`: float32 [E, SEEN_FEATURES].

    Where a cloud is a view from the origin of its frame, creases of any direction are known to be
    concave or convex (LCCP, CVPR 2014), and steps in range are what hides and what is hidden; else
    only level surfaces have a side. The size of a voxel tells what kind of things are seen: on a
    table most are whole, in a room chairs have legs.
    """
    view = View.of(prepared)
    sensor = None if view is None else view.origin.astype(np.float32)
    look = Look.of(prepared, None if sensor is None else sensor[None])
    size = np.full(len(prepared.borders.pairs), np.log(look.voxel_size / USUAL_VOXEL))
    columns = [
        *_across(prepared, look, sensor),
        *_shares(prepared),
        *_slants(prepared, sensor),
        size,
    ]
    return np.column_stack([describe_borders(prepared, look), *columns]).astype(np.float32)


def _across(prepared: Prepared, look: Look, sensor: F32 | None) -> list[F64]:
    """Means over the pairs of touching voxels across each border."""
    xyz, groups, count = prepared.xyz, prepared.supervoxel, prepared.n_supervoxels
    outside = facing(prepared, None if sensor is None else sensor[None])
    eye = np.zeros(3) if sensor is None else sensor.astype(np.float64)
    first, other = voxel_graph(prepared.grid.coords, xyz, 1, len(xyz))
    pairs = prepared.borders.pairs
    keys = pairs[:, 0] * count + pairs[:, 1]
    sums = _crossing_sums(first, other, groups, keys, count, xyz, outside, eye)
    every, sided = (np.maximum(column, 1) for column in sums[:, :2].T)
    bend, concave, cosine = (sums[:, 2:5] / sided[:, None]).T
    step, before, height, steep = (sums[:, 5:] / every[:, None]).T
    if sensor is None:
        step, before = 0 * step, 0 * before
    lowest = np.percentile(xyz[:, 2], LOWEST)
    return [bend, concave, cosine, step, np.abs(before), (height - lowest) / look.size, steep]


def _shares(prepared: Prepared) -> tuple[F64, F64]:
    """How much of all that either side touches lies at the border."""
    (one, two), length = prepared.borders.pairs.T, prepared.borders.length
    count = prepared.n_supervoxels
    total = np.bincount(one, length, count) + np.bincount(two, length, count)
    return length / np.maximum(total[one], total[two]), length / np.minimum(total[one], total[two])


def _slants(prepared: Prepared, sensor: F32 | None) -> tuple[F64, F64]:
    """How squarely either side was seen, 0..1; 0 where nobody knows from where."""
    one, two = prepared.borders.pairs.T
    count = prepared.n_supervoxels
    if sensor is None:
        return np.zeros(len(one)), np.zeros(len(one))
    ray = prepared.xyz - sensor
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), np.float32(1e-9))
    squarely = np.abs((ray * prepared.normal).sum(axis=1, keepdims=True))
    return sorted_of_pairs(pool(squarely, prepared.supervoxel, count)[:, 0], one, two)


@compiled
def _crossing_sums(first, other, groups, keys, count, xyz, outside, eye):  # type: ignore[no-untyped-def]
    """Over the edges of voxels that cross each border: float64 [E, 9].

    Columns: their number; the number of those whose sides are both known and over these: the change
    of the normal along the way (below 0: a concave crease), how many are concave, the cosine of the
    normals; over all: |change of range| and change of range over the length of the way, the higher
    super-voxel's less the lower's; the mean height; |change of height| over the length.

    Args:
        keys: int64 [E], ascending: lower super-voxel · count + higher.
    """
    sums = np.zeros((len(keys), 9))
    for one in range(len(groups)):
        for edge in range(first[one], first[one + 1]):
            two = other[edge]
            a, b = np.int64(groups[one]), np.int64(groups[two])
            if a == b:
                continue
            row = sums[np.searchsorted(keys, min(a, b) * count + max(a, b))]
            length, bend, cosine, known_one, known_two = 0.0, 0.0, 0.0, 0.0, 0.0
            range_one, range_two = 0.0, 0.0
            for axis in range(3):
                here, there = np.float64(xyz[one, axis]), np.float64(xyz[two, axis])
                near, far = np.float64(outside[one, axis]), np.float64(outside[two, axis])
                length += (there - here) ** 2
                bend += (there - here) * (far - near)
                cosine += near * far
                known_one += near * near
                known_two += far * far
                range_one += (here - eye[axis]) ** 2
                range_two += (there - eye[axis]) ** 2
            length = np.sqrt(length) + 1e-9
            row[0] += 1
            if known_one > 0.5 and known_two > 0.5:
                row[1] += 1
                row[2] += bend / length
                row[3] += 1.0 if bend < -BENT * length else 0.0
                row[4] += cosine
            step = (np.sqrt(range_two) - np.sqrt(range_one)) / length
            row[5] += abs(step)
            row[6] += step if a < b else -step
            row[7] += (np.float64(xyz[one, 2]) + xyz[two, 2]) / 2
            row[8] += abs(np.float64(xyz[two, 2]) - xyz[one, 2]) / length
    return sums
