"""Colours that tell objects apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

# Twenty colours that the eye tells apart, in an order in which the first few differ most.
DISTINCT = np.array(
    [
        (78, 121, 167), (242, 142, 43), (89, 161, 79), (225, 87, 89), (176, 122, 161),
        (237, 201, 72), (118, 183, 178), (156, 117, 95), (255, 157, 167), (140, 209, 125),
        (160, 203, 232), (182, 153, 45), (134, 188, 182), (211, 114, 149), (109, 76, 145),
        (255, 190, 125), (73, 152, 148), (250, 191, 210), (121, 112, 110), (212, 166, 200),
    ],
    np.uint8,
)  # fmt: skip
NEXT_TO = 0.25  # objects nearer than this share of the larger one's diagonal are neighbours


def object_colours(ids: Sequence[int], corners: Sequence[F64]) -> U8:
    """A colour for each of K objects that none of its neighbours has, as far as 20 colours go.

    An object has the colour of its id, unless a neighbour with a lower id has that colour: so it
    keeps it while its id is steady and its surroundings do not change.

    Args:
        ids: numbers of the objects, 1 or more.
        corners: float64 [8, 3] of a box around each object, or any other points that span it.

    Returns:
        uint8 [K, 3].
    """
    low = np.array([each.min(axis=0) for each in corners]).reshape(-1, 3)
    high = np.array([each.max(axis=0) for each in corners]).reshape(-1, 3)
    diagonal = np.linalg.norm(high - low, axis=1)
    chosen = np.full(len(ids), -1, np.int64)
    for row in np.argsort(ids, kind="stable"):
        gap = np.maximum(np.maximum(low - high[row], low[row] - high), 0)
        near = np.linalg.norm(gap, axis=1) < NEXT_TO * np.maximum(diagonal, diagonal[row])
        taken = chosen[near & (chosen >= 0)]
        used = np.bincount(taken, minlength=len(DISTINCT))
        turn = np.roll(np.arange(len(DISTINCT)), 1 - ids[row])
        chosen[row] = turn[used[turn].argmin()]
    return DISTINCT[chosen]
