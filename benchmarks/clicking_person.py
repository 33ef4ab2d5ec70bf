"""A simulated person: where they click to outline one object, and which object they click next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.voxels import kernel_maps

HALF = 13  # neighbour offsets k and 26 - k join the same pairs
MOST = 20  # clicks on one object before the person gives up
SMALLEST = 30  # voxels of an object that is clicked

Method = Callable[[list[int], list[int]], np.ndarray]  # voxels clicked in, out -> bool [V]


@dataclass(frozen=True, eq=False)
class Case:
    """A cloud with its truth.

    prepared: the cloud; instance int32 [V] and semantic int32 [V]: of its voxels, 0 = no object.
    seen: float32 [V, D], what a network sees, or None.
    """

    name: str
    prepared: Prepared
    instance: np.ndarray
    semantic: np.ndarray
    seen: np.ndarray | None

    def objects(self) -> list[int]:
        number, size = np.unique(self.instance, return_counts=True)
        return number[(number > 0) & (size >= SMALLEST)].tolist()


def voxel_edges(prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of voxels that touch."""
    neighbours = kernel_maps(prepared.grid.coords, 1)[0].neighbours[:, :HALF]
    voxel, slot = np.nonzero(neighbours >= 0)
    return voxel, neighbours[voxel, slot]


def outline(case: Case, number: int, method: Method, edges: tuple) -> tuple[int, int, float]:
    """Clicks until 80 % and until 90 % IoU (at most MOST each), and the IoU after the first.

    As AGILE3D counts: the first click in the middle of the object, each further one in the middle
    of the largest connected error, as part of the object or not part of it.
    """
    wanted = case.instance == number
    inside, outside = [_middle(case.prepared, np.flatnonzero(wanted))], []
    to_80 = to_90 = MOST
    first = 0.0
    for clicks in range(1, MOST + 1):
        found = method(inside, outside)
        iou = float((found & wanted).sum() / (found | wanted).sum())
        first = iou if clicks == 1 else first
        if iou >= 0.8:
            to_80 = min(to_80, clicks)
        if iou >= 0.9:
            to_90 = clicks
            break
        missed, extra = _largest(wanted & ~found, edges), _largest(found & ~wanted, edges)
        if len(missed) >= len(extra):
            inside.append(_middle(case.prepared, missed))
        else:
            outside.append(_middle(case.prepared, extra))
    return to_80, to_90, first


def _middle(prepared: Prepared, rows: np.ndarray) -> int:
    xyz = prepared.xyz[rows]
    return int(rows[((xyz - xyz.mean(0)) ** 2).sum(1).argmin()])


def _largest(mask: np.ndarray, edges: tuple) -> np.ndarray:
    rows = np.flatnonzero(mask)
    if not len(rows):
        return rows
    place = np.full(len(mask), -1)
    place[rows] = np.arange(len(rows))
    one, other = place[edges[0]], place[edges[1]]
    both = (one >= 0) & (other >= 0)
    pairs = (np.ones(both.sum(), bool), (one[both], other[both]))
    _, part = connected_components(coo_matrix(pairs, shape=(len(rows),) * 2), directed=False)
    return rows[part == np.bincount(part).argmax()]
