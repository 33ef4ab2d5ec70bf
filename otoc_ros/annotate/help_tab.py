"""What the networks make of the clicks, to be trusted or ignored."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import viser

from otoc_ros.core.errors import InputError

if TYPE_CHECKING:
    from otoc_ros.annotate.page import Page
    from otoc_ros.annotate.scan import Scan

ACCEPTED = 40  # super-voxels of one accepted object at most: more is a mistake to look at first

TELL = (
    "Every clicked object is an example of its class; what looks like it gets its class here, at "
    "once and without training. Accepted predictions are kept as yours, of a kind of their own."
)


class HelpTab:
    """The third tab of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        gui: Any = page.client.gui
        self._status = gui.add_html("")
        look = gui.add_button_group("Show", ("Classes", "Confidence", "Colour"))
        self._least = gui.add_slider("Accept from", 0.5, 0.99, 0.01, 0.9)
        accept = gui.add_button("Accept what is surer", icon=viser.Icon.CHECK)
        gui.add_markdown(TELL)
        page.on_press(
            look,
            Classes=lambda: page.view.choose("classes"),
            Confidence=lambda: page.view.choose("confidence"),
            Colour=lambda: page.view.choose("colour"),
        )
        accept.on_click(lambda _: page.act(self._accept))

    def show_state(self) -> None:
        """Say who helps, and with how many examples."""
        desk = self._page.desk
        examples = len(desk.board.prototypes().feature)
        text = f"{examples} example{'s' * (examples != 1)}, compared by {desk.helper.name}"
        content = (
            '<div style="padding:0 0.75em 0.4em;font-size:0.85em">' + html.escape(text) + "</div>"
        )
        if self._status.content != content:
            self._status.content = content

    def accept_at(self, scan: Scan, row: int) -> None:
        """Say that what is predicted at a point is right, for all that hangs together there."""
        page, desk = self._page, self._page.desk
        segments, belief = scan.found_segments(), desk.board.belief(page.labeller.scene)
        if segments is None or belief is None:
            raise InputError("nothing is predicted yet; click a few objects first")
        best, start = belief.argmax(axis=1), int(segments.of_point[row])
        piece = segments.growth.pieces(best == best[start])
        members = np.flatnonzero((piece == piece[start]) & (best == best[start]))
        if len(members) > ACCEPTED:
            nearest = np.argsort(
                np.linalg.norm(segments.center[members] - segments.center[start], axis=1)
            )
            members = members[nearest[:ACCEPTED]]
        places = [scan.scene_position(int(at)) for at in segments.some_point(members)]
        name = desk.record.classes[int(best[start])].name
        page.labeller.accept(name, [places], time.monotonic())
        page.redraw()

    def _accept(self) -> None:
        """Accept each class's free super-voxels above the threshold, one write a class."""
        page = self._page
        scan, name = page.stage.scan, page.labeller.scene
        segments = None if scan is None else scan.found_segments()
        belief, lit = page.desk.board.belief(name), page.desk.board.lit(name)
        if scan is None or segments is None or belief is None or lit is None:
            raise InputError("nothing is predicted yet; click a few objects first")
        best, sure = belief.argmax(axis=1), belief.max(axis=1) >= self._least.value
        wanted = sure & ~lit.said
        if not wanted.any():
            raise InputError(f"nothing is surer than {self._least.value:.0%}")
        for row in np.unique(best[wanted]).tolist():
            members = wanted & (best == row)
            piece = segments.growth.pieces(members)
            objects = [
                [
                    scan.scene_position(int(at))
                    for at in segments.some_point(np.flatnonzero(members & (piece == number)))
                ]
                for number in np.unique(piece[members])
            ]
            page.labeller.accept(page.desk.record.classes[row].name, objects, time.monotonic())
        page.redraw()
