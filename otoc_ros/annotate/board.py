"""What is made of all that was said: labels that light up, classes believed, the next click.

Shared by the windows. Everything here follows from the clicks on disk and can be made anew, but for
what a person does not want to be asked about, which lasts until the program ends.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from otoc_ros.annotate.prototypes import Prototypes
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.segments import F32, Lit, Segments
from otoc_ros.annotate.suggest import Suggestion, suggestions

TELLING = 10  # the best suggestions of a scene say what the scene teaches


class Board:
    """Safe to use from several threads.

    Args:
        record: what was said.
        segments: the super-voxels of a scene where they are known, else None.
    """

    def __init__(self, record: SiteRecord, segments: Callable[[str], Segments | None]) -> None:
        self._record, self._segments = record, segments
        self._lit: dict[str, tuple[object, Lit]] = {}
        self._prototypes: tuple[object, Prototypes] | None = None
        self._passed: defaultdict[str, set[int]] = defaultdict(set)
        self._lock = threading.RLock()

    def lit(self, name: str) -> Lit | None:
        """What takes a label in a scene; None while its super-voxels are not known."""
        with self._lock:
            segments = self._segments(name)
            if segments is None:
                return None
            record, classes = self._record.of(name), self._record.classes
            version = segments, record.stamp, classes
            known = self._lit.get(name)
            if known is None or known[0] != version:
                known = version, segments.light(record.clicks, classes)
                self._lit[name] = known
            return known[1]

    def prototypes(self) -> Prototypes:
        """Examples of the classes, from every scene whose super-voxels are known."""
        with self._lock:
            scenes = []
            for name in self._record.scenes:
                segments = self._segments(name)
                if segments is not None and self._record.of(name).clicks:
                    lit = self.lit(name)
                    assert lit is not None
                    scenes.append((segments, lit))
            version = tuple(id(lit) for _, lit in scenes), self._record.classes
            if self._prototypes is None or self._prototypes[0] != version:
                made = Prototypes.of(scenes, len(self._record.classes))
                self._prototypes = version, made
            return self._prototypes[1]

    def belief(self, name: str) -> F32 | None:
        """Class probabilities of a scene's super-voxels; None while nothing can be told."""
        with self._lock:
            segments, lit = self._segments(name), self.lit(name)
            if segments is None or lit is None:
                return None
            return self.prototypes().believe(segments, lit)

    def suggestions(self, name: str) -> list[Suggestion]:
        """Where to click in a scene, what teaches most first."""
        with self._lock:
            segments, lit = self._segments(name), self.lit(name)
            if segments is None or lit is None:
                return []
            return suggestions(
                segments, lit, self.belief(name), self.prototypes(), self._passed[name]
            )

    def pass_over(self, name: str, suggestion: Suggestion) -> None:
        """Do not suggest these super-voxels again."""
        with self._lock:
            self._passed[name].update(suggestion.members.tolist())

    def next_scene(self, now: str) -> str | None:
        """The scene to label that teaches most, of those whose super-voxels are known; or None."""
        worth = {
            name: sum(one.worth for one in self.suggestions(name)[:TELLING])
            for name in self._record.to_label
            if name != now and self._segments(name) is not None
        }
        return max(worth, key=lambda name: worth[name], default=None)
