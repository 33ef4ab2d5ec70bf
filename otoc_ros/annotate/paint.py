"""Colours of the points: what is recorded, how it hangs together, what is said and believed of it.

Whatever the view, super-voxels that take a label from a click are tinted with the class's colour:
those of the chosen object most of all, those that a click lies on more than those grown from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VIEWS = (
    "colour",
    "height",
    "normals",
    "super-voxels",
    "classes",
    "objects",
    "confidence",
    "pseudo labels",
    "errors",
)
GROWN_TINT, SAID_TINT, CHOSEN_TINT = 0.5, 0.65, 0.9
BELIEVED = 0.6  # strength of what is believed in the view of classes
DIM, DIM_CONTRAST = np.float32(36), np.float32(0.25)
WRONG, MISSING = (235, 60, 50), (70, 110, 220)

# Dark blue over green to yellow: lighter is higher, also for the colour-blind.
_RAMP = np.array([[48, 30, 92], [52, 94, 141], [38, 148, 139], [110, 200, 98], [250, 230, 80]])

Colors = NDArray[np.float32]  # [N, 3] in 0..255
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Look:
    """What is known of the N points that are drawn; None: not, or not yet.

    Attributes:
        height: float32 [N], metres. rgb: uint8 [N, 3]. normal: float32 [N, 3].
        supervoxel: int32 [N]. object: int32 [N], -1 = of none.
        believed: int32 [N], class, with confidence float32 [N] in 0..1.
        pseudo: int32 [N], class of the last round's pseudo label, -1 = none, and its confidence.
        truth: int32 [N], class, -1 = unknown.
    """

    height: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None = None
    normal: NDArray[np.float32] | None = None
    supervoxel: I32 | None = None
    object: I32 | None = None
    believed: I32 | None = None
    confidence: NDArray[np.float32] | None = None
    pseudo: I32 | None = None
    pseudo_confidence: NDArray[np.float32] | None = None
    truth: I32 | None = None


def base_colors(view: str, look: Look, class_colors: NDArray[np.uint8]) -> Colors:
    """Colours of N points before clicks tint them.

    Args:
        view: one of `VIEWS`; a view that nothing is known for steps back to grey.
        class_colors: uint8 [C, 3].
    """
    if view == "height":
        return _ramp(look.height)
    if view == "normals" and look.normal is not None:
        return (np.abs(look.normal) * 200 + 40).astype(np.float32)
    if view == "super-voxels" and look.supervoxel is not None:
        return _hashed(look.supervoxel)
    photo = _ramp(look.height) if look.rgb is None else look.rgb.astype(np.float32)
    if view in ("colour", "normals", "super-voxels"):
        return photo
    grey: Colors = DIM + DIM_CONTRAST * photo.mean(1, keepdims=True) + np.zeros((1, 3), "f4")
    if view == "classes" and look.believed is not None:
        return _mixed(grey, class_colors[look.believed], BELIEVED)
    if view == "objects" and look.object is not None:
        return np.where(look.object[:, None] >= 0, _hashed(look.object), grey).astype(np.float32)
    if view == "confidence" and look.confidence is not None:
        return _ramp(look.confidence, (0.0, 1.0))
    if view == "pseudo labels" and look.pseudo is not None and look.pseudo_confidence is not None:
        share = np.where(look.pseudo >= 0, look.pseudo_confidence**2, 0).astype(np.float32)
        return _mixed(grey, class_colors[look.pseudo], share[:, None])
    if view == "errors" and look.truth is not None:
        told = look.pseudo if look.pseudo is not None else look.believed
        if told is not None:
            return _errors(grey, told, look.truth)
    return grey


def tint(
    colors: Colors, label: I32, strength: NDArray[np.float32], class_colors: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Let labelled points light up.

    Args:
        label: int32 [N], class of each point, -1 = none. strength: float32 [N], 0..1.
        class_colors: uint8 [C, 3].

    Returns:
        uint8 [N, 3].
    """
    share = np.where(label >= 0, strength, 0).astype(np.float32)[:, None]
    return _mixed(colors, class_colors[label], share).astype(np.uint8)


def _mixed(colors: Colors, target: NDArray[np.uint8], share: NDArray[np.float32] | float) -> Colors:
    mixed: Colors = (colors + share * (target.astype(np.float32) - colors)).astype(np.float32)
    return mixed


def _errors(grey: Colors, told: I32, truth: I32) -> Colors:
    known = truth >= 0
    painted = grey.copy()
    painted[known & (told != truth)] = WRONG
    painted[known & (told < 0)] = MISSING
    return painted


def _ramp(values: NDArray[np.float32], ends: tuple[float, float] | None = None) -> Colors:
    if ends is None:
        low, high = np.percentile(values, [1, 99]) if len(values) else (0, 1)
    else:
        low, high = ends
    stops = np.linspace(low, max(high, low + 1e-6), len(_RAMP))
    return np.stack([np.interp(values, stops, channel) for channel in _RAMP.T], 1).astype(
        np.float32
    )


def _hashed(ids: I32) -> Colors:
    """Colours that differ between neighbours, pale enough for tints to stand out."""
    palette = np.random.default_rng(7).uniform(70, 225, (1024, 3)).astype(np.float32)
    return palette[ids % len(palette)]
