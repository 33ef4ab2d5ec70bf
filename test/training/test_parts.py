"""A very large scan is trained on in parts; a small one as ever."""

import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site, small_scene

from offline_training import scenes
from offline_training.labels import object_paths
from offline_training.one_by_one import OneByOne
from offline_training.rounds import preprocessing
from offline_training.samples import Targets, draw_batch, labelled_parts
from offline_training.scene_store import SceneStore
from offline_training.scenes import load_scene
from offline_training.self_training import train_site
from offline_training.settings import preset
from otoc_ros.core.cloud import Cloud
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.truth import Truth

QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 2, "steps": 4, "max_voxels": 3000}
)


@pytest.fixture
def street(tmp_path):
    """A site with four small scenes side by side as one, 17 m long."""
    site = make_small_site(tmp_path / "site", train=0, val=0)
    found = [small_scene(row) for row in range(4)]
    xyz = [cloud.xyz + np.float32([4.3 * row, 0, 0]) for row, (cloud, _) in enumerate(found)]
    instance = [
        np.where(truth.instance > 0, truth.instance + 10 * row, 0)
        for row, (_, truth) in enumerate(found)
    ]
    scene = site.add_scene(
        "street",
        Cloud(np.concatenate(xyz), np.concatenate([cloud.rgb for cloud, _ in found])),
        up=(0, 0, 1),
        truth=Truth(
            np.concatenate([truth.semantic for _, truth in found]), np.concatenate(instance)
        ),
    )
    scene.append_clicks(simulate_clicks(scene, site.config, scene_rng(0, "street")))
    return site


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(scenes, "MOST_VOXELS", 6000)
    monkeypatch.setattr(scenes, "OVERLAP", 8)


def test_parts_hold_every_point_of_the_whole_and_overlap(street, few, monkeypatch):
    scene = street.scenes()[0]
    parts = load_scene(scene, preprocessing(street)).parts
    assert isinstance(parts, OneByOne) and len(parts) >= 3
    monkeypatch.setattr(scenes, "MOST_VOXELS", 10**9)
    (whole,) = load_scene(scene, preprocessing(street)).parts
    seen = np.zeros(int(whole.voxel.max()) + 1, int)
    for part in parts:
        assert np.ptp(part.xyz[:, 0]) < 0.6 * np.ptp(whole.xyz[:, 0])
        assert part.density == pytest.approx(len(part.xyz) / len(np.unique(part.voxel)), rel=0.05)
        seen[np.unique(part.voxel)] += 1
    # Thinning begins at another corner and leaves a voxel at a border empty here and there.
    assert (seen > 0).mean() > 0.95 and (seen > 1).any()
    assert sum(len(part.xyz) for part in parts) > 0.9 * len(whole.xyz)


def test_crops_come_from_the_parts_that_are_taught(street, few, tmp_path):
    loaded = load_scene(street.scenes()[0], preprocessing(street))
    store = SceneStore(tmp_path, ["street"], preprocessing(street))
    store.write_scene(0, loaded, object_paths(loaded))
    scene = store.scene(0)
    x = scene.prepared.xyz[:, 0]
    label = np.where(x < 3, 0, -1).astype(np.int32)
    targets = Targets(label, (label >= 0).astype(np.float32), np.full((len(x), 3), np.nan, "f4"))
    taught = labelled_parts(scene, targets)
    assert 0 < len(taught) < len(scene.parts)
    for row in taught:
        batch = draw_batch(
            [scene.only(row)], [targets], preprocessing(street), 1, 2, 1500, 0.0, 0.0,
            np.random.default_rng(row), torch.device("cpu"),
        )  # fmt: skip
        assert 500 < len(batch.features) <= 1500


def test_a_site_of_one_large_scan_is_trained_to_the_same_bits_again(street, few):
    kept = []
    for _ in range(2):
        train_site(street, QUICK, torch.device("cpu"), Progress(disable=True))
        kept.append((street.path / "rounds" / "01" / "networks.safetensors").read_bytes())
    assert kept[0] == kept[1]
