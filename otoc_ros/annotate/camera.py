"""Where a window is looked at from, and how it gets elsewhere."""

from __future__ import annotations

import threading
import time

import numpy as np
import viser
from numpy.typing import NDArray

STEPS, FLIGHT = 12, 0.45  # pictures and seconds of a flight
RESTED = 0.3  # seconds without a movement: now it pays to draw what is in sight anew
LATEST = 4.0  # seconds until a window that has said nothing is taken to look from where it should
MARGIN = 1.15  # the view is drawn a little beyond its borders

Place = NDArray[np.float64]


class Camera:
    """The camera of one window, z up."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self._client = client
        self._flight = 0
        self._seen_from: bytes = b""
        self._said = _pose(client.camera)  # where the window says it is …
        self._before = b""  # … and where it said it was when it was last told to be elsewhere
        self._told_at = -LATEST
        client.camera.on_update(self._hear)

    def _hear(self, camera: viser.CameraHandle) -> None:
        self._said = _pose(camera)

    @property
    def has_arrived(self) -> bool:
        """Whether the window has drawn something from where it was told to be.

        It says from where it looks once it has drawn a picture from there; until then it may say
        for a while that it is where it was before.
        """
        return self._said != self._before or time.monotonic() - self._told_at > LATEST

    def is_same(self, window: viser.ClientHandle) -> bool:
        """Whether a window that comes back looks from where this one did: its browser keeps that.

        One that is opened anew looks from where viser's page begins, where none stays.
        """
        return self._said != self._before and self._said == _pose(window.camera)

    def set(self, position: Place, target: Place) -> None:
        """Be there at once."""
        self._flight += 1
        camera = self._client.camera
        self._before, self._told_at = self._said, time.monotonic()
        camera.up_direction = (0.0, 0.0, 1.0)
        camera.position = position
        camera.look_at = target

    def fly(self, position: Place, target: Place) -> None:
        """Move there smoothly; a later call or a step of the person takes over."""
        self._flight += 1
        flight, camera = self._flight, self._client.camera
        start, looked = np.array(camera.position), np.array(camera.look_at)

        def move() -> None:
            for step in range(1, STEPS + 1):
                if self._flight != flight:
                    return
                share = step / STEPS
                share = share * share * (3 - 2 * share)
                with self._client.atomic():
                    camera.position = start + share * (position - start)
                    camera.look_at = looked + share * (target - looked)
                time.sleep(FLIGHT / STEPS)

        threading.Thread(target=move, daemon=True).start()

    def approach(self, target: Place, distance: float) -> None:
        """Fly to a place, seen from where the camera is, but not from below."""
        away = np.array(self._client.camera.position) - target
        away[2] = max(away[2], 0.5 * float(np.linalg.norm(away[:2])), 1e-3)
        self.fly(target + away / np.linalg.norm(away) * distance, target)

    def top(self, target: Place, height: float) -> None:
        """Fly above a place and look straight down (almost: there north has to be somewhere)."""
        self.fly(target + np.array([0.0, -0.01 * height, height]), target)

    def moved(self) -> bool:
        """Whether it rests now, somewhere else than when this was last true."""
        camera = self._client.camera
        if time.time() - camera.update_timestamp < RESTED:
            return False
        here = _pose(camera)
        if here == self._before and not self.has_arrived:
            return False
        changed = here != self._seen_from
        self._seen_from = here
        return changed

    def in_sight(self, xyz: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which points lie in the view: bool [N]; what hides them is not asked."""
        camera = self._client.camera
        w, x, y, z = camera.wxyz
        right = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
        down = np.array([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)])
        ahead = np.cross(right, down)
        offset = xyz - np.asarray(camera.position, np.float32)
        half = MARGIN * np.tan(camera.fov / 2)
        depth = offset @ ahead.astype(np.float32)
        inside: NDArray[np.bool_] = depth > 0
        inside &= np.abs(offset @ down.astype(np.float32)) <= half * depth
        inside &= np.abs(offset @ right.astype(np.float32)) <= half * camera.aspect * depth
        return inside


def _pose(camera: viser.CameraHandle) -> bytes:
    return np.concatenate([camera.position, camera.wxyz]).round(3).tobytes()
