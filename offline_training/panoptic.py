"""Panoptic quality: classes and objects in one number (Kirillov et al., arXiv 1801.00868)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
F64 = NDArray[np.float64]

ENOUGH = 0.5  # a match overlaps more than this; then no segment has two
_STRIDE = 2**31  # a segment's key: class times this, plus its object


class PanopticScore:
    """PQ per class over a whole set of scenes.

    A segment is one object of a thing class, or all points of a stuff class in a scene. Points
    without truth are taken off the predicted segments; a predicted segment that lies mostly on them
    is no mistake. PQ = Σ IoU of matches / (matches + ½ wrong segments + ½ missed ones).
    """

    def __init__(self, thing: NDArray[np.bool_]) -> None:
        self.thing = thing
        self.overlap = np.zeros(len(thing))
        self.matched, self.wrong, self.missed = np.zeros((3, len(thing)), np.int64)

    def add(self, semantic: I32, instance: I32, found_semantic: I32, found_instance: I32) -> None:
        """One scene's truth and prediction: int32 [N] each; semantic -1 = unknown, instance 0 =
        none. A thing's points without an object are void in the truth and unlabelled in the
        prediction."""
        true, true_class = self._segments(semantic, instance)
        found, found_class = self._segments(found_semantic, found_instance)
        pairs, common = np.unique(np.column_stack([true, found]), axis=0, return_counts=True)
        true_size = np.bincount(true[true >= 0], minlength=len(true_class))
        found_size = np.bincount(found[found >= 0], minlength=len(found_class))
        on_void = np.zeros(len(found_class), np.int64)
        void = (pairs[:, 0] < 0) & (pairs[:, 1] >= 0)
        on_void[pairs[void, 1]] = common[void]
        both = (pairs >= 0).all(axis=1)
        (mine, other), shared = pairs[both].T, common[both]
        iou = shared / (true_size[mine] + found_size[other] - on_void[other] - shared)
        match = (iou > ENOUGH) & (true_class[mine] == found_class[other])
        np.add.at(self.overlap, true_class[mine[match]], iou[match])
        np.add.at(self.matched, true_class[mine[match]], 1)
        missed = np.delete(np.arange(len(true_class)), mine[match])
        np.add.at(self.missed, true_class[missed], 1)
        mistaken = found_size > 0
        mistaken[other[match]] = False
        mistaken &= on_void <= ENOUGH * found_size
        np.add.at(self.wrong, found_class[mistaken], 1)

    def _segments(self, semantic: I32, instance: I32) -> tuple[NDArray[np.int64], I32]:
        """Segment of every point [N], -1 = none, and the class of every segment [S]."""
        is_thing = (semantic >= 0) & self.thing[semantic]
        known = (semantic >= 0) & (~is_thing | (instance > 0))
        key = semantic[known].astype(np.int64) * _STRIDE + np.where(is_thing, instance, 0)[known]
        keys, row = np.unique(key, return_inverse=True)
        segment = np.full(len(semantic), -1, np.int64)
        segment[known] = row
        return segment, (keys // _STRIDE).astype(np.int32)

    def quality(self) -> F64:
        """float64 [C]; NaN for a class that is neither in the truth nor predicted."""
        weight = self.matched + (self.wrong + self.missed) / 2
        return np.where(weight > 0, self.overlap / np.maximum(weight, 0.5), np.nan)

    def pq(self) -> float:
        """Mean over classes that the truth holds or that were predicted; NaN without any."""
        quality = self.quality()
        return float(np.nanmean(quality)) if np.isfinite(quality).any() else float("nan")
