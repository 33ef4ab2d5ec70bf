"""Boxes around objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

YAW_STEPS = 45  # over a quarter turn: 2 degrees


@dataclass(frozen=True, eq=False)
class Box:
    """A box upright in gravity: x_frame = center + rotation @ x_box.

    Attributes:
        center: float64 [3], metres.
        rotation: float64 [3, 3], columns are the box's axes; the third one is up.
        extent: float64 [3], full side lengths in metres.
    """

    center: F64
    rotation: F64
    extent: F64

    def corners(self) -> F64:
        """float64 [8, 3]; corner i has the upper end of axis a where bit a of i is set."""
        signs = np.array([[(i >> axis & 1) - 0.5 for axis in range(3)] for i in range(8)])
        corners: F64 = self.center + signs * self.extent @ self.rotation.T
        return corners

    def rotated(self, rotation: F64) -> Box:
        """The same box seen from a frame with p_new = rotation @ p_old."""
        return Box(rotation @ self.center, rotation @ self.rotation, self.extent)


def upright_box(points: F32) -> Box:
    """The box of least floor area around points, upright in z; points float32 [N, 3], N >= 1."""
    points = points.astype(np.float64)
    angles = np.arange(YAW_STEPS) * (np.pi / 2 / YAW_STEPS)
    sides = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [A, 2], the box's first axis
    along = points[:, :2] @ sides.T
    across = points[:, :2] @ np.stack([-sides[:, 1], sides[:, 0]])
    area = np.ptp(along, axis=0) * np.ptp(across, axis=0)
    best = int(area.argmin())
    cos, sin = sides[best]
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    inside = points @ rotation
    low, high = inside.min(axis=0), inside.max(axis=0)
    return Box(rotation @ ((low + high) / 2), rotation, high - low)
