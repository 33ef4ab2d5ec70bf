"""The place of what was clicked: found again from elsewhere, and not where the frame is carried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_site import small_scene

from otoc_ros.core.cloud import Cloud
from otoc_ros.perception import Corrections, Perception, Shown
from otoc_ros.perception.pipeline import SeenCloud

SHIPPED = Path(__file__).parents[2] / "bundle"
UP = np.array([0.0, 0.0, 1.0])


def seen_from(perception: Perception, cloud: Cloud, pose: np.ndarray) -> SeenCloud:
    """The cloud as a sensor at T_common_sensor measures it."""
    xyz = (cloud.xyz - pose[:3, 3]) @ pose[:3, :3]
    return perception.see(Cloud(xyz, cloud.rgb), pose[:3, :3].T @ UP)


def test_what_was_clicked_is_found_where_it_stands(tmp_path: Path) -> None:
    perception = Perception(SHIPPED)
    cloud, truth = small_scene(3)
    here = np.eye(4)
    there = np.array([[0.0, -1, 0, 2], [1, 0, 0, -1], [0, 0, 1, 0.3], [0, 0, 0, 1]])
    seen = seen_from(perception, cloud, here)
    labelled = perception.label(seen, perception.untaught, here)
    shown = Shown(1, "camera", 1, cloud, seen, labelled, here)
    corrections = Corrections(perception.untaught, "hash", tmp_path / "b", tmp_path / "s", 0.08)
    mine = truth.instance == 1
    row = np.flatnonzero(mine)[mine.sum() // 2]
    corrections.teach(corrections.understand(shown, cloud.xyz[row], "crate"))
    crate = len(perception.info.classes)

    moved = seen_from(perception, cloud, there)
    found = perception.label(moved, corrections.bank, there).class_id == crate
    # The face that was clicked; how much of an object that is, benchmarks/new_class.py measures.
    assert found[row] and found[mine].mean() > 0.2

    # Something of another colour stands there now.
    repainted = Cloud(cloud.xyz, np.where(mine[:, None], 255 - cloud.rgb, cloud.rgb))
    other = perception.label(seen_from(perception, repainted, there), corrections.bank, there)
    assert (other.class_id[mine] == crate).mean() < 0.05

    # Carried along: the same pose, the world ten metres farther on.
    drove = Cloud(cloud.xyz + np.float32([10, 0, 0]), cloud.rgb)
    looks = perception.label(seen_from(perception, drove, here), corrections.bank, here)
    alone = perception.label(seen_from(perception, drove, here), corrections.bank)
    np.testing.assert_array_equal(looks.class_id, alone.class_id)
