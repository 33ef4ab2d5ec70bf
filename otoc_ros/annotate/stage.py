"""What one window draws: the points, a pin for every click, and a sign where to click next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import viser
from numpy.typing import NDArray

from otoc_ros.annotate.camera import Camera
from otoc_ros.annotate.clip import EVERYWHERE, Box
from otoc_ros.annotate.dots import add_dots
from otoc_ros.annotate.glow import Glow, Part
from otoc_ros.annotate.paint import (
    CHOSEN_TINT,
    GROWN_TINT,
    SAID_TINT,
    Colors,
    Look,
    base_colors,
    tint,
)
from otoc_ros.annotate.pins import Pins
from otoc_ros.annotate.scan import FIRST_DRAWN, MOST_DRAWN, Scan
from otoc_ros.annotate.segments import Lit, Segments
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click

SPREAD = 1.4  # size of a point in gaps between points, so that surfaces look closed
ROOM = 2.2  # metres: what is higher probably has a ceiling …
CEILING = 0.25  # … this thick at most
NARROW = 0.7  # share of the points in sight from which it does not pay to draw them anew
FRAMED = 20_000  # points that the first view is chosen by
CLOSE_UP = 0.22  # distance of a close-up as a share of the scene's diagonal


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known of a scene's M super-voxels beside its clicks; None: nothing.

    Attributes:
        belief: float32 [M, C] of the prototypes. pseudo: int32 [M], -1 = none, and its confidence,
            of the last round. truth: int32 [N] of the points.
    """

    belief: NDArray[np.float32] | None = None
    pseudo: NDArray[np.int32] | None = None
    pseudo_confidence: NDArray[np.float32] | None = None
    truth: NDArray[np.int32] | None = None


