"""Scores against ground truth: mean IoU, and average precision as ScanNet's benchmark counts it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
F64 = NDArray[np.float64]

AP_OVERLAPS = tuple(np.round(np.arange(0.5, 0.96, 0.05), 2).tolist())
MIN_REGION = 100  # points; smaller true objects are ignored, as in ScanNet's benchmark


class SemanticScore:
    """IoU per class, accumulated over a whole set (never averaged over scenes)."""

    def __init__(self, classes: int) -> None:
        self.confusion = np.zeros((classes, classes + 1), np.int64)  # last column: no prediction

    def add(self, truth: I32, predicted: I32) -> None:
        """truth, predicted: int32 [N], -1 = unknown; points without truth do not count."""
        known = truth >= 0
        classes = len(self.confusion)
        guess = np.where(predicted[known] >= 0, predicted[known], classes)
        index = truth[known].astype(np.int64) * (classes + 1) + guess
        self.confusion += np.bincount(index, minlength=self.confusion.size).reshape(
            self.confusion.shape
        )

    def iou(self) -> F64:
        """float64 [C]; NaN for a class that the truth does not hold."""
        hit = np.diag(self.confusion).astype(np.float64)
        truth = self.confusion.sum(axis=1)
        union = truth + self.confusion[:, :-1].sum(axis=0) - hit
        return np.where(truth > 0, hit / np.maximum(union, 1), np.nan)

    def miou(self) -> float:
        """Mean IoU over the classes that the truth holds; NaN without any."""
        return _mean(self.iou())


@dataclass(frozen=True, eq=False)
class PredictedObjects:
    """Objects of one scene: instance int32 [N], 0 = none, i + 1 = row i of the other two arrays."""

    instance: I32
    class_id: I32
    score: F64


@dataclass
class _Matches:
    """Scores and hits of one class at one overlap, collected over scenes."""

    score: list[float] = field(default_factory=list)
    hit: list[bool] = field(default_factory=list)
    missed: int = 0
    truths: int = 0


class InstanceScore:
    """AP, AP50 and AP25 per thing class over a whole set of scenes.

    The rules are ScanNet's: a prediction matches a true object of its class when their IoU exceeds
    the overlap; a second prediction on one object is false; a prediction that lies mostly on
    points without truth, on another kind of unscored points, or on true objects below MIN_REGION
    points does not count; precision is integrated over recall.
    """

    def __init__(self, thing_classes: list[int], min_region: int = MIN_REGION) -> None:
        self.classes = thing_classes
        self.min_region = min_region
        overlaps = (0.25, *AP_OVERLAPS)
        self._matches = {(c, o): _Matches() for c in thing_classes for o in overlaps}

    def add(self, semantic: I32, instance: I32, predicted: PredictedObjects) -> None:
        """semantic int32 [N] (-1 = void) and instance int32 [N] (0 = none) are the truth."""
        count = len(predicted.class_id)
        size = np.bincount(predicted.instance, minlength=count + 1)[1:]
        for class_id in self.classes:
            true_ids, true_of_point = _objects_of(semantic, instance, class_id)
            true_size = np.bincount(true_of_point[true_of_point >= 0], minlength=len(true_ids))
            small = true_size < self.min_region
            guesses = np.flatnonzero((predicted.class_id == class_id) & (size >= self.min_region))
            void = (semantic < 0) | ((semantic == class_id) & (instance <= 0))
            void |= np.isin(true_of_point, np.flatnonzero(small))
            common = np.zeros((len(guesses), len(true_ids)), np.int64)
            on_void = np.zeros(len(guesses))
            for row, guess in enumerate(guesses):
                mine = predicted.instance == guess + 1
                inside = true_of_point[mine]
                common[row] = np.bincount(inside[inside >= 0], minlength=len(true_ids))
                on_void[row] = np.count_nonzero(void & mine) / size[guess]
            union = size[guesses][:, None] + true_size[None] - common
            iou = common / np.maximum(union, 1)
            for overlap in (0.25, *AP_OVERLAPS):
                self._match(
                    self._matches[class_id, overlap],
                    iou[:, ~small],
                    predicted.score[guesses],
                    iou[:, small],
                    on_void,
                    overlap,
                )

    @staticmethod
    def _match(
        matches: _Matches, iou: F64, score: F64, iou_small: F64, on_void: F64, overlap: float
    ) -> None:
        matches.truths += iou.shape[1]
        used = np.zeros(len(score), bool)
        for true in range(iou.shape[1]):
            found = np.flatnonzero(iou[:, true] > overlap)
            if len(found) == 0:
                matches.missed += 1
                continue
            used[found] = True
            ranked = np.sort(score[found])[::-1]
            matches.score.extend(ranked.tolist())
            matches.hit.extend([True] + [False] * (len(found) - 1))
        for row in np.flatnonzero(~used):
            if on_void[row] <= overlap and not (iou_small[row] > overlap).any():
                matches.score.append(float(score[row]))
                matches.hit.append(False)

    def average_precision(self, class_id: int, overlap: float) -> float:
        """AP of one class at one overlap; NaN when the truth holds no object of it."""
        matches = self._matches[class_id, overlap]
        if matches.truths == 0:
            return float("nan")
        if not matches.score:
            return 0.0
        return _area(np.array(matches.score), np.array(matches.hit), matches.missed)

    def summary(self) -> dict[str, float]:
        """{"ap", "ap50", "ap25"}: means over classes that the truth holds."""
        at = {
            overlap: _mean(np.array([self.average_precision(c, overlap) for c in self.classes]))
            for overlap in (0.25, *AP_OVERLAPS)
        }
        ap = float(np.mean([at[overlap] for overlap in AP_OVERLAPS]))
        return {"ap": ap, "ap50": at[0.5], "ap25": at[0.25]}


def _objects_of(semantic: I32, instance: I32, class_id: int) -> tuple[I32, I32]:
    """Ids of the true objects of a class, and per point the row of its object or -1."""
    rows = np.full(len(semantic), -1, np.int32)
    mine = (semantic == class_id) & (instance > 0)
    ids, index = np.unique(instance[mine], return_inverse=True)
    rows[mine] = index
    return ids, rows


def _area(score: F64, hit: NDArray[np.bool_], missed: int) -> float:
    """Area under precision over recall, trapezoid steps as in ScanNet's script."""
    order = np.argsort(score, kind="mergesort")
    score, hit = score[order], hit[order]
    _, first = np.unique(score, return_index=True)
    hits_before = np.concatenate([[0], np.cumsum(hit)])
    hits = hits_before[-1] - hits_before[first]  # at each threshold, all scores >= it
    guesses = len(score) - first
    precision = np.append(hits / guesses, 1.0)
    # A missed object is a false negative at every threshold.
    recall = np.append(hits / (hits_before[-1] + missed), 0.0)
    steps = np.convolve(np.concatenate([recall[:1], recall, [0.0]]), [-0.5, 0, 0.5], "valid")
    return float(np.dot(precision, steps))


def _mean(values: F64) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
