"""Clouds come back from real files of every format; damaged files give one line, never a crash."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement
from pypcd4 import Encoding, PointCloud

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers import read_cloud, read_cloud_and_truth
from otoc_ros.site.readers.ply import ply_bytes


def same(read: Cloud, cloud: Cloud) -> None:
    np.testing.assert_array_equal(read.xyz, cloud.xyz)
    for ours, theirs in ((read.rgb, cloud.rgb), (read.normal, cloud.normal)):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)


def write_pcd(path: Path, cloud: Cloud, encoding: Encoding, rgb_type: type) -> Path:
    fields = ["x", "y", "z", "rgb"]
    red, green, blue = cloud.rgb.astype(np.uint32).T
    packed = (0xFF << 24 if rgb_type is np.uint32 else 0) | red << 16 | green << 8 | blue
    columns = [*cloud.xyz.T, packed.astype(np.uint32).view(rgb_type)]
    types: list[type] = [np.float32] * 3 + [rgb_type]
    if cloud.normal is not None:
        fields += ["normal_x", "normal_y", "normal_z"]
        columns += [*cloud.normal.T]
        types += [np.float32] * 3
    made = PointCloud.from_points(columns, fields, types)
    if encoding is Encoding.ASCII:  # pypcd4 rounds to 6 places, which a packed colour cannot bear
        text = "\n".join(" ".join(str(value) for value in row) for row in made.pc_data)
        path.write_text(made.metadata.compose_header(Encoding.ASCII) + text + "\n")
    else:
        made.save(path, encoding)
    return path


@pytest.mark.parametrize("rgb_type", [np.float32, np.uint32])
@pytest.mark.parametrize("encoding", list(Encoding)[:3])
def test_pcd(tmp_path: Path, cloud: Cloud, encoding: Encoding, rgb_type: type) -> None:
    path = write_pcd(tmp_path / "a.pcd", cloud, encoding, rgb_type)
    read = read_cloud(path)
    np.testing.assert_array_equal(read.rgb, cloud.rgb)
    tolerance = 1e-6 if encoding is Encoding.ASCII else 0
    np.testing.assert_allclose(read.xyz, cloud.xyz, atol=tolerance)
    np.testing.assert_allclose(read.normal, cloud.normal, atol=tolerance)


@pytest.mark.parametrize("count", [1, 2])
def test_pcd_as_written_by_hand(tmp_path: Path, count: int) -> None:
    lines = [
        "# made by hand",
        "VERSION .7",
        "FIELDS x y z",
        "SIZE 4 4 4",
        "TYPE F F F",
        "COUNT 1 1 1",
    ]
    lines += [
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        "DATA ascii",
    ]
    path = tmp_path / "a.PCD"
    path.write_text("\n".join([*lines, *["1.5 nan -2"] * count, ""]))
    same(read_cloud(path), Cloud(np.array([[1.5, np.nan, -2]] * count)))


def test_empty_pcd(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    none = Cloud(np.empty((0, 3)), np.empty((0, 3), np.uint8))
    same(read_cloud(write_pcd(path, none, Encoding.BINARY, np.float32)), none)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_ply_of_others(tmp_path: Path, text: bool, order: str) -> None:
    vertex = np.zeros(
        3, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("r", "u2"), ("g", "u2"), ("b", "u2")]
    )
    vertex["y"] = 1, 2, 3
    vertex["g"] = 0, 0x7F00, 0xFFFF
    face = np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))])
    elements = [PlyElement.describe(vertex, "vertex"), PlyElement.describe(face, "face")]
    PlyData(elements, text=text, byte_order="=" if text else order).write(tmp_path / "a.ply")
    read = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(read.xyz, [[0, 1, 0], [0, 2, 0], [0, 3, 0]])
    np.testing.assert_array_equal(read.rgb, [[0, 0, 0], [0, 0x7F, 0], [0, 0xFF, 0]])


def test_ply_with_colours_of_0_to_1(tmp_path: Path) -> None:
    vertex = np.zeros(2, [(name, "f4") for name in ("x", "y", "z", "red", "green", "blue")])
    vertex["red"] = 1, 0.5
    PlyData([PlyElement.describe(vertex, "vertex")]).write(tmp_path / "a.ply")
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.ply").rgb, [[255, 0, 0], [128, 0, 0]])


def test_ply_keeps_further_columns(tmp_path: Path, cloud: Cloud) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply_bytes(cloud, {"class": np.arange(500, dtype=np.int32)}))
    same(read_cloud(path), cloud)
    np.testing.assert_array_equal(PlyData.read(path)["vertex"]["class"], np.arange(500))


def test_npz(tmp_path: Path, cloud: Cloud) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, xyz=cloud.xyz, rgb=cloud.rgb, normal=cloud.normal, part=np.zeros(3))
    read, truth = read_cloud_and_truth(path)
    same(read, cloud)
    assert truth is None
    np.savez(path, xyz=cloud.xyz.astype(float), semantic=np.arange(500) % 3 - 1)
    read, truth = read_cloud_and_truth(path)
    same(read, Cloud(cloud.xyz))
    np.testing.assert_array_equal(truth.semantic, np.arange(500) % 3 - 1)
    np.testing.assert_array_equal(truth.instance, np.zeros(500))


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"rgb": np.zeros((5, 3), np.uint8)}, r"it has no array xyz \(it has: rgb\)"),
        ({"xyz": np.zeros((5, 2))}, r"xyz of a cloud has shape \(5, 2\)"),
        (
            {"xyz": np.zeros((5, 3)), "rgb": np.zeros((4, 3), np.uint8)},
            "rgb has 4 rows but xyz has 5",
        ),
        ({"xyz": np.zeros((5, 3)), "rgb": np.zeros((5, 3))}, "its rgb is float64"),
        ({"xyz": np.zeros((5, 3)), "semantic": np.zeros(4, int)}, "truth has 4 rows but xyz has 5"),
        ({"xyz": np.zeros((5, 3)), "semantic": np.zeros(5)}, "semantic is float64"),
        ({"xyz": np.array([[{}, 1, 2]], object)}, "allow_pickle|pickled"),
    ],
)
def test_npz_that_is_no_scan(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(tmp_path / "a.npz")
    assert str(tmp_path / "a.npz") in str(caught.value)


def npz_bytes(path: Path, cloud: Cloud) -> bytes:
    np.savez_compressed(path, xyz=cloud.xyz, rgb=cloud.rgb)
    return path.read_bytes()


def pcd_bytes(encoding: Encoding) -> Callable[[Path, Cloud], bytes]:
    return lambda path, cloud: write_pcd(path, cloud, encoding, np.float32).read_bytes()


FORMATS = {
    "ply": lambda path, cloud: ply_bytes(cloud),
    "npz": npz_bytes,
    "ascii.pcd": pcd_bytes(Encoding.ASCII),
    "binary.pcd": pcd_bytes(Encoding.BINARY),
    "compressed.pcd": pcd_bytes(Encoding.BINARY_COMPRESSED),
}


@pytest.mark.parametrize("name", FORMATS)
def test_missing_empty_or_cut_short(tmp_path: Path, cloud: Cloud, name: str) -> None:
    path = tmp_path / f"a.{name}"
    data = FORMATS[name](path, cloud)
    path.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"cannot read .*: No such file or directory$"):
        read_cloud(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_cloud(path)
    for share in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError) as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_pcd_cut_at_the_end_of_a_point(tmp_path: Path, cloud: Cloud) -> None:
    path = write_pcd(tmp_path / "a.pcd", cloud, Encoding.BINARY, np.float32)
    path.write_bytes(path.read_bytes()[: -10 * 28])
    with pytest.raises(InputError, match="holds 490 of the 500 points its header promises"):
        read_cloud(path)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), data=st.data())
def test_damaged_bytes_give_a_cloud_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    rng = np.random.default_rng(0)
    cloud = Cloud(rng.random((20, 3)), rng.integers(0, 256, (20, 3)))
    path = tmp_path_factory.mktemp("damaged") / f"a.{name}"
    content = bytearray(FORMATS[name](path, cloud))
    for _ in range(data.draw(st.integers(1, 8))):
        # Mostly in the header, where damage does most.
        at = data.draw(
            st.integers(0, min(300, len(content)) - 1) | st.integers(0, len(content) - 1)
        )
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_cloud(path)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.stl"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("points")
    with pytest.raises(InputError, match=r"give \.ply, \.pcd, \.npz"):
        read_cloud(tmp_path / name)
    with pytest.raises(InputError, match="is not a file"):
        read_cloud(tmp_path)


def test_recorded_scans(recordings: Path) -> None:
    office = read_cloud(recordings / "scans/office_corner.pcd")
    assert len(office) == 640 * 480
    assert np.isfinite(office.xyz).all(axis=1).sum() == 259_847
    assert 50 < office.rgb.mean() < 200
    room = read_cloud(recordings / "scans/living_room_fragment.pcd")
    assert len(room) == 113_662
    np.testing.assert_allclose(np.linalg.norm(room.normal, axis=1), 1, atol=1e-3)
    table, truth = read_cloud_and_truth(recordings / "tabletop/learn3.npz")
    assert truth is None and table.rgb.shape == table.xyz.shape


def test_large_ply_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply_bytes(Cloud(np.zeros((300_000, 3)), np.zeros((300_000, 3), np.uint8))))
    begin = time.process_time()
    assert len(read_cloud(path)) == 300_000
    assert time.process_time() - begin < 1.0  # value by value it takes several seconds
