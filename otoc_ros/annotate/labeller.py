"""One window's work on one scene: what its next click means, and what it can take back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otoc_ros.annotate.record import SceneRecord, SiteRecord, next_object
from otoc_ros.annotate.stopwatch import Stopwatch
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import class_id
from otoc_ros.site.clicks import Click

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Action:
    """What one deed of the person has added, and what it has taken back."""

    added: tuple[Click, ...] = ()
    removed: tuple[Click, ...] = ()


class Labeller:
    """State of a window; knows nothing of browsers. All that it says is on disk when it returns.

    Args:
        record: of the whole site, shared by all windows.
        scene: name of the scene that the window shows first.
        now: seconds of the clock that all later calls use.
    """

    def __init__(self, record: SiteRecord, scene: str, now: float) -> None:
        self._record = record
        self._watch = Stopwatch(now)
        self.scene = scene
        self.class_name = record.site.config.classes[0].name
        self.selected: str | None = None
        self._done: list[Action] = []
        self._undone: list[Action] = []
        self._successor: dict[str, str] = {}

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the scene that hold, from every window and program."""
        return self._record.of(self.scene).clicks

    def open(self, scene: str, now: float) -> None:
        """Go to another scene; time since the last click counts for the next one there."""
        self._watch.sign(now)
        self.scene, self.selected = scene, None
        self._done, self._undone = [], []

    def choose(self, class_name: str, now: float) -> None:
        """What the next clicks mean; InputError for a class that the site lacks."""
        class_id(self._record.classes, class_name)
        self._watch.sign(now)
        self.class_name = class_name

    def sign(self, now: float) -> None:
        """The person moved the view or a control."""
        self._watch.sign(now)

    def click(self, position: Position, now: float, *, same_object: bool = False) -> Click:
        """Say what is at a place.

        Args:
            position: x, y, z in the scene's frame, metres.
            same_object: another click on the object that is selected, or was clicked last.

        Raises:
            InputError: there is no object to click on again, or the click cannot be written.
        """
        seconds = self._watch.worked(now)

        def say(record: SceneRecord) -> Action:
            if same_object:
                subject = self._subject(record)
                class_name, number = str(subject.class_name), subject.object
            else:
                class_name, number = self.class_name, self._new_object(record, self.class_name)
            return Action(added=(_said("click", position, class_name, number, seconds),))

        (click,) = self._act(say, now).added
        self.selected = click.id
        return click

    def exclude(self, position: Position, now: float) -> Click:
        """Say that a place is not part of the object that is selected, or was clicked last.

        Raises:
            InputError: there is no such object, or the click cannot be written.
        """
        seconds = self._watch.worked(now)

        def say(record: SceneRecord) -> Action:
            subject = self._subject(record)
            name = str(subject.class_name)
            return Action(added=(_said("exclude", position, name, subject.object, seconds),))

        (click,) = self._act(say, now).added
        return click

    def accept(self, class_name: str, objects: Sequence[Sequence[Position]], now: float) -> int:
        """Say that a prediction is right, super-voxel by super-voxel.

        Args:
            objects: for each object that is predicted, a place in each of its super-voxels.

        Returns:
            How many places that were.
        """
        seconds = self._watch.worked(now)

        def say(record: SceneRecord) -> Action:
            first = self._new_object(record, class_name)
            added: list[Click] = []
            for offset, places in enumerate(objects):
                number = first + offset if first else 0
                for place in places:
                    spent = 0.0 if added else seconds
                    added.append(_said("accept", place, class_name, number, spent))
            return Action(added=tuple(added))

        return len(self._act(say, now).added)

    def reclass(self, class_name: str, now: float) -> None:
        """Say that the selected object is of another class; its clicks stay where they are."""
        self._watch.sign(now)
        classes = self._record.classes
        is_thing = classes[class_id(classes, class_name)].kind == "thing"
        again: list[str] = []

        def say(record: SceneRecord) -> Action:
            subject = self._subject(record)
            old = [
                click
                for click in record.clicks
                if click.id == subject.id
                or (0 < subject.object == click.object and click.class_name == subject.class_name)
            ]
            number = (subject.object or next_object(record.events)) if is_thing else 0
            new = [
                _said(click.kind, click.position, class_name, number)
                for click in old
                if click.position
            ]
            again.append(new[[click.id for click in old].index(subject.id)].id)
            return Action(added=tuple(new), removed=tuple(old))

        self._act(say, now)
        self.selected = again[0]

    def delete(self, click_id: str, now: float) -> Click:
        """Take back one click. InputError: it is gone already."""

        def say(record: SceneRecord) -> Action:
            taken = [click for click in record.clicks if click.id == click_id]
            if not taken:
                raise InputError("this click is taken back already")
            return Action(removed=tuple(taken))

        return self._act(say, now).removed[0]

    def undo(self, now: float) -> Action:
        """Turn back the last deed of this window; what was turned back."""
        return self._turn_back(self._done, self._undone, "undo", now)

    def redo(self, now: float) -> Action:
        """Turn back the last undo of this window."""
        return self._turn_back(self._undone, self._done, "redo", now)

    def _act(self, say: Callable[[SceneRecord], Action], now: float) -> Action:
        action = self._write(say, now)
        self._done.append(action)
        self._undone.clear()
        self._watch.restart()
        return action

    def _turn_back(self, stack: list[Action], onto: list[Action], verb: str, now: float) -> Action:
        while stack:
            action = stack.pop()
            standing = {click.id: click for click in self.clicks}
            names = [self._present(click.id) for click in action.added]
            left = tuple(standing[name] for name in names if name in standing)
            if not left and not action.removed:
                continue  # another window has taken it back already
            again = tuple(_again(click) for click in action.removed)
            onto.append(self._write(lambda _: Action(again, left), now))  # noqa: B023
            for old, new in zip(action.removed, again, strict=True):
                self._successor[self._present(old.id)] = new.id
            if again:
                self.selected = again[-1].id
            return action
        raise InputError(f"nothing to {verb} in this window; choose a click in the list to delete")

    def _present(self, click_id: str) -> str:
        """The id under which a click was said last: what is brought back gets a new one."""
        while click_id in self._successor:
            click_id = self._successor[click_id]
        return click_id

    def _write(self, say: Callable[[SceneRecord], Action], now: float) -> Action:
        self._watch.sign(now)
        written: list[Action] = []

        def lines(record: SceneRecord) -> list[Click]:
            action = say(record)
            written.append(action)
            gone = [
                Click(kind="withdraw", source="browser", withdraws=click.id)
                for click in action.removed
            ]
            return [*gone, *action.added]

        self._record.append(self.scene, lines)
        (action,) = written
        if self.selected in {click.id for click in action.removed}:
            numbers = {click.object for click in action.removed} - {0}
            left = [click for click in self.clicks if click.object in numbers]
            self.selected = left[-1].id if left else None
        return action

    def _new_object(self, record: SceneRecord, class_name: str) -> int:
        classes = self._record.classes
        is_thing = classes[class_id(classes, class_name)].kind == "thing"
        return next_object(record.events) if is_thing else 0

    def _subject(self, record: SceneRecord) -> Click:
        for click in record.clicks:
            if click.id == self.selected:
                return click
        raise InputError("click on the object once first, or choose a click of it in the list")


def _said(  # type: ignore[no-untyped-def]
    kind, position: Position, class_name: str, number: int, seconds: float = 0.0
) -> Click:
    return Click(
        kind=kind,
        position=position,
        class_name=class_name,
        object=number,
        source="browser",
        seconds=round(seconds, 2),
    )


def _again(click: Click) -> Click:
    """The same said once more; the person's time was counted the first time."""
    assert click.position is not None and click.class_name is not None, "not a withdraw"
    return _said(click.kind, click.position, click.class_name, click.object)
