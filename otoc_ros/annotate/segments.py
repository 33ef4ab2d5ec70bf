"""The super-voxels of a scan: where they lie, what they look like, and how objects grow on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.core.growth import Growth, Seeds
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import unit_rows
from otoc_ros.core.supervoxels import pool
from otoc_ros.site.classes import ClassInfo, class_id
from otoc_ros.site.clicks import Click

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

LOOK_SCALE = 0.35  # weight of what everybody sees beside what a network sees


@dataclass(frozen=True)
class Subject:
    """One object (or one clicked place of a surface) and the clicks that speak of it."""

    class_id: int
    clicks: tuple[Click, ...]
    seeds: Seeds


@dataclass(frozen=True, eq=False)
class Lit:
    """What takes a label from the clicks that hold.

    Attributes:
        subjects: the objects.
        owner: int32 [M], row of the subject that a super-voxel belongs to, -1 = none.
        label: int32 [M], class, -1 = none.
        said: bool [M], super-voxels that a person has named, by a click or an accepted prediction.
    """

    subjects: tuple[Subject, ...]
    owner: I32
    label: I32
    said: NDArray[np.bool_]

    def of_click(self, click_id: str | None) -> NDArray[np.bool_]:
        """What one click's object covers: bool [M]."""
        rows = [
            row
            for row, subject in enumerate(self.subjects)
            if any(click.id == click_id for click in subject.clicks)
        ]
        covered: NDArray[np.bool_] = np.isin(self.owner, rows)
        return covered


class Segments:
    """The M super-voxels of a scan, found just as training finds them.

    Args:
        prepared: the finite points of the scan.
        shift: float [3], what the page's frame is shifted by.
        seen: float32 [N, D], what a network sees at each point; None: there is no network.

    Attributes:
        count: M.
        of_point: int32 [N], finite points only.
        size: int64 [M], voxels. center: float32 [M, 3], in the page's frame.
        normal: float32 [V, 3] and voxel_of_point int32 [N], for the view of that name.
        feature: float32 [M, D'], what they look like, by columns that add up.
    """

    def __init__(
        self, prepared: Prepared, shift: NDArray[np.float64], seen: F32 | None = None
    ) -> None:
        self.count = prepared.n_supervoxels
        self.voxel_of_point = prepared.voxel_of_point[prepared.voxel_of_point >= 0]
        self.of_point: I32 = prepared.supervoxel[self.voxel_of_point]
        self.size = np.bincount(prepared.supervoxel, minlength=self.count)
        self.normal = prepared.normal
        self._supervoxel = prepared.supervoxel
        self._rotation, self._origin = prepared.rotation, prepared.grid.origin
        self._nearest = cKDTree(prepared.xyz)
        self._xyz = prepared.xyz
        self._middle = pool(prepared.xyz, prepared.supervoxel, self.count)
        self.center: F32 = (self._middle + (prepared.grid.origin - shift)).astype(np.float32)
        network = None if seen is None else unit_rows(pool(seen, self.of_point, self.count))
        self.growth = Growth(prepared, network)
        look = _look(prepared) * np.float32(LOOK_SCALE if network is not None else 1)
        self.feature: F32 = look if network is None else np.hstack([network, look])

    def at(self, position: tuple[float, float, float]) -> int:
        """The super-voxel that a click there labels; the position is in the scene's frame."""
        place = self._rotation @ np.array(position) - self._origin
        return int(self._supervoxel[self._nearest.query(place)[1]])

    def some_point(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """A point of the scan in each of some super-voxels, the one nearest to its middle."""
        inside = np.flatnonzero(np.isin(self.of_point, places))
        voxel = self._xyz[self.voxel_of_point[inside]] - self._middle[self.of_point[inside]]
        order = np.lexsort(((voxel**2).sum(axis=1), self.of_point[inside]))
        found, first = np.unique(self.of_point[inside][order], return_index=True)
        row_of = dict(zip(found.tolist(), inside[order][first].tolist(), strict=True))
        return np.array([row_of[int(place)] for place in places], np.int64)

    def light(self, clicks: Sequence[Click], classes: Sequence[ClassInfo]) -> Lit:
        """Let objects grow from the clicks that hold."""
        subjects = self._subjects(clicks, classes)
        owner = self.growth([subject.seeds for subject in subjects])
        label = np.array([subject.class_id for subject in subjects] + [-1], np.int32)[owner]
        said = np.zeros(self.count, bool)
        for subject in subjects:
            said[list(subject.seeds.inside)] = True
        accepted = [click for click in clicks if click.kind == "accept" and click.position]
        for click in accepted:  # says one super-voxel each, and grows no further
            place = self.at(click.position or (0, 0, 0))
            label[place] = class_id(classes, click.class_name or "")
            said[place] = True
        return Lit(tuple(subjects), owner, label, said)

    def _subjects(self, clicks: Sequence[Click], classes: Sequence[ClassInfo]) -> list[Subject]:
        told: dict[tuple[str, object], list[Click]] = {}
        excluded = [click for click in clicks if click.kind == "exclude"]
        for click in clicks:
            if click.kind == "click":
                # A surface's clicks each grow from their own place.
                told.setdefault((click.class_name or "", click.object or click.id), []).append(
                    click
                )
        subjects = []
        for (name, key), ours in told.items():
            inside = self._places(ours)
            outside = self._places(
                [
                    click
                    for click in excluded
                    if click.class_name == name and click.object in (0, key)
                ]
            )
            row = class_id(classes, name)
            seeds = Seeds(
                inside,
                tuple(place for place in outside if place not in inside),
                classes[row].kind == "stuff",
            )
            subjects.append(Subject(row, tuple(ours), seeds))
        return subjects

    def _places(self, clicks: Sequence[Click]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.at(click.position) for click in clicks if click.position))


def _look(prepared: Prepared) -> F32:
    """Colour, direction of the surface, height and extent: float32 [M, 9], each about 0..1."""
    groups, count = prepared.supervoxel, prepared.n_supervoxels
    rgb = np.zeros_like(prepared.xyz) if prepared.rgb is None else prepared.rgb
    columns = np.column_stack([rgb, np.abs(prepared.normal), prepared.height / 2])
    mean = pool(columns, groups, count)
    spread = pool((prepared.xyz - pool(prepared.xyz, groups, count)[groups]) ** 2, groups, count)
    extent = np.sqrt(spread[:, [2]]) / prepared.settings.supervoxel_size
    size = np.bincount(groups, minlength=count)[:, None] ** 0.5
    share = size * prepared.settings.voxel_size / prepared.settings.supervoxel_size / 3
    return np.hstack([mean, extent, share]).astype(np.float32)
