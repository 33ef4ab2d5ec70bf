"""A site on disk: the scans of one place, its class table, and what is known about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import MAX_CLASSES, ClassInfo
from otoc_ros.site.documents import Document, parse, read_document, write_document
from otoc_ros.site.files import atomic_folder, atomic_write, locked_folder, writing
from otoc_ros.site.readers.ply import ply_bytes, ply_parts
from otoc_ros.site.scene import Scene, SceneMeta, Split, View
from otoc_ros.site.truth import Truth, write_truth

FORMAT = 1

_SCENE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SiteConfig(Document):
    """site.yaml.

    Attributes:
        format: version of the folder's layout.
        name: for people.
        classes: the class table; its order is the numbering of classes everywhere.
        voxel_size: metres; wins over a training preset's.
    """

    format: int = Field(default=FORMAT, ge=1)
    name: str = Field(min_length=1)
    classes: tuple[ClassInfo, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    voxel_size: float = Field(gt=0, le=1)

    @field_validator("classes")
    @classmethod
    def _have_different_names(cls, classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
        names = [known.name for known in classes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"class {twice[0]} is listed twice")
        return classes


@dataclass(frozen=True)
class Site:
    """A site's folder; open it with `Site.open` or make one with `Site.create`."""

    path: Path
    config: SiteConfig

    @staticmethod
    def create(path: Path, name: str, classes: Sequence[ClassInfo], voxel_size: float) -> Site:
        """Make a new site.

        Raises:
            InputError: the folder holds something already, the values do not fit, or the disk is
                full or not writable.
        """
        values = {"name": name, "classes": tuple(classes), "voxel_size": voxel_size}
        config = parse(SiteConfig, values, f"site {path}")
        if (path / "site.yaml").exists():
            raise InputError(f"{path} is a site already; import into it or choose another folder")
        if path.exists() and (not path.is_dir() or _holds_something(path)):
            raise InputError(f"{path} is not an empty folder; choose a new one for the site")
        with writing(path):
            (path / "scenes").mkdir(parents=True, exist_ok=True)
        write_document(path / "site.yaml", config)
        return Site(path, config)

    @staticmethod
    def open(path: Path) -> Site:
        """Open a site.

        Raises:
            InputError: not a site, damaged, or from a newer version.
        """
        if not (path / "site.yaml").exists():
            raise InputError(
                f"{path} is not a site: it has no site.yaml; make one with `otoc site`"
            )
        return Site(path, read_document(path / "site.yaml", SiteConfig, newest_format=FORMAT))

    def with_class(self, info: ClassInfo) -> Site:
        """The site with a class at the end of its table, unless it has one of that name by now.

        Raises:
            InputError: the table is full, or the disk is full or not writable.
        """
        return self._extended(info, keep_known=True)

    def add_class(self, info: ClassInfo) -> Site:
        """Add a class at the end of the table, so that the numbers of the others stay.

        Returns:
            The site as it is on disk now, with classes that other programs have added meanwhile.

        Raises:
            InputError: the name is taken, or the disk is full or not writable.
        """
        return self._extended(info, keep_known=False)

    def _extended(self, info: ClassInfo, keep_known: bool) -> Site:
        with locked_folder(self.path):  # two processes that add classes do not lose each other's
            now = Site.open(self.path)
            if keep_known and info.name in {known.name for known in now.config.classes}:
                return now
            values = now.config.model_dump()
            values["classes"] = (*now.config.classes, info)
            config = parse(SiteConfig, values, f"class {info.name}")
            write_document(self.path / "site.yaml", config)
        return Site(self.path, config)

    def scenes(self, pattern: str = "*", split: Split | None = None) -> list[Scene]:
        """The scenes whose names match a shell pattern, sorted by name; of one split or of all."""
        folder = self.path / "scenes"
        try:
            names = sorted(
                entry.name
                for entry in folder.iterdir()
                if entry.is_dir() and _SCENE_NAME.fullmatch(entry.name)
            )
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise InputError(f"cannot read {folder}: {error.strerror}") from error
        scenes = [self.scene(name) for name in names if fnmatchcase(name, pattern)]
        return [scene for scene in scenes if split is None or scene.meta.split == split]

    def scene(self, name: str) -> Scene:
        """One scene by name; InputError where there is none or its scene.yaml is damaged."""
        path = self.path / "scenes" / name
        if not _SCENE_NAME.fullmatch(name) or not path.is_dir():
            raise InputError(f"site {self.path} has no scene {name!r}; list them with `otoc info`")
        return Scene(path, read_document(path / "scene.yaml", SceneMeta), self.config.classes)

    def add_scene(
        self,
        name: str,
        cloud: Cloud,
        *,
        split: Split = "train",
        up: Sequence[float] | NDArray[Any] | None = None,
        source: str = "",
        truth: Truth | None = None,
        views: Sequence[tuple[Cloud, NDArray[Any]]] = (),
    ) -> Scene:
        """Add a scene; it is there completely or not at all.

        Args:
            name: letters, digits, `.`, `_` and `-`.
            cloud: N points in the scene's frame, metres.
            up: direction [3] that points up in it; None: estimated when it is needed.
            truth: N rows in the order of the points.
            views: the raw frames behind a fused cloud, each in its sensor's frame, with its pose
                T_scene_view [4, 4].

        Raises:
            InputError: the name is taken or unusable, the cloud has no finite point, the truth does
                not fit, or the disk is full or not writable.
        """
        path = self.path / "scenes" / name
        if not _SCENE_NAME.fullmatch(name):
            raise InputError(f"scene name {name!r}: use letters, digits, '.', '_' and '-'")
        if path.exists():
            raise InputError(f"site {self.path} has a scene {name} already; choose another name")
        if truth is not None:
            truth.check(len(cloud), len(self.config.classes), f"scene {name}")
        meta = parse(
            SceneMeta,
            {
                "id": scan_id(cloud),
                "split": split,
                "up": None if up is None else _unit(up),
                "source": source,
                "points": len(cloud),
                "bounds": _bounds(cloud, name),
                "views": tuple(
                    {"file": f"views/{row:03d}.ply", "pose": np.asarray(pose, float).tolist()}
                    for row, (_, pose) in enumerate(views)
                ),
            },
            f"scene {name}",
        )
        with writing(path):
            path.parent.mkdir(exist_ok=True)
        with atomic_folder(path) as folder:
            atomic_write(folder / "scan.ply", ply_parts(cloud))
            if truth is not None:
                write_truth(folder / "truth.npz", truth)
            _write_views(folder, meta.views, views)
            write_document(folder / "scene.yaml", meta)
        return Scene(path, meta, self.config.classes)


