"""What has been said about the scenes of a site, by all windows and all programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click, active
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class SceneRecord:
    """Events of one scene, the clicks among them that hold, and when the file was read."""

    stamp: Stamp
    events: tuple[Click, ...]
    clicks: tuple[Click, ...]

    @property
    def seconds(self) -> float:
        """A person's time, also that on clicks taken back."""
        return sum(event.seconds for event in self.events)

    def seconds_of(self, click: Click) -> float:
        """A person's time on the object of a click; of a surface, on that click."""
        return sum(
            other.seconds
            for other in self.clicks
            if other.id == click.id or 0 < other.object == click.object
        )


class SiteRecord:
    """Reads clicks anew only where a file has changed; safe to use from several threads."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.scenes: dict[str, Scene] = {scene.name: scene for scene in site.scenes()}
        if not self.scenes:
            raise InputError(f"site {site.path} has no scenes; bring some in with `otoc import`")
        training = [name for name, scene in self.scenes.items() if scene.meta.split == "train"]
        self.to_label: list[str] = training or list(self.scenes)  # clicks elsewhere teach nothing
        self._known: dict[str, SceneRecord] = {}
        self._table = _stamp(site.path / "site.yaml")
        self._lock = threading.RLock()

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The class table as it is on disk now."""
        with self._lock:
            stamp = _stamp(self.site.path / "site.yaml")
            if stamp != self._table:
                self._take(Site.open(self.site.path))
                self._table = stamp
            return self.site.config.classes

    def add_class(self, info: ClassInfo) -> None:
        """Add a class to the site; InputError: the name is taken or cannot be written."""
        with self._lock:
            self._take(self.site.add_class(info))

    def of(self, name: str) -> SceneRecord:
        """The record of one scene as it is on disk now."""
        with self._lock:
            _ = self.classes  # another program may have added the class that a click names
            scene = self.scenes[name]
            stamp = _stamp(scene.clicks_path)
            known = self._known.get(name)
            if known is None or known.stamp != stamp:
                events = scene.events()
                known = SceneRecord(stamp, tuple(events), tuple(active(events)))
                self._known[name] = known
            return known

    def append(self, name: str, say: Callable[[SceneRecord], Sequence[Click]]) -> None:
        """Write some events, all or none; they are on disk when this returns.

        Args:
            say: makes the events from all that was said before them, by whichever window.

        Raises:
            InputError: `say` refuses, or the click cannot be written; nothing was changed.
        """
        with self._lock:
            self.scenes[name].append_clicks(list(say(self.of(name))))

    def projected_seconds(self) -> float | None:
        """A guess of the time that scenes still to label will take; None before any click."""
        records = [self.of(name) for name in self.to_label]
        done = [record.seconds for record in records if record.clicks]
        if not done:
            return None
        return sum(done) / len(done) * (len(records) - len(done))

    def _take(self, site: Site) -> None:
        self.site = site
        self.scenes = {
            name: replace(scene, classes=site.config.classes) for name, scene in self.scenes.items()
        }


def next_object(events: Sequence[Click]) -> int:
    """A number that no object of the scene has had, taken-back ones included."""
    return 1 + max((event.object for event in events), default=0)


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns
