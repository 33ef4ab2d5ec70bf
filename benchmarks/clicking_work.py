"""How much the processes that a benchmark has started have worked, whatever else is running."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds


class Work:
    """CPU seconds of this program's living descendants with a word in their command line.

    A process that ends takes its part with it. 0 where there is no /proc (not Linux).
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self._before = self._each()

    def done(self) -> float:
        """Seconds since this was made."""
        return sum(now - self._before.get(one, 0.0) for one, now in self._each().items())

    def _each(self) -> dict[int, float]:
        parent, spent = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parent[int(folder.name)] = int(fields[1])
                if self._word in (folder / "cmdline").read_text():
                    spent[int(folder.name)] = TICK * (int(fields[11]) + int(fields[12]))
        return {one: seconds for one, seconds in spent.items() if _descends(one, parent)}


def _descends(one: int, parent: dict[int, int]) -> bool:
    while one in parent:
        one = parent[one]
        if one == os.getpid():
            return True
    return False
