"""What lights up is sent to the browser where it has changed, and nowhere else."""

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from otoc_ros.annotate.glow import SWELL, Glow


class Node:
    """A node of the scene, as viser hands it out."""

    def __init__(self, names: set[str], name: str) -> None:
        self._names, self._name = names, name
        names.add(name)
        self.point_size = 0.0

    def remove(self) -> None:
        self._names.remove(self._name)


class Window:
    """Notes what a window is sent."""

    def __init__(self) -> None:
        self.scene = self
        self.shown: set[str] = set()
        self.sent: list[tuple[str, np.ndarray, np.ndarray]] = []

    def add_point_cloud(self, name, points, colors, **look) -> Node:
        self.sent.append((name, points, colors))
        return Node(self.shown, name)


def part(count: int, red: int) -> tuple[np.ndarray, np.ndarray]:
    xyz = np.arange(3 * count, dtype=np.float32).reshape(-1, 3)
    return xyz, np.full((count, 3), (red, 0, 0), np.uint8)


def test_only_what_has_changed_is_sent() -> None:
    window = Window()
    glow = Glow(window)
    glow.draw({"0": part(5, 9), "1": part(4, 9)}, 0.1)
    glow.draw({"0": part(5, 9), "1": part(4, 200), "chosen": part(2, 9)}, 0.2)
    assert [name for name, *_ in window.sent] == ["/lit/0", "/lit/1", "/lit/1", "/lit/chosen"]
    assert glow._nodes["0"].point_size == pytest.approx(0.2 * SWELL)
    glow.draw({"0": part(5, 9)}, 0.2)
    assert window.shown == {"/lit/0"} and len(window.sent) == 4
    glow.draw({"1": part(4, 200)}, 0.2)  # one that was taken away is sent again
    assert window.shown == {"/lit/1"} and len(window.sent) == 5


def test_over_a_new_scan_all_is_sent_again_or_the_scan_would_hide_it() -> None:
    window = Window()
    glow = Glow(window)
    glow.draw({"0": part(5, 9), "1": part(4, 9)}, 0.1)
    glow.draw({"1": part(4, 9)}, 0.1, over_new_scan=True)
    assert [name for name, *_ in window.sent] == ["/lit/0", "/lit/1", "/lit/1"]
    assert window.shown == {"/lit/1"}


def test_one_point_is_sent_twice_so_that_it_has_the_shader_of_many() -> None:
    window = Window()
    Glow(window).draw({"0": part(1, 9)}, 0.1)
    ((_, xyz, rgb),) = window.sent
    assert xyz.shape == rgb.shape == (2, 3)
