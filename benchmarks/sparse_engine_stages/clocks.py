"""Times that other load on the machine disturbs as little as can be, and that say so."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CALM = 0.05  # share of the machine that others may take

Clock = Callable[[], float]


def clock_of(threads: int) -> Clock:
    """Processor time for one thread, which other load hardly changes, else time that passes."""
    return time.process_time if threads == 1 else time.perf_counter


def once(run: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Milliseconds."""
    begin = clock()
    run()
    return (clock() - begin) * 1e3


def median(times: Sequence[float]) -> float | None:
    """None of nothing: a run that was stopped before its first turn."""
    return round(statistics.median(times), 2) if times else None


@dataclass
class Turns:
    """Milliseconds of every engine, turn by turn, kept in a file so that a run can go in pieces.

    A turn runs each engine once, so that other load meets all of them. Of each turn the share of
    the machine that other processes took is noted; the calmest turns count.
    """

    file: Path

    def take(
        self, engines: Mapping[str, tuple[Callable[[], object], Clock]], wanted: int, until: float
    ) -> dict[str, list[float]]:
        """Milliseconds by name in the `wanted` calmest turns, after at most that many new ones.

        The share of other processes is there under `others`.

        Args:
            engines: by name, what to run and the clock that times it.
            until: `time.monotonic()` after which no further turn begins.
        """
        turns = json.loads(self.file.read_text()) if self.file.exists() else []
        missing = wanted - sum(turn["others"] < CALM for turn in turns)
        if missing > 0 and time.monotonic() < until:
            for run, _ in engines.values():
                run()
        for _ in range(missing):
            if time.monotonic() >= until:
                break
            watch = _OtherLoad()
            turn = {name: round(once(run, clock), 3) for name, (run, clock) in engines.items()}
            turns.append(turn | {"others": watch.share()})
            self.file.write_text(json.dumps(turns))
        counted = sorted(turns, key=lambda turn: turn["others"])[:wanted]
        return {name: [turn[name] for turn in counted] for name in (*engines, "others")}


class _OtherLoad:
    """The share of the machine's processor time that other processes take from now on."""

    def __init__(self) -> None:
        self.begin = self._now()

    def share(self) -> float:
        passed, busy, own = (b - a for a, b in zip(self.begin, self._now(), strict=True))
        return round(max(0.0, busy - own) / passed, 3) if passed else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        # Hundredths of seconds over all cores: user nice system idle iowait irq softirq steal.
        ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return sum(ticks), sum(ticks) - idle, time.process_time() * 100
