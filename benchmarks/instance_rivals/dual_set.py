"""Dual-set clustering of points as PointGroup published it (arXiv 2004.01658, 3.3 and 3.5)."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

RADIUS = 1.5  # voxels
MIN_POINTS = 50
MIN_SCORE = 0.09
MAX_OVERLAP = 0.3


def dual_set(xyz, offset, probability, thing, voxel_size):
    """Clusters of points of one predicted class within RADIUS of each other, on the original and on
    the shifted coordinates, the mean class probability as their score, then NMS.

    Args:
        xyz, offset: float32 [V, 3]. probability: float32 [V, C]. thing: bool [C].

    Returns:
        instance int32 [V], 0 = none; class int32 [K]; score float64 [K].
    """
    predicted = probability.argmax(axis=1)
    rows = np.flatnonzero(thing[predicted])
    label, sure = predicted[rows], probability[rows, predicted[rows]]
    partitions = [
        _clusters(points[rows], label, RADIUS * voxel_size) for points in (xyz, xyz + offset)
    ]
    sizes = [np.bincount(part) for part in partitions]
    scores = [np.bincount(part, sure) / size for part, size in zip(partitions, sizes, strict=True)]
    kept = _suppress(partitions, sizes, scores)
    instance = np.zeros(len(xyz), np.int32)
    classes, found = [], []
    for which, cluster in kept:
        mine = rows[partitions[which] == cluster]
        mine = mine[instance[mine] == 0]
        if len(mine):
            found.append(scores[which][cluster])
            classes.append(predicted[mine[0]])
            instance[mine] = len(found)
    return instance, np.array(classes, np.int32), np.array(found, np.float64)


def _clusters(points, label, radius):
    part = np.empty(len(points), np.int64)
    found = 0
    for name in np.unique(label):
        mine = np.flatnonzero(label == name)
        pairs = cKDTree(points[mine]).query_pairs(radius, output_type="ndarray")
        graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(mine),) * 2)
        count, component = connected_components(graph, directed=False)
        part[mine] = component + found
        found += count
    return part


def _suppress(partitions, sizes, scores):
    """Clusters of one set never overlap: each voxel makes one pair across the two sets."""
    pairs, shared = np.unique(np.column_stack(partitions), axis=0, return_counts=True)
    union = sizes[0][pairs[:, 0]] + sizes[1][pairs[:, 1]] - shared
    rivals = {}
    for (one, other), many in zip(pairs.tolist(), shared > MAX_OVERLAP * union, strict=True):
        if many:
            rivals.setdefault((0, one), []).append((1, other))
            rivals.setdefault((1, other), []).append((0, one))
    candidates = [
        (-scores[which][cluster], which, int(cluster))
        for which in (0, 1)
        for cluster in np.flatnonzero((sizes[which] > MIN_POINTS) & (scores[which] > MIN_SCORE))
    ]
    kept, dropped = [], set()
    for _, which, cluster in sorted(candidates):
        if (which, cluster) not in dropped:
            kept.append((which, cluster))
            dropped.update(rivals.get((which, cluster), []))
    return kept
