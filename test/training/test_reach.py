from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grey_box import grey_box_on_a_grey_floor
from small_site import make_small_site

from offline_training.labels import object_paths
from offline_training.reach import LOOKS, ReachModel, every_scene, model, reach_every_scene
from offline_training.reach.by_hand import reach_by_hand
from offline_training.reach.fit import fit_reach, true_scene
from offline_training.reach.shares import Shares, log_reach, nothing_reached, usual_areas
from offline_training.scene_store import SceneStore
from offline_training.scenes import Mark, TrainingScene, VoxelTruth, load_scene, voxel_truth
from offline_training.self_training import preprocessing
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.site.site import Site

SHIPPED = ReachModel.shipped()
THING = np.array([False, True, True])


def click_reach(scene: TrainingScene, thing: np.ndarray, model: ReachModel) -> np.ndarray:
    """All looks at one scene, as a site of its own."""
    clicked = model.clicked(scene, thing)
    share = model.share(clicked)
    for look in range(1, LOOKS):
        usual = usual_areas([clicked.name], [clicked.look.area @ share], len(thing))
        share = model.share(clicked, Shares(clicked, share, usual), look)
    return log_reach(share, np.eye(len(thing))[clicked.name])


def test_clicks_alone_reach_most_of_their_objects(tmp_path):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        truth = voxel_truth(scene, loaded.prepared).semantic
        reach = click_reach(loaded, THING, SHIPPED)
        np.testing.assert_allclose(np.exp(reach).sum(axis=1), 1, atol=1e-5)
        best = reach.argmax(axis=1)[loaded.prepared.supervoxel]
        for name in range(3):
            assert (best == truth)[truth == name].mean() > 0.8
        for mark in loaded.marks:
            assert reach[mark.supervoxel, mark.class_id] == reach[mark.supervoxel].max()


def click(prepared: Prepared, place: tuple[float, float, float], name: int) -> Mark:
    nearest = int(((prepared.xyz + prepared.grid.origin - place) ** 2).sum(axis=1).argmin())
    return Mark("click", name, name, int(prepared.supervoxel[nearest]))


def test_what_is_nobodys_may_be_of_any_class():
    share = np.array([[0.9, 0.1], [0.0, 0.0], [0.2, 0.2]], np.float32)
    reach = np.exp(log_reach(share, np.eye(4)[[2, 0]]))
    np.testing.assert_allclose(reach[0], [0.1, 0, 0.9, 0], atol=1e-5)
    np.testing.assert_allclose(reach[1], 0.25, atol=1e-5)
    np.testing.assert_allclose(reach[2], [0.35, 0.15, 0.35, 0.15], atol=1e-5)


def test_the_usual_area_of_a_class_is_the_median_of_its_objects():
    names = [np.array([0, 1, 1]), np.array([1, 1, 1])]
    areas = [np.array([9.0, 1.0, 2.0]), np.array([3.0, 0.0, 70.0])]  # zero: not reached
    usual = usual_areas(names, areas, 3)
    assert np.isnan(usual[[0, 2]]).all() and usual[1] == 2.5


