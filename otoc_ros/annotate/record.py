"""What has been said about the scenes of a site, by all windows and all programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otoc_ros.core.errors import InputError
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
        self._lock = threading.RLock()

    def of(self, name: str) -> SceneRecord:
        """The record of one scene as it is on disk now."""
        scene = self.scenes[name]
        with self._lock:
            stamp = _stamp(scene)
            known = self._known.get(name)
            if known is None or known.stamp != stamp:
                events = scene.events()
                known = SceneRecord(stamp, tuple(events), tuple(active(events)))
                self._known[name] = known
            return known

    def append(self, name: str, say: Callable[[SceneRecord], Click]) -> Click:
        """Write one event; it is on disk when this returns.

        Args:
            say: makes the event from all that was said before it, by whichever window.

        Raises:
            InputError: `say` refuses, or the click cannot be written; nothing was changed.
        """
        with self._lock:
            event = say(self.of(name))
            self.scenes[name].append_click(event)
            return event

    def projected_seconds(self) -> float | None:
        """A guess of the time that scenes still to label will take; None before any click."""
        records = [self.of(name) for name in self.to_label]
        done = [record.seconds for record in records if record.clicks]
        if not done:
            return None
        return sum(done) / len(done) * (len(records) - len(done))


def next_object(events: Sequence[Click]) -> int:
    """A number that no object of the scene has had, taken-back ones included."""
    return 1 + max((event.object for event in events), default=0)


def _stamp(scene: Scene) -> Stamp:
    try:
        status = scene.clicks_path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns
