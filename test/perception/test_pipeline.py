import shutil

import numpy as np
import pytest
import torch
from small_site import small_scene
from torch.nn import functional

from offline_training.beliefs import believe, network_scores
from offline_training.borders import shipped_borders
from offline_training.checkpoint import load_networks
from offline_training.labels import clicked_labels
from offline_training.rounds import fitted_confidence
from offline_training.scenes import load_scene
from offline_training.self_training import (
    Networks,
    preprocessing,
    round_folder,
    training_settings,
)
from otoc_ros.core import native, tiling
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.confidence import tempered
from otoc_ros.core.errors import InputError
from otoc_ros.core.seen_borders import describe_seen_borders
from otoc_ros.perception import Perception

UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def perception(tiny_bundle):
    return Perception(tiny_bundle)


def test_labels_come_back_on_the_callers_points_in_their_order(perception):
    cloud, truth = small_scene(50)
    holes = np.random.default_rng(0).random(len(cloud)) < 0.1
    xyz = cloud.xyz.copy()
    xyz[holes] = np.nan
    found = perception(Cloud(xyz, cloud.rgb), UP)
    assert (found.class_id[holes] == -1).all()
    assert (found.instance[holes] == 0).all()
    assert (found.confidence[holes] == 0).all()
    assert (found.class_id[~holes] == truth.semantic[~holes]).mean() > 0.9
    order = np.random.default_rng(1).permutation(len(cloud))
    shuffled = perception(Cloud(xyz[order], cloud.rgb[order]), UP)
    assert (shuffled.class_id == found.class_id[order]).mean() > 0.999


def test_a_place_seen_in_tiles_has_no_seam(perception, monkeypatch):
    rooms = [small_scene(60 + row)[0] for row in range(4)]
    width = float(np.ptp(rooms[0].xyz[:, 0])) + 0.1
    xyz = [room.xyz + np.float32([row * width, 0, 0]) for row, room in enumerate(rooms)]
    place = Cloud(np.concatenate(xyz), np.concatenate([room.rgb for room in rooms]))
    whole = perception(place, UP)
    monkeypatch.setattr(tiling, "MOST_VOXELS", 2000)
    parts = list(tiling.tiles(perception.see(place, UP).prepared.grid.coords, 2))
    assert len(parts) > 3
    tiled = perception(place, UP)
    assert (tiled.class_id == whole.class_id).mean() >= 0.999
    assert (tiled.instance == whole.instance).mean() >= 0.999
    np.testing.assert_allclose(
        perception.features(place, UP), _whole_features(perception, place, monkeypatch), atol=0.05
    )


def _whole_features(perception, place, monkeypatch):
    monkeypatch.setattr(tiling, "MOST_VOXELS", 10**9)
    return perception.features(place, UP)


def test_the_same_cloud_gives_the_same_labels_wherever_it_lies(perception):
    cloud, _ = small_scene(51)
    first, again = perception(cloud, UP), perception(cloud, UP)
    np.testing.assert_array_equal(first.class_id, again.class_id)
    np.testing.assert_array_equal(first.instance, again.instance)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    far = perception(Cloud(cloud.xyz + np.float32([128, -64, 16]), cloud.rgb), UP)
    assert (far.class_id == first.class_id).mean() > 0.99
    # Rounding moves borders of super-voxels, and fragments that nobody is sure of with them.
    sure = [
        [thing.class_id for thing in seen.objects if thing.score > 0.5] for seen in (first, far)
    ]
    assert sure[0]
    assert sure[0] == sure[1]


def test_objects_have_their_points_and_boxes_in_the_frame_of_the_cloud(perception):
    cloud, _ = small_scene(52)
    angle = np.deg2rad(35)
    tilt = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    tilted = Cloud((cloud.xyz @ tilt.T + [3, 2, 1]).astype(np.float32), cloud.rgb)
    found = perception(tilted, tilt @ UP)
    assert found.objects
    assert [thing.id for thing in found.objects] == list(range(1, len(found.objects) + 1))
    for thing in found.objects:
        mine = tilted.xyz[found.instance == thing.id]
        assert (found.class_id[found.instance == thing.id] == thing.class_id).all()
        inside = (
            np.abs((mine - thing.box.center) @ thing.box.rotation) <= thing.box.extent / 2 + 0.06
        )
        assert inside.all()
        assert (mine >= thing.low - 0.06).all() and (mine <= thing.high + 0.06).all()
        assert np.abs(mine.min(axis=0) - thing.low).max() < 0.06
        assert np.abs(mine.max(axis=0) - thing.high).max() < 0.06
        np.testing.assert_allclose(thing.box.rotation[:, 2], tilt @ UP, atol=1e-6)


