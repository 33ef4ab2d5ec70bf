"""A robot's bag becomes few fused scenes that lie on the true surfaces."""

from pathlib import Path

import numpy as np
import pytest
from bags import message, reading, transforms, write_messages
from drives import MOUNT, ROOM, bodies, off_surface, seen, write_drive

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Preprocessing
from otoc_ros.site.fusing.drive import fuse_views
from otoc_ros.site.fusing.tiles import tiles
from otoc_ros.site.fusing.upright import Gravity, Up
from otoc_ros.site.fusing.views import Break, PosedView
from otoc_ros.site.importer import Imported, import_drive
from otoc_ros.site.site import Site

S = 1_000_000_000
Z = Up(np.array([0.0, 0.0, 1.0]), "given")


def drive(site: Site, bag: Path, poses: str = "tf", **options: object) -> list[Imported]:
    options.setdefault("topics", ["/points"])
    return list(import_drive(site, bag, "drive", poses=poses, **options))


def test_known_poses(site: Site, tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", bodies())
    (done,) = drive(site, bag, split="dev")
    assert done.scene == "drive_00" and "40 views fused" in done.note
    assert "z of frame odom" in done.note
    (scene,) = site.scenes()
    assert scene.meta.split == "dev" and scene.meta.up == (0, 0, 1)
    error = off_surface(scene.cloud().xyz)
    assert error.mean() < 0.004 and np.percentile(error, 99) < 0.02
    assert (scene.path / "up.png").read_bytes().startswith(b"\x89PNG")
    # The raw views lie on the same surfaces from where they say that they were seen.
    assert 4 <= len(scene.meta.views) <= 12
    for row, view in enumerate(scene.meta.views):
        pose, raw = np.array(view.pose), scene.view_cloud(row)
        assert off_surface(raw.xyz @ pose[:3, :3].T + pose[:3, 3]).mean() < 0.01
    (again,) = drive(site, bag)
    assert again.note.startswith("was there already")
    assert not list(site.path.glob(".fusing-*"))


def test_training_shows_the_views_with_the_scans_labels(site: Site, tmp_path: Path) -> None:
    scenes = pytest.importorskip("offline_training.scenes")
    drive(site, write_drive(tmp_path / "bag", bodies(20)))
    (scene,) = site.scenes()
    loaded = scenes.load_scene(scene, Preprocessing(voxel_size=0.05))
    assert len(loaded.views) == len(scene.meta.views)
    for cloud in loaded.views:
        assert (cloud.voxel >= 0).mean() > 0.95
        near = np.linalg.norm(
            loaded.prepared.xyz[cloud.voxel[cloud.voxel >= 0]]
            + loaded.prepared.grid.origin
            - cloud.xyz[cloud.voxel >= 0] @ np.eye(3),
            axis=1,
        )
        assert np.percentile(near, 95) < 0.1


def test_odometry(site: Site, tmp_path: Path) -> None:
    pytest.importorskip("small_gicp", reason="needs otoc_ros[import]")
    (done,) = drive(site, write_drive(tmp_path / "bag", bodies(), tf=False), "odometry")
    assert "up [-0.0, -0.0, 1.0], estimated" in done.note or "1.0], estimated" in done.note
    start = bodies()[0]
    xyz = site.scene("drive_00").cloud().xyz @ start[:3, :3].T + start[:3, 3]
    assert off_surface(xyz).mean() < 0.005


def test_lost_odometry_ends_the_scene(site: Site, tmp_path: Path) -> None:
    pytest.importorskip("small_gicp", reason="needs otoc_ros[import]")
    rng = np.random.default_rng(0)
    said = []
    for number, body in enumerate(bodies()[:16]):
        cloud = seen(body @ MOUNT, rng)
        if number >= 8:  # the robot was carried into a doll's house
            cloud = Cloud(cloud.xyz * 0.4, cloud.rgb)
        said.append((number * S, "/points", message(cloud, number * S, "optical")))
    first, second = drive(site, write_messages(tmp_path / "bag", said), "odometry")
    assert "odometry lost /points at 8.000 s" in first.note
    assert first.scene == "drive_00" and second.scene == "drive_01"
    assert "8 views fused" in first.note


def test_odometry_takes_up_from_gravity(site: Site, tmp_path: Path) -> None:
    pytest.importorskip("small_gicp", reason="needs otoc_ros[import]")
    rng = np.random.default_rng(0)
    said = [
        (0, "/tf_static", transforms(0, {("body", "optical"): MOUNT, ("body", "imu"): np.eye(4)}))
    ]
    for number, body in enumerate(bodies()[:6]):
        stamp = number * S // 5
        said.append((stamp, "/points", message(seen(body @ MOUNT, rng), stamp, "optical")))
        said.append((stamp, "/imu", reading(stamp, np.array([0.0, 4.9, 8.49]), "imu")))
    (done,) = drive(site, write_messages(tmp_path / "bag", said), "odometry")
    assert "gravity, 6 readings of the IMU" in done.note
    assert "degrees off: look at up.png" in done.note  # this accelerometer is mounted askew


def test_missing_transforms_are_told(site: Site, tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", bodies(), tf=False)
    with pytest.raises(
        InputError,
        match=r"none of 40 clouds has a pose: /points at 100\.000 s: no tr.*moves 'optical'",
    ):
        drive(site, bag)
    assert site.scenes() == []
    poses = bodies()
    rng = np.random.default_rng(0)
    said = []
    for number, body in enumerate(poses):
        stamp = number * S // 5
        if not 10 <= number < 20:  # localisation failed for two seconds
            said.append((stamp, "/tf", transforms(stamp, {("map", "optical"): body @ MOUNT})))
        said.append((stamp, "/points", message(seen(body @ MOUNT, rng), stamp, "optical")))
    done, left = drive(site, write_messages(tmp_path / "gap", said))
    assert "30 views fused" in done.note and "z of frame map" in done.note
    assert (
        "10 of 40 clouds left out without a pose: /points at 2.000 s: 'map' to 'optical'"
        in left.note
    )
    assert "a gap from 1.800 to 4.000 s" in left.note


def test_several_sensors(site: Site, tmp_path: Path) -> None:
    rear = MOUNT.copy()
    rear[:3, :3] = np.diag([-1, -1, 1]) @ MOUNT[:3, :3]
    rng = np.random.default_rng(0)
    said = [(0, "/tf_static", transforms(0, {("body", "front"): MOUNT, ("body", "rear"): rear}))]
    for number, body in enumerate(bodies(20)):
        stamp = number * S // 5
        said.append((stamp, "/tf", transforms(stamp, {("odom", "body"): body})))
        said.append((stamp, "/front", message(seen(body @ MOUNT, rng), stamp, "front")))
        said.append((stamp, "/rear", message(seen(body @ rear, rng), stamp, "rear")))
    bag = write_messages(tmp_path / "bag", said)
    (done,) = drive(site, bag, topics=["/front", "/rear"])
    assert "40 views fused" in done.note
    assert off_surface(site.scene("drive_00").cloud().xyz).mean() < 0.004


def test_bag_that_ends_in_the_middle(site: Site, tmp_path: Path) -> None:
    """What was read before is fused and stays."""
    bag = write_drive(tmp_path / "bag", bodies())
    given = Z
    views = 0

    def torn():  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(0)
        for number, body in enumerate(bodies()):
            pose = body @ MOUNT
            yield PosedView(number, "a", pose, lambda pose=pose: seen(pose, rng))
        raise InputError("the bag is cut short")

    aside = tmp_path / "aside"
    aside.mkdir()
    scans = fuse_views(torn(), aside, edge=0.02, size=15, up_of=lambda _: given)
    with pytest.raises(InputError, match="cut short"):
        for scan in scans:
            views = scan.fused
    assert views == 40
    assert list(aside.iterdir()) == []
    assert bag.exists()


def test_clock_that_is_set_back(site: Site, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    said = []
    for number, body in enumerate(bodies(20)):
        recorded = number * S // 5
        stamp = recorded + (1000 if number < 10 else 500) * S
        said.append((recorded, "/tf", transforms(stamp, {("odom", "optical"): body @ MOUNT})))
        said.append((recorded, "/points", message(seen(body @ MOUNT, rng), stamp, "optical")))
    done, told = drive(site, write_messages(tmp_path / "bag", said))
    assert "20 views fused" in done.note
    assert "clock of /tf was set back 1 times" in told.note
    assert off_surface(site.scene("drive_00").cloud().xyz).mean() < 0.004


def test_large_places_are_cut_with_overlap(site: Site, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform([0, 0], [30, 8], (40_000, 2)), np.zeros(40_000)])
    found = tiles(floor, np.array([0.0, 0, 1]), 10.0)
    assert len(found) == 4
    held = np.array([tile.holds(floor) for tile in found])
    assert held.any(0).all()
    for row in held:
        assert np.ptp(floor[row], axis=0)[:2].max() <= 10.0
    assert 0.1 < (held.sum(0) > 1).mean() < 0.4
    bag = write_drive(tmp_path / "bag", bodies(20))
    done = drive(site, bag, size=4.0)
    assert [d.scene for d in done] == ["drive_00", "drive_01"]
    for scene in site.scenes():
        low, high = np.array(scene.meta.bounds)
        assert (high - low)[:2].max() <= 4.0 + 1e-5 and scene.meta.views
    with pytest.raises(InputError, match="--size is 3 m"):
        drive(site, bag, size=3.0)


def test_map_coordinates_of_kilometres(tmp_path: Path) -> None:
    shift = np.array([500_000.0, 4_000_000.0, 30.0])
    rng = np.random.default_rng(0)

    def views():  # type: ignore[no-untyped-def]
        for number, body in enumerate(bodies(12)):
            camera = body @ MOUNT
            pose = camera.copy()
            pose[:3, 3] += shift
            yield PosedView(number, "a", pose, lambda camera=camera: seen(camera, rng))
            if number in (5, 6):
                yield Break("told")

    scans = list(fuse_views(views(), tmp_path, edge=0.02, size=15, up_of=lambda _: Z))
    assert [scan.note for scan in scans] == ["told", "told"]
    for scan in scans:
        assert off_surface(scan.cloud.xyz + (scan.origin - shift)).mean() < 0.004
        for raw, pose in scan.views:
            world = raw.xyz @ pose[:3, :3].T + pose[:3, 3] + (scan.origin - shift)
            assert off_surface(world).mean() < 0.01
    assert np.ptp(ROOM, axis=0).max() == 4


def test_stretches_of_a_view_or_two_are_no_scans(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def views():  # type: ignore[no-untyped-def]
        for number, body in enumerate(bodies(4)):
            pose = body @ MOUNT
            yield PosedView(number, "a", pose, lambda pose=pose: seen(pose, rng))
            yield Break(f"lost at {number} s")

    with pytest.raises(InputError, match=r"lost at 0 s; lost at 1 s.*record clouds more often"):
        list(fuse_views(views(), tmp_path, edge=0.02, size=15, up_of=lambda _: Z))
    one = [next(views())]
    (scan,) = fuse_views(one, tmp_path, edge=0.02, size=15, up_of=lambda _: Z)
    assert scan.fused == 1 and len(scan.cloud) > 500


def test_gravity() -> None:
    gravity = Gravity()
    assert gravity.up() is None
    for _ in range(20):
        gravity.feel(np.array([0.0, -9.8, 0.0]), np.eye(3))
    gravity.feel(np.array([30.0, 0.0, 0.0]), np.eye(3))  # a blow
    np.testing.assert_allclose(gravity.up(), [0, -1, 0])
