"""One window's work on one scene: what its next click means, and what it can take back."""

from __future__ import annotations

from otoc_ros.annotate.record import SceneRecord, SiteRecord, next_object
from otoc_ros.annotate.stopwatch import Stopwatch
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import class_id
from otoc_ros.site.clicks import Click

BOUNCE = 0.4  # seconds; the second half of a double click is not another object


class Labeller:
    """State of a window; knows nothing of browsers.

    Args:
        record: of the whole site, shared by all windows.
        scene: name of the scene that the window shows first.
        now: seconds of the clock that all later calls use.
    """

    def __init__(self, record: SiteRecord, scene: str, now: float) -> None:
        self._record = record
        self._watch = Stopwatch(now)
        self._last_click = -BOUNCE + now
        self.scene = scene
        self.class_name = record.site.config.classes[0].name
        self.selected: str | None = None
        self._mine: list[str] = []

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the scene that hold, from every window and program."""
        return self._record.of(self.scene).clicks

    def open(self, scene: str, now: float) -> None:
        """Go to another scene; time since the last click counts for the next one there."""
        self._watch.sign(now)
        self.scene, self.selected, self._mine = scene, None, []

    def choose(self, class_name: str, now: float) -> None:
        """What the next clicks mean; InputError for a class that the site lacks."""
        class_id(self._record.site.config.classes, class_name)
        self._watch.sign(now)
        self.class_name = class_name

    def sign(self, now: float) -> None:
        """The person moved the view or a control."""
        self._watch.sign(now)

    def click(
        self, position: tuple[float, float, float], now: float, *, same_object: bool = False
    ) -> Click | None:
        """Say what is at a place; it is on disk when this returns.

        Args:
            position: x, y, z in the scene's frame, metres.
            same_object: another click on the object that is selected, or was clicked last.

        Returns:
            The click, or None for the second half of a double click.

        Raises:
            InputError: there is no object to click on again, or the click cannot be written.
        """
        if now - self._last_click < BOUNCE:
            return None
        seconds = self._watch.worked(now)

        def say(record: SceneRecord) -> Click:
            subject = self._subject(record) if same_object else None
            if subject is not None:
                class_name, number = subject.class_name, subject.object
            else:
                class_name = self.class_name
                classes = self._record.site.config.classes
                is_thing = classes[class_id(classes, class_name)].kind == "thing"
                number = next_object(record.events) if is_thing else 0
            return Click(
                position=position,
                class_name=class_name,
                object=number,
                source="browser",
                seconds=round(seconds, 2),
            )

        click = self._record.append(self.scene, say)
        self._watch.restart()
        self._last_click = now
        self._mine.append(click.id)
        self.selected = click.id
        return click

    def undo(self, now: float) -> Click:
        """Take back the last click of this window that holds; the click that was taken back."""
        standing = {click.id for click in self.clicks}
        mine = [name for name in self._mine if name in standing]
        if not mine:
            raise InputError("nothing to undo in this window; choose a click in the list to delete")
        return self.delete(mine[-1], now)

    def delete(self, click_id: str, now: float) -> Click:
        """Take back one click; it is on disk when this returns. InputError: it is gone already."""
        self._watch.sign(now)
        taken: list[Click] = []

        def say(record: SceneRecord) -> Click:
            taken.extend(click for click in record.clicks if click.id == click_id)
            if not taken:
                raise InputError("this click is taken back already")
            return Click(kind="withdraw", source="browser", withdraws=click_id)

        self._record.append(self.scene, say)
        if self.selected == click_id:
            left = [click for click in self.clicks if 0 < click.object == taken[0].object]
            self.selected = left[-1].id if left else None
        return taken[0]

    def _subject(self, record: SceneRecord) -> Click:
        for click in record.clicks:
            if click.id == self.selected:
                return click
        raise InputError("click on the object once first, or choose a click of it in the list")
