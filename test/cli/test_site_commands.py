"""The commands that make a site and fill it, as a person types them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from bags import write_bag
from drives import bodies, write_drive

from otoc_ros.cli import main
from otoc_ros.core.cloud import Cloud
from otoc_ros.site.bundle import BundleInfo, write_bundle
from otoc_ros.site.readers.ply import ply_bytes
from otoc_ros.site.site import Site


class Otoc:
    """Runs a command in this process; `said` is what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, status: int = 0) -> str:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        printed = self.capsys.readouterr()
        assert caught.value.code == status, printed.err
        if status:
            assert printed.err.startswith("otoc: ") and printed.err.count("\n") == 1
        else:
            assert printed.err == ""
        return printed.err if status else printed.out


@pytest.fixture
def otoc(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Otoc:
    monkeypatch.setenv("COLUMNS", "200")
    return Otoc(capsys)


@pytest.fixture
def path(tmp_path: Path, otoc: Otoc) -> Path:
    otoc("site", tmp_path / "site", "--classes", "wall:stuff,chair,cup", "--voxel-size", 0.04)
    return tmp_path / "site"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A wall and two chairs, with truth."""
    rng = np.random.default_rng(0)
    boxes = [((0, 0, 0), (0.02, 3, 2), 3000), ((1, 0, 0), (1.5, 0.5, 1), 500)]
    boxes.append(((1, 2, 0), (1.5, 2.5, 1), 500))
    xyz = np.concatenate([rng.uniform(low, high, (count, 3)) for low, high, count in boxes])
    number = np.repeat(np.arange(3), [count for *_, count in boxes])
    np.savez(tmp_path / "my room.npz", xyz=xyz, semantic=(number > 0).astype(int), instance=number)
    return tmp_path / "my room.npz"


def test_site(otoc: Otoc, path: Path) -> None:
    config = Site.open(path).config
    assert (config.name, config.voxel_size) == ("site", 0.04)
    assert [(c.name, c.kind) for c in config.classes] == [
        ("wall", "stuff"),
        ("chair", "thing"),
        ("cup", "thing"),
    ]
    assert "is a site already" in otoc("site", path, "--classes", "a", status=2)
    assert "kind 'b'" in otoc("site", path / "new", "--classes", "a:b", status=2)
    assert not (path / "new").exists()


def test_import_click_and_look(otoc: Otoc, path: Path, scan: Path) -> None:
    said = otoc("import", path, scan, "--up", "z", "--split", "val")
    assert said.startswith("my_room: 4,000 points; new; up [0.0, 0.0, 1.0], given, see ")
    scene = Site.open(path).scene("my_room")
    assert (scene.meta.split, scene.meta.up) == ("val", (0, 0, 1))
    assert "3 clicks in 1 scenes, 0.3 minutes" in otoc("simulate-clicks", path, "--seed", 5)
    clicks = scene.clicks()
    assert [click.class_name for click in clicks] == ["wall", "chair", "chair"]
    again = otoc("simulate-clicks", path, "--seed", 6)
    assert "0 clicks in 0 scenes" in again and "1 scenes have clicks already" in again
    assert scene.clicks() == clicks
    shown = otoc("info", path)
    assert "my_room" in shown and "1 scenes, 3 clicks, 0.3 minutes of a person's time" in shown
    shown = otoc("info", path / "scenes" / "my_room")
    assert "scene my_room (val) from my room.npz" in shown and "3,000" in shown
    assert "truth: 2 classes, 2 objects" in otoc("info", scan)


def test_import_of_a_bag(otoc: Otoc, path: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clouds = [Cloud(rng.random((100, 3)), np.zeros((100, 3))) for _ in range(4)]
    bag = write_bag(tmp_path / "bag", {"/front": clouds, "/rear": clouds[:2]})
    assert "choose one with --topic: /front (4 clouds, 2 Hz), /rear" in otoc(
        "import", path, bag, status=2
    )
    said = otoc("import", path, bag, "--topic", "/front", "--every", 1.0, "--name", "drive")
    assert said == "drive_0000: 100 points; new\ndrive_0001: 100 points; new\n"
    assert "/front" in otoc("info", bag) and "/rear" in otoc("info", next(bag.glob("*.mcap")))


def test_fused_import_of_a_bag(otoc: Otoc, path: Path, tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", bodies(12))
    said = otoc("import", path, bag, "--fuse", "tf", "--name", "round", "--split", "val")
    assert "round_00: " in said and "12 views fused" in said and "z of frame odom" in said
    assert "see " in said and "up.png" in said
    shown = otoc("info", path / "scenes" / "round_00")
    assert "scene round_00 (val) from bag, /points: 12 views fused" in shown
    assert "raw views" in shown
    assert "was there already" in otoc("import", path, bag, "--fuse", "tf", "--name", "round")
    shown = otoc("info", bag)
    assert "tf2_msgs/msg/TFMessage" in shown and "sensor_msgs/msg/PointCloud2" in shown
    assert "no clouds on topic /rear; it has /points" in otoc(
        "import", path, bag, "--fuse", "tf", "--topic", "/rear", status=2
    )
    still = write_drive(tmp_path / "still", bodies(6), tf=False)
    assert "no transform moves 'optical'" in otoc("import", path, still, "--fuse", "tf", status=2)
    assert "need --fuse" in otoc("import", path, bag, "--size", 9, status=2)


def test_odometry_names_its_extra(
    otoc: Otoc, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "small_gicp", None)
    bag = write_drive(tmp_path / "bag", bodies(3), tf=False)
    said = otoc("import", path, bag, "--fuse", "odometry", status=2)
    assert "small_gicp is not installed; pip install 'otoc_ros[import]'" in said


def test_import_of_a_data_set(otoc: Otoc, path: Path, tmp_path: Path) -> None:
    room = tmp_path / "Area_1" / "office_2" / "Annotations"
    room.mkdir(parents=True)
    (room / "chair_1.txt").write_text("0 0 0 1 2 3\n1 1 1 4 5 6\n")
    assert "Area_1_office_2: 2 points; new" in otoc("import", path, tmp_path / "Area_1")
    assert "z is up in it" in otoc("import", path, tmp_path / "Area_1", "--up", "y", status=2)
    assert "are for bags" in otoc("import", path, tmp_path / "Area_1", "--topic", "a", status=2)


def test_import_of_a_site(otoc: Otoc, path: Path, scan: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    otoc("site", other, "--classes", "wall:stuff,chair")
    otoc("import", other, scan)
    otoc("simulate-clicks", other)
    assert "3 new clicks" in otoc("import", path, other)
    assert "lacks: cup:thing" in otoc("import", other, path, status=2)
    assert "do not apply to another site" in otoc("import", path, other, "--up", "z", status=2)


def test_import_of_what_is_none(otoc: Otoc, path: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.ply").touch()
    (tmp_path / "cut.ply").write_bytes(ply_bytes(Cloud(np.zeros((100, 3))))[:300])
    for source, message in (
        (tmp_path / "none.ply", "No such file or directory"),
        (
            tmp_path / "folder",
            "neither a rosbag2 (metadata.yaml), nor a site (site.yaml), nor a folder of TUM",
        ),
        (tmp_path / "empty.ply", "is empty (0 bytes)"),
        (tmp_path / "cut.ply", "cut.ply as PLY: element 'vertex'"),
        (path / "site.yaml", "give .ply, .pcd, .npz"),
    ):
        assert message in otoc("import", path, source, status=2)
    assert "axis 'up'" in otoc("import", path, scan, "--up", "up", status=2)
    assert "are for bags" in otoc("import", path, scan, "--topic", "/a", status=2)
    assert "use letters" in otoc("import", path, scan, "--name", "../a", status=2)
    assert list((path / "scenes").iterdir()) == []


def test_nothing_to_click(otoc: Otoc, path: Path, scan: Path, tmp_path: Path) -> None:
    assert "no scenes with ground truth" in otoc("simulate-clicks", path, status=2)
    otoc("import", path, scan)
    assert "that match 'x*'" in otoc("simulate-clicks", path, "--scenes", "x*", status=2)


def test_info_of_a_bundle(otoc: Otoc, path: Path, tmp_path: Path) -> None:
    config = Site.open(path).config
    about = BundleInfo(
        name="kitchen",
        classes=config.classes,
        preprocessing={"voxel_size": 0.05},
        levels=5,
        opset=17,
    )
    write_bundle(tmp_path / "bundle", about, {"unet.onnx": b"network"})
    shown = otoc("info", tmp_path / "bundle")
    assert "bundle kitchen, U-Net of 5 levels, opset 17" in shown and "unet.onnx" in shown
    (tmp_path / "bundle" / "unet.onnx").write_bytes(b"netwerk")
    assert "is not the file that was exported" in otoc("info", tmp_path / "bundle", status=2)


def test_recordings(otoc: Otoc, path: Path, recordings: Path) -> None:
    office = recordings / "scans/office_corner.pcd"
    assert "259,847 of them finite" in otoc("info", office)
    assert "47,353 missing returns left out" in otoc("import", path, office, "--up", "-y")
    said = otoc("import", path, recordings / "tabletop_bag", "--split", "val", "--every", 1.5)
    assert said.count("missing returns left out") == 3
    assert len(Site.open(path).scenes(split="val")) == 3
