"""Training from the page: start, watch, stop, go on, roll back, export."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import viser

from otoc_ros.annotate.training import PRESETS
from otoc_ros.core.errors import InputError

if TYPE_CHECKING:
    from otoc_ros.annotate.page import Page

NO_ROUND = "–"


class TrainTab:
    """The fourth tab of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._told: object = None
        gui: Any = page.client.gui
        self._preset = gui.add_dropdown("Preset", PRESETS, initial_value="small")
        run = gui.add_button_group("", ("Train", "Resume", "Stop"))
        self._bar = gui.add_progress_bar(0.0, visible=False)
        self._status = gui.add_html("")
        self._round = gui.add_dropdown("Round", (NO_ROUND,))
        back = gui.add_button("Roll back to it", icon=viser.Icon.HISTORY)
        export = gui.add_button("Export for the robot", icon=viser.Icon.PACKAGE_EXPORT)
        training = page.desk.training
        page.on_press(
            run,
            Train=lambda: training.train(self._preset.value),
            Resume=lambda: training.train(self._preset.value, resume=True),
            Stop=training.stop,
        )
        back.on_click(lambda _: page.act(self._roll_back))
        export.on_click(lambda _: page.act(training.export))

    def show_state(self, rounds: list[str]) -> None:
        """Show how far the command is, and what it has left: the rounds that are complete."""
        training = self._page.desk.training
        told = training.running, training.line, tuple(rounds), training.ended
        if told == self._told:
            return
        self._told = told
        share = training.share if training.running else None
        self._bar.visible = share is not None
        self._bar.value = 100 * (share or 0.0)
        options = tuple(reversed(rounds)) or (NO_ROUND,)
        if self._round.options != options:
            self._round.options = options
        text = ""
        if training.running:
            text = f"<b>{training.what}</b> {html.escape(training.line)}"
        elif training.ended is not None:
            end = {0: "done", 130: "stopped; Resume goes on"}.get(training.ended, "failed")
            text = f"<b>{training.what}</b> {end}"
            if training.ended not in (0, 130):
                text += f": {html.escape(training.line)}"
        text += "".join(f"<br>{self._line(name)}" for name in rounds)
        self._status.content = (
            f'<div style="padding:0 0.75em 0.4em;font-size:0.85em;line-height:1.5">{text}</div>'
        )

    def _line(self, name: str) -> str:
        path = self._page.desk.record.site.path / "rounds" / name / "metrics.json"
        try:
            metrics = json.loads(path.read_bytes())
            loss = metrics["losses"].get("total", float("nan"))
            return html.escape(
                f"round {name}: loss {loss:.3f}, {metrics['pseudo_labels']} pseudo labels, "
                f"{metrics['seconds']:.0f} s"
            )
        except (OSError, ValueError, KeyError, AttributeError):  # of another version, or gone
            return html.escape(f"round {name}")

    def _roll_back(self) -> None:
        if self._round.value == NO_ROUND:
            raise InputError("there is no round yet; train first")
        self._page.desk.training.roll_back(self._round.value)
        self._page.redraw()
