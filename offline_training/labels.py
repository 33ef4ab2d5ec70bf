"""Which super-voxels are taught which class, and who says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from offline_training.borders import parting
from offline_training.samples import Targets
from offline_training.scenes import Mark, TrainingScene, VoxelTruth
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

NOBODY, PERSON, PSEUDO = 0, 1, 2
ENOUGH = 0.2  # of a super-voxel, for it to be part of a click's object
STEP_COST = 0.1  # of an object's step of a super-voxel's size, beside what parts objects
GUESS = 1.01  # times 1 / C: a confidence up to which a belief says nothing


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """Labels of a scene's M super-voxels.

    Attributes:
        label: int32 [M], class or -1.
        provenance: int8 [M], NOBODY, PERSON (a click or an accepted prediction) or PSEUDO.
        confidence: float32 [M], 1 for a person's, exp(C_j) for pseudo labels, else 0.
    """

    label: I32
    provenance: NDArray[np.int8]
    confidence: F32


def clicked_labels(marks: Sequence[Mark], count: int) -> SceneLabels:
    """What a person said, without what is doubted. Of two clicks on one super-voxel the later one
    holds."""
    label = np.full(count, -1, np.int32)
    for mark in marks:
        if mark.holds:
            label[mark.supervoxel] = mark.class_id
    said = label >= 0
    return SceneLabels(label, said.astype(np.int8) * PERSON, said.astype(np.float32))


def with_pseudo_labels(
    clicked: SceneLabels, belief: F32, thresholds: NDArray[np.float64]
) -> SceneLabels:
    """Clicks, and beside them every belief that passes its class's threshold and is more than a
    guess: where no click reaches and no network spoke yet, every class is as likely as another.

    Args:
        belief: float32 [M, C], class probabilities after propagation.
        thresholds: float64 [C], from `class_thresholds`.
    """
    best = belief.argmax(axis=1).astype(np.int32)
    confidence = belief.max(axis=1)
    free = clicked.provenance == NOBODY
    guess = GUESS / belief.shape[1]
    chosen = free & (confidence >= thresholds[best]) & (confidence > guess)
    return SceneLabels(
        np.where(chosen, best, clicked.label).astype(np.int32),
        np.where(chosen, PSEUDO, clicked.provenance).astype(np.int8),
        np.where(chosen, confidence, clicked.confidence).astype(np.float32),
    )


def class_thresholds(
    beliefs: Sequence[F32], share: float, accept: float, floor: float
) -> NDArray[np.float64]:
    """Confidence from which a belief becomes a pseudo label, class by class.

    `accept` for a class the networks are sure of; lower, but never below `floor`, for a class of
    which less than `share` would pass: rare and hard classes are to keep up.

    Returns:
        float64 [C].
    """
    classes = beliefs[0].shape[1]
    best = np.concatenate([belief.argmax(axis=1) for belief in beliefs])
    confidence = np.concatenate([belief.max(axis=1) for belief in beliefs])
    thresholds = np.full(classes, accept)
    for name in np.unique(best):
        level = np.quantile(confidence[best == name], 1 - share)
        thresholds[name] = np.clip(level, floor, accept)
    return thresholds


def object_paths(scene: TrainingScene) -> csr_matrix:
    """What it costs an object to go on to a super-voxel that touches: sparse [M, M], each pair
    once."""
    prepared, count = scene.prepared, scene.prepared.n_supervoxels
    one, other = prepared.borders.pairs.T
    center = pool(prepared.xyz, prepared.supervoxel, count)
    away = np.linalg.norm(center[other] - center[one], axis=1) / prepared.settings.supervoxel_size
    cost = parting(prepared) + STEP_COST * away + 1e-9
    paths: csr_matrix = coo_matrix((cost, (one, other)), shape=(count, count)).tocsr()
    return paths


def grow_objects(scene: TrainingScene, label: I32, paths: csr_matrix) -> I32:
    """Each clicked object over the connected super-voxels of its class, nearest click first.

    Args:
        label: int32 [M], class of each super-voxel, -1 = unknown.
        paths: from `object_paths`.

    Returns:
        int32 [M]: row of the mark whose object a super-voxel belongs to, -1 = not reached.
    """
    rows = [row for row, mark in enumerate(scene.marks) if mark.names]
    owner = np.full(len(label), -1, np.int32)
    if not rows:
        return owner
    label = label.copy()
    for row in rows:
        label[scene.marks[row].supervoxel] = scene.marks[row].class_id
    edges = paths.tocoo()
    same = (label[edges.row] == label[edges.col]) & (label[edges.row] >= 0)
    inside = coo_matrix((edges.data[same], (edges.row[same], edges.col[same])), shape=paths.shape)
    seeds = np.array([scene.marks[row].supervoxel for row in rows])
    _, _, source = dijkstra(
        inside.tocsr(), directed=False, indices=seeds, min_only=True, return_predecessors=True
    )
    mark_of_seed = np.full(len(label), -1, np.int32)
    mark_of_seed[seeds] = rows
    reached = source >= 0
    owner[reached] = mark_of_seed[source[reached]]
    return owner


def shared_objects(scene: TrainingScene, label: I32, share: F32) -> I32:
    """Each clicked object over the super-voxels of its class that are its more than another's, if
    they are its at all: of what nobody clicked every click has some small share.

    Args:
        label: int32 [M], class of each super-voxel, -1 = unknown.
        share: float32 [M, J], of the J clicks as the reach model shares the scene among them.

    Returns:
        int32 [M]: row of the mark whose object a super-voxel belongs to, -1 = nobody's.
    """
    rows = np.array([row for row, mark in enumerate(scene.marks) if mark.names])
    name = np.array([scene.marks[row].class_id for row in rows])
    said = clicked_labels(scene.marks, len(label)).label
    label = np.where(said >= 0, said, label)
    own = np.where(name == label[:, None], share, 0)
    owner = rows[own.argmax(axis=1)]
    return np.where(own.max(axis=1) >= ENOUGH, owner, -1).astype(np.int32)


def object_numbers(scene: TrainingScene, owner: I32, thing: NDArray[np.bool_]) -> I32:
    """Number of the object that each super-voxel belongs to, 0 where it is none's: int32 [M].

    Args:
        owner: int32 [M] from `shared_objects` or `grow_objects`; marks of one object number are
            one object, and one that names none is an object of its own.
        thing: bool [C].
    """
    number = np.array([mark.object for mark in scene.marks] + [0], np.int32)
    kind = np.array([thing[mark.class_id] for mark in scene.marks] + [False])
    own = np.where(number > 0, number, number.max() + 1 + np.arange(len(number)))
    object_of_mark = np.where(kind, own, 0).astype(np.int32)
    return np.asarray(object_of_mark[owner], np.int32)  # owner -1 picks the last entry, 0


def clicked_targets(scene: TrainingScene, labels: SceneLabels, numbers: I32) -> Targets:
    """What the scene's voxels are taught from labelled super-voxels and their objects.

    Labels count alike, however sure they are: what is hard to tell is what networks have to see.

    Args:
        numbers: int32 [M] from `object_numbers`.
    """
    groups = scene.prepared.supervoxel
    label = labels.label[groups]
    known = (label >= 0).astype(np.float32)
    return Targets(label, known, _centers(scene.prepared.xyz, numbers[groups]))


def without_labels(targets: Targets, hidden: NDArray[np.bool_]) -> Targets:
    """The targets with nothing said about some voxels, bool [V]."""
    if not hidden.any():
        return targets
    return Targets(
        np.where(hidden, -1, targets.label).astype(np.int32),
        np.where(hidden, 0, targets.weight).astype(np.float32),
        np.where(hidden[:, None], np.nan, targets.center).astype(np.float32),
    )


def true_targets(prepared: Prepared, truth: VoxelTruth, thing: NDArray[np.bool_]) -> Targets:
    """What the voxels are taught under full supervision."""
    is_thing = (truth.semantic >= 0) & thing[truth.semantic]
    instance = np.where(is_thing, truth.instance, 0).astype(np.int32)
    known = (truth.semantic >= 0).astype(np.float32)
    return Targets(truth.semantic, known, _centers(prepared.xyz, instance))


def _centers(xyz: F32, instance: I32) -> F32:
    """Centre of each voxel's object, NaN where it belongs to none: float32 [V, 3]."""
    ids, row = np.unique(instance, return_inverse=True)
    center = pool(xyz, row.astype(np.int32), len(ids))
    center[ids == 0] = np.nan
    return center[row]
