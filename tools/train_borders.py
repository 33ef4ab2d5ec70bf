"""Make the network that tells objects apart at their borders, which ships with the package.

    python tools/train_borders.py SCRATCH_FOLDER

It learns from simulated tables, and from rooms of dev furniture, on which no site is trained or
scored. The rooms in the scratch folder are kept, so that the script can be run again after an
interruption. Takes about half an hour on two cores.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline_training.borders import KnownBorders, fit_borders, known_borders
from offline_training.borders.shipped import SHIPPED
from offline_training.checkpoint import save_networks
from offline_training.rooms import make_rooms
from offline_training.tables import table_view
from otoc_ros.cli.console import bar, out
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.site.scene import Scene

SEED = 700
TABLES = {0.01: 1600, 0.015: 250, 0.007: 250}  # voxels in metres: views
ROOMS = 110
FUSED_VOXEL = 0.08
VIEW_VOXELS = {0.08: 3, 0.05: 3, 0.03: 2}  # views of a room
NEAR = 0.05  # metres between a view's point and the fused one that its truth is taken from
GREY = 8  # every eighth table and room is seen without colour
FEWEST = 60  # points of an object, from which a view shows it
UP = np.array([0.0, 0.0, 1.0])


def main(scratch: Path) -> None:
    """Make rooms, lay tables, and learn from both."""
    site = make_rooms(scratch / "rooms", ROOMS, SEED, splits={"dev": 1}, voxel_size=FUSED_VOXEL)
    thing = np.array([known.kind == "thing" for known in site.config.classes])
    with bar() as progress:

        def track(steps: Iterable[int], what: str = "learn") -> Iterable[int]:
            return progress.track(list(steps), description=what)

        laid = chain.from_iterable([size] * count for size, count in TABLES.items())
        tables = [
            _of_table(seed, size)
            for seed, size in zip(track(range(sum(TABLES.values())), "lay"), laid, strict=True)
        ]
        scenes = site.scenes()
        rooms = [
            borders
            for row in track(range(len(scenes)), "look")
            for borders in _of_room(scenes[row], thing, grey=row % GREY == 0)
        ]
        net = fit_borders([tables, rooms], SEED, track)
    save_networks(SHIPPED, {"borders": net})
    out.print(f"{SHIPPED}: {SHIPPED.stat().st_size / 1e3:.0f} kB")


def _of_table(seed: int, voxel_size: float) -> KnownBorders:
    view = table_view(seed)
    cloud = Cloud(view.cloud.xyz) if seed % GREY == 0 else view.cloud
    settings = Preprocessing(voxel_size=voxel_size)
    return known_borders(preprocess(cloud, settings, view.up), view.instance)


def _of_room(scene: Scene, thing: NDArray[np.bool_], grey: bool) -> Iterator[KnownBorders]:
    """The fused scan, and single views at several voxel sizes."""
    cloud, truth = scene.cloud(), scene.truth()
    assert truth is not None
    object_ = np.where(truth.semantic >= 0, thing[truth.semantic], False) * truth.instance
    if grey:
        cloud = Cloud(cloud.xyz)
    fused = preprocess(cloud, Preprocessing(voxel_size=FUSED_VOXEL), UP)
    yield known_borders(fused, object_)
    points = cKDTree(cloud.xyz)
    for voxel_size, count in VIEW_VOXELS.items():
        for row, view in enumerate(scene.meta.views[:count]):
            seen, pose = scene.view_cloud(row), np.array(view.pose)
            finite = np.isfinite(seen.xyz).all(axis=1)
            seen = Cloud(seen.xyz[finite], None if grey else seen.rgb[finite])
            placed = seen.xyz.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
            prepared = preprocess(seen, Preprocessing(voxel_size=voxel_size), pose[2, :3])
            yield known_borders(prepared, _nearest_objects(placed, points, object_))


def _nearest_objects(
    placed: NDArray[np.float64], points: cKDTree, object_: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Objects of a view's points [N, 3], 0 where a view hardly shows them."""
    distance, nearest = points.query(placed, distance_upper_bound=NEAR)
    near = np.isfinite(distance)
    found = np.zeros(len(placed), np.int32)
    found[near] = object_[nearest[near]]
    return np.where(np.bincount(found)[found] < FEWEST, 0, found).astype(np.int32)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
