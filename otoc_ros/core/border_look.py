"""How two super-voxels that touch look beside each other: what tells whether one object has both.

Lengths are in sizes of a super-voxel or of a voxel, the scales that a site is seen at, so that what
is learnt in rooms holds for a table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.look import DARK, Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool

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
    pairs, ratio = len(one), _ratios(prepared)
    columns = [
        *_colours(look, one, other),
        *_shapes(look, one, other),
        *sorted_of_pairs(np.log(look.area / look.size**2 + 1e-3), one, other),
        *sorted_of_pairs(np.abs(look.facing[:, 2]), one, other),
        *sorted_of_pairs(look.facing[:, 2], one, other),
        *sorted_of_pairs(np.linalg.norm(look.facing, axis=1), one, other),
        *sorted_of_pairs(heights(prepared, look), one, other),
        *sorted_of_pairs(look.brightness, one, other),
        *sorted_of_pairs(_variation(prepared, ratio), one, other),
        *_at_the_border(prepared, ratio),
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


def _variation(prepared: Prepared, ratio: F32) -> F32:
    """How much the colour ratios of each super-voxel vary: float32 [M]."""
    groups, count = prepared.supervoxel, prepared.n_supervoxels
    spread = pool(ratio**2, groups, count) - pool(ratio, groups, count) ** 2
    return np.asarray(np.sqrt(np.maximum(spread, 0)).mean(axis=1), np.float32)


def _ratios(prepared: Prepared) -> F32:
    if prepared.rgb is None:
        return np.zeros_like(prepared.xyz)
    brightness = prepared.rgb.mean(axis=1, keepdims=True)
    return np.asarray(prepared.rgb / (brightness + np.float32(DARK)), np.float32)


def _at_the_border(prepared: Prepared, ratio: F32) -> list[F32]:
    """Means over the pairs of touching voxels across each border: sharper than what the means of
    two super-voxels tell."""
    xyz, groups = prepared.xyz, prepared.supervoxel
    voxel = prepared.settings.voxel_size
    bright = xyz[:, 0] * 0 if prepared.rgb is None else prepared.rgb.mean(axis=1)
    pairs, length, crossings, crossed = prepared.borders
    sums = _crossing_sums(crossings, crossed, len(pairs), xyz, prepared.normal, bright, ratio)
    size = np.bincount(groups, minlength=prepared.n_supervoxels)
    smaller = np.minimum(size[pairs[:, 0]], size[pairs[:, 1]])
    means = (sums / np.maximum(length, 1)[:, None]).astype(np.float32)
    brightness, tint, parallel, way, level = means.T
    longest = np.asarray(length / np.sqrt(smaller), np.float32)
    return [longest, brightness, tint, parallel, way / voxel, level / (2 * voxel)]


@compiled
def _crossing_sums(crossings, crossed, count, xyz, normal, bright, ratio):  # type: ignore[no-untyped-def]
    """Over the pairs of voxels that lie across each border, sums of the changes of brightness and
    of colour ratios, of the cosine of the normals, of the length and of the steps along both
    normals: float64 [count, 5]."""
    sums = np.zeros((count, 5))
    for number in range(len(crossings)):
        one, two = crossings[number]
        row = sums[crossed[number]]
        change, cosine, length, rise, fall = 0.0, 0.0, 0.0, 0.0, 0.0
        for axis in range(3):
            step = np.float64(xyz[two, axis] - xyz[one, axis])
            change += np.float64(ratio[one, axis] - ratio[two, axis]) ** 2
            cosine += np.float64(normal[one, axis]) * normal[two, axis]
            length += step * step
            rise += step * normal[one, axis]
            fall += step * normal[two, axis]
        row[0] += abs(np.float64(bright[one] - bright[two]))
        row[1] += np.sqrt(change)
        row[2] += abs(cosine)
        row[3] += np.sqrt(length)
        row[4] += abs(rise) + abs(fall)
    return sums
