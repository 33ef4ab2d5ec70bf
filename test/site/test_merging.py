"""Two sites become one: nothing is lost, nothing is doubled, contradictions are told."""

from pathlib import Path

import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.clicks import Click
from otoc_ros.site.merging import merge_site
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth


def click(name: str = "chair", place: float = 0.0, number: int = 0, source: str = "rviz") -> Click:
    return Click(position=(place, 0, 0), class_name=name, object=number, source=source)


@pytest.fixture
def other(site: Site, tmp_path: Path) -> Site:
    return Site.create(tmp_path / "other", "robot", site.config.classes, 0.05)


def test_sites_are_merged_by_id(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    other = Site.create(tmp_path / "other", "other", parse_classes("cup,wall:stuff"), 0.02)
    shifted = Cloud(cloud.xyz + 1, cloud.rgb)
    pose = np.diag([1.0, -1, -1, 1])
    both = click("cup")
    mine = site.add_scene("scan", cloud)
    mine.append_click(both)
    same = other.add_scene("renamed", cloud)
    theirs = click("wall")
    same.append_clicks([both, theirs])
    same.withdraw(both.id, "rviz")
    truth = Truth(np.arange(500) % 3 - 1, np.arange(500))
    new = other.add_scene("scan", shifted, split="val", truth=truth, views=[(cloud, pose)])
    new.append_click(click("cup"))

    done = list(merge_site(site, other))
    assert done == [("scan", 500, "2 new clicks"), ("scan_2", 500, "new, 1 new clicks")]
    assert mine.clicks() == [theirs]
    copied = site.scene("scan_2")
    assert copied.meta.split == "val"
    np.testing.assert_array_equal(copied.view_cloud(0).xyz, cloud.xyz)
    np.testing.assert_array_equal(copied.meta.views[0].pose, pose)
    names = [[c.name for c in s.config.classes] for s in (site, other)]
    for row, before in zip(copied.truth().semantic, truth.semantic, strict=True):
        assert (row == before == -1) or names[0][row] == names[1][before]
    assert [note for *_, note in merge_site(site, other)] == ["0 new clicks"] * 2
    assert len(site.scenes()) == 2


def test_site_with_other_classes_is_refused(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    other = Site.create(tmp_path / "other", "other", parse_classes("cup,sofa,sky:stuff"), 0.02)
    other.add_scene("scan", cloud)
    with pytest.raises(InputError, match=r"lacks: sofa:thing, sky:stuff; add them to .*site\.yaml"):
        list(merge_site(site, other))
    assert site.scenes() == []


def test_contradictions_are_told_and_both_kept(site: Site, other: Site, cloud: Cloud) -> None:
    nothing = Truth(np.zeros(500, int), np.zeros(500, int))
    mine = site.add_scene("scan", cloud, split="train", up=(0, 0, 1))
    theirs = other.add_scene("scan", cloud, split="val", truth=nothing)
    changed = click("cup", 1.0)
    mine.append_clicks([click("chair", 0.0, source="browser"), changed])
    theirs.append_clicks([click("wall", 0.02), changed.model_copy(update={"class_name": "chair"})])
    (done,) = merge_site(site, other)
    for line in (
        "1 new clicks",
        "split train here, val there",
        "up [0, 0, 1] here, estimated there",
        "is click cup at [1.0, 0.0, 0.0] (rviz) here, click chair at [1.0, 0.0, 0.0] (rviz) there",
        "chair at [0.0, 0.0, 0.0] (browser) here, click wall at [0.02, 0.0, 0.0] (rviz) there",
    ):
        assert line in done.note.replace("[0.0, 0.0, 1.0]", "[0, 0, 1]")
    assert {(c.class_name, c.source) for c in mine.clicks()} == {
        ("chair", "browser"),
        ("cup", "rviz"),
        ("wall", "rviz"),
    }
    assert site.scene("scan").meta.split == "train"
    assert len(mine.truth()) == 500  # only they had truth
    again = list(merge_site(site, other))
    assert again[0].note.startswith("0 new clicks")


def test_what_was_withdrawn_contradicts_nothing(site: Site, other: Site, cloud: Cloud) -> None:
    mine, theirs = (s.add_scene("scan", cloud) for s in (site, other))
    wrong = click("chair")
    mine.append_click(wrong)
    theirs.append_clicks([wrong, click("wall", 0.01)])
    theirs.withdraw(wrong.id, "rviz")
    (done,) = merge_site(site, other)
    assert done.note == "2 new clicks"
    assert [c.class_name for c in mine.clicks()] == ["wall"]


def test_objects_keep_apart(site: Site, other: Site, cloud: Cloud) -> None:
    """Both counted their chairs from 1; the robot's become others, and stay so."""
    mine, theirs = (s.add_scene("scan", cloud) for s in (site, other))
    mine.append_clicks([click(place=-1, number=1), click(place=-0.5, number=2)])
    robot = [click(place=1, number=1), click(place=1.5, number=4), click("wall", 0.5)]
    theirs.append_clicks(robot)
    list(merge_site(site, other))
    assert [c.object for c in mine.clicks()] == [1, 2, 5, 4, 0]
    theirs.append_clicks([click(place=1.05, number=1), click(place=0.8, number=2)])
    list(merge_site(site, other))
    assert [c.object for c in mine.clicks()] == [1, 2, 5, 4, 0, 5, 6]
    assert [c.object for c in theirs.clicks()] == [1, 4, 0, 1, 2]
