"""What one window draws: the points, a pin for every click, and from where they are seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import viser
from numpy.typing import NDArray

from otoc_ros.annotate.paint import base_colors, tint
from otoc_ros.annotate.scan import Scan, Segments
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click

SPREAD = 1.4  # size of a point in gaps between points, so that surfaces look closed
PIN = 0.014  # width of a pin's head as a share of the scene's diagonal …
SMALLEST_PIN, LARGEST_PIN = 0.008, 0.1  # … within these metres
STEM = (15, 15, 15)
ROOM = 2.2  # metres: what is higher probably has a ceiling …
CEILING = 0.25  # … this thick at most


class Stage:
    """The 3D part of a page; all methods send to that window only."""

    def __init__(self, client: viser.ClientHandle, classes: Sequence[ClassInfo]) -> None:
        self._client = client
        self._row = {known.name: row for row, known in enumerate(classes)}
        self._colors = np.array([known.color for known in classes], np.uint8)
        self._pins: list[viser.SceneNodeHandle] = []
        self._points: viser.PointCloudHandle | None = None
        self._sent: tuple[Scan, float] | None = None
        self.scan: Scan | None = None
        self.ceiling = 0.0
        self.top = 0.0

    def show(self, scan: Scan) -> None:
        """Look at another scan, from above one corner, below its ceiling if it has one."""
        self.scan = scan
        low, high = scan.xyz.min(0), scan.xyz.max(0)
        self.top = float(high[2])
        is_room = self.top - max(low[2], 0) > ROOM
        self.ceiling = round(self.top - CEILING if is_room else self.top + 0.05, 2)
        self._diagonal = float(np.linalg.norm(high - low))
        middle = np.array([0.0, 0.0, (max(low[2], 0) + self.ceiling) / 3])
        camera = self._client.camera
        camera.up_direction = (0.0, 0.0, 1.0)
        camera.position = middle + self._diagonal * np.array([-0.36, -0.46, 0.72])
        camera.look_at = middle

    def draw(self, view: str, size: float, clicks: Sequence[Click], chosen: str | None) -> None:
        """Send the points and pins.

        Args:
            view: one of `paint.VIEWS`. size: of the points, 1 = they just touch.
            clicks: that hold; chosen: id of the one that is shown most clearly.
        """
        if (scan := self.scan) is None:
            return
        rows = scan.drawn(self.ceiling)
        segments = scan.found_segments()
        supervoxel = None if segments is None else segments.of_point[rows]
        colors = base_colors(
            view, scan.xyz[rows, 2], None if scan.rgb is None else scan.rgb[rows], supervoxel
        )
        painted = colors.astype(np.uint8)
        if segments is not None:
            painted = self._tinted(colors, segments, rows, clicks, chosen)
        with self._client.atomic():
            if self._points is not None and self._sent == (scan, self.ceiling):
                self._points.colors = painted  # the points themselves are there already
                self._points.point_size = SPREAD * size * scan.spacing
            else:
                self._points = self._client.scene.add_point_cloud(
                    "/scan",
                    scan.xyz[rows],
                    painted,
                    point_size=SPREAD * size * scan.spacing,
                    point_shape="circle",
                    point_shading="flat",
                    precision="float32",
                )
                self._sent = scan, self.ceiling
            self._draw_pins(scan, clicks, chosen)

    def _tinted(
        self,
        colors: NDArray[np.float32],
        segments: Segments,
        rows: NDArray[np.int64],
        clicks: Sequence[Click],
        chosen: str | None,
    ) -> NDArray[np.uint8]:
        label = segments.labels(clicks, self._row)
        is_chosen = np.zeros(segments.count, bool)
        for click in clicks:
            if click.id == chosen and click.position:
                is_chosen[segments.at(click.position)] = True
        of_point = segments.of_point[rows]
        return tint(colors, label[of_point], is_chosen[of_point], self._colors)

    def _draw_pins(self, scan: Scan, clicks: Sequence[Click], chosen: str | None) -> None:
        """A head in its class's colour on a stem; the chosen one is larger and named."""
        for node in self._pins:
            node.remove()
        self._pins = []
        pins = [
            (scan.shown_position(click.position), click)
            for click in clicks
            if click.position and click.class_name
        ]
        pins = [(foot, click) for foot, click in pins if foot[2] <= self.ceiling]
        size = float(np.clip(PIN * self._diagonal, SMALLEST_PIN, LARGEST_PIN))
        for is_chosen, swell in ((False, 1.0), (True, 1.6)):
            some = [pin for pin in pins if (pin[1].id == chosen) == is_chosen]
            if not some:
                continue
            name = f"/pins/{'chosen' if is_chosen else 'others'}"
            feet = np.array([foot for foot, _ in some])
            # Upwards, and off the walls into the room, whose middle is the origin.
            lift = np.column_stack([-feet[:, :2], np.linalg.norm(feet[:, :2], axis=1) + 0.1])
            lift /= np.linalg.norm(lift, axis=1, keepdims=True)
            heads = feet + 1.8 * swell * size * lift
            scene = self._client.scene
            self._pins += [
                scene.add_line_segments(
                    f"{name}/stems", np.stack([feet, heads], 1), STEM, thickness=0.2 * size
                ),
                scene.add_point_cloud(
                    f"{name}/rims",
                    heads - [0, 0, 0.1 * size],  # behind the heads for who looks from above
                    STEM,
                    point_size=1.3 * swell * size,
                    point_shape="circle",
                    point_shading="flat",
                    precision="float32",
                ),
                scene.add_point_cloud(
                    f"{name}/heads",
                    heads,
                    self._colors[[self._row[str(click.class_name)] for _, click in some]],
                    point_size=swell * size,
                    point_shape="circle",
                    precision="float32",
                ),
            ]
            if is_chosen:
                self._pins.append(
                    scene.add_label(
                        f"{name}/label",
                        title(some[0][1]),
                        position=heads[0] + [0, 0, size],
                        anchor="bottom-center",
                    )
                )


def title(click: Click) -> str:
    """What a click says, in a few words."""
    number = f" {click.object}" if click.object else ""
    kind = "" if click.kind == "click" else f" ({click.kind})"
    return f"{click.class_name}{number}{kind}"
