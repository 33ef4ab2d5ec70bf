"""What can be had without the method: the limit of the super-voxels, and two plain guessers."""

from __future__ import annotations

import numpy as np
from efficiency.scoring import confusion
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline_training.scenes import Mark, majority
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool
from otoc_ros.site.truth import Truth

Room = tuple[Prepared, Truth]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

SAMPLE = 4000  # voxels of each training room that the height-and-colour guesser keeps
VOTERS = 25


def oracle(rooms: list[Room], classes: int) -> NDArray[np.int64]:
    """Every super-voxel labelled by most of its points: int64 [rooms, C, C]."""
    tables = []
    for prepared, truth in rooms:
        true = _of_voxels(prepared, truth)
        best = majority(true, prepared.supervoxel, prepared.n_supervoxels)
        found = prepared.to_points(best[prepared.supervoxel], fill=-1)
        tables.append(confusion(truth.semantic, found, classes))
    return np.stack(tables)


def nearest_click(
    train: list[tuple[Prepared, tuple[Mark, ...]]], rooms: list[Room], classes: int
) -> NDArray[np.int64]:
    """Each super-voxel takes the class of the clicked one whose mean input features are nearest:
    int64 [rooms, C, C]."""
    known = [(_described(prepared), marks) for prepared, marks in train]
    features = np.concatenate([d[[m.supervoxel for m in marks]] for d, marks in known if marks])
    label = np.array([mark.class_id for _, marks in known for mark in marks], np.int32)
    spread = np.concatenate([described for described, _ in known]).std(axis=0) + 1e-6
    tree = cKDTree(features / spread)
    tables = []
    for prepared, truth in rooms:
        found = label[tree.query(_described(prepared) / spread)[1]][prepared.supervoxel]
        tables.append(confusion(truth.semantic, prepared.to_points(found, fill=-1), classes))
    return np.stack(tables)


def height_and_colour(
    train: list[Room], rooms: list[Room], classes: int, seed: int
) -> NDArray[np.int64]:
    """Full labels, but each voxel is guessed by its height and colour alone, by the votes of its
    nearest training voxels, rare classes as strong as frequent ones: int64 [rooms, C, C].

    The bed is too easy if this comes near the network.
    """
    rng = np.random.default_rng(seed)
    kept, labels = [], []
    for prepared, truth in train:
        true = _of_voxels(prepared, truth)
        rows = np.flatnonzero(true >= 0)
        rows = rng.choice(rows, min(SAMPLE, len(rows)), replace=False)
        kept.append(_height_colour(prepared)[rows]), labels.append(true[rows])
    features, label = np.concatenate(kept), np.concatenate(labels)
    share = np.bincount(label, minlength=classes) / len(label)
    spread = features.std(axis=0) + 1e-6
    tree = cKDTree(features / spread)
    tables = []
    for prepared, truth in rooms:
        _, near = tree.query(_height_colour(prepared) / spread, k=VOTERS)
        votes = np.zeros((len(near), classes))
        for column in near.T:
            np.add.at(votes, (np.arange(len(near)), label[column]), 1.0)
        votes /= np.sqrt(np.maximum(share, 1e-6))
        found = votes.argmax(axis=1).astype(np.int32)
        tables.append(confusion(truth.semantic, prepared.to_points(found, fill=-1), classes))
    return np.stack(tables)


def _of_voxels(prepared: Prepared, truth: Truth) -> I32:
    return majority(truth.semantic, prepared.voxel_of_point, len(prepared.xyz))


def _described(prepared: Prepared) -> F32:
    return pool(prepared.features, prepared.supervoxel, prepared.n_supervoxels)


def _height_colour(prepared: Prepared) -> F32:
    black = np.zeros((len(prepared.xyz), 3), np.float32)
    rgb = black if prepared.rgb is None else prepared.rgb
    return np.column_stack([prepared.height, rgb]).astype(np.float32)
