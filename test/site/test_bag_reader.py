"""Recordings of both storages, with and without zstd, are read without ROS."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from bags import STORE, message, write_bag
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.bag import cloud_topics, is_bag, read_bag

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3


@pytest.fixture
def clouds(cloud: Cloud) -> list[Cloud]:
    holes = cloud.xyz.copy()
    holes[::7] = np.nan
    return [Cloud(holes + number, cloud.rgb) for number in range(6)]


@pytest.mark.parametrize(
    "storage, compression",
    [
        (MCAP, CompressionMode.NONE),
        (MCAP, CompressionMode.STORAGE),
        (MCAP, CompressionMode.FILE),
        (SQLITE, CompressionMode.NONE),
        (SQLITE, CompressionMode.MESSAGE),
        (SQLITE, CompressionMode.FILE),
    ],
)
def test_clouds_come_back(
    tmp_path: Path, clouds: list[Cloud], storage: StoragePlugin, compression: CompressionMode
) -> None:
    path = write_bag(
        tmp_path / "bag", {"/points": clouds}, storage=storage, compression=compression
    )
    assert is_bag(path)
    read = list(read_bag(path))
    assert [stamped.stamp_ns for stamped in read] == [
        100_000_000_000 + n * 500_000_000 for n in range(6)
    ]
    for stamped, cloud in zip(read, clouds, strict=True):
        assert stamped.frame_id == "camera"
        np.testing.assert_array_equal(stamped.cloud.xyz, cloud.xyz)
        np.testing.assert_array_equal(stamped.cloud.rgb, cloud.rgb)


def test_bag_without_message_definitions(tmp_path: Path, clouds: list[Cloud]) -> None:
    path = write_bag(tmp_path / "bag", {"/points": clouds}, storage=SQLITE)
    with sqlite3.connect(next(path.glob("*.db3"))) as database:
        database.execute("DELETE FROM message_definitions")
    assert len(list(read_bag(path))) == 6


def test_storage_file_alone(tmp_path: Path, clouds: list[Cloud]) -> None:
    path = write_bag(tmp_path / "bag", {"/points": clouds})
    (path / "metadata.yaml").unlink()
    file = next(path.glob("*.mcap"))
    assert is_bag(file)
    assert len(list(read_bag(file))) == 6


def test_several_topics_are_listed(tmp_path: Path, clouds: list[Cloud]) -> None:
    path = write_bag(tmp_path / "bag", {"/front": clouds, "/rear": clouds[:1], "/silent": []})
    assert [(t.name, t.messages) for t in cloud_topics(path)] == [("/front", 6), ("/rear", 1)]
    assert cloud_topics(path)[0].rate == pytest.approx(2.0)
    with pytest.raises(
        InputError, match=r"several .*--topic: /front \(6 clouds, 2 Hz\), /rear \(1 clouds, 0 Hz\)"
    ):
        next(read_bag(path))
    assert len(list(read_bag(path, "/rear"))) == 1
    with pytest.raises(InputError, match="no clouds on topic /left; it has /front"):
        next(read_bag(path, "/left"))


def test_thinning_by_time(tmp_path: Path, clouds: list[Cloud]) -> None:
    path = write_bag(tmp_path / "bag", {"/points": clouds})
    seconds = [stamped.stamp_ns / 1e9 for stamped in read_bag(path, every=1.0)]
    assert seconds == [100.0, 101.0, 102.0]
    assert len(list(read_bag(path, every=0.7))) == 3
    assert len(list(read_bag(path, every=100))) == 1


def test_bag_without_clouds(tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=9) as writer:
        text = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE)
        said = STORE.types["std_msgs/msg/String"]("hello")
        writer.write(text, 1, STORE.serialize_cdr(said, "std_msgs/msg/String"))
    with pytest.raises(InputError, match="has no sensor_msgs/msg/PointCloud2 messages"):
        next(read_bag(tmp_path / "bag"))


@pytest.mark.parametrize("storage", [MCAP, SQLITE])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_bag_cut_short(
    tmp_path: Path, clouds: list[Cloud], storage: StoragePlugin, share: float
) -> None:
    path = write_bag(tmp_path / "bag", {"/points": clouds}, storage=storage)
    file = next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="bag") as caught:
        list(read_bag(path))
    assert "\n" not in str(caught.value)


def test_damaged_or_missing_metadata(tmp_path: Path, clouds: list[Cloud]) -> None:
    path = write_bag(tmp_path / "bag", {"/points": clouds})
    for content in ("", "[", "a: 1", "rosbag2_bagfile_information: {version: 99}"):
        (path / "metadata.yaml").write_text(content)
        with pytest.raises(InputError) as caught:
            cloud_topics(path)
        assert "\n" not in str(caught.value)
    for missing in (path / "none", tmp_path / "none.mcap"):
        with pytest.raises(InputError, match="cannot read"):
            cloud_topics(missing)


def test_malformed_message_is_named(tmp_path: Path, clouds: list[Cloud]) -> None:
    with Writer(tmp_path / "bag", version=9) as writer:
        topic = writer.add_connection("/points", "sensor_msgs/msg/PointCloud2", typestore=STORE)
        wrong = message(clouds[0], 5)
        wrong.width += 1
        wrong.row_step += wrong.point_step
        for stamp, cloud in ((1, message(clouds[0], 1)), (5, wrong)):
            writer.write(topic, stamp, STORE.serialize_cdr(cloud, topic.msgtype))
    with pytest.raises(InputError, match="message 1 of /points: the message holds 8000 bytes"):
        list(read_bag(tmp_path / "bag"))


def test_recorded_bag(recordings: Path) -> None:
    path = recordings / "tabletop_bag"
    (topic,) = cloud_topics(path)
    assert (topic.name, topic.messages) == ("/camera/depth/color/points", 8)
    assert topic.rate == pytest.approx(2.0)
    first = next(read_bag(path))
    assert first.frame_id == "camera_color_optical_frame"
    assert len(first.cloud) == 640 * 480
    finite = np.isfinite(first.cloud.xyz).all(axis=1)
    assert 0.5 < finite.mean() < 0.7
    assert 0.3 < np.median(first.cloud.xyz[finite, 2]) < 2.0
