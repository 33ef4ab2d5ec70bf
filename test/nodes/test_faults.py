"""What sensors, operators and disks do to a node that is left running, over real DDS.

OTOC_FUZZ sets how many random messages the node looks at (100), OTOC_SUBSCRIBERS how often
subscribers come and go (20); before a release they are 10000 and 200.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import random_message
from live import Probe, Process, as_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from small_site import small_scene

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.bundle import open_bundle, write_bundle

MESSAGES = int(os.environ.get("OTOC_FUZZ", "100"))
SUBSCRIBERS = int(os.environ.get("OTOC_SUBSCRIBERS", "20"))
BURST = 60


def label(probe: Probe, frame: str, stamp: int | None = None) -> None:
    """Publish a sound cloud, and wait for its labels, at every point."""
    message = as_message(small_scene(7)[0])
    message.header.frame_id = frame
    if stamp is not None:
        message.header.stamp.sec = stamp
    probe.publish(message)

    def labels() -> PointCloud2 | None:
        return next((each for each in probe.labels if each.header == message.header), None)

    answer = probe.wait(labels, f"labels of {frame}")
    assert (answer.height, answer.width) == (message.height, message.width)


def test_random_messages_do_no_harm(serving: Process, probe: Probe) -> None:
    rng = np.random.default_rng(0)
    looked_at = burst = 0
    # A busy computer drops most clouds unseen, so it goes on until enough were looked at.
    while looked_at < MESSAGES:
        probe.labels.clear()
        for _ in range(BURST):
            probe.publish(random_message(rng))
            time.sleep(0.05)  # faster than that the node drops most of them unseen
        burst += 1
        label(probe, f"after burst {burst}")
        for labels in probe.labels:
            assert len(labels.data) == labels.width * labels.height * labels.point_step
        values = probe.status()[2]
        sound = burst  # clouds of `label`
        before = looked_at
        looked_at = int(values["rejected"]) + int(values["labelled"]) - sound
        assert looked_at > before, f"nothing was looked at in burst {burst}: {values}"
    assert serving.popen.poll() is None
    assert "failure" not in serving.log() and "Traceback" not in serving.log(), serving.log()
    print(f"{values['received']} messages received, {looked_at} looked at: {values}")


def test_a_silent_sensor_is_told_and_comes_back(
    start_node: Any, probe: Probe, tiny_bundle: Path
) -> None:
    probe.listen()
    start_node(bundle=tiny_bundle, autostart="true", reliability="reliable", silence_limit=2.0)
    probe.wait_active()
    label(probe, "before")
    probe.wait(lambda: "no cloud for" in probe.status()[1], "the warning")
    assert probe.status()[0] == 1
    label(probe, "after")
    probe.wait(lambda: int(probe.status()[2]["labelled"]) == 2, "the count")


def test_the_clock_may_jump_back(start_node: Any, probe: Probe, tiny_bundle: Path) -> None:
    """As when a recording starts again under use_sim_time."""
    clock = probe.create_publisher(Clock, "/clock", 10)
    probe.listen()
    process = start_node(
        bundle=tiny_bundle, autostart="true", reliability="reliable", use_sim_time="true"
    )
    probe.wait_active()
    probe.wait(clock.get_subscription_count, "the node to listen to the clock")
    for number, seconds in enumerate((1000, 1001, 5)):
        message = Clock()
        message.clock.sec = seconds
        clock.publish(message)
        label(probe, f"round {number}", stamp=seconds)
    probe.wait(lambda: int(probe.status()[2]["labelled"]) == 3, "diagnostics to go on")
    assert "Traceback" not in process.log()


def test_subscribers_come_and_go(start_node: Any, probe: Probe, tiny_bundle: Path) -> None:
    process = start_node(bundle=tiny_bundle, autostart="true", reliability="reliable")
    probe.wait_active()
    name = "/perception_node/labels"
    for _ in range(SUBSCRIBERS):
        subscription = probe.create_subscription(PointCloud2, name, probe.labels.append, 5)
        probe.publish(as_message(small_scene(7)[0]))
        probe.destroy_subscription(subscription)
    probe.labels.clear()
    probe.create_subscription(PointCloud2, name, probe.labels.append, 5)

    def labelled_again() -> list[PointCloud2]:
        probe.publish(as_message(small_scene(7)[0]))  # until the node knows its last subscriber
        return probe.labels

    probe.wait(labelled_again, "labels for the last subscriber")
    assert process.popen.poll() is None and "Traceback" not in process.log()


def test_reload_serves_the_old_bundle_until_the_new_one_is_verified(
    start_node: Any, probe: Probe, tiny_bundle: Path, tmp_path: Path
) -> None:
    import onnx

    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    probe.listen()
    start_node(bundle=bundle, autostart="true", reliability="reliable")
    probe.wait_active()
    old = probe.status()[2]["bundle hash"]

    def cut_short(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:1000])

    def swapped(path: Path) -> None:
        path.write_bytes((bundle / "relation.onnx").read_bytes())

    for spoil in (cut_short, swapped, Path.unlink):
        spoil(bundle / "unet.onnx")
        answer = probe.trigger("reload_bundle")
        assert not answer.success and "unet.onnx" in answer.message
        label(probe, f"old bundle, the file is {spoil.__name__}")
    shutil.rmtree(bundle)
    assert str(bundle) in probe.trigger("reload_bundle").message
    label(probe, "old bundle, the new one is gone")
    assert probe.status()[2]["bundle hash"] == old

    opened = open_bundle(tiny_bundle)
    files = {name: opened.read(name) for name in opened.info.files}
    model = onnx.load_from_string(files["propagator.onnx"])
    model.doc_string = "another one"
    files["propagator.onnx"] = model.SerializeToString()
    write_bundle(bundle, opened.info, files)
    answer = probe.trigger("reload_bundle")
    assert answer.success, answer.message
    assert probe.status()[2]["bundle hash"] != old
    probe.wait(lambda: probe.infos[-1]["bundle_hash"] != old, "the new label info")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well_in_the_middle_of_inference(
    serving: Process, probe: Probe, number: int
) -> None:
    rng = np.random.default_rng(0)
    large = Cloud(rng.uniform(-20, 20, (400_000, 3)), rng.integers(0, 256, (400_000, 3)))
    probe.publish(as_message(large))
    probe.wait(lambda: int(probe.status()[2]["received"]) == 1, "the cloud to arrive")
    begin = time.monotonic()
    assert serving.end(number) == 0
    assert time.monotonic() - begin < 5
    assert "Traceback" not in serving.log()
