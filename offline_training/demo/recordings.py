"""The demo on real recordings: one camera's views of objects on tables, and a bag of the camera.

The views are `tabletop/learnNN.npz` below the folder of recordings: xyz, rgb, part (1-9 the table,
20-29 the first object, 30-39 the second …) and inst (0 the table, 1, 2, … the objects).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress
from scipy.spatial import cKDTree

from offline_training.demo.material import Material
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.readers.bag import read_bag
from otoc_ros.site.scene import Scene, Split
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

CLASSES = (
    ClassInfo(name="table", color=(214, 199, 170), kind="stuff"),
    ClassInfo(name="object", color=(46, 117, 182), kind="thing"),
)
VOXEL = 0.01  # metres
FIRST_OBJECT_PART = 20
VAL_FRAMES = range(33, 45)  # one set-up, which the bag shows too: never trained on
NEAR = 0.01  # metres from a point of the bag to the point of a view that tells its truth
SAME = 0.006  # metres; the median of that where view and message are one


def real_material(recordings: Path, folder: Path, progress: Progress) -> Material:
    """The views as a site in FOLDER/site, and the bag as it lies in the recordings.

    Raises:
        InputError: the recordings lack the views or the bag.
    """
    bag = recordings / "tabletop_bag"
    if not (bag / "metadata.yaml").exists():
        raise InputError(f"{recordings} has no tabletop_bag; point OTOC_DATA at the recordings")
    site = _make_site(recordings, folder / "site", progress)
    messages = progress.track(list(read_bag(bag)), description="read the bag")
    known = [_Known(cKDTree(view.cloud().xyz), view.truth()) for view in site.scenes(split="val")]
    truth = {message.stamp_ns: _truth_of(message.cloud, known) for message in messages}
    return Material(
        title="Recordings of a tabletop",
        origin=(
            "These data are real: views of objects on a table by a depth camera. The clicks are "
            "simulated from ground truth, one an object and one on the table; the twelve views "
            "that are scored, and the bag that is played, show a set-up that was never learnt."
        ),
        site=site,
        bag=bag,
        truth_at=truth,
        shown=(_richest(site, "train"), _richest(site, "val")),
        showroom=False,
    )


def _make_site(recordings: Path, folder: Path, progress: Progress) -> Site:
    found = {
        int(match.group(1)): path
        for path in (recordings / "tabletop").glob("learn*.npz")
        if (match := re.fullmatch(r"learn(\d+)", path.stem))
    }
    if not found.keys() & set(VAL_FRAMES) or not found.keys() - set(VAL_FRAMES):
        raise InputError(
            f"{recordings} lacks views tabletop/learnNN.npz of both splits (33 to 44 and others); "
            "point OTOC_DATA at the recordings"
        )
    site = Site.create(folder, "tabletop", CLASSES, VOXEL)
    for number in progress.track(sorted(found), description="import views"):
        cloud, truth = read_view(found[number])
        site.add_scene(
            f"learn{number:02d}",
            cloud,
            split="val" if number in VAL_FRAMES else "train",
            source=found[number].name,
            truth=truth,
        )
    return site


def read_view(path: Path) -> tuple[Cloud, Truth]:
    """One view with its truth: class 0 is the table, 1 an object.

    Raises:
        InputError: the file is damaged or lacks a key.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            part = arrays["part"].astype(np.int32)
            semantic = np.where(part == 0, -1, (part >= FIRST_OBJECT_PART).astype(np.int32))
            instance = np.where(semantic == 1, arrays["inst"].astype(np.int32), 0)
            return Cloud(arrays["xyz"], arrays["rgb"]), Truth(semantic, instance)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged archive fails in zipfile, zlib and NumPy alike
        raise InputError(f"cannot read {path}: {error}; restore it") from error


def _richest(site: Site, split: Split) -> str:
    """The scene of a split with the most objects."""

    def objects(scene: Scene) -> int:
        truth = scene.truth()
        return 0 if truth is None else len(np.unique(truth.instance))

    return max(site.scenes(split=split), key=objects).name


class _Known(NamedTuple):
    """Where the points of a view are, and what they are."""

    points: cKDTree
    truth: Truth | None


def _truth_of(cloud: Cloud, views: Sequence[_Known]) -> Truth | None:
    """Truth of a message, from the thinned view that was made of it; None where there is none."""
    finite = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    some = cloud.xyz[finite[:: len(finite) // 500 + 1]]
    apart = [float(np.median(view.points.query(some)[0])) for view in views]
    points, known = views[int(np.argmin(apart))]
    if min(apart) > SAME or known is None:
        return None
    distance, nearest = points.query(cloud.xyz[finite], distance_upper_bound=NEAR)
    near = np.isfinite(distance)
    return Truth(
        _spread(known.semantic, finite[near], nearest[near], len(cloud), -1),
        _spread(known.instance, finite[near], nearest[near], len(cloud), 0),
    )


def _spread(
    values: NDArray[np.int32], to: NDArray[np.int64], rows: NDArray[np.int64], count: int, fill: int
) -> NDArray[np.int32]:
    spread = np.full(count, fill, np.int32)
    spread[to] = values[rows]
    return spread
