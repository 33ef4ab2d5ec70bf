"""The controls for labelling: scene, class, what a click means, and the clicks themselves."""

from __future__ import annotations

import html
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import viser

from otoc_ros.annotate.pins import title
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo, distinct_color
from otoc_ros.site.documents import parse

if TYPE_CHECKING:
    from otoc_ros.annotate.page import Page

KEYS = "1234567890"
NO_CLICK = "–"
MEANINGS = ("new object", "same object", "not this object", "accept")
HELP = (
    "**Click** a point of each object; **shift**-click adds to the same object, **ctrl**-click "
    "says *not this*, **alt**-click accepts what is predicted, a **double click** looks closer. "
    "**1–0** class, **Ctrl-K** search, **Ctrl-Z** / **Ctrl-Y** undo and redo, **space** where to "
    "click next, **V** view, **T** top view, **N** / **P** scenes. "
    "Drag turns, right drag moves, wheel zooms."
)


class LabelTab:
    """The first tab of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._ids: dict[str, str] = {}
        self._keyed = 0
        gui: Any = page.client.gui  # its handles take values that its types call read-only
        record = page.desk.record
        self._scene = gui.add_dropdown("Scene", tuple(record.scenes))
        turn = gui.add_button_group("", ("previous", "next", "best"))
        self._status = gui.add_html("")
        self._class = gui.add_dropdown("Class", tuple(known.name for known in record.classes))
        self._legend = gui.add_html("")
        self._meaning = gui.add_dropdown(
            "Click means", MEANINGS, hint="Or hold shift, ctrl or alt while clicking"
        )
        deed = gui.add_button_group("", ("Undo", "Redo"))
        where = gui.add_button_group("Next click", ("Suggest", "Skip", "No object"))
        self._lead = gui.add_checkbox("suggest after each click", False)
        self._list = gui.add_dropdown("Clicks", (NO_CLICK,))
        chosen = gui.add_button_group("", ("Delete", "Re-class"))
        with gui.add_folder("New class", expand_by_default=False):
            self._name = gui.add_text("Name", "")
            self._color = gui.add_rgb("Colour", distinct_color(len(record.classes)))
            self._kind = gui.add_dropdown("Kind", ("thing", "stuff"))
            add = gui.add_button("Add class", icon=viser.Icon.PLUS)
        gui.add_markdown(HELP)

        # Counts in the label may have changed since it was sent; names hold no space.
        page.on_change(self._scene, lambda label: page.open_scene(label.partition(" ")[0]))
        page.on_change(self._class, self.choose)
        page.on_change(self._list, self._select)
        page.on_press(
            turn, previous=lambda: page.turn(-1), next=lambda: page.turn(1), best=page.best_scene
        )
        page.on_press(deed, Undo=page.undo, Redo=page.redo)
        page.on_press(where, Suggest=page.suggest, Skip=page.skip, No_object=page.skip)
        chosen.on_click(
            lambda _: page.act(page.delete if chosen.value == "Delete" else page.reclass)
        )
        add.on_click(lambda _: page.act(self._add_class))

    @property
    def meaning(self) -> str:
        """What a click without a key means: one of `MEANINGS`."""
        value: str = self._meaning.value
        return value

    @property
    def leads(self) -> bool:
        """Whether each click is followed by a suggestion of the next one."""
        return bool(self._lead.value)

    def reset_meaning(self) -> None:
        """The next click is a new object again."""
        self._meaning.value = MEANINGS[0]

    def choose(self, name: str) -> None:
        """What the next clicks mean."""
        self._page.labeller.choose(name, time.monotonic())
        self._page.desk.last_class = name
        self.reset_meaning()
        self._page.show_state()

    def show_state(self) -> None:
        """Bring every control up to date."""
        page, labeller = self._page, self._page.labeller
        record = page.desk.record
        self._bind_keys()
        known = {name: record.of(name) for name in record.scenes}
        labels = {
            name: f"{name} · {len(entry.clicks)}" if entry.clicks else name
            for name, entry in known.items()
        }
        _set_options(self._scene, tuple(labels.values()), labels[labeller.scene])
        classes = tuple(entry.name for entry in record.classes)
        _set_options(self._class, classes, labeller.class_name)
        here = known[labeller.scene]
        pinned = [click for click in here.clicks if click.kind != "accept"]
        self._ids = {
            f"{number}: {title(click)} · {click.seconds:.0f} s": click.id
            for number, click in enumerate(pinned, 1)
        }
        selected = [label for label, name in self._ids.items() if name == labeller.selected]
        _set_options(self._list, (NO_CLICK, *self._ids), selected[0] if selected else NO_CLICK)
        self._status.content = _box(self._told(known))
        self._legend.content = _box(
            "".join(
                _swatch(row, entry, entry.name == labeller.class_name)
                for row, entry in enumerate(record.classes)
            )
        )

    def _told(self, known: dict[str, Any]) -> str:
        page, record = self._page, self._page.desk.record
        here = known[page.labeller.scene]
        accepted = sum(click.kind == "accept" for click in here.clicks)
        clicks = len(here.clicks) - accepted
        begun = sum(bool(known[name].clicks) for name in record.to_label)
        spent = sum(entry.seconds for entry in known.values()) / 60
        left = record.projected_seconds()
        text = f"<b>{clicks} click{'s' * (clicks != 1)}</b> here in {here.seconds / 60:.1f} min"
        if accepted:
            text += f", {accepted} predictions accepted"
        for click in here.clicks:
            if click.id == page.labeller.selected:
                text += f"<br>{html.escape(title(click))}: {here.seconds_of(click):.0f} s"
        text += f"<br>{begun} of {len(record.to_label)} scenes begun, {spent:.1f} min"
        return text + (f", about {left / 60:.0f} min to go" if left else "")

    def _select(self, label: str) -> None:
        page = self._page
        page.labeller.selected = self._ids.get(label)
        page.labeller.sign(time.monotonic())
        page.redraw()

    def _add_class(self) -> None:
        name = self._name.value.strip()
        if not name:
            raise InputError("a class needs a name")
        values = {"name": name, "color": self._color.value, "kind": self._kind.value}
        self._page.desk.record.add_class(parse(ClassInfo, values, f"class {name!r}"))
        self._name.value = ""
        self._color.value = distinct_color(len(self._page.desk.record.classes))
        self.choose(name)
        self._page.redraw()

    def _bind_keys(self) -> None:
        """A command for every class, the first ten with a key of their own."""
        classes = self._page.desk.record.classes
        for row, known in enumerate(classes[self._keyed :], self._keyed):
            key = KEYS[row] if row < len(KEYS) else None
            self._page.on_key(f"Class {known.name}", key, partial(self.choose, known.name))
        self._keyed = len(classes)


def _set_options(control: Any, options: tuple[str, ...], value: str) -> None:
    if control.options != options:
        control.options = options
    control.value = value


def _box(content: str) -> str:
    return f'<div style="padding:0 0.75em 0.4em;font-size:0.85em;line-height:1.5">{content}</div>'


def _swatch(row: int, known: ClassInfo, is_chosen: bool) -> str:
    border = "2px solid currentColor" if is_chosen else "2px solid transparent"
    key = f"<b>{KEYS[row]}</b> " if row < len(KEYS) else ""
    return (
        f'<span style="display:inline-block;border:{border};border-radius:4px;padding:0 4px">'
        f'<span style="color:rgb{known.color}">■</span> {key}{html.escape(known.name)}</span>'
    )
