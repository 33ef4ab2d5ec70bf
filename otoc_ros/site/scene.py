"""One logged scan of a site, with what a person said about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo, class_id
from otoc_ros.site.clicks import Click, active, append_clicks, read_events
from otoc_ros.site.documents import Document
from otoc_ros.site.readers.ply import read_ply
from otoc_ros.site.truth import Truth, read_truth

CLICK_MARGIN = 0.25  # metres that a click may lie outside the box around its scan

Split = Literal["train", "dev", "val"]
Vector = tuple[float, float, float]
Row = tuple[float, float, float, float]


class View(Document):
    """One raw frame behind a fused scan.

    Attributes:
        file: path below the scene's folder; the cloud is in the sensor's frame.
        pose: 4 x 4, T_scene_view: multiplies a homogeneous point of the view to the scene's frame.
    """

    file: Annotated[str, Field(pattern=r"^views/[A-Za-z0-9][A-Za-z0-9._-]*$")]
    pose: tuple[Row, Row, Row, Row]


class SceneMeta(Document):
    """scene.yaml.

    Attributes:
        id: first 16 hex digits of the SHA-256 of scan.ply: the same scan in two sites is one scene.
        split: what the scene is for.
        up: unit vector of the scene's frame that points up; None: estimated when it is needed.
        source: where the scan came from, for people.
        points: number of points of scan.ply.
        bounds: smallest and largest x, y, z of its finite points, metres.
        views: raw frames with their poses; empty for a single scan.
    """

    id: str
    split: Split = "train"
    up: Vector | None = None
    source: str = ""
    points: int = Field(ge=1)
    bounds: tuple[Vector, Vector]
    views: tuple[View, ...] = ()


@dataclass(frozen=True)
class Scene:
    """A scene's folder: scan.ply, scene.yaml, clicks.jsonl, and optionally truth.npz and views/."""

    path: Path
    meta: SceneMeta
    classes: tuple[ClassInfo, ...]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def clicks_path(self) -> Path:
        return self.path / "clicks.jsonl"

    def cloud(self) -> Cloud:
        """The scan, N points in the scene's frame.

        Raises:
            InputError: scan.ply is missing, damaged, or not the scan that scene.yaml describes.
        """
        path = self.path / "scan.ply"
        cloud = read_ply(path)
        if len(cloud) != self.meta.points:
            raise InputError(
                f"{path} has {len(cloud)} points but scene.yaml says {self.meta.points}; "
                "restore the scan or import the new one under another name"
            )
        return cloud

    def view_cloud(self, row: int) -> Cloud:
        """Raw frame `row` of `meta.views`, in the sensor's frame."""
        return read_ply(self.path / self.meta.views[row].file)

    def truth(self) -> Truth | None:
        """Ground truth, one row a point of the scan; None where the scene has none."""
        path = self.path / "truth.npz"
        if not path.exists():
            return None
        truth = read_truth(path)
        truth.check(self.meta.points, len(self.classes), str(path))
        return truth

    def events(self) -> list[Click]:
        """Everything said about the scene, in order, withdrawn clicks and withdraws included."""
        events = read_events(self.clicks_path)
        for event in events:
            self._check(event, f"{self.clicks_path}: click {event.id}")
        return events

    def clicks(self) -> list[Click]:
        """The clicks, exclusions and accepted predictions that hold.

        Raises:
            InputError: the file is damaged, or names a class or a place that the scene lacks.
        """
        return active(self.events())

    def append_click(self, click: Click) -> None:
        """Add one click; it is on disk when this returns.

        Raises:
            InputError: an unknown class, a place outside the scan, a full or read-only disk.
        """
        self.append_clicks([click])

    def append_clicks(self, clicks: list[Click]) -> int:
        """Add clicks that the scene does not have yet (by id); returns how many these were."""
        for click in clicks:
            self._check(click, f"scene {self.name}")
        return append_clicks(self.clicks_path, clicks)

    def withdraw(self, click_id: str, source: Literal["browser", "rviz", "simulated"]) -> None:
        """Take back one click that holds.

        Raises:
            InputError: the scene has no such click, or it is withdrawn already.
        """
        if click_id not in {click.id for click in self.clicks()}:
            raise InputError(
                f"scene {self.name} has no click {click_id}; it may be withdrawn already"
            )
        self.append_click(Click(kind="withdraw", source=source, withdraws=click_id))

    def _check(self, click: Click, place: str) -> None:
        if click.class_name is not None:
            try:
                class_id(self.classes, click.class_name)
            except InputError as error:
                raise InputError(f"{place}: {error}") from error
        if click.position is not None:
            low, high = np.array(self.meta.bounds)
            if (
                (click.position < low - CLICK_MARGIN) | (click.position > high + CLICK_MARGIN)
            ).any():
                spot, box = (np.round(part, 2).tolist() for part in (click.position, (low, high)))
                raise InputError(
                    f"{place}: position {spot} lies outside the cloud, which spans {box[0]} to "
                    f"{box[1]}; give x, y, z in metres in the scene's frame"
                )
