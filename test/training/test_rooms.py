"""The simulated rooms: repeatable, labelled, varied, and not to be told apart by colour."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from offline_training.rooms import (
    CLASS_NAMES,
    Camera,
    Room,
    camera_clouds,
    generator_hash,
    make_room,
    make_rooms,
    room_seed,
)
from offline_training.rooms.camera import Shutter
from offline_training.rooms.collision import Boxes
from offline_training.rooms.draw import SHARES, SPLITS, Draw
from offline_training.rooms.export import share
from offline_training.rooms.families import FAMILIES, make
from offline_training.rooms.furnish import MINIMUM_OBJECTS, THEMES, furnished
from offline_training.rooms.path import camera_path
from offline_training.rooms.room import prepare
from otoc_ros.core.cloud import estimate_up
from otoc_ros.core.errors import InputError

SMALL = Camera(width=160, height=120)


@pytest.fixture(scope="module")
def rooms() -> dict[str, list[Room]]:
    """Four small rooms of the splits for training and validation."""
    return {
        split: [
            make_room(k, split, theme=theme, frames=16, keep=2, voxel=0.03, camera=SMALL)
            for k, theme in enumerate(("living", "bedroom", "kitchen", "office"))
        ]
        for split in ("train", "val")
    }


def same(a: Room, b: Room) -> bool:
    return (
        a.cloud.xyz.tobytes() == b.cloud.xyz.tobytes()
        and a.cloud.rgb.tobytes() == b.cloud.rgb.tobytes()
        and np.array_equal(a.semantic, b.semantic)
        and np.array_equal(a.instance, b.instance)
        and all(
            v.cloud.xyz.tobytes() == w.cloud.xyz.tobytes() and np.array_equal(v.pose, w.pose)
            for v, w in zip(a.views, b.views, strict=True)
        )
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = make_room(5, "dev", frames=4, keep=2, camera=SMALL)
    assert same(first, make_room(5, "dev", frames=4, keep=2, camera=SMALL))
    assert not same(first, make_room(6, "dev", frames=4, keep=2, camera=SMALL))


def test_a_visit_moves_loose_things_and_the_light_but_not_the_room() -> None:
    first, _, _ = prepare(5, "train", 0, "office")
    again, scene, _ = prepare(5, "train", 1, "office")
    moved = [
        a.piece.class_name
        for a, b in zip(first.placed, again.placed, strict=True)
        if not np.allclose(a.position, b.position) or a.yaw != b.yaw
    ]
    assert moved
    assert not {"wall", "table", "bed", "cabinet", "door"} & set(moved)
    assert [p.look for p in first.placed] == [p.look for p in again.placed]
    other_light = prepare(5, "train", 2, "office")[1].light
    assert not np.array_equal(scene.light.position, other_light.position)


def test_splits_share_no_family_no_size_and_no_seed() -> None:
    names = {split: {family.name for family in FAMILIES[split]} for split in SPLITS}
    seeds = {
        split: {room_seed(s, split, k) for s in range(3) for k in range(50)} for split in SPLITS
    }
    for a, b in (("train", "dev"), ("train", "val"), ("dev", "val")):
        assert not names[a] & names[b]
        assert not seeds[a] & seeds[b]
        assert all(x1 < y0 or y1 < x0 for x0, x1 in SHARES[a] for y0, y1 in SHARES[b])
    for split in SPLITS:
        classes = {family.class_name for family in FAMILIES[split]}
        assert classes == set(CLASS_NAMES) - {"wall", "floor", "ceiling"}
        draws = Draw(split, np.random.default_rng(0))
        unit = np.array([draws.between(0, 1) for _ in range(500)])
        inside = [(unit >= low) & (unit <= high) for low, high in SHARES[split]]
        assert np.logical_or.reduce(inside).all()
        assert all(part.any() for part in inside)


@pytest.mark.parametrize("split", SPLITS)
def test_every_family_can_be_built_for_every_use(split: str) -> None:
    sizes = {
        "door": {"width": 0.9, "height": 2.0, "depth": 0.0},
        "window": {"width": 1.2, "height": 1.1, "depth": 0.1},
        "curtain": {"width": 0.6, "height": 1.5},
    }
    for seed in range(12):
        draw = Draw(split, np.random.default_rng(seed))
        for family in FAMILIES[split]:
            use = family.uses[seed % len(family.uses)] if family.uses else ""
            piece = make(draw, family, use, **sizes.get(family.class_name, {}))
            assert np.isfinite(piece.low).all()
            assert (piece.high - piece.low < 4).all()
            assert piece.boxes
            assert piece.family == family.name


def test_truth_fits_the_cloud(rooms: dict[str, list[Room]]) -> None:
    stuff = [CLASS_NAMES.index(name) for name in ("wall", "floor", "ceiling")]
    for room in rooms["train"] + rooms["val"]:
        assert len(room.semantic) == len(room.instance) == len(room.cloud)
        assert room.cloud.rgb is not None
        assert -1 <= room.semantic.min() < room.semantic.max() < len(CLASS_NAMES)
        assert len(room.objects) >= MINIMUM_OBJECTS
        assert 0 <= room.instance.min() < room.instance.max() <= len(room.objects)
        thing = (room.semantic >= 0) & ~np.isin(room.semantic, stuff)
        assert np.array_equal(thing, room.instance > 0)
        for number in np.unique(room.instance[thing]):
            (found,) = np.unique(room.semantic[room.instance == number])
            assert CLASS_NAMES[found] == room.objects[number - 1][0]
        assert 0 < (room.semantic == -1).mean() < 0.1


def test_all_classes_appear_and_some_are_rare(rooms: dict[str, list[Room]]) -> None:
    points = Counter[int]()
    for room in rooms["train"] + rooms["val"]:
        points.update(room.semantic[room.semantic >= 0].tolist())
    assert set(points) == set(range(len(CLASS_NAMES)))
    assert points.most_common()[0][1] > 20 * points.most_common()[-1][1]


def test_up_is_z_and_the_floor_is_at_zero(rooms: dict[str, list[Room]]) -> None:
    for room in rooms["train"]:
        floor = room.cloud.xyz[room.semantic == CLASS_NAMES.index("floor"), 2]
        ceiling = room.cloud.xyz[room.semantic == CLASS_NAMES.index("ceiling"), 2]
        assert abs(np.median(floor)) < 0.05
        assert 2.2 < np.median(ceiling) < 3.2


def test_views_lie_on_the_fused_cloud(rooms: dict[str, list[Room]]) -> None:
    room = rooms["val"][0]
    tree = cKDTree(room.cloud.xyz)
    for view in room.views:
        seen = np.isfinite(view.cloud.xyz[:, 2])
        assert (view.cloud.xyz[seen, 2] > 0).all()
        assert (view.semantic[~seen] == -1).all()
        seen &= view.cloud.xyz[:, 2] < 3.0  # what is far was seen too seldom to be fused
        placed = view.cloud.xyz[seen] @ view.pose[:3, :3].T + view.pose[:3, 3]
        distance, nearest = tree.query(placed)
        assert np.quantile(distance, 0.75) < 0.03
        known = view.semantic[seen] >= 0
        agree = room.semantic[nearest][known] == view.semantic[seen][known]
        assert agree.mean() > 0.95


def test_nothing_stands_inside_another_thing() -> None:
    for seed, split in ((0, "train"), (3, "dev"), (6, "val")):
        placed = furnished(Draw(split, np.random.default_rng(seed)), THEMES[seed]).placed
        solid = [p.boxes() for p in placed if p.piece.boxes]
        own = [p.piece.class_name for p in placed if p.piece.boxes]
        for i in range(len(solid)):
            for j in range(i):
                if {own[i], own[j]} & {"wall", "door", "window"} and "wall" in (own[i], own[j]):
                    continue  # walls meet at corners, and hold doors and windows
                assert not solid[i].hit(solid[j]), (own[i], own[j])


def test_boxes_touch_without_overlapping() -> None:
    unit = [np.array([[-0.5, -0.5, 0], [0.5, 0.5, 1]])]
    here = Boxes.of(unit, np.zeros(3), 0.0)
    assert not here.hit(Boxes.of(unit, np.array([1.0, 0, 0]), 0.0))
    assert here.hit(Boxes.of(unit, np.array([0.98, 0, 0]), 0.0))
    assert here.hit(Boxes.of(unit, np.array([1.15, 0, 0]), np.pi / 4))
    assert not here.hit(Boxes.of(unit, np.array([1.15, 1.15, 0]), np.pi / 4))
    assert not here.hit(Boxes.of(unit, np.array([0, 0, 1.0]), 0.3))


def test_the_camera_has_a_real_one_s_faults() -> None:
    layout, scene, rng = prepare(3, "train", 0, "office")
    poses = camera_path(layout, scene, rng, 8, turns=1.0)
    camera = Camera(width=160, height=120)
    near, far, lost = [], [], []
    for pose in poses:
        frame = Shutter(scene, camera, np.random.default_rng(1)).take(pose)
        depth = frame.cloud.xyz[:, 2]
        pixel, _ = camera.rays(np.random.default_rng(1))
        direction = pixel / np.linalg.norm(pixel, axis=1, keepdims=True) @ pose[:3, :3].T
        origin = np.tile(pose[:3, 3], (len(pixel), 1)).astype(np.float32)
        hits = scene.cast(origin, np.ascontiguousarray(direction, np.float32))
        true = np.full(len(pixel), np.nan)
        true[hits.ray] = hits.distance / np.linalg.norm(pixel[hits.ray], axis=1)
        flat = np.zeros(len(pixel), bool)
        flat[hits.ray] = hits.cosine > 0.8
        error = np.abs(depth - true)
        near.append(error[flat & (true < 1.5) & np.isfinite(depth)])
        far.append(error[flat & (true > 2.5) & np.isfinite(depth)])
        lost.append(np.isnan(depth).mean())
        values = np.unique(depth[np.isfinite(depth) & (depth > 2.5) & (depth < 2.6)])
        assert len(values) < 10  # quantised: about 2 cm apart there
    assert 0.0003 < np.median(np.concatenate(near)) < 0.004
    assert np.median(np.concatenate(far)) > 4 * np.median(np.concatenate(near))
    assert 0.005 < np.mean(lost) < 0.5


def test_pose_drift_and_exposure_change() -> None:
    layout, scene, rng = prepare(3, "train", 0, "office")
    pose = camera_path(layout, scene, rng, 2, turns=1.0)[0]
    shutter = Shutter(scene, SMALL, rng)
    frames = [shutter.take(pose) for _ in range(25)]
    drift = np.array([np.linalg.norm(f.pose[:3, 3] - pose[:3, 3]) for f in frames])
    assert 0.002 < drift.max() < 0.06
    assert all(np.allclose(f.pose[:3, :3] @ f.pose[:3, :3].T, np.eye(3)) for f in frames)
    brightness = [f.cloud.rgb.mean() for f in frames if f.cloud.rgb is not None]
    assert np.std(brightness) > 0.5


def test_live_clouds_are_organised_and_never_inside_things() -> None:
    frames = list(camera_clouds(4, "val", count=6, camera=Camera(width=200, height=150)))
    for frame in frames:
        assert len(frame.cloud) == frame.width * frame.height == 200 * 150
        depth = frame.cloud.xyz[:, 2]
        assert np.isnan(depth).any()
        assert np.isfinite(depth).mean() > 0.3
        assert np.nanmin(depth) >= 0.3
    steps = [np.linalg.norm(b.pose[:3, 3] - a.pose[:3, 3]) for a, b in itertools.pairwise(frames)]
    assert max(steps) < 4.0


def test_up_of_live_clouds_is_estimated_well() -> None:
    """Of sixty such views half are within 0.3 degrees, nine in ten within 2, all within 5."""
    errors = []
    for frame in camera_clouds(4, "dev", count=8, camera=Camera(width=200, height=150)):
        up = frame.pose[:3, :3].T @ [0.0, 0.0, 1.0]
        cosine = np.clip(estimate_up(frame.cloud.xyz) @ up, -1, 1)
        errors.append(np.degrees(np.arccos(cosine)))
    assert np.median(errors) < 1.0 and max(errors) < 6.0, errors


def test_height_and_colour_do_not_give_the_class_away(rooms: dict[str, list[Room]]) -> None:
    """The network's mIoU must be above 0.7; what only sees height and colour stays below 0.35."""

    def features(room: Room) -> np.ndarray:
        return np.column_stack([room.cloud.xyz[:, 2], room.cloud.rgb / 255.0])[::5]

    train = np.concatenate([features(r) for r in rooms["train"]])
    labels = np.concatenate([r.semantic[::5] for r in rooms["train"]])
    tree = cKDTree(train[labels >= 0])
    confusion = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)))
    for room in rooms["val"]:
        truth = room.semantic[::5]
        _, nearest = tree.query(features(room)[truth >= 0])
        np.add.at(confusion, (truth[truth >= 0], labels[labels >= 0][nearest]), 1)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    miou = (np.diag(confusion) / np.maximum(union, 1))[confusion.sum(1) > 0].mean()
    assert 0.05 < miou < 0.35


