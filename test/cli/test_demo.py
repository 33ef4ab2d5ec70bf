"""The demo: its pictures, its page, its bag, and its failure where a stage delivers nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress
from scipy.sparse import coo_matrix

from offline_training.demo import run as demo
from offline_training.demo.bag import FRAME, stamps, write_bag
from offline_training.demo.live import LiveCloud, LiveRun
from offline_training.demo.material import Material
from offline_training.demo.page import Bar, figures, page, table
from offline_training.demo.palette import NO_OBJECT, neighbour_colors, object_colors
from offline_training.demo.recordings import VAL_FRAMES, real_material
from offline_training.demo.run import DemoSize, run_demo
from offline_training.demo.splat import View, rasterize
from offline_training.demo.viewpoint import direction, fitted
from offline_training.settings import preset
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.bundle import open_bundle
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.readers.bag import read_bag
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

ROOT = Path(__file__).parents[2]
OTOC = [sys.executable, "-c", "from otoc_ros.cli import main; main()"]
QUIET = Progress(disable=True)

LEVEL = View(np.array([0, -3.0, 0]), np.zeros(3), np.array([0, 0, 1.0]), 60.0, (80, 60))


def plate(y: float, half: float) -> np.ndarray:
    """A square across the view, at a distance."""
    x, z = np.meshgrid(np.linspace(-half, half, 60), np.linspace(-half, half, 60))
    return np.column_stack([x.ravel(), np.full(x.size, y), z.ravel()])


def test_a_picture_shows_what_is_nearest_where_it_is() -> None:
    near, far = plate(-1.0, 0.3), plate(1.0, 1.0)
    raster = rasterize(np.concatenate([near, far]), None, LEVEL, 0.03)
    colors = np.repeat(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), 3600, axis=0)
    picture = np.asarray(raster.paint(colors, shade=0.0))
    assert picture.shape == (60, 80, 4)
    assert picture[30, 40].tolist() == [255, 0, 0, 255]
    place = LEVEL.project(np.array([[0.8, 1.0, 0.8]]))[0][0]
    right, up = round(place[0]), round(place[1])
    assert right > 40 and up < 30  # x is to the right, z is up
    assert picture[up, right].tolist() == [0, 0, 255, 255]
    assert picture[0, 0, 3] == 0  # nothing there


def test_light_and_relief_darken_but_keep_the_colour() -> None:
    points = np.concatenate([plate(-1.0, 0.3), plate(1.0, 1.0)])
    flat = np.tile([0, -1.0, 0], (len(points), 1))
    colors = np.full((len(points), 3), 200, np.uint8)
    lit = np.asarray(rasterize(points, flat, LEVEL, 0.03).paint(colors))
    seen = lit[..., 3] == 255
    assert lit[seen][:, 0].max() < 200 and lit[seen][:, 0].min() > 40
    rim = lit[30, 22:58, 0]  # across the border of the near plate: darker than both plates
    assert rim.min() < min(lit[30, 40, 0], lit[30, 24, 0]) - 10


def test_a_view_shows_all_of_a_scene() -> None:
    box = np.random.default_rng(0).uniform([0, 0, 0], [6, 2, 1], (4000, 3))
    for azimuth in (0.3, 2.0, 4.5):
        view = fitted(box, direction(azimuth, 0.8), 36.0, (300, 200))
        pixel, depth = view.project(box)
        low, high = np.percentile(pixel, [1, 99], axis=0)
        assert (depth > 0).all() and (low > 0).all() and (high < [300, 200]).all()
        assert ((high - low) / [300, 200]).max() > 0.85  # and no farther away than that takes


def test_neighbours_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.integers(0, 200, (2, 600))
    one, two = one[one != two], two[one != two]
    colors = neighbour_colors(coo_matrix((np.ones(len(one)), (one, two)), shape=(200, 200)).tocsr())
    assert (colors[one] != colors[two]).any(axis=1).all()
    assert len(np.unique(colors, axis=0)) > 10


def test_objects_take_the_colour_of_the_truth_they_cover() -> None:
    truth = np.repeat([0, 1, 2, 3], 50).astype(np.int32)
    found = np.repeat([0, 3, 1, 1], 50).astype(np.int32)  # 2 and 3 were taken for one
    xyz = np.arange(200)[:, None] * np.array([0.1, 0, 0])
    true, shown = object_colors(truth, xyz), object_colors(found, xyz, truth)
    assert shown[0].tolist() == list(NO_OBJECT)
    assert (shown[60] == true[60]).all()
    assert (shown[120] == true[120]).all() or (shown[120] == true[170]).all()
    assert (shown[120] == shown[170]).all()


def test_the_bag_holds_what_the_camera_saw(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clouds = []
    for _ in range(2):
        xyz = rng.normal(size=(12, 3)).astype(np.float32)
        xyz[rng.random(12) < 0.3] = np.nan
        clouds.append(Cloud(xyz, rng.integers(0, 256, (12, 3)).astype(np.uint8)))
    assert write_bag(tmp_path / "bag", ((cloud, (3, 4)) for cloud in clouds)) == 2
    for message, cloud, stamp in zip(read_bag(tmp_path / "bag"), clouds, stamps(), strict=False):
        np.testing.assert_array_equal(message.cloud.xyz, cloud.xyz)
        np.testing.assert_array_equal(message.cloud.rgb, cloud.rgb)
        assert message.stamp_ns == stamp and message.frame_id == FRAME
    with pytest.raises(InputError, match="12 points is no coloured image of 4 x 4"):
        write_bag(tmp_path / "wrong", [(clouds[0], (4, 4))])


def test_a_page_needs_nothing_but_itself() -> None:
    picture = Image.new("RGBA", (4, 3), (255, 0, 0, 128))
    rows = [["a <b>", Bar("50 %", 0.5)], ["sum", "1"]]
    made = page("x & y", [figures([(picture, "A & B", "one")]), table("T", ["c", "d"], rows)])
    assert_self_contained(made)
    assert "<title>x &amp; y</title>" in made and "a &lt;b&gt;" in made
    assert "--share:50.0%" in made


def assert_self_contained(made: str) -> None:
    assert not re.search(r'(src|href)\s*=\s*"(?!data:image/png;base64,)', made)
    assert not re.search(r"https?://|@import|url\(|<script|<link", made)
    assert "prefers-color-scheme: dark" in made


@pytest.fixture
def blind(trained_site: Site, tiny_bundle: Path, tmp_path: Path) -> Material:
    """A camera without a single return."""
    cloud = Cloud(np.full((12, 3), np.nan), np.zeros((12, 3)))
    write_bag(tmp_path / "bag", [(cloud, (3, 4))] * 2)
    truth = dict.fromkeys(message.stamp_ns for message in read_bag(tmp_path / "bag"))
    return Material("", "", trained_site, tmp_path / "bag", truth, ("", ""), False)


def test_a_node_that_publishes_nothing_is_a_failure(
    blind: Material, tiny_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy")
    with pytest.raises(InputError, match="published no labelled cloud"):
        demo.play(blind, open_bundle(tiny_bundle), tmp_path / "live", QUIET)


def test_a_node_that_does_not_start_is_a_failure(
    blind: Material, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_of_nobody")
    with pytest.raises(InputError, match="ended with status 1"):
        demo.play(blind, open_bundle(tiny_bundle), tmp_path / "live", QUIET)


@pytest.mark.parametrize(
    ("seconds", "rates"), [(0.01, [2.0, 0.5]), (0.8, [0.5, 0.25]), (5.0, [0.25])]
)
def test_where_a_cloud_is_lost_the_bag_is_played_once_more_and_slower(
    blind: Material,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    rates: list[float],
) -> None:
    """However fast this machine is: transport loses clouds, too. None can be lost on purpose."""
    played = []

    def lose_one(bundle: Path, bag: Path, count: int, folder: Path, rate: float, _: Any) -> LiveRun:
        folder.mkdir(parents=True)
        played.append(rate)
        none = np.zeros(12, np.int32)
        cloud = LiveCloud(0, (3, 4), none, none, none.astype(np.float32), [])
        return LiveRun(rate, [cloud], 1, [])

    monkeypatch.setattr(demo, "run_live", lose_one)
    monkeypatch.setattr(demo, "seconds_a_cloud", lambda *_: seconds)
    monkeypatch.setattr(LiveRun, "stages", lambda _: {"unet": {}})
    found = demo.play(blind, open_bundle(tiny_bundle), tmp_path / "live", QUIET)
    assert played == rates
    assert found.rate == rates[-1]


def test_a_site_without_objects_is_a_failure(tmp_path: Path) -> None:
    site = Site.create(tmp_path / "site", "bare", parse_classes("box,ball"), 0.05)
    unknown = Truth(np.full(30, -1, np.int32), np.zeros(30, np.int32))
    site.add_scene("bare", Cloud(np.random.default_rng(0).random((30, 3))), truth=unknown)
    with pytest.raises(InputError, match="nothing to click on"):
        demo.click(site, 0)


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from otoc_ros.cli import main; main()",
            "demo",
            *map(str, arguments),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = run("--output", tmp_path, OTOC_DATA="")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "thesis.tex" in done.stderr and (tmp_path / "thesis.tex").exists()
    (tmp_path / "data").mkdir()
    done = run("--output", tmp_path / "new", OTOC_DATA=str(tmp_path / "data"))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "tabletop_bag" in done.stderr


def test_the_recordings_are_read(recordings: Path, tmp_path: Path) -> None:
    material = real_material(recordings, tmp_path, QUIET)
    assert len(material.site.scenes(split="val")) == len(VAL_FRAMES)
    assert len(material.site.scenes(split="train")) == 33
    assert len(material.truth_at) == 8
    for message in read_bag(material.bag):
        truth = material.truth_at[message.stamp_ns]
        assert truth is not None
        finite = np.isfinite(message.cloud.xyz).all(axis=1)
        assert (truth.semantic[finite] >= 0).mean() > 0.95
        assert (truth.semantic[~finite] == -1).all()
        assert (truth.instance[truth.semantic == 0] == 0).all()
        assert (truth.instance[truth.semantic == 1] > 0).all()


def test_the_whole_demo(tmp_path: Path) -> None:
    """Small networks, few steps: every part delivers, though it has learnt little."""
    pytest.importorskip("rclpy")
    training = preset("tiny").model_copy(
        update={"width": 8, "levels": 3, "rounds": 1, "steps": 15, "max_voxels": 6000}
    )
    size = DemoSize(train=1, val=1, clouds=3, training=training)
    told: list[str] = []
    facts = run_demo(tmp_path / "demo", None, 0, "otoc demo", QUIET, told.append, size)
    assert len(told) == len(facts["stages"]) == 7

    live = facts["live"]
    # A machine that others keep busy may drop some; the node says how many.
    assert live["sent"] == 3 and 1 <= live["received"] <= 3 and live["rejected"] == 0
    assert live["labelled"] == live["received"] - live["dropped"] >= 1
    assert live["markers"] == live["scored"] == live["labelled"]
    assert live["miou"] is not None
    assert {"supervoxels", "unet", "propagation", "total"} <= set(live["stages"])
    for times in live["stages"].values():
        assert 0 <= times["median"] <= times["p95"]
    assert facts["minutes"] == pytest.approx(facts["clicks"] * 6 / 60, abs=0.01)
    assert json.loads((tmp_path / "demo" / "report.json").read_text()) == as_json(facts)

    made = (tmp_path / "demo" / "report.html").read_text()
    assert_self_contained(made)
    assert made.count("data:image/png;base64,") == 16
    assert "data are simulated" in made
    for stage in facts["stages"]:
        assert stage["name"] in made
    for name in ("Input and clicks", "Super-voxels", "Classes found", "Objects found", "U-Net"):
        assert name in made
    with Image.open(tmp_path / "demo" / "pictures" / "demo.png") as picture:
        assert picture.width == 1500
    assert (tmp_path / "demo" / "pictures" / "demo.png").stat().st_size < 400_000


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
