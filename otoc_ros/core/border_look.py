"""How two super-voxels that touch look beside each other: what tells whether one object has both.

Lengths are in sizes of a super-voxel or of a voxel, the scales that a site is seen at, so that what
is learnt in rooms holds for a table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.look import DARK, Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool
from otoc_ros.core.voxel_graph import voxel_graph

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

BORDER_FEATURES = 30
LOWEST = 1.0  # per cent of the points that may lie below what heights are measured from


def describe_borders(prepared: Prepared, look: Look) -> F32:
    """Features of the E pairs in `prepared.borders`: float32 [E, BORDER_FEATURES].

    Args:
        look: of the super-voxels.
    """
    one, other = prepared.borders.pairs.T
    pairs = len(one)
    columns = [
        *_colours(look, one, other),
        *_shapes(look, one, other),
        *sorted_of_pairs(np.log(look.area / look.size**2 + 1e-3), one, other),
        *sorted_of_pairs(np.abs(look.facing[:, 2]), one, other),
        *sorted_of_pairs(look.facing[:, 2], one, other),
        *sorted_of_pairs(np.linalg.norm(look.facing, axis=1), one, other),
        *sorted_of_pairs(heights(prepared, look), one, other),
        *sorted_of_pairs(look.brightness, one, other),
        *sorted_of_pairs(_variation(prepared), one, other),
        *_at_the_border(prepared),
        np.full(pairs, prepared.rgb is not None),
        np.full(pairs, knows_sides(look)),
    ]
    return np.column_stack(columns).astype(np.float32)


def heights(prepared: Prepared, look: Look) -> F32:
    """Of the super-voxels above the lowest points, in super-voxel sizes: float32 [M]."""
    lowest = np.percentile(prepared.xyz[:, 2], LOWEST)
    return np.asarray((look.center[:, 2] - lowest) / look.size, np.float32)


def knows_sides(look: Look) -> bool:
    """Whether it is known from where upright surfaces were seen."""
    return bool((np.abs(look.facing[:, :2]) > 0.5).any())


def sorted_of_pairs(values: NDArray[np.floating], one: I64, other: I64) -> tuple[NDArray, NDArray]:
    """The lower and the higher value of each pair: a pair has no first one."""
    first, second = values[one], values[other]
    return np.minimum(first, second), np.maximum(first, second)


def _colours(look: Look, one: I64, other: I64) -> list[F32]:
    ratio = np.linalg.norm(look.ratio[one] - look.ratio[other], axis=1)
    return [ratio, np.abs(look.brightness[one] - look.brightness[other])]


def _shapes(look: Look, one: I64, other: I64) -> list[F32]:
    way = look.center[other] - look.center[one]
    apart = np.linalg.norm(way, axis=1)
    first, second = look.facing[one], look.facing[other]
    depth = (way * (first + second) / 2).sum(axis=1) / look.voxel_size
    return [
        np.linalg.norm(look.direction[one] - look.direction[other], axis=1),
        (way * (second - first)).sum(axis=1) / (apart + 1e-9),  # below 0: a concave crease
        np.abs(depth),
        (first * second).sum(axis=1),
        apart / look.size,
        np.abs(way[:, 2]) / look.size,
    ]


def _variation(prepared: Prepared) -> F32:
    """How much the colour ratios of each super-voxel vary: float32 [M]."""
    ratio = _ratios(prepared)
    groups, count = prepared.supervoxel, prepared.n_supervoxels
    spread = pool(ratio**2, groups, count) - pool(ratio, groups, count) ** 2
    return np.asarray(np.sqrt(np.maximum(spread, 0)).mean(axis=1), np.float32)


def _ratios(prepared: Prepared) -> F32:
    if prepared.rgb is None:
        return np.zeros_like(prepared.xyz)
    brightness = prepared.rgb.mean(axis=1, keepdims=True)
    return np.asarray(prepared.rgb / (brightness + np.float32(DARK)), np.float32)


def _at_the_border(prepared: Prepared) -> list[F32]:
    """Means over the pairs of touching voxels across each border: sharper than what the means of
    two super-voxels tell."""
    xyz, normal, groups = prepared.xyz, prepared.normal, prepared.supervoxel
    first, other = voxel_graph(prepared.grid.coords, xyz, 1, len(xyz))
    one = np.repeat(np.arange(len(first) - 1), np.diff(first))
    across = groups[one] != groups[other]
    one, other = one[across], other[across]
    count = prepared.n_supervoxels
    a, b = groups[one].astype(np.int64), groups[other].astype(np.int64)
    keys = np.minimum(a, b) * count + np.maximum(a, b)
    pairs = prepared.borders.pairs
    row = np.searchsorted(pairs[:, 0] * count + pairs[:, 1], keys)
    length = np.bincount(row, minlength=len(pairs))
    size = np.bincount(groups, minlength=count)
    smaller = np.minimum(size[pairs[:, 0]], size[pairs[:, 1]])

    def mean(values: F32) -> F32:
        sums = np.bincount(row, values, minlength=len(pairs))
        return np.asarray(sums / np.maximum(length, 1), np.float32)

    ratio = _ratios(prepared)
    bright = xyz[:, 0] * 0 if prepared.rgb is None else prepared.rgb.mean(axis=1)
    way, voxel = xyz[other] - xyz[one], prepared.settings.voxel_size
    level = np.abs((way * normal[one]).sum(axis=1)) + np.abs((way * normal[other]).sum(axis=1))
    return [
        np.asarray(length / np.sqrt(smaller), np.float32),
        mean(np.abs(bright[one] - bright[other])),
        mean(np.linalg.norm(ratio[one] - ratio[other], axis=1)),
        mean(np.abs((normal[one] * normal[other]).sum(axis=1))),
        mean(np.linalg.norm(way, axis=1) / voxel),
        mean(level / (2 * voxel)),
    ]
