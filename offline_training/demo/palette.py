"""Colours of classes, of super-voxels (neighbours told apart) and of objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from otoc_ros.core.colouring import DISTINCT, object_colours
from otoc_ros.site.classes import ClassInfo

I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

UNKNOWN = (120, 120, 124)
NO_OBJECT = (200, 202, 206)


def class_colors(classes: Sequence[ClassInfo]) -> U8:
    """uint8 [C + 1, 3]; the last row, reached by class -1, is that of unknown."""
    return np.array([known.color for known in classes] + [UNKNOWN], np.uint8)


def neighbour_colors(touching: csr_matrix) -> U8:
    """A colour for each of M parts that none of its neighbours has, as far as 20 colours go.

    Args:
        touching: [M, M], entries where two parts touch; one triangle is enough.

    Returns:
        uint8 [M, 3].
    """
    graph = (touching + touching.T).tocsr()
    count = graph.shape[0]
    chosen = np.full(count, -1, np.int64)
    for part in range(count):
        near = chosen[graph.indices[graph.indptr[part] : graph.indptr[part + 1]]]
        used = np.bincount(near[near >= 0], minlength=len(DISTINCT))
        # Begin elsewhere for each part: else the first colours would cover most of the scene.
        turn = np.roll(np.arange(len(DISTINCT)), -7 * part)
        chosen[part] = turn[used[turn].argmin()]
    return DISTINCT[chosen]


def object_colors(instance: I32, xyz: NDArray[np.float64], truth: I32 | None = None) -> U8:
    """A colour for every point by its object: uint8 [N, 3], grey where there is none.

    Args:
        instance: int32 [N], 0 = none.
        xyz: float64 [N, 3], so that neighbours get colours of their own.
        truth: int32 [N]; where given, an object takes the colour of the true one that it covers
            best, so that two pictures can be compared.
    """
    count = int(instance.max(initial=0)) + 1
    name = np.arange(count)
    if truth is not None:
        free = int(truth.max(initial=0)) + 1
        votes = np.zeros((count, free), np.int64)
        np.add.at(votes, (instance, truth), 1)
        size = np.bincount(truth, minlength=free)
        taken = set()
        for row in 1 + np.argsort(-votes[1:, 1:].max(axis=1, initial=0), kind="stable"):
            share = votes[row] / np.maximum(votes[row].sum() + size - votes[row], 1)
            share[0] = 0
            best = int(share.argmax())
            if share[best] > 0.1 and best not in taken:
                taken.add(best)
                name[row] = best
            else:
                name[row] = free
                free += 1
    present = np.unique(instance[instance > 0])
    colors = np.tile(np.array(NO_OBJECT, np.uint8), (count, 1))
    colors[present] = object_colours(
        name[present].tolist(), [xyz[instance == row] for row in present]
    )
    return colors[instance]
