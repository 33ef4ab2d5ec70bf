"""LAS, LAZ and E57 files, written by the libraries that everyone uses."""

from pathlib import Path

import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers import read_cloud
from otoc_ros.site.readers.survey import survey_origin

UTM = np.array([500_123.0, 5_400_456.0, 210.0])


def write_las(path: Path, xyz: np.ndarray, rgb: np.ndarray | None) -> Path:
    laspy = pytest.importorskip("laspy", reason="needs otoc_ros[import]")
    header = laspy.LasHeader(point_format=3 if rgb is not None else 1, version="1.2")
    header.offsets, header.scales = xyz.min(0), np.full(3, 0.001)
    file = laspy.LasData(header)
    file.x, file.y, file.z = xyz.T
    if rgb is not None:
        file.red, file.green, file.blue = rgb.T
    file.write(path)
    return path


@pytest.mark.parametrize("ending", ["las", "laz"])
def test_las(tmp_path: Path, cloud: Cloud, ending: str) -> None:
    xyz, wide = cloud.xyz.astype(np.float64), cloud.rgb.astype(np.uint16) << 8
    read = read_cloud(write_las(tmp_path / f"a.{ending}", xyz, wide))
    np.testing.assert_allclose(read.xyz, xyz, atol=0.0006)
    np.testing.assert_array_equal(read.rgb, cloud.rgb)
    # Bytes where the standard asks for 16 bits; no colour at all.
    read = read_cloud(write_las(tmp_path / f"b.{ending}", xyz, cloud.rgb.astype(np.uint16)))
    np.testing.assert_array_equal(read.rgb, cloud.rgb)
    assert read_cloud(write_las(tmp_path / f"c.{ending}", xyz, None)).rgb is None


def test_map_coordinates_keep_their_millimetres(tmp_path: Path, cloud: Cloud) -> None:
    xyz = cloud.xyz.astype(np.float64) + UTM
    read = read_cloud(write_las(tmp_path / "a.las", xyz, None))
    assert survey_origin(cloud.xyz).tolist() == [0, 0, 0]
    np.testing.assert_allclose(read.xyz + survey_origin(xyz), xyz, atol=0.001)


def test_damaged_las(tmp_path: Path, cloud: Cloud) -> None:
    path = write_las(tmp_path / "a.las", cloud.xyz.astype(np.float64), None)
    data = path.read_bytes()
    for share in (0.01, 0.5, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match=r"a\.las") as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value)


def test_e57(tmp_path: Path, cloud: Cloud) -> None:
    pye57 = pytest.importorskip("pye57", reason="needs otoc_ros[import]")
    path = tmp_path / "a.e57"
    file = pye57.E57(str(path), mode="w")
    names = ("cartesianX", "cartesianY", "cartesianZ", "colorRed", "colorGreen", "colorBlue")
    columns = [*cloud.xyz.astype(np.float64).T, *cloud.rgb.T]
    data = dict(zip(names, columns, strict=True))
    file.write_scan_raw(data)
    half_turn = np.array([0.0, 0.0, 0.0, 1.0])  # w x y z: about z
    file.write_scan_raw(data, rotation=half_turn, translation=np.array([10.0, 0, 0]))
    file.close()
    read = read_cloud(path)
    np.testing.assert_allclose(read.xyz[:500], cloud.xyz, atol=1e-5)
    np.testing.assert_allclose(read.xyz[500:], cloud.xyz * [-1, -1, 1] + [10, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(read.rgb, np.concatenate([cloud.rgb] * 2))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.e57 as E57"):
        read_cloud(path)
