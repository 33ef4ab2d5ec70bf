"""A scan as the page shows it, and what lights up."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from box_site import CENTRE, SIDE

from otoc_ros.annotate import scan as scans
from otoc_ros.annotate.clip import EVERYWHERE, within
from otoc_ros.annotate.paint import VIEWS, WRONG, Look, base_colors, tint
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
    row = scan.picker.result().pick((0.1, 0.1, 5), (0, 0, -1))
    assert row is not None and scan.xyz[row, 2] == pytest.approx(SIDE, abs=0.02)
    assert scan.scene_position(row)[1] == pytest.approx(-SIDE, abs=0.02)


def test_few_points_are_spread_evenly(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(scan.order) == list(range(len(scan.xyz)))
    monkeypatch.setattr(scans, "MOST_DRAWN", 2000)
    drawn = scan.drawn(EVERYWHERE)
    voxel = voxelize(scan.xyz, 0.05).voxel_of_point
    assert len(drawn) == len(np.unique(voxel[drawn])) == 2000  # no voxel twice
    assert (scan.drawn(EVERYWHERE, most=500) == drawn[:500]).all()  # the first picture


def test_an_object_lights_up_from_one_click(scan: Scan, site: Site) -> None:
    segments = scan.segments.result()
    clicks = [
        Click(position=ON_BOX, class_name="ball", object=1, source="browser"),
        Click(position=ON_FLOOR, class_name="floor", source="browser"),
        Click(position=ON_BOX, class_name="box", object=2, source="browser"),  # the later one holds
    ]
    lit = segments.light(clicks, site.config.classes)
    assert lit.label[segments.at(ON_BOX)] == 1 and lit.label[segments.at(ON_FLOOR)] == 0
    assert np.flatnonzero(lit.said).tolist() == sorted(map(segments.at, (ON_BOX, ON_FLOOR)))
    of_point = lit.label[segments.of_point]
    high = scan.xyz[:, 2] > 0.1
    assert (of_point[high] == 1).mean() > 0.9  # the box up to its foot, and …
    assert (of_point[~high] == 1).mean() < 0.1  # … not the floor,
    assert (of_point[~high] == 0).mean() > 0.8  # which is all one surface
    assert lit.of_click(clicks[2].id).sum() == (lit.owner == 2).sum() > 1


def test_not_this_and_accepted_places(scan: Scan, site: Site) -> None:
    segments = scan.segments.result()
    box = Click(position=ON_BOX, class_name="box", object=1, source="browser")
    grown = segments.light([box], site.config.classes)
    low = next(
        row
        for row in np.flatnonzero(grown.label == 1)
        if row != segments.at(ON_BOX) and segments.center[row, 2] < 0.3
    )
    place = scan.scene_position(int(segments.some_point(np.array([low]))[0]))
    assert segments.at(place) == low
    no = Click(kind="exclude", position=place, class_name="box", object=1, source="browser")
    assert segments.light([box, no], site.config.classes).label[low] == -1
    yes = Click(kind="accept", position=place, class_name="ball", object=2, source="browser")
    lit = segments.light([box, no, yes], site.config.classes)
    assert lit.label[low] == 2 and lit.said[low] and lit.owner[low] == -1


def test_tint_is_strongest_where_it_should(scan: Scan) -> None:
    grey = np.full((3, 3), 100, np.float32)
    colors = np.array([[0, 255, 0], [255, 0, 0]], np.uint8)
    painted = tint(grey, np.array([-1, 1, 0]), np.array([0.9, 0.9, 0.5], np.float32), colors)
    assert painted.tolist() == [[100, 100, 100], [239, 10, 10], [50, 177, 50]]


def test_every_view_with_and_without_colour(scan: Scan, site: Site) -> None:
    segments = scan.segments.result()
    ids = segments.of_point
    clicks = [Click(position=ON_BOX, class_name="box", object=1, source="browser")]
    owner = segments.light(clicks, site.config.classes).owner[ids]
    colors = np.array([known.color for known in site.config.classes], np.uint8)
    share = np.linspace(0, 1, len(ids)).astype(np.float32)
    known = {
        "normal": segments.normal[segments.voxel_of_point],
        "supervoxel": ids,
        "object": owner,
        "believed": ids % 3,
        "confidence": share,
        "pseudo": ids % 4 - 1,
        "pseudo_confidence": share,
        "truth": ids % 3,
    }
    pictures = {}
    for view in VIEWS:
        for rgb in (scan.rgb, None):
            painted = base_colors(view, Look(scan.xyz[:, 2], rgb, **known), colors)
            assert painted.shape == scan.xyz.shape and painted.dtype == np.float32
            assert painted.min() >= 0 and painted.max() <= 255
        pictures[view] = base_colors(view, Look(scan.xyz[:, 2], scan.rgb, **known), colors)
        nothing = base_colors(view, Look(scan.xyz[:, 2], scan.rgb), colors)
        assert nothing.shape == scan.xyz.shape
    assert len({picture.tobytes() for picture in pictures.values()}) == len(VIEWS)
    red = (pictures["errors"] == WRONG).all(axis=1)
    assert (red == ((ids % 4 - 1 >= 0) & (ids % 4 - 1 != ids % 3))).all()
    assert len(base_colors("height", Look(scan.xyz[:0, 2]), colors)) == 0


def test_what_is_in_sight_is_drawn_first(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "MOST_DRAWN", 2000)
    seen = scan.xyz[:, 0] > 1
    drawn = scan.drawn(EVERYWHERE, seen)
    assert len(drawn) == len(np.unique(drawn)) == 2000
    assert seen[drawn].sum() == 1700
    box = ((-1, 1), (-1, 1), (0.5, 2))
    assert within(scan.xyz[scan.drawn(box)], box).all()
