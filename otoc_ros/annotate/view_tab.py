"""The controls for looking: what the colours mean, what is hidden, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otoc_ros.annotate.paint import VIEWS

if TYPE_CHECKING:
    from otoc_ros.annotate.page import Page

LAST = "last"  # the round that came last, whichever that is
TOP = 0.95  # height of the top view as a share of the scene's diagonal


class ViewTab:
    """The second tab of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        gui: Any = page.client.gui
        self._view = gui.add_dropdown("View", VIEWS)
        self._round = gui.add_dropdown(
            "Labels of round", (LAST,), hint="Pseudo labels and errors before and after a round"
        )
        self._size = gui.add_slider("Point size", 0.3, 3.0, 0.1, 1.0)
        with gui.add_folder("Clip box"):
            self._sides = [
                gui.add_multi_slider(
                    axis,
                    0.0,
                    1.0,
                    0.05,
                    (0.0, 1.0),
                    hint="Metres; what lies outside is hidden and cannot be clicked",
                )
                for axis in ("x", "y", "z")
            ]
        where = gui.add_button_group("", ("Top view", "Whole scene"))
        page.on_change(self._view, lambda _: page.redraw())
        page.on_change(self._round, lambda _: page.redraw())
        page.on_change(self._size, lambda _: page.redraw())
        for side in self._sides:
            page.on_change(side, lambda _: self._clip())
        page.on_press(where, Top_view=self.top, Whole_scene=self._whole)
        page.on_key("Next view", "V", self._next)
        page.on_key("Top view", "T", self.top)

    @property
    def name(self) -> str:
        """One of `paint.VIEWS`."""
        name: str = self._view.value
        return name

    @property
    def round(self) -> str | None:
        """The round whose pseudo labels are shown; None: the last one."""
        return None if self._round.value == LAST else str(self._round.value)

    @property
    def size(self) -> float:
        """Of the points, 1 = they just touch."""
        return float(self._size.value)

    def choose(self, name: str) -> None:
        """Show another view."""
        self._view.value = name
        self._page.redraw()

    def show_state(self, rounds: list[str]) -> None:
        """Offer the rounds that there are now."""
        options = LAST, *reversed(rounds)
        if self._round.options != options:
            chosen = self._round.value
            self._round.options = options
            self._round.value = chosen if chosen in options else LAST

    def limit(self) -> None:
        """Fit the sliders to the scene that is shown."""
        stage = self._page.stage
        for side, (low, high), chosen in zip(self._sides, stage.limits, stage.box, strict=True):
            side.min, side.max = low, high
            side.value = chosen

    def top(self) -> None:
        stage = self._page.stage
        stage.camera.top(stage.middle, TOP * stage.diagonal)

    def _whole(self) -> None:
        stage = self._page.stage
        stage.camera.fly(*stage.overview())

    def _clip(self) -> None:
        self._page.stage.box = tuple(  # type: ignore[assignment]
            (float(min(side.value)), float(max(side.value))) for side in self._sides
        )
        self._page.redraw()

    def _next(self) -> None:
        self.choose(VIEWS[(VIEWS.index(self.name) + 1) % len(VIEWS)])
