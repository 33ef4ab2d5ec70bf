"""Which way is up in a fused scan, and how that is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import estimate_up, rotation_to_z

DOUBT = np.deg2rad(20.0)  # a larger disagreement with the surfaces is told to the person
GRAVITY = (8.0, 12.0)  # m/s²; what an accelerometer feels outside of it is motion
MOST_READINGS = 1000


class Up(NamedTuple):
    """A unit vector [3] of the scan's frame, and where it comes from, for people.

    `seen` where one view's surfaces told it: the frame may be a camera's, whose z is not near up.
    """

    vector: NDArray[np.float64]
    origin: str
    seen: bool = False

    def doubt(self, xyz: NDArray[Any]) -> str:
        """A warning where the surfaces of a scan speak for another direction, else nothing."""
        turn = rotation_to_z(self.vector) if self.seen else np.eye(3)
        seen = estimate_up(xyz @ turn.T) @ turn
        angle = np.arccos(np.clip(abs(seen @ self.vector), -1, 1))
        if angle < DOUBT:
            return ""
        shown = np.round(seen, 2).tolist()
        return (
            f"the surfaces say that up is {shown}, {np.rad2deg(angle):.0f} degrees off: look at "
            "up.png, and give --up if it is wrong"
        )


class Gravity:
    """The mean of what an accelerometer feels, in the world's frame: against gravity."""

    def __init__(self) -> None:
        self._sum = np.zeros(3)
        self.readings = 0

    def feel(self, acceleration: NDArray[Any], turn: NDArray[Any]) -> None:
        """One reading [3] in m/s² of a sensor with rotation T_world_sensor [3, 3]."""
        strength = float(np.linalg.norm(acceleration))
        if self.readings < MOST_READINGS and GRAVITY[0] < strength < GRAVITY[1]:
            self._sum += turn @ acceleration / strength
            self.readings += 1

    def up(self) -> NDArray[np.float64] | None:
        """Unit vector [3], None where nothing was felt."""
        length = float(np.linalg.norm(self._sum))
        return self._sum / length if length > 0.5 * max(self.readings, 1) else None
