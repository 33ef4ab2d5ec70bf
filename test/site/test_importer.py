"""Scans and other sites come into a site once, however often they are imported."""

from pathlib import Path

import numpy as np
import pytest
from bags import write_bag

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.importer import import_bag, import_cloud, parse_axis
from otoc_ros.site.site import Site


def test_cloud_with_holes_and_truth(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    xyz = cloud.xyz.copy()
    xyz[::10] = np.nan
    np.savez(tmp_path / "a.npz", xyz=xyz, rgb=cloud.rgb, semantic=np.arange(500) % 3)
    for note in ("new, 50 missing returns left out", "was there already"):
        done = import_cloud(site, tmp_path / "a.npz", "a", split="dev", up=(0, 1, 0))
        assert done[:2] == ("a", 450)
        assert (
            done.note == f"{note}; up [0.0, 1.0, 0.0], given, see {site.path / 'scenes/a/up.png'}"
        )
    (scene,) = site.scenes()
    kept = np.isfinite(xyz).all(1)
    np.testing.assert_array_equal(scene.cloud().xyz, xyz[kept])
    np.testing.assert_array_equal(scene.truth().semantic, (np.arange(500) % 3)[kept])
    assert (scene.meta.split, scene.meta.up, scene.meta.source) == ("dev", (0, 1, 0), "a.npz")


def test_another_scan_of_the_same_name_is_refused(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", xyz=cloud.xyz)
    import_cloud(site, tmp_path / "a.npz", "a")
    np.savez(tmp_path / "a.npz", xyz=cloud.xyz + 1)
    with pytest.raises(InputError, match="another scan called a; choose a name with --name"):
        import_cloud(site, tmp_path / "a.npz", "a")


def test_cloud_that_does_not_fit(site: Site, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", xyz=np.zeros((5, 3)), semantic=np.full(5, 7))
    with pytest.raises(InputError, match=r"a\.npz: semantic holds 7 to 7 but the site has classes"):
        import_cloud(site, tmp_path / "a.npz", "a")
    np.savez(tmp_path / "b.npz", xyz=np.full((5, 3), np.nan))
    with pytest.raises(InputError, match="no finite point"):
        import_cloud(site, tmp_path / "b.npz", "b")
    assert site.scenes() == []


def test_bag_becomes_one_scene_a_message(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    nothing = Cloud(np.full((500, 3), np.nan), cloud.rgb)
    clouds = [cloud, nothing, Cloud(cloud.xyz + 1, cloud.rgb)]
    bag = write_bag(tmp_path / "bag", {"/points": clouds})
    notes = [done.note for done in import_bag(site, bag, "drive", split="val", up=(0, 0, 1))]
    assert notes == ["new", "left out: no finite point", "new"]
    assert [scene.name for scene in site.scenes(split="val")] == ["drive_0000", "drive_0002"]
    assert site.scene("drive_0002").meta.source == "bag at 101.000 s in camera"
    again = [done.note for done in import_bag(site, bag, "drive")]
    assert again == ["was there already", "left out: no finite point", "was there already"]
    every = [done.scene for done in import_bag(site, bag, "thin", every=1.0)]
    assert every == ["thin_0000", "thin_0001"]


def test_axes() -> None:
    assert parse_axis("-y") == (0, -1, 0)
    assert parse_axis("+Z") == parse_axis("z") == (0, 0, 1)
    for text in ("", "w", "--y", "xy"):
        with pytest.raises(InputError, match="is not known"):
            parse_axis(text)
