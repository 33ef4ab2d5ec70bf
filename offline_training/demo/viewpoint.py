"""From where a scene is looked at, and what is cut away so that its inside shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline_training.demo.splat import F64, View

Mask = NDArray[np.bool_]

TILT = 50.0  # degrees that the eye looks down into a room
ANGLE = 36.0  # degrees from edge to edge of a picture
AZIMUTHS = 12
CUT = 0.86  # of a room's height; the ceiling and what hangs there is cut away
RIM = 0.4  # metres from the room's side; walls this near to the eye's side are cut away
MARGIN = 1.03
SAMPLE = 40_000  # points that decide
CELL = 6  # pixels; in such cells it is judged what hides what


def room_view(
    xyz: F64, normal: F64, shell: Mask, matters: Mask, size: tuple[int, int]
) -> tuple[View, Mask]:
    """A look into a room as into a doll's house: no ceiling, no walls in the way.

    Args:
        xyz: float [N, 3], z up, metres. normal: float [N, 3], either side out.
        shell: bool [N], walls and what is part of them.
        matters: bool [N], the points that should not be hidden by others.

    Returns:
        The view, and bool [N], the points that stay.
    """
    low, high = np.percentile(xyz, [0.5, 99.5], axis=0)
    below = xyz[:, 2] < low[2] + CUT * (high[2] - low[2])
    some = np.arange(0, len(xyz), len(xyz) // SAMPLE + 1)
    best: tuple[float, View, F64] | None = None
    for azimuth in (np.arange(AZIMUTHS) + 0.5) * 2 * np.pi / AZIMUTHS:
        back = direction(azimuth, np.deg2rad(TILT))
        hidden = _in_the_way(xyz[some], normal[some], back, low, high) & shell[some]
        left = some[below[some] & ~hidden]
        view = fitted(xyz[left], back, ANGLE, size)
        score = _uncovered(xyz[left], matters[left], view)
        if best is None or score > best[0]:
            best = score, view, back
    assert best is not None
    _, view, back = best
    return view, below & ~(_in_the_way(xyz, normal, back, low, high) & shell)


def direction(azimuth: float, tilt: float) -> F64:
    """Unit vector from a scene to an eye that stands at an azimuth and looks down by a tilt."""
    level = np.array([np.cos(azimuth), np.sin(azimuth), 0.0]) * np.cos(tilt)
    eye: F64 = level + np.array([0.0, 0.0, np.sin(tilt)])
    return eye


def fitted(xyz: F64, back: F64, angle: float, size: tuple[int, int]) -> View:
    """The view along -back that shows all points, as near as that allows; z is up."""
    up = np.array([0.0, 0.0, 1.0])
    right = np.cross(-back, up) / np.linalg.norm(np.cross(-back, up))
    down = np.cross(-back, right)
    target = (xyz.min(0) + xyz.max(0)) / 2
    distance = 3.0 * float(np.ptp(xyz, axis=0).max())
    for _ in range(6):
        view = View(target + back * distance, target, up, angle, size)
        pixel, depth = view.project(xyz)
        low, high = np.percentile(pixel, [0.2, 99.8], axis=0)
        metres = float(np.median(depth)) / view.focal  # of a pixel
        shift = ((low + high) - np.array(size)) / 2 * metres
        target = target + right * shift[0] + down * shift[1]
        distance *= MARGIN * float(((high - low) / size).max())
    return View(target + back * distance, target, up, angle, size)


def _in_the_way(xyz: F64, normal: F64, back: F64, low: F64, high: F64) -> Mask:
    """What stands on the eye's side of the room, or turns its outside to the eye: bool [N]."""
    inward = (low + high) / 2 - xyz
    sign = np.sign((normal[:, :2] * inward[:, :2]).sum(1))
    turned = (normal[:, :2] * back[:2]).sum(1) * sign < -0.05
    upright = np.abs(normal[:, 2]) < 0.4
    on_rim = np.zeros(len(xyz), bool)
    for axis in (0, 1):
        gap = high[axis] - xyz[:, axis] if back[axis] > 0 else xyz[:, axis] - low[axis]
        on_rim |= (gap < RIM) & (abs(back[axis]) > 0.2)
    above_floor = xyz[:, 2] > low[2] + 0.1
    hidden: Mask = (upright & turned) | (on_rim & above_floor)
    return hidden


def _uncovered(xyz: F64, matters: Mask, view: View) -> float:
    """Share of a coarse picture in which the points that matter are the nearest."""
    pixel, depth = view.project(xyz)
    cell = np.floor(pixel / CELL).astype(np.int64)
    cell -= cell.min(0)
    flat = cell[:, 1] * (int(cell[:, 0].max()) + 1) + cell[:, 0]
    order = np.lexsort((depth, flat))
    first = np.unique(flat[order], return_index=True)[1]
    return float(matters[order[first]].mean())
