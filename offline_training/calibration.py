"""How sure the networks may be: a temperature from clicks that they were not taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from offline_training.scenes import Mark, VoxelTruth, majority
from otoc_ros.core.confidence import ConfidenceSettings, tempered
from otoc_ros.core.preprocess import Prepared

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

EVERY = 10  # one click in so many is held out
SPREAD = 1.0  # σ of log T before anything is seen: a handful of clicks cannot claim an extreme
RANGE = (-2.0, 3.0)  # of log T
KNOWN = 0.95  # share of the clicked things that are not to be called unknown


def held_out_marks(marks: Sequence[Sequence[Mark]]) -> list[list[int]]:
    """One click in ten, spread evenly over the classes and the scenes.

    The only click of a class is left to training.

    Args:
        marks: of each scene.

    Returns:
        rows of each scene's marks.
    """
    said = sorted(
        (mark.class_id, scene, row)
        for scene, own in enumerate(marks)
        for row, mark in enumerate(own)
        if mark.holds
    )
    count = np.bincount([name for name, _, _ in said], minlength=1)
    rows: list[list[int]] = [[] for _ in marks]
    for name, scene, row in said[EVERY // 2 :: EVERY]:
        if count[name] > 1:
            rows[scene].append(row)
    return rows


def true_marks(prepared: Prepared, truth: VoxelTruth) -> tuple[Mark, ...]:
    """What a person would click who sees the truth: each object at the super-voxel that holds most
    of it. What full labels hold out instead of clicks."""
    known = truth.semantic >= 0
    pairs, row = np.unique(
        np.column_stack([truth.semantic[known], truth.instance[known]]), axis=0, return_inverse=True
    )
    place = majority(prepared.supervoxel[known], row.astype(np.int32), len(pairs))
    return tuple(
        Mark("click", int(name), int(number), int(supervoxel))
        for (name, number), supervoxel in zip(pairs, place, strict=True)
    )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was believed of n clicked super-voxels that nobody was taught.

    Attributes:
        belief: float32 [n, C], as live: without the clicks of the scene.
        label: int32 [n], what the clicks say.
        weight: float64 [n], the area that each stands for.
        strangeness: float32 [n], likewise as live.
    """

    belief: F32
    label: I32
    weight: NDArray[np.float64]
    strangeness: F32


def fit_confidence(held_out: HeldOut) -> ConfidenceSettings:
    """The temperature, and the strangeness that only few of the known things exceed."""
    strange = float(np.quantile(held_out.strangeness, KNOWN)) if len(held_out.label) else 1.0
    return ConfidenceSettings(
        temperature=fit_temperature(held_out), strange_above=round(strange, 4)
    )


def fit_temperature(held_out: HeldOut) -> float:
    """The temperature under which the clicks that were held out are most probable.

    Confidence is said of points, most of which lie on a few large surfaces: clicks count by their
    area, and together as much as (Σw)² / Σw² equal ones. Few say little; without any the answer is
    1.
    """
    squares = (held_out.weight**2).sum()
    weight = held_out.weight * (held_out.weight.sum() / squares) if squares else held_out.weight
    rows = np.arange(len(held_out.label))

    def cost(log_temperature: float) -> float:
        sure = tempered(held_out.belief, float(np.exp(log_temperature)))[rows, held_out.label]
        surprise = -np.log(np.maximum(sure, 1e-30)).astype(np.float64)
        return float((weight * surprise).sum() + log_temperature**2 / (2 * SPREAD**2))

    found = minimize_scalar(cost, bounds=RANGE, method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), 4)
