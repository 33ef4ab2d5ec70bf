"""A window says late that it looks from where it was told to."""

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from otoc_ros.annotate import camera as cameras
from otoc_ros.annotate.camera import Camera

AT_FIRST, OVERVIEW = np.array([3.0, 3.0, 3.0]), np.array([-1.0, -2.0, 5.0])


class Window:
    """A window with a camera, as viser hands it out."""

    def __init__(self, position: np.ndarray) -> None:
        self.camera = self
        self.update_timestamp = 0.0  # it has rested for long
        self.wxyz = np.array([1.0, 0.0, 0.0, 0.0])
        self.up_direction = self.look_at = np.zeros(3)
        self._listeners = []
        self.position = position

    def on_update(self, listener) -> None:
        self._listeners.append(listener)

    def says(self, position: np.ndarray) -> None:
        self.position = position
        for listener in self._listeners:
            listener(self)


def test_what_a_window_says_of_before_is_no_movement(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window(AT_FIRST)
    camera = Camera(window)
    camera.set(OVERVIEW, np.zeros(3))
    window.says(AT_FIRST)  # it has not heard of it yet
    assert not camera.has_arrived and not camera.moved()
    window.says(OVERVIEW)
    assert camera.has_arrived and camera.moved() and not camera.moved()
    camera.set(AT_FIRST, np.zeros(3))
    assert not camera.has_arrived
    monkeypatch.setattr(cameras, "LATEST", 0.0)  # one that never says anything is believed to be
    assert camera.has_arrived


def test_a_window_is_known_by_where_it_looks_from_once_it_was_told() -> None:
    window = Window(AT_FIRST)
    camera = Camera(window)
    assert camera.is_same(Window(AT_FIRST))
    camera.set(OVERVIEW, np.zeros(3))
    assert not camera.is_same(Window(AT_FIRST))  # one that is opened anew
    window.says(OVERVIEW)
    assert camera.is_same(Window(OVERVIEW)) and not camera.is_same(Window(AT_FIRST))
