"""Make the reach model that ships with the package, from simulated rooms of dev furniture.

    python tools/train_reach.py SCRATCH_FOLDER

No site is trained or scored on this furniture. The rooms in the scratch folder are kept, so that
the script can be run again after an interruption; the model is the same for the same rooms. Takes
about an hour on two cores.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline_training.checkpoint import save_networks
from offline_training.reach.fit import TrueScene, fit_reach, true_scene
from offline_training.reach.model import SHIPPED
from offline_training.rooms import make_rooms
from offline_training.rounds import preprocessing
from offline_training.scenes import TrainingScene, VoxelTruth, load_scene, voxel_truth
from otoc_ros.cli.console import bar, out
from otoc_ros.core.cloud import Cloud
from otoc_ros.site.scene import Scene
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

SEED = 700
ROOMS = 110
VOXEL_SIZE = 0.08  # metres, as in the benchmarks
VIEW_VOXEL_SIZES = 0.05, 0.03
VIEWS = 2  # of a room
ODD_ROOMS = 30  # that are also shown as other sites' scans are …
GREY_ROOMS = 10  # … without colour …
UNCLICKED_ROOMS = 20  # … and with clicks missing
NEAR = 0.05  # metres between a view's point and the fused one that its truth is taken from
FEWEST = 60  # points of an object, from which a view shows it
NOT_CLICKED = 0.2  # share of the clicks that a careless person leaves out

Known = tuple[TrainingScene, VoxelTruth]


def main(scratch: Path) -> None:
    """Make rooms, show them as sites differ, and learn."""
    with bar() as progress:

        def track(steps: Iterable[int]) -> Iterable[int]:
            return progress.track(list(steps), description="learn")

        rooms = make_rooms(scratch / "rooms", ROOMS, SEED, splits={"dev": 1}, voxel_size=VOXEL_SIZE)
        odd = rooms.scenes()[:ODD_ROOMS]
        thing = np.array([known.kind == "thing" for known in rooms.config.classes])
        whole = _known(rooms)
        grey = _known(_copied(rooms, odd[:GREY_ROOMS], scratch / "grey"))
        views = [
            _known(_seen_once(rooms, odd, scratch / f"views-{size}", size))
            for size in VIEW_VOXEL_SIZES
        ]
        sites = [
            _true(whole, thing),
            _true(_unclicked(whole[-UNCLICKED_ROOMS:]), thing),
            _true(grey, thing),
            _true(views[0], thing),
            # Sites with few classes, of objects of any size, scanned from nobody knows where.
            _of_two_kinds(_from_nowhere(whole[:ODD_ROOMS]), thing),
            *(_of_two_kinds(some, thing) for some in views),
        ]
        model = fit_reach(sites, SEED, track)
    save_networks(SHIPPED, {"reach": model})
    out.print(f"{SHIPPED}: {SHIPPED.stat().st_size / 1e3:.0f} kB")


def _known(site: Site) -> list[Known]:
    """A site's scenes with a click on each object, and their truth."""
    found = []
    for scene in site.scenes():
        if not scene.clicks():
            scene.append_clicks(simulate_clicks(scene, site.config, scene_rng(SEED, scene.name)))
        loaded = load_scene(scene, preprocessing(site))
        bare = replace(loaded, parts=(), views=())  # nothing here needs the points
        found.append((bare, voxel_truth(scene, loaded.prepared)))
    return found


def _true(scenes: Sequence[Known], thing: NDArray[np.bool_]) -> list[TrueScene]:
    return [true_scene(scene, truth, thing) for scene, truth in scenes]


def _of_two_kinds(scenes: Sequence[Known], thing: NDArray[np.bool_]) -> list[TrueScene]:
    """Stuff and objects, as if the site had no other classes."""
    found = []
    for scene, truth in scenes:
        marks = tuple(replace(mark, class_id=int(thing[mark.class_id])) for mark in scene.marks)
        kind = np.where(truth.semantic >= 0, thing[truth.semantic], -1).astype(np.int32)
        known = replace(scene, marks=marks), replace(truth, semantic=kind)
        found.append(true_scene(*known, np.array([False, True])))
    return found


def _from_nowhere(scenes: Sequence[Known]) -> list[Known]:
    unknown = np.zeros((0, 3), np.float32)
    return [(replace(scene, sensors=unknown), truth) for scene, truth in scenes]


def _unclicked(scenes: Sequence[Known]) -> list[Known]:
    """Scenes in which some objects were not clicked."""
    rng = np.random.default_rng(SEED)
    found = []
    for scene, truth in scenes:
        kept = tuple(mark for mark in scene.marks if rng.random() > NOT_CLICKED)
        found.append((replace(scene, marks=kept), truth))
    return found


def _copied(rooms: Site, scenes: Sequence[Scene], path: Path) -> Site:
    """The same scans without colour."""
    site = _site_like(rooms, path, VOXEL_SIZE)
    for scene in scenes:
        if not (site.path / "scenes" / scene.name).exists():
            cloud = Cloud(scene.cloud().xyz)
            site.add_scene(scene.name, cloud, split="train", truth=scene.truth())
    return site


def _seen_once(rooms: Site, scenes: Sequence[Scene], path: Path, voxel_size: float) -> Site:
    """Raw views as scenes of their own, as a robot without odometry logs them."""
    site = _site_like(rooms, path, voxel_size)
    for scene in scenes:
        fused, truth = cKDTree(scene.cloud().xyz), scene.truth()
        assert truth is not None
        for row, view in enumerate(scene.meta.views[:VIEWS]):
            name = f"{scene.name}-{row}"
            if (site.path / "scenes" / name).exists():
                continue
            cloud, pose = scene.view_cloud(row), np.array(view.pose)
            finite = np.isfinite(cloud.xyz).all(axis=1)
            placed = cloud.xyz[finite].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
            seen = Cloud(placed.astype(np.float32), cloud.rgb[finite])
            site.add_scene(name, seen, split="train", truth=_truth_near(seen, fused, truth))
    return site


def _truth_near(seen: Cloud, fused: cKDTree, truth: Truth) -> Truth:
    distance, nearest = fused.query(seen.xyz, distance_upper_bound=NEAR)
    near = np.isfinite(distance)
    semantic = np.full(len(seen), -1, np.int32)
    instance = np.zeros(len(seen), np.int32)
    semantic[near], instance[near] = truth.semantic[nearest[near]], truth.instance[nearest[near]]
    objects = np.column_stack([semantic, instance])
    _, row, count = np.unique(objects, axis=0, return_inverse=True, return_counts=True)
    hardly = count[row.ravel()] < FEWEST
    return Truth(np.where(hardly, -1, semantic), np.where(hardly, 0, instance))


def _site_like(rooms: Site, path: Path, voxel_size: float) -> Site:
    if (path / "site.yaml").exists():
        return Site.open(path)
    return Site.create(path, path.name, list(rooms.config.classes), voxel_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
