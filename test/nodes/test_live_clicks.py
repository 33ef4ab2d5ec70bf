"""Clicks while driving, over real DDS, on the shipped bundle."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import Probe, Process, as_message
from sensor_msgs.msg import PointCloud2
from small_site import small_scene
from std_msgs.msg import String

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.pointcloud2 import read_fields
from otoc_ros.site.site import Site


def view(holes: float) -> Cloud:
    """The same scene, other points of it missing."""
    cloud, _ = small_scene(3)
    xyz = cloud.xyz.copy()
    xyz[np.random.default_rng(round(holes * 100)).random(len(xyz)) < holes] = np.nan
    return Cloud(xyz, cloud.rgb)


@pytest.fixture
def node(start_node: Any, probe: Probe) -> Process:
    probe.listen()
    process = start_node(autostart="true", reliability="reliable", sensor_rpy="[0.0, 0.0, 0.0]")
    probe.wait_active()
    return process


@pytest.fixture
def clicked() -> tuple[int, np.ndarray]:
    """A point on a box that the first view has, and the rows of all points of that box."""
    mine = np.flatnonzero(small_scene(3)[1].instance == 1)
    seen = mine[np.isfinite(view(0.1).xyz[mine, 0])]
    return int(seen[len(seen) // 2]), mine


def classes(message: PointCloud2) -> np.ndarray:
    return read_fields(message, ("class_id",))["class_id"].reshape(-1).astype(int)


def label(probe: Probe, cloud: Cloud) -> PointCloud2:
    """Publish a cloud and return its labels."""
    message = as_message(cloud)
    seen = len(probe.labels)
    probe.publish(message)
    return probe.wait(
        lambda: next((m for m in probe.labels[seen:] if m.header == message.header), None),
        "labels",
    )


def known(probe: Probe) -> list[str]:
    return [known["name"] for known in probe.infos[-1]["classes"]]


def test_a_click_corrects_teaches_and_is_kept(
    node: Process, probe: Probe, start_node: Any, clicked: tuple[int, np.ndarray], tmp_path: Path
) -> None:
    row, mine = clicked
    probe.wait(lambda: probe.infos, "the label info")
    before = known(probe)
    labels = label(probe, view(0.1))
    probe.click_class.publish(String(data="crate"))
    probe.wait(lambda: "crate" in _parameter(probe, "click_class"), "the class to be chosen")
    seen = len(probe.labels)
    probe.click(view(0.1).xyz[row] + [0, 0, 0.01])
    corrected = probe.wait(lambda: probe.labels[seen:], "the corrected cloud")[0]
    crate = len(before)
    assert corrected.header == labels.header
    assert classes(corrected)[row] == crate and crate not in classes(labels)
    probe.wait(lambda: known(probe) == [*before, "crate"], "the new label info")
    following = classes(label(probe, view(0.2)))
    assert (following[mine] == crate).mean() > 0.3  # recognised, not remembered by position

    probe.wait(lambda: "crate at" in node.log(), "the click to be on disk")
    site = Site.open(tmp_path / "ros" / "otoc_ros" / "site")
    (scene,) = site.scenes()
    (click,) = scene.clicks()
    assert click.class_name == "crate" and click.source == "rviz"
    np.testing.assert_allclose(click.position, view(0.1).xyz[row], atol=0.03)
    assert probe.status()[2]["clicks"] == "1"

    assert node.end(signal.SIGINT) == 0  # and after a restart
    probe.infos.clear()
    start_node(autostart="true", reliability="reliable", sensor_rpy="[0.0, 0.0, 0.0]")
    probe.wait_active()
    probe.wait(lambda: probe.infos and known(probe) == [*before, "crate"], "the label info")
    assert (classes(label(probe, view(0.2)))[mine] == crate).mean() > 0.3

    assert probe.trigger("reload_bundle").success
    assert crate in classes(label(probe, view(0.2)))
    seen = len(probe.labels)
    answer = probe.trigger("undo_click")
    assert answer.success and "crate" in answer.message
    undone = probe.wait(lambda: probe.labels[seen:], "the cloud without the correction")[0]
    assert crate not in classes(undone)
    probe.wait(lambda: known(probe) == before, "the label info without the class")
    assert scene.clicks() == [] and len(scene.events()) == 2
    assert not probe.trigger("undo_click").success

    answer = probe.trigger("save_scene")
    assert answer.success and len(site.scenes()) == 2, answer.message
    assert answer.message.endswith(site.scenes()[1].name) or answer.message.endswith(
        site.scenes()[0].name
    )


def test_clicks_that_mean_nothing_are_refused_with_a_reason(
    node: Process, probe: Probe, clicked: tuple[int, np.ndarray], tmp_path: Path
) -> None:
    point = view(0.1).xyz[clicked[0]]

    def refused(why: str) -> None:
        probe.wait(lambda: f"click refused: {why}" in node.log(), why)

    assert probe.set_string("click_class", "crate").successful
    probe.click(point)
    refused("no cloud was labelled")
    label(probe, view(0.1))
    probe.click(point + [0, 0, 3])
    refused("the click at")
    probe.click(point, frame="map")
    refused("the click is in frame 'map' and the clouds are in 'camera': set target_frame")
    assert probe.set_string("click_class", "").successful
    probe.click(point)
    refused("click_class is empty")
    values = probe.status()[2]
    assert values["clicks refused"] == "4" and values["clicks"] == "0"
    assert not (tmp_path / "ros" / "otoc_ros").exists()
    assert probe.trigger("save_scene").success  # needs no click


def _parameter(probe: Probe, name: str) -> str:
    from rcl_interfaces.srv import GetParameters

    answer = probe.call(GetParameters, "get_parameters", GetParameters.Request(names=[name]))
    return str(answer.values[0].string_value)
