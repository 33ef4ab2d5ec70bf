"""Classes for the whole scene from a few clicks: every clicked object is an example of its class.

No network is trained: what the last one sees (see `helper`) is compared with what was clicked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoc_ros.annotate.segments import Lit, Segments
from otoc_ros.core.propagation import log_softmax
from otoc_ros.core.supervoxels import pool

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

SHARPNESS = 12.0  # squared distance between looks that divides a class's odds by e, inverse
UNLIKE = -12.0  # score of a class that was never clicked
GROWN = 0.9  # probability of the class that an object has grown with; a person's own is certain


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Examples: feature float32 [K, D] and class int32 [K] in 0..classes - 1."""

    feature: F32
    class_id: I32
    classes: int

    @staticmethod
    def of(scenes: Sequence[tuple[Segments, Lit]], classes: int) -> Prototypes:
        """One example an object, the mean look of what it has grown to; accepted places as such.

        Scenes seen by another network than the first one are passed over.
        """
        features: list[F32] = []
        names: list[I32] = []
        for segments, lit in scenes:
            if features and segments.feature.shape[1] != features[0].shape[1]:
                continue
            owned = lit.owner >= 0
            if owned.any():
                weighted = segments.feature[owned]
                means = pool(weighted, lit.owner[owned], len(lit.subjects))
                present = np.bincount(lit.owner[owned], minlength=len(lit.subjects)) > 0
                features.append(means[present])
                names.append(
                    np.array([subject.class_id for subject in lit.subjects], np.int32)[present]
                )
            accepted = np.flatnonzero(lit.said & ~owned)
            if len(accepted):
                features.append(segments.feature[accepted])
                names.append(lit.label[accepted])
        if not features:
            return Prototypes(np.zeros((0, 0), np.float32), np.zeros(0, np.int32), classes)
        return Prototypes(np.concatenate(features), np.concatenate(names), classes)

    def believe(self, segments: Segments, lit: Lit) -> F32 | None:
        """Class probabilities of a scene's super-voxels: float32 [M, C]; None: no example yet."""
        if not len(self.feature) or segments.feature.shape[1] != self.feature.shape[1]:
            return None
        score: F32 = np.full((segments.count, self.classes), -np.inf, np.float32)
        apart = _squared_distances(segments.feature, self.feature)
        for name in np.unique(self.class_id):
            score[:, name] = -SHARPNESS * apart[:, self.class_id == name].min(axis=1)
        # A class without an example is never the best guess, but far from all examples a close one.
        unseen = np.minimum(UNLIKE, score.max(axis=1, keepdims=True) - 1)
        score = np.where(np.isfinite(score), score, unseen).astype(np.float32)
        belief: F32 = np.exp(log_softmax(score))
        return _with_what_is_said(belief, lit)

    def difference(self, segments: Segments) -> F32:
        """How unlike every example each super-voxel looks: float32 [M], 0..1; 1 without any."""
        if not len(self.feature) or segments.feature.shape[1] != self.feature.shape[1]:
            return np.ones(segments.count, np.float32)
        apart = _squared_distances(segments.feature, self.feature).min(axis=1)
        unlike: F32 = 1 - np.exp(-2 * apart)
        return unlike


def _with_what_is_said(belief: F32, lit: Lit) -> F32:
    classes = belief.shape[1]
    labelled = np.flatnonzero(lit.label >= 0)
    sure = np.where(lit.said[labelled], 1.0, GROWN).astype(np.float32)
    belief[labelled] = ((1 - sure) / max(classes - 1, 1))[:, None]
    belief[labelled, lit.label[labelled]] = sure
    for subject in lit.subjects:
        for place in subject.seeds.outside:
            belief[place, subject.class_id] = 0
    total = np.maximum(belief.sum(axis=1, keepdims=True), 1e-9)
    normalised: F32 = belief / total
    return normalised


def _squared_distances(one: F32, other: F32) -> F32:
    square = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    distance: F32 = np.maximum(square, 0)
    return distance
