"""Pins where clicks are, and the sign where the next one should go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import viser
from numpy.typing import NDArray

from otoc_ros.annotate.clip import Box, within
from otoc_ros.annotate.dots import add_dots
from otoc_ros.annotate.scan import Scan
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click

PIN = 0.014  # width of a pin's head as a share of the scene's diagonal …
SMALLEST_PIN, LARGEST_PIN = 0.008, 0.1  # … within these metres
STEM = (15, 15, 15)
BARRED = (235, 60, 50)  # heads of exclusions
SIGN = (255, 220, 60)
MOST_PINS = 400  # clicks that are shown; accepted predictions have none


class Pins:
    """The marks of one window."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self._client = client
        self._nodes: dict[str, viser.SceneNodeHandle] = {}
        self._sign: list[viser.SceneNodeHandle] = []
        self._drawn: object = None

    def draw(
        self,
        scan: Scan,
        box: Box,
        diagonal: float,
        classes: Sequence[ClassInfo],
        clicks: Sequence[Click],
        chosen: str | None,
    ) -> None:
        """A head in its class's colour on a stem; the chosen one is larger and named."""
        wanted = scan, box, tuple(classes), tuple(clicks), chosen
        if wanted == self._drawn:
            return
        self._drawn = wanted
        former, self._nodes = self._nodes, {}
        color = {known.name: known.color for known in classes}
        shown = [
            click for click in clicks if click.position and click.kind in ("click", "exclude")
        ][-MOST_PINS:]
        pins = [(scan.shown_position(click.position or (0, 0, 0)), click) for click in shown]
        pins = [
            (foot, click) for foot, click in pins if within(foot[None].astype(np.float32), box)[0]
        ]
        size = float(np.clip(PIN * diagonal, SMALLEST_PIN, LARGEST_PIN))
        for is_chosen, swell in ((False, 1.0), (True, 1.6)):
            some = [pin for pin in pins if (pin[1].id == chosen) == is_chosen]
            if some:
                heads = [
                    BARRED if click.kind == "exclude" else color[str(click.class_name)]
                    for _, click in some
                ]
                name = f"/pins/{'chosen' if is_chosen else 'others'}"
                self._stick(name, np.array([foot for foot, _ in some]), heads, size, swell)
            if some and is_chosen:
                self._nodes[f"{name}/label"] = self._client.scene.add_label(
                    f"{name}/label",
                    title(some[0][1]),
                    position=some[0][0] + [0, 0, 4 * size],
                    anchor="bottom-center",
                )
        # A node that is added again takes the former one's place. To remove that first would make
        # the browser build its shaders anew, for which it waits until all is drawn.
        for name in former.keys() - self._nodes.keys():
            former[name].remove()

    def sign(self, place: NDArray[np.float32] | None, words: str, diagonal: float) -> None:
        """Show where to click next, or nothing."""
        for node in self._sign:
            node.remove()
        self._sign = []
        if place is None:
            return
        size = float(np.clip(PIN * diagonal, SMALLEST_PIN, LARGEST_PIN))
        scene = self._client.scene
        tip = place + np.array([0, 0, 0.6 * size])
        self._sign = [
            scene.add_line_segments(
                "/sign/stem",
                np.stack([tip, tip + [0, 0, 6 * size]])[None],
                SIGN,
                thickness=0.5 * size,
            ),
            scene.add_label(
                "/sign/label",
                words,
                position=tip + [0, 0, 6 * size],
                anchor="bottom-center",
            ),
        ]

    def _stick(
        self,
        name: str,
        feet: NDArray[np.float64],
        colors: list[tuple[int, int, int]],
        size: float,
        swell: float,
    ) -> None:
        # Upwards, and off the walls into the room, whose middle is the origin.
        lift = np.column_stack([-feet[:, :2], np.linalg.norm(feet[:, :2], axis=1) + 0.1])
        lift /= np.linalg.norm(lift, axis=1, keepdims=True)
        heads = feet + 1.8 * swell * size * lift
        self._nodes[f"{name}/stems"] = self._client.scene.add_line_segments(
            f"{name}/stems", np.stack([feet, heads], 1), STEM, thickness=0.2 * size
        )
        black = np.tile(
            np.array(STEM, np.uint8), (len(heads), 1)
        )  # the shader that heads have, too
        below = heads - [0, 0, 0.1 * size]  # behind the heads for who looks from above
        self._nodes[f"{name}/rims"] = add_dots(
            self._client, f"{name}/rims", below, black, 1.3 * swell * size
        )
        self._nodes[f"{name}/heads"] = add_dots(
            self._client,
            f"{name}/heads",
            heads,
            np.array(colors, np.uint8),
            swell * size,
            "gradient",
        )


def title(click: Click) -> str:
    """What a click says, in a few words."""
    number = f" {click.object}" if click.object else ""
    kind = {"click": "", "exclude": " (not here)"}.get(click.kind, f" ({click.kind})")
    return f"{click.class_name}{number}{kind}" + (" · robot" if click.source == "rviz" else "")
