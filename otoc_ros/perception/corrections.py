"""A person's corrections of a running robot: what holds at once, and what is kept for training."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from otoc_ros.core.errors import InputError
from otoc_ros.perception.bank import Bank, Lesson
from otoc_ros.perception.bank_file import Change, append_changes, load_bank, taught
from otoc_ros.perception.lessons import learn
from otoc_ros.perception.shown import Position, Shown, snap
from otoc_ros.site.classes import ClassInfo, distinct_color, parse_classes
from otoc_ros.site.clicks import Click, read_events
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site


@dataclass(frozen=True)
class Correction:
    """A click that was understood.

    Attributes:
        click: as the site keeps it, in the frame of the cloud.
        info: the class that was clicked.
        lesson: what the bank learnt.
    """

    click: Click
    info: ClassInfo
    lesson: Lesson


class Corrections:
    """The bank of one bundle, and the site that keeps the clicks.

    A correction counts in three places: the bank, from the next cloud on; the bank's file, which
    survives a restart; the site, from which the next bundle is trained.

    Args:
        untaught: the bank of the bundle as it was exported. bundle: its hash.
        banks: folder of the banks' files.
        site: folder of the site, made at the first click; voxel_size: of a site that is made.

    Attributes:
        bank: what holds now; replaced as a whole, so that other threads may read it any time.
        problem: one line where the bank's file could not be used; it is kept aside.
    """

    def __init__(
        self, untaught: Bank, bundle: str, banks: Path, site: Path, voxel_size: float
    ) -> None:
        self._bundle, self._file = bundle, banks / f"{bundle}.jsonl"
        self._site_path, self._voxel_size = site, voxel_size
        self._opened: tuple[tuple[int, ...], Site] | None = None
        self._unsaved: list[Change] = []  # what holds, but could not be written yet
        self.problem = ""
        try:
            self.bank = self._still_said(load_bank(self._file, untaught, bundle))
        except InputError as error:
            aside = self._file.with_suffix(".damaged")
            with suppress(OSError):
                self._file.replace(aside)
            self.problem = f"{error}; it is kept as {aside.name} and the bundle starts untaught"
            self.bank = untaught

    def understand(self, shown: Shown, position: Position, class_text: str) -> Correction:
        """What a click on a cloud says; nothing changes yet.

        Args:
            position: x, y, z in metres, in the cloud's frame.
            class_text: the name of a class; `name:stuff` for a new one that has no objects.

        Raises:
            InputError: no such point, or no usable class name.
        """
        info = self._class(class_text)
        row = snap(shown.cloud, position)
        x, y, z = shown.cloud.xyz[row].tolist()
        click = Click(position=(x, y, z), class_name=info.name, source="rviz")
        lesson = learn(
            shown.seen, shown.labelled, row, click.id, _scene_name(shown), info, shown.pose
        )
        return Correction(click, info, lesson)

    def teach(self, correction: Correction) -> None:
        """Let a correction count from the next cloud on."""
        self.bank = self.bank.taught(correction.lesson, correction.info)
        self._unsaved.append(taught(correction.lesson, correction.info))

    def keep(self, correction: Correction, shown: Shown) -> Scene:
        """Put a correction on disk: in the site with its cloud, and in the bank's file.

        Raises:
            InputError: the disk is full or not writable, or the site is damaged.
        """
        scene = self._scene(shown, correction.info)
        number = 0
        if correction.info.kind == "thing":
            number = 1 + max((known.object for known in scene.events()), default=0)
        scene.append_click(correction.click.model_copy(update={"object": number}))
        self._save()
        return scene

    def forget(self) -> Lesson:
        """Take the last lesson out of the bank; InputError where there is none."""
        if not self.bank.lessons:
            raise InputError("there is no click to undo: this bundle was taught none")
        lesson = self.bank.lessons[-1]
        self.bank = self.bank.forgotten(lesson.click)
        self._unsaved.append(Change(forgotten=lesson.click))
        return lesson

    def withdraw(self, lesson: Lesson) -> None:
        """Take a forgotten lesson out of the site and of the bank's file.

        Raises:
            InputError: as `keep`; or the site does not have the click.
        """
        # The site first: a bank that was not saved any more is told by it when it loads.
        Site.open(self._site_path).scene(lesson.scene).withdraw(lesson.click, "rviz")
        self._save()

    def _still_said(self, bank: Bank) -> Bank:
        """Without the lessons whose clicks were withdrawn in the site, here or in a browser."""
        withdrawn = set()
        for scene in {lesson.scene for lesson in bank.lessons}:
            with suppress(InputError):  # a site that was moved away takes nothing back
                events = read_events(self._site_path / "scenes" / scene / "clicks.jsonl")
                withdrawn |= {event.withdraws for event in events}
        for lesson in bank.lessons:
            if lesson.click in withdrawn:
                bank = bank.forgotten(lesson.click)
        return bank

    def _save(self) -> None:
        append_changes(self._file, self._unsaved, self._bundle)
        self._unsaved.clear()

    def save_scene(self, shown: Shown) -> Scene:
        """Add a cloud to the site, without a click; a cloud that is there already stays."""
        return self._scene(shown, None)

    def _class(self, text: str) -> ClassInfo:
        if not text.strip():
            raise InputError(
                "click_class is empty; set the parameter, or publish the name of a class, known or "
                "new, on ~/click_class"
            )
        given, *more = parse_classes(text)
        if more:
            raise InputError(f"click_class is {text!r}; give one class")
        for known in self.bank.classes:
            if known.name == given.name:
                return known
        return given.model_copy(update={"color": distinct_color(len(self.bank.classes))})

    def _scene(self, shown: Shown, info: ClassInfo | None) -> Scene:
        site = self._site()
        if info is not None and info.name not in {known.name for known in site.config.classes}:
            site = site.with_class(info)
        name = _scene_name(shown)
        if (site.path / "scenes" / name).exists():
            return site.scene(name)
        finite = np.flatnonzero(np.isfinite(shown.cloud.xyz).all(axis=1))
        return site.add_scene(
            name,
            shown.cloud.take(finite),
            up=shown.seen.prepared.rotation[2],
            source=f"live at {shown.stamp / 1e9:.3f} s in {shown.frame or 'an unnamed frame'}",
        )

    def _site(self) -> Site:
        path = self._site_path
        file = path / "site.yaml"
        try:
            state = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return Site.create(path, path.name, self.bank.known, self._voxel_size)
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror}") from error
        # Reading YAML takes longer than all the rest of a click. Every change is another file.
        signature = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._opened is None or self._opened[0] != signature:
            self._opened = signature, Site.open(path)
        return self._opened[1]


def _scene_name(shown: Shown) -> str:
    """One cloud, one name: clicks on the same cloud go to the same scene."""
    digest = hashlib.sha256(shown.cloud.xyz.tobytes()).hexdigest()
    return f"live_{shown.stamp // 10**9}_{digest[:8]}"
