"""Folders in the published layouts of public data sets, written small by the tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from drives import MOUNT, bodies, off_surface, seen
from plyfile import PlyData, PlyElement
from scipy.spatial.transform import Rotation

from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.datasets import labelled_scans
from otoc_ros.site.datasets.rgbd import is_rgbd, posed_images
from otoc_ros.site.datasets.semantic_kitti import is_semantic_kitti, posed_turns
from otoc_ros.site.importer import import_labelled, import_posed_folder
from otoc_ros.site.site import Site

WIDTH, HEIGHT = 160, 120


def scannet(folder: Path, labels: list[int]) -> Path:
    """A scene of five vertices, four of them labelled with NYU40 numbers, in three segments."""
    scene = folder / "scene0011_00"
    scene.mkdir(parents=True)
    columns = [(name, "<f4") for name in "xyz"]
    columns += [(name, "u1") for name in ("red", "green", "blue", "alpha")]
    mesh = np.zeros(5, columns)
    mesh["x"], mesh["red"] = np.arange(5), 200
    faces = np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))])
    elements = [PlyElement.describe(mesh, "vertex"), PlyElement.describe(faces, "face")]
    PlyData(elements, byte_order="<").write(scene / "scene0011_00_vh_clean_2.ply")
    labelled = np.zeros(5, [*columns, ("label", "<u2")])
    labelled["label"] = labels
    elements = [PlyElement.describe(labelled, "vertex"), PlyElement.describe(faces, "face")]
    PlyData(elements, byte_order="<").write(scene / "scene0011_00_vh_clean_2.labels.ply")
    segments = {"params": {}, "sceneId": "scene0011_00", "segIndices": [7, 7, 2, 2, 9]}
    (scene / "scene0011_00_vh_clean_2.0.010000.segs.json").write_text(json.dumps(segments))
    groups = [
        {"id": 0, "objectId": 0, "segments": [7], "label": "wall"},
        {"id": 1, "objectId": 1, "segments": [2], "label": "office chair"},
    ]
    objects = {"sceneId": "scannet.scene0011_00", "appId": "Aggregator.v2", "segGroups": groups}
    (scene / "scene0011_00.aggregation.json").write_text(json.dumps(objects))
    (scene / "scene0011_00.txt").write_text("axisAlignment = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n")
    return scene


def test_scannet(site: Site, tmp_path: Path) -> None:
    scene = scannet(tmp_path, [1, 1, 5, 5, 0])
    for folder in (scene, tmp_path):
        done = list(import_labelled(site, labelled_scans(folder)))
        assert done[0].scene == "scene0011_00"
    truth = site.scene("scene0011_00").truth()
    assert truth.semantic.tolist() == [0, 0, 1, 1, -1]  # wall, chair of the site
    assert truth.instance.tolist() == [0, 0, 2, 2, 0]  # a wall is stuff
    assert site.scene("scene0011_00").meta.up == (0, 0, 1)


def test_scannet_with_other_classes(site: Site, tmp_path: Path) -> None:
    (done,) = import_labelled(site, labelled_scans(scannet(tmp_path / "a", [1, 1, 33, 24, 0])))
    assert done.note == "new; unknown to the site: refrigerator, toilet"
    with pytest.raises(InputError, match=r"labels of toilet and .* none of these classes"):
        list(import_labelled(site, labelled_scans(scannet(tmp_path / "b", [33] * 5)), "b"))
    (tmp_path / "a/scene0011_00/scene0011_00.aggregation.json").write_text("{")
    with pytest.raises(InputError, match=r"scene0011_00\.aggregation\.json as JSON"):
        list(labelled_scans(tmp_path / "a"))


def s3dis(area: Path) -> Path:
    room = area / "office_1"
    (room / "Annotations").mkdir(parents=True)
    rows = {
        "chair_1": "1.0 2.0 0.5 10 20 30\n1.1 2.0 0.5 11 21 31\n",
        "chair_2": "3.0 2.0 0.5 10 20 30\n",
        "wall_1": "0.0 0.0 1.0 255 255 255\n0.0 0.1 1.0 255 255 254\n",
    }
    for name, text in rows.items():
        (room / "Annotations" / f"{name}.txt").write_text(text)
    (room / "office_1.txt").write_text("".join(rows.values()))
    return room


def test_s3dis(site: Site, tmp_path: Path) -> None:
    room = s3dis(tmp_path / "Area_5")
    (done,) = import_labelled(site, labelled_scans(room), split="val")
    assert done.scene == "Area_5_office_1" and done.points == 5
    scene = site.scene("Area_5_office_1")
    assert scene.truth().semantic.tolist() == [1, 1, 1, 0, 0]
    assert scene.truth().instance.tolist() == [1, 1, 2, 0, 0]
    assert scene.cloud().rgb[1].tolist() == [11, 21, 31]
    assert len(list(labelled_scans(tmp_path / "Area_5"))) == 1
    # A line of Area_5/hallway_6 is damaged in the published archive.
    (room / "Annotations/chair_2.txt").write_text("1 2 3 4 185\x10 6\n")
    with pytest.raises(InputError, match=r"chair_2\.txt as S3DIS annotation"):
        list(labelled_scans(room))


def kitti(sequence: Path, scans: int = 3) -> Path:
    for folder in ("velodyne", "labels"):
        (sequence / folder).mkdir(parents=True)
    mount = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.1], [1, 0, 0, -0.2]])
    lines = [f"{name}: {' '.join(['0'] * 12)}\n" for name in ("P0", "P1", "P2", "P3")]
    lines.append(f"Tr: {' '.join(map(str, mount.ravel()))}\n")
    (sequence / "calib.txt").write_text("".join(lines))
    poses = []
    rng = np.random.default_rng(0)
    wall = np.column_stack([np.full(2000, 5.0), rng.uniform(-2, 2, (2000, 2))])
    for number in range(scans):
        pose = np.eye(4)
        pose[2, 3] = number  # the camera looks along z: a metre forward each time
        poses.append(" ".join(map(str, pose[:3].ravel())))
        points = np.column_stack([wall - [number, 0, 0], np.ones(2000)]).astype("<f4")
        points.tofile(sequence / "velodyne" / f"{number:06d}.bin")
        label = np.full(2000, 50, "<u4")
        label[:10], label[10:20] = 10 | 3 << 16, 252 | 4 << 16
        label.tofile(sequence / "labels" / f"{number:06d}.label")
    (sequence / "poses.txt").write_text("\n".join(poses) + "\n")
    return sequence


def test_semantic_kitti(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site", "s", parse_classes("building:stuff,car"), 0.1)
    sequence = kitti(tmp_path / "sequences" / "07")
    done = list(import_labelled(site, labelled_scans(sequence)))
    assert [d.scene for d in done] == ["07_000000", "07_000001", "07_000002"]
    truth = site.scene("07_000000").truth()
    assert (truth.semantic[:20] == 1).all() and (truth.semantic[20:] == 0).all()
    assert len(np.unique(truth.instance[:20])) == 2 and (truth.instance[20:] == 0).all()
    assert is_semantic_kitti(sequence)
    (fused,) = import_posed_folder(site, sequence, "fused", posed_turns(sequence), up=(0, 0, 1))
    assert "3 views fused" in fused.note
    np.testing.assert_allclose(site.scene("fused_00").cloud().xyz[:, 0], 5, atol=1e-3)
    (sequence / "labels/000001.label").write_bytes(b"\0" * 40)
    with pytest.raises(InputError, match=r"000001\.label: it labels 10 points of 2000"):
        list(labelled_scans(sequence))
    (sequence / "velodyne/000001.bin").write_bytes(b"\0" * 41 * 2)
    with pytest.raises(InputError, match=r"000001\.bin"):
        list(labelled_scans(sequence))


def images(folder: Path, units: float, names: list[str], colour: str) -> list[np.ndarray]:
    """Depth as 16-bit PNG and colour, of a camera of 525 / 4 pixels; T_world_camera of each."""
    image = pytest.importorskip("PIL.Image", reason="needs otoc_ros[import]")
    rng = np.random.default_rng(0)
    (folder / "depth").mkdir(parents=True)
    (folder / colour).mkdir()
    poses = [body @ MOUNT for body in bodies(24)[: len(names)]]
    f = 525 / 4
    v, u = np.indices((HEIGHT, WIDTH)).reshape(2, -1)
    for name, pose in zip(names, poses, strict=True):
        # `drives.seen` has square pixels of width / 1.6; its rays are those of this camera.
        cloud = seen(pose, rng, (WIDTH, HEIGHT))
        z = np.nan_to_num(cloud.xyz[:, 2])
        # Where this camera's ray goes, from the nearest ray of the other.
        right = np.rint((u - 319.5 / 4) / f * WIDTH / 1.6 + WIDTH / 2 - 0.5).astype(int)
        down = np.rint((v - 239.5 / 4) / f * WIDTH / 1.6 + HEIGHT / 2 - 0.5).astype(int)
        inside = (right >= 0) & (right < WIDTH) & (down >= 0) & (down < HEIGHT)
        source = np.where(inside, down * WIDTH + right, 0)
        depth = np.where(inside, z[source], 0).reshape(HEIGHT, WIDTH)
        image.fromarray((depth * units).astype(np.uint16)).save(folder / "depth" / f"{name}.png")
        rgb = cloud.rgb[source].reshape(HEIGHT, WIDTH, 3)
        ending = "png" if colour == "rgb" else "jpg"
        image.fromarray(rgb).save(folder / colour / f"{name}.{ending}")
    return poses


@pytest.fixture
def small_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    from otoc_ros.site.datasets import rgbd

    monkeypatch.setattr(rgbd, "PRIMESENSE", rgbd.Pinhole(525 / 4, 525 / 4, 319.5 / 4, 239.5 / 4))


def test_tum(site: Site, tmp_path: Path, small_camera: None) -> None:
    folder = tmp_path / "rgbd_dataset_room"
    times = 1305031102.175304 + np.arange(8) * 0.5
    names = [f"{time:.6f}" for time in times]
    poses = images(folder, 5000, names, "rgb")
    comment = "# depth maps\n# file: 'rgbd_dataset_room.bag'\n# timestamp filename\n"
    (folder / "depth.txt").write_text(
        comment + "".join(f"{name} depth/{name}.png\n" for name in [*names, "1305031999.0"])
    )
    (folder / "rgb.txt").write_text(
        comment + "".join(f"{float(name) + 0.01:.6f} rgb/{name}.png\n" for name in names)
    )
    lines = ["# ground truth trajectory\n# timestamp tx ty tz qx qy qz qw\n"]
    for time, pose in zip(times, poses, strict=True):
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        lines.append(f"{time:.4f} {' '.join(f'{n:.6f}' for n in numbers)}\n")
    lines.append(f"{times[-1] + 0.1:.4f} {' '.join(f'{n:.6f}' for n in numbers)}\n")
    (folder / "groundtruth.txt").write_text("".join(lines))
    assert is_rgbd(folder)
    views = list(posed_images(folder))
    assert len(views) >= 7  # the last of the list has no pose at its time
    (done,) = import_posed_folder(site, folder, "tum", views)
    scene = site.scene("tum_00")
    assert f"{len(views)} views fused" in done.note and len(scene.meta.views) >= 2
    assert np.median(off_surface(scene.cloud().xyz)) < 0.02
    assert scene.cloud().rgb is not None
    (folder / "groundtruth.txt").write_text("1.0 0 0 0 0 0 0 1\n2.0 0 0\n")
    with pytest.raises(InputError, match=r"groundtruth\.txt: line 2 has 3 of 8 columns"):
        list(posed_images(folder))
    (folder / "groundtruth.txt").write_text("1.0 0 0 0 0 0 0 1\n")
    with pytest.raises(InputError, match=r"no time of depth\.txt lies within"):
        list(posed_images(folder))


def test_redwood(site: Site, tmp_path: Path, small_camera: None) -> None:
    folder = tmp_path / "bedroom"
    poses = images(folder, 1000, [f"{number:06d}" for number in range(8)], "color")
    blocks = [
        f"{number} {number} {number + 1}\n"
        + "\n".join(" ".join(f"{value:.8f}" for value in row) for row in pose)
        for number, pose in enumerate(poses)
    ]
    (folder / "trajectory.log").write_text("\n".join(blocks) + "\n")
    assert is_rgbd(folder)
    (done,) = import_posed_folder(site, folder, "redwood", posed_images(folder))
    assert "8 views fused" in done.note
    assert np.median(off_surface(site.scene("redwood_00").cloud().xyz)) < 0.02
    (folder / "trajectory.log").write_text("\n".join(blocks[:-1]) + "\n")
    with pytest.raises(InputError, match="has 7 poses for 8 depth images"):
        list(posed_images(folder))
    (folder / "depth/000000.png").write_bytes(b"no image")
    (folder / "trajectory.log").write_text("\n".join(blocks) + "\n")
    with pytest.raises(InputError, match=r"000000\.png"):
        next(posed_images(folder)).cloud()


def test_other_folders(tmp_path: Path) -> None:
    assert labelled_scans(tmp_path) is None and not is_rgbd(tmp_path)
