"""IDF1: how long objects keep their identity over consecutive clouds (arXiv 1609.01775)."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

I32 = NDArray[np.int32]

OVERLAP = 0.5  # IoU in one cloud from which an object was found
MIN_POINTS = 100  # smaller true objects are ignored, as `evaluation.MIN_REGION`


class IdentityScore:
    """IDF1 over a sequence of clouds.

    Every true object is given at most one predicted id for the whole sequence, and every id to at
    most one object, so that most sightings are right. IDF1 = 2 right / (true + predicted
    sightings). A prediction that lies mostly on points that do not count is no sighting.
    """

    def __init__(self) -> None:
        self._together: Counter[tuple[int, int]] = Counter()
        self._true = self._predicted = 0

    def add(self, truth: I32, predicted: I32, counts: NDArray[np.bool_]) -> None:
        """One cloud: int32 [N] object numbers that hold for the whole sequence, 0 = none; `counts`
        bool [N] is false where the truth does not know."""
        true_ids, true_row, true_size = np.unique(truth, return_inverse=True, return_counts=True)
        ids, row, size = np.unique(predicted, return_inverse=True, return_counts=True)
        large = (true_ids > 0) & (true_size >= MIN_POINTS)
        unknown = ~counts | ((truth > 0) & ~large[true_row])
        ignored = np.bincount(row[unknown], minlength=len(ids)) > OVERLAP * size
        both = np.zeros((len(true_ids), len(ids)), np.int64)
        np.add.at(both, (true_row, row), 1)
        iou = both / (true_size[:, None] + size[None] - both)
        found = (iou > OVERLAP) & large[:, None] & (ids > 0)
        for one, other in zip(*np.nonzero(found), strict=True):
            self._together[int(true_ids[one]), int(ids[other])] += 1
        self._true += int(large.sum())
        self._predicted += int(((ids > 0) & ~(ignored & ~found.any(axis=0))).sum())

    def idf1(self) -> float:
        """0..1; NaN where nothing was to be seen and nothing was predicted."""
        sightings = self._true + self._predicted
        return 2 * self._right() / sightings if sightings else float("nan")

    def _right(self) -> int:
        trues = sorted({true for true, _ in self._together})
        ids = sorted({found for _, found in self._together})
        votes = np.zeros((len(trues), len(ids)), np.int64)
        for (true, found), times in self._together.items():
            votes[trues.index(true), ids.index(found)] = times
        rows, columns = linear_sum_assignment(-votes)
        return int(votes[rows, columns].sum())