def test_the_live_pipeline_is_what_training_believes(trained_site, perception):
    """ONNX against PyTorch, live preprocessing against that of training, on the same cloud."""
    settings = training_settings(trained_site)
    networks = Networks.fresh(trained_site, settings, torch.device("cpu"))
    load_networks(round_folder(trained_site, 1) / "networks.safetensors", networks.named())
    scene = trained_site.scenes(split="val")[0]
    loaded = load_scene(scene, preprocessing(trained_site))
    nobody = clicked_labels((), loaded.prepared.n_supervoxels)
    scores = network_scores(networks.theta, networks.relation, loaded.prepared, torch.device("cpu"))
    belief = believe(loaded, scores, nobody, None, settings.propagation)
    belief = tempered(belief, fitted_confidence(trained_site, 1).temperature)
    live = perception(scene.cloud(), UP)
    of_voxel = belief[loaded.prepared.supervoxel]
    of_point = loaded.prepared.to_points(of_voxel, fill=0)
    expected = of_point[np.arange(len(of_point)), live.class_id]
    np.testing.assert_allclose(live.confidence, expected, atol=1e-4)
    alone = live.instance == 0  # the points of an object have its class
    np.testing.assert_array_equal(live.class_id[alone], of_point.argmax(axis=1)[alone])


def test_clouds_that_hold_nothing_are_refused_in_one_line(perception):
    for cloud in (Cloud(np.empty((0, 3))), Cloud(np.full((9, 3), np.nan))):
        with pytest.raises(InputError, match="finite"):
            perception(cloud)
    perception(small_scene(53)[0], UP)  # and the next one is served


def test_a_cloud_without_colour_is_labelled(perception):
    cloud, truth = small_scene(54)
    found = perception(Cloud(cloud.xyz), UP)
    assert (found.class_id == truth.semantic).mean() > 0.6


@pytest.mark.parametrize("name", ["unet.onnx", "relation.onnx", "propagator.onnx", "bundle.yaml"])
def test_a_bundle_with_a_damaged_or_missing_file_is_refused(tiny_bundle, tmp_path, name):
    copy = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        Perception(copy)
    (copy / name).unlink()
    with pytest.raises(InputError):
        Perception(copy)


def test_borders_part_objects_as_what_was_learnt_once_says_it(perception):
    cloud, _ = small_scene(55)
    seen = perception.see(cloud, UP)
    described = torch.from_numpy(describe_seen_borders(seen.prepared))
    with torch.no_grad():
        expected = -functional.logsigmoid(shipped_borders()(described)).numpy()
    np.testing.assert_allclose(seen.parting, expected, atol=2e-3)
    assert np.ptp(seen.parting) > 1


@pytest.mark.parametrize("points", [1, 2, 3])
def test_clouds_of_hardly_any_borders_are_labelled(perception, points):
    cloud, _ = small_scene(55)
    found = perception(Cloud(cloud.xyz[:points], cloud.rgb[:points]), UP)
    assert (found.class_id >= 0).all()


def test_an_execution_provider_that_is_not_installed_is_named(tiny_bundle):
    with pytest.raises(InputError, match="NoSuchExecutionProvider"):
        Perception(tiny_bundle, providers=["NoSuchExecutionProvider"])


@pytest.mark.skipif(native.library() is None, reason="the C++ kernel is not built")
def test_the_native_runner_says_what_onnxruntime_says(tiny_bundle, perception):
    plain = Perception(tiny_bundle, prefer_native=False)
    assert plain.runner == "onnxruntime CPUExecutionProvider"
    assert perception.runner.startswith("native ")
    cloud, _ = small_scene(54)
    ours, theirs = perception(cloud, UP), plain(cloud, UP)
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-3)
    assert (ours.class_id == theirs.class_id).mean() > 0.999
    assert (ours.instance == theirs.instance).mean() > 0.999


def test_without_the_kernel_onnxruntime_serves(tiny_bundle, monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)
    assert Perception(tiny_bundle).runner == "onnxruntime CPUExecutionProvider"