def test_the_smallest_of_clouds_is_reached():
    for count in (1, 2):
        xyz = np.arange(3 * count, dtype=np.float32).reshape(-1, 3)
        prepared = preprocess(Cloud(xyz), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
        scene = TrainingScene("s", prepared, (), (), (Mark("click", 1, 1, 0),))
        reach = click_reach(scene, THING[:2], SHIPPED)
        np.testing.assert_allclose(np.exp(reach).sum(axis=1), 1, atol=1e-5)


def test_a_place_that_a_person_excludes_is_no_click():
    prepared, sensors = grey_box_on_a_grey_floor()
    marks = (click(prepared, (1.2, 1.2, 0.0), 0), click(prepared, (0.0, 0.0, 0.6), 1))
    scene = TrainingScene("s", prepared, (), (), marks, sensors)
    excluded = replace(scene, marks=(*marks, Mark("exclude", 2, 3, 5)))
    np.testing.assert_array_equal(
        click_reach(scene, THING, SHIPPED), click_reach(excluded, THING, SHIPPED)
    )


def test_large_scenes_are_looked_at_in_blocks(monkeypatch, tmp_path):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    loaded = load_scene(site.scenes()[0], preprocessing(site))
    whole = click_reach(loaded, THING, SHIPPED)
    monkeypatch.setattr(model, "PAIRS_AT_ONCE", 100)
    np.testing.assert_allclose(click_reach(loaded, THING, SHIPPED), whole, atol=1e-3)


def stored(site: Site, folder: Path) -> SceneStore:
    folder.mkdir()
    names = [scene.name for scene in site.scenes()]
    store = SceneStore(folder, names, preprocessing(site))
    for row, scene in enumerate(site.scenes()):
        loaded = load_scene(scene, preprocessing(site))
        store.write_scene(row, loaded, object_paths(loaded))
    return store


def test_few_clicks_reach_by_hand(tmp_path):
    store = stored(make_small_site(tmp_path / "site", train=1, val=0), tmp_path / "store")
    reach_every_scene(store, range(1), THING, SHIPPED, lambda: None)
    found = store.read(0, "reach")["reach"]
    np.testing.assert_array_equal(found, reach_by_hand(store.scene(0), THING))


def test_what_is_usual_is_known_from_all_scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(every_scene, "FEWEST_CLICKS", 1)
    site = make_small_site(tmp_path / "site", train=3, val=1)  # nobody clicked the last one
    store = stored(site, tmp_path / "store")
    looks: list[int] = []
    reach_every_scene(store, range(4), THING, SHIPPED, lambda: looks.append(1))
    assert len(looks) == 4 * model.LOOKS
    together = [store.read(row, "reach")["reach"] for row in range(4)]
    alone = [click_reach(store.scene(row), THING, SHIPPED) for row in range(3)]
    np.testing.assert_array_equal(together[3], nothing_reached(len(together[3]), 3))
    assert any(np.abs(together[row] - alone[row]).max() > 1e-3 for row in range(3))
    one = stored(make_small_site(tmp_path / "one", train=1, val=0), tmp_path / "one-store")
    reach_every_scene(one, range(1), THING, SHIPPED, lambda: None)
    np.testing.assert_array_equal(one.read(0, "reach")["reach"], alone[0])


def test_without_a_model_clicks_reach_nothing(tmp_path):
    store = stored(make_small_site(tmp_path / "site", train=1, val=0), tmp_path / "store")
    reach_every_scene(store, range(1), THING, None, lambda: None)
    reach = store.read(0, "reach")["reach"]
    np.testing.assert_array_equal(reach, nothing_reached(len(reach), 3))


@pytest.fixture
def short_fit(monkeypatch):
    for name, steps in (("PAIR_STEPS", 200), ("LOOK_STEPS", 200)):
        monkeypatch.setattr(f"offline_training.reach.fit.{name}", steps)


def test_reach_is_learnt_from_truth_and_the_same_from_the_same(tmp_path, short_fit):
    site = make_small_site(tmp_path / "site", train=4, val=0)
    known = []
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        known.append(true_scene(loaded, voxel_truth(scene, loaded.prepared), THING))
    learnt = fit_reach([known[:3]], 0, lambda steps: steps)
    again = fit_reach([known[:3]], 0, lambda steps: steps)
    fresh = ReachModel().eval()
    right = {}
    for name, each in (("learnt", learnt), ("again", again), ("fresh", fresh)):
        reach = click_reach(known[3].scene, THING, each)
        key_of_class = [known[3].clicked[row] for row in range(len(known[3].clicked))]
        class_of_key = {
            key: mark.class_id for key, mark in zip(key_of_class, known[3].scene.marks, strict=True)
        }
        truth = np.array([class_of_key.get(key, -1) for key in known[3].key])
        right[name] = (reach.argmax(axis=1) == truth)[truth >= 0].mean()
    assert right["learnt"] == right["again"]
    assert right["learnt"] > 0.85 and right["learnt"] > right["fresh"] + 0.2


def test_a_click_means_the_object_that_it_names():
    prepared, _ = grey_box_on_a_grey_floor()
    voxels = len(prepared.xyz)
    height = prepared.xyz[:, 2] + prepared.grid.origin[2]
    semantic = np.where(height > 0.1, 1, 0).astype(np.int32)
    semantic[: voxels // 50] = -1
    truth = VoxelTruth(semantic, np.where(semantic == 1, 7, 0).astype(np.int32))
    marks = (Mark("click", 1, 7, 0), Mark("click", 0, 0, 1), Mark("exclude", 2, 0, 2))
    known = true_scene(TrainingScene("s", prepared, (), (), marks), truth, THING)
    top = known.key[prepared.supervoxel[(height > 0.5) & (semantic == 1)]]
    floor = known.key[prepared.supervoxel[(height < 0.03) & (semantic == 0)]]
    assert (top == known.clicked[0]).mean() > 0.95
    assert (floor == known.clicked[1]).mean() > 0.9
    assert len(known.clicked) == 2 and known.clicked[0] != known.clicked[1]
