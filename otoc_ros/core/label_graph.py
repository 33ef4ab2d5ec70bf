"""The graph that labels spread on: what is near and alike, and what touches without a border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    affinity_terms,
    neighbour_graph,
)

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# Chosen on rooms of train and dev furniture that no result stands on.
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
        feature, embedding: as for `near_graph`.

    Returns:
        neighbours int32 [M, K] and affinity float32 [M, K]: those of `near_graph` in the first
        `settings.neighbours` columns, then what touches; K = 0 where a transformer propagates.
    """
    near, alike = near_graph(prepared, feature, embedding, settings)
    if settings.kind == "transformer" or settings.touching_weight == 0:
        return near, alike
    pairs = prepared.borders.pairs
    passable = np.exp(-look.step(*pairs.T) / BORDER).astype(np.float32)
    touching, open_border = _strongest(pairs, passable, prepared.n_supervoxels)
    weight = np.float32(settings.touching_weight)
    return np.hstack([near, touching]), np.hstack([alike, weight * open_border])


def near_graph(
    prepared: Prepared, feature: F32, embedding: F32, settings: PropagationSettings
) -> tuple[I32, F32]:
    """What is near each super-voxel and how alike (paper eq. 5).

    Args:
        feature: float32 [M, D], the U-Net's mean feature of each super-voxel.
        embedding: float32 [M, d], the relation net's.

    Returns:
        neighbours int32 [M, K] and affinity float32 [M, K]; K = 0 where a transformer propagates.
    """
    if settings.kind == "transformer":
        nobody = np.empty((prepared.n_supervoxels, 0))
        return nobody.astype(np.int32), nobody.astype(np.float32)
    terms = affinity_terms(prepared, feature, embedding, settings)
    near = neighbour_graph(terms[0][0], settings.neighbours)
    return near, affinities(near, *terms)


@compiled
def _strongest(pairs: NDArray[np.int64], affinity: F32, count: int) -> tuple[I32, F32]:
    """The strongest edges of each row: int32 and float32 [count, TOUCHING]; a missing one leads to
    the row itself with an affinity of zero."""
    neighbours = np.empty((count, TOUCHING), np.int32)
    for row in range(count):
        neighbours[row] = row
    strength = np.zeros((count, TOUCHING), np.float32)
    for edge in range(len(pairs)):
        for side in range(2):
            row, other = pairs[edge, side], pairs[edge, 1 - side]
            slot = TOUCHING  # the weaker ones move on, the weakest one out
            while slot > 0 and strength[row, slot - 1] < affinity[edge]:
                slot -= 1
                if slot < TOUCHING - 1:
                    strength[row, slot + 1] = strength[row, slot]
                    neighbours[row, slot + 1] = neighbours[row, slot]
            if slot < TOUCHING:
                strength[row, slot], neighbours[row, slot] = affinity[edge], other
    return neighbours, strength
