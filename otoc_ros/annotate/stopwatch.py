"""How long a person works, pauses left out."""

from __future__ import annotations

PAUSE = 30.0  # seconds without any sign of the person: they do something else


class Stopwatch:
    """Adds up the time between signs of a person: a turned view, a key, a click.

    All times are seconds of one clock that never goes back.
    """

    def __init__(self, now: float) -> None:
        self._seconds = 0.0
        self._last = now

    def sign(self, now: float) -> None:
        """The person did something; a gap longer than a pause does not count."""
        gap = now - self._last
        if 0 <= gap <= PAUSE:
            self._seconds += gap
        self._last = max(now, self._last)

    def take(self, now: float) -> float:
        """Seconds worked since the last `take`; starts again from zero."""
        self.sign(now)
        seconds, self._seconds = self._seconds, 0.0
        return seconds