def test_a_room_takes_bounded_memory() -> None:
    tracemalloc.start()
    make_room(1, "train", frames=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400e6


def test_rooms_become_a_site_that_can_be_completed(tmp_path: Path) -> None:
    options = {"splits": {"train": 1, "val": 1}, "frames": 3, "keep": 2, "camera": SMALL}
    site = make_rooms(tmp_path / "site", 2, 7, **options)
    assert [scene.name for scene in site.scenes()] == ["train-000", "val-000"]
    scene = site.scenes(split="val")[0]
    truth = scene.truth()
    assert truth is not None
    assert len(truth) == len(scene.cloud()) == scene.meta.points
    assert generator_hash()[:12] in scene.meta.source
    assert scene.meta.up == (0, 0, 1)
    assert len(scene.meta.views) == 2
    assert np.isfinite(scene.view_cloud(0).xyz).all()
    made: list[tuple[str, int]] = []
    make_rooms(tmp_path / "site", 3, 7, **{**options, "splits": {"train": 2, "val": 1}},
               progress=lambda todo: made.extend(todo) or todo)  # fmt: skip
    assert made == [("train", 1)]
    with pytest.raises(InputError, match="new folder"):
        make_rooms(tmp_path / "site", 2, 8, **options)


def test_shares_of_splits() -> None:
    assert share(40, {"train": 0.5, "dev": 0.15, "val": 0.35}) == {"train": 20, "dev": 6, "val": 14}
    assert sum(share(7, {"train": 1, "val": 1}).values()) == 7
    with pytest.raises(InputError, match="no split 'test'"):
        share(3, {"test": 1})
    with pytest.raises(InputError, match="no split 'test'"):
        make_room(0, "test")
