"""Scores against ground truth: mean IoU, calibration, and average precision as ScanNet's benchmark
counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.clustering import Instance

I32 = NDArray[np.int32]
F64 = NDArray[np.float64]

AP_OVERLAPS = tuple(np.round(np.arange(0.5, 0.96, 0.05), 2).tolist())
BINS = 15  # of confidence, as in the paper that made the score usual
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


class CalibrationScore:
    """Expected calibration error over a whole set, of the confidence in the class that was said.

    ECE = Σ_b (n_b / N) · |share right in bin b - mean confidence in bin b| over BINS bins of equal
    width (Guo et al., arXiv 1706.04599).
    """

    def __init__(self) -> None:
        self.points, self.right, self.confidence = np.zeros((3, BINS))

    def add(self, truth: I32, predicted: I32, confidence: NDArray[np.float32]) -> None:
        """int32 [N] classes, -1 = unknown, and float32 [N] in 0..1; points without truth or
        without a prediction do not count."""
        known = (truth >= 0) & (predicted >= 0)
        sure = confidence[known].astype(np.float64)
        place = np.clip((sure * BINS).astype(np.int64), 0, BINS - 1)
        self.points += np.bincount(place, minlength=BINS)
        self.right += np.bincount(place, truth[known] == predicted[known], minlength=BINS)
        self.confidence += np.bincount(place, sure, minlength=BINS)

    def ece(self) -> float:
        """0..1; NaN where nothing was added."""
        total = self.points.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float("nan")


@dataclass(frozen=True, eq=False)
class PredictedObjects:
    """Objects of one scene: instance int32 [N], 0 = none, i + 1 = row i of the other two arrays."""

    instance: I32
    class_id: I32
    score: F64

    @classmethod
    def of(cls, instance: I32, found: Sequence[Instance]) -> PredictedObjects:
        """What `cluster_instances` found."""
        class_id = np.array([each.class_id for each in found], np.int32)
        return cls(instance, class_id, np.array([each.score for each in found], np.float64))


@dataclass
class _Matches:
    """Scores and hits of one class at one overlap, collected over scenes."""

    score: list[float] = field(default_factory=list)
    hit: list[bool] = field(default_factory=list)
    missed: int = 0
    truths: int = 0

    def add(
        self,
        match: NDArray[np.bool_],
        counts: NDArray[np.bool_],
        score: F64,
        ignored: NDArray[np.bool_],
    ) -> None:
        """One scene: match bool [P, T] says which of P predictions overlaps which of T true objects
        enough, counts bool [T] which of these are large enough, ignored bool [P] which predictions
        are no mistake where they match nothing."""
        self.truths += int(counts.sum())
        spent = np.zeros(len(score), bool)
        for true in np.flatnonzero(counts):
            found = np.flatnonzero(match[:, true] & ~spent)
            if len(found) == 0:
                self.missed += 1
                continue
            spent[found[0]] = True
            ranked = np.sort(score[found])[::-1]
            self.score.extend(ranked.tolist())
            self.hit.extend([True] + [False] * (len(found) - 1))
        wrong = ~match.any(axis=1) & ~ignored
        self.score.extend(score[wrong].tolist())
        self.hit.extend([False] * int(wrong.sum()))


class InstanceScore:
    """AP, AP50 and AP25 per thing class over a whole set of scenes.

    The rules are those of ScanNet's script: a prediction matches a true object of its class when
    their IoU exceeds the overlap; a prediction is spent on the first object that it matches, and a
    further one on the same object is false, the one of lower score. Void is what has no truth, what
    is of a stuff class, and a thing without an instance; a prediction without a match does not
    count when more of it than the overlap lies on void or on true objects below `min_region`
    points. Smaller predictions do not count either. Precision is integrated over recall.

    AP is the mean over the overlaps 0.50, 0.55 … 0.95, as the benchmark states it (its script
    leaves 0.95 out, which flatters).
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
        scored = np.isin(semantic, self.classes) & (instance > 0)
        unscored = np.bincount(predicted.instance[~scored], minlength=count + 1)[1:]
        for class_id in self.classes:
            true_ids, true_of_point = _objects_of(semantic, instance, class_id)
            true_size = np.bincount(true_of_point[true_of_point >= 0], minlength=len(true_ids))
            guesses = np.flatnonzero((predicted.class_id == class_id) & (size >= self.min_region))
            common = _common(predicted.instance, true_of_point, count, len(true_ids))[guesses]
            union = size[guesses][:, None] + true_size[None] - common
            iou = common / np.maximum(union, 1)
            small = true_size < self.min_region
            ignored = (unscored[guesses] + common[:, small].sum(axis=1)) / size[guesses]
            for overlap in (0.25, *AP_OVERLAPS):
                matches = self._matches[class_id, overlap]
                matches.add(iou > overlap, ~small, predicted.score[guesses], ignored > overlap)

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


def _common(one: I32, other: I32, count: int, others: int) -> NDArray[np.int64]:
    """Points that object i + 1 of `one` shares with object j of `other`: int64 [count, others]."""
    both = (one > 0) & (other >= 0)
    index = (one[both].astype(np.int64) - 1) * others + other[both]
    return np.bincount(index, minlength=count * others).reshape(count, others)


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
