from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site

from offline_training.labels import true_targets
from offline_training.rounds import preprocessing
from offline_training.samples import draw_batch
from offline_training.scenes import load_scene, voxel_truth
from offline_training.site_evaluation import evaluate_bundle

THING = np.array([False, True, True])


@pytest.mark.parametrize(("share", "seen"), [(0.0, 6), (1.0, 0)])
def test_a_share_of_the_crops_is_shown_without_colour(tmp_path, share, seen):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    scene = load_scene(site.scenes()[0], preprocessing(site))
    targets = true_targets(scene.prepared, voxel_truth(site.scenes()[0], scene.prepared), THING)
    coloured = 0
    for seed in range(3):
        batch = draw_batch(
            [scene], [targets], preprocessing(site), 2, 2, 2000, share, 0.5,
            np.random.default_rng(seed), torch.device("cpu"),
        )  # fmt: skip
        fine = batch.maps.levels[0].same.n_outputs
        assert len(batch.features) == fine
        for half in batch.features[:, 1:4].split(fine // 2):
            coloured += int((half != 0).any()) if len(half) > 10 else 0
    assert coloured == seen


def test_a_crop_says_where_in_their_voxels_positions_lie(tmp_path):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    settings = preprocessing(site)
    scene = load_scene(site.scenes()[0], settings)
    targets = true_targets(scene.prepared, voxel_truth(site.scenes()[0], scene.prepared), THING)
    batch = draw_batch(
        [scene], [targets], settings, 1, 2, 2000, 0.0, 0.5,
        np.random.default_rng(0), torch.device("cpu"),
    )  # fmt: skip
    inner = batch.features[:, settings.features.index("inner_x") :][:, :3].numpy()
    assert np.abs(inner).max() <= 0.5 + 1e-3
    assert (inner.std(axis=0) > 0.1).all()


@pytest.mark.parametrize(("share", "seen"), [(0.0, 0), (1.0, 4)])
def test_a_share_of_the_crops_is_taken_from_raw_views(tmp_path, share, seen):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    scene = load_scene(site.scenes()[0], preprocessing(site))
    targets = true_targets(scene.prepared, voxel_truth(site.scenes()[0], scene.prepared), THING)
    whole = scene.parts[0]
    rows = {name: getattr(whole, name)[:1] for name in ("xyz", "rgb", "normal", "height", "voxel")}
    speck = replace(whole, **rows)  # a view that saw one point
    found = 0
    for seed in range(4):
        batch = draw_batch(
            [replace(scene, views=(speck,))], [targets], preprocessing(site), 1, 1, 2000, 0.0,
            share, np.random.default_rng(seed), torch.device("cpu"),
        )  # fmt: skip
        found += len(batch.features) == 1
    assert found == seen


def test_a_bundle_can_be_scored_as_for_a_sensor_without_colours(trained_site, tiny_bundle):
    scenes = trained_site.scenes(split="val")[:1]
    quiet = Progress(disable=True)
    plain = evaluate_bundle(tiny_bundle, trained_site, scenes, quiet)
    grey = evaluate_bundle(tiny_bundle, trained_site, scenes, quiet, without_colour=True)
    assert 0.3 < grey["miou"] != plain["miou"]
