"""One browser window: its controls, and what each of them does."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import viser

from otoc_ros.annotate.labeller import Labeller
from otoc_ros.annotate.paint import VIEWS
from otoc_ros.annotate.scan import Segments
from otoc_ros.annotate.stage import Stage, title
from otoc_ros.core.errors import InputError

if TYPE_CHECKING:
    from otoc_ros.annotate.desk import Desk

KEYS = "1234567890"
NO_CLICK = "–"
COMPLAINT_SECONDS = 8.0
HELP = (
    "**Click** one point of each object; **shift**-click adds to the same object. "
    "**1–0** class, **Ctrl-Z** undo, **V** view, **N** / **P** next and previous scene. "
    "Drag turns, right drag moves, wheel zooms."
)


def _action(method: Callable[..., None]) -> Callable[..., None]:
    """One action of a window at a time; what it refuses is said to the person."""

    @wraps(method)
    def guarded(self: Page, *arguments: Any) -> None:
        with self.lock:
            try:
                method(self, *arguments)
            except InputError as error:
                self.complain(str(error))

    return guarded


class Page:
    """A window on the desk; lives as long as its connection."""

    def __init__(self, client: viser.ClientHandle, desk: Desk) -> None:
        self.client = client
        self.lock = threading.RLock()
        self._desk = desk
        self._config = desk.record.site.config
        self._labeller = Labeller(desk.record, desk.last_scene, time.monotonic())
        self._stage = Stage(client, self._config.classes)
        self._seen: Any = None
        self._complaint = "", 0.0  # what was said last, and how long it stays
        self._add_controls()
        self._bind()
        self.open_scene(self._labeller.scene)

    def complain(self, message: str) -> None:
        """Say what was refused, once while it can be read, and set the controls back."""
        if message != self._complaint[0] or time.monotonic() > self._complaint[1]:
            self._complaint = message, time.monotonic() + COMPLAINT_SECONDS
            self.client.add_notification(
                "Not done", message, color="red", auto_close_seconds=COMPLAINT_SECONDS
            )
        with suppress(InputError):  # it may be the very reason
            self._show_state()

    def _add_controls(self) -> None:
        gui: Any = self.client.gui  # its handles take values that its types call read-only
        self._scene = gui.add_dropdown("Scene", tuple(self._desk.record.scenes))
        self._turn = gui.add_button_group("", ("previous", "next"))
        self._status = gui.add_html("")
        self._class = gui.add_dropdown("Class", tuple(known.name for known in self._config.classes))
        self._legend = gui.add_html("")
        self._same = gui.add_checkbox(
            "same object", False, hint="Next clicks belong to the last object; or hold shift"
        )
        self._undo = gui.add_button("Undo", icon=viser.Icon.ARROW_BACK_UP)
        self._view = gui.add_dropdown("View", VIEWS)
        self._ceiling = gui.add_slider(
            "Show up to", 0.0, 1.0, 0.05, 1.0, hint="Metres above the floor: hides ceilings"
        )
        self._size = gui.add_slider("Point size", 0.3, 3.0, 0.1, 1.0)
        with gui.add_folder("Clicks"):
            self._list = gui.add_dropdown("Click", (NO_CLICK,))
            self._delete = gui.add_button("Delete", color="gray", icon=viser.Icon.TRASH)
        gui.add_markdown(HELP)

    def _bind(self) -> None:
        def chosen(control: Any, act: Callable[[Any], None]) -> None:
            # Without a client the program itself has set the value.
            control.on_update(lambda event: act(control.value) if event.client else None)

        # Counts in the label may have changed since it was sent; names hold no space.
        chosen(self._scene, lambda label: self.open_scene(label.partition(" ")[0]))
        chosen(self._class, self.choose_class)
        chosen(self._view, lambda _: self.redraw())
        chosen(self._size, lambda _: self.redraw())
        chosen(self._ceiling, self.clip)
        chosen(self._list, self.select)
        self._turn.on_click(lambda _: self.turn(1 if self._turn.value == "next" else -1))
        self._undo.on_click(lambda _: self.undo())
        self._delete.on_click(lambda _: self.delete())
        scene = self.client.scene
        scene.on_click()(lambda event: self.click(event, time.monotonic(), False))
        scene.on_click(modifier="shift")(lambda event: self.click(event, time.monotonic(), True))
        self.client.camera.on_update(lambda _: self._labeller.sign(time.monotonic()))

        def key(label: str, hotkey: Any, act: Callable[[], None], modifier: Any = None) -> None:
            command = self.client.gui.add_command(label, hotkey=hotkey, modifier=modifier)
            command.on_trigger(lambda _: act())

        for digit, known in zip(KEYS, self._config.classes, strict=False):
            key(f"Class {known.name}", digit, partial(self.choose_class, known.name))
        key("Undo", "Z", self.undo, "cmd/ctrl")
        key("Next scene", "N", lambda: self.turn(1))
        key("Previous scene", "P", lambda: self.turn(-1))
        key("Next view", "V", self.next_view)

    @_action
    def open_scene(self, name: str) -> None:
        scan = self._desk.scan(name)  # refuses before anything has changed
        self._labeller.open(name, time.monotonic())
        self._desk.last_scene = name
        self._stage.show(scan)
        self._ceiling.max = round(self._stage.top + 0.05, 2)
        self._ceiling.value = self._stage.ceiling
        self._same.value = False
        self.redraw()
        scan.segments.add_done_callback(self.light_up)

    @_action
    def light_up(self, found: Future[Segments]) -> None:
        """Super-voxels come a moment after the points."""
        if error := found.exception():
            raise InputError(f"this scene has no super-voxels: {error}")
        self.redraw()

    @_action
    def turn(self, step: int) -> None:
        names = list(self._desk.record.scenes)
        self.open_scene(names[(names.index(self._labeller.scene) + step) % len(names)])

    @_action
    def choose_class(self, name: str) -> None:
        self._labeller.choose(name, time.monotonic())
        self._same.value = False
        self._show_state()

    @_action
    def click(self, event: viser.SceneClickEvent, now: float, shift: bool) -> None:
        scan = self._stage.scan
        if scan is None:
            return
        row = scan.picker.pick(event.ray_origin, event.ray_direction, self._stage.ceiling)
        if row is None:
            self._labeller.sign(now)
            return
        same = shift or self._same.value
        if self._labeller.click(scan.scene_position(row), now, same_object=same):
            self.redraw()

    @_action
    def undo(self) -> None:
        self._labeller.undo(time.monotonic())
        self.redraw()

    @_action
    def delete(self) -> None:
        if self._labeller.selected is None:
            raise InputError("choose a click in the list first")
        self._labeller.delete(self._labeller.selected, time.monotonic())
        self.redraw()

    @_action
    def select(self, label: str) -> None:
        self._labeller.selected = self._ids.get(label)
        self._labeller.sign(time.monotonic())
        self.redraw()

    @_action
    def clip(self, height: float) -> None:
        if height == self._ceiling.value:  # else the slider has moved on meanwhile
            self._stage.ceiling = height
            self.redraw()

    @_action
    def next_view(self) -> None:
        self._view.value = VIEWS[(VIEWS.index(self._view.value) + 1) % len(VIEWS)]
        self.redraw()

    @_action
    def look_round(self) -> None:
        """Show what other windows and programs have said since the last look."""
        record = self._desk.record
        if self._seen != [record.of(name).stamp for name in record.scenes]:
            self.redraw()

    @_action
    def redraw(self) -> None:
        labeller = self._labeller
        self._stage.draw(self._view.value, self._size.value, labeller.clicks, labeller.selected)
        self._show_state()

    def _show_state(self) -> None:
        record, labeller = self._desk.record, self._labeller
        known = {name: record.of(name) for name in record.scenes}
        self._seen = [entry.stamp for entry in known.values()]
        labels = {
            name: f"{name} · {len(entry.clicks)}" if entry.clicks else name
            for name, entry in known.items()
        }
        _set_options(self._scene, tuple(labels.values()), labels[labeller.scene])
        self._class.value = labeller.class_name
        self._ids = {
            f"{number}: {title(click)}": click.id for number, click in enumerate(labeller.clicks, 1)
        }
        selected = [label for label, name in self._ids.items() if name == labeller.selected]
        _set_options(self._list, (NO_CLICK, *self._ids), selected[0] if selected else NO_CLICK)
        here = known[labeller.scene]
        begun = sum(bool(known[name].clicks) for name in record.to_label)
        spent = sum(entry.seconds for entry in known.values()) / 60
        left = record.projected_seconds()
        self._status.content = _box(
            f"<b>{len(here.clicks)} click{'s' * (len(here.clicks) != 1)}</b> here "
            f"in {here.seconds / 60:.1f} min<br>"
            f"{begun} of {len(record.to_label)} scenes begun, {spent:.1f} min"
            + (f", about {left / 60:.0f} min to go" if left else "")
        )
        self._legend.content = _box(
            "".join(
                _swatch(row, entry.name, entry.color, entry.name == labeller.class_name)
                for row, entry in enumerate(self._config.classes)
            )
        )


def _set_options(control: Any, options: tuple[str, ...], value: str) -> None:
    if control.options != options:
        control.options = options
    control.value = value


def _box(content: str) -> str:
    return f'<div style="padding:0 0.75em 0.4em;font-size:0.85em;line-height:1.5">{content}</div>'


def _swatch(row: int, name: str, color: tuple[int, int, int], is_chosen: bool) -> str:
    border = "2px solid currentColor" if is_chosen else "2px solid transparent"
    key = f"<b>{KEYS[row]}</b> " if row < len(KEYS) else ""
    return (
        f'<span style="display:inline-block;border:{border};border-radius:4px;padding:0 4px">'
        f'<span style="color:rgb{color}">■</span> {key}{html.escape(name)}</span>'
    )
