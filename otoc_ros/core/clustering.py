"""Objects from class scores and centre offsets: dual-set clustering (PointGroup, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from otoc_ros.core.voxels import kernel_maps

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# Neighbour offsets k and 26 - k join the same pairs, so the first half is enough.
FORWARD_OFFSETS = 13


class ClusteringSettings(BaseModel):
    """What makes a cluster an object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_voxels: int = Field(default=20, ge=1, description="smaller clusters are no object")
    min_score: float = Field(default=0.09, ge=0, le=1, description="weaker clusters are dropped")
    max_overlap: float = Field(default=0.3, ge=0, le=1, description="IoU at which NMS drops")


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its class, its score in 0..1 and its voxels (sorted rows, int32)."""

    class_id: int
    score: float
    voxels: I32


def cluster_instances(
    xyz: F32,
    offset: F32,
    probability: F32,
    thing: NDArray[np.bool_],
    voxel_size: float,
    settings: ClusteringSettings,
) -> tuple[I32, list[Instance]]:
    """Group the voxels of thing classes into objects; time and memory are linear in voxels.

    Voxels of one predicted class are joined when they touch (26 neighbours on the voxel grid), once
    where they are and once where their offsets shift them. Both sets of clusters compete in
    non-maximum suppression.

    Args:
        xyz: float32 [V, 3], metres.
        offset: float32 [V, 3], metres, from a voxel toward the centre of its object.
        probability: float32 [V, C].
        thing: bool [C]; stuff classes get no objects.
        voxel_size: metres.

    Returns:
        int32 [V], 0 = none, i + 1 = the i-th object; and the objects, best score first. A voxel
        belongs to one object only.
    """
    instance = np.zeros(len(xyz), np.int32)
    predicted = probability.argmax(axis=1)
    rows = np.flatnonzero(thing[predicted]).astype(np.int32)
    if len(rows) == 0:
        return instance, []
    label = predicted[rows]
    here, vote = xyz[rows], xyz[rows] + offset[rows]
    certainty = probability[rows, label]
    partitions = [_components(points, label, voxel_size) for points in (vote, here)]
    kept = suppress(
        partitions,
        [_scores(part, certainty, here, vote) for part in partitions],
        settings,
    )
    objects: list[Instance] = []
    for which, cluster, score in kept:
        mine = rows[partitions[which] == cluster]
        mine = mine[instance[mine] == 0]
        if len(mine) >= settings.min_voxels:
            objects.append(Instance(int(predicted[mine[0]]), score, mine))
            instance[mine] = len(objects)
    return instance, objects


def _components(points: F32, label: NDArray[np.int64], voxel_size: float) -> I32:
    """Connected components of points of equal label on the voxel grid: int32 [N]."""
    cell = np.floor((points - points.min(axis=0)) / voxel_size).astype(np.int32)
    keyed = np.column_stack([label.astype(np.int32), cell])
    cells, cell_of_point = np.unique(keyed, axis=0, return_inverse=True)
    neighbours = kernel_maps(np.ascontiguousarray(cells, np.int32), 1)[0].neighbours
    source, slot = np.nonzero(neighbours[:, :FORWARD_OFFSETS] >= 0)
    target = neighbours[source, slot]
    graph = coo_matrix((np.ones(len(source), bool), (source, target)), shape=(len(cells),) * 2)
    _, component = connected_components(graph, directed=False)
    found: I32 = component.astype(np.int32)[cell_of_point.reshape(-1)]
    return found


def _scores(part: I32, certainty: F32, here: F32, vote: F32) -> tuple[F32, NDArray[np.int64]]:
    """Score and size of every cluster of a partition.

    The score is the mean class probability times how well the offsets agree on one centre: the
    spread of the votes relative to the spread of the voxels, 1 when all votes meet. A cluster of
    two touching objects has two centres and scores low.
    """
    size = np.bincount(part)
    score = np.bincount(part, certainty) / size * _agreement(part, size, here, vote)
    return score.astype(np.float32), size


def _agreement(part: I32, size: NDArray[np.int64], here: F32, vote: F32) -> NDArray[np.float64]:
    spread, extent = (_variance(part, size, points) for points in (vote, here))
    agreement: NDArray[np.float64] = extent / np.maximum(extent + spread, 1e-12)
    return agreement


def _variance(part: I32, size: NDArray[np.int64], points: F32) -> NDArray[np.float64]:
    total = np.zeros(len(size))
    for axis in points.T.astype(np.float64):
        mean = np.bincount(part, axis) / size
        total += np.bincount(part, (axis - mean[part]) ** 2) / size
    return total


def suppress(
    partitions: list[I32],
    scores: list[tuple[F32, NDArray[np.int64]]],
    settings: ClusteringSettings,
) -> list[tuple[int, int, float]]:
    """Non-maximum suppression over two partitions of the same voxels.

    Clusters of one partition never overlap, so only pairs across the two are compared, and each
    voxel takes part in one such pair: the cost is linear.

    Args:
        partitions: two int32 [N] of cluster numbers.
        scores: (score [K], size [K]) of each partition's clusters.

    Returns:
        (partition, cluster, score) of the kept clusters, best first.
    """
    pairs, shared = np.unique(np.column_stack(partitions), axis=0, return_counts=True)
    overlaps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (first, second), common in zip(pairs.tolist(), shared.tolist(), strict=True):
        union = int(scores[0][1][first]) + int(scores[1][1][second]) - common
        if common > settings.max_overlap * union:
            overlaps.setdefault((0, first), []).append((1, second))
            overlaps.setdefault((1, second), []).append((0, first))
    candidates = [
        (float(score[cluster]), which, int(cluster))
        for which, (score, size) in enumerate(scores)
        for cluster in np.flatnonzero((size >= settings.min_voxels) & (score >= settings.min_score))
    ]
    kept: list[tuple[int, int, float]] = []
    dropped: set[tuple[int, int]] = set()
    for score, which, cluster in sorted(candidates, key=lambda c: (-c[0], c[1], c[2])):
        if (which, cluster) not in dropped:
            kept.append((which, cluster, score))
            dropped.update(overlaps.get((which, cluster), []))
    return kept
