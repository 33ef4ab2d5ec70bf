"""One browser window: what the person does in it, and what it shows for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import viser

from otoc_ros.annotate.double_click import DoubleClick
from otoc_ros.annotate.help_tab import HelpTab
from otoc_ros.annotate.label_tab import LabelTab
from otoc_ros.annotate.labeller import Labeller
from otoc_ros.annotate.paint import VIEWS
from otoc_ros.annotate.review_tab import ReviewTab
from otoc_ros.annotate.scan import Scan
from otoc_ros.annotate.stage import Knowledge, Stage
from otoc_ros.annotate.suggest import Suggestion
from otoc_ros.annotate.touch import free_fingers
from otoc_ros.annotate.train_tab import TrainTab
from otoc_ros.annotate.view_tab import ViewTab
from otoc_ros.core.errors import InputError

if TYPE_CHECKING:
    from otoc_ros.annotate.desk import Desk

COMPLAINT_SECONDS = 8.0
KEYED = {"shift": "same object", "cmd/ctrl": "not this object", "alt": "accept"}


class Page:
    """A window on the desk; lives as long as its connection.

    Args:
        former: of the same window, which has come back after a lost connection; it goes on there.
    """

    def __init__(self, client: viser.ClientHandle, desk: Desk, former: Page | None = None) -> None:
        self.client, self.desk = client, desk
        if former is None:
            self.lock = threading.RLock()
            self.labeller = Labeller(desk.record, desk.last_scene, time.monotonic())
            self.labeller.choose(desk.last_class, time.monotonic())
        else:
            self.lock, self.labeller = former.lock, former.labeller
        self.stage = Stage(client)
        self._suggestion: Suggestion | None = None
        self._seen: Any = None
        self._exports = desk.exports  # of which the scene that is shown knows
        self._double = DoubleClick()
        self._complaint = "", 0.0  # what was said last, and how long it stays
        scan = self._first_picture(None if former is None else former.stage)
        free_fingers(client)
        tabs = client.gui.add_tab_group()
        with tabs.add_tab("Label"):
            self.label = LabelTab(self)
        with tabs.add_tab("View"):
            self.view = ViewTab(self)
        with tabs.add_tab("Help"):
            self.help = HelpTab(self)
        with tabs.add_tab("Train"):
            self.train = TrainTab(self)
        with tabs.add_tab("Review"):
            self.review = ReviewTab(self)
        self._bind()
        if scan is None:
            self.act(self.open_scene, self.labeller.scene)
        else:
            self.act(self._furnish, scan)

    def _first_picture(self, former: Stage | None) -> Scan | None:
        """Send the points before all controls; None: the scan is damaged, which is said later."""
        record, name = self.desk.record, self.labeller.scene
        with suppress(InputError):
            scan = self.desk.scan(name)
            self.stage.show(scan, former)
            clicks = record.of(name).clicks
            self.stage.draw(VIEWS[0], 1.0, record.classes, clicks, None, None, Knowledge())
            return scan
        return None

    def act(self, do: Callable[..., None], *arguments: Any) -> None:
        """One action of a window at a time; what it refuses is said to the person."""
        with self.lock:
            try:
                do(*arguments)
            except InputError as error:
                self.complain(str(error))

    def on_change(self, control: Any, do: Callable[[Any], None]) -> None:
        """Act when the person, not the program, has set a control."""
        control.on_update(lambda event: self.act(do, control.value) if event.client else None)

    def on_press(self, group: Any, **deeds: Callable[[], None]) -> None:
        """Act when a button of a group is pressed; deeds by the label, `_` for a space."""
        group.on_click(lambda _: self.act(deeds[group.value.replace(" ", "_")]))

    def on_key(self, label: str, hotkey: Any, do: Callable[[], None], modifier: Any = None) -> None:
        """Act on a key, or when the command of that label is chosen with Ctrl-K."""
        command = self.client.gui.add_command(label, hotkey=hotkey, modifier=modifier)
        command.on_trigger(lambda _: self.act(do))

    def complain(self, message: str) -> None:
        """Say what was refused, once while it can be read, and set the controls back."""
        if message != self._complaint[0] or time.monotonic() > self._complaint[1]:
            self._complaint = message, time.monotonic() + COMPLAINT_SECONDS
            self.client.add_notification(
                "Not done", message, color="red", auto_close_seconds=COMPLAINT_SECONDS
            )
        with suppress(InputError):  # it may be the very reason
            self.show_state()

    def _bind(self) -> None:
        scene = self.client.scene
        for modifier in (None, "shift", "cmd/ctrl", "alt"):
            scene.on_click(modifier=modifier)(self._hit)
        self.client.camera.on_update(lambda _: self.labeller.sign(time.monotonic()))
        self.on_key("Undo", "Z", self.undo, "cmd/ctrl")
        self.on_key("Redo", "Y", self.redo, "cmd/ctrl")
        self.on_key("Next scene", "N", lambda: self.turn(1))
        self.on_key("Previous scene", "P", lambda: self.turn(-1))
        self.on_key("Where to click next", "space", self.suggest)
        self.on_key("Skip the suggestion", "K", self.skip)
        self.on_key("Delete the chosen click", "delete", self.delete)

    def open_scene(self, name: str) -> None:
        scan = self.desk.scan(name)  # refuses before anything has changed
        self._exports = self.desk.exports
        self.labeller.open(name, time.monotonic())
        self.desk.last_scene = name
        self._suggestion = None
        self.stage.point_at(None)
        self.stage.show(scan)
        self._furnish(scan)

    def _furnish(self, scan: Scan) -> None:
        """Bring the controls in line with the scan that is shown."""
        self.view.limit()
        self.label.reset_meaning()
        self.redraw()
        scan.segments.add_done_callback(lambda _: self.act(self._light_up, scan))

    def _light_up(self, scan: Scan) -> None:
        """Super-voxels come a moment after the points."""
        if error := scan.segments.exception():
            raise InputError(f"this scene has no super-voxels: {error}")
        if scan is self.stage.scan:
            self.redraw()
            self.desk.survey()

    def turn(self, step: int) -> None:
        names = list(self.desk.record.scenes)
        self.open_scene(names[(names.index(self.labeller.scene) + step) % len(names)])

    def best_scene(self) -> None:
        """Open the scene that teaches most."""
        name = self.desk.board.next_scene(self.labeller.scene)
        if name is None:
            self.turn(1)
        else:
            self.open_scene(name)

    def _hit(self, event: viser.SceneClickEvent) -> None:
        """Find what was clicked, then act. The wait for the picker is no action: what the workers
        have to tell the page meanwhile needs the page's lock."""
        now, scan = time.monotonic(), self.stage.scan
        if scan is not None:
            picker = scan.picker.result()
            row = picker.pick(event.ray_origin, event.ray_direction, self.stage.box)
            self.act(self.click, event, scan, row, now)

    def click(self, event: viser.SceneClickEvent, scan: Scan, row: int | None, now: float) -> None:
        """A click on a point of a scan (its row), or on nothing."""
        if scan is not self.stage.scan:
            return  # another scene has come meanwhile
        if row is None:
            self.labeller.sign(now)
        elif self._double.ends(event.screen_pos, now):
            self._close_up(scan, row)
        else:
            self._say(scan, row, KEYED.get(event.modifier or "", self.label.meaning), now)

    def _say(self, scan: Scan, row: int, meaning: str, now: float) -> None:
        """Write down what a click on a point means, then show what follows from it."""
        if meaning == "accept":
            self.help.accept_at(scan, row)
            return
        position = scan.scene_position(row)
        if meaning == "not this object":
            self.labeller.exclude(position, now)
        else:
            self.labeller.click(position, now, same_object=meaning == "same object")
        self._suggestion = None
        self.redraw()
        if self.label.leads and meaning == "new object" and scan.found_segments() is not None:
            self.suggest()

    def _close_up(self, scan: Scan, row: int) -> None:
        """A double click looks closer; its first half was not meant as a click on an object."""
        with suppress(InputError):
            self.labeller.undo(time.monotonic())
        self.stage.close_up(scan.xyz[row])
        self.redraw()

    def undo(self) -> None:
        self.labeller.undo(time.monotonic())
        self.redraw()

    def redo(self) -> None:
        self.labeller.redo(time.monotonic())
        self.redraw()

    def delete(self) -> None:
        if self.labeller.selected is None:
            raise InputError("choose a click in the list first")
        self.labeller.delete(self.labeller.selected, time.monotonic())
        self.redraw()

    def reclass(self) -> None:
        self.labeller.reclass(self.labeller.class_name, time.monotonic())
        self.redraw()

    def suggest(self) -> None:
        """Fly to where the next click teaches most."""
        self.labeller.sign(time.monotonic())
        found = self.desk.board.suggestions(self.labeller.scene)
        scan = self.stage.scan
        segments = None if scan is None else scan.found_segments()
        if segments is None:
            raise InputError("the super-voxels are being found; a moment please")
        if not found:
            raise InputError("nothing is left to click here; go to the next scene")
        self._suggestion = found[0]
        guess = ""
        if found[0].class_id >= 0:
            name = self.desk.record.classes[found[0].class_id].name
            guess = f" {name}, {found[0].confidence:.0%}?"
        place = segments.center[found[0].place]
        self.stage.point_at(place, f"next{guess}")
        self.stage.close_up(place)
        self.show_state()

    def skip(self) -> None:
        """Not this one now; the next."""
        if self._suggestion is not None:
            self.desk.board.pass_over(self.labeller.scene, self._suggestion)
        self.suggest()

    def look_round(self) -> None:
        """Show what other windows and programs have said since the last look."""
        record = self.desk.record
        if self._exports != self.desk.exports:
            self.open_scene(self.labeller.scene)
        if self.stage.look_closer() or self._seen != (
            [record.of(name).stamp for name in record.scenes],
            record.classes,
        ):
            self.redraw()
        else:
            self._show_rounds()

    def redraw(self) -> None:
        labeller, desk = self.labeller, self.desk
        if self._suggestion is None:
            self.stage.point_at(None)
        self.stage.draw(
            self.view.name,
            self.view.size,
            desk.record.classes,
            labeller.clicks,
            labeller.selected,
            desk.board.lit(labeller.scene),
            self._knowledge(),
        )
        self.show_state()

    def _knowledge(self) -> Knowledge:
        """What the present view needs; the rest is not worked out."""
        view, name = self.view.name, self.labeller.scene
        segments = None if self.stage.scan is None else self.stage.scan.found_segments()
        if segments is None or view not in VIEWS[4:]:
            return Knowledge()
        pseudo = None
        if view in ("pseudo labels", "errors"):
            pseudo = self.desk.review.pseudo(name, segments, self.view.round)
        return Knowledge(
            belief=self.desk.board.belief(name),
            pseudo=None if pseudo is None else pseudo[0],
            pseudo_confidence=None if pseudo is None else pseudo[1],
            truth=self.desk.review.truth(name) if view == "errors" else None,
        )

    def show_state(self) -> None:
        record = self.desk.record
        self._seen = [record.of(name).stamp for name in record.scenes], record.classes
        self.label.show_state()
        self.help.show_state()
        self._show_rounds()

    def _show_rounds(self) -> None:
        rounds = self.desk.training.rounds()
        self.view.show_state(rounds)
        self.train.show_state(rounds)
