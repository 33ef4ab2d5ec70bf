"""The graph that labels spread on: what is near and alike, and what touches without a border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.clustering import touching_supervoxels
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    affinity_terms,
    neighbour_graph,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

BORDER = 0.08  # step between super-voxels that touch which divides their affinity by e
TOUCHING = 8  # most that a super-voxel is joined to because they touch, those without border first


def label_graph(
    prepared: Prepared, look: Look, feature: F32, embedding: F32, settings: PropagationSettings
) -> tuple[I32, F32]:
    """The graph of M super-voxels and its affinities (paper eq. 5, and borders beside it).

    What is near may be alike on both sides of a crease; what touches may look alike to a network
    and have a border between. So both kinds of edges are there, and time is linear in M.

    Args:
        look: of the super-voxels.
        feature: float32 [M, D], the U-Net's mean feature of each super-voxel.
        embedding: float32 [M, d], the relation net's.

    Returns:
        neighbours int32 [M, K] and affinity float32 [M, K]; K = 0 where a transformer propagates.
    """
    count = prepared.n_supervoxels
    if settings.kind == "transformer":
        return np.empty((count, 0), np.int32), np.empty((count, 0), np.float32)
    near = neighbour_graph(look.center, settings.neighbours)
    alike = affinities(near, *affinity_terms(prepared, feature, embedding, settings))
    pairs, _ = touching_supervoxels(prepared)
    touching, open_border = _strongest(pairs, np.exp(-look.step(*pairs.T) / BORDER), count)
    weight = np.float32(settings.touching_weight)
    return np.hstack([near, touching]), np.hstack([alike, weight * open_border])


def _strongest(pairs: NDArray[np.int64], affinity: F64, count: int) -> tuple[I32, F32]:
    """The strongest edges of each row: int32 and float32 [count, TOUCHING]; a missing one leads to
    the row itself with an affinity of zero."""
    row, col = np.concatenate([pairs, pairs[:, ::-1]]).T
    both = np.concatenate([affinity, affinity])
    order = np.lexsort((-both, row))
    row, col, both = row[order], col[order], both[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < TOUCHING
    neighbours = np.repeat(np.arange(count, dtype=np.int32)[:, None], TOUCHING, axis=1)
    strength = np.zeros(neighbours.shape, np.float32)
    neighbours[row[kept], rank[kept]] = col[kept]
    strength[row[kept], rank[kept]] = both[kept]
    return neighbours, strength
