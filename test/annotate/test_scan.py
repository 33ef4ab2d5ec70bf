"""A scan as the page shows it, and what lights up."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from box_site import CENTRE, SIDE

from otoc_ros.annotate import scan as scans
from otoc_ros.annotate.paint import VIEWS, base_colors, tint
from otoc_ros.annotate.scan import Scan
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.voxels import voxelize
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site

ON_BOX = tuple(CENTRE + [0, 0, SIDE])
ON_FLOOR = tuple(CENTRE + [1.2, 0, 0])


@pytest.fixture
def scan(site: Site) -> Scan:
    with ThreadPoolExecutor(1) as background:
        return Scan.load(site.scene("a"), 0.05, background)


def test_upright_and_centred(scan: Scan, site: Site) -> None:
    assert np.percentile(scan.xyz[:, 2], 1) == pytest.approx(0, abs=0.01)
    assert np.abs(scan.xyz[:, :2].mean(0)).max() < 0.1
    cloud = site.scene("a").cloud()
    for row in (0, len(scan.xyz) - 1):
        assert scan.scene_position(row) == tuple(cloud.xyz[row].tolist())
        shown = scan.shown_position(scan.scene_position(row))
        assert shown == pytest.approx(scan.xyz[row], abs=1e-4)


def test_a_tilted_camera_view_with_holes_is_shown_upright(site: Site) -> None:
    upright = site.scene("a").cloud()
    xyz = (upright.xyz - CENTRE.astype(np.float32))[:, [0, 2, 1]] * np.float32([1, -1, 1])
    xyz[::7] = np.nan
    scene = site.add_scene("tilted", Cloud(xyz, upright.rgb), up=(0, -1, 0))
    with ThreadPoolExecutor(1) as background:
        scan = Scan.load(scene, 0.05, background)
    assert len(scan.xyz) == np.isfinite(xyz).all(1).sum()
    row = scan.picker.pick((0.1, 0.1, 5), (0, 0, -1))
    assert row is not None and scan.xyz[row, 2] == pytest.approx(SIDE, abs=0.02)
    assert scan.scene_position(row)[1] == pytest.approx(-SIDE, abs=0.02)


def test_few_points_are_spread_evenly(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(scan.order) == list(range(len(scan.xyz)))
    monkeypatch.setattr(scans, "MOST_DRAWN", 2000)
    drawn = scan.drawn(np.inf)
    voxel = voxelize(scan.xyz, 0.05).voxel_of_point
    assert len(drawn) == len(np.unique(voxel[drawn])) == 2000  # no voxel twice
    assert (scan.xyz[scan.drawn(0.5), 2] <= 0.5).all()


def test_clicked_supervoxel_lights_up_and_no_other(scan: Scan) -> None:
    segments = scan.segments.result()
    clicks = [
        Click(position=ON_BOX, class_name="ball", object=1, source="browser"),
        Click(position=ON_FLOOR, class_name="floor", source="browser"),
        Click(position=ON_BOX, class_name="box", object=2, source="browser"),  # the later one holds
        Click(kind="exclude", position=ON_BOX, class_name="floor", source="browser"),
    ]
    label = segments.light(clicks, {"floor": 0, "box": 1, "ball": 2})
    assert label[segments.at(ON_BOX)] == 1 and label[segments.at(ON_FLOOR)] == 0
    assert (label >= 0).sum() == 2
    of_point = label[segments.of_point]
    grey = np.full((len(of_point), 3), 100, np.float32)
    colors = np.array([[0, 255, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    painted = tint(grey, of_point, of_point == 1, colors)
    assert (painted[of_point < 0] == 100).all()
    assert (painted[of_point == 1] == [239, 10, 10]).all()
    assert (painted[of_point == 0, 1] > 150).all()
    assert scan.xyz[of_point == 1, 2].min() > 0.1


def test_every_view_with_and_without_colour(scan: Scan) -> None:
    height = scan.xyz[:, 2]
    ids = scan.segments.result().of_point
    pictures = {}
    for view in VIEWS:
        for rgb in (scan.rgb, None):
            painted = base_colors(view, height, rgb, ids)
            assert painted.shape == scan.xyz.shape and painted.dtype == np.float32
            assert painted.min() >= 0 and painted.max() <= 255
        pictures[view] = base_colors(view, height, scan.rgb, ids).tobytes()
    assert len(set(pictures.values())) == len(VIEWS)
    assert base_colors("super-voxels", height, scan.rgb, None).tobytes() == pictures["colour"]
    assert len(base_colors("height", height[:0], None, None)) == 0