class Stage:
    """The 3D part of a page; all methods send to that window only."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self._client = client
        self._pins, self._glow = Pins(client), Glow(client)
        self._points: viser.PointCloudHandle | None = None
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sent: tuple[Scan, Box, int] | None = None
        self._base: Colors = np.zeros((0, 3), np.float32)  # colours of the points, none lit
        self._looked: tuple[object, ...] = ()  # what they follow from
        self._sight = 0
        self._most = FIRST_DRAWN
        self.camera = Camera(client)
        self.scan: Scan | None = None
        self.box: Box = EVERYWHERE
        self.limits: Box = EVERYWHERE
        self.diagonal = 1.0
        self.middle = np.zeros(3)
        self._seen: NDArray[np.bool_] | None = None

    def show(self, scan: Scan, former: Stage | None = None) -> None:
        """Look at another scan, from above one corner, below its ceiling if it has one.

        Args:
            former: of the same window before it lost its connection: it stays where it was.
        """
        self.scan = scan
        low, high = scan.xyz.min(0), scan.xyz.max(0)
        top = float(high[2])
        is_room = top - max(low[2], 0) > ROOM
        self.limits = tuple(  # type: ignore[assignment]
            (round(float(a) - 0.05, 2), round(float(b) + 0.05, 2))
            for a, b in zip(low, high, strict=True)
        )
        ceiling = round(top - CEILING, 2) if is_room else self.limits[2][1]
        self.box = self.limits[0], self.limits[1], (self.limits[2][0], ceiling)
        # A glimpse through an open door is no reason to stand further back.
        near, far = np.percentile(scan.xyz[scan.order[:FRAMED]], [1, 99], axis=0)
        self.diagonal = float(np.linalg.norm(far - near))
        self.middle = (near + far) / 2
        self.middle[2] = (max(near[2], 0) + min(far[2], ceiling)) / 3
        self._sight += 1
        self._seen = None
        if former is None:
            self.camera.set(*self.overview())
        else:
            self.box = former.box

    def overview(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """From where the whole scene is seen: position and target, [3] each."""
        return self.middle + self.diagonal * np.array([-0.36, -0.46, 0.72]), self.middle

    def look_closer(self) -> bool:
        """Choose the points by what is in sight now; whether others than before are to be drawn."""
        scan = self.scan
        if self._most < MOST_DRAWN and self.camera.has_arrived:
            self._most = MOST_DRAWN  # the first picture is there
            if scan is not None and len(scan.xyz) > FIRST_DRAWN:
                self._sight += 1
                return True
        if scan is None or len(scan.xyz) <= MOST_DRAWN or not self.camera.moved():
            return False
        seen = self.camera.in_sight(scan.xyz)
        was_all = self._seen is None
        self._seen = None if seen.mean() > NARROW else seen
        if was_all and self._seen is None:
            return False
        self._sight += 1
        return True

    def draw(
        self,
        view: str,
        size: float,
        classes: Sequence[ClassInfo],
        clicks: Sequence[Click],
        chosen: str | None,
        lit: Lit | None,
        knowledge: Knowledge,
    ) -> None:
        """Send the points and pins.

        Args:
            view: one of `paint.VIEWS`. size: of the points, 1 = they just touch.
            clicks: that hold; chosen: id of the one that is shown most clearly.
            lit: what takes a label; None while the super-voxels are not known.
        """
        if (scan := self.scan) is None:
            return
        sent = scan, self.box, self._sight
        is_new = sent != self._sent
        if is_new:
            self._rows = scan.drawn(self.box, self._seen, self._most)
        class_colors = np.array([known.color for known in classes], np.uint8)
        looked = sent, view, classes, lit if view == "objects" else None, *_parts(knowledge)
        looked = *looked, scan.found_segments()
        is_recoloured = is_new or not _same(looked, self._looked)
        if is_recoloured:
            look = _look(scan, self._rows, scan.found_segments(), lit, knowledge)
            self._base = base_colors(view, look, class_colors)
            self._looked = looked
        with self._client.atomic():
            point_size = SPREAD * size * self._spacing(scan)
            if self._points is None or is_new:
                painted = self._base.astype(np.uint8)
                self._points = add_dots(
                    self._client, "/scan", scan.xyz[self._rows], painted, point_size
                )
                self._sent = sent
            else:  # the points themselves are there already
                self._points.point_size = point_size
                if is_recoloured:
                    self._points.colors = self._base.astype(np.uint8)
            parts = self._lit_parts(scan, lit, chosen, class_colors)
            self._glow.draw(parts, point_size, over_new_scan=is_recoloured)
            self._pins.draw(scan, self.box, self.diagonal, classes, clicks, chosen)

    def _spacing(self, scan: Scan) -> float:
        """Metres between the points that are drawn."""
        count = len(scan.xyz)
        return scan.spacing * float(np.sqrt(min(count, MOST_DRAWN) / min(count, self._most)))

    def _lit_parts(
        self, scan: Scan, lit: Lit | None, chosen: str | None, class_colors: NDArray[np.uint8]
    ) -> dict[str, Part]:
        """The drawn points that take a label: those of the chosen object, the others by class."""
        segments = scan.found_segments()
        if segments is None or lit is None:
            return {}
        strength = np.where(lit.said, SAID_TINT, GROWN_TINT).astype(np.float32)
        part_of = lit.label.copy()
        covered = lit.of_click(chosen)
        strength[covered], part_of[covered] = CHOSEN_TINT, len(class_colors)
        of_point = segments.of_point[self._rows]
        shining = np.flatnonzero(lit.label[of_point] >= 0)
        of_point = of_point[shining]
        xyz = scan.xyz[self._rows[shining]]
        rgb = tint(self._base[shining], lit.label[of_point], strength[of_point], class_colors)
        part = part_of[of_point]
        names = {int(row): str(row) for row in np.unique(part)} | {len(class_colors): "chosen"}
        return {
            name: (xyz[part == row], rgb[part == row])
            for row, name in names.items()
            if (part == row).any()
        }

    def point_at(self, place: NDArray[np.float32] | None, words: str = "") -> None:
        """Put up the sign where to click next, or take it away."""
        self._pins.sign(place, words, self.diagonal)

    def close_up(self, place: NDArray[np.float32]) -> None:
        """Fly close to a place."""
        self.camera.approach(place.astype(np.float64), CLOSE_UP * self.diagonal)


def _parts(knowledge: Knowledge) -> tuple[object, ...]:
    return knowledge.belief, knowledge.pseudo, knowledge.pseudo_confidence, knowledge.truth


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Arrays are the same only where they are one and the same; that costs nothing to tell."""
    return len(one) == len(other) and all(
        a is b or (not isinstance(a, np.ndarray | Segments | Lit) and a == b)
        for a, b in zip(one, other, strict=True)
    )


def _look(
    scan: Scan,
    rows: NDArray[np.int64],
    segments: Segments | None,
    lit: Lit | None,
    knowledge: Knowledge,
) -> Look:
    height, rgb = scan.xyz[rows, 2], None if scan.rgb is None else scan.rgb[rows]
    if segments is None:
        return Look(height, rgb)
    of_point = segments.of_point[rows]

    def spread(values: NDArray | None) -> NDArray | None:  # type: ignore[type-arg]
        return None if values is None else values[of_point]

    belief, truth = knowledge.belief, knowledge.truth
    return Look(
        height=height,
        rgb=rgb,
        normal=segments.normal[segments.voxel_of_point[rows]],
        supervoxel=of_point,
        object=None if lit is None else spread(lit.owner),
        believed=None if belief is None else spread(belief.argmax(axis=1).astype(np.int32)),
        confidence=None if belief is None else spread(belief.max(axis=1)),
        pseudo=spread(knowledge.pseudo),
        pseudo_confidence=spread(knowledge.pseudo_confidence),
        truth=None if truth is None else truth[rows],
    )
