"""A site comes back from disk as it was made; what is wrong in one is said in one line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import distinct_color, parse_classes
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth


def test_scene_comes_back(site: Site, cloud: Cloud) -> None:
    truth = Truth(np.arange(500) % 4 - 1, np.arange(500))
    pose = np.eye(4)
    pose[:3, 3] = 1, 2, 3
    site.add_scene(
        "scan", cloud, split="val", up=(0, 0, 2), source="a bag", truth=truth, views=[(cloud, pose)]
    )
    opened = Site.open(site.path)
    assert opened.config == site.config
    (scene,) = opened.scenes()
    assert (scene.name, scene.meta.split, scene.meta.up) == ("scan", "val", (0, 0, 1))
    for read in (scene.cloud(), scene.view_cloud(0)):
        np.testing.assert_array_equal(read.xyz, cloud.xyz)
        np.testing.assert_array_equal(read.rgb, cloud.rgb)
        np.testing.assert_array_equal(read.normal, cloud.normal)
    np.testing.assert_array_equal(scene.truth().semantic, truth.semantic)
    np.testing.assert_array_equal(scene.truth().instance, truth.instance)
    np.testing.assert_array_equal(scene.meta.views[0].pose, pose)
    np.testing.assert_allclose(scene.meta.bounds, [cloud.xyz.min(0), cloud.xyz.max(0)])


def test_scenes_are_sorted_and_chosen(site: Site, cloud: Cloud) -> None:
    for name, split in (("b", "val"), ("a1", "train"), ("a0", "val")):
        site.add_scene(name, cloud, split=split)
    (site.path / "scenes" / ".a9.tmp").mkdir()  # left by a killed import
    assert [scene.name for scene in site.scenes()] == ["a0", "a1", "b"]
    assert [scene.name for scene in site.scenes("a*")] == ["a0", "a1"]
    assert [scene.name for scene in site.scenes(split="val")] == ["a0", "b"]
    assert site.scenes("c*") == []


def test_clicks_of_a_scene(site: Site, cloud: Cloud) -> None:
    scene = site.add_scene("scan", cloud)
    click = Click(position=(0, 0, 0), class_name="chair", object=3, source="rviz", seconds=2.5)
    scene.append_click(click)
    assert site.scene("scan").clicks() == [click]
    scene.withdraw(click.id, "browser")
    assert scene.clicks() == []
    assert len(scene.events()) == 2
    with pytest.raises(InputError, match="has no click"):
        scene.withdraw(click.id, "browser")


def test_click_of_unknown_class_or_outside_the_cloud(site: Site, cloud: Cloud) -> None:
    scene = site.add_scene("scan", cloud)
    far, below = (Click(position=(0, 0, z), class_name="chair", source="rviz") for z in (50, -3))
    odd = Click(position=(0, 0, 0), class_name="sofa", source="rviz")
    with pytest.raises(InputError, match=r"scan: position \[0.0, 0.0, 50.0\] lies outside"):
        scene.append_click(far)
    with pytest.raises(InputError, match=r"position \[0.0, 0.0, -3.0\] lies outside"):
        scene.append_click(below)
    with pytest.raises(InputError, match="unknown class 'sofa'; the site has wall, chair, cup"):
        scene.append_click(odd)
    assert not scene.clicks_path.exists()
    scene.clicks_path.write_text(odd.model_dump_json(by_alias=True) + "\n")
    with pytest.raises(InputError, match=r"clicks\.jsonl: click .*unknown class 'sofa'"):
        scene.clicks()


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("taken", {}, "has a scene taken already"),
        ("../up", {}, "use letters"),
        (".hidden", {}, "use letters"),
        ("new", {"cloud": Cloud(np.full((5, 3), np.nan))}, "no finite point"),
        ("new", {"cloud": Cloud(np.empty((0, 3)))}, "no finite point"),
        ("new", {"up": (0, 0, 0)}, "up is"),
        ("new", {"truth": Truth(np.zeros(3, int), np.zeros(3, int))}, "3 rows but the cloud 500"),
        ("new", {"truth": Truth(np.full(500, 3), np.zeros(500, int))}, "classes 0 to 2"),
    ],
)
def test_scene_that_does_not_fit(
    site: Site, cloud: Cloud, name: str, change: dict, message: str
) -> None:
    site.add_scene("taken", cloud)
    before = sorted(site.path.rglob("*"))
    with pytest.raises(InputError, match=message):
        site.add_scene(name, **{"cloud": cloud, **change})
    assert sorted(site.path.rglob("*")) == before


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("format: 1", "format: 2\nnews: 1", r"site\.yaml is of format 2, from a newer otoc_ros"),
        ("kind: stuff", "kind: stuf", r"site\.yaml: classes\.0\.kind: .*'stuff' \(it is 'stuf'\)"),
        ("voxel_size: 0.05", "voxel_size: -1", r"site\.yaml: voxel_size: .*greater than 0"),
        ("voxel_size: 0.05", "voxel_size: .nan", r"site\.yaml: voxel_size: .*finite"),
        ("name: kitchen", "name: kitchen\nhat: 1", r"site\.yaml: hat: Extra inputs"),
        ("name: cup", "name: chair", r"site\.yaml: classes: class chair is listed twice"),
        ("name: kitchen", "name: [kitchen", r"site\.yaml line \d+ is not YAML"),
        ("voxel_size", "voxel_siz", r"site\.yaml: voxel_size: Field required and 1 more problem$"),
    ],
)
def test_damaged_site_file(site: Site, old: str, new: str, message: str) -> None:
    path = site.path / "site.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        Site.open(site.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 5000, b"- 1\n"])
def test_rubbish_as_site_file(site: Site, data: bytes) -> None:
    (site.path / "site.yaml").write_bytes(data)
    with pytest.raises(InputError) as caught:
        Site.open(site.path)
    assert "\n" not in str(caught.value)


def test_scan_or_truth_that_was_changed(site: Site, cloud: Cloud) -> None:
    truth = Truth(np.zeros(500, int), np.zeros(500, int))
    scene = site.add_scene("scan", cloud, truth=truth)
    site.add_scene("other", cloud.take(np.arange(400)))
    (scene.path / "scan.ply").write_bytes((site.path / "scenes/other/scan.ply").read_bytes())
    with pytest.raises(InputError, match=r"has 400 points but scene\.yaml says 500"):
        scene.cloud()
    np.savez(scene.path / "truth.npz", semantic=np.zeros(400, int), instance=np.zeros(400, int))
    with pytest.raises(InputError, match="truth has 400 rows"):
        scene.truth()
    (scene.path / "truth.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match=r"cannot read .*truth\.npz"):
        scene.truth()


def test_site_is_not_made_over_something(site: Site, tmp_path: Path) -> None:
    classes = parse_classes("chair")
    with pytest.raises(InputError, match="is a site already"):
        Site.create(site.path, "s", classes, 0.05)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        Site.create(tmp_path / "home", "s", classes, 0.05)
    with pytest.raises(InputError, match="voxel_size"):
        Site.create(tmp_path / "new", "s", classes, 0)
    with pytest.raises(InputError, match="listed twice"):
        Site.create(tmp_path / "new", "s", parse_classes("a,a"), 0.05)
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match=r"it has no site\.yaml"):
        Site.open(tmp_path / "home")


def test_class_list() -> None:
    kinds = [
        (known.name, known.kind) for known in parse_classes(" wall:stuff, office chair ,cup:thing,")
    ]
    assert kinds == [("wall", "stuff"), ("office chair", "thing"), ("cup", "thing")]
    for text, message in (("", "no classes"), (" , ", "no classes"), ("wall:stuf", "kind 'stuf'")):
        with pytest.raises(InputError, match=message):
            parse_classes(text)
    with pytest.raises(InputError, match="name"):
        parse_classes(":stuff")


@given(st.integers(0, 200))
def test_nearby_classes_have_different_colours(row: int) -> None:
    ours = np.array(distinct_color(row))
    for other in range(max(0, row - 8), row):
        assert np.abs(ours - distinct_color(other)).sum() > 40


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-1e4, 1e4, width=32, allow_nan=False)] * 3), min_size=1, max_size=20
    )
)
def test_any_points_come_back(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float, float]]
) -> None:
    site = Site.create(tmp_path_factory.mktemp("s") / "site", "s", parse_classes("a"), 0.05)
    scene = site.add_scene("scan", Cloud(np.array(points, np.float32)))
    np.testing.assert_array_equal(scene.cloud().xyz, np.array(points, np.float32))


def test_two_who_add_classes_do_not_lose_each_others(site: Site) -> None:
    crate, jar = (info.model_copy(update={"kind": "stuff"}) for info in parse_classes("crate,jar"))
    site.with_class(crate)
    both = site.with_class(jar)  # by one who has not heard of the first
    assert both.config.classes == (*site.config.classes, crate, jar)
    assert both.with_class(crate).config == Site.open(site.path).config == both.config
