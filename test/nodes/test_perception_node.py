"""The live node over real DDS: labels, lifecycle, and everything a robot may do to it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from bags import write_bag
from lifecycle_msgs.msg import State, Transition
from live import PATIENCE, Probe, Process, as_message
from sensor_msgs.msg import PointCloud2, PointField
from small_site import small_scene
from visualization_msgs.msg import Marker

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.pointcloud2 import UNKNOWN_CLASS, decode_pointcloud2, read_fields

ACTIVE, INACTIVE = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_INACTIVE
UNCONFIGURED, FINALIZED = State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_FINALIZED


def scene(seed: int = 7) -> Cloud:
    """A scene the bundle knows, a tenth of its points missing."""
    cloud, _ = small_scene(seed)
    xyz = cloud.xyz.copy()
    xyz[np.random.default_rng(seed).random(len(xyz)) < 0.1] = np.nan
    return Cloud(xyz, cloud.rgb)


def label_points(message: PointCloud2) -> Any:
    return read_fields(message, ("class_id", "instance", "confidence")).reshape(-1)


def _by_stamp(messages: list[Any], count: int) -> dict[float, Any]:
    """Messages by the seconds of their stamps; empty while there are fewer than `count`."""
    headers = [m.markers[0].header if hasattr(m, "markers") else m.header for m in messages]
    stamps = [header.stamp.sec + header.stamp.nanosec * 1e-9 for header in headers]
    found = dict(zip(stamps, messages, strict=True))
    return found if len(found) >= count else {}


def play(start: Any, *arguments: str) -> Process:
    return start([sys.executable, "-m", "otoc_ros.nodes.play_clouds", *arguments])


def test_every_cloud_of_a_bag_is_labelled(
    serving: Process, start: Any, probe: Probe, tmp_path: Path, tiny_bundle: Path
) -> None:
    clouds = [scene(seed) for seed in (7, 8, 9)]
    bag = write_bag(tmp_path / "bag", {"/camera/points": clouds}, start=100.0)
    # In a loop: a machine under load drops clouds, as it should, and gets them again.
    player = play(start, str(bag), "--loop")
    labelled = probe.wait(lambda: _by_stamp(probe.labels, 3), "labels of all clouds")
    marked = probe.wait(lambda: _by_stamp(probe.markers, 3), "markers of all clouds")
    probe.wait(lambda: _by_stamp(probe.supervoxels, 3), "super-voxels of all clouds")
    assert player.end(signal.SIGINT) == 0, player.log()
    assert sorted(labelled) == [100.0, 100.5, 101.0]

    info = probe.infos[-1]
    assert [known["name"] for known in info["classes"]] == ["floor", "box", "ball"]
    colours = np.array([known["color"] for known in info["classes"]])
    for number, cloud in enumerate(clouds):
        labels = labelled[100 + 0.5 * number]
        assert labels.header.frame_id == "camera"
        sent = decode_pointcloud2(labels)
        np.testing.assert_array_equal(sent.xyz, cloud.xyz)
        points = label_points(labels)
        missing = np.isnan(cloud.xyz[:, 0])
        assert (points["class_id"][missing] == UNKNOWN_CLASS).all()
        assert (points["instance"][missing] == 0).all()
        known = points["class_id"][~missing]
        truth = small_scene(7 + number)[1].semantic[~missing]
        assert (known == truth).mean() > 0.75
        assert sent.rgb is not None
        np.testing.assert_array_equal(sent.rgb[~missing], colours[known])
        assert (points["confidence"][~missing] > 0).all()

        markers = marked[100 + 0.5 * number].markers
        assert markers[0].action == Marker.DELETEALL
        boxes = [marker for marker in markers if marker.ns == "box"]
        texts = [marker for marker in markers if marker.ns == "text"]
        assert {box.id for box in boxes} == set(points["instance"].tolist()) - {0}
        assert len(texts) == len(boxes) == (len(markers) - 1) / 2 > 0
        assert all(box.type == Marker.LINE_LIST and len(box.points) == 24 for box in boxes)
        assert all(text.text.split()[0] in ("box", "ball") for text in texts)
        for box in boxes:
            inside = cloud.xyz[points["instance"] == box.id]
            corners = np.array([[corner.x, corner.y, corner.z] for corner in box.points])
            assert (inside >= corners.min(0) - 0.06).all()
            assert (inside <= corners.max(0) + 0.06).all()
    _, _, values = probe.status()
    assert int(values["labelled"]) >= 3 and values["rejected"] == "0"
    assert values["bundle hash"] == info["bundle_hash"]


def test_objects_keep_their_ids_and_no_id_is_given_away(serving: Process, probe: Probe) -> None:
    whole = scene()

    def show(cloud: Cloud) -> tuple[Any, dict[int, tuple[float, float, float]]]:
        """Instances of the points, and the colour of each marker by id."""
        message = as_message(cloud)
        message.header.frame_id = f"camera_{len(probe.labels)}"
        probe.publish(message)

        def answers() -> Any:
            labels = [each for each in probe.labels if each.header == message.header]
            marked = [each for each in probe.markers if each.markers[0].header == message.header]
            return (labels[0], marked[0]) if labels and marked else None

        labels, marked = probe.wait(answers, "labels and markers")
        boxes = [marker for marker in marked.markers if marker.ns == "box"]
        colours = {box.id: (box.color.r, box.color.g, box.color.b) for box in boxes}
        return label_points(labels)["instance"], colours

    instance, colours = show(whole)
    assert len(colours) >= 2 and set(colours) == set(instance.tolist()) - {0}
    gone = min(colours)
    hidden = whole.xyz.copy()
    hidden[instance == gone] = np.nan
    left = show(Cloud(hidden, whole.rgb))[1]
    # Numbered anew in each cloud, every object that is left would now have another's id.
    assert set(colours) - {gone} <= set(left) and gone not in left
    back = show(whole)[1]
    assert back == colours
    assert probe.trigger("reload_bundle").success
    assert not set(show(whole)[1]) & (set(colours) | set(left))

    def told() -> set[str]:
        """Everything that any diagnostics said; stages are those of the clouds since the last."""
        return {pair.key for each in probe.diagnostics for pair in each.status[0].values}

    probe.wait(lambda: "identity mean [ms]" in told(), "the stage")


def test_the_recorded_bag_is_labelled(
    serving: Process, start: Any, probe: Probe, recordings: Path
) -> None:
    play(start, str(recordings / "tabletop_bag"), "--rate", "1", "--loop")
    for labels in probe.wait(lambda: _by_stamp(probe.labels, 8), "labels of 8 clouds").values():
        assert (labels.width, labels.height) == (640, 480)
        finite = np.isfinite(decode_pointcloud2(labels).xyz).all(axis=1)
        assert 0 < finite.sum() < finite.size
        unknown = label_points(labels)["class_id"] == UNKNOWN_CLASS
        np.testing.assert_array_equal(unknown, ~finite)


def test_lifecycle(start_node: Any, probe: Probe, tiny_bundle: Path) -> None:
    process = start_node(bundle="/nowhere", reliability="reliable")
    assert probe.state() == UNCONFIGURED
    assert probe.change(Transition.TRANSITION_CONFIGURE)
    assert not probe.set_string("reliability", "best_effort").successful  # read at configure
    assert not probe.change(Transition.TRANSITION_ACTIVATE)
    assert probe.state() == INACTIVE
    level, message, _ = probe.status()
    assert level == 2 and "/nowhere" in message

    assert probe.set_string("bundle", str(tiny_bundle)).successful
    probe.listen()
    for _ in range(2):  # everything released can be taken again
        assert probe.change(Transition.TRANSITION_ACTIVATE)
        assert probe.state() == ACTIVE
        probe.labels.clear()
        probe.publish(as_message(scene()))
        probe.wait(lambda: probe.labels, "labels")
        assert probe.change(Transition.TRANSITION_DEACTIVATE)
        probe.wait(lambda: not probe.points.get_subscription_count(), "the subscription to end")
    assert probe.change(Transition.TRANSITION_CLEANUP)
    assert probe.state() == UNCONFIGURED
    probe.wait(
        lambda: not probe.count_publishers("/perception_node/labels"), "the publishers to go"
    )
    assert probe.set_string("target_frame", "base_link").successful
    if not _tf2_installed():
        assert not probe.change(Transition.TRANSITION_CONFIGURE)
        assert "tf2_ros is not installed" in probe.status()[1]
    assert probe.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert probe.state() == FINALIZED
    assert process.end(signal.SIGINT) == 0


def _tf2_installed() -> bool:
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        return False
    return True


def test_a_transition_that_does_not_exist_costs_nothing(serving: Process, probe: Probe) -> None:
    from lifecycle_msgs.srv import ChangeState

    client = probe.create_client(ChangeState, "/perception_node/change_state")
    probe.wait(client.service_is_ready, "change_state")
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE  # it is active already
    client.call_async(request)
    probe.wait(lambda: "a request failed" in serving.log(), "the node's complaint")
    assert probe.state() == ACTIVE


def test_broken_clouds_are_counted_and_the_next_one_is_served(
    serving: Process, probe: Probe
) -> None:
    good = scene()
    empty, no_fields, all_nan, short, far = (as_message(good) for _ in range(5))
    empty.width, empty.row_step = 0, 0
    no_fields.fields = [PointField(name="intensity", offset=0, datatype=7, count=1)]
    all_nan = as_message(Cloud(np.full((9, 3), np.nan), np.zeros((9, 3))))
    short.data = short.data[:-100]
    far = as_message(Cloud(np.array([[0, 0, 0], [3e38, -3e38, 1e30]]), np.zeros((2, 3))))
    colourless = as_message(good)
    colourless.fields = colourless.fields[:3]
    for number, broken in enumerate((empty, no_fields, all_nan, short, far, no_fields), start=1):
        probe.publish(broken)
        probe.wait(lambda n=number: int(probe.status()[2]["rejected"]) == n, f"rejection {number}")
    probe.publish(colourless)
    probe.wait(lambda: probe.labels, "labels of a cloud without colour")
    values = probe.status()[2]
    assert values["rejected: malformed message"] == "3"
    assert values["rejected: unusable points"] == "3"
    assert serving.log().count("cloud rejected, malformed message") == 1  # once per kind
    assert serving.log().count("cloud rejected, unusable points") == 1


def test_no_inference_without_subscribers(start_node: Any, probe: Probe, tiny_bundle: Path) -> None:
    start_node(bundle=tiny_bundle, autostart="true", reliability="reliable")
    probe.wait_active()
    probe.publish(as_message(scene()))
    probe.wait(lambda: probe.status()[2].get("unwatched") == "1", "the cloud to be passed over")
    assert probe.status()[2]["labelled"] == "0"
    probe.listen()
    probe.wait(lambda: probe.count_subscribers("/perception_node/labels"), "the subscription")
    probe.publish(as_message(scene()))
    probe.wait(lambda: probe.labels, "labels")


def test_a_parameter_out_of_range_is_one_line(start_node: Any) -> None:
    process = start_node(threads=0)
    assert process.popen.wait(PATIENCE) == 2
    assert "threads" in process.log() and len(process.log().strip().splitlines()) == 1


def test_player_says_what_is_wrong_with_its_source(start: Any, tmp_path: Path) -> None:
    for source in (tmp_path / "missing", tmp_path):
        process = play(start, str(source))
        assert process.popen.wait(PATIENCE) == 2
        assert str(source) in process.log() and "Traceback" not in process.log()


def test_player_plays_a_folder_in_a_loop(start: Any, probe: Probe, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", xyz=np.zeros((5, 3), np.float32))
    np.savez(tmp_path / "b.npz", xyz=np.ones((7, 3), np.float32))
    heard: list[PointCloud2] = []
    probe.create_subscription(PointCloud2, "points", heard.append, 10)
    player = play(start, str(tmp_path), "--rate", "20", "--loop", "--frame", "room")
    probe.wait(lambda: len(heard) >= 5, "five clouds")
    assert [message.width for message in heard[:4]] == [5, 7, 5, 7]
    assert heard[0].header.frame_id == "room" and heard[0].header.stamp.sec > 0
    assert player.end(signal.SIGTERM) == 0
