"""How sure a mean IoU, or a ratio of two, is: rooms and seeds drawn again, for both sides alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
MIDDLE = (2.5, 97.5)  # percentiles: 95 %


def miou(confusion: NDArray[np.int64]) -> float:
    """Of one confusion matrix int64 [C, C]: rows truth, columns prediction."""
    hit = np.diag(confusion).astype(np.float64)
    truth = confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hit
    return float(np.mean(hit[truth > 0] / union[truth > 0]))


def pooled(rooms: NDArray[np.int64]) -> float:
    """Mean over seeds of the mean IoU over all rooms: rooms int64 [seeds, rooms, C, C]."""
    return float(np.mean([miou(seed.sum(axis=0)) for seed in rooms]))


def intervals(
    sides: dict[str, NDArray[np.int64]], over: str, seed: int
) -> dict[str, tuple[float, float]]:
    """95 % intervals of every side's mean IoU divided by that of the side `over`.

    Args:
        sides: int64 [seeds, rooms, C, C] each, of the same rooms and seeds.
    """
    rng = np.random.default_rng(seed)
    seeds, rooms = sides[over].shape[:2]
    drawn: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(DRAWS):
        which, where = rng.integers(seeds, size=seeds), rng.integers(rooms, size=rooms)
        value = {name: pooled(each[which][:, where]) for name, each in sides.items()}
        for name in sides:
            drawn[name].append(value[name] / value[over])
    return {
        name: tuple(np.round(np.percentile(values, MIDDLE), 4).tolist())
        for name, values in drawn.items()
    }
