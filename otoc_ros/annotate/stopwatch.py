"""How long a person works, pauses left out."""

from __future__ import annotations

import threading

PAUSE = 30.0  # seconds without any sign of the person: they do something else


class Stopwatch:
    """Adds up the time between signs of a person: a turned view, a key, a click.

    All times are seconds of one clock that never goes back. Safe to use from several threads.
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._last = now

    def sign(self, now: float) -> None:
        """The person did something; a gap longer than a pause does not count."""
        with self._lock:
            gap = now - self._last
            if 0 <= gap <= PAUSE:
                self._seconds += gap
            self._last = max(now, self._last)

    def worked(self, now: float) -> float:
        """Seconds worked since the start; asking is a sign, too."""
        self.sign(now)
        return self._seconds

    def restart(self) -> None:
        """Begin again from zero."""
        with self._lock:
            self._seconds = 0.0
