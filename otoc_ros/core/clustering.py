"""Objects from class scores and centre offsets, with super-voxels as the atoms.

PointGroup (arXiv 2004.01658, section 3.3) joins points of one predicted class that touch, once
where they are and once where their offsets shift them, and lets both sets of clusters compete.
Here touching super-voxels merge while they vote for one centre, agree on the class and look as if
one object had both (`merging.merge_parts`), and what stands before an object does not part it
(`occlusion.join_hidden`): one set of clusters, which cannot overlap, so that nothing is left to
suppress. `benchmarks/instances.py` compares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from otoc_ros.core.compiled import compiled
from otoc_ros.core.merging import merge_parts
from otoc_ros.core.occlusion import join_hidden
from otoc_ros.core.preprocess import Prepared

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

MOST_PARTING = 5.0  # of a border; a single one is not to part an object for good
SURE_SIZE = 100  # voxels; smaller clusters are the likelier fragments the smaller they are


class ClusteringSettings(BaseModel):
    """What makes super-voxels one object, and a cluster an object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vote_weight: float = Field(default=1.0, ge=0, description="of votes in two heaps")
    class_weight: float = Field(default=6.0, ge=0, description="of other class scores")
    parting_weight: float = Field(default=1.25, ge=0, description="of what parts objects anywhere")
    max_difference: float = Field(default=2.5, ge=0, description="more than this stays apart")
    min_voxels: int = Field(default=20, ge=1, description="smaller clusters are no object")
    min_score: float = Field(default=0.09, ge=0, le=1, description="weaker clusters are dropped")


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its class, its score in 0..1 and its voxels (sorted rows, int32)."""

    class_id: int
    score: float
    voxels: I32


def cluster_instances(
    prepared: Prepared,
    offset: F32,
    probability: F32,
    thing: NDArray[np.bool_],
    settings: ClusteringSettings,
    parting: F64 | None = None,
) -> tuple[I32, list[Instance]]:
    """Group the super-voxels of thing classes into objects; time is linear in voxels.

    Args:
        prepared: a cloud of V voxels in M super-voxels.
        offset: float32 [V, 3], metres, from a voxel toward the centre of its object.
        probability: float32 [M, C], class probabilities of super-voxels.
        thing: bool [C]; super-voxels whose likeliest class is stuff belong to no object.
        parting: float64 [E], of the pairs in `prepared.borders`: -log of the probability that one
            object has both; None where nobody knows.

    Returns:
        int32 [V], 0 = none, i + 1 = the i-th object; and the objects, best score first. A voxel
        belongs to one object only.
    """
    atoms = np.flatnonzero(thing[probability.argmax(axis=1)])
    if len(atoms) == 0:
        return np.zeros(len(prepared.xyz), np.int32), []
    parts = _parts(prepared, offset)
    pairs, border, change = _borders(prepared, atoms, settings, parting)
    owner = merge_parts(
        parts.size,
        parts.vote,
        parts.vote_square,
        _among_things(probability, thing),
        pairs,
        border,
        change,
        (settings.vote_weight, settings.class_weight),
        settings.max_difference,
        prepared.grid.voxel_size,
    )
    _, cluster = np.unique(owner[atoms], return_inverse=True)
    cluster = join_hidden(prepared, parts.center, parts.size, atoms, cluster, pairs)
    count = int(cluster.max()) + 1
    class_id, score, size = _judge(parts, atoms, cluster, count, probability, thing)
    kept = np.flatnonzero((size >= settings.min_voxels) & (score >= settings.min_score))
    kept = kept[np.argsort(-score[kept], kind="stable")]
    number = np.zeros(count, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    number_of_atom = np.zeros(prepared.n_supervoxels, np.int32)
    number_of_atom[atoms] = number[cluster]
    instance: I32 = number_of_atom[prepared.supervoxel]
    objects = [
        Instance(int(class_id[row]), float(score[row]), voxels)
        for row, voxels in zip(kept, _rows_of(instance, len(kept)), strict=True)
    ]
    return instance, objects


class _Parts(NamedTuple):
    """Super-voxels: size [M], centre and vote [M, 3], mean square of the voxels' positions and
    votes [M]; all float64."""

    size: F64
    center: F64
    vote: F64
    center_square: F64
    vote_square: F64


def _parts(prepared: Prepared, offset: F32) -> _Parts:
    total = _sums(prepared.xyz, offset, prepared.supervoxel, prepared.n_supervoxels)
    mean = total[:, 1:] / total[:, :1]
    size, center, vote = total[:, 0].copy(), mean[:, :3].copy(), mean[:, 3:6].copy()
    return _Parts(size, center, vote, mean[:, 6], mean[:, 7].copy())


def _borders(
    prepared: Prepared,
    atoms: NDArray[np.int64],
    settings: ClusteringSettings,
    parting: F64 | None,
) -> tuple[NDArray[np.int64], F64, F64]:
    """Pairs of atoms that touch, the length of their borders, what keeps them apart there."""
    pairs, border = prepared.borders.pairs, prepared.borders.length
    chosen = np.zeros(prepared.n_supervoxels, bool)
    chosen[atoms] = True
    both = chosen[pairs].all(axis=1)
    pairs, border = pairs[both], border[both]
    apart = np.zeros(len(pairs)) if parting is None else parting[both]
    return pairs, border, settings.parting_weight * np.minimum(apart, MOST_PARTING)


def _among_things(probability: F32, thing: NDArray[np.bool_]) -> F64:
    """Probabilities of the T thing classes, given that it is a thing: float64 [M, T]."""
    things = probability[:, thing].astype(np.float64)
    shares: F64 = things / np.maximum(things.sum(axis=1, keepdims=True), 1e-12)
    return shares


def _judge(
    parts: _Parts,
    atoms: NDArray[np.int64],
    cluster: NDArray[np.int64],
    count: int,
    probability: F32,
    thing: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], F64, F64]:
    """Class, score and size of clusters.

    The score is the mean probability of the class, times how well the offsets agree on one centre
    (the spread of the votes relative to the spread of the voxels, 1 when all votes meet; a cluster
    of two touching objects has two centres), times √(size / SURE_SIZE) of a small cluster.
    """
    size = np.bincount(cluster, parts.size[atoms], count).astype(np.float64)

    def mean(values: F64) -> F64:
        weighed = parts.size[atoms] * values[atoms]
        return np.asarray(np.bincount(cluster, weighed, count) / size)

    def spread(square: F64, center: F64) -> F64:
        middle = np.stack([mean(axis) for axis in center.T])
        return np.asarray(np.maximum(mean(square) - (middle**2).sum(axis=0), 1e-12))

    belief = np.stack([mean(column) for column in np.where(thing, probability, 0).T], axis=1)
    extent = spread(parts.center_square, parts.center)
    votes = spread(parts.vote_square, parts.vote)
    score: F64 = belief.max(axis=1) * extent / (extent + votes)
    score *= np.sqrt(np.minimum(size / SURE_SIZE, 1))
    return belief.argmax(axis=1), score, size


def _rows_of(instance: I32, count: int) -> list[I32]:
    """The voxels of objects 1 to count."""
    order = np.argsort(instance, kind="stable").astype(np.int32)
    ends = np.cumsum(np.bincount(instance, minlength=count + 1))
    return np.split(order, ends[:-1])[1:]


@compiled
def _sums(xyz, offset, supervoxel, count):  # type: ignore[no-untyped-def]
    """Per super-voxel: voxels, Σ position, Σ vote, Σ |position|², Σ |vote|²: float64 [count, 9]."""
    total = np.zeros((count, 9))
    for v in range(len(xyz)):
        row = total[supervoxel[v]]
        row[0] += 1
        for axis in range(3):
            here = np.float64(xyz[v, axis])
            vote = here + offset[v, axis]
            row[1 + axis] += here
            row[4 + axis] += vote
            row[7] += here * here
            row[8] += vote * vote
    return total
