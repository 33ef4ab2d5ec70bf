"""What tells whether one object has both of two super-voxels that touch, in a cloud as a robot
sees it: how their border looks, and from where it was seen if that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.border_look import (
    BORDER_FEATURES,
    LOWEST,
    describe_borders,
    sorted_of_pairs,
)
from otoc_ros.core.look import Look, facing
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool
from otoc_ros.core.view import View

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
    sensors = _sensors(prepared)
    look = Look.of(prepared, sensors)
    size = np.full(len(prepared.borders.pairs), np.log(look.voxel_size / USUAL_VOXEL))
    columns = [
        *_across(prepared, look, sensors),
        *_shares(prepared),
        *_slants(prepared, sensors),
        size,
    ]
    return np.column_stack([describe_borders(prepared, look), *columns]).astype(np.float32)


def _sensors(prepared: Prepared) -> F32:
    """Where a view was seen from, float32 [1, 3]; [0, 3] where nobody knows."""
    view = View.of(prepared)
    known = [] if view is None else [view.origin]
    return np.array(known, np.float32).reshape(-1, 3)


def _across(prepared: Prepared, look: Look, sensors: F32) -> list[F64]:
    """Means over the pairs of touching voxels across each border: the bend of the way from one to
    the other (below 0: a concave crease), how many of them are concave, the cosine between both
    faces; steps in range, and which side is before the other; height; how steep the way is."""
    border, lengths = prepared.borders.crossed, prepared.borders.length
    one, two = prepared.borders.crossings.T
    xyz = prepared.xyz.astype(np.float64)
    outside = facing(prepared, sensors).astype(np.float64)
    way = xyz[two] - xyz[one]
    length = np.linalg.norm(way, axis=1) + 1e-9
    bend = (way * (outside[two] - outside[one])).sum(axis=1) / length
    cosine = (outside[one] * outside[two]).sum(axis=1)
    sided = (np.linalg.norm(outside, axis=1) > 0.5)[[one, two]].all(axis=0)  # else nobody knows
    step = np.zeros(len(way))
    if len(sensors):
        far = np.linalg.norm(xyz - sensors, axis=1)
        step = (far[two] - far[one]) / length

    def mean(values: NDArray[Any], chosen: NDArray[np.bool_] | None = None) -> F64:
        rows = border if chosen is None else border[chosen]
        total = np.bincount(rows, values if chosen is None else values[chosen], len(lengths))
        return np.asarray(total / np.maximum(np.bincount(rows, minlength=len(lengths)), 1))

    height = (xyz[one, 2] + xyz[two, 2]) / 2 - np.percentile(prepared.xyz[:, 2], LOWEST)
    return [
        mean(bend, sided),
        mean(bend < -BENT, sided),
        mean(cosine, sided),
        mean(np.abs(step)),
        np.abs(mean(step)),
        mean(height / look.size),
        mean(np.abs(way[:, 2]) / length),
    ]


def _shares(prepared: Prepared) -> tuple[F64, F64]:
    """How much of all that either side touches lies at the border."""
    (one, two), length = prepared.borders.pairs.T, prepared.borders.length
    count = prepared.n_supervoxels
    total = np.bincount(one, length, count) + np.bincount(two, length, count)
    return length / np.maximum(total[one], total[two]), length / np.minimum(total[one], total[two])


def _slants(prepared: Prepared, sensors: F32) -> tuple[F64, F64]:
    """How squarely either side was seen, 0..1; 0 where nobody knows from where."""
    one, two = prepared.borders.pairs.T
    count = prepared.n_supervoxels
    if len(sensors) == 0:
        return np.zeros(len(one)), np.zeros(len(one))
    ray = prepared.xyz - sensors
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), np.float32(1e-9))
    squarely = np.abs((ray * prepared.normal).sum(axis=1, keepdims=True))
    return sorted_of_pairs(pool(squarely, prepared.supervoxel, count)[:, 0], one, two)