def _holds_something(path: Path) -> bool:
    """Whether a folder holds more than what a site that was cut short in the making leaves."""
    return any(path.glob("scenes/*")) or any(
        entry.name != "scenes" and not (entry.name.startswith(".") and entry.suffix == ".tmp")
        for entry in path.iterdir()
    )


def scan_id(cloud: Cloud) -> str:
    """Identity of a scan, from the bytes of its PLY file."""
    known = hashlib.sha256()
    for part in ply_parts(cloud):
        known.update(part)
    return known.hexdigest()[:16]


def _write_views(
    folder: Path, infos: Sequence[View], views: Sequence[tuple[Cloud, NDArray[Any]]]
) -> None:
    if views:
        (folder / "views").mkdir()
    for info, (cloud, _) in zip(infos, views, strict=True):
        atomic_write(folder / info.file, ply_bytes(cloud))


def _bounds(cloud: Cloud, name: str) -> tuple[list[float], list[float]]:
    finite = cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)]
    if not len(finite):
        raise InputError(f"scene {name}: the cloud has no finite point (of {len(cloud)})")
    return finite.min(0).tolist(), finite.max(0).tolist()


def _unit(up: Sequence[float] | NDArray[Any]) -> list[float]:
    vector = np.asarray(up, dtype=float)
    length = np.linalg.norm(vector)
    if vector.shape != (3,) or not np.isfinite(length) or length == 0:
        raise InputError(f"up is {vector.tolist()}; give a direction of three numbers")
    unit: list[float] = (vector / length).tolist()
    return unit
