"""Where the next click teaches most: large, uncertain, and unlike what is labelled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoc_ros.annotate.prototypes import Prototypes
from otoc_ros.annotate.segments import Lit, Segments

F32 = NDArray[np.float32]

SMALLEST = 8  # voxels; nobody clicks a smaller thing


@dataclass(frozen=True, eq=False)
class Suggestion:
    """One object that nobody has clicked, as far as can be told.

    Attributes:
        place: the super-voxel to click, in its middle. members: all of it.
        worth: uncertainty × size × difference; compares suggestions of all scenes.
        class_id: what it is believed to be, -1 = no idea. confidence: of that.
    """

    place: int
    members: NDArray[np.int64]
    worth: float
    class_id: int
    confidence: float


def suggestions(
    segments: Segments,
    lit: Lit,
    belief: F32 | None,
    prototypes: Prototypes,
    passed: Collection[int] = (),
) -> list[Suggestion]:
    """One an object, the one that teaches most first.

    Args:
        belief: float32 [M, C]; None: nothing is known yet, so all is uncertain.
        passed: super-voxels that a person does not want to be asked about.
    """
    free = lit.label < 0
    free[list(passed)] = False
    rows = np.flatnonzero(free)
    if not len(rows):
        return []
    piece = segments.growth.pieces(free)
    uncertainty = np.ones(segments.count, np.float32) if belief is None else _doubt(belief)
    difference = prototypes.difference(segments)
    found = []
    for members in _groups(piece[rows], rows):
        size = segments.size[members]
        if size.sum() < SMALLEST:
            continue
        weight = size / size.sum()
        worth = (
            float(np.sqrt(size.sum()))
            * float(weight @ uncertainty[members])
            * float(weight @ difference[members])
        )
        best, confidence = -1, 0.0
        if belief is not None:
            mean = weight @ belief[members]
            best, confidence = int(mean.argmax()), float(mean.max())
        found.append(Suggestion(_middle(segments, members), members, worth, best, confidence))
    return sorted(found, key=lambda one: -one.worth)


def _doubt(belief: F32) -> F32:
    """Entropy as a share of the largest possible one: float32 [M]."""
    entropy = -(belief * np.log(np.maximum(belief, 1e-9))).sum(axis=1)
    share: F32 = (entropy / np.log(max(belief.shape[1], 2))).astype(np.float32)
    return share


def _groups(number: NDArray[np.int32], rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(number, kind="stable")
    ends = np.flatnonzero(np.diff(number[order])) + 1
    return np.split(rows[order], ends)


def _middle(segments: Segments, members: NDArray[np.int64]) -> int:
    """The large super-voxel nearest to the centre of an object."""
    weight = segments.size[members].astype(float)
    center = segments.center[members]
    middle = weight @ center / weight.sum()
    away = np.linalg.norm(center - middle, axis=1)
    return int(members[np.argmin(away / np.sqrt(weight))])
