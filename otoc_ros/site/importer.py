"""Bringing scans into a site: cloud files, recordings, and other sites.

Importing the same source twice changes nothing, so an interrupted import is simply started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo, class_id
from otoc_ros.site.readers import read_cloud_and_truth
from otoc_ros.site.readers.ply import ply_bytes
from otoc_ros.site.scene import Scene, Split, Vector
from otoc_ros.site.site import Site, scan_id
from otoc_ros.site.truth import Truth


class Imported(NamedTuple):
    """What became of one scan: its scene's name, number of points, and a word for people."""

    scene: str
    points: int
    note: str


def import_cloud(
    site: Site, path: Path, name: str, *, split: Split = "train", up: Vector | None = None
) -> Imported:
    """Add a PLY, PCD or NPZ file as one scene; points that are not finite are left out.

    Raises:
        InputError: the file cannot be read, has no finite point, its truth does not fit the site's
            classes, or another scan has the name.
    """
    cloud, truth = read_cloud_and_truth(path)
    if truth is not None:
        truth.check(len(cloud), len(site.config.classes), str(path))
    imported = _add(site, name, cloud, truth, split, up, path.name)
    if imported.points == 0:
        raise InputError(f"{path} has no finite point (of {len(cloud)}); record it again")
    return imported


def import_bag(
    site: Site,
    path: Path,
    name: str,
    *,
    split: Split = "train",
    up: Vector | None = None,
    topic: str | None = None,
    every: float = 0.0,
) -> Iterator[Imported]:
    """Add the clouds of one topic, one scene a message: NAME_0000, NAME_0001 …

    Args:
        topic: None: the only topic of clouds.
        every: least seconds from one cloud to the next.

    Raises:
        InputError: the bag cannot be read, has no such topic, or another scan has a scene's name.
    """
    # Imported here: a robot that opens bundles needs no bag library.
    from otoc_ros.site.readers.bag import read_bag

    for number, (stamp, frame, cloud) in enumerate(read_bag(path, topic, every)):
        source = f"{path.name} at {stamp / 1e9:.3f} s in {frame or 'an unnamed frame'}"
        yield _add(site, f"{name}_{number:04d}", cloud, None, split, up, source)


def merge_site(site: Site, other: Site) -> Iterator[Imported]:
    """Add the scenes of another site that this one lacks, and all clicks that it lacks, by id.

    Raises:
        InputError: the other site has classes that this one lacks, or one of them is damaged.
    """
    rows = _rows_of_classes(site, other)
    mine = {scene.meta.id: scene for scene in site.scenes()}
    for theirs in other.scenes():
        scene = mine.get(theirs.meta.id)
        note = ""
        if scene is None:
            scene = _copy(site, theirs, rows)
            note = "new, "
        added = scene.append_clicks(theirs.events())
        yield Imported(scene.name, scene.meta.points, f"{note}{added} new clicks")


def parse_axis(text: str) -> Vector:
    """The direction of `x`, `-x`, `+y` …; InputError for anything else."""
    known: dict[str, Vector] = {
        "x": (1.0, 0.0, 0.0),
        "-x": (-1.0, 0.0, 0.0),
        "y": (0.0, 1.0, 0.0),
        "-y": (0.0, -1.0, 0.0),
        "z": (0.0, 0.0, 1.0),
        "-z": (0.0, 0.0, -1.0),
    }
    axis = text.strip().lower().removeprefix("+")
    if axis not in known:
        raise InputError(f"axis {text!r} is not known; give one of {', '.join(known)}")
    return known[axis]


def _add(
    site: Site,
    name: str,
    cloud: Cloud,
    truth: Truth | None,
    split: Split,
    up: Vector | None,
    source: str,
) -> Imported:
    finite = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    left_out = len(cloud) - len(finite)
    if not len(finite):
        return Imported(name, 0, "left out: no finite point")
    cloud = cloud.take(finite)
    if (site.path / "scenes" / name).exists():
        if site.scene(name).meta.id == scan_id(ply_bytes(cloud)):
            return Imported(name, len(cloud), "was there already")
        raise InputError(
            f"site {site.path} has another scan called {name}; choose a name with --name"
        )
    truth = None if truth is None else truth.take(finite)
    site.add_scene(name, cloud, split=split, up=up, source=source, truth=truth)
    note = f"new, {left_out:,} missing returns left out" if left_out else "new"
    return Imported(name, len(cloud), note)


def _rows_of_classes(site: Site, other: Site) -> list[int]:
    """For each class of the other site its row in this one."""
    lacking = [c for c in other.config.classes if c.name not in _names(site.config.classes)]
    if lacking:
        missing = ", ".join(f"{c.name}:{c.kind}" for c in lacking)
        raise InputError(
            f"{other.path} has classes that {site.path} lacks: {missing}; add them to "
            f"{site.path / 'site.yaml'}"
        )
    return [class_id(site.config.classes, c.name) for c in other.config.classes]


def _copy(site: Site, scene: Scene, rows: list[int]) -> Scene:
    truth = scene.truth()
    if truth is not None:
        table = np.array([*rows, -1], dtype=np.int32)  # the last row serves -1
        truth = Truth(table[truth.semantic], truth.instance)
    taken = {known.name for known in site.scenes()}
    name, number = scene.name, 2
    while name in taken:
        name, number = f"{scene.name}_{number}", number + 1
    return site.add_scene(
        name,
        scene.cloud(),
        split=scene.meta.split,
        up=scene.meta.up,
        source=scene.meta.source,
        truth=truth,
        views=[
            (scene.view_cloud(row), np.array(view.pose))
            for row, view in enumerate(scene.meta.views)
        ],
    )


def _names(classes: tuple[ClassInfo, ...]) -> set[str]:
    return {known.name for known in classes}
