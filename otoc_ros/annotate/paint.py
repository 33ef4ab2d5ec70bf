"""Colours of the points: what is recorded, how high they lie, how they hang together, their class.

Whatever the view, super-voxels that a click labels are tinted with the class's colour, the one of
the chosen click most of all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VIEWS = ("colour", "height", "super-voxels", "classes")
TINT, CHOSEN_TINT = 0.55, 0.9
DIM, DIM_CONTRAST = np.float32(36), np.float32(0.25)

# Dark blue over green to yellow: lighter is higher, also for the colour-blind.
_RAMP = np.array([[48, 30, 92], [52, 94, 141], [38, 148, 139], [110, 200, 98], [250, 230, 80]])

Colors = NDArray[np.float32]  # [N, 3] in 0..255


def base_colors(
    view: str,
    height: NDArray[np.float32],
    rgb: NDArray[np.uint8] | None,
    supervoxel: NDArray[np.int32] | None,
) -> Colors:
    """Colours of N points before anything is labelled.

    Args:
        view: one of `VIEWS`.
        height: float32 [N], metres.
        rgb: uint8 [N, 3]; None: the heights' colours instead.
        supervoxel: int32 [N]; None while they are not known: as `colour`.
    """
    if view == "super-voxels" and supervoxel is not None:
        return _hashed(supervoxel)
    painted = _ramp(height) if view == "height" or rgb is None else rgb.astype(np.float32)
    if view == "classes":  # what is left to do steps back
        painted[:] = DIM + DIM_CONTRAST * painted.mean(1, keepdims=True)
    return painted


def tint(
    colors: Colors,
    label: NDArray[np.int32],
    chosen: NDArray[np.bool_],
    class_colors: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Let labelled points light up.

    Args:
        label: int32 [N], class of each point, -1 = none. chosen: bool [N], of the chosen click.
        class_colors: uint8 [C, 3].

    Returns:
        uint8 [N, 3].
    """
    share = np.where(label >= 0, np.where(chosen, CHOSEN_TINT, TINT), 0).astype(np.float32)[:, None]
    target = class_colors[label].astype(np.float32)  # of row -1 nothing is taken
    mixed: NDArray[np.uint8] = (colors + share * (target - colors)).astype(np.uint8)
    return mixed


def _ramp(height: NDArray[np.float32]) -> Colors:
    low, high = np.percentile(height, [1, 99]) if len(height) else (0, 1)
    stops = np.linspace(low, max(high, low + 1e-6), len(_RAMP))
    return np.stack([np.interp(height, stops, channel) for channel in _RAMP.T], 1).astype(
        np.float32
    )


def _hashed(ids: NDArray[np.int32]) -> Colors:
    """Colours that differ between neighbours, pale enough for tints to stand out."""
    palette = np.random.default_rng(7).uniform(70, 225, (1024, 3)).astype(np.float32)
    return palette[ids % len(palette)]
