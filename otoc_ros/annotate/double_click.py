"""Telling a double click from two clicks."""

from __future__ import annotations

BOUNCE = 0.5  # seconds between the halves of a double click …
APART = 0.01  # … and how far apart they lie, as a share of the window


class DoubleClick:
    """Watches the clicks of one window."""

    def __init__(self) -> None:
        self._last: tuple[float, tuple[float, float]] | None = None

    def ends(self, place: tuple[float, float], now: float) -> bool:
        """Whether this click is the second half of a double click.

        Args:
            place: in the window, each 0..1. now: seconds of a clock that never goes back.
        """
        last = self._last
        if last is None or now - last[0] > BOUNCE or _apart(place, last[1]) > APART:
            self._last = now, place
            return False
        self._last = None  # a third click begins anew
        return True


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))
