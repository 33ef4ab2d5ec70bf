"""Looking over what the machine has labelled, and what the robot has sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from otoc_ros.core.errors import InputError

if TYPE_CHECKING:
    from otoc_ros.annotate.page import Page
    from otoc_ros.annotate.segments import Segments

TELL = (
    "*Doubtful* goes through the pseudo labels of the round that *View* names, the least sure "
    "first; *Error* through what differs from the ground truth, where there is one; *Robot* "
    "through clicks from the robot."
)


class ReviewTab:
    """The last tab of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._at = {"doubtful": -1, "error": -1, "robot": -1}
        self._where = ""
        gui: Any = page.client.gui
        go = gui.add_button_group("Next", ("Doubtful", "Error", "Robot"))
        self._status = gui.add_html("")
        gui.add_markdown(TELL)
        page.on_press(go, Doubtful=self._doubtful, Error=self._error, Robot=self._robot)

    def _doubtful(self) -> None:
        name, segments = self._scene()
        number = self._page.view.round
        rows = self._page.desk.review.doubtful(name, segments, number)
        found = self._page.desk.review.pseudo(name, segments, number)
        assert found is not None, "doubtful() refuses where there is none"
        place = int(rows[self._step("doubtful", len(rows))])
        self._page.view.choose("pseudo labels")
        known = self._page.desk.record.classes[int(found[0][place])].name
        self._go(segments, place, f"{known}, {found[1][place]:.0%}")

    def _error(self) -> None:
        name, segments = self._scene()
        review, board = self._page.desk.review, self._page.desk.board
        pseudo = review.pseudo(name, segments, self._page.view.round)
        belief = board.belief(name)
        if pseudo is not None:
            told = pseudo[0]
        elif belief is not None:
            told = belief.argmax(axis=1).astype(np.int32)
        else:
            raise InputError("nothing is predicted yet; click a few objects first")
        rows = review.errors(name, segments, told)
        place = int(rows[self._step("error", len(rows))])
        self._page.view.choose("errors")
        self._go(segments, place, f"not {self._page.desk.record.classes[int(told[place])].name}")

    def _robot(self) -> None:
        record = self._page.desk.record
        found = [
            (name, click)
            for name in record.scenes
            for click in record.of(name).clicks
            if click.source == "rviz" and click.position
        ]
        if not found:
            raise InputError("no click of this site came from the robot")
        name, click = found[self._step("robot", len(found))]
        if name != self._page.labeller.scene:
            self._page.open_scene(name)
        self._page.labeller.selected = click.id
        self._page.redraw()
        scan = self._page.stage.scan
        assert scan is not None and click.position
        self._page.stage.close_up(scan.shown_position(click.position).astype(np.float32))

    def _scene(self) -> tuple[str, Segments]:
        scan, name = self._page.stage.scan, self._page.labeller.scene
        segments = None if scan is None else scan.found_segments()
        if segments is None:
            raise InputError("the super-voxels are being found; a moment please")
        if name != self._where:
            self._where = name
            self._at["doubtful"] = self._at["error"] = -1
        return name, segments

    def _step(self, what: str, count: int) -> int:
        self._at[what] = (self._at[what] + 1) % count
        self._status.content = (
            '<div style="padding:0 0.75em 0.4em;font-size:0.85em">'
            f"{what} {self._at[what] + 1} of {count}</div>"
        )
        return self._at[what]

    def _go(self, segments: Segments, place: int, words: str) -> None:
        self._page.stage.point_at(segments.center[place], words)
        self._page.stage.close_up(segments.center[place])
